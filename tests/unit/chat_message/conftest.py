"""Chat, as a process that has posted nothing yet reaches it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.handlers import chat_message as module
from tests.support.posting import Google, google_chat


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """Chat with credentials, as each kind of place provides them, in a process that has posted nothing yet."""
    for name in ("CHAT_AGENT", "SCHEDULER_TIMEZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 5)
    with google_chat(tmp_path, monkeypatch) as google:
        yield google
