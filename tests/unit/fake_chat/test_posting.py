"""Posting a message, and posting it once only."""

import pytest

from tests.support.chat_client import CARD, ELSEWHERE, SPACE, Connect, Post, create, refusal
from watchkeeper.fakes.chat import BOT_SCOPE, Chat
from watchkeeper.fakes.google_oauth import SERVICE_ACCOUNT, GoogleOAuth, Grant


def test_message_is_posted_and_returned(chat: Chat, post: Post) -> None:
    """The answer is the message with Chat's names; the fake keeps it."""
    answer = post()

    assert answer == {
        "name": "spaces/AAA/messages/M1",
        "text": "hello",
        "createTime": "2026-11-21T09:00:00Z",
        "thread": {"name": "spaces/AAA/threads/T1"},
        "space": {"name": SPACE},
        "sender": {"name": "users/100000000000000000000", "type": "BOT"},
    }
    (message,) = chat.messages
    assert (message.name, message.space, message.thread) == (answer["name"], SPACE, "spaces/AAA/threads/T1")
    assert (message.text, message.cards, message.request_id) == ("hello", [], "")
    assert chat.state() == {"spaces": [SPACE, ELSEWHERE], "messages": [answer]}


def test_default_credentials_are_the_service_account(
    oauth: GoogleOAuth, chat: Chat, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key file's own token is fetched, once, and needs no delegation."""
    monkeypatch.setattr(oauth, "scopes", set())
    oauth.requests.clear()
    messages = connect()

    create(messages)
    create(messages)

    asked = [request.path for request in oauth.requests if request.method == "POST"]
    (token,) = {request.bearer_token() for request in chat.requests}
    assert asked == ["/token"]
    assert oauth.grant_of(token) == Grant(subject=SERVICE_ACCOUNT, scopes=frozenset({BOT_SCOPE}))


def test_cards_are_accepted_unchanged(chat: Chat, post: Post) -> None:
    """A card without a text is a message; null is left out."""
    answer = post(None, cardsV2=[{**CARD, "ownerUser": None}], fallbackText=None)

    assert chat.messages[0].cards == answer["cardsV2"] == [CARD]
    assert "fallbackText" not in answer


def test_app_is_in_every_space_by_default(chat: Chat, post: Post) -> None:
    """Without a list the app is in every space."""
    chat.spaces = None

    assert post(space="spaces/CCC")["space"] == {"name": "spaces/CCC"}


def test_repeated_request_posts_nothing(chat: Chat, post: Post) -> None:
    """The same request id in the same space returns the first message, for any second text."""
    query = {"requestId": "report@2026-11-21T09:00:00Z"}
    first = post("first", query=query)

    again = post("second", query=query)
    elsewhere = post("third", query=query, space=ELSEWHERE)

    assert again == first
    assert elsewhere["name"] != first["name"]
    assert [message.text for message in chat.messages] == ["first", "third"]


@pytest.mark.parametrize(
    ("query", "posted"), [pytest.param({"requestId": "r"}, 1, id="with-id"), pytest.param({}, 2, id="without")]
)
def test_message_whose_response_is_lost_is_posted(chat: Chat, post: Post, query: dict[str, str], posted: int) -> None:
    """A message can be posted without an answer. The client then sends it again; only an id keeps it from two posts."""
    chat.fail("applied-but-cut")

    post(query=query)

    assert len(chat.requests) == 2
    assert [message.text for message in chat.messages] == ["hello"] * posted


def test_cut_connection_raises_for_the_caller(chat: Chat, post: Post) -> None:
    """If the client's own retry is cut too, the caller gets an error for a message that was posted."""
    chat.fail("applied-but-cut", times=2)

    with pytest.raises(ConnectionError):
        post(query={"requestId": "r"})

    assert len(chat.messages) == 1


def test_message_can_have_its_own_id(chat: Chat, post: Post) -> None:
    """The app's own id stands beside the name, and is unique within the space."""
    query = {"messageId": "client-report-1"}

    answer = post(query=query)
    taken = refusal(lambda: post(query=query))

    assert (answer["name"], answer["clientAssignedMessageId"]) == ("spaces/AAA/messages/M1", "client-report-1")
    assert taken == (409, "ALREADY_EXISTS", "Requested entity already exists")
    assert post(query=query, space=ELSEWHERE)["clientAssignedMessageId"] == "client-report-1"


@pytest.mark.parametrize("message_id", ["report", "client-", "client-Report", f"client-{'r' * 57}"])
def test_message_id_must_have_the_right_form(post: Post, message_id: str) -> None:
    """It begins with `client-` and has at most 63 lower-case letters, digits and hyphens."""
    refused = refusal(lambda: post(query={"messageId": message_id}))

    assert refused == (400, "INVALID_ARGUMENT", f"Invalid message_id: {message_id}")
