"""A fake of Google's token endpoint and the IAM Credentials API: domain-wide delegation, with and without a key.

It checks requests as Google does, and answers with the documented errors. It has one service account, with a key that
it generates. The other fakes of Google sign the ID tokens of their calls with it; this one serves the certificate.

https://developers.google.com/identity/protocols/oauth2/service-account
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signJwt
"""

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from watchkeeper.fakes.server import Clock, Fake, Fault, Rejected, Request, Response, json_response, utc_now

METADATA_SCOPE = "https://www.googleapis.com/auth/gmail.metadata"
SERVICE_ACCOUNT = "watchkeeper@watchkeeper-local.iam.gserviceaccount.com"
SOURCE_TOKEN = "ya29.fake-source-token"
GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"
CERTS_PATH = "/oauth2/v1/certs"
SUBJECT = "100000000000000000000"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_LIFETIME = timedelta(seconds=3599)
LONGEST_ASSERTION = timedelta(hours=1)
CLOCK_SKEW = timedelta(minutes=5)
SIGN_JWT = re.compile(r"/v1/projects/-/serviceAccounts/([^/:]+):signJwt")


def oauth_error(status: int, error: str, description: str) -> Response:
    """Return an error in the form of the token endpoint."""
    return json_response({"error": error, "error_description": description}, status)


def api_error(code: int, status: str, message: str, **error: str) -> Response:
    """Return an error in the form of a Google API; `error` completes the list of errors that older APIs have."""
    errors = {"errors": [{"message": message, "domain": "global", **error}]} if error else {}
    return json_response({"error": {"code": code, "message": message, **errors, "status": status}}, code)


def unauthenticated(token: str, **error: str) -> Response:
    """Return a Google API's error for an invalid access token, or for a missing one ("")."""
    said = "had invalid authentication credentials" if token else "is missing required authentication credential"
    message = (
        f"Request {said}. Expected OAuth 2 access token, login cookie or other valid authentication credential. "
        "See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    return api_error(401, "UNAUTHENTICATED", message, **error)


NOT_DELEGATED = oauth_error(
    401,
    "unauthorized_client",
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the "
    "scopes requested.",
)
UNKNOWN_USER = oauth_error(400, "invalid_grant", "Invalid email or User ID")
NO_TOKEN_CREATOR = api_error(
    403,
    "PERMISSION_DENIED",
    "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist).",
)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The rights of an access token: to act as `subject`, within `scopes`."""

    subject: str
    scopes: frozenset[str]


def _unavailable(request: Request) -> Response:
    if request.path == "/token":
        return oauth_error(503, "temporarily_unavailable", "The service is currently unavailable.")
    return api_error(503, "UNAVAILABLE", "The service is currently unavailable.")


def _internal(request: Request) -> Response:
    if request.path == "/token":
        return oauth_error(500, "internal_failure", "Backend Error")
    return api_error(500, "INTERNAL", "Internal error encountered.")


def _rate_limit(request: Request) -> Response:
    if request.path == "/token":
        return oauth_error(429, "rate_limit_exceeded", "Rate Limit Exceeded")
    return api_error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")


class GoogleOAuth(Fake):
    """Grants access tokens to one service account: for itself within any scope, and for mailboxes by delegation.

    `users` are the existing mailboxes (None: every mailbox exists), `scopes` those that the domain's administrator has
    authorised for delegation. The holder of `source_token` may have assertions signed by the service account.
    """

    name = "Google OAuth and IAM Credentials"
    documented_errors: ClassVar[Mapping[str, Fault]] = {
        "not-delegated": NOT_DELEGATED,
        "unknown-user": UNKNOWN_USER,
        "no-token-creator": NO_TOKEN_CREATOR,
        "unavailable": _unavailable,
        "internal": _internal,
        "rate-limit": _rate_limit,
    }

    def __init__(
        self,
        *,
        port: int = 0,
        users: Iterable[str] | None = None,
        scopes: Iterable[str] = (METADATA_SCOPE,),
        service_account: str = SERVICE_ACCOUNT,
        source_token: str = SOURCE_TOKEN,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(port=port, clock=clock)
        self.users = None if users is None else {user.lower() for user in users}
        self.scopes = set(scopes)
        self.service_account = service_account
        self.source_token = source_token
        self.token_url = f"{self.url}/token"
        self.certs_url = f"{self.url}{CERTS_PATH}"
        self._key = _key()
        self._grants: dict[str, tuple[Grant, datetime]] = {}

    def answer(self, request: Request) -> Response:
        """Answer /token, signJwt and the certificates."""
        if (request.method, request.path) == ("GET", CERTS_PATH):
            return json_response({self._key_id(): _certificate()}, headers={"Cache-Control": "public, max-age=3600"})
        if (request.method, request.path) == ("POST", "/token"):
            return self._token(dict(parse_qsl(request.body.decode("utf-8", "replace"))))
        if request.method == "POST" and (asked := SIGN_JWT.fullmatch(request.path)):
            return self._sign_jwt(asked[1], request)
        return api_error(404, "NOT_FOUND", "Method not found.")

    def state(self) -> dict[str, Any]:
        """Return the mailboxes and scopes of the delegation, and the number of tokens."""
        return {
            "service_account": self.service_account,
            "users": None if self.users is None else sorted(self.users),
            "scopes": sorted(self.scopes),
            "granted": len(self._grants),
        }

    def grant_of(self, access_token: str) -> Grant | None:
        """Return the rights of a token, or None if it is unknown or has expired."""
        grant, expires_at = self._grants.get(access_token, (None, None))
        return grant if expires_at and self._clock() < expires_at else None

    def id_token(self, email: str, audience: str) -> str:
        """Return an ID token of a service account, as Google's services send it."""
        now = int(self._clock().timestamp())
        account = {"azp": SUBJECT, "email": email, "email_verified": True, "sub": SUBJECT}
        times = {"iat": now, "exp": now + int(LONGEST_ASSERTION.total_seconds())}
        return self._signed({"aud": audience, "iss": "https://accounts.google.com", **account, **times})

    def write_key_file(self, path: Path) -> None:
        """Write a key file of the service account in Google's format, with mode 0600."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)  # the file may have existed before
            json.dump(self._key_file(), file, indent=2)

    # -- The token endpoint --------------------------------------------------------------------------------------------

    def _token(self, form: Mapping[str, str]) -> Response:
        if (grant_type := form.get("grant_type", "")) != JWT_BEARER:
            raise Rejected(oauth_error(400, "unsupported_grant_type", f"Invalid grant_type: {grant_type}"))
        grant = self._grant(self._claims(form.get("assertion", "")))
        token = f"ya29.fake-{secrets.token_urlsafe(24)}"
        self._grants[token] = (grant, self._clock() + TOKEN_LIFETIME)
        lifetime = int(TOKEN_LIFETIME.total_seconds())
        return json_response({"access_token": token, "expires_in": lifetime, "token_type": "Bearer"})

    def _claims(self, assertion: str) -> dict[str, Any]:
        """Check an assertion and return its claims."""
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (json.loads(_decoded(segment)) for segment in signed.split("."))
            issuer, algorithm = claims["iss"], header["alg"]
            signature_bytes = _decoded(signature)
        except (ValueError, TypeError, KeyError) as exc:
            raise Rejected(oauth_error(400, "invalid_grant", "Bad Request")) from exc
        if issuer != self.service_account:
            raise Rejected(oauth_error(400, "invalid_grant", "Invalid grant: account not found"))
        if algorithm != "RS256" or not self._has_signed(signed.encode(), signature_bytes):
            raise Rejected(oauth_error(400, "invalid_grant", "Invalid JWT Signature."))
        self._check_audience(claims)
        self._check_times(claims)
        return dict(claims)

    def _has_signed(self, signed: bytes, signature: bytes) -> bool:
        try:
            self._key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        if claims.get("aud") not in (self.token_url, GOOGLE_TOKEN_URL):
            description = f"Invalid JWT: Failed audience check. The right audience is {GOOGLE_TOKEN_URL}"
            raise Rejected(oauth_error(400, "invalid_grant", description))

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        issued, expires, now = claims.get("iat"), claims.get("exp"), self._clock().timestamp()
        if (
            not isinstance(issued, int)
            or not isinstance(expires, int)
            or issued > now + CLOCK_SKEW.total_seconds()
            or expires <= now
            or expires - issued > LONGEST_ASSERTION.total_seconds()
        ):
            description = (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
            raise Rejected(oauth_error(400, "invalid_grant", description))

    def _grant(self, claims: Mapping[str, Any]) -> Grant:
        scopes = frozenset(str(claims.get("scope") or "").split())
        if not scopes:
            raise Rejected(oauth_error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided."))
        subject = str(claims.get("sub") or self.service_account).lower()
        # A service account may act as itself within any scope.
        if subject != self.service_account:
            if not scopes <= self.scopes:
                raise Rejected(NOT_DELEGATED)
            if self.users is not None and subject not in self.users:
                raise Rejected(UNKNOWN_USER)
        return Grant(subject=subject, scopes=scopes)

    # -- IAM Credentials -----------------------------------------------------------------------------------------------

    def _sign_jwt(self, service_account: str, request: Request) -> Response:
        if (token := request.bearer_token()) != self.source_token:
            raise Rejected(unauthenticated(token))
        if service_account != self.service_account:
            raise Rejected(NO_TOKEN_CREATOR)
        try:
            claims = json.loads(request.json()["payload"])
        except (ValueError, TypeError, KeyError) as exc:
            message = "The payload must be a JSON object with a JWT Claims Set."
            raise Rejected(api_error(400, "INVALID_ARGUMENT", message)) from exc
        return json_response({"keyId": self._key_id(), "signedJwt": self._signed(claims)})

    def _signed(self, claims: Any) -> str:
        header = {"alg": "RS256", "kid": self._key_id(), "typ": "JWT"}
        signed = ".".join(_segment(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{_segment(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    # -- The key -------------------------------------------------------------------------------------------------------

    def _key_id(self) -> str:
        """Return an id that looks like Google's: forty hexadecimal digits."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(public).hexdigest()[:40]

    def _key_file(self) -> dict[str, str]:
        private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": self.service_account.partition("@")[2].partition(".")[0],
            "private_key_id": self._key_id(),
            "private_key": private.decode(),
            "client_email": self.service_account,
            "client_id": "100000000000000000000",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.token_url,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{quote(self.service_account)}",
            "universe_domain": "googleapis.com",
        }


@cache
def _key() -> rsa.RSAPrivateKey:
    """Generate the key, once per process because that is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _certificate() -> str:
    """Return a self-signed certificate of the key, as PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a fake of Google")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=_key().public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2120, 1, 1, tzinfo=UTC),
    )
    return builder.sign(_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
