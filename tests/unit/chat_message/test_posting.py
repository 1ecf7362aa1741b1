"""A message is posted once, in parts if it is long, with a token that is fetched once."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from subprocess import run

import pytest

from shared.handlers.chat_message import NotPosted, chat_message
from shared.settings import PROJECT_FOLDER
from shared.web.chat_rules import MAX_BYTES
from tests.support.posting import (
    CARDS,
    KEY,
    LONG,
    MESSAGE,
    SECRET,
    SPACE,
    THREAD,
    Google,
    StopsAfter,
    context_of,
    failure,
)


def test_message_is_posted_into_its_thread(google: Google) -> None:
    """Text and cards arrive in the space and thread, once for the execution key."""
    chat_message({**MESSAGE, "cardsV2": CARDS, "thread": THREAD}, context_of())

    (message,) = google.chat.messages
    assert (message.space, message.thread, message.text) == (SPACE, THREAD, SECRET)
    assert list(message.cards) == CARDS
    assert message.request_id == KEY
    (request,) = google.chat.requests
    assert request.query["messageReplyOption"] == "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"


def test_message_without_a_thread_starts_one(google: Google) -> None:
    """The request names no thread."""
    chat_message({"space": SPACE, "cardsV2": CARDS}, context_of())

    (request,) = google.chat.requests
    assert "messageReplyOption" not in request.query
    assert request.json() == {"cardsV2": CARDS}


def test_execution_key_is_the_request_id(google: Google) -> None:
    """The longest key with every character that an id may have is a valid requestId."""
    key = "a._:@+-'" * 25 + "@2026-11-21T09:00:00.123456Z"

    chat_message(MESSAGE, context_of(key))

    assert google.chat.messages[0].request_id == key


def test_repeated_run_posts_once(google: Google) -> None:
    """A message whose response was lost is not posted again; another occurrence is."""
    google.chat.fail("applied-but-cut")

    assert isinstance(failure(), NotPosted)
    chat_message(MESSAGE, context_of())

    assert google.texts() == [SECRET]
    chat_message(MESSAGE, context_of("job@2026-11-22T09:00:00Z"))
    assert google.texts() == [SECRET, SECRET]


@pytest.mark.parametrize(("thread", "expected"), [(THREAD, THREAD), (None, f"{SPACE}/threads/T1")])
def test_long_message_is_posted_in_parts(google: Google, thread: str | None, expected: str) -> None:
    """In order and in one thread, each part with its own request id; the cards come with the last."""
    place = {"space": SPACE, **({"thread": thread} if thread else {})}
    chat_message({**place, "text": LONG, "cardsV2": CARDS}, context_of())

    assert " ".join(google.texts()) == LONG
    assert [message.request_id for message in google.chat.messages] == [KEY, f"{KEY}#2", f"{KEY}#3"]
    assert {message.thread for message in google.chat.messages} == {expected}
    assert ["cardsV2" in request.json() for request in google.chat.requests] == [False, False, True]
    assert all(len(request.body) <= MAX_BYTES for request in google.chat.requests)


def test_interrupted_long_message_is_posted_once(google: Google) -> None:
    """The parts already posted are recognised, and the rest follows."""
    with pytest.raises(NotPosted, match="not all was posted"):
        chat_message({"space": SPACE, "text": LONG}, context_of(stop=StopsAfter(2)))
    assert len(google.texts()) == 2

    chat_message({"space": SPACE, "text": LONG}, context_of())

    assert " ".join(google.texts()) == LONG
    assert {message.thread for message in google.chat.messages} == {f"{SPACE}/threads/T1"}


def test_token_is_fetched_once(google: Google) -> None:
    """Many messages at once, from many threads, need one token."""
    start = threading.Barrier(8)

    def post(number: int) -> None:
        start.wait(10)
        chat_message(MESSAGE, context_of(f"job-{number}@2026-11-21T09:00:00Z"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(post, range(8)))

    assert google.texts() == [SECRET] * 8
    assert len(google.oauth.requests) == 1


def test_refused_token_is_replaced_once(google: Google) -> None:
    """A process may live longer than its token."""
    google.chat.fail("unauthorized")

    chat_message(MESSAGE, context_of())

    assert google.texts() == [SECRET]
    assert len(google.oauth.requests) == 2


def test_stopped_run_posts_nothing(google: Google) -> None:
    """The job was cancelled meanwhile."""
    context = context_of()
    context.ask_to_stop("cancelled")

    with pytest.raises(NotPosted, match=r"stopped \(cancelled\)"):
        chat_message(MESSAGE, context)

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
