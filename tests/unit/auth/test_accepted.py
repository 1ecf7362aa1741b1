"""Which callers are let in: Google's tokens, mode `off`, other issuers, and a policy without lists."""

from typing import Any

import pytest
from werkzeug.datastructures import Headers

from shared.errors import Unauthorized
from shared.settings import AuthMode, AuthPolicy
from shared.web.auth import authenticate, bearer_token, verified_claims
from shared.web.certificates import Certificates
from tests.support.callers import NOW, STRANGER, Issue, Refuse, bearer, policy, seconds
from tests.support.tokens import AUDIENCE, CALLER, IdentityProvider, google_claims


@pytest.mark.parametrize("issuer", ["accounts.google.com", "https://accounts.google.com"])
def test_a_token_of_an_allowed_caller_is_accepted(
    provider: IdentityProvider, certificates: Certificates, issuer: str
) -> None:
    """A token that Google signed for this function and an allowed service account names the caller."""
    token = provider.token(google_claims(NOW, iss=issuer))

    caller = authenticate(bearer(token), policy(), certificates=certificates, now=NOW)

    assert caller == CALLER


@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param(policy(audiences=("https://other.example", AUDIENCE)), id="one-of-several-audiences"),
        pytest.param(policy(callers=frozenset({STRANGER, CALLER})), id="one-of-several-callers"),
        pytest.param(policy(callers=frozenset({CALLER.upper()})), id="caller-in-another-case"),
    ],
)
def test_each_configured_audience_and_caller_is_accepted(
    provider: IdentityProvider, certificates: Certificates, allowed: AuthPolicy
) -> None:
    """One match in each list is enough; e-mail addresses are compared without regard to case."""
    token = provider.token(google_claims(NOW, email=CALLER.title()))

    assert authenticate(bearer(token), allowed, certificates=certificates, now=NOW) == CALLER


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_header_name_and_scheme_are_compared_without_case(
    provider: IdentityProvider, certificates: Certificates, scheme: str
) -> None:
    """HTTP/2 sends header names in lower case, and the scheme's case has no meaning (RFC 9110)."""
    headers = Headers({"authorization": f"{scheme} {provider.token(google_claims(NOW))}"})

    assert authenticate(headers, policy(), certificates=certificates, now=NOW) == CALLER


def test_mode_off_accepts_every_request(provider: IdentityProvider, certificates: Certificates) -> None:
    """Mode `off` checks nothing."""
    assert authenticate({}, AuthPolicy(mode=AuthMode.OFF), certificates=certificates, now=NOW) == "anonymous"
    assert provider.fetches == 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"audiences": (), "callers": frozenset()}, id="nothing"),
        pytest.param({"audiences": ()}, id="no-audience"),
        pytest.param({"callers": frozenset()}, id="no-caller"),
    ],
)
def test_nothing_configured_means_closed(
    issue: Issue, mode: AuthMode, provider: IdentityProvider, refuse: Refuse, changes: dict[str, Any]
) -> None:
    """Without audiences or callers a perfect token is refused, and the log says so."""
    reason = refuse(bearer(issue(google_claims(NOW))), policy(mode, **changes))

    assert reason == "no audience or no caller is configured"
    assert provider.fetches == 0


def test_a_policy_is_closed_by_default(provider: IdentityProvider, refuse: Refuse) -> None:
    """An empty policy verifies tokens and accepts nobody."""
    assert AuthPolicy().mode is AuthMode.VERIFY
    refuse(bearer(provider.token(google_claims(NOW))), AuthPolicy())


def test_claims_of_another_issuer_can_be_verified(provider: IdentityProvider, certificates: Certificates) -> None:
    """Google Chat signs tokens itself, for a project number and without an e-mail address."""
    chat = "chat@system.gserviceaccount.com"
    token = provider.token({"iss": chat, "aud": "1234567890", "iat": seconds(NOW), "exp": seconds(NOW) + 3600})

    claims = verified_claims(
        bearer_token(bearer(token), AuthMode.VERIFY),
        mode=AuthMode.VERIFY,
        audiences=("1234567890",),
        issuers=(chat,),
        certificates=certificates,
        now=NOW,
    )

    assert (claims["iss"], claims["aud"]) == (chat, "1234567890")


def test_no_audience_matches_no_token(provider: IdentityProvider, certificates: Certificates) -> None:
    """An empty list of audiences is no wildcard, not even for a token without an audience."""
    token = provider.token(google_claims(NOW, aud=None))

    with pytest.raises(Unauthorized):
        verified_claims(
            token,
            mode=AuthMode.VERIFY,
            audiences=(),
            issuers=("https://accounts.google.com",),
            certificates=certificates,
            now=NOW,
        )
