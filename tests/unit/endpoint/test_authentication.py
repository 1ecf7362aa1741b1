"""Which callers are let in, and what the others get."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.support.called_function import Answers, Ask, Lines, Unread, error_of
from tests.support.tokens import CALLER, IdentityProvider, google_claims, without_signature


@pytest.mark.usefixtures("closed")
def test_an_allowed_caller_is_answered(ask: Ask, answers: Answers, provider: IdentityProvider, now: datetime) -> None:
    """The function gets the caller of a good token."""
    response = ask(headers={"Authorization": f"Bearer {provider.token(google_claims(now))}"})

    assert response.status_code == 200
    assert [call.caller for call in answers.calls] == [CALLER]


@pytest.mark.usefixtures("closed")
def test_the_cron_secret_is_accepted(ask: Ask, answers: Answers) -> None:
    """CRON_SECRET replaces a token."""
    response = ask(headers={"Authorization": "Bearer open-sesame-open-sesame"})

    assert response.status_code == 200
    assert [call.caller for call in answers.calls] == ["cron-secret"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"Authorization": "Bearer open"}, id="wrong-secret"),
        pytest.param({"Authorization": "Basic b3Blbi1zZXNhbWU="}, id="another-scheme"),
        pytest.param({"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "watchkeeper-tick"}, id="headers-alone"),
    ],
)
@pytest.mark.usefixtures("closed")
def test_a_caller_without_proof_is_unauthorized(ask: Ask, answers: Answers, headers: dict[str, str]) -> None:
    """401, and nothing runs."""
    response = ask(headers=headers)

    assert response.status_code == 401
    assert error_of(response)["code"] == "unauthorized"
    assert answers.calls == []


@pytest.mark.parametrize(
    ("claims", "change", "status", "code"),
    [
        pytest.param({"aud": "https://elsewhere.example"}, str, 401, "unauthorized", id="wrong-audience"),
        pytest.param({}, without_signature, 401, "unauthorized", id="no-signature"),
        pytest.param({"email": "mallory@acme.iam.gserviceaccount.com"}, str, 403, "forbidden", id="another-caller"),
    ],
)
@pytest.mark.usefixtures("closed")
def test_a_token_with_a_wrong_claim_is_refused(
    ask: Ask,
    answers: Answers,
    provider: IdentityProvider,
    now: datetime,
    *,
    claims: dict[str, str],
    change: Callable[[str], str],
    status: int,
    code: str,
) -> None:
    """401 for an unknown caller, 403 for a known one who may not call."""
    token = change(provider.token(google_claims(now, **claims)))

    response = ask(headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert answers.calls == []


@pytest.mark.usefixtures("closed")
def test_a_token_that_cannot_be_checked_now_is_503(
    ask: Ask, answers: Answers, provider: IdentityProvider, now: datetime
) -> None:
    """503, so that Scheduler and alerts see a fault of ours."""
    provider.status = 500

    response = ask(headers={"Authorization": f"Bearer {provider.token(google_claims(now))}"})

    assert response.status_code == 503
    assert error_of(response)["code"] == "certificates_unavailable"
    assert answers.calls == []


@pytest.mark.usefixtures("closed")
def test_certificates_are_kept_between_requests(ask: Ask, provider: IdentityProvider, now: datetime) -> None:
    """A tick a minute costs no fetch a minute."""
    headers = {"Authorization": f"Bearer {provider.token(google_claims(now))}"}

    ask(headers=headers)
    ask(headers=headers)

    assert provider.fetches == 1


@pytest.mark.usefixtures("closed")
def test_no_token_and_no_secret_is_logged(ask: Ask, lines: Lines, provider: IdentityProvider, now: datetime) -> None:
    """Neither for an accepted caller nor for a refused one."""
    good, bad = provider.token(google_claims(now)), provider.token(google_claims(now - timedelta(days=1)))

    for credentials in (good, bad, "open-sesame-open-sesame", "open-seasons-open-seasons"):
        ask(headers={"Authorization": f"Bearer {credentials}"})

    logged = json.dumps(lines())
    assert [secret for secret in (*good.split("."), *bad.split("."), "sesame", "seasons") if secret in logged] == []


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer e30.e30.e30"}], ids=["no-token", "forged"])
def test_a_strangers_body_is_not_read(ask: Ask, headers: dict[str, str]) -> None:
    """A refused request costs no more than its headers."""
    response = ask(headers=headers, environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "1" * 12})

    assert response.status_code == 401
