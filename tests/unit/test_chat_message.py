"""The handlers that post to Chat, over HTTP, against the fakes of Chat and Google's OAuth."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run
from types import ModuleType
from typing import Any

import pytest

from shared.errors import InvalidSettings
from shared.handlers import (
    Cancel,
    Context,
    InvalidPayload,
    Payload,
    Snooze,
    check_payload,
    load_handlers,
)
from shared.handlers import chat_message as module
from shared.handlers.agent import AgentContext, Proposal
from shared.handlers.asking import Action, clicked
from shared.handlers.chat_message import AgentFailed, NotPosted, agent, chat_message
from shared.handlers.proposal import unpacked
from shared.jobs import open_jobs
from shared.settings import PROJECT_FOLDER
from shared.web import google_credentials
from shared.web.chat_rules import MAX_BYTES
from shared.web.google_credentials import access_token
from tests.chatting import buttons_of
from tests.servers import Answer, HttpServer, drip, head, raw, redirect, reply
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


def forget() -> None:
    """Start as a new process does."""
    google_credentials._known.clear()


def failure(handler: Callable[[Payload, Context], object] = chat_message, payload: Payload = MESSAGE) -> Exception:
    """Run a handler that has to fail, and return its error."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # which one it is, is what the tests ask
        handler(payload, context_of())
    return raised.value


# -- posting -----------------------------------------------------------------------------------------------------------


def test_a_message_is_posted_into_its_thread(google: Google) -> None:
    """Text and cards arrive in the space and thread, once for the execution key."""
    chat_message({**MESSAGE, "cardsV2": CARDS, "thread": THREAD}, context_of())

    (message,) = google.chat.messages
    assert (message.space, message.thread, message.text) == (SPACE, THREAD, SECRET)
    assert list(message.cards) == CARDS
    assert message.request_id == KEY
    (request,) = google.chat.requests
    assert request.query["messageReplyOption"] == "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"


def test_a_message_without_a_thread_begins_one(google: Google) -> None:
    """The request names no thread."""
    chat_message({"space": SPACE, "cardsV2": CARDS}, context_of())

    (request,) = google.chat.requests
    assert "messageReplyOption" not in request.query
    assert request.json() == {"cardsV2": CARDS}


def test_an_execution_key_goes_along_as_it_is(google: Google) -> None:
    """The longest key with every character that an id may have is a valid requestId."""
    key = "a._:@+-'" * 25 + "@2026-11-21T09:00:00.123456Z"

    chat_message(MESSAGE, context_of(key))

    assert google.chat.messages[0].request_id == key


def test_a_run_that_is_repeated_posts_once(google: Google) -> None:
    """A message whose response was lost is not posted again; another occurrence is."""
    google.chat.fail("applied-but-cut")

    assert isinstance(failure(), NotPosted)
    chat_message(MESSAGE, context_of())

    assert google.texts() == [SECRET]
    chat_message(MESSAGE, context_of("job@2026-11-22T09:00:00Z"))
    assert google.texts() == [SECRET, SECRET]


@pytest.mark.parametrize(("thread", "expected"), [(THREAD, THREAD), (None, f"{SPACE}/threads/T1")])
def test_a_long_message_is_posted_in_parts(google: Google, thread: str | None, expected: str) -> None:
    """In order and in one thread, each part with its own request id; the cards come with the last."""
    place = {"space": SPACE, **({"thread": thread} if thread else {})}
    chat_message({**place, "text": LONG, "cardsV2": CARDS}, context_of())

    assert " ".join(google.texts()) == LONG
    assert [message.request_id for message in google.chat.messages] == [KEY, f"{KEY}#2", f"{KEY}#3"]
    assert {message.thread for message in google.chat.messages} == {expected}
    assert ["cardsV2" in request.json() for request in google.chat.requests] == [False, False, True]
    assert all(len(request.body) <= MAX_BYTES for request in google.chat.requests)


def test_a_long_message_that_was_interrupted_is_posted_once(google: Google) -> None:
    """The parts already posted are recognised, and the rest follows."""
    with pytest.raises(NotPosted, match="not all was posted"):
        chat_message({"space": SPACE, "text": LONG}, context_of(stop=StopsAfter(2)))
    assert len(google.texts()) == 2

    chat_message({"space": SPACE, "text": LONG}, context_of())

    assert " ".join(google.texts()) == LONG
    assert {message.thread for message in google.chat.messages} == {f"{SPACE}/threads/T1"}


def test_a_token_is_fetched_once(google: Google) -> None:
    """Many messages at once, from many threads, need one token."""
    start = threading.Barrier(8)

    def post(number: int) -> None:
        start.wait(10)
        chat_message(MESSAGE, context_of(f"job-{number}@2026-11-21T09:00:00Z"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(post, range(8)))

    assert google.texts() == [SECRET] * 8
    assert len(google.oauth.requests) == 1


def test_a_token_that_is_refused_is_replaced_once(google: Google) -> None:
    """A process may live longer than its token."""
    google.chat.fail("unauthorized")

    chat_message(MESSAGE, context_of())

    assert google.texts() == [SECRET]
    assert len(google.oauth.requests) == 2


def test_a_run_that_was_told_to_stop_posts_nothing(google: Google) -> None:
    """The job was cancelled meanwhile."""
    context = context_of()
    context.ask_to_stop("cancelled")

    with pytest.raises(NotPosted, match=r"stopped \(cancelled\)"):
        chat_message(MESSAGE, context)

    assert google.chat.requests == []


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param("not-a-member", f"Chat said 403 .*not a member.*the Chat app is in {SPACE}", id="403"),
        pytest.param("no-space", f"Chat said 404 Space not found.; check that the Chat app is in {SPACE}", id="404"),
        pytest.param("unauthorized", "Chat said 401 .*; check that this runs as a service account", id="401"),
    ],
)
def test_a_refusal_is_final(google: Google, fault: str, says: str) -> None:
    """Another attempt would fail, too; the error has Chat's reason and the remedy."""
    google.chat.fail(fault, times=2)

    refused = failure()

    assert isinstance(refused, Cancel)
    with pytest.raises(Cancel, match=says):
        raise refused


def test_a_message_that_chat_cannot_take_is_final(google: Google) -> None:
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
def test_a_chat_that_stays_busy_is_asked_later(google: Google, fault: str, delay: int) -> None:
    """This uses no attempt; the pause is Retry-After, or half a minute."""
    google.chat.fail(fault, times=5)

    later = failure()

    assert isinstance(later, Snooze)
    assert later.delay == timedelta(seconds=delay)


@pytest.mark.parametrize(
    ("fault", "waits"),
    [pytest.param("rate-limit", [1, 2], id="unsaid"), pytest.param("rate-limit-1s", [1, 1], id="said")],
)
def test_a_busy_chat_is_waited_for_within_the_run(google: Google, fault: str, waits: list[int]) -> None:
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
        pytest.param("not-json", "Chat did not answer with the message that it created", id="not-json"),
    ],
)
def test_what_may_pass_is_tried_again(google: Google, monkeypatch: pytest.MonkeyPatch, fault: str, says: str) -> None:
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


def test_a_chat_that_is_not_there_is_tried_again(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
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
NOT_CREATED = "Chat did not answer with the message that it created"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        pytest.param(reply(200, b"[" * 100_000), NotPosted, NOT_CREATED, id="too-deep"),
        pytest.param(reply(200, b"\xff\xfe"), NotPosted, NOT_CREATED, id="binary"),
        pytest.param(reply(200, b'["name"]'), NotPosted, NOT_CREATED, id="list"),
        pytest.param(reply(204), NotPosted, NOT_CREATED, id="no-body"),
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
def test_whatever_is_answered_is_an_outcome(
    odd_chat: HttpServer, answer: Answer, error: type[Exception], says: str
) -> None:
    """A proxy may answer anything: only a busy answer is retried, and no redirect gets the token."""
    odd_chat.answers[MESSAGES_PATH] = answer

    failed = failure()

    assert type(failed) is error
    assert str(failed).startswith(says)
    assert len(odd_chat.received) == (1 if error is not Snooze else 5)


def test_a_chat_that_answers_in_drips_is_given_up(odd_chat: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is for the whole answer, not for each byte of it."""
    access_token(module.SCOPE, time.monotonic() + 10)
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)
    odd_chat.answers[MESSAGES_PATH] = drip([head(200, {}), *[b" "] * 100], pause=0.05)
    began_at = time.monotonic()

    assert str(failure()) == "no response from Chat (TimeoutError)"
    assert time.monotonic() - began_at < 3


def test_a_request_has_what_chat_asks_for(odd_chat: HttpServer) -> None:
    """The token, the type and the length of its body; its characters are not escaped."""
    odd_chat.answers[MESSAGES_PATH] = reply(200, b'{"name": "spaces/AAAA/messages/1"}')

    chat_message({"space": SPACE, "text": "Grüße 世界"}, context_of())

    (received,) = odd_chat.received
    assert (received.method, received.body) == ("POST", '{"text": "Grüße 世界"}'.encode())
    assert received.headers["Authorization"].startswith("Bearer ya29.")
    assert received.headers.get_all("Content-Type") == ["application/json"]
    assert received.headers.get_all("Content-Length") == [str(len(received.body))]


@pytest.mark.parametrize("fault", ["not-json", "hang", "cut", "internal", "rate-limit"])
def test_a_token_that_cannot_be_had_is_tried_again(google: Google, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
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


def test_a_place_without_credentials_is_named(google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The failure is not final: credentials may be added."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))

    failed = failure()

    assert isinstance(failed, NotPosted)
    assert "could not get an access token for Chat" in str(failed)


@pytest.mark.parametrize("fault", ["not-a-member", "rate-limit", "internal", "cut", "not-json", "applied-but-cut"])
def test_no_error_and_no_log_holds_a_secret(google: Google, caplog: pytest.LogCaptureFixture, fault: str) -> None:
    """They contain neither the text of the message nor a token."""
    caplog.set_level(logging.INFO)
    google.chat.fail(fault, times=5)

    told = f"{failure()!r} {caplog.text}"

    assert SECRET not in told
    assert "ya29" not in told


@pytest.mark.parametrize("endpoint", ["chat.googleapis.com", "https://chat..googleapis.com"])
def test_a_malformed_address_of_chat_is_named(google: Google, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """The error names the setting."""
    monkeypatch.setenv("CHAT_API_ENDPOINT", endpoint)

    assert isinstance(failed := failure(), InvalidSettings)
    assert failed.names == ("CHAT_API_ENDPOINT",)


# -- payloads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job_type", "payload"),
    [
        pytest.param("chat_message", MESSAGE, id="text"),
        pytest.param("chat_message", {"space": SPACE, "cardsV2": CARDS}, id="cards"),
        pytest.param("chat_message", {**MESSAGE, "cardsV2": CARDS, "thread": THREAD}, id="all"),
        pytest.param("chat_message", {**MESSAGE, "cardsV2": None, "thread": None}, id="null"),
        pytest.param("agent", {"space": SPACE, "prompt": "hello"}, id="prompt"),
        pytest.param("agent", {"space": SPACE, "prompt": "hello", "thread": THREAD}, id="prompt-in-thread"),
        pytest.param(
            "agent",
            {**ASKED, "timezone": "Asia/Tokyo", "space_kind": "group", "session_key": "s", "display_name": "x" * 500},
            id="who-asks",
        ),
    ],
)
def test_a_payload_that_makes_sense_is_taken(job_type: str, payload: Payload) -> None:
    """Both handlers are loaded and accept it."""
    check_payload(load_handlers(()), job_type, payload)


@pytest.mark.parametrize(
    ("job_type", "payload", "says"),
    [
        pytest.param("chat_message", {"text": "hello"}, "space must be", id="no-space"),
        pytest.param("chat_message", {**MESSAGE, "space": "AAAA"}, "space must be", id="not-a-space"),
        pytest.param("chat_message", {**MESSAGE, "space": "spaces/A/B"}, "space must be", id="more-than-a-space"),
        pytest.param("chat_message", {**MESSAGE, "space": "spaces/"}, "space must be", id="empty-space"),
        pytest.param("chat_message", {**MESSAGE, "space": ["spaces/A"]}, "space must be", id="list"),
        pytest.param("chat_message", {**MESSAGE, "thread": "BBBB"}, "thread must be", id="not-a-thread"),
        pytest.param("chat_message", {**MESSAGE, "thread": f"{SPACE}/threads/"}, "thread must be", id="empty-thread"),
        pytest.param("chat_message", {**MESSAGE, "thread": "spaces/C/threads/B"}, "thread must be", id="elsewhere"),
        pytest.param("chat_message", {"space": SPACE}, "text, cardsV2 or both", id="nothing-to-say"),
        pytest.param("chat_message", {**MESSAGE, "text": " "}, "text must be", id="blank"),
        pytest.param("chat_message", {**MESSAGE, "text": 7}, "text must be", id="number"),
        pytest.param("chat_message", {"space": SPACE, "cardsV2": []}, "cardsV2 must be", id="no-cards"),
        pytest.param("chat_message", {"space": SPACE, "cardsV2": {}}, "cardsV2 must be", id="one-card"),
        pytest.param("chat_message", {"space": SPACE, "cardsV2": ["x"]}, "cardsV2 must be", id="text-as-card"),
        pytest.param("chat_message", {**MESSAGE, "card": {}}, "does not know card; it knows text", id="unknown"),
        pytest.param("agent", {"prompt": "hello"}, "agent: space must be", id="agent-without-space"),
        pytest.param("agent", {"space": SPACE}, "prompt must be", id="no-prompt"),
        pytest.param("agent", {"space": SPACE, "prompt": ""}, "prompt must be", id="empty-prompt"),
        pytest.param("agent", {"space": SPACE, "prompt": "x", "text": "y"}, "does not know text", id="agent-unknown"),
        pytest.param("agent", {**ASKED, "timezone": "Mars/Olympus"}, "agent: .*Mars/Olympus", id="zone"),
        pytest.param("agent", {**ASKED, "asked": 7}, "agent: asked knows", id="asked-no-object"),
        pytest.param("agent", {**ASKED, "asked": {"text": "x"}}, "agent: asked knows", id="asked-unknown"),
        pytest.param("agent", {**ASKED, "asked": {"attachments": [7]}}, "asked has texts", id="attachments"),
        pytest.param("agent", {**ASKED, "asked": {"action": {"kind": "x"}}}, "the action that", id="action"),
        pytest.param("agent", {**ASKED, "prompt": "", "asked": {}}, "prompt must be", id="empty-prompt-no-action"),
        pytest.param("agent", {**ASKED, "timezone": 7}, "timezone must be a text", id="zone-no-text"),
        pytest.param("agent", {**ASKED, "space_kind": "room"}, "space_kind must be one of direct", id="kind"),
        pytest.param("agent", {**ASKED, "space_kind": []}, "space_kind must be a text", id="kind-no-text"),
        pytest.param("agent", {**ASKED, "session_key": " "}, "session_key must be a text", id="session-blank"),
        pytest.param("agent", {**ASKED, "display_name": "x" * 501}, "display_name must be a text of 1", id="name"),
    ],
)
def test_a_payload_that_makes_no_sense_is_refused(job_type: str, payload: dict[str, Any], says: str) -> None:
    """The error names the field and what it must be."""
    with pytest.raises(InvalidPayload, match=says):
        check_payload(load_handlers(()), job_type, payload)


# -- the agent ---------------------------------------------------------------------------------------------------------

QUESTION = {"space": SPACE, "thread": THREAD, "prompt": "What is new?"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, AgentContext]]]:
    """The questions that reach an agent named in CHAT_AGENT. It answers with what it is asked."""
    asked = []

    def answer(text: str, context: AgentContext) -> str:
        asked.append((text, context))
        return f"You said: {text}"

    def fail(text: str, context: AgentContext) -> str:
        raise RuntimeError("boom")

    def say_nothing(text: str, context: AgentContext) -> None:
        """Return nothing."""

    def fall_ill(text: str, context: AgentContext) -> int:
        return 7

    sys.modules["my_agent"] = module = ModuleType("my_agent")
    vars(module).update(answer=answer, fail=fail, say_nothing=say_nothing, fall_ill=fall_ill)
    monkeypatch.setenv("CHAT_AGENT", "my_agent:answer")
    yield asked
    del sys.modules["my_agent"]


def test_the_answer_of_the_agent_is_posted(google: Google, asked: list[tuple[str, AgentContext]]) -> None:
    """The agent gets the whole context; its answer is posted where the job was made."""
    agent(QUESTION, context_of())

    assert asked == [
        (
            "What is new?",
            AgentContext(
                space=SPACE, thread=THREAD, user="ada@example.com", timezone="UTC", idempotency_key=KEY, now=NOW
            ),
        )
    ]
    (message,) = google.chat.messages
    assert (message.text, message.thread, message.request_id) == ("You said: What is new?", THREAD, KEY)


@pytest.mark.parametrize(
    ("payload", "schedule", "told"),
    [
        pytest.param({"timezone": "Asia/Tokyo"}, "America/Lima", "Asia/Tokyo", id="of-who-asked"),
        pytest.param({}, "America/Lima", "America/Lima", id="of-the-schedule"),
        pytest.param({}, None, "Europe/Berlin", id="of-the-settings"),
    ],
)
def test_the_agent_is_told_the_time_zone(
    google: Google,
    asked: list[tuple[str, AgentContext]],
    monkeypatch: pytest.MonkeyPatch,
    payload: Payload,
    schedule: str | None,
    told: str,
) -> None:
    """That of the person who asked, or of the schedule, or of SCHEDULER_TIMEZONE."""
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Europe/Berlin")

    agent({**QUESTION, **payload}, context_of(timezone=schedule))

    assert asked[0][1].timezone == told


def test_the_agent_is_told_who_asked_and_in_which_conversation(
    google: Google, asked: list[tuple[str, AgentContext]]
) -> None:
    """The job stores it, so a scheduled run continues the same session."""
    agent({**QUESTION, "space_kind": "space", "session_key": "s", "display_name": "Ada"}, context_of())
    agent({**QUESTION, "space_kind": "direct"}, context_of("other"))

    first, second = (context for _, context in asked)
    assert (first.space_kind, first.session_key, first.display_name) == ("space", "s", "Ada")
    assert (second.space_kind, second.session_key, second.user) == ("direct", SPACE, "ada@example.com")


def test_the_agent_is_told_what_was_clicked(google: Google, asked: list[tuple[str, AgentContext]]) -> None:
    """As Chat would have passed it; there need be no text."""
    action = {"kind": "click", "name": "approve", "inputs": {"why": ["x"]}}
    payload = {**QUESTION, "prompt": "", "locale": "de", "asked": {"formatted_text": "*x*", "action": action}}
    check_payload(load_handlers(()), "agent", payload)

    agent(payload, context_of())

    ((_, context),) = asked
    assert context.action == Action(kind="click", name="approve", inputs={"why": ("x",)})
    assert (context.formatted_text, context.locale) == ("*x*", "de")


def test_the_agent_has_the_jobs_of_its_space(
    google: Google, asked: list[tuple[str, AgentContext]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Jobs that it schedules during a run are stored with all jobs, in the name of the person who made its job."""
    monkeypatch.setenv("SCHEDULER_STORAGE", "json")
    monkeypatch.setenv("SCHEDULER_JSON_PATH", str(tmp_path / "jobs.json"))
    open_jobs.cache_clear()

    agent(QUESTION, context_of())

    jobs = asked[0][1].jobs
    assert jobs is not None
    made = jobs.schedule("message", "Tea!", every="1d")
    assert open_jobs().get(made.id) == made
    assert (made.space, made.payload["thread"], made.created_by) == (SPACE, THREAD, "agent:ada@example.com")
    open_jobs.cache_clear()


@pytest.mark.usefixtures("asked")
def test_an_agent_with_nothing_to_say_has_succeeded(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is posted, and the job is completed."""
    monkeypatch.setenv("CHAT_AGENT", "my_agent:say_nothing")

    agent(QUESTION, context_of())

    assert google.chat.requests == []


PROPOSED = Proposal(kind="message", text="tea", at=NOW + timedelta(days=1))


@pytest.mark.parametrize("url", ["https://example.com/chat", ""])
@pytest.mark.parametrize(
    ("told", "created_by", "asker"),
    [
        pytest.param(
            {"display_name": "Ada", "user_name": "users/104"},
            "chat:ada@example.com",
            {"user": "users/104", "by": "ada@example.com", "name": "Ada"},
            id="in-chat",
        ),
        pytest.param(
            {"space_kind": "direct", "display_name": "Ada"},
            "agent:ada@example.com",
            {"user": "", "by": "ada@example.com"},
            id="direct",
        ),
        pytest.param({}, "cli:ada", {}, id="by-an-operator"),
    ],
)
def test_a_proposal_is_posted_with_a_button(
    google: Google,
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, str],
    created_by: str,
    asker: dict[str, str],
    url: str,
) -> None:
    """A tap shows the card to confirm; the job belongs to the creator of this one, or to who confirms it."""
    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    agents.propose = lambda text, context: PROPOSED  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:propose")
    monkeypatch.setenv("PUBLIC_URL", url)

    agent({**QUESTION, **told}, context_of(created_by=created_by))

    (posted,) = google.chat.messages
    (found,) = buttons_of(posted.body)
    action = found["onClick"]["action"]
    assert action["function"] == (url or "watchkeeper")
    parameters = {pair["key"]: pair["value"] for pair in action["parameters"]}
    assert unpacked(parameters.pop("proposal")) == PROPOSED
    assert parameters == {"action": "proposed", "timezone": "UTC", **asker}


def test_the_buttons_of_a_posted_card_come_back_to_the_agent(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """They call the Chat function, which finds the agent's name for the action in their parameters."""
    button = {
        "text": "Yes",
        "onClick": {"action": {"function": "approve", "parameters": [{"key": "id", "value": "7"}]}},
    }
    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    card = {"sections": [{"widgets": [{"buttonList": {"buttons": [button]}}]}]}
    agents.ask = lambda text, context: card  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:ask")
    monkeypatch.setenv("PUBLIC_URL", "https://example.com/chat")

    agent(QUESTION, context_of())

    (found,) = buttons_of(google.chat.messages[0].body)
    action = found["onClick"]["action"]
    assert action["function"] == "https://example.com/chat"
    assert clicked({pair["key"]: pair["value"] for pair in action["parameters"]}, "x") == ("approve", {"id": "7"})


def test_a_proposal_that_has_passed_fails_the_job(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is posted; the agent is asked again."""
    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    agents.propose = lambda text, context: replace(PROPOSED, at=NOW - timedelta(days=1))  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:propose")

    assert "cannot be scheduled: 2026-11-20T09:00:00Z has passed" in str(failure(agent, QUESTION))
    assert google.texts() == []


def test_without_an_agent_there_is_nobody_to_ask(google: Google) -> None:
    """The failure is final and names the setting."""
    failed = failure(agent, QUESTION)

    assert isinstance(failed, Cancel)
    assert "CHAT_AGENT is not set" in str(failed)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        pytest.param(
            "my_agent:fail", AgentFailed, "^the agent raised RuntimeError; see the log for the location$", id="raises"
        ),
        pytest.param("my_agent:fall_ill", AgentFailed, "the agent raised TypeError", id="no-answer"),
        pytest.param("my_agent:other", InvalidSettings, "my_agent has no other", id="not-there"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_an_agent_that_fails_fails_its_job(
    google: Google, monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception], says: str
) -> None:
    """Nothing is posted, and the job is retried; no error or log quotes the person's words."""
    monkeypatch.setenv("CHAT_AGENT", name)

    with pytest.raises(error, match=says):
        agent(QUESTION, context_of())

    assert google.chat.requests == []


def test_only_the_renewal_of_gmail_watches_ships_google_s_large_client() -> None:
    """It takes 109 MB, which a function that posts to Chat does not need."""
    locks = {lock.parent.name: lock.read_text() for lock in (PROJECT_FOLDER / "functions").glob("*/requirements.txt")}

    for package in ("google-api-python-client==", "httplib2==", "google-auth-httplib2==", "uritemplate=="):
        assert [name for name, lock in locks.items() if f"\n{package}" in lock] == ["gmail_watch"]


def test_nothing_is_imported_before_it_is_needed() -> None:
    """A function imports a handler's code and Google's libraries only with a job that needs them."""
    late = {"google.auth", "googleapiclient", "httplib2", "urllib3", "shared.subscriptions"}
    late |= {f"shared.handlers.{name}" for name in ("http_request", "chat_message", "agent")}
    load = "import sys, shared.running.tick; from shared.handlers import load_handlers; load_handlers([])"
    code = f"{load}; print(*{late} & {{*sys.modules}})"

    printed = run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout

    assert printed.split() == []
