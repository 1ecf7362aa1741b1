"""The settings of gmail_watch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.errors import InvalidInput
from shared.model.value import ID
from shared.settings import PROJECT_FOLDER, Environment, http_url
from shared.subscriptions import PREFIX

if TYPE_CHECKING:
    from google.oauth2.service_account import Credentials

ENDPOINT = "https://gmail.googleapis.com"


@dataclass(frozen=True, kw_only=True)
class GmailSettings:
    """Which mailboxes are watched, for what, and as whom.

    `key` is the content of a service account's key file, without a scope; without one, `delegate` is the address of the
    service account that acts for the mailboxes.
    """

    mailboxes: tuple[str, ...]
    topic: str
    labels: tuple[str, ...]
    key: "Credentials | None" = field(repr=False)
    delegate: str
    endpoint: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "GmailSettings":
        """Read the settings. Raises InvalidSettings, naming every missing or malformed one."""
        read = Environment(env)
        settings = cls(
            mailboxes=read.required_words("GMAIL_USER_EMAIL", _address),
            topic=read.required("GMAIL_WATCH_TOPIC", "", _topic),
            labels=read.words("GMAIL_WATCH_LABELS") or ("INBOX",),
            key=read.parsed("GCP_SERVICE_ACCOUNT_JSON_PATH", None, _key),
            delegate=read.parsed("GMAIL_DELEGATE", "", _address),
            endpoint=read.parsed("GMAIL_API_ENDPOINT", ENDPOINT, http_url),
        )
        ways = [name for name in ("GMAIL_DELEGATE", "GCP_SERVICE_ACCOUNT_JSON_PATH") if read.text(name)]
        if len(ways) != 1:
            read.problems["GMAIL_DELEGATE or GCP_SERVICE_ACCOUNT_JSON_PATH"] = (
                f"{'both' if ways else 'neither'} of GMAIL_DELEGATE (a service account's address) and "
                "GCP_SERVICE_ACCOUNT_JSON_PATH (a key file) is set: set one of them, best GMAIL_DELEGATE"
            )
        read.refuse_problems()
        return settings


def _address(text: str) -> str:
    is_job_id = re.fullmatch(ID, f"{PREFIX}gmail:{text}", re.ASCII)  # so is a mailbox's address, in its record
    if not is_job_id or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise ValueError(f"{text[:100]!r} is not an e-mail address")
    return text.lower()


def _topic(text: str) -> str:
    if not re.fullmatch(r"projects/[a-z0-9:.-]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}", text):
        raise ValueError("it must be the full name of a Pub/Sub topic: projects/PROJECT/topics/TOPIC")
    return text


def _key(path: str) -> "Credentials":
    from google.oauth2.service_account import Credentials

    if path.startswith("{"):
        raise InvalidInput("it must be the path of a key file, not its content")
    try:
        key: Credentials = Credentials.from_service_account_file(  # type: ignore[no-untyped-call]  # the library's own
            PROJECT_FOLDER / path
        )
    except OSError as exc:
        raise InvalidInput(f"it cannot be read: {exc.strerror}") from exc
    except (ValueError, LookupError, TypeError, AttributeError):
        # The parser's message could quote the key.
        raise InvalidInput("it must be the key file of a service account, as Google made it") from None
    return key
