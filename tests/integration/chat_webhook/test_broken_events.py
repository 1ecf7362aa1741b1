"""No content of an event breaks the function."""

import json
import logging
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import flask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answering import ACTIONS
from shared.jobs import open_jobs
from tests.support.chatting import SPACE, AddOn, Classic, checked, words_of
from tests.support.renewing import in_file
from tests.support.serving_chat import (
    APOLOGY,
    MAIN,
    OPEN,
    URL,
    App,
)


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
        reminder = {"text": "<users/104> x", "space": SPACE, "cardsV2": [{"cardId": "reminder", "card": {}}]}
        open_jobs().schedule("chat_message", reminder, id="job", every="1d", space=SPACE, by="chat:ada@example.com")

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


ORDER = {"kind": "message", "text": "x", "timezone": "UTC"}


@st.composite
def orders(draw: st.DrawFn) -> str:
    """Return what a confirmation carries, with any value in place of some part of it."""
    wanted = {"cron": "0 9 * * *", "every": "6d", "at": "2099-01-01T09:00:00Z", "until": "2099-02-01T09:00:00Z"}
    given = draw(st.sets(st.sampled_from(sorted(wanted))))
    order = {**ORDER, **{name: wanted[name] for name in given}}
    others = json_values | st.sampled_from(
        ("2099-01-01", "0001-01-01T00:00:00+14:00", "question", "0 0 30 2 *", "Mars")
    )
    return json.dumps({**order, **draw(st.dictionaries(st.sampled_from(sorted(order)) | texts, others, max_size=2))})


@st.composite
def clicks(draw: st.DrawFn) -> Any:
    """Return a click on a forged button."""
    said = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
    at = texts | st.sampled_from(("2099-01-01T09:00:00Z", "0001-01-01T00:00:00+14:00", "in 10 minutes"))
    names = {"id": texts, "text": said, "order": orders() | texts, "proposal": orders() | texts, "user": texts}
    names |= {"at": at, "when": at | said, "cron": texts, "was": texts, "by": texts, "first": texts, "timezone": texts}
    given = {
        "action": draw(st.sampled_from(("say", *ACTIONS))),
        "id": "job",
        **draw(st.fixed_dictionaries({}, optional=names)),
    }
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
    carried = {"action": "confirm", "id": "job", "order": json.dumps({**ORDER, **order})}
    pairs = [{"key": name, "value": value} for name, value in carried.items()]

    status, answer = post(Classic.click({"onClick": {"action": {"function": URL, "parameters": pairs}}}))

    assert status == 200
    assert checked(answer)
    assert "Scheduled" not in words_of(answer)
    assert APOLOGY not in words_of(answer)
