"""Payloads of both handlers that are accepted, and those that are refused."""

from typing import Any

import pytest

from shared.handlers import InvalidPayload, Payload, check_payload, load_handlers
from tests.support.posting import ASKED, CARDS, MESSAGE, SPACE, THREAD


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
def test_valid_payload_is_accepted(job_type: str, payload: Payload) -> None:
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
        pytest.param("agent", {**ASKED, "timeout_seconds": True}, "timeout_seconds must be", id="boolean-limit"),
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
def test_invalid_payload_is_refused(job_type: str, payload: dict[str, Any], says: str) -> None:
    """The error names the field and what it must be."""
    with pytest.raises(InvalidPayload, match=says):
        check_payload(load_handlers(()), job_type, payload)
