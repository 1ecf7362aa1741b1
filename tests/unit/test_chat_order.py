"""In which order chat_webhook works: nothing is spent on a sender who has not proved to be Google Chat."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType
from typing import Any

import flask
import pytest
from werkzeug.test import TestResponse

from tests.support.chatting import AddOn, Classic

FOLDER = Path(__file__).parents[2] / "functions" / "chat_webhook"
URL = "https://europe-west1-example.cloudfunctions.net/watchkeeper-chat-webhook"
NOBODY = "http://127.0.0.1:1/certs"
CLOSED = {
    "AUTH_MODE": "verify",
    "CHAT_AUDIENCE": URL,
    "AUTH_CALLERS": "service-1@gcp-sa-gsuiteaddons.iam.gserviceaccount.com",
    "AUTH_CERTS_URL": NOBODY,
    "ALLOWED_USERS": "*@example.com",
}
MENTION = {"type": "USER_MENTION", "startIndex": 0, "length": 1}
FORGED = "e30.e30.e30"  # three times {}

Post = Callable[..., TestResponse]


class Unread(io.RawIOBase):
    """A body that nobody may read."""

    def readinto(self, buffer: Any) -> int:
        raise AssertionError("the body is read")


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    """Return a function that sends a request to the function's code in this process, with CHAT_AUTH as given."""
    root, own = logging.getLogger(), logging.getLogger("watchkeeper")
    before = root.handlers[:], root.level, own.level
    for name, value in CLOSED.items():
        monkeypatch.setenv(name, value)

    def post(kind: str, **request: Any) -> TestResponse:
        monkeypatch.setenv("CHAT_AUTH", kind)
        spec = spec_from_file_location("chat_webhook_main", FOLDER / "main.py")  # every function has a module `main`
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        app = flask.Flask(__name__)
        app.add_url_rule("/", view_func=lambda: module.chat_webhook(flask.request), endpoint="root", methods=["POST"])
        return app.test_client().post("/", **request)

    yield post
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


@pytest.fixture
def called() -> Iterator[set[str]]:
    """Collect which functions of the module that reads events are called."""
    names: set[str] = set()

    def note(frame: FrameType, event: str, arg: object) -> None:
        if event == "call" and frame.f_code.co_filename == str(FOLDER / "chat_event.py"):
            names.add(frame.f_code.co_name)

    sys.setprofile(note)
    yield names
    sys.setprofile(None)


@pytest.mark.parametrize("kind", ["endpoint", "project_number"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {FORGED}"}], ids=["no-token", "forged"])
def test_body_of_a_stranger_is_not_read_if_the_token_is_in_the_header(
    post: Post, kind: str, headers: dict[str, str]
) -> None:
    """However large it is and whatever type it has."""
    stream = {"wsgi.input": Unread(), "CONTENT_LENGTH": "1" * 12}

    response = post(kind, headers=headers, environ_overrides=stream)

    assert response.status_code == 401


@pytest.mark.parametrize("token", ["", FORGED], ids=["no-token", "forged"])
@pytest.mark.parametrize(
    "event", [Classic.message("jobs"), AddOn.message("jobs")], ids=["in-a-classic-event", "in-an-add-ons-event"]
)
def test_only_the_token_is_read_from_the_body_of_a_stranger(
    post: Post, called: set[str], token: str, event: dict[str, Any]
) -> None:
    """A body of 0.99 MB is decoded, and its text, its mentions and its parameters are left alone."""
    message = (event["chat"]["messagePayload"] if "chat" in event else event)["message"]
    large = {**message, "text": "x" * 400_000, "annotations": [MENTION] * 9_000}
    message.update(large)
    body = json.dumps({**event, "authorizationEventObject": {"systemIdToken": token}})

    response = post("addon", data=body, content_type="application/json")

    assert 900_000 < len(body) < 1024 * 1024
    assert response.status_code == 401
    assert called == {"identity_token", "text_in", "_object", "_sound"}


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
def test_stranger_is_refused_before_the_event_is_checked(post: Post, body: bytes) -> None:
    """What is wrong with an event is told to Chat alone."""
    assert post("addon", data=body, content_type="application/json").status_code == 401
