"""Messages and callers that Chat refuses."""

import json
from email.message import Message as Headers
from typing import Any

import pytest
import requests

from tests.support.chat_client import (
    ADA,
    CARD,
    PATIENCE,
    PEOPLES_SCOPE,
    SPACE,
    Connect,
    Post,
    create,
    refusal,
)
from watchkeeper.fakes.chat import Chat
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.google_oauth import api_error
from watchkeeper.fakes.server import Rejected, Request


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"cardsV2": []}, {"thread": {"threadKey": "report"}}])
def test_empty_message_is_refused(chat: Chat, post: Post, body: dict[str, Any]) -> None:
    """A message needs a text or a card."""
    refused = refusal(lambda: post(None, **body))

    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused[2].startswith("Message cannot be empty.")
    assert chat.messages == []


def test_message_over_32000_bytes_is_refused(chat: Chat, post: Post) -> None:
    """Bytes are counted, not characters, and cards count too."""
    post("é" * 16_000)

    too_long = refusal(lambda: post("é" * 16_000 + "e"))
    with_cards = refusal(lambda: post("é" * 16_000, cardsV2=[CARD]))

    assert too_long == with_cards == (400, "INVALID_ARGUMENT", "Message is longer than 32000 bytes")
    assert len(chat.messages) == 1


def card_with(widget: Any) -> dict[str, Any]:
    """Return a body with a card that holds one widget."""
    return {"cardsV2": [{"card": {"sections": [{}, {"widgets": [widget]}]}}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            {"cards_v2": []}, 'Invalid JSON payload received. Unknown name "cards_v2": Cannot find field.', id="field"
        ),
        pytest.param(
            card_with({"textParagraf": {"text": "hello"}}),
            'Invalid JSON payload received. Unknown name "textParagraf" at '
            "'cardsV2[0].card.sections[1].widgets[0]': Cannot find field.",
            id="widget",
        ),
        pytest.param(
            card_with({"textParagraph": {"text": 7}}),
            "Invalid value at 'cardsV2[0].card.sections[1].widgets[0].textParagraph.text' (TYPE_STRING), 7",
            id="number",
        ),
        pytest.param(
            card_with("hello"),
            "Invalid value at 'cardsV2[0].card.sections[1].widgets[0]' (TYPE_OBJECT), \"hello\"",
            id="no-object",
        ),
        pytest.param({"cardsV2": CARD}, "Invalid value at 'cardsV2' (TYPE_ARRAY), {", id="no-list"),
        pytest.param(
            card_with({"horizontalAlignment": "center"}),
            "Invalid value at 'cardsV2[0].card.sections[1].widgets[0].horizontalAlignment' (TYPE_STRING), \"center\"",
            id="no-such-value",
        ),
        pytest.param(
            {"cardsV2": [{"card": {"sections": [{"uncollapsibleWidgetsCount": 2**31}]}}]},
            "Invalid value at 'cardsV2[0].card.sections[0].uncollapsibleWidgetsCount' (TYPE_INTEGER), 2147483648",
            id="out-of-range",
        ),
        pytest.param(
            {"cardsV2": [{"card": {"sections": [{"collapsible": "yes"}]}}]},
            "Invalid value at 'cardsV2[0].card.sections[0].collapsible' (TYPE_BOOLEAN), \"yes\"",
            id="no-boolean",
        ),
        pytest.param({"createTime": "today"}, "Invalid value at 'createTime' (TYPE_STRING), \"today\"", id="no-time"),
    ],
)
def test_body_must_match_the_schema(chat: Chat, post: Post, body: dict[str, Any], said: str) -> None:
    """Fields, types, formats and values are those of the discovery document, at any depth."""
    refused = refusal(lambda: post(**body))

    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused[2].startswith(said)
    assert chat.messages == []


def test_query_must_match_the_document(chat: Chat, messages: Any) -> None:
    """A parameter that the method does not have, or a value that it does not know, is refused."""
    http = messages.create(parent=SPACE, body={}).http

    answers = [
        http.request(f"{chat.url}/v1/{SPACE}/messages?{query}", "POST", '{"text": "hello"}')[0].status
        for query in ("requestID=r", "messageReplyOption=REPLY", "requestId=r&alt=json")
    ]

    assert answers == [400, 400, 200]


@pytest.mark.parametrize(
    ("space", "method", "expected"),
    [
        pytest.param("spaces/CCC", "create", (403, "PERMISSION_DENIED", "not a member of this space"), id="space"),
        pytest.param(SPACE, "list", (501, "UNIMPLEMENTED", "does not know chat.spaces.messages.list"), id="not-faked"),
    ],
)
def test_unavailable_space_or_method_is_refused(
    chat: Chat, messages: Any, space: str, method: str, expected: tuple[int, str, str]
) -> None:
    """A space without the app, and a method that is not faked, with its reason."""
    given: dict[str, Any] = {"body": {"text": "hello"}} if method == "create" else {}

    code, status, message = refusal(lambda: getattr(messages, method)(parent=space, **given).execute())

    assert (code, status) == expected[:2]
    assert expected[2] in message


def test_unknown_path_is_not_found(chat: Chat, messages: Any) -> None:
    """A resource name has the document's format."""
    http = messages.create(parent=SPACE, body={}).http

    answer, _ = http.request(f"{chat.url}/v1/rooms/AAA/messages", "POST", '{"text": "hello"}')

    assert answer.status == 404


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"scope": PEOPLES_SCOPE}, "Request had insufficient authentication scopes.", id="scope-for-people"
        ),
        pytest.param({"subject": ADA}, "The caller does not have permission", id="person"),
    ],
)
def test_only_the_app_can_post(chat: Chat, connect: Connect, given: dict[str, str], message: str) -> None:
    """The app speaks for itself, with the scope that is meant for it."""
    refused = refusal(lambda: create(connect(**given)))

    assert refused == (403, "PERMISSION_DENIED", message)
    assert chat.messages == []


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param({"Authorization": "Bearer ya29.unknown"}, "Request had invalid authentication", id="unknown"),
        pytest.param({}, "Request is missing required authentication credential.", id="none"),
    ],
)
def test_token_is_required(chat: Chat, headers: dict[str, str], said: str) -> None:
    """A token from elsewhere is refused."""
    answer = requests.post(f"{chat.url}/v1/{SPACE}/messages", json={"text": "hello"}, headers=headers, timeout=PATIENCE)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (401, "UNAUTHENTICATED")
    assert error["message"].startswith(said)


def checked_topic(**body: Any) -> dict[str, Any]:
    """Check a body against a schema with kinds of fields that no message has."""
    pubsub = Discovery("pubsub", "v1", lambda code, status, message, reason: api_error(code, status, message))
    content = json.dumps(body).encode()
    request = Request(method="PUT", path="/v1/projects/p/topics/t", query={}, headers=Headers(), body=content)
    return pubsub.checked_body(request, pubsub.method_of(request, faked=["pubsub.projects.topics.create"]))


def test_maps_and_durations_are_checked() -> None:
    """A map has any names, but values of its type; a duration is a number of seconds."""
    topic = {"labels": {"team": "red"}, "messageRetentionDuration": "600.5s"}

    assert checked_topic(**topic) == topic
    with pytest.raises(Rejected, match=r"Invalid value at 'labels\[team\]' \(TYPE_STRING\), 7"):
        checked_topic(labels={"team": 7})
    with pytest.raises(Rejected, match="Invalid value at 'messageRetentionDuration'"):
        checked_topic(messageRetentionDuration="10m")
