"""The thread that a message goes to."""

import pytest

from tests.support.chat_client import ELSEWHERE, SPACE, THREAD, Post, refusal
from watchkeeper.fakes.chat import REPLY_OR_FAIL, REPLY_OR_NEW_THREAD, Chat


@pytest.mark.parametrize(
    ("option", "thread", "expected"),
    [
        pytest.param(REPLY_OR_NEW_THREAD, {"name": THREAD}, THREAD, id="reply"),
        pytest.param(REPLY_OR_FAIL, {"name": THREAD}, THREAD, id="reply-or-fail"),
        pytest.param(REPLY_OR_NEW_THREAD, {"name": f"{SPACE}/threads/gone"}, f"{SPACE}/threads/T1", id="unknown"),
        pytest.param(REPLY_OR_NEW_THREAD, {}, f"{SPACE}/threads/T1", id="no-thread"),
        pytest.param(REPLY_OR_FAIL, {"threadKey": "report"}, f"{SPACE}/threads/T1", id="new-key"),
        pytest.param("MESSAGE_REPLY_OPTION_UNSPECIFIED", {"name": THREAD}, f"{SPACE}/threads/T1", id="unspecified"),
        pytest.param(None, {"name": THREAD}, f"{SPACE}/threads/T1", id="no-option"),
    ],
)
def test_thread_depends_on_the_reply_option(
    chat: Chat, post: Post, option: str | None, thread: dict[str, str], expected: str
) -> None:
    """A reply goes to the given thread; without the option the thread is ignored and a new one starts."""
    answer = post(query={"messageReplyOption": option} if option else {}, thread=thread)

    assert answer["thread"]["name"] == chat.messages[0].thread == expected


@pytest.mark.parametrize("name", [f"{SPACE}/threads/gone", f"{ELSEWHERE}/threads/people", "people"])
def test_reply_can_require_its_thread(chat: Chat, post: Post, name: str) -> None:
    """A thread that is not in the space is not found, and nothing is posted."""
    refused = refusal(lambda: post(query={"messageReplyOption": REPLY_OR_FAIL}, thread={"name": name}))

    assert refused == (404, "NOT_FOUND", "Thread not found.")
    assert chat.messages == []


def test_every_thread_exists_by_default(chat: Chat, post: Post) -> None:
    """Without a list every thread of the space exists, and none of another space."""
    chat.threads = None
    query = {"messageReplyOption": REPLY_OR_NEW_THREAD}

    names = [post(query=query, thread={"name": f"{space}/threads/X"})["thread"]["name"] for space in (SPACE, ELSEWHERE)]

    assert names == [f"{SPACE}/threads/X", f"{SPACE}/threads/T2"]


def test_apps_own_thread_is_found_by_its_name(post: Post) -> None:
    """A thread exists once a message has started it."""
    begun = post()["thread"]

    assert post(query={"messageReplyOption": REPLY_OR_FAIL}, thread=begun)["thread"] == begun


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"thread": {"threadKey": "report"}}, id="in-the-body"),
        pytest.param({"query": {"threadKey": "report"}}, id="deprecated"),
    ],
)
def test_messages_with_one_thread_key_share_a_thread(post: Post, given: dict[str, dict[str, str]]) -> None:
    """Messages with one key are in one thread of their space."""
    query = {"messageReplyOption": REPLY_OR_NEW_THREAD, **given.get("query", {})}
    threads = [
        post(**{**given, "query": query}, space=space)["thread"] for space in (SPACE, ELSEWHERE, SPACE, ELSEWHERE)
    ]

    here = {"name": f"{SPACE}/threads/T1", "threadKey": "report"}
    there = {"name": f"{ELSEWHERE}/threads/T2", "threadKey": "report"}
    assert threads == [here, there, here, there]
