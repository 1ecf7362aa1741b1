"""The rules for the claims of a token, which are the same in both modes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import Forbidden, Unauthorized
from shared.settings import AuthMode
from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.support.callers import NO_OBJECTS, NOW, SECOND, STRANGER, Issue, Logged, Refuse, bearer, policy, seconds
from tests.support.tokens import AUDIENCE, CALLER, google_claims


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"aud": "https://other.example"}, "wrong audience", id="audience-of-another"),
        pytest.param({"aud": AUDIENCE + "/"}, "wrong audience", id="audience-with-a-slash"),
        pytest.param({"aud": AUDIENCE.upper()}, "wrong audience", id="audience-in-another-case"),
        pytest.param({"aud": AUDIENCE[:-1]}, "wrong audience", id="part-of-the-audience"),
        pytest.param({"aud": ""}, "wrong audience", id="audience-empty"),
        pytest.param({"aud": [AUDIENCE]}, "wrong audience", id="audience-list"),
        pytest.param({"aud": {AUDIENCE: 1}}, "wrong audience", id="audience-object"),
        pytest.param({"aud": None}, "wrong audience", id="audience-missing"),
        pytest.param({"iss": "https://accounts.google.com.example"}, "wrong issuer", id="issuer-of-another"),
        pytest.param({"iss": "chat@system.gserviceaccount.com"}, "wrong issuer", id="issuer-of-chat"),
        pytest.param({"iss": ["accounts.google.com"]}, "wrong issuer", id="issuer-list"),
        pytest.param({"iss": None}, "wrong issuer", id="issuer-missing"),
        pytest.param({"email_verified": False}, "no verified e-mail address", id="email-not-verified"),
        pytest.param({"email_verified": "true"}, "no verified e-mail address", id="email-verified-as-text"),
        pytest.param({"email_verified": 1}, "no verified e-mail address", id="email-verified-as-number"),
        pytest.param({"email_verified": None}, "no verified e-mail address", id="email-verified-missing"),
        pytest.param({"email": None}, "no verified e-mail address", id="email-missing"),
        pytest.param({"email": [CALLER]}, "no verified e-mail address", id="email-list"),
        pytest.param({"exp": None}, "exp is not a number of seconds", id="exp-missing"),
        pytest.param({"exp": "4102444800"}, "exp is not a number of seconds", id="exp-text"),
        pytest.param({"exp": True}, "exp is not a number of seconds", id="exp-true"),
        pytest.param({"exp": float("nan")}, "the token cannot be checked (ValueError)", id="exp-nan"),
        pytest.param({"exp": float("inf")}, "the token cannot be checked (OverflowError)", id="exp-infinite"),
        pytest.param({"exp": 10**400}, "the token cannot be checked (OverflowError)", id="exp-huge"),
        pytest.param({"exp": 10**12}, "the token cannot be checked (ValueError)", id="exp-after-year-9999"),
        pytest.param({"iat": None}, "iat is not a number of seconds", id="iat-missing"),
        pytest.param({"iat": "0"}, "iat is not a number of seconds", id="iat-text"),
        pytest.param({"nbf": "0"}, "nbf is not a number of seconds", id="nbf-text"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    issue: Issue, mode: AuthMode, refuse: Refuse, changes: dict[str, Any], reason: str
) -> None:
    """Every claim must exist, have its type and match exactly; the log names the one that did not."""
    token = issue(google_claims(NOW, **changes))

    assert refuse(bearer(token), policy(mode)) == reason


@pytest.mark.parametrize(
    ("changes", "came"),
    [
        pytest.param({"aud": "https://other.example"}, {"audience": "https://other.example"}, id="audience"),
        pytest.param({"iss": "https://other.example"}, {"issuer": "https://other.example"}, id="issuer"),
        pytest.param({"aud": ["secret"]}, {"audience": "list"}, id="no-text"),
        pytest.param({"aud": None}, {"audience": "NoneType"}, id="nothing"),
        pytest.param({"aud": "x" * 5000}, {"audience": "x" * 200}, id="long"),
    ],
)
def test_the_log_has_the_issuer_and_audience_and_what_was_expected(
    issue: Issue,
    mode: AuthMode,
    certificates: Certificates,
    logged: Logged,
    changes: dict[str, Any],
    came: dict[str, str],
) -> None:
    """So a wrong setting is found from the log, which has no other claim and cuts long ones."""
    with pytest.raises(Unauthorized):
        authenticate(bearer(issue(google_claims(NOW, **changes))), policy(mode), certificates=certificates, now=NOW)

    (line,) = logged()
    assert line == {
        "level": "WARNING",
        "action": "auth_refused",
        "reason": f"wrong {'issuer' if 'iss' in changes else 'audience'}",
        "issuer": "https://accounts.google.com",
        "expected_issuers": "accounts.google.com, https://accounts.google.com",
        "audience": AUDIENCE,
        "expected_audiences": AUDIENCE,
        **came,
    }


@pytest.mark.parametrize(("claims", "reason"), NO_OBJECTS)
def test_claims_that_are_not_an_object_are_refused(
    issue: Issue, mode: AuthMode, refuse: Refuse, claims: object, reason: str
) -> None:
    """Only a JSON object is a set of claims."""
    assert refuse(bearer(issue(claims)), policy(mode)) == reason


def test_deeply_nested_claims_are_refused(issue: Issue, mode: AuthMode, refuse: Refuse) -> None:
    """Nesting too deep for the JSON parser (the depth depends on the Python version) does no harm."""
    reason = refuse(bearer(issue(b"[" * 11_500)), policy(mode))

    assert reason.startswith("the token cannot be checked")


@pytest.mark.parametrize(
    ("claim", "offset", "reason"),
    [
        pytest.param("exp", -10 * SECOND, None, id="expired-10s-ago"),
        pytest.param("exp", -11 * SECOND, "expired", id="expired-11s-ago"),
        pytest.param("iat", 10 * SECOND, None, id="issued-10s-ahead"),
        pytest.param("iat", 11 * SECOND, "not yet valid", id="issued-11s-ahead"),
        pytest.param("nbf", 10 * SECOND, None, id="valid-in-10s"),
        pytest.param("nbf", 11 * SECOND, "not yet valid", id="valid-in-11s"),
        pytest.param("exp", timedelta(hours=-2), "expired", id="expired-long-ago"),
    ],
)
def test_clocks_may_differ_by_ten_seconds(
    issue: Issue,
    mode: AuthMode,
    certificates: Certificates,
    refuse: Refuse,
    claim: str,
    offset: timedelta,
    reason: str | None,
) -> None:
    """A token counts from 10 s before it begins until 10 s after it ends, both included."""
    headers = bearer(issue(google_claims(NOW, **{claim: seconds(NOW + offset)})))

    if reason is None:
        assert authenticate(headers, policy(mode), certificates=certificates, now=NOW) == CALLER
    else:
        assert refuse(headers, policy(mode)) == reason


def test_a_token_may_expire_in_the_last_year_of_the_calendar(
    issue: Issue, mode: AuthMode, certificates: Certificates
) -> None:
    """The clock skew does not overflow on the last second that a date can represent."""
    token = issue(google_claims(NOW, exp=seconds(datetime.max.replace(microsecond=0, tzinfo=UTC)), iat=0, nbf=0.5))

    assert authenticate(bearer(token), policy(mode), certificates=certificates, now=NOW) == CALLER


@pytest.mark.parametrize(
    ("email", "named"),
    [
        pytest.param(STRANGER, {"caller": STRANGER}, id="service-account"),
        pytest.param("alice@example.com", {}, id="person"),
    ],
)
def test_a_valid_token_of_another_caller_is_forbidden(
    issue: Issue,
    mode: AuthMode,
    certificates: Certificates,
    logged: Logged,
    email: str,
    named: dict[str, str],
) -> None:
    """A known caller who is not listed is forbidden; the log names service accounts, but no people."""
    token = issue(google_claims(NOW, email=email))

    with pytest.raises(Forbidden, match=r"^The caller is known and may not do this\.$"):
        authenticate(bearer(token), policy(mode), certificates=certificates, now=NOW)

    refusal = {"level": "WARNING", "action": "auth_refused", "reason": "the caller is not on the list"}
    assert logged() == [{**refusal, **named}]
