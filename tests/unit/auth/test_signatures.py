"""The algorithm, the key and the signature of a token."""

import json
from collections.abc import Callable

import pytest

from shared.settings import AuthMode
from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.support.callers import NO_OBJECTS, NOW, STRANGER, Issue, Refuse, bearer, policy
from tests.support.tokens import (
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
def test_a_header_that_is_not_an_object_is_refused(mode: AuthMode, refuse: Refuse, header: object, reason: str) -> None:
    """Only a JSON object is a token header."""
    token = encode(header, google_claims(NOW), rs256(rsa_key("key-1")))

    assert refuse(bearer(token), policy(mode)) == reason


def test_an_unsigned_token_is_refused(refuse: Refuse) -> None:
    """The classic attack: algorithm `none` and an empty signature."""
    token = encode({"alg": "none", "typ": "JWT"}, google_claims(NOW), lambda signed: b"")

    assert refuse(bearer(token), policy()) == "not three parts in base64url"


@pytest.mark.parametrize(
    ("alg", "reason"), [("HS256", "an algorithm other than RS256"), ("RS256", "bad signature")], ids=["HS256", "RS256"]
)
def test_a_certificate_is_not_used_as_a_shared_secret(
    provider: IdentityProvider, refuse: Refuse, alg: str, reason: str
) -> None:
    """The other classic attack: a MAC whose secret is the public certificate."""
    sign = hs256(provider.certificates()["key-1"].encode())
    token = provider.token(google_claims(NOW), header={"alg": alg}, sign=sign)

    assert refuse(bearer(token), policy()) == reason


def test_a_signature_with_another_key_is_bad(provider: IdentityProvider, refuse: Refuse) -> None:
    """The key named by the token did not sign it; its claims are not logged."""
    token = provider.token(google_claims(NOW, email=STRANGER), sign=rs256(rsa_key("stranger")))

    assert refuse(bearer(token), policy()) == "bad signature"


def test_changed_claims_break_the_signature(provider: IdentityProvider, refuse: Refuse) -> None:
    """The signature of one token does not fit another's claims."""
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
    """No key is guessed, even if a known one would fit."""
    token = provider.token(google_claims(NOW), header={"kid": key_id})

    assert refuse(bearer(token), policy()) == reason


def test_a_certificate_of_another_kind_is_not_used(provider: IdentityProvider, refuse: Refuse) -> None:
    """An elliptic curve behind the key id is not a key for RS256, whatever the signature is."""
    provider.body = json.dumps({"key-1": certificate(ec_key())}).encode()
    token = provider.token(google_claims(NOW), sign=es256(ec_key()))

    assert refuse(bearer(token), policy()) == "the token cannot be checked (TypeError)"


def test_the_log_tells_a_removed_signature_from_a_bad_one(provider: IdentityProvider, refuse: Refuse) -> None:
    """Mode `verify` refuses a token whose signature Cloud Run removed, and the log has the remedy."""
    token = without_signature(provider.token(google_claims(NOW)))

    reason = refuse(bearer(token), policy())

    assert reason == "signature removed by the platform; where Cloud Run IAM checks it, set AUTH_MODE=platform"
    assert provider.fetches == 0


@pytest.mark.parametrize("arrives", [without_signature, str], ids=["signature-removed", "signature-kept"])
def test_mode_platform_leaves_the_signature_to_the_platform(
    provider: IdentityProvider, certificates: Certificates, arrives: Callable[[str], str]
) -> None:
    """Mode `platform` accepts a token with or without its signature and fetches no certificate."""
    token = arrives(provider.token(google_claims(NOW)))

    assert authenticate(bearer(token), policy(AuthMode.PLATFORM), certificates=certificates, now=NOW) == CALLER
    assert provider.fetches == 0
