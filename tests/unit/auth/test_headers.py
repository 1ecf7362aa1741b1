"""Which header has the token, and malformed tokens."""

import pytest

from shared.errors import Forbidden
from shared.settings import AuthMode
from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.support.callers import NOW, STRANGER, Refuse, bearer, policy
from tests.support.tokens import CALLER, IdentityProvider, google_claims, without_signature


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Authorization": ""}, id="empty"),
        pytest.param({"Authorization": "Bearer"}, id="scheme-alone"),
        pytest.param({"Authorization": "Bearer "}, id="empty-token"),
        pytest.param({"Authorization": "Basic dXNlcjpwYXNz"}, id="another-scheme"),
        pytest.param(
            {
                "User-Agent": "Google-Cloud-Scheduler",
                "X-CloudScheduler": "true",
                "X-CloudScheduler-JobName": "watchkeeper-tick",
            },
            id="scheduler-headers-alone",
        ),
    ],
)
def test_a_request_without_token_is_refused(mode: AuthMode, refuse: Refuse, headers: dict[str, str]) -> None:
    """Only a bearer token proves anything; anybody can send the headers of Cloud Scheduler."""
    assert refuse(headers, policy(mode)) == "no bearer token"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("x", id="one-part"),
        pytest.param("xxxx.xxxx", id="two-parts"),
        pytest.param("xxxx.xxxx.xxxx.xxxx", id="four-parts"),
        pytest.param("xxxx..xxxx", id="empty-part"),
        pytest.param("....", id="dots"),
        pytest.param("x.y.z", id="impossible-base64"),
        pytest.param("xxxx.xxxx.xx+/", id="plain-base64"),
        pytest.param("xxxx.xxxx.xxxx\n", id="newline"),
        pytest.param("xxxx.xxxx.zürich", id="not-ascii"),
        pytest.param("xxxx.xxxx.\udcff", id="surrogate"),
        pytest.param("x" * 100_000, id="long"),
    ],
)
def test_a_malformed_token_is_refused_without_a_fetch(
    provider: IdentityProvider, mode: AuthMode, refuse: Refuse, token: str
) -> None:
    """Garbage leads neither to an error of another kind nor to a request to the identity provider."""
    refuse(bearer(token), policy(mode))
    assert provider.fetches == 0


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        pytest.param(16 * 1024, "not three parts in base64url", id="16-kib"),
        pytest.param(16 * 1024 + 1, "a token longer than 16 KiB", id="one-more"),
    ],
)
def test_a_token_has_at_most_16_kib(mode: AuthMode, refuse: Refuse, length: int, reason: str) -> None:
    """A longer token is refused without parsing it."""
    assert refuse(bearer("x" * length), policy(mode)) == reason


def test_mode_platform_reads_the_header_that_iam_checks(provider: IdentityProvider, certificates: Certificates) -> None:
    """A caller that IAM knows cannot claim another identity in the header that IAM ignores."""
    own = without_signature(provider.token(google_claims(NOW, email=STRANGER)))
    forged = without_signature(provider.token(google_claims(NOW)))
    headers = {"X-Serverless-Authorization": f"Bearer {own}", "Authorization": f"Bearer {forged}"}

    with pytest.raises(Forbidden):
        authenticate(headers, policy(AuthMode.PLATFORM), certificates=certificates, now=NOW)


def test_mode_platform_accepts_the_serverless_header(provider: IdentityProvider, certificates: Certificates) -> None:
    """An allowed caller may use `Authorization` for something else."""
    token = without_signature(provider.token(google_claims(NOW)))
    headers = {"X-Serverless-Authorization": f"Bearer {token}", "Authorization": "Basic dXNlcjpwYXNz"}

    assert authenticate(headers, policy(AuthMode.PLATFORM), certificates=certificates, now=NOW) == CALLER


@pytest.mark.parametrize("useless", ["", "Bearer ", "Basic dXNlcjpwYXNz"])
def test_mode_platform_never_falls_back_to_the_other_header(
    provider: IdentityProvider, refuse: Refuse, useless: str
) -> None:
    """How IAM treats an invalid header does not matter: if it is there, the other header is not read."""
    token = without_signature(provider.token(google_claims(NOW)))
    headers = {"X-Serverless-Authorization": useless, "Authorization": f"Bearer {token}"}

    assert refuse(headers, policy(AuthMode.PLATFORM)) == "no bearer token"


def test_repeated_headers_are_refused(provider: IdentityProvider, mode: AuthMode, refuse: Refuse) -> None:
    """A server joins repeated headers with a comma, and which of them IAM checked is unknown."""
    token = provider.token(google_claims(NOW))

    assert refuse({"Authorization": f"Bearer {token},Bearer {token}"}, policy(mode)) == "not three parts in base64url"


def test_mode_verify_does_not_read_the_serverless_header(provider: IdentityProvider, refuse: Refuse) -> None:
    """That header never arrives with a signature, so there is nothing to verify."""
    token = provider.token(google_claims(NOW))

    assert refuse({"X-Serverless-Authorization": f"Bearer {token}"}, policy()) == "no bearer token"
