"""Faults on request."""

import pytest
from googleapiclient.errors import HttpError

from tests.support.chat_client import Post, refusal
from watchkeeper.fakes.chat import Chat


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        pytest.param("not-a-member", 403, "PERMISSION_DENIED", id="not-a-member"),
        pytest.param("no-space", 404, "NOT_FOUND", id="no-space"),
        pytest.param("rate-limit", 429, "RESOURCE_EXHAUSTED", id="rate-limit"),
        pytest.param("rate-limit-1s", 429, "RESOURCE_EXHAUSTED", id="rate-limit-1s"),
        pytest.param("internal", 500, "INTERNAL", id="internal"),
        pytest.param("unavailable", 503, "UNAVAILABLE", id="unavailable"),
    ],
)
def test_chat_fails_on_request(chat: Chat, post: Post, fault: str, code: int, status: str) -> None:
    """Each documented error can be requested, once, and posts nothing."""
    chat.fail(fault)

    refused = refusal(post)

    assert refused[:2] == (code, status)
    assert chat.messages == []
    assert post()["text"] == "hello"


def test_rate_limit_can_have_a_retry_after(chat: Chat, post: Post) -> None:
    """One of the two faults has Retry-After, in seconds."""
    chat.fail("rate-limit")
    chat.fail("rate-limit-1s")
    waits = []

    for _ in range(2):
        with pytest.raises(HttpError) as raised:
            post()
        waits.append(raised.value.resp.get("retry-after"))

    assert waits == [None, "1"]


def test_client_gets_a_new_token_after_a_401(chat: Chat, post: Post) -> None:
    """A single 401 is no error to the caller."""
    chat.fail("unauthorized")

    post()

    assert len({request.bearer_token() for request in chat.requests}) == 2
    assert len(chat.messages) == 1


def test_lost_response_still_checks_the_request(chat: Chat, post: Post) -> None:
    """A request that would be refused is answered, not cut."""
    chat.fail("applied-but-cut")

    assert refusal(lambda: post(""))[0] == 400
