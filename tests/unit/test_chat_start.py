"""What the chat function imports before it replies: on a new instance a person waits for all of it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from inspect import signature

import pytest

import answering
from tests.support.chatting import AddOn
from tests.support.tokens import AUDIENCE, CALLER, IdentityProvider, google_claims

SLOW = ("croniter", "cron_descriptor", "google.auth", "urllib3", "zoneinfo")
OURS = ("cards", "managing", "phrases", "agent_turn", "shared.handlers", "shared.jobs", "shared.model.job")
NAMES = (
    *dict.fromkeys(answering.ACTIONS.values()),
    *(answering.TEXT, answering.LIST, answering.AGENT_COMMAND, answering.AGENT_BUTTON),
)
ASK_FOR_HELP = """
import json, sys
import flask, main
app = flask.Flask("main")
with app.test_request_context(method="POST", json=json.load(sys.stdin)):
    reply, status = main.chat_webhook(flask.request)
sys.stderr.write(json.dumps([status, reply, sorted(sys.modules)]))
"""


@pytest.mark.slow
def test_help_imports_nothing_about_jobs() -> None:
    """Chat's token is checked and `help` answered without jobs, time zones, Google's libraries or an agent's code."""
    with IdentityProvider() as provider:
        token = provider.token(google_claims(datetime.now(UTC)))
        env = {
            "PATH": os.environ["PATH"],
            "CHAT_AUDIENCE": AUDIENCE,
            "AUTH_CALLERS": CALLER,
            "AUTH_CERTS_URL": provider.url,
            "ALLOWED_USERS": "*@example.com",
        }
        event = json.dumps(AddOn.message("help", authorizationEventObject={"systemIdToken": token}))
        done = subprocess.run(
            [sys.executable, "-c", ASK_FOR_HELP],
            cwd=os.path.dirname(answering.__file__),
            env=env,
            input=event,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )

    status, reply, modules = json.loads(done.stderr)
    assert status == 200
    assert "This is what I can do" in json.dumps(reply)
    assert "cryptography" in modules
    assert [name for name in (*SLOW, *OURS) if name in modules] == []


@pytest.mark.parametrize("name", NAMES)
def test_table_names_only_functions_that_reply(name: str) -> None:
    """They are imported by name, so no type checker notices a wrong one."""
    module, _, function = name.partition(".")

    assert [*signature(getattr(import_module(module), function)).parameters] == ["conversation", "given"]
