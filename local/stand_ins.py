"""The stand-ins of a local run: one for each outside service of which nothing is configured, and the settings for it.

    python -m local.stand_ins --port 8090

serves them by themselves and prints the settings, to try a function or the command line with.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import click

from local.airtable import API_KEY, BASE, Airtable
from local.gmail import PROJECT, Gmail
from local.google_oauth import GoogleOAuth
from shared.settings import Environment

STAND_INS = 3  # so many ports are needed at most
GMAIL = ("GMAIL_USER_EMAIL", "GMAIL_WATCH_TOPIC", "GMAIL_DELEGATE", "GCP_SERVICE_ACCOUNT_JSON_PATH")
AIRTABLE = ("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID")


@dataclass(frozen=True)
class Services:
    """What stands in: the addresses by the name of the service, and the settings that lead there."""

    addresses: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


@contextmanager
def stand_ins(env: Mapping[str, str], ports: Sequence[int]) -> Iterator[Services]:
    """Serve a stand-in for each service of which `env` has no setting, on three given ports (0: any)."""
    read = Environment(env)
    services = Services()
    with ExitStack() as stack:
        if not any(read.text(name) for name in GMAIL):
            oauth = stack.enter_context(GoogleOAuth(port=ports[0]))
            gmail = stack.enter_context(Gmail(oauth, port=ports[1]))
            key_file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "service-account.json"
            oauth.write_key_file(key_file)
            services.addresses.update({"Google OAuth": oauth.url, "Gmail": gmail.url})
            services.settings.update(
                GMAIL_USER_EMAIL="agent@example.com",
                GMAIL_WATCH_TOPIC=f"projects/{PROJECT}/topics/gmail-events",
                GCP_SERVICE_ACCOUNT_JSON_PATH=str(key_file),
                GMAIL_API_ENDPOINT=gmail.url,
            )
        if not any(read.text(name) for name in AIRTABLE):
            airtable = stack.enter_context(Airtable(port=ports[2]))
            services.addresses["Airtable"] = airtable.url
            services.settings.update(
                AIRTABLE_API_KEY=API_KEY, AIRTABLE_BASE_ID=BASE, AIRTABLE_API_ENDPOINT=airtable.url
            )
        yield services


@click.command()
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1, 65_000), help="The first of three.")
def main(port: int) -> None:
    """Serve stand-ins for Google's tokens, Gmail and Airtable until Ctrl-C, and print the settings that lead there."""
    try:
        with stand_ins({}, range(port, port + STAND_INS)) as services:
            for name, value in services.settings.items():
                click.echo(f"export {name}={value}")
            click.echo(
                f"# {', '.join(f'{name}: {url}/stand-in' for name, url in services.addresses.items())}", err=True
            )
            Event().wait()
    except OSError as exc:
        raise click.ClickException(f"the ports from {port} on cannot be used ({exc.strerror}); give another") from exc
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
