"""The token endpoint of OAuth: key files, assertions and their tokens."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request

from tests.support.google_client import (
    ADA,
    PATIENCE,
    READONLY_SCOPE,
    SECOND,
    Clock,
    assertion,
    exchange,
    key_credentials,
)
from watchkeeper.fakes.google_oauth import (
    METADATA_SCOPE,
    SERVICE_ACCOUNT,
    GoogleOAuth,
    Grant,
)


def test_a_key_file_acts_for_a_mailbox(oauth: GoogleOAuth, tmp_path: Path) -> None:
    """Credentials from the key file get a token for the subject, within the scope that was asked for."""
    credentials = key_credentials(oauth, tmp_path)

    credentials.refresh(Request())

    assert oauth.grant_of(credentials.token) == Grant(subject=ADA, scopes=frozenset({METADATA_SCOPE}))
    assert credentials.expiry.replace(tzinfo=UTC) > datetime.now(UTC) + timedelta(minutes=55)
    assert [request.path for request in oauth.requests] == ["/token"]


def test_only_the_owner_can_read_the_key_file(oauth: GoogleOAuth, tmp_path: Path) -> None:
    """The file has Google's fields, and mode 0600 even if it existed before."""
    path = tmp_path / "key.json"
    path.touch(mode=0o644)

    oauth.write_key_file(path)

    key = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (key["type"], key["project_id"], key["client_email"], key["token_uri"]) == (
        "service_account",
        "watchkeeper-local",
        SERVICE_ACCOUNT,
        f"{oauth.url}/token",
    )
    assert key.keys() >= {"private_key_id", "private_key", "client_id"}


@pytest.mark.parametrize(
    ("seconds", "is_good"), [pytest.param(3598, True, id="last-second"), pytest.param(3599, False, id="over")]
)
def test_a_token_expires_after_an_hour(oauth_at_nine: GoogleOAuth, clock: Clock, seconds: int, is_good: bool) -> None:
    """An access token is valid for 3,599 seconds; an unknown one never is."""
    _, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine))

    clock.now += timedelta(seconds=seconds)

    assert (oauth_at_nine.grant_of(answer["access_token"]) is not None) is is_good
    assert oauth_at_nine.grant_of("ya29.unknown") is None


@pytest.mark.parametrize(
    ("subject", "scope", "said"),
    [
        pytest.param(ADA, READONLY_SCOPE, "unauthorized_client: Client is unauthorized to retrieve", id="scope"),
        pytest.param(ADA, f"{METADATA_SCOPE} {READONLY_SCOPE}", "unauthorized_client: Client is", id="one-of-two"),
        pytest.param("mallory@example.com", METADATA_SCOPE, "invalid_grant: Invalid email or User ID", id="user"),
        pytest.param(ADA, "", "invalid_scope: Invalid OAuth scope", id="no-scope"),
    ],
)
def test_delegation_is_refused(oauth: GoogleOAuth, tmp_path: Path, subject: str, scope: str, said: str) -> None:
    """A scope or a user that the administrator did not authorise gets Google's own error."""
    credentials = key_credentials(oauth, tmp_path, subject, scope)

    with pytest.raises(RefreshError, match=said):
        credentials.refresh(Request())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param("not-delegated", "unauthorized_client: Client is unauthorized", id="not-delegated"),
        pytest.param("unknown-user", "invalid_grant: Invalid email or User ID", id="unknown-user"),
    ],
)
def test_the_token_endpoint_fails_on_request(oauth: GoogleOAuth, tmp_path: Path, fault: str, said: str) -> None:
    """A request that would be granted can be made to fail."""
    credentials = key_credentials(oauth, tmp_path)
    oauth.fail(fault)

    with pytest.raises(RefreshError, match=said):
        credentials.refresh(Request())


def test_without_a_list_every_mailbox_exists(tmp_path: Path) -> None:
    """Without a list of users every one exists, in upper or lower case."""
    with GoogleOAuth() as oauth:
        credentials = key_credentials(oauth, tmp_path, "Grace@Example.com")
        credentials.refresh(Request())

        grant = oauth.grant_of(credentials.token)

    assert grant == Grant(subject="grace@example.com", scopes=frozenset({METADATA_SCOPE}))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="plain"),
        pytest.param({"iat": SECOND + 300, "exp": SECOND + 3900}, id="clock-ahead"),
        pytest.param({"iat": SECOND - 3599, "exp": SECOND + 1}, id="last-second"),
    ],
)
def test_a_good_assertion_is_granted(oauth_at_nine: GoogleOAuth, changes: dict[str, Any]) -> None:
    """The answer is as documented, up to the limits of an assertion's life."""
    status, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine, **changes))

    assert (status, answer.pop("access_token")[:5]) == (200, "ya29.")
    assert answer == {"expires_in": 3599, "token_type": "Bearer"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"iss": "stranger@example.com"}, "Invalid grant: account not found", id="issuer"),
        pytest.param({"aud": "https://example.com/token"}, "Invalid JWT: Failed audience check", id="audience"),
        pytest.param({"exp": SECOND}, "Invalid JWT: Token must be a short-lived token", id="expired"),
        pytest.param({"iat": SECOND + 301, "exp": SECOND + 3901}, "Invalid JWT: Token must be", id="future"),
        pytest.param({"exp": SECOND + 3601}, "Invalid JWT: Token must be", id="too-long"),
        pytest.param({"exp": None}, "Invalid JWT: Token must be", id="without-expiry"),
    ],
)
def test_a_bad_assertion_is_refused(oauth_at_nine: GoogleOAuth, changes: dict[str, Any], said: str) -> None:
    """Each claim is checked."""
    status, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine, **changes))

    assert (status, answer["error"]) == (400, "invalid_grant")
    assert answer["error_description"].startswith(said)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        pytest.param(assertion(), "Invalid JWT Signature.", id="another-key"),
        pytest.param("nonsense", "Bad Request", id="no-token"),
        pytest.param("e30.W10.c2ln", "Bad Request", id="no-claims"),
    ],
)
def test_a_forged_assertion_is_refused(oauth_at_nine: GoogleOAuth, token: str, said: str) -> None:
    """The signature is verified against the service account's key."""
    assert exchange(oauth_at_nine, token) == (400, {"error": "invalid_grant", "error_description": said})


def test_another_grant_type_is_refused(oauth_at_nine: GoogleOAuth) -> None:
    """The fake knows only the JWT bearer grant."""
    status, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine), "refresh_token")

    assert (status, answer["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        pytest.param("unavailable", 503, "temporarily_unavailable", id="unavailable"),
        pytest.param("internal", 500, "internal_failure", id="internal"),
        pytest.param("rate-limit", 429, "rate_limit_exceeded", id="rate-limit"),
    ],
)
def test_errors_of_the_token_endpoint_have_its_own_format(
    oauth: GoogleOAuth, fault: str, status: int, error: str
) -> None:
    """The same faults at /token have OAuth's format. The library would wait seconds to retry them."""
    oauth.fail(fault)

    answered, body = exchange(oauth, "anything")

    assert (answered, body["error"]) == (status, error)


def test_oauth_has_no_other_paths(oauth: GoogleOAuth) -> None:
    """Another path or method is not found."""
    statuses = [requests.get(f"{oauth.url}{path}", timeout=PATIENCE).status_code for path in ("/token", "/v1/else")]

    assert statuses == [404, 404]
