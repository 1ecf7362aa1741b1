"""The entry point of `watchkeeper`: its commands, and how an error becomes one line and an exit code."""

import os
import signal
import sys
from typing import Any

import click

from shared.errors import WatchkeeperError
from watchkeeper.cli.console import console
from watchkeeper.cli.cron import show_cron
from watchkeeper.cli.doctor import doctor
from watchkeeper.cli.jobs import jobs
from watchkeeper.cli.mcp import mcp
from watchkeeper.cli.renew import renew
from watchkeeper.cli.tick import tick
from watchkeeper.session import open_session


class Failed(click.ClickException):
    """The command failed: one line on stderr, exit code 1."""

    def show(self, file: Any = None) -> None:
        """Write the line."""
        click.echo(f"error: {self.message}", file=file, err=True)


class ErrorLines(click.Group):
    """A group whose commands print one line and no traceback on an error, and nothing on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except WatchkeeperError as exc:
            raise Failed(str(exc)) from exc
        except BrokenPipeError:
            raise  # click exits quietly when the reader is gone
        except OSError as exc:
            raise Failed(str(exc)) from exc
        except (click.Abort, KeyboardInterrupt) as exc:
            click.echo(err=True)  # end the line of the question, or of ^C
            if KeyboardInterrupt not in (type(exc), type(exc.__context__)):
                raise Failed("no terminal to ask on; use --yes") from exc
            ctx.exit(128 + signal.SIGINT)  # as in a shell


@click.group(cls=ErrorLines)
@click.version_option(package_name="watchkeeper", message="%(prog)s %(version)s")
@click.pass_context
def watchkeeper(ctx: click.Context) -> None:
    """Scheduled jobs and subscriptions of a Google Workspace agent.

    Settings come from the environment, completed by the file .env in the project's folder; WATCHKEEPER_SETTINGS names
    another file.

    \b
    Example:
      watchkeeper jobs add log --payload '{"message": "hello"}' --in 20m

    \b
    Completion of commands, ids and job types (for zsh or fish write that in place of bash):
      eval "$(_WATCHKEEPER_COMPLETE=bash_source watchkeeper)"
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if ctx.obj is None and "--help" not in sys.argv:  # help is for those, too, whose settings cannot be read
        ctx.obj = open_session()


@click.command()
@click.option(
    "--storage",
    type=click.Choice(["json", "firestore"]),
    help="Where to keep jobs, instead of SCHEDULER_STORAGE; firestore starts the emulator.",
)
@click.pass_context
def dev(ctx: click.Context, storage: str | None) -> None:
    """Run the whole system on this machine, until Ctrl-C.

    The console, a web page, shows and controls it. A fake Cloud Scheduler calls each function at once, and then on its
    schedule in functions.toml. Gmail, Airtable, Chat and Cloud Tasks are fakes, unless one of their settings is set. A
    function is reloaded when its code changes.

    \b
    Example:
      watchkeeper dev
    """
    from watchkeeper.dev.run import run

    ctx.exit(run(ctx.obj.env, storage))


for command in (jobs, tick, renew, show_cron, doctor, dev, console, mcp):
    watchkeeper.add_command(command)


def main() -> None:
    """Run the command line."""
    watchkeeper(prog_name="watchkeeper")
