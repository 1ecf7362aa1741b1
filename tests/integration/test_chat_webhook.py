"""The chat_webhook function over HTTP, under functions-framework, with whole events of both generations of Chat."""

import json
import logging
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_access import CHAT
from shared.handlers.agent import AgentContext
from shared.jobs import open_jobs
from shared.logs import hashed
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from tests.chatting import AddOn, Classic, button, buttons_of, checked, from_person, message_of, words_of
from tests.renewing import Storage, in_file, in_firestore, utc_now
from tests.running import ROOT, RunningFunction, running_function
from tests.tokens import IdentityProvider, google_claims, rs256, rsa_key

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
class Chat:
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
def running_chat(folder: Path, storage: Storage, **env: str) -> Iterator[Chat]:
    """Run the function, open to example.com by default."""
    with running_function("chat_webhook", folder, {**OPEN, **storage.env, **env}) as function:
        yield Chat(function, storage)


@pytest.fixture(scope="module", params=["json", pytest.param("firestore", marks=pytest.mark.emulator)])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """The function over each kind of store."""
    folder = tmp_path_factory.mktemp("chat")
    is_file = request.param == "json"
    storage = in_file(folder) if is_file else in_firestore(request.getfixturevalue("firestore_client"))
    with running_chat(folder, storage) as chat:
        yield chat


@pytest.fixture(scope="module")
def adrift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """The function with an agent, whose store refuses every connection."""
    folder = tmp_path_factory.mktemp("adrift")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    firestore = {"SCHEDULER_STORAGE": "firestore", "GOOGLE_CLOUD_PROJECT": "test"}
    env = {**firestore, "FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{port}", "CHAT_AGENT": f"{__name__}:agent"}
    with running_chat(folder, in_file(folder), **env) as chat:
        yield chat


@pytest.fixture
def space() -> str:
    """A space of this test's own."""
    return f"spaces/{uuid.uuid4().hex[:11]}"


# -- every kind of event -----------------------------------------------------------------------------------------------


def example(text: str) -> dict[str, Any]:
    """Return a button that says a text."""
    pairs = [{"key": "action", "value": "say"}, {"key": "text", "value": text}]
    return {"text": text, "onClick": {"action": {"function": URL, "parameters": pairs}}}


def unknown(app: App, space: str) -> Any:
    """An event of a kind that does not exist yet."""
    if app.is_add_on:
        return {"chat": {"user": {"email": "ada@example.com"}, "newPayload": {"space": {"name": space}}}}
    return app.message(SECRET, space=space) | {"type": "NEWS"}


EVENTS: dict[str, tuple[Callable[[App, str], Any], str, str]] = {
    "message": (lambda app, space: app.message("help", space=space), "message", "This is what I can do"),
    "schedule": (lambda app, space: app.message(f"{REMIND} {SECRET}", space=space), "message", "Shall I do this?"),
    "slash-command": (
        lambda app, space: app.command("remind", f"in 20 minutes to {SECRET}", space=space),
        "message",
        f"I will remind you: {SECRET}",
    ),
    "quick-command": (lambda app, space: app.quick_command("jobs", space=space), "message", "nothing scheduled"),
    "added": (lambda app, space: app.added(space=space), "added", "Hello!"),
    "clicked": (lambda app, space: app.click(example(REMIND), space=space), "clicked", "Shall I do this?"),
    "removed": (lambda app, space: app.removed(space=space), "quiet", ""),
    "unknown": (unknown, "unknown", ""),
    "by-a-bot": (lambda app, space: from_person(app.message("help", space=space), type="BOT"), "message", ""),
}


@both
@pytest.mark.parametrize(("make", "kind", "says"), EVENTS.values(), ids=EVENTS)
def test_every_kind_of_event_is_answered(
    stored: Chat, space: str, app: App, make: Callable[[App, str], Any], kind: str, says: str
) -> None:
    """In its own format, or with nothing; the log has the kind, and the person as a hash."""
    status, reply = stored.send(make(app, space))

    line = stored.logged("chat_event")[-1]
    assert status == 200
    assert says in words_of(checked(reply)) if says else reply == {}
    assert not reply or ("hostAppDataAction" in reply) is app.is_add_on
    assert line["kind"] == kind
    assert line["user"] == hashed("ada@example.com")
    assert stored.jobs(space) == []
    assert stored.leaks() == []


def test_being_added_by_a_mention_is_answered_once(stored: Chat, space: str) -> None:
    """A classic app gets one event, with the message; an add-on gets two, and answers only the second."""
    assert "nothing scheduled" in words_of(stored.ask(Classic.added("jobs", space=space)))
    assert stored.send(AddOn.added("jobs", space=space)) == (200, {})


@both
def test_stranger_learns_whom_to_ask(stored: Chat, space: str, app: App) -> None:
    """Privately, for any event; nothing else happens, and a removal is not answered."""
    asked = stored.ask(app.message(REMIND, space=space))
    wanted = [
        app.message(f"{REMIND} {SECRET}", space=space),
        app.quick_command("jobs", space=space),
        app.added(space=space),
        app.click(button(asked, "Confirm"), space=space),
    ]

    eve = {"email": "ada@evil-example.com", "name": "users/666"}
    replies = [stored.ask(from_person(event, **eve)) for event in wanted]
    left = stored.send(from_person(app.removed(space=space), **eve))

    for reply in replies:
        assert set(message_of(reply)) == {"text", "privateMessageViewer"}
        assert message_of(reply)["privateMessageViewer"] == {"name": "users/666"}
        assert message_of(reply)["text"].startswith("Sorry, I may not talk to you yet. Please ask")
    assert left == (200, {})
    assert stored.jobs(space) == []
    assert stored.leaks("evil-example", "users/666") == []


# -- what is no event --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(f'{{"type": "{SECRET}'.encode(), id="cut"),
        pytest.param(b"\xff\xfe{}", id="not-utf-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"1" * 5_000, id="long-number"),
        pytest.param(f'["{SECRET}"]'.encode(), id="no-object"),
        pytest.param(b"null", id="null"),
    ],
)
def test_body_that_is_not_a_json_object_is_refused(adrift: Chat, body: bytes) -> None:
    """With 400, and a trace id."""
    status, answer = adrift.function.call(headers=JSON, body=body)

    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert len(answer["trace_id"]) == 32
    assert SECRET not in json.dumps(answer)
    assert adrift.leaks() == []


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/jsonp"}])
def test_other_content_type_is_refused(adrift: Chat, headers: dict[str, str]) -> None:
    """With 415, even if the body is an event."""
    body = json.dumps(Classic.message("help")).encode()

    status, answer = adrift.function.call(headers=headers, body=body)

    assert (status, answer["error"]["code"]) == (415, "wrong_media_type")


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with-length", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(MEBIBYTE, 200), (MEBIBYTE + 1, 413), (12 * MEBIBYTE, 413)])
def test_body_over_a_mebibyte_is_refused(adrift: Chat, size: int, status: int, is_chunked: bool) -> None:
    """With 413; the sender gets it before it has sent everything."""
    event = Classic.message("help")
    event["padding"] = "x" * (size - len(json.dumps({**event, "padding": ""})))
    body = json.dumps(event).encode()
    connection = HTTPConnection("127.0.0.1", adrift.function.port, timeout=20)

    connection.request("POST", "/", iter([body]) if is_chunked else body, JSON, encode_chunked=is_chunked)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()

    assert len(body) == size
    assert response.status == status
    assert status == 200 or answer["error"]["code"] == "too_large"


@pytest.mark.parametrize("path", ["/health", "/chat/health"])
def test_health_is_public(stored: Chat, path: str) -> None:
    """With the kind of store, and no other setting."""
    status, answer = stored.function.call(path, method="GET")

    storage = stored.storage.env.get("SCHEDULER_STORAGE", "json")
    assert (status, answer) == (200, {"status": "ok", "function": "chat_webhook", "storage": storage})


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_only_post_is_accepted(adrift: Chat, method: str) -> None:
    """Other methods are refused."""
    status, answer = adrift.function.call(method=method, headers=JSON, body=b"{}")

    assert (status, answer["error"]["code"]) == (405, "method_not_allowed")


# -- jobs --------------------------------------------------------------------------------------------------------------


@both
def test_job_is_managed_in_its_space(stored: Chat, space: str, app: App) -> None:
    """From the card to the list, to its own card, through all its buttons."""
    stored.ask(app.click(button(stored.ask(app.message(REMIND, space=space)), "Confirm"), space=space))
    (job,) = stored.jobs(space)
    listed = stored.ask(app.message("jobs", space=space))
    card = stored.ask(app.message(f"job {job.id}", space=space))

    states = []
    for label in ("Pause", "Resume", "Run now", "Cancel"):
        card = stored.ask(app.click(button(card, label), space=space))
        states.append(stored.jobs(space)[0].status)

    (after,) = stored.jobs(space)
    assert (job.job_type, job.payload["text"], job.created_by) == (
        "chat_message",
        "<users/104> stretch",
        "chat:ada@example.com",
    )
    assert "stretch" in words_of(listed)
    assert states == [Status.PAUSED, Status.PENDING, Status.PENDING, Status.CANCELLED]
    assert [each["text"] for each in buttons_of(card)] == ["Undo", "All jobs"]
    assert after.updated_by == "chat:ada@example.com"
    actions = [line["action"] for line in stored.function.log_lines() if line.get("job_id") == job.id]
    assert actions == ["job_created", "job_pause", "job_resume", "job_run", "job_cancel"]
    assert stored.leaks("stretch") == []


@both
def test_job_seems_not_to_exist_in_another_space(stored: Chat, space: str, app: App) -> None:
    """It cannot be listed, shown or changed there; the answer is the one for an unknown id."""
    elsewhere = f"{space}x"
    stored.ask(app.click(button(stored.ask(app.message(REMIND, space=space)), "Confirm"), space=space))
    (job,) = stored.jobs(space)
    pressed = [*buttons_of(stored.ask(app.message("jobs", space=space))), example(f"job {job.id}")]

    listed = stored.ask(app.message("jobs", space=elsewhere))
    shown = stored.ask(app.command("job", job.id, space=elsewhere))
    never = stored.ask(app.command("job", "nothing", space=elsewhere))
    replies = [stored.ask(app.click(each, space=elsewhere)) for each in pressed]

    assert len(pressed) == 5
    assert "nothing scheduled in this space" in words_of(listed)
    assert message_of(shown)["text"] == message_of(never)["text"].replace("nothing", job.id)
    assert all(message_of(reply) == message_of(shown) for reply in replies)
    assert stored.jobs(space) == [job]
    assert stored.jobs(elsewhere) == []


@both
def test_message_and_click_delivered_twice_make_one_job(stored: Chat, space: str, app: App) -> None:
    """One after the other and at once; another message makes another job."""
    cards = [stored.ask(app.message(REMIND, space=space, name="M1.M1")) for _ in range(2)]
    clicks = [app.click(button(card, "Confirm"), space=space) for card in (*cards, *cards)]

    with ThreadPoolExecutor(len(clicks)) as pool:
        at_once = list(pool.map(stored.send, clicks))
    again = stored.send(clicks[0])
    after_one_message = stored.jobs(space)
    stored.ask(app.click(button(stored.ask(app.message(REMIND, space=space, name="M2.M2")), "Confirm"), space=space))

    # The second card was asked for a moment later, so its confirmation may be told that there is a job already.
    assert {status for status, _ in (*at_once, again)} == {200}
    assert len(after_one_message) == 1
    assert len(stored.jobs(space)) == 2


# -- the agent, and a store that cannot be reached ---------------------------------------------------------------------


@both
def test_agent_answers_other_messages(adrift: Chat, app: App) -> None:
    """Neither it nor `help` needs the store."""
    assert message_of(adrift.ask(app.message(f"what is {SECRET}?")))["text"] == f"You said: what is {SECRET}?"
    assert "This is what I can do" in words_of(adrift.ask(app.message("help")))
    assert adrift.leaks() == []


@both
def test_apology_is_shown_if_the_agent_raises(adrift: Chat, app: App) -> None:
    """With the trace id, under which the log has the place and nothing of what was said."""
    trace = uuid.uuid4().hex

    status, reply = adrift.send(app.message(f"fail with {SECRET}"), {"X-Cloud-Trace-Context": f"{trace}/1;o=1"})

    line = adrift.logged("chat_failed")[-1]
    assert status == 200
    assert checked(reply)["text"].startswith(APOLOGY)
    assert trace in message_of(reply)["text"]
    assert SECRET not in message_of(reply)["text"]
    assert (line["severity"], line["message"]) == ("ERROR", "The agent raised RuntimeError")
    assert trace in line["logging.googleapis.com/trace"]
    assert adrift.leaks() == []


def test_unreachable_store_is_reported(adrift: Chat) -> None:
    """The person gets a short reply with the trace id, and the log an error."""
    trace = uuid.uuid4().hex

    status, reply = adrift.send(AddOn.message("jobs"), {"X-Cloud-Trace-Context": f"{trace}/1;o=1"})

    line = adrift.logged("chat_failed")[-1]
    assert status == 200
    assert checked(reply)["text"].startswith("I cannot do that at the moment")
    assert trace in message_of(reply)["text"]
    assert message_of(reply)["privateMessageViewer"] == {"name": "users/104"}
    assert line["severity"] == "ERROR"
    assert trace in line["logging.googleapis.com/trace"]
    assert adrift.leaks() == []


# -- who may call ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.mark.parametrize("kind", ["addon", "endpoint", "project_number"])
def test_only_chat_itself_is_accepted(provider: IdentityProvider, tmp_path: Path, kind: str) -> None:
    """One good and one bad call for each kind of token; no token reaches the log."""
    email, audience = {"addon": (ADD_ON, URL), "endpoint": (CHAT, URL), "project_number": (None, NUMBER)}[kind]
    issuer = CHAT if kind == "project_number" else "https://accounts.google.com"
    claims = google_claims(utc_now(), email=email, aud=audience, iss=issuer)
    good, bad = provider.token(claims), provider.token(claims, sign=rs256(rsa_key("mallory")))
    env = {"AUTH_MODE": "verify", "CHAT_AUTH": kind, "CHAT_AUDIENCE": audience, "AUTH_CERTS_URL": provider.url}

    def events(token: str) -> tuple[Any, dict[str, str]]:
        """Return an event and headers with the token in its place: the body of an add-on's event, or the header."""
        if kind == "addon":
            return AddOn.message("help", authorizationEventObject={"systemIdToken": token}), {}
        return Classic.message("help"), {"Authorization": f"Bearer {token}"}

    with running_chat(tmp_path, in_file(tmp_path), **env, AUTH_CALLERS=ADD_ON) as chat:
        let_in, refused, without = chat.send(*events(good)), chat.send(*events(bad)), chat.send(*events(""))
        leaks = chat.leaks(*good.split("."), *bad.split("."))

    assert let_in[0] == 200
    assert "This is what I can do" in words_of(let_in[1])
    assert (refused[0], refused[1]["error"]["code"]) == (401, "unauthorized")
    assert without[0] == 401
    assert leaks == []


@both
def test_only_our_own_buttons_work_if_any_app_may_call(
    provider: IdentityProvider, tmp_path: Path, space: str, app: App
) -> None:
    """With `endpoint` a forged order makes no job; an order of our card does, on another instance too."""
    token = provider.token(google_claims(utc_now(), email=CHAT, aud=URL))
    headers = {"Authorization": f"Bearer {token}"}
    env = {"AUTH_MODE": "verify", "CHAT_AUTH": "endpoint", "CHAT_AUDIENCE": URL, "AUTH_CERTS_URL": provider.url}
    storage = in_file(tmp_path)

    with running_chat(tmp_path, storage, **env) as chat:
        status, asked = chat.send(app.message(REMIND, space=space), headers)
        confirm = button(asked, "Confirm")
        pairs = [pair for pair in confirm["onClick"]["action"]["parameters"] if pair["key"] != "seal"]
        forged = {"text": "Hooray", "onClick": {"action": {"function": URL, "parameters": pairs}}}
        _, refused = chat.send(app.click(forged, space=space), headers)
        before = chat.jobs(space)
        logged = chat.logged("button_refused")
    with running_chat(tmp_path, storage, **env) as chat:
        _, done = chat.send(app.click(confirm, space=space), headers)
        after = chat.jobs(space)

    assert status == 200
    assert "I cannot verify that this button is mine" in words_of(checked(refused))
    assert before == []
    assert [line["severity"] for line in logged] == ["WARNING"]
    assert "Scheduled: stretch" in words_of(checked(done))
    assert [job.payload["text"] for job in after] == ["<users/104> stretch"]


@pytest.mark.parametrize("kind", ["endpoint", "project_number"])
def test_classic_app_accepts_its_own_add_on_token(
    provider: IdentityProvider, tmp_path: Path, space: str, kind: str
) -> None:
    """Google moves such apps; the token proves that the app is ours, so its buttons need no seal."""
    token = provider.token(google_claims(utc_now(), email=ADD_ON, aud=URL))
    audience = {"endpoint": URL, "project_number": NUMBER}[kind]
    env = {"AUTH_MODE": "verify", "CHAT_AUTH": kind, "CHAT_AUDIENCE": audience, "AUTH_CERTS_URL": provider.url}

    with running_chat(tmp_path, in_file(tmp_path), **env, AUTH_CALLERS=ADD_ON) as chat:
        status, asked = chat.send(AddOn.message(REMIND, space=space), {"Authorization": f"Bearer {token}"})
        leaks = chat.leaks(*token.split("."))

    assert status == 200
    assert [each["text"] for each in buttons_of(checked(asked))] == ["Confirm", "Change", "Discard"]
    assert "seal" not in json.dumps(asked)
    assert leaks == []


def test_response_names_invalid_settings(tmp_path: Path) -> None:
    """The answer has their names, only the log their values."""
    env = {"AUTH_MODE": "verify", "ALLOWED_USERS": "nonsense"}

    with running_chat(tmp_path, in_file(tmp_path), **env) as chat:
        status, answer = chat.send(Classic.message(SECRET))
        leaks = chat.leaks()

    assert (status, answer["error"]["code"]) == (500, "invalid_settings")
    assert answer["error"]["message"].endswith("ALLOWED_USERS, CHAT_AUDIENCE, AUTH_CALLERS")
    assert "nonsense" not in json.dumps(answer)
    assert leaks == []


# -- broken events, and what help costs --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Any], tuple[int, Any]]]:
    """Return a function that posts JSON to the function's code in this process; its log is dropped."""
    root, own = logging.getLogger(), logging.getLogger("watchkeeper")
    before = root.handlers[:], root.level, own.level
    spec = spec_from_file_location("chat_webhook_main", MAIN)  # every function has a module named `main`
    assert spec
    assert spec.loader
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**OPEN, **in_file(tmp_path_factory.mktemp("broken")).env}.items():
            patch.setenv(name, value)
        patch.setenv("SCHEDULER_STORAGE", "json")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        app = flask.Flask(__name__)
        app.add_url_rule("/", view_func=lambda: module.chat_webhook(flask.request), endpoint="root", methods=["POST"])
        client = app.test_client()
        open_jobs.cache_clear()

        def post(body: Any) -> tuple[int, Any]:
            response = client.post("/", data=json.dumps(body), content_type="application/json")
            return response.status_code, response.get_json()

        logging.disable()
        yield post
        logging.disable(logging.NOTSET)
        open_jobs.cache_clear()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


apps: st.SearchStrategy[App] = st.sampled_from([Classic, AddOn])
texts = st.text(st.characters(), max_size=8)  # lone surrogates too, which JSON can say
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
WORDS = (
    *("remind", "me", "us", "every", "in", "at", "on", "to", "post", "ask", "cron", "tomorrow", "weekday", "friday"),
    *("20", "9:00", "25:61", "-1", "0", "*", "*/5", "minutes", "hours", "month", '"', "<users/all>", "until", "job"),
    *("99999999999999", "jobs", "other", "first", "february", "30", "noon", "utc", "at 9:00", "in 20 minutes"),
)
ACTIONS = ("say", "list", "confirm", "change", "discard", "show", "run", "pause", "resume", "cancel", "retry")


@st.composite
def orders(draw: st.DrawFn) -> str:
    """Return what a confirmation carries, with any value in place of some part of it."""
    whole = {"kind": "post", "text": "x", "timezone": "UTC", "at": None, "cron": None, "everybody": False}
    wanted = {"cron": "0 9 * * *", "at": "2099-01-01T09:00:00Z"}
    order = {**whole, **{name: wanted[name] for name in draw(st.sets(st.sampled_from(sorted(wanted))))}}
    others = json_values | st.sampled_from(("2099-01-01", "0001-01-01T00:00:00+14:00", "ask", "0 0 30 2 *", "Mars"))
    return json.dumps({**order, **draw(st.dictionaries(st.sampled_from(sorted(order)) | texts, others, max_size=2))})


@st.composite
def clicks(draw: st.DrawFn) -> Any:
    """Return a click on a forged button."""
    said = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
    names = {"id": texts, "text": said, "order": orders() | texts, "after": texts, "user": texts}
    given = {"action": draw(st.sampled_from(ACTIONS)), "id": "job", **draw(st.fixed_dictionaries({}, optional=names))}
    pairs = [{"key": name, "value": value} for name, value in given.items()]
    made_up = {"text": "?", "onClick": {"action": {"function": URL, "parameters": pairs}}}
    return draw(apps).click(made_up, inputs={"phrase": draw(said)})


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """Return a message or a command with its words in any order."""
    app, text = draw(apps), " ".join(draw(st.lists(st.sampled_from(WORDS), max_size=8)))
    return (
        app.command(draw(st.sampled_from(("remind", "every", "job"))), text)
        if draw(st.booleans())
        else app.message(text)
    )


@st.composite
def broken_events(draw: st.DrawFn) -> Any:
    """Return a whole event in which one place, at any depth, has another value."""
    place = event = json.loads(json.dumps(draw(messages() | clicks())))
    while True:
        name = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or not place[name] or draw(st.booleans()):
            place[name] = draw(json_values)
            return event
        place = place[name]


@settings(max_examples=300)
@given(messages() | clicks() | broken_events() | json_values)
def test_broken_event_gets_a_valid_reply_or_is_refused(post: Callable[[Any], tuple[int, Any]], body: Any) -> None:
    """No content breaks the function or leads to an apology."""
    status, answer = post(body)

    assert 400 <= status < 500 or (status == 200 and (answer == {} or checked(answer))), answer
    assert APOLOGY not in words_of(answer)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({"at": "2099-01-01T09:00:00"}, id="a-time-without-a-zone"),
        pytest.param({"at": "9999-12-31T23:59:59-14:00"}, id="after-all-time"),
        pytest.param({"at": "0001-01-01T00:00:00+14:00"}, id="before-all-time"),
        pytest.param({"at": []}, id="a-time-that-is-none"),
        pytest.param({"text": ["x"]}, id="a-text-that-is-none"),
        pytest.param({"cron": 5, "timezone": [1]}, id="a-schedule-that-is-none"),
    ],
)
def test_impossible_confirmation_is_refused(post: Callable[[Any], tuple[int, Any]], order: dict[str, Any]) -> None:
    """The content of a card returns through Chat, and may be of another release."""
    whole = {"kind": "post", "text": "x", "timezone": "UTC", "at": None, "cron": None, "everybody": False}
    carried = {"action": "confirm", "id": "job", "order": json.dumps({**whole, **order})}
    pairs = [{"key": name, "value": value} for name, value in carried.items()]

    status, answer = post(Classic.click({"onClick": {"action": {"function": URL, "parameters": pairs}}}))

    assert status == 200
    assert checked(answer)
    assert "Scheduled" not in words_of(answer)
    assert APOLOGY not in words_of(answer)


HELP = f"""
import json, sys
from functions_framework import create_app
client = create_app(target="chat_webhook", source={str(MAIN)!r}).test_client()
reply = client.post("/", json=json.loads(sys.stdin.read()))
print(json.dumps([reply.status_code, reply.get_json(), sorted(sys.modules)]))
"""


@both
def test_help_imports_neither_a_store_nor_a_client(tmp_path: Path, app: App) -> None:
    """They would take most of the time of its cold start."""
    env = {**os.environ, **OPEN, **in_file(tmp_path).env, "PYTHONPATH": str(ROOT)}
    asked = json.dumps(app.message("help"))

    done = subprocess.run(
        [sys.executable, "-c", HELP], input=asked, env=env, capture_output=True, text=True, timeout=30
    )

    status, reply, modules = json.loads(done.stdout.splitlines()[-1])
    dear = (
        "google.cloud.firestore",
        "google.api_core",
        "grpc",
        "googleapiclient",
        "google.auth.transport",
        "phrases",
    )
    assert status == 200, done.stderr
    assert "This is what I can do" in words_of(reply)
    assert [name for name in modules if name.startswith(dear)] == []
