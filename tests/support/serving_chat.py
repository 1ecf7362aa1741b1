"""The chat_webhook function over HTTP, under functions-framework, as Chat calls it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.handlers.agent import AgentContext
from shared.model.job import Job
from shared.model.times import iso
from tests.support.chatting import AddOn, Classic, checked
from tests.support.renewing import Storage
from tests.support.running import ROOT, RunningFunction, running_function

App = type[Classic] | type[AddOn]
MAIN = ROOT / "functions" / "chat_webhook" / "main.py"
URL = "https://europe-west1-example.cloudfunctions.net/watchkeeper-chat-webhook"
NUMBER = "123456789012"
ADD_ON = f"service-{NUMBER}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"
REMIND = "remind me in 20 minutes to stretch"
SECRET = "xyzzy"  # what people write and nobody else may read
JSON = {"Content-Type": "application/json; charset=UTF-8"}
OPEN = {
    "AUTH_MODE": "off",
    "ALLOWED_USERS": "*@example.com",
    "PUBLIC_URL": URL,
    "CHAT_AGENT": "",
    "CHAT_AUTH": "",
    "CHAT_AUDIENCE": "",
    "AUTH_CALLERS": "",
    "AUTH_CERTS_URL": "",
    "SCHEDULER_TIMEZONE": "",
}
MEBIBYTE = 1024 * 1024
APOLOGY = "Sorry, that did not work"  # for what broke

both = pytest.mark.parametrize("app", [Classic, AddOn], ids=["classic", "add-on"])


def agent(text: str, context: AgentContext) -> str:
    """Answer, or fail and quote what was said."""
    if "fail" in text:
        raise RuntimeError(f"cannot do {text}")
    return f"You said: {text}"


@dataclass(frozen=True)
class ServedChat:
    """The running function as Chat sees it, and its store."""

    function: RunningFunction
    storage: Storage

    def send(self, event: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Send an event, and return status and answer."""
        return self.function.call(headers={**JSON, **(headers or {})}, body=json.dumps(event).encode())

    def ask(self, event: Any) -> Any:
        """Send an event as of now, and return the reply, checked as Chat does."""
        event.get("chat", event)["eventTime"] = iso(datetime.now(UTC))
        status, reply = self.send(event)
        assert status == 200, reply
        assert ("hostAppDataAction" in reply) is ("chat" in event)
        checked(reply)
        return reply

    def jobs(self, space: str) -> list[Job]:
        """Return the jobs of a space as they are stored."""
        return [job for job in self.storage.store.page(after="", limit=100, space=space) if isinstance(job, Job)]

    def leaks(self, *secrets: str) -> list[str]:
        """Return the secrets in the log of the process: words, capabilities, people, tokens."""
        log = self.function.log.read_text()
        private = (SECRET, "bot_config_complete", "configCompleteRedirect", "@example.com", "Ada", "users/104")
        return [secret for secret in (*private, *secrets) if secret in log]

    def logged(self, action: str) -> list[dict[str, Any]]:
        """Return the lines of that action."""
        return [line for line in self.function.log_lines() if line.get("action") == action]


@contextmanager
def running_chat(folder: Path, storage: Storage, **env: str) -> Iterator[ServedChat]:
    """Run the function, open to example.com by default."""
    with running_function("chat_webhook", folder, {**OPEN, **storage.env, **env}) as function:
        yield ServedChat(function, storage)
