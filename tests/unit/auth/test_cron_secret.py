"""The shared secret that a caller may send instead of a token."""

import pytest

from shared.settings import AuthMode, AuthPolicy
from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.support.callers import NOW, Refuse, bearer, policy
from tests.support.tokens import CALLER, IdentityProvider, google_claims


@pytest.mark.parametrize("secret", ["s3cret", "with a space", "zürich", "密", "\udcff"])
def test_the_cron_secret_is_accepted_instead_of_a_token(
    mode: AuthMode, certificates: Certificates, provider: IdentityProvider, secret: str
) -> None:
    """A caller with the secret needs no token; the secret may have any characters."""
    allowed = AuthPolicy(mode=mode, cron_secret=secret)

    assert authenticate(bearer(secret), allowed, certificates=certificates, now=NOW) == "cron-secret"
    assert provider.fetches == 0


@pytest.mark.parametrize("given", ["s3cre", "s3cret!", "S3CRET", "zürich", "密", "\udcff"])
def test_a_wrong_cron_secret_is_refused(refuse: Refuse, given: str) -> None:
    """Any other text is read as a token, which it is not."""
    assert refuse(bearer(given), policy(cron_secret="s3cret")) == "not three parts in base64url"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer  ", "bearer\t", " "])
def test_an_unset_cron_secret_never_matches(mode: AuthMode, refuse: Refuse, header: str) -> None:
    """An empty token does not match an empty secret."""
    assert refuse({"Authorization": header}, policy(mode, cron_secret="")) == "no bearer token"


def test_the_cron_secret_needs_its_scheme(refuse: Refuse) -> None:
    """The secret without its scheme, or in another header, is refused."""
    headers = {"Authorization": "s3cret", "X-Serverless-Authorization": "Bearer s3cret", "X-CloudScheduler": "s3cret"}

    assert refuse(headers, policy(cron_secret="s3cret")) == "no bearer token"


def test_a_token_is_accepted_beside_a_cron_secret(provider: IdentityProvider, certificates: Certificates) -> None:
    """A token still works where a secret is set."""
    token = provider.token(google_claims(NOW))

    assert authenticate(bearer(token), policy(cron_secret="s3cret"), certificates=certificates, now=NOW) == CALLER


def test_the_cron_secret_is_not_shown() -> None:
    """A logged policy does not contain the secret."""
    assert "s3cret" not in repr(policy(cron_secret="s3cret"))
