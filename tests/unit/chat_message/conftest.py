"""Chat, as a process that has posted nothing yet reaches it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handlers import chat_message as module
from tests.posting import Google, forget
from watchkeeper.fakes.chat import Chat
from watchkeeper.fakes.google_oauth import GoogleOAuth


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """Chat with credentials, as each kind of place provides them, in a process that has posted nothing yet."""
    with GoogleOAuth() as oauth, Chat(oauth) as chat:
        oauth.write_key_file(tmp_path / "key.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        monkeypatch.setenv("CHAT_API_ENDPOINT", chat.url)
        for name in ("CHAT_AGENT", "SCHEDULER_TIMEZONE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 5)
        forget()
        yield Google(oauth, chat)
        forget()
