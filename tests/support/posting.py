"""Runs of the handlers that post to Chat, and the fakes of Chat and Google's OAuth that they reach."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.handlers import Context, Payload
from shared.handlers.chat_message import chat_message
from shared.web import google_credentials
from watchkeeper.fakes.chat import Chat
from watchkeeper.fakes.google_oauth import GoogleOAuth

SPACE = "spaces/AAAA"
THREAD = "spaces/AAAA/threads/BBBB"
KEY = "job@2026-11-21T09:00:00Z"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECRET = "the text of a message"
ASKED = {"space": SPACE, "prompt": "hello"}
MESSAGE = {"space": SPACE, "text": SECRET}
LONG = " ".join(["wörd 世界"] * 6_000)  # three messages
CARDS = [{"cardId": "x", "card": {"header": {"title": "News"}}}]


class Waits(threading.Event):
    """A stop that is never set; it records how long it is waited for, and takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        return self.is_set()


class StopsAfter(Waits):
    """A stop that is set after this number of looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def context_of(
    key: str = KEY,
    created_by: str | None = "chat:ada@example.com",
    stop: threading.Event | None = None,
    timezone: str | None = None,
) -> Context:
    return Context(
        stop=stop or Waits(),
        job_id="job",
        job_type="chat_message",
        execution_key=key,
        attempt=1,
        schedule_at=NOW,
        started_at=NOW,
        deadline=NOW + timedelta(seconds=30),
        created_by=created_by,
        timezone=timezone,
    )


@dataclass(frozen=True)
class Google:
    """The fakes of Chat and OAuth."""

    oauth: GoogleOAuth
    chat: Chat

    def texts(self) -> list[str]:
        return [message.text for message in self.chat.messages]


@contextmanager
def google_chat(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Google]:
    """Fake Chat, with credentials for it, in a process that has no token yet."""
    with GoogleOAuth() as oauth, Chat(oauth) as chat:
        oauth.write_key_file(folder / "key.json")
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "key.json"))
        patch.setenv("CHAT_API_ENDPOINT", chat.url)
        forget()
        yield Google(oauth, chat)
        forget()


def forget() -> None:
    """Start as a new process does."""
    google_credentials._known.clear()


def failure(handler: Callable[[Payload, Context], object] = chat_message, payload: Payload = MESSAGE) -> Exception:
    """Run a handler that has to fail, and return its error."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # which one it is, is what the tests ask
        handler(payload, context_of())
    return raised.value
