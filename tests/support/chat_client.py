"""Google's own client library, as it calls the fake of Chat."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httplib2
import pytest
from googleapiclient.errors import HttpError

from watchkeeper.fakes.google_oauth import GoogleOAuth

ADA = "ada@example.com"
PEOPLES_SCOPE = "https://www.googleapis.com/auth/chat.messages"
SPACE = "spaces/AAA"
ELSEWHERE = "spaces/BBB"
THREAD = f"{SPACE}/threads/people"
IAM = "https://iamcredentials.googleapis.com"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PATIENCE = 10  # seconds
CARD = {
    "cardId": "jobs",
    "card": {
        "header": {"title": "Jobs"},
        "sections": [
            {
                "collapsible": True,
                "uncollapsibleWidgetsCount": 1,
                "widgets": [
                    {"decoratedText": {"text": "report", "wrapText": True}},
                    {"dateTimePicker": {"name": "at", "type": "DATE_AND_TIME", "valueMsEpoch": "1795251600000"}},
                    {
                        "buttonList": {
                            "buttons": [
                                {
                                    "text": "Pause",
                                    "color": {"red": 0.5, "green": 1},
                                    "onClick": {
                                        "action": {
                                            "function": "pause",
                                            "parameters": [{"key": "job", "value": "report"}],
                                        }
                                    },
                                }
                            ]
                        }
                    },
                ],
            }
        ],
    },
}


class Rerouted:
    """A transport that sends the library's requests to IAM, made on another thread, to the fake."""

    def __init__(self, oauth: GoogleOAuth) -> None:
        self._http = httplib2.Http(timeout=PATIENCE)
        self._url = oauth.url

    def request(self, uri: str, *given: Any, **named: Any) -> Any:
        return self._http.request(uri.replace(IAM, self._url), *given, **named)


Connect = Callable[..., Any]


def create(
    messages: Any, text: str | None = "hello", /, *, space: str = SPACE, query: Any = None, **body: Any
) -> dict[str, Any]:
    """Post a message, once."""
    body = body if text is None else {"text": text, **body}
    return dict(messages.create(parent=space, body=body, **(query or {})).execute())


Post = Callable[..., dict[str, Any]]


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """Return code, status and message of the client's error."""
    with pytest.raises(HttpError) as raised:
        call()
    error = json.loads(raised.value.content)["error"]
    assert (raised.value.status_code, raised.value.reason) == (error["code"], error["message"])
    return error["code"], error["status"], error["message"]
