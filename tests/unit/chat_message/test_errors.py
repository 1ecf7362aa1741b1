"""What Chat, a proxy or the token service may answer instead, and what follows."""

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import InvalidSettings
from shared.handlers import Cancel, Snooze
from shared.handlers import chat_message as module
from shared.handlers.chat_message import NotPosted, chat_message
from shared.web.google_credentials import access_token
from tests.support.posting import MESSAGE, SECRET, SPACE, Google, Waits, context_of, failure
from tests.support.servers import Answer, HttpServer, drip, head, raw, redirect, reply


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param("not-a-member", f"Chat said 403 .*not a member.*the Chat app is in {SPACE}", id="403"),
        pytest.param("no-space", f"Chat said 404 Space not found.; check that the Chat app is in {SPACE}", id="404"),
        pytest.param("unauthorized", "Chat said 401 .*; check that this runs as a service account", id="401"),
    ],
)
def test_refusal_is_final(google: Google, fault: str, says: str) -> None:
    """Another attempt would fail, too; the error has Chat's reason and the remedy."""
    google.chat.fail(fault, times=2)

    refused = failure()

    assert isinstance(refused, Cancel)
    with pytest.raises(Cancel, match=says):
        raise refused


def test_invalid_message_fails_for_good(google: Google) -> None:
    """The error has Chat's description of the fault in the card."""
    refused = failure(payload={"space": SPACE, "cardsV2": [{"cardId": "x", "card": {"header": "News"}}]})

    assert isinstance(refused, Cancel)
    assert str(refused).startswith("Chat said 400 ")
    assert str(refused).endswith("; check that Chat accepts the text and the cards")


def test_credentials_without_the_scope_are_named(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's credentials are not the app's."""
    monkeypatch.setattr(module, "SCOPE", "https://www.googleapis.com/auth/cloud-platform")

    refused = failure()

    assert isinstance(refused, Cancel)
    assert "insufficient authentication scopes" in str(refused)
    assert "post with a service account's credentials" in str(refused)


@pytest.mark.parametrize(
    ("fault", "delay"), [pytest.param("rate-limit", 30, id="unsaid"), pytest.param("rate-limit-1s", 1, id="said")]
)
def test_job_is_put_off_while_chat_stays_busy(google: Google, fault: str, delay: int) -> None:
    """This uses no attempt; the pause is Retry-After, or half a minute."""
    google.chat.fail(fault, times=5)

    later = failure()

    assert isinstance(later, Snooze)
    assert later.delay == timedelta(seconds=delay)


@pytest.mark.parametrize(
    ("fault", "waits"),
    [pytest.param("rate-limit", [1, 2], id="unsaid"), pytest.param("rate-limit-1s", [1, 1], id="said")],
)
def test_run_waits_while_chat_is_busy(google: Google, fault: str, waits: list[int]) -> None:
    """So the message stays ahead of later ones: a space takes one message a second."""
    google.chat.fail(fault, times=2)
    stop = Waits()

    chat_message(MESSAGE, context_of(stop=stop))

    assert google.texts() == [SECRET]
    assert stop.seconds == waits


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param("internal", "Chat said 500 Internal error encountered.", id="500"),
        pytest.param("unavailable", "Chat said 503 The service is currently unavailable.", id="503"),
        pytest.param("cut", "no response from Chat (RemoteDisconnected)", id="cut"),
        pytest.param("hang", "no response from Chat (TimeoutError)", id="hang"),
        pytest.param("not-json", "the response of Chat is not the created message", id="not-json"),
    ],
)
def test_temporary_failure_is_retried(google: Google, monkeypatch: pytest.MonkeyPatch, fault: str, says: str) -> None:
    """The failure uses an attempt, and the next one posts."""
    access_token(module.SCOPE, time.monotonic() + 10)
    if fault == "hang":
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)  # nobody is to wait for the real one
    google.chat.fail(fault)

    failed = failure()

    assert isinstance(failed, NotPosted)
    assert str(failed) == says
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 5)
    chat_message(MESSAGE, context_of())
    assert google.texts() == [SECRET]


def test_refused_connection_is_retried(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that the connection was refused."""
    monkeypatch.setenv("CHAT_API_ENDPOINT", "http://127.0.0.1:9")

    failed = failure()

    assert isinstance(failed, NotPosted)
    assert str(failed) == "no response from Chat (ConnectionRefusedError)"


@pytest.fixture
def odd_chat(google: Google, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """A server in Chat's place, which may answer in ways that Chat never does."""
    with HttpServer() as server:
        monkeypatch.setenv("CHAT_API_ENDPOINT", server.url())
        yield server


MESSAGES_PATH = f"/v1/{SPACE}/messages"
NOT_CREATED = "the response of Chat is not the created message"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        pytest.param(reply(200, b"[" * 100_000), NotPosted, NOT_CREATED, id="too-deep"),
        pytest.param(reply(200, b"\xff\xfe"), NotPosted, NOT_CREATED, id="binary"),
        pytest.param(reply(200, b'["name"]'), NotPosted, NOT_CREATED, id="list"),
        pytest.param(reply(200, b"{}"), NotPosted, NOT_CREATED, id="no-name"),
        pytest.param(reply(204), NotPosted, NOT_CREATED, id="no-body"),
        pytest.param(reply(408), NotPosted, "Chat said 408 Request Timeout", id="timeout"),
        pytest.param(
            reply(200, b" " * 2**20 + b"{}"), NotPosted, "no response from Chat (BodyTooLarge)", id="too-large"
        ),
        pytest.param(reply(502, b"<html>"), NotPosted, "Chat said 502 Bad Gateway", id="html"),
        pytest.param(reply(503, b"[" * 100_000), NotPosted, "Chat said 503 Service Unavailable", id="error-too-deep"),
        pytest.param(reply(500, b'{"error": "x"}'), NotPosted, "Chat said 500 Internal Server Error", id="text"),
        pytest.param(
            reply(500, b'{"error": {"message": [1]}}'), NotPosted, "Chat said 500 Internal Server Error", id="n"
        ),
        pytest.param(
            reply(400, b"null"), Cancel, "Chat said 400 Bad Request; check that Chat accepts the text", id="null"
        ),
        pytest.param(
            redirect("/elsewhere"), Cancel, "Chat said 302 Found; check that Chat accepts the text", id="redirect"
        ),
        pytest.param(reply(599), NotPosted, "Chat said 599 ", id="unknown-status"),
        pytest.param(reply(429, headers={"Retry-After": "soon"}), Snooze, "Chat said 429 Too Many Requests", id="busy"),
        pytest.param(raw(b"SMTP ready\r\n"), NotPosted, "no response from Chat (BadStatusLine)", id="not-http"),
    ],
)
def test_every_response_has_an_outcome(odd_chat: HttpServer, answer: Answer, error: type[Exception], says: str) -> None:
    """A proxy may answer anything: only a busy answer is retried, and no redirect gets the token."""
    odd_chat.answers[MESSAGES_PATH] = answer

    failed = failure()

    assert type(failed) is error
    assert str(failed).startswith(says)
    assert len(odd_chat.received) == (1 if error is not Snooze else 5)


def test_slow_response_is_cut_off(odd_chat: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is for the whole answer, not for each byte of it."""
    access_token(module.SCOPE, time.monotonic() + 10)
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)
    odd_chat.answers[MESSAGES_PATH] = drip([head(200, {}), *[b" "] * 100], pause=0.05)
    began_at = time.monotonic()

    assert str(failure()) == "no response from Chat (TimeoutError)"
    assert time.monotonic() - began_at < 3


def test_request_has_what_chat_requires(odd_chat: HttpServer) -> None:
    """The token, the type and the length of its body; its characters are not escaped."""
    odd_chat.answers[MESSAGES_PATH] = reply(200, b'{"name": "spaces/AAAA/messages/1"}')

    chat_message({"space": SPACE, "text": "Grüße 世界"}, context_of())

    (received,) = odd_chat.received
    assert (received.method, received.body) == ("POST", '{"text": "Grüße 世界"}'.encode())
    assert received.headers["Authorization"].startswith("Bearer ya29.")
    assert received.headers.get_all("Content-Type") == ["application/json"]
    assert received.headers.get_all("Content-Length") == [str(len(received.body))]


@pytest.mark.parametrize("fault", ["not-json", "hang", "cut", "internal", "rate-limit"])
def test_missing_token_is_retried(google: Google, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The error is about the token; the next attempt posts."""
    if fault == "hang":
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # google-auth waits between its own attempts
    google.oauth.fail(fault, times=1 if fault in ("not-json", "hang", "cut") else 3)

    failed = failure()

    assert isinstance(failed, NotPosted)
    assert "could not get an access token for Chat" in str(failed)
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 5)
    chat_message(MESSAGE, context_of())
    assert google.texts() == [SECRET]


def test_missing_credentials_are_reported(google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The failure is not final: credentials may be added."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))

    failed = failure()

    assert isinstance(failed, NotPosted)
    assert "could not get an access token for Chat" in str(failed)


@pytest.mark.parametrize("fault", ["not-a-member", "rate-limit", "internal", "cut", "not-json", "applied-but-cut"])
def test_errors_and_logs_hold_no_secret(google: Google, caplog: pytest.LogCaptureFixture, fault: str) -> None:
    """They contain neither the text of the message nor a token."""
    caplog.set_level(logging.INFO)
    google.chat.fail(fault, times=5)

    told = f"{failure()!r} {caplog.text}"

    assert SECRET not in told
    assert "ya29" not in told


@pytest.mark.parametrize("endpoint", ["chat.googleapis.com", "https://chat..googleapis.com"])
def test_malformed_endpoint_is_reported(google: Google, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """The error names the setting."""
    monkeypatch.setenv("CHAT_API_ENDPOINT", endpoint)

    assert isinstance(failed := failure(), InvalidSettings)
    assert failed.names == ("CHAT_API_ENDPOINT",)
