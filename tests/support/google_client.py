"""Google's own client libraries, as they call the fakes of OAuth and Gmail."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth import impersonated_credentials
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.support.tokens import encode, rs256, rsa_key
from watchkeeper.fakes.gmail import Gmail
from watchkeeper.fakes.google_oauth import (
    GOOGLE_TOKEN_URL,
    JWT_BEARER,
    METADATA_SCOPE,
    SERVICE_ACCOUNT,
    GoogleOAuth,
)

ADA = "ada@example.com"
READONLY_SCOPE = "https://www.googleapis.com/auth/gmail.readonly"
CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar"
TOPIC = "projects/watchkeeper-local/topics/gmail"
OTHER_TOPIC = "projects/watchkeeper-local/topics/other"
ONLY_ONE = "Only one user push notification client allowed per developer (call /stop then try again)"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECOND = int(NOW.timestamp())
PATIENCE = 10  # seconds for what another thread is to do


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def key_credentials(oauth: GoogleOAuth, folder: Path, subject: str | None = ADA, scope: str = METADATA_SCOPE) -> Any:
    """Make credentials from the key file."""
    path = folder / "key.json"
    oauth.write_key_file(path)
    return service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]  # the library's own
        path, scopes=[scope], subject=subject
    )


def keyless_credentials(oauth: GoogleOAuth, principal: str = SERVICE_ACCOUNT, source_token: str | None = None) -> Any:
    """Make credentials whose assertions IAM signs."""
    source = oauth2.Credentials(source_token or oauth.source_token)  # type: ignore[no-untyped-call]  # the library's own
    return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]  # the library's own
        source, target_principal=principal, target_scopes=[METADATA_SCOPE], subject=ADA
    )


def client_of(
    oauth: GoogleOAuth, gmail: Gmail, folder: Path, *, subject: str = ADA, scope: str = METADATA_SCOPE
) -> Any:
    """Return the users resource of the real client."""
    credentials = key_credentials(oauth, folder, subject, scope)
    options = {"api_endpoint": gmail.url}
    return build("gmail", "v1", credentials=credentials, static_discovery=True, client_options=options).users()


Users = Callable[..., Any]


def watch(users: Any, topic: str = TOPIC, user: str = "me", **body: Any) -> dict[str, str]:
    """Call watch, once."""
    return dict(users.watch(userId=user, body={"topicName": topic, **body}).execute())


def refusal(call: Callable[[], object]) -> tuple[int, str, str, str]:
    """Return code, status, reason and message of the client's error."""
    with pytest.raises(HttpError) as raised:
        call()
    error = json.loads(raised.value.content)["error"]
    (detail,) = error["errors"]
    assert raised.value.status_code == error["code"]
    assert raised.value.reason == error["message"]
    return error["code"], error["status"], detail["reason"], error["message"]


def assertion(oauth: GoogleOAuth | None = None, **changes: Any) -> str:
    """Make an assertion at NOW, signed by the fake or with another key."""
    claims = {
        "iss": SERVICE_ACCOUNT,
        "sub": ADA,
        "aud": GOOGLE_TOKEN_URL,
        "scope": METADATA_SCOPE,
        "iat": SECOND,
        "exp": SECOND + 3600,
        **changes,
    }
    if oauth is None:
        return encode({"alg": "RS256", "typ": "JWT"}, claims, rs256(rsa_key("stranger")))
    url = f"{oauth.url}/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt"
    headers = {"Authorization": f"Bearer {oauth.source_token}"}
    answer = requests.post(url, json={"payload": json.dumps(claims)}, headers=headers, timeout=PATIENCE)
    return str(answer.json()["signedJwt"])


def exchange(oauth: GoogleOAuth, token: str, grant_type: str = JWT_BEARER) -> tuple[int, dict[str, Any]]:
    """Ask for an access token without a library, which would not send such a request."""
    answer = requests.post(f"{oauth.url}/token", {"grant_type": grant_type, "assertion": token}, timeout=PATIENCE)
    return answer.status_code, answer.json()
