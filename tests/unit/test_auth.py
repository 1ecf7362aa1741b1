"""Who is let in, who is refused, what the log says about it, and how often certificates are fetched."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from subprocess import run
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from shared.errors import CertificatesUnavailable, Forbidden, Unauthorized
from shared.settings import AuthMode, AuthPolicy
from shared.web.auth import authenticate, bearer_token, verified_claims
from shared.web.certificates import FETCH_INTERVAL, MAX_REDIRECTS, Certificates
from tests.servers import Answer, HttpServer, redirect, reply
from tests.tokens import (
    AUDIENCE,
    CALLER,
    IdentityProvider,
    Sign,
    certificate,
    ec_key,
    encode,
    es256,
    google_claims,
    hs256,
    rs256,
    rsa_key,
    without_signature,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STRANGER = "mallory@elsewhere.iam.gserviceaccount.com"

Issue = Callable[..., str]
Logged = Callable[[], list[dict[str, Any]]]
Refuse = Callable[..., str]


def policy(mode: AuthMode = AuthMode.VERIFY, **changes: Any) -> AuthPolicy:
    return AuthPolicy(**{"mode": mode, "audiences": (AUDIENCE,), "callers": frozenset({CALLER}), **changes})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def error_of(work: Callable[[], object]) -> Exception | None:
    """Return what a piece of work raises."""
    try:
        work()
    except Exception as exc:
        return exc
    return None


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def certificates(provider: IdentityProvider) -> Certificates:
    return Certificates(provider.url)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Return what was logged so far, as data."""
    return lambda: [{"level": record.levelname, **vars(record)["fields"]} for record in caplog.records]


@pytest.fixture
def refuse(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> Refuse:
    """Return a function that makes a request, asserts that it is refused, and returns the reason in the log.

    It asserts on the way that the caller is told one fixed sentence and that no part of a token reaches the log.
    """

    def refuse(headers: dict[str, str], policy: AuthPolicy, now: datetime = NOW) -> str:
        caplog.clear()
        with pytest.raises(Unauthorized) as caught:
            authenticate(headers, policy, certificates=certificates, now=now)

        (record,) = caplog.records
        everything = f"{caplog.text} {vars(record)}"
        tokens = [header.partition(" ")[2] for header in headers.values()]
        assert [part for token in tokens for part in token.split(".") if len(part) > 3 and part in everything] == []
        assert str(caught.value) == "The caller did not prove who it is."
        assert caught.value.__cause__ is None
        assert (record.levelname, vars(record)["fields"]["action"]) == ("WARNING", "auth_refused")
        reason: str = vars(record)["fields"]["reason"]
        assert record.getMessage() == f"Request refused: {reason}"
        return reason

    return refuse


# Who is let in


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
def test_any_audience_and_any_caller_of_the_lists_will_do(
    provider: IdentityProvider, certificates: Certificates, allowed: AuthPolicy
) -> None:
    """The lists name alternatives, and e-mail addresses are compared without regard to case."""
    token = provider.token(google_claims(NOW, email=CALLER.title()))

    assert authenticate(bearer(token), allowed, certificates=certificates, now=NOW) == CALLER


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_header_name_and_scheme_are_compared_without_case(
    provider: IdentityProvider, certificates: Certificates, scheme: str
) -> None:
    """HTTP/2 sends header names in lower case, and the scheme's case means nothing (RFC 9110)."""
    headers = Headers({"authorization": f"{scheme} {provider.token(google_claims(NOW))}"})

    assert authenticate(headers, policy(), certificates=certificates, now=NOW) == CALLER


def test_mode_off_lets_everybody_in(provider: IdentityProvider, certificates: Certificates) -> None:
    """With mode `off` nothing is looked at."""
    assert authenticate({}, AuthPolicy(mode=AuthMode.OFF), certificates=certificates, now=NOW) == "anonymous"
    assert provider.fetches == 0


# Claims: the same rules whoever checks the signature


@pytest.fixture(params=[AuthMode.VERIFY, AuthMode.PLATFORM])
def mode(request: pytest.FixtureRequest) -> AuthMode:
    mode: AuthMode = request.param
    return mode


@pytest.fixture
def issue(provider: IdentityProvider, mode: AuthMode) -> Issue:
    """Return a function that makes a token as it arrives in each mode: signed, or with the signature removed."""

    def issue(claims: object, **how: Any) -> str:
        token = provider.token(claims, **how)
        return without_signature(token) if mode is AuthMode.PLATFORM else token

    return issue


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
    """Every claim must be there, be of its type and fit exactly, and the log says which one did not."""
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
def test_the_log_says_which_issuer_and_audience_came_and_which_were_expected(
    issue: Issue,
    mode: AuthMode,
    certificates: Certificates,
    logged: Logged,
    changes: dict[str, Any],
    came: dict[str, str],
) -> None:
    """So that a wrong setting is found from the log; no other claim stands there, and none at any length."""
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


NO_OBJECTS = [
    pytest.param([], "header or claims are not a JSON object", id="list"),
    pytest.param("text", "header or claims are not a JSON object", id="text"),
    pytest.param(1, "header or claims are not a JSON object", id="number"),
    pytest.param(None, "header or claims are not a JSON object", id="null"),
    pytest.param(b"{", "the token cannot be checked (JSONDecodeError)", id="broken-json"),
    pytest.param(b"\xff\xff\xff", "the token cannot be checked (UnicodeDecodeError)", id="binary"),
    pytest.param(b"", "not three parts in base64url", id="empty"),
]


@pytest.mark.parametrize(("claims", "reason"), NO_OBJECTS)
def test_claims_that_are_no_object_are_refused(
    issue: Issue, mode: AuthMode, refuse: Refuse, claims: object, reason: str
) -> None:
    """Anything but a JSON object is no set of claims, however it is broken."""
    assert refuse(bearer(issue(claims)), policy(mode)) == reason


def test_deeply_nested_claims_are_refused(issue: Issue, mode: AuthMode, refuse: Refuse) -> None:
    """What is too deep for the JSON parser (how deep that is depends on the Python version) does no harm."""
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


def test_a_token_may_end_with_the_calendar(issue: Issue, mode: AuthMode, certificates: Certificates) -> None:
    """The clock skew does not overflow on the last second that a date can hold."""
    token = issue(google_claims(NOW, exp=seconds(datetime.max.replace(microsecond=0, tzinfo=UTC)), iat=0, nbf=0.5))

    assert authenticate(bearer(token), policy(mode), certificates=certificates, now=NOW) == CALLER


@pytest.mark.parametrize(
    ("email", "named"),
    [
        pytest.param(STRANGER, {"caller": STRANGER}, id="service-account"),
        pytest.param("alice@example.com", {}, id="person"),
    ],
)
def test_a_genuine_token_of_somebody_else_is_forbidden(
    issue: Issue,
    mode: AuthMode,
    certificates: Certificates,
    logged: Logged,
    email: str,
    named: dict[str, str],
) -> None:
    """Who is known and not on the list is forbidden; the log names service accounts, and no people."""
    token = issue(google_claims(NOW, email=email))

    with pytest.raises(Forbidden, match=r"^The caller is known and may not do this\.$"):
        authenticate(bearer(token), policy(mode), certificates=certificates, now=NOW)

    refusal = {"level": "WARNING", "action": "auth_refused", "reason": "the caller is not on the list"}
    assert logged() == [{**refusal, **named}]


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
    """A policy that says nothing verifies, and lets nobody in."""
    assert AuthPolicy().mode is AuthMode.VERIFY
    refuse(bearer(provider.token(google_claims(NOW))), AuthPolicy())


# Headers


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
    """No header but a bearer token proves anything; in particular anybody can write Cloud Scheduler's."""
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
def test_what_is_no_token_is_refused_without_a_fetch(
    provider: IdentityProvider, mode: AuthMode, refuse: Refuse, token: str
) -> None:
    """Garbage never leads to an error of another kind, nor to a request to the identity provider."""
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
    """Up to 16 KiB a token is taken apart, beyond that it is refused as it stands."""
    assert refuse(bearer("x" * length), policy(mode)) == reason


# Signatures


@pytest.mark.parametrize(
    ("alg", "sign"),
    [
        pytest.param("none", lambda signed: b"x", id="none"),
        pytest.param("HS256", hs256(b"secret"), id="shared-secret"),
        pytest.param("ES256", es256(ec_key()), id="elliptic-curve"),
        pytest.param("RS512", None, id="another-hash"),
        pytest.param("rs256", None, id="lower-case"),
        pytest.param(["RS256"], None, id="list"),
        pytest.param(None, None, id="null"),
    ],
)
def test_another_algorithm_is_refused_without_a_fetch(
    provider: IdentityProvider, issue: Issue, mode: AuthMode, refuse: Refuse, alg: object, sign: Sign | None
) -> None:
    """The sender does not choose how its signature is checked."""
    token = issue(google_claims(NOW), header={"alg": alg}, sign=sign)

    assert refuse(bearer(token), policy(mode)) == "an algorithm other than RS256"
    assert provider.fetches == 0


@pytest.mark.parametrize(("header", "reason"), NO_OBJECTS)
def test_a_header_that_is_no_object_is_refused(mode: AuthMode, refuse: Refuse, header: object, reason: str) -> None:
    """Anything but a JSON object is no token header."""
    token = encode(header, google_claims(NOW), rs256(rsa_key("key-1")))

    assert refuse(bearer(token), policy(mode)) == reason


def test_an_unsigned_token_is_refused(refuse: Refuse) -> None:
    """The classic attack: algorithm `none` and nothing where the signature should be."""
    token = encode({"alg": "none", "typ": "JWT"}, google_claims(NOW), lambda signed: b"")

    assert refuse(bearer(token), policy()) == "not three parts in base64url"


@pytest.mark.parametrize(
    ("alg", "reason"), [("HS256", "an algorithm other than RS256"), ("RS256", "bad signature")], ids=["HS256", "RS256"]
)
def test_the_certificate_is_no_shared_secret(provider: IdentityProvider, refuse: Refuse, alg: str, reason: str) -> None:
    """The other classic attack: a MAC whose secret is the certificate that everybody can read."""
    sign = hs256(provider.certificates()["key-1"].encode())
    token = provider.token(google_claims(NOW), header={"alg": alg}, sign=sign)

    assert refuse(bearer(token), policy()) == reason


def test_a_signature_with_another_key_is_bad(provider: IdentityProvider, refuse: Refuse) -> None:
    """A stranger's key does not sign for the key that the token names, and its claims stay out of the log."""
    token = provider.token(google_claims(NOW, email=STRANGER), sign=rs256(rsa_key("stranger")))

    assert refuse(bearer(token), policy()) == "bad signature"


def test_changed_claims_break_the_signature(provider: IdentityProvider, refuse: Refuse) -> None:
    """The signature of one token does not carry another's claims."""
    genuine = provider.token(google_claims(NOW, email=STRANGER))
    wanted = provider.token(google_claims(NOW))
    forged = wanted.rpartition(".")[0] + "." + genuine.rpartition(".")[2]

    assert refuse(bearer(forged), policy()) == "bad signature"


@pytest.mark.parametrize(
    ("key_id", "reason"),
    [
        pytest.param("key-7", "unknown key", id="unknown"),
        pytest.param("", "unknown key", id="empty"),
        pytest.param(None, "no key id", id="null"),
        pytest.param(["key-1"], "no key id", id="list"),
    ],
)
def test_a_token_must_name_a_known_key(provider: IdentityProvider, refuse: Refuse, key_id: object, reason: str) -> None:
    """No key is guessed, even if one that is at hand would fit."""
    token = provider.token(google_claims(NOW), header={"kid": key_id})

    assert refuse(bearer(token), policy()) == reason


def test_a_certificate_of_another_kind_is_not_used(provider: IdentityProvider, refuse: Refuse) -> None:
    """An elliptic curve behind the key id is no key for RS256, whatever the signature."""
    provider.body = json.dumps({"key-1": certificate(ec_key())}).encode()
    token = provider.token(google_claims(NOW), sign=es256(ec_key()))

    assert refuse(bearer(token), policy()) == "the token cannot be checked (TypeError)"


# Behind Cloud Run IAM


def test_a_removed_signature_is_told_from_a_bad_one(provider: IdentityProvider, refuse: Refuse) -> None:
    """With mode `verify` a token whose signature Cloud Run removed is refused, and the log says what to do."""
    token = without_signature(provider.token(google_claims(NOW)))

    reason = refuse(bearer(token), policy())

    assert reason == "signature removed by the platform; where Cloud Run IAM checks it, set AUTH_MODE=platform"
    assert provider.fetches == 0


@pytest.mark.parametrize("arrives", [without_signature, str], ids=["signature-removed", "signature-kept"])
def test_mode_platform_leaves_the_signature_to_the_platform(
    provider: IdentityProvider, certificates: Certificates, arrives: Callable[[str], str]
) -> None:
    """With mode `platform` a token counts with and without its signature, and no certificate is fetched."""
    token = arrives(provider.token(google_claims(NOW)))

    assert authenticate(bearer(token), policy(AuthMode.PLATFORM), certificates=certificates, now=NOW) == CALLER
    assert provider.fetches == 0


def test_mode_platform_reads_the_header_that_iam_checks(provider: IdentityProvider, certificates: Certificates) -> None:
    """A caller that IAM knows cannot claim to be another one in the header that IAM ignores."""
    own = without_signature(provider.token(google_claims(NOW, email=STRANGER)))
    forged = without_signature(provider.token(google_claims(NOW)))
    headers = {"X-Serverless-Authorization": f"Bearer {own}", "Authorization": f"Bearer {forged}"}

    with pytest.raises(Forbidden):
        authenticate(headers, policy(AuthMode.PLATFORM), certificates=certificates, now=NOW)


def test_mode_platform_accepts_the_serverless_header(provider: IdentityProvider, certificates: Certificates) -> None:
    """An allowed caller may leave `Authorization` to something else."""
    token = without_signature(provider.token(google_claims(NOW)))
    headers = {"X-Serverless-Authorization": f"Bearer {token}", "Authorization": "Basic dXNlcjpwYXNz"}

    assert authenticate(headers, policy(AuthMode.PLATFORM), certificates=certificates, now=NOW) == CALLER


@pytest.mark.parametrize("useless", ["", "Bearer ", "Basic dXNlcjpwYXNz"])
def test_mode_platform_never_falls_back_to_the_other_header(
    provider: IdentityProvider, refuse: Refuse, useless: str
) -> None:
    """Nobody needs to know what IAM does with a useless header: its presence rules the other one out."""
    token = without_signature(provider.token(google_claims(NOW)))
    headers = {"X-Serverless-Authorization": useless, "Authorization": f"Bearer {token}"}

    assert refuse(headers, policy(AuthMode.PLATFORM)) == "no bearer token"


def test_repeated_headers_are_refused(provider: IdentityProvider, mode: AuthMode, refuse: Refuse) -> None:
    """A server joins repeated headers with a comma; nobody needs to know which of them IAM checked."""
    token = provider.token(google_claims(NOW))

    assert refuse({"Authorization": f"Bearer {token},Bearer {token}"}, policy(mode)) == "not three parts in base64url"


def test_mode_verify_does_not_read_the_serverless_header(provider: IdentityProvider, refuse: Refuse) -> None:
    """That header never arrives with a signature, so there is nothing to verify in it."""
    token = provider.token(google_claims(NOW))

    assert refuse({"X-Serverless-Authorization": f"Bearer {token}"}, policy()) == "no bearer token"


# The cron secret


@pytest.mark.parametrize("secret", ["s3cret", "with a space", "zürich", "密", "\udcff"])
def test_the_cron_secret_is_accepted_instead_of_a_token(
    mode: AuthMode, certificates: Certificates, provider: IdentityProvider, secret: str
) -> None:
    """Who knows the secret needs no token, whatever characters it is made of."""
    allowed = AuthPolicy(mode=mode, cron_secret=secret)

    assert authenticate(bearer(secret), allowed, certificates=certificates, now=NOW) == "cron-secret"
    assert provider.fetches == 0


@pytest.mark.parametrize("given", ["s3cre", "s3cret!", "S3CRET", "zürich", "密", "\udcff"])
def test_a_wrong_cron_secret_is_refused(refuse: Refuse, given: str) -> None:
    """Any other text is taken for a token, and is none."""
    assert refuse(bearer(given), policy(cron_secret="s3cret")) == "not three parts in base64url"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer  ", "bearer\t", " "])
def test_an_unset_cron_secret_never_matches(mode: AuthMode, refuse: Refuse, header: str) -> None:
    """An empty secret is no secret, so an empty token does not match it."""
    assert refuse({"Authorization": header}, policy(mode, cron_secret="")) == "no bearer token"


def test_the_cron_secret_needs_its_scheme(refuse: Refuse) -> None:
    """The bare secret, or the secret in another header, opens nothing."""
    headers = {"Authorization": "s3cret", "X-Serverless-Authorization": "Bearer s3cret", "X-CloudScheduler": "s3cret"}

    assert refuse(headers, policy(cron_secret="s3cret")) == "no bearer token"


def test_a_token_is_accepted_beside_a_cron_secret(provider: IdentityProvider, certificates: Certificates) -> None:
    """The secret is one way in, the token stays the other."""
    token = provider.token(google_claims(NOW))

    assert authenticate(bearer(token), policy(cron_secret="s3cret"), certificates=certificates, now=NOW) == CALLER


def test_the_cron_secret_is_not_shown() -> None:
    """A policy can be logged without giving the secret away."""
    assert "s3cret" not in repr(policy(cron_secret="s3cret"))


# Tokens of other issuers


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


# Certificates


def test_certificates_are_fetched_once_while_they_are_fresh(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """The max-age of the answer is honoured to the second."""
    expected = certificates.for_key("key-1", now=NOW)

    assert certificates.for_key("key-1", now=NOW + 3599 * SECOND) == expected
    assert provider.fetches == 1
    assert certificates.for_key("key-1", now=NOW + 3600 * SECOND) is not None
    assert provider.fetches == 2


@pytest.mark.parametrize("cache_control", [None, "", "no-store", "public, max-age=0", "max-age=soon"])
def test_certificates_without_max_age_are_fetched_again_after_ten_seconds(
    provider: IdentityProvider, certificates: Certificates, cache_control: str | None
) -> None:
    """Certificates that may not be kept are kept for 10 s all the same: a burst of requests costs one fetch."""
    provider.cache_control = cache_control

    fetches = []
    for offset in (0, 1, 9, 10):
        assert certificates.for_key("key-1", now=NOW + offset * SECOND) is not None
        fetches.append(provider.fetches)

    assert fetches == [1, 1, 1, 2]


def test_an_absurd_max_age_does_not_overflow(provider: IdentityProvider, certificates: Certificates) -> None:
    """A number of many digits means a long time."""
    provider.cache_control = "max-age=" + "9" * 5000

    assert certificates.for_key("key-1", now=NOW) is not None
    assert certificates.for_key("key-1", now=NOW + timedelta(days=365)) is not None
    assert provider.fetches == 1


def test_a_new_key_is_fetched_when_a_token_names_it(provider: IdentityProvider, certificates: Certificates) -> None:
    """A rotation before the certificates are too old costs one fetch, and the old key goes on working."""
    old = provider.token(google_claims(NOW))
    authenticate(bearer(old), policy(), certificates=certificates, now=NOW)
    provider.rotate()
    new = provider.token(google_claims(NOW))
    later = NOW + 60 * SECOND

    callers = [authenticate(bearer(token), policy(), certificates=certificates, now=later) for token in (new, new, old)]

    assert callers == [CALLER] * 3
    assert provider.fetches == 2


def test_unknown_keys_cause_one_fetch_in_ten_seconds(provider: IdentityProvider, refuse: Refuse) -> None:
    """However many keys are invented, the identity provider is asked at most once per interval."""
    fetches = []
    for offset in (0, 1, 9, 10, 11, 19, 20):
        token = provider.token(google_claims(NOW), header={"kid": f"invented-{offset}"})
        assert refuse(bearer(token), policy(), NOW + offset * SECOND) == "unknown key"
        fetches.append(provider.fetches)

    assert fetches == [1, 1, 1, 2, 2, 2, 3]


def test_callers_with_a_known_key_do_not_wait_for_a_fetch(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """While somebody's invented key is looked for, the others are served."""
    certificates.for_key("key-1", now=NOW)
    asked, answer = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        answer.wait(5)

    provider.hold = hold

    with ThreadPoolExecutor() as threads:
        invented = threads.submit(certificates.for_key, "invented", now=NOW + 60 * SECOND)
        asked.wait(5)
        known = threads.submit(certificates.for_key, "key-1", now=NOW + 60 * SECOND).result(timeout=2)
        answer.set()

    assert known is not None
    assert invented.result() is None


def test_threads_share_the_first_fetch(provider: IdentityProvider, certificates: Certificates) -> None:
    """Requests that arrive together on a new instance cause one fetch, and all get its result."""
    together = threading.Barrier(8)

    def look_up() -> str | None:
        together.wait(5)
        return certificates.for_key("key-1", now=NOW)

    with ThreadPoolExecutor(8) as threads:
        found = [look.result() for look in [threads.submit(look_up) for _ in range(8)]]

    assert len(set(found)) == 1
    assert None not in found
    assert provider.fetches == 1


GARBAGE = [
    pytest.param({"status": 500}, id="status-500"),
    pytest.param({"status": 404}, id="status-404"),
    pytest.param({"body": b""}, id="nothing"),
    pytest.param({"body": b"<html>"}, id="html"),
    pytest.param({"body": b"\xff\xfe\xff"}, id="binary"),
    pytest.param({"body": b"null"}, id="null"),
    pytest.param({"body": b"{}"}, id="no-certificates"),
    pytest.param({"body": b'["key-1"]'}, id="list"),
    pytest.param({"body": b'{"keys": [{"kid": "key-1", "x5c": "BEGIN CERTIFICATE"}]}'}, id="json-web-keys"),
    pytest.param({"body": b'{"key-1": "no certificate"}'}, id="no-pem"),
    pytest.param({"withheld": 1}, id="cut-off"),
    pytest.param({"body": b"[" * 100_000}, id="too-deep"),
    pytest.param({"body": b" " * 300_000 + b'{"key-1": "BEGIN CERTIFICATE"}'}, id="too-large"),
]


@pytest.mark.parametrize("fault", GARBAGE)
def test_without_certificates_the_answer_is_unavailable(
    provider: IdentityProvider,
    certificates: Certificates,
    logged: Logged,
    fault: dict[str, Any],
) -> None:
    """If certificates cannot be had, a token is neither good nor bad; the log says why, the caller is not told."""
    for name, value in fault.items():
        setattr(provider, name, value)
    token = provider.token(google_claims(NOW))

    with pytest.raises(CertificatesUnavailable, match=r"^The certificates to check a token with could not be fetched"):
        authenticate(bearer(token), policy(), certificates=certificates, now=NOW)

    (line,) = logged()
    assert line.pop("error") != ""
    assert line == {"level": "WARNING", "action": "certificates_unavailable", "url": provider.url}


@pytest.mark.parametrize("fault", GARBAGE)
def test_no_kind_of_failure_is_repeated_at_every_request(
    provider: IdentityProvider, certificates: Certificates, fault: dict[str, Any]
) -> None:
    """Whatever was wrong with the answer, the identity provider is asked once in ten seconds."""
    for name, value in fault.items():
        setattr(provider, name, value)

    for offset in (0, 1, 9):
        with pytest.raises(CertificatesUnavailable):
            certificates.for_key("key-1", now=NOW + offset * SECOND)

    assert provider.fetches == 1


def test_a_fetch_imports_no_http_library(provider: IdentityProvider) -> None:
    """urllib3 would cost the first answer of a new instance a third of its time."""
    now = "datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)"
    code = f"""
import datetime, sys
from shared.web.certificates import Certificates
print(Certificates({provider.url!r}).for_key("key-1", now={now}) is not None)
print(*{{"google.auth", "httplib2", "requests", "urllib3"}} & {{*sys.modules}})
"""

    printed = run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout

    assert printed.split() == ["True"]


def test_certificates_behind_a_redirect_are_found(provider: IdentityProvider) -> None:
    """They count for as long as the server says that has them."""
    with HttpServer({"/old": redirect("/older"), "/older": redirect(provider.url)}) as server:
        moved = Certificates(server.url("/old"))

        assert moved.for_key("key-1", now=NOW) == moved.for_key("key-1", now=NOW + 3599 * SECOND)

    assert provider.fetches == 1


@pytest.mark.parametrize(
    "answer", [redirect("/"), redirect("ftp://127.0.0.1/"), reply(302)], ids=["loop", "ftp", "bare"]
)
def test_a_redirect_that_leads_nowhere_is_unavailable(answer: Answer) -> None:
    """It ends, and is asked once."""
    with HttpServer({"/": answer}) as server, pytest.raises(CertificatesUnavailable):
        Certificates(server.url()).for_key("key-1", now=NOW)

    assert len(server.received) <= MAX_REDIRECTS + 1


def test_a_server_that_is_down_is_unavailable() -> None:
    """A refused connection is one more way to have no certificates."""
    with IdentityProvider() as provider:
        gone = Certificates(provider.url)

    with pytest.raises(CertificatesUnavailable):
        gone.for_key("key-1", now=NOW)


def test_a_server_that_hangs_is_unavailable(provider: IdentityProvider) -> None:
    """The time limit holds for an answer that does not come."""
    answer = threading.Event()
    provider.hold = lambda: answer.wait(5)
    impatient = Certificates(provider.url, timeout=timedelta(milliseconds=50))

    with pytest.raises(CertificatesUnavailable):
        impatient.for_key("key-1", now=NOW)
    answer.set()


def test_nobody_waits_longer_than_one_fetch(provider: IdentityProvider) -> None:
    """Requests that arrive while a fetch hangs share its end; they do not queue up for fetches of their own."""
    answer, together = threading.Event(), threading.Barrier(8)
    provider.hold = lambda: answer.wait(5)
    impatient = Certificates(provider.url, timeout=timedelta(milliseconds=200))

    def look_up() -> Exception | None:
        together.wait(5)
        # Each request has a time of its own; these are further apart than the interval.
        return error_of(lambda: impatient.for_key("key-1", now=NOW + next(apart) * FETCH_INTERVAL))

    apart = iter(range(8))
    with ThreadPoolExecutor(8) as threads:
        errors = [look.result() for look in [threads.submit(look_up) for _ in range(8)]]
    answer.set()

    assert [type(error) for error in errors] == [CertificatesUnavailable] * 8
    assert provider.fetches == 1


def test_after_a_clock_that_was_hours_ahead_a_new_key_becomes_known(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """A time in the future says nothing of when the last fetch was."""
    ahead = NOW + timedelta(hours=5)
    certificates.for_key("key-1", now=ahead)
    provider.rotate()

    assert certificates.for_key("key-2", now=NOW) is not None
    assert certificates.for_key("key-3", now=NOW + SECOND) is None
    assert provider.fetches == 2


def test_after_a_clock_that_was_hours_ahead_a_failed_fetch_is_repeated(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """An outage that was noted in the future ends when it ends."""
    provider.status = 503
    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-1", now=NOW + timedelta(hours=5))
    provider.status = 200

    assert certificates.for_key("key-1", now=NOW) is not None


def test_after_a_clock_that_was_hours_ahead_certificates_become_old_in_time(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """They are fetched again, since nobody knows how old they are, and count from then on."""
    certificates.for_key("key-1", now=NOW + timedelta(hours=5))

    fetches = []
    for offset in (0, 1, 3599, 3600):
        assert certificates.for_key("key-1", now=NOW + offset * SECOND) is not None
        fetches.append(provider.fetches)

    assert fetches == [2, 2, 2, 3]


def test_a_clock_that_is_a_little_behind_causes_no_fetch(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """Requests do not arrive in the order of their times."""
    certificates.for_key("key-1", now=NOW)

    assert certificates.for_key("key-1", now=NOW - SECOND) is not None
    assert certificates.for_key("key-7", now=NOW - 9 * SECOND) is None
    assert provider.fetches == 1


def test_a_failed_fetch_is_repeated_after_ten_seconds(provider: IdentityProvider, certificates: Certificates) -> None:
    """An outage does not cost a fetch per request, and its end is noticed."""
    provider.status = 503
    for offset in (0, 1, 9):
        with pytest.raises(CertificatesUnavailable):
            certificates.for_key("key-1", now=NOW + offset * SECOND)
    assert provider.fetches == 1

    provider.status = 200

    assert certificates.for_key("key-1", now=NOW + 10 * SECOND) is not None
    assert certificates.for_key("key-7", now=NOW + 11 * SECOND) is None
    assert provider.fetches == 2


def test_old_certificates_serve_for_an_hour_while_fetches_fail(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """An outage is bridged for the known keys, but not without end."""
    certificates.for_key("key-1", now=NOW)
    provider.status = 503
    too_old = NOW + timedelta(hours=2)

    assert certificates.for_key("key-1", now=too_old - SECOND) is not None
    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-7", now=too_old - SECOND)
    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-1", now=too_old)


def test_garbage_does_not_replace_good_certificates(provider: IdentityProvider, certificates: Certificates) -> None:
    """An answer that makes no sense leaves what was there."""
    certificates.for_key("key-1", now=NOW)
    provider.body = b"{}"

    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-7", now=NOW + 60 * SECOND)
    assert certificates.for_key("key-1", now=NOW + 60 * SECOND) is not None


def test_a_withdrawn_key_is_unknown_after_the_next_fetch(
    provider: IdentityProvider, certificates: Certificates, refuse: Refuse
) -> None:
    """What the identity provider no longer serves no longer counts."""
    token = provider.token(google_claims(NOW))
    authenticate(bearer(token), policy(), certificates=certificates, now=NOW)
    provider.rotate()
    del provider.key_ids[0]

    assert refuse(bearer(token), policy(), NOW + 3600 * SECOND) == "unknown key"
