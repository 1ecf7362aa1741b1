"""Who is calling: the bearer token of a request, checked against what the operator allows.

Apart from the endpoint because the Chat function checks tokens of other issuers with the same functions. Everything is
refused by default: without an audience and a caller in the settings no token is accepted. The log has the reason of a
refusal, the caller never sees it, and no part of a token is logged.
"""

import base64
import hmac
import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol

from shared.errors import CertificatesUnavailable, Forbidden, Unauthorized, WatchkeeperError
from shared.settings import AuthMode, AuthPolicy
from shared.web.certificates import Certificates

log = logging.getLogger("watchkeeper.auth")

GOOGLE_ISSUERS = ("accounts.google.com", "https://accounts.google.com")

CLOCK_SKEW = timedelta(seconds=10)

_LONGEST_TOKEN = 16 * 1024
_LONGEST_CLAIM = 200  # characters of it in the log
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_REMOVED_SIGNATURE = "SIGNATURE_REMOVED_BY_GOOGLE"


class Headers(Protocol):
    """Request headers. Names are looked up as they are usually written; werkzeug's headers ignore case."""

    def get(self, name: str, /) -> str | None: ...


def authenticate(headers: Headers, policy: AuthPolicy, *, certificates: Certificates, now: datetime) -> str:
    """Return who sends a request: a service account's e-mail address, `cron-secret`, or `anonymous` with mode `off`.

    Raises `Unauthorized` without a valid proof of identity, `Forbidden` when the identity is not allowed, and
    `CertificatesUnavailable` when the proof cannot be checked now. Other headers (`X-CloudScheduler*`) prove nothing.
    """
    if policy.mode is AuthMode.OFF:
        return "anonymous"
    if _is_secret(_credentials(headers.get("Authorization")), policy.cron_secret):
        return "cron-secret"
    return verified_caller(bearer_token(headers, policy.mode), policy, certificates=certificates, now=now)


def bearer_token(headers: Headers, mode: AuthMode) -> str:
    """Return the token that identifies the sender of a request. Raises `Unauthorized` if there is none."""
    header = headers.get("Authorization")
    if mode is AuthMode.PLATFORM:
        # Cloud Run IAM looks at this header first and then ignores the other one, in which a caller could write
        # any claims. So it counts whenever it is present, even if it holds nothing useful.
        serverless = headers.get("X-Serverless-Authorization")
        header = header if serverless is None else serverless
    token = _credentials(header)
    if not token:
        raise _refused("no bearer token")
    return token


def verified_caller(token: str, policy: AuthPolicy, *, certificates: Certificates, now: datetime) -> str:
    """Return the e-mail address (lower case) of the service account that a Google token identifies.

    Raises as `authenticate` does.
    """
    if not (policy.audiences and policy.callers):
        raise _refused("no audience or no caller is configured")
    claims = verified_claims(
        token,
        mode=policy.mode,
        audiences=policy.audiences,
        issuers=GOOGLE_ISSUERS,
        certificates=certificates,
        now=now,
    )
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        raise _refused("no verified e-mail address")
    caller = email.lower()
    if caller not in {allowed.lower() for allowed in policy.callers}:
        # Any other address belongs to a person, whose name stays out of the log.
        named = {"caller": caller} if caller.endswith(".gserviceaccount.com") else {}
        raise _refused("the caller is not on the list", Forbidden, named)
    return caller


def claimed_issuer(token: str) -> str:
    """Return the issuer that a token claims, or "". It proves nothing: it only chooses the check."""
    match = _TOKEN.fullmatch(token) if len(token) <= _LONGEST_TOKEN else None
    try:
        issuer = json.loads(_decoded(match[2]))["iss"] if match else ""
    except Exception:  # as in `verified_claims`
        return ""
    return issuer if isinstance(issuer, str) else ""


def verified_claims(
    token: str,
    *,
    mode: AuthMode,
    audiences: tuple[str, ...],
    issuers: tuple[str, ...],
    certificates: Certificates,
    now: datetime,
) -> dict[str, Any]:
    """Return the claims of a token that one of `issuers` signed for one of `audiences` and that is valid at `now`.

    With mode `platform` the signature is not checked: Cloud Run IAM has done that, for the token in the header only.
    Raises `Unauthorized`, or `CertificatesUnavailable` when the signature cannot be checked now.
    """
    try:
        header, claims = _parsed_token(token)
        came = {
            "issuer": _for_log(claims.get("iss")),
            "expected_issuers": ", ".join(issuers),
            "audience": _for_log(claims.get("aud")),
            "expected_audiences": ", ".join(audiences),
        }
        if mode is not AuthMode.PLATFORM:
            _check_signature(token, header.get("kid"), came=came, certificates=certificates, now=now)
        if claims.get("iss") not in issuers:
            raise _refused("wrong issuer", fields=came)
        if claims.get("aud") not in audiences:
            raise _refused("wrong audience", fields=came)
        _check_times(claims, now)
    except (Unauthorized, CertificatesUnavailable):
        raise
    except Exception as exc:
        # Any error here comes from a stranger's token, and its text could quote the token.
        raise _refused(f"the token cannot be checked ({type(exc).__name__})") from None
    return claims


def _parsed_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if len(token) > _LONGEST_TOKEN:
        raise _refused("a token longer than 16 KiB")
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise _refused("not three parts in base64url")
    header, claims = (json.loads(_decoded(part)) for part in match.groups())
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _refused("header or claims are not a JSON object")
    if header.get("alg") != "RS256":
        raise _refused("an algorithm other than RS256")
    return header, claims


def _check_signature(
    token: str, key_id: object, *, came: Mapping[str, str], certificates: Certificates, now: datetime
) -> None:
    signed, _, signature = token.rpartition(".")
    if signature == _REMOVED_SIGNATURE:
        raise _refused("signature removed by the platform; where Cloud Run IAM checks it, set AUTH_MODE=platform")
    if not isinstance(key_id, str):
        raise _refused("no key id")
    certificate = certificates.for_key(key_id, now=now)
    if certificate is None:
        raise _refused("unknown key", fields=came)  # as for a token of another issuer
    if not _is_signed(signed.encode(), _decoded(signature), certificate):
        raise _refused("bad signature")


def _is_signed(signed: bytes, signature: bytes, certificate: str) -> bool:
    """Return whether the RSA key of a certificate (X.509, PEM) made an RS256 signature. Raises for any other key."""
    # Here, because a start without a token needs none of it; and not by google.auth, which takes 30 ms more to import.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509 import load_pem_x509_certificate

    key = load_pem_x509_certificate(certificate.encode()).public_key()
    if not isinstance(key, RSAPublicKey):
        raise TypeError("not an RSA key")
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    # The skew is applied to `now`, because a claim may lie at the very end of what a datetime can hold.
    if now - CLOCK_SKEW > _moment(claims, "exp"):
        raise _refused("expired")
    starts = ("iat", "nbf") if "nbf" in claims else ("iat",)
    if any(now + CLOCK_SKEW < _moment(claims, name) for name in starts):
        raise _refused("not yet valid")


def _for_log(claim: object) -> str:
    """Return the beginning of a claim that is a text, or else its type."""
    return claim[:_LONGEST_CLAIM] if isinstance(claim, str) else type(claim).__name__


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    seconds = claims.get(name)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise _refused(f"{name} is not a number of seconds")
    return datetime.fromtimestamp(seconds, UTC)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _credentials(header: str | None) -> str:
    scheme, _, credentials = (header or "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _is_secret(given: str, secret: str) -> bool:
    # As bytes, because compare_digest refuses text that is not ASCII; surrogates stand for bytes that are not UTF-8.
    return bool(secret) and hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), secret.encode("utf-8", "surrogatepass")
    )


def _refused(
    reason: str, error: type[WatchkeeperError] = Unauthorized, fields: Mapping[str, str] = MappingProxyType({})
) -> WatchkeeperError:
    fields = {"action": "auth_refused", "reason": reason, **fields}
    log.warning("Request refused: %s", reason, extra={"fields": fields})
    return error()
