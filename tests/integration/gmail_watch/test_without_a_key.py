"""Renewals without a key file: IAM Credentials signs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from google.auth.transport.requests import Request
from google.oauth2 import credentials as oauth2

import gmail_watches
from gmail_settings import GmailSettings
from shared.errors import RenewalFailed
from shared.renewals import Renewals
from tests.support.local_google import ADA, RECORD, WATCH, LocalGoogle, claims_of, millis
from tests.support.renewing import call, utc_now
from watchkeeper.fakes.google_oauth import GOOGLE_TOKEN_URL, JWT_BEARER, METADATA_SCOPE, SERVICE_ACCOUNT

SIGN_JWT = f"/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt"


def to_the_fake(google: LocalGoogle) -> Callable[..., Any]:
    """Send requests for Google to the fake."""
    request = Request()

    def send(*, url: str, **given: Any) -> Any:
        for host in ("https://iamcredentials.googleapis.com", "https://oauth2.googleapis.com"):
            url = url.replace(host, google.oauth.url)
        assert url.startswith(google.oauth.url), url
        return request(url=url, **given)

    return send


@pytest.fixture
def renew_keyless(google: LocalGoogle, renewals: Renewals) -> Callable[[str], dict[str, Any]]:
    """Renew with the signature of a service account that is asked for it, instead of a key."""

    def renew(delegate: str = SERVICE_ACCOUNT) -> dict[str, Any]:
        env = {**google.settings, "GCP_SERVICE_ACCOUNT_JSON_PATH": "", "GMAIL_DELEGATE": delegate}
        source = oauth2.Credentials(google.oauth.source_token)  # type: ignore[no-untyped-call]  # the library's own
        return gmail_watches.renew_watches(
            GmailSettings.from_env(env), renewals, source=source, fetch=to_the_fake(google)
        )

    return renew


def test_without_a_key_iam_credentials_signs(google: LocalGoogle, renew_keyless: Callable[[], dict[str, Any]]) -> None:
    """A signature, a token, a watch: each is made of the one before, and nothing else goes out."""
    before = int(utc_now().timestamp())

    answer = renew_keyless()

    sign, token = google.oauth.requests
    claims = json.loads(sign.json()["payload"])
    form = dict(parse_qsl(token.body.decode()))
    assert (sign.method, sign.path, sign.bearer_token()) == ("POST", SIGN_JWT, google.oauth.source_token)
    assert (claims["iss"], claims["sub"], claims["scope"]) == (SERVICE_ACCOUNT, ADA, METADATA_SCOPE)
    assert claims["aud"] == GOOGLE_TOKEN_URL
    assert before <= claims["iat"] < claims["exp"] <= claims["iat"] + 3600
    assert (token.method, token.path, form["grant_type"]) == ("POST", "/token", JWT_BEARER)
    assert claims_of(form["assertion"]) == claims
    assert google.asked() == [WATCH]
    assert answer["expiration"] == millis(google.gmail.watches[ADA])
    assert google.storage.record(RECORD).payload["history_id"] == answer["history_id"]


def test_a_missing_right_to_sign_is_reported_with_the_role(
    google: LocalGoogle, renew_keyless: Callable[[str], dict[str, Any]]
) -> None:
    """The role, and on which service account."""
    delegate = "other@watchkeeper-local.iam.gserviceaccount.com"

    with pytest.raises(RenewalFailed) as refused:
        renew_keyless(delegate)

    (failed,) = refused.value.answer["failed"]
    assert "Permission 'iam.serviceAccounts.signJwt' denied" in failed["reason"]
    assert f"grant roles/iam.serviceAccountTokenCreator on {delegate}" in failed["reason"]
    assert [request.path for request in google.oauth.requests] == [SIGN_JWT.replace(SERVICE_ACCOUNT, delegate)]
    assert google.asked() == []


def test_without_credentials_to_sign_with_the_delegate_is_named(google: LocalGoogle, tmp_path: Path) -> None:
    """On a machine where nobody has signed in, the setting is named, and nobody is asked for anything."""
    nobody = {
        "GMAIL_DELEGATE": SERVICE_ACCOUNT,
        "GCP_SERVICE_ACCOUNT_JSON_PATH": "",
        "GOOGLE_APPLICATION_CREDENTIALS": "",
        "CLOUDSDK_CONFIG": "",
        "HOME": str(tmp_path),
    }
    with google.running(nobody) as function:
        answered = call(function)

    (logged,) = answered.errors()
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert "GMAIL_DELEGATE" in answered.body["error"]["message"]
    assert "gcloud auth application-default login" in logged
    assert (google.oauth.requests, google.gmail.requests) == ([], [])
