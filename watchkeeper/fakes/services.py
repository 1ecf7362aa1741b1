"""The fakes of a local run: one for each outside service of which nothing is configured, and the settings for it.

    python -m watchkeeper.fakes.services --port 8090

serves them by themselves and prints the settings, to try a function or the command line with.
"""

import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import click

from shared.settings import Environment
from watchkeeper.fakes.airtable import API_KEY, BASE, Airtable
from watchkeeper.fakes.chat import Chat
from watchkeeper.fakes.gmail import PROJECT, Gmail
from watchkeeper.fakes.google_oauth import GoogleOAuth

SERVICES = ("Google OAuth", "Gmail", "Airtable", "Chat")
FAKES = len(SERVICES)  # so many ports are needed at most
GMAIL = ("GMAIL_USER_EMAIL", "GMAIL_WATCH_TOPIC", "GMAIL_DELEGATE", "GCP_SERVICE_ACCOUNT_JSON_PATH")
AIRTABLE = ("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID")
CHAT = ("CHAT_AUDIENCE", "CHAT_API_ENDPOINT", "GOOGLE_APPLICATION_CREDENTIALS")


@dataclass(frozen=True, kw_only=True)
class Service:
    """An outside service. `address` is the fake's, as http://host:port, and empty where the service is real."""

    name: str
    address: str
    is_fake: bool


@dataclass(frozen=True)
class Services:
    """The fakes that are served: their addresses by the name of the service, and the settings that lead there."""

    addresses: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def told(self) -> list[Service]:
        """Return every outside service, real or fake."""
        given = self.addresses
        return [Service(name=name, address=given.get(name, ""), is_fake=name in given) for name in SERVICES]


@contextmanager
def running_fakes(env: Mapping[str, str], ports: Sequence[int]) -> Iterator[Services]:
    """Serve a fake of each service for which `env` has no setting, on so many given ports (0: any)."""
    read = Environment(env)
    services = Services()
    settings, addresses = services.settings, services.addresses
    plays_gmail = not any(read.text(name) for name in GMAIL)
    # The fake's key would take the place of the credentials that the real Firestore needs.
    is_real_firestore = read.text("SCHEDULER_STORAGE") == "firestore" and not read.text("FIRESTORE_EMULATOR_HOST")
    plays_chat = not is_real_firestore and not any(read.text(name) for name in CHAT)
    with ExitStack() as stack:
        if plays_gmail or plays_chat:
            oauth = stack.enter_context(GoogleOAuth(port=ports[0]))
            key_file = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "service-account.json")
            oauth.write_key_file(Path(key_file))
            addresses["Google OAuth"] = oauth.url
        if plays_gmail:
            addresses["Gmail"] = settings["GMAIL_API_ENDPOINT"] = stack.enter_context(Gmail(oauth, port=ports[1])).url
            settings["GMAIL_USER_EMAIL"] = "agent@example.com"
            settings["GMAIL_WATCH_TOPIC"] = f"projects/{PROJECT}/topics/gmail-events"
            settings["GCP_SERVICE_ACCOUNT_JSON_PATH"] = key_file
        if not any(read.text(name) for name in AIRTABLE):
            airtable = stack.enter_context(Airtable(port=ports[2]))
            addresses["Airtable"] = settings["AIRTABLE_API_ENDPOINT"] = airtable.url
            settings.update(AIRTABLE_API_KEY=API_KEY, AIRTABLE_BASE_ID=BASE)
        if plays_chat:
            addresses["Chat"] = settings["CHAT_API_ENDPOINT"] = stack.enter_context(Chat(oauth, port=ports[3])).url
            settings["GOOGLE_APPLICATION_CREDENTIALS"] = key_file
            settings["ALLOWED_USERS"] = read.text("ALLOWED_USERS", "*@example.com")
            settings["CHAT_AGENT"] = read.text("CHAT_AGENT", "agent.chat:answer")
        yield services


@click.command()
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1, 65_000), help="The first of four.")
def main(port: int) -> None:
    """Serve fakes of Google's tokens, Gmail, Airtable and Chat until Ctrl-C, and print their settings."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())  # so that the key file is deleted
    try:
        with running_fakes({}, range(port, port + FAKES)) as services:
            for name, value in services.settings.items():
                click.echo(f"export {name}={value}")
            click.echo(
                f"# {', '.join(f'{name}: {url}/stand-in' for name, url in services.addresses.items())}", err=True
            )
            Event().wait()
    except OSError as exc:
        raise click.ClickException(f"the ports from {port} on cannot be used ({exc.strerror}); give another") from exc
    except (KeyboardInterrupt, SystemExit):
        return


if __name__ == "__main__":
    main()
