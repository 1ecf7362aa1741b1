"""`watchkeeper console`: the console page over the jobs of a deployed system, read-only."""

import os
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import click

from shared.errors import WatchkeeperError
from shared.jobs import Jobs
from shared.settings import Settings
from shared.store.opening import open_store
from watchkeeper.session import Session, place_of_jobs


@click.command()
@click.option("--project", required=True, metavar="P", help="The Google Cloud project whose Firestore holds the jobs.")
@click.option("--port", type=click.IntRange(1024, 65535), default=8080, show_default=True, help="The port of the page.")
@click.option("--database", metavar="D", help="The Firestore database.  [default: FIRESTORE_DATABASE]")
@click.option("--collection", metavar="C", help="The collection of the jobs.  [default: SCHEDULER_COLLECTION]")
@click.pass_obj
def console(session: Session, project: str, port: int, database: str | None, collection: str | None) -> None:
    """Show the jobs of a deployed system on a local page, until Ctrl-C.

    It uses your own credentials (`gcloud auth application-default login`) and changes nothing. While the page is
    visible it reads every job once in ten minutes, and the 50 on view every 30 seconds, which is billed. For a local
    system that you can change, use `watchkeeper dev`.

    \b
    Example:
      watchkeeper console --project my-project
    """
    asked = {"SCHEDULER_STORAGE": "firestore", "GOOGLE_CLOUD_PROJECT": project}
    named = {"FIRESTORE_DATABASE": database, "SCHEDULER_COLLECTION": collection}
    env = {**session.env, **asked, **{name: text for name, text in named.items() if text}}
    _serve(Settings.from_env(env), session.clock, port)


def _serve(settings: Settings, clock: Callable[[], datetime], port: int) -> None:
    # Slow to import, and not needed by other commands.
    from watchkeeper.console.app import create_console
    from watchkeeper.console.system import System
    from watchkeeper.fakes.services import Service
    from watchkeeper.serving import bind

    jobs = Jobs(
        open_store(settings, clock),
        clock=clock,
        handlers={},
        retention=settings.retention,
        timezone=settings.timezone,
        queues=settings.queues,
    )
    system = System(
        jobs=jobs,
        handlers={},
        clock=clock,
        timezone=settings.timezone,
        place=place_of_jobs(settings, os.environ),
        functions={},
        headers={},
        schedules={},
        services=[Service(name="Firestore", address="", is_fake=False)],
        last_call=lambda name: None,
        call=_refuse_call,
        is_read_only=True,
        is_billed=True,
        project=settings.project or "",
        prefix=settings.prefix,
    )
    next(iter(jobs.list(page_size=1)), None)  # fails here, not on the page, if credentials are missing
    token = secrets.token_urlsafe(16)
    try:
        server = bind(create_console(system, token=token), port)
    except OSError as exc:
        raise WatchkeeperError(
            f"port {port} cannot be used ({os.strerror(exc.errno or 0)}): stop the program that uses it, or choose "
            "another with --port"
        ) from exc
    click.echo(f"The console, read-only: http://127.0.0.1:{port}/#now?token={token}")
    click.echo("Other accounts on this machine cannot see it without the token. Ctrl-C stops it.")
    server.serve_forever()


def _refuse_call(function: str) -> NoReturn:
    raise WatchkeeperError(f"{function} cannot be called from here: this console is read-only")
