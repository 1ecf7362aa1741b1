"""Requests that Gmail refuses, by their form, their token or on request."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.transport.requests import Request

from tests.support.google_client import (
    ADA,
    CALENDAR_SCOPE,
    ONLY_ONE,
    PATIENCE,
    TOPIC,
    Users,
    key_credentials,
    refusal,
    watch,
)
from watchkeeper.fakes.gmail import Gmail
from watchkeeper.fakes.google_oauth import (
    GoogleOAuth,
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            {"labels": ["INBOX"]},
            'Invalid JSON payload received. Unknown name "labels": Cannot find field.',
            id="unknown-field",
        ),
        pytest.param({"topicName": 7}, "Invalid value at 'topicName' (TYPE_STRING), 7", id="number"),
        pytest.param({"labelIds": "INBOX"}, "Invalid value at 'labelIds' (TYPE_ARRAY), \"INBOX\"", id="no-list"),
        pytest.param({"labelIds": [7]}, "Invalid value at 'labelIds' (TYPE_STRING), 7", id="list-of-numbers"),
        pytest.param(
            {"labelFilterBehavior": "only"},
            "Invalid value at 'labelFilterBehavior' (TYPE_STRING), \"only\"",
            id="no-such-value",
        ),
    ],
)
def test_the_body_must_follow_the_schema(users: Users, body: dict[str, Any], said: str) -> None:
    """Fields, types and values are those of the discovery document."""
    refused = refusal(lambda: users().watch(userId="me", body={"topicName": TOPIC, **body}).execute())

    assert refused == (400, "INVALID_ARGUMENT", "invalidArgument", said)


@pytest.mark.parametrize("behavior", ["include", "EXCLUDE", None])
def test_values_are_accepted_in_either_case(gmail: Gmail, users: Users, behavior: str | None) -> None:
    """Google's guide has INCLUDE, its discovery document include; null is not a value."""
    watch(users(), labelIds=["INBOX", "UNREAD"], labelFilterBehavior=behavior)

    assert gmail.watches[ADA].labels == ("INBOX", "UNREAD")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"{", "Invalid JSON payload received. Unexpected token.", id="no-json"),
        pytest.param(b"[]", "Invalid JSON payload received. Unknown name", id="no-object"),
        pytest.param(b"", "Invalid topicName does not match", id="nothing"),
    ],
)
def test_a_body_that_the_client_would_not_send_is_refused(gmail: Gmail, users: Users, body: bytes, said: str) -> None:
    """A body that is not a JSON object is malformed; a missing one lacks the topic."""
    http = users().watch(userId="me").http

    answer, content = http.request(f"{gmail.url}/gmail/v1/users/me/watch", "POST", body)

    assert answer.status == 400
    assert json.loads(content)["error"]["message"].startswith(said)


@pytest.mark.parametrize(
    ("method", "target", "status", "said"),
    [
        pytest.param("GET", "/gmail/v1/users/me/profile", 501, "gmail.users.getProfile", id="not-faked"),
        pytest.param("GET", "/gmail/v1/users/me/watch", 404, "not found", id="method"),
        pytest.param("POST", "/gmail/v1/users/me/watches", 404, "not found", id="path"),
        pytest.param("POST", "/gmail/v1/users/me/stop?user=me", 400, 'Unknown name "user"', id="query"),
        pytest.param("POST", "/gmail/v1/users/me/stop?userId=me", 400, 'Unknown name "userId"', id="path-parameter"),
        pytest.param("POST", "/gmail/v1/users/me/stop?alt=xml", 400, "Invalid value at 'alt'", id="query-value"),
        pytest.param("POST", "/gmail/v1/users/me/stop?alt=json&prettyPrint=false", 204, "", id="good-query"),
    ],
)
def test_a_request_that_the_api_does_not_know_is_refused(
    gmail: Gmail, users: Users, method: str, target: str, status: int, said: str
) -> None:
    """Paths, methods and parameters are those of the discovery document; other methods of it are not faked."""
    http = users().stop(userId="me").http

    answer, content = http.request(f"{gmail.url}{target}", method)

    assert answer.status == status
    assert said in (json.loads(content)["error"]["message"] if content else "")


def test_a_scope_of_the_method_is_needed(users: Users) -> None:
    """A token for something else is refused."""
    refused = refusal(lambda: watch(users(scope=CALENDAR_SCOPE)))

    assert refused == (
        403,
        "PERMISSION_DENIED",
        "insufficientPermissions",
        "Request had insufficient authentication scopes.",
    )


def test_a_token_for_one_mailbox_cannot_watch_another(users: Users) -> None:
    """A token for one mailbox is refused for another."""
    refused = refusal(lambda: watch(users(), user="grace@example.com"))

    assert refused == (403, "PERMISSION_DENIED", "forbidden", f"Delegation denied for {ADA}")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param({"Authorization": "Bearer ya29.unknown"}, "Request had invalid authentication", id="unknown"),
        pytest.param({}, "Request is missing required authentication credential.", id="none"),
    ],
)
def test_a_token_is_needed(gmail: Gmail, headers: dict[str, str], said: str) -> None:
    """A token from elsewhere is refused."""
    answer = requests.post(f"{gmail.url}/gmail/v1/users/me/stop", headers=headers, timeout=PATIENCE)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (401, "UNAUTHENTICATED")
    assert error["message"].startswith(said)


def test_a_service_account_has_no_mailbox(oauth: GoogleOAuth, gmail: Gmail, tmp_path: Path) -> None:
    """Credentials without a subject get a token that Gmail refuses."""
    credentials = key_credentials(oauth, tmp_path, subject=None)
    credentials.refresh(Request())

    answer = requests.post(
        f"{gmail.url}/gmail/v1/users/me/watch",
        json={"topicName": TOPIC},
        headers={"Authorization": f"Bearer {credentials.token}"},
        timeout=PATIENCE,
    )

    error = answer.json()["error"]
    assert (error["status"], error["message"]) == ("FAILED_PRECONDITION", "Precondition check failed.")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param("other-topic", (400, "INVALID_ARGUMENT", "invalidArgument", ONLY_ONE), id="other-topic"),
        pytest.param(
            "not-a-publisher",
            (
                403,
                "PERMISSION_DENIED",
                "forbidden",
                f"Error sending test message to Cloud PubSub {TOPIC} : User not authorized to perform this action.",
            ),
            id="not-a-publisher",
        ),
        pytest.param(
            "no-topic",
            (
                404,
                "NOT_FOUND",
                "notFound",
                f"Error sending test message to Cloud PubSub {TOPIC} : Resource not found (resource=gmail).",
            ),
            id="no-topic",
        ),
        pytest.param(
            "mail-off", (400, "FAILED_PRECONDITION", "failedPrecondition", "Mail service not enabled"), id="mail-off"
        ),
        pytest.param(
            "forbidden",
            (
                403,
                "PERMISSION_DENIED",
                "insufficientPermissions",
                "Request had insufficient authentication scopes.",
            ),
            id="forbidden",
        ),
        pytest.param("quota", (403, "PERMISSION_DENIED", "rateLimitExceeded", "Rate Limit Exceeded"), id="quota"),
        pytest.param(
            "rate-limit",
            (429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Too many concurrent requests for user"),
            id="rate-limit",
        ),
        pytest.param("internal", (500, "INTERNAL", "backendError", "Internal error encountered."), id="internal"),
        pytest.param(
            "unavailable",
            (503, "UNAVAILABLE", "backendError", "The service is currently unavailable."),
            id="unavailable",
        ),
    ],
)
def test_gmail_fails_on_request(gmail: Gmail, users: Users, fault: str, expected: tuple[int, str, str, str]) -> None:
    """Each documented error can be requested, once, and changes nothing."""
    client = users()
    gmail.fail(fault, path="/watch")

    refused = refusal(lambda: watch(client))

    assert refused == expected
    assert gmail.watches == {}
    assert watch(client)["historyId"] == "1001"


def test_the_client_answers_a_401_with_a_fresh_token(gmail: Gmail, users: Users) -> None:
    """The caller does not see a single 401, only a lasting one."""
    client = users()
    gmail.fail("unauthorized")
    watch(client)
    gmail.fail("unauthorized", times=3)

    refused = refusal(lambda: watch(client))

    tokens = [request.bearer_token() for request in gmail.requests]
    assert refused[:3] == (401, "UNAUTHENTICATED", "authError")
    assert len(set(tokens)) == len(tokens) - 1


def test_a_fault_of_watch_works_without_a_topic(gmail: Gmail) -> None:
    """A fault of watch can be requested for a call without a topic."""
    gmail.fail("no-topic")

    answer = requests.post(f"{gmail.url}/gmail/v1/users/me/stop", timeout=PATIENCE)

    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
