"""The fakes of a local run: one for each outside service without settings of its own, and the settings for it.

    python -m watchkeeper.fakes.services --port 8090

serves them alone and prints the settings for a function or the command line.
"""

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import click

from shared.settings import Environment
from watchkeeper.fakes.airtable import API_KEY, BASE, Airtable
from watchkeeper.fakes.chat import Chat
from watchkeeper.fakes.cloud_tasks import CloudTasks, as_it_stands
from watchkeeper.fakes.gmail import PROJECT, Gmail
from watchkeeper.fakes.google_oauth import GoogleOAuth
from watchkeeper.fakes.task_queue import RateLimits, RetryConfig

SERVICES = ("Google OAuth", "Gmail", "Airtable", "Chat", "Cloud Tasks")
FAKES = len(SERVICES)  # the ports that all of them need
GMAIL = ("GMAIL_USER_EMAIL", "GMAIL_WATCH_TOPIC", "GMAIL_DELEGATE", "GCP_SERVICE_ACCOUNT_JSON_PATH")
AIRTABLE = ("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID")
CHAT = ("CHAT_AUDIENCE", "CHAT_API_ENDPOINT", "GOOGLE_APPLICATION_CREDENTIALS")
TASKS = ("TASK_QUEUES", "TASKS_API_ENDPOINT")
Queues = Mapping[str, tuple[RateLimits, RetryConfig]]
DEFAULT_QUEUES: Queues = {"agents": (RateLimits(max_concurrent=2), RetryConfig())}
QUEUES = f"projects/{PROJECT}/locations/local/queues"
RUN_JOB_CALLER = f"watchkeeper-tasks@{PROJECT}.iam.gserviceaccount.com"


@dataclass(frozen=True, kw_only=True)
class Service:
    """An outside service. `address` is that of its fake, as http://host:port, or "" if the service is real."""

    name: str
    address: str
    is_fake: bool


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The function that runs handed-over jobs, by its URL, and the queues that lead to it.

    `address_of` is passed to `CloudTasks`.
    """

    url: str
    queues: Queues
    address_of: Callable[[str], AbstractContextManager[str]] = as_it_stands


@dataclass(frozen=True)
class Services:
    """The running fakes: their addresses by the name of the service, and the settings that point to them.

    `worker_settings` are for run_job alone: they admit the fake of Cloud Tasks. `absent` services are neither faked nor
    configured.
    """

    addresses: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    worker_settings: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)

    def told(self) -> list[Service]:
        """Return every outside service, real or fake."""
        given, names = self.addresses, [name for name in SERVICES if name not in self.absent]
        return [Service(name=name, address=given.get(name, ""), is_fake=name in given) for name in names]


@contextmanager
def running_fakes(env: Mapping[str, str], ports: Sequence[int], worker: Worker | None = None) -> Iterator[Services]:
    """Serve a fake of each service for which `env` has no setting, on the given ports (0: any free one).

    Cloud Tasks is faked only for a `worker`.
    """
    read = Environment(env)
    services = Services()
    settings, addresses = services.settings, services.addresses
    fakes_gmail = not any(read.text(name) for name in GMAIL)
    # The fake's key would replace the credentials that the real Firestore needs.
    is_real_firestore = read.text("SCHEDULER_STORAGE") == "firestore" and not read.text("FIRESTORE_EMULATOR_HOST")
    fakes_chat = not is_real_firestore and not any(read.text(name) for name in CHAT)
    fakes_tasks = worker is not None and not any(read.text(name) for name in TASKS)
    with ExitStack() as stack:
        if fakes_gmail or fakes_chat or fakes_tasks:
            oauth = stack.enter_context(GoogleOAuth(port=ports[0]))
            key_file = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "service-account.json")
            oauth.write_key_file(Path(key_file))
            addresses["Google OAuth"] = oauth.url
        if fakes_gmail:
            addresses["Gmail"] = settings["GMAIL_API_ENDPOINT"] = stack.enter_context(Gmail(oauth, port=ports[1])).url
            settings["GMAIL_USER_EMAIL"] = "agent@example.com"
            settings["GMAIL_WATCH_TOPIC"] = f"projects/{PROJECT}/topics/gmail-events"
            settings["GCP_SERVICE_ACCOUNT_JSON_PATH"] = key_file
        if not any(read.text(name) for name in AIRTABLE):
            airtable = stack.enter_context(Airtable(port=ports[2]))
            addresses["Airtable"] = settings["AIRTABLE_API_ENDPOINT"] = airtable.url
            settings.update(AIRTABLE_API_KEY=API_KEY, AIRTABLE_BASE_ID=BASE)
        if fakes_chat:
            addresses["Chat"] = settings["CHAT_API_ENDPOINT"] = stack.enter_context(Chat(oauth, port=ports[3])).url
            settings["GOOGLE_APPLICATION_CREDENTIALS"] = key_file
            settings["ALLOWED_USERS"] = read.text("ALLOWED_USERS", "*@example.com")
            settings["CHAT_AGENT"] = read.text("CHAT_AGENT", "agent.chat:answer")
        if fakes_tasks and worker is not None:
            # If Chat or Firestore is real, so are the credentials, and this fake does not know their tokens.
            tasks = CloudTasks(oauth, port=ports[4], takes_any_token=not fakes_chat, address_of=worker.address_of)
            addresses["Cloud Tasks"] = settings["TASKS_API_ENDPOINT"] = stack.enter_context(tasks).url
            for name, (limits, retry) in worker.queues.items():
                tasks.add_queue(_full_name(name), limits, retry)
            settings["TASK_QUEUES"] = ",".join(f"{name}={_full_name(name)}" for name in worker.queues)
            settings.update(RUN_JOB_URL=worker.url, RUN_JOB_CALLER=RUN_JOB_CALLER)
            services.worker_settings.update(
                AUTH_AUDIENCE=worker.url, AUTH_CALLERS=RUN_JOB_CALLER, AUTH_CERTS_URL=oauth.certs_url
            )
        elif not read.text("TASK_QUEUES"):
            services.absent.add("Cloud Tasks")
        yield services


def _full_name(queue: str) -> str:
    return f"{QUEUES}/watchkeeper-{queue}"


@click.command()
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1, 65_000), help="The first of five.")
@click.option("--run-job", metavar="URL", help="Where run_job listens; without it Cloud Tasks is left out.")
def main(port: int, run_job: str | None) -> None:
    """Serve fakes of Google's tokens, Gmail, Airtable, Chat and Cloud Tasks until Ctrl-C, and print their settings."""
    worker = Worker(url=run_job, queues=DEFAULT_QUEUES) if run_job else None
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())  # so that the key file is deleted
    try:
        with running_fakes({}, range(port, port + FAKES), worker) as services:
            for name, value in services.settings.items():
                click.echo(f"export {name}={value}")
            click.echo(
                f"# {', '.join(f'{name}: {url}/stand-in' for name, url in services.addresses.items())}", err=True
            )
            Event().wait()
    except OSError as exc:
        raise click.ClickException(f"the ports from {port} on cannot be used ({exc.strerror}); change --port") from exc
    except (KeyboardInterrupt, SystemExit):
        return


if __name__ == "__main__":
    main()
