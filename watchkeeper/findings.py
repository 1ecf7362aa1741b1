"""The findings of `watchkeeper doctor`, for an installation on this machine and for a deployment."""

from collections.abc import Iterator
from typing import NamedTuple

CHAT_TOKENS = ("addon", "endpoint", "project_number")


class Finding(NamedTuple):
    """One line: `state` is ok, warning or wrong; `says` is the finding and its remedy."""

    state: str
    subject: str
    says: str


def chat_findings(chat_auth: str, then: str = "") -> Iterator[Finding]:
    """Judge CHAT_AUTH, which is "" where it is not set. `then` ends the remedy."""
    if chat_auth and chat_auth not in CHAT_TOKENS:
        yield Finding("wrong", "chat", f"CHAT_AUTH is {chat_auth!r}: it must be one of {', '.join(CHAT_TOKENS)}")
    if chat_auth == "endpoint":
        yield Finding(
            "warning",
            "chat",
            "CHAT_AUTH=endpoint is legacy: its token proves Google Chat and not which app, so anybody's app that is "
            f"pointed at the function is heard; set it to addon or project_number, as docs/CHAT.md says{then}",
        )
