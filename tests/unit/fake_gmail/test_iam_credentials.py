"""IAM Credentials, which signs assertions for those who have no key."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request

from tests.support.google_client import ADA, PATIENCE, keyless_credentials
from watchkeeper.fakes.google_oauth import (
    METADATA_SCOPE,
    SERVICE_ACCOUNT,
    GoogleOAuth,
    Grant,
)


def rerouted(oauth: GoogleOAuth) -> Callable[..., Any]:
    """Send requests for Google to the fake."""
    request = Request()

    def send(*, url: str, **given: Any) -> Any:
        for google in ("https://iamcredentials.googleapis.com", "https://oauth2.googleapis.com"):
            url = url.replace(google, oauth.url)
        return request(url=url, **given)

    return send


def test_keyless_credentials_act_for_a_mailbox(oauth: GoogleOAuth) -> None:
    """A caller that may create tokens for the service account gets a signed assertion, and a token for it."""
    credentials = keyless_credentials(oauth)

    credentials.refresh(rerouted(oauth))

    assert oauth.grant_of(credentials.token) == Grant(subject=ADA, scopes=frozenset({METADATA_SCOPE}))
    assert [request.path for request in oauth.requests] == [
        f"/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt",
        "/token",
    ]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        pytest.param(
            {"principal": "stranger@example.iam.gserviceaccount.com"},
            "PERMISSION_DENIED",
            "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist).",
            id="another-account",
        ),
        pytest.param(
            {"source_token": "ya29.stranger"},
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token",
            id="another-token",
        ),
    ],
)
def test_a_signature_is_refused(oauth: GoogleOAuth, given: dict[str, str], status: str, said: str) -> None:
    """A caller without the right gets no signature."""
    credentials = keyless_credentials(oauth, **given)

    with pytest.raises(RefreshError) as raised:
        credentials.refresh(rerouted(oauth))

    error = json.loads(raised.value.args[1])["error"]
    assert error["status"] == status
    assert error["message"].startswith(said)
    assert len(oauth.requests) == 1


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        pytest.param("no-token-creator", 403, "PERMISSION_DENIED", id="no-token-creator"),
        pytest.param("unavailable", 503, "UNAVAILABLE", id="unavailable"),
        pytest.param("internal", 500, "INTERNAL", id="internal"),
        pytest.param("rate-limit", 429, "RESOURCE_EXHAUSTED", id="rate-limit"),
    ],
)
def test_iam_fails_on_request(oauth: GoogleOAuth, fault: str, code: int, status: str) -> None:
    """The errors of IAM Credentials come in the form of a Google API."""
    oauth.fail(fault)

    with pytest.raises(RefreshError) as raised:
        keyless_credentials(oauth).refresh(rerouted(oauth))

    error = json.loads(raised.value.args[1])["error"]
    assert (error["code"], error["status"]) == (code, status)


@pytest.mark.parametrize(
    ("body", "token", "status", "said"),
    [
        pytest.param({"payload": "no claims"}, True, 400, "INVALID_ARGUMENT", id="payload"),
        pytest.param({}, True, 400, "INVALID_ARGUMENT", id="no-payload"),
        pytest.param({"payload": "{}"}, False, 401, "UNAUTHENTICATED", id="no-token"),
    ],
)
def test_a_bad_request_for_a_signature_is_refused(
    oauth: GoogleOAuth, body: dict[str, str], token: bool, status: int, said: str
) -> None:
    """Also requests that the library would not send."""
    url = f"{oauth.url}/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt"
    headers = {"Authorization": f"Bearer {oauth.source_token}"} if token else {}

    answer = requests.post(url, json=body, headers=headers, timeout=PATIENCE)

    assert (answer.status_code, answer.json()["error"]["status"]) == (status, said)
