"""An identity provider that tests own: it signs whatever it is asked to, and serves its certificates over HTTP.

The certificates are a map from key id to X.509 PEM, as at Google's `oauth2/v1/certs`. Nothing here leaves the machine.
"""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from watchkeeper.serving import serving

Sign = Callable[[bytes], bytes]

AUDIENCE = "https://europe-west1-example.cloudfunctions.net/watchkeeper-tick"
CALLER = "scheduler@example.iam.gserviceaccount.com"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return the RSA key of that name; it is made once per process, since making one is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a P-256 key, as ES256 wants it."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """Return a self-signed X.509 certificate (PEM) of a key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "identity provider of the tests")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2040, 1, 1, tzinfo=UTC),
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def server_certificate(key: rsa.RSAPrivateKey, name: str) -> str:
    """Return a self-signed certificate of an https server of this name, with its key (PEM)."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2040, 1, 1, tzinfo=UTC),
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return (certificate + key.private_bytes(*formats)).decode()


def rs256(key: rsa.RSAPrivateKey) -> Sign:
    """Sign as Google does."""
    return lambda signed: key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def hs256(secret: bytes) -> Sign:
    """Sign with a shared secret."""
    return lambda signed: hmac.digest(secret, signed, hashlib.sha256)


def es256(key: ec.EllipticCurvePrivateKey) -> Sign:
    """Sign with an elliptic curve."""

    def sign(signed: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def encode(header: object, claims: object, sign: Sign) -> str:
    """Return a signed token. Header and claims are any JSON values, or bytes that go in as they are."""
    signed = f"{_segment(header)}.{_segment(claims)}"
    return f"{signed}.{_base64url(sign(signed.encode()))}"


def google_claims(now: datetime, **changes: Any) -> dict[str, Any]:
    """Return what Google puts into a service account's token, with changes; None leaves a claim out."""
    claims = {
        "aud": AUDIENCE,
        "azp": "100000000000000000000",
        "email": CALLER,
        "email_verified": True,
        "exp": int((now + timedelta(hours=1)).timestamp()),
        "iat": int(now.timestamp()),
        "iss": "https://accounts.google.com",
        "sub": "100000000000000000000",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def without_signature(token: str) -> str:
    """Return a token as Cloud Run hands it on after it has checked it."""
    return token.rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"


class IdentityProvider:
    """Signs tokens with its current key and serves its certificates at `url` while it is entered.

    `fetches` counts the requests for certificates. How they are answered may be changed at any time: `status`, `body`
    (None: the certificates), `cache_control`, `withheld` (how many bytes are announced and never sent) and `hold` (a
    function that is called before each answer).
    """

    def __init__(self) -> None:
        self.fetches = 0
        self.status = 200
        self.body: bytes | None = None
        self.cache_control: str | None = "public, max-age=3600, must-revalidate, no-transform"
        self.withheld = 0
        self.hold: Callable[[], object] = lambda: None
        self.key_ids = ["key-1"]
        self._count = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serving = ExitStack()
        self.url = f"http://127.0.0.1:{self._server.server_port}/oauth2/v1/certs"

    def __enter__(self) -> Self:
        self._serving.enter_context(serving(self._server))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._serving.close()

    def token(self, claims: object, *, header: Mapping[str, Any] | None = None, sign: Sign | None = None) -> str:
        """Return a token with these claims, signed with the current key unless told otherwise.

        `header` adds to the usual header or replaces parts of it.
        """
        key_id = self.key_ids[-1]
        usual = {"alg": "RS256", "kid": key_id, "typ": "JWT"}
        return encode({**usual, **(header or {})}, claims, sign or rs256(rsa_key(key_id)))

    def rotate(self) -> None:
        """Sign with a new key from now on; the certificates of the old ones are still served."""
        self.key_ids.append(f"key-{len(self.key_ids) + 1}")

    def certificates(self) -> dict[str, str]:
        """Return what is served: the certificate of each key id."""
        return {key_id: certificate(rsa_key(key_id)) for key_id in self.key_ids}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with provider._count:
                    provider.fetches += 1
                provider.hold()
                certificates = json.dumps(provider.certificates()).encode()
                with suppress(ConnectionError):  # the client may have given up
                    self._answer(certificates if provider.body is None else provider.body)

            def _answer(self, body: bytes) -> None:
                self.send_response(provider.status)
                if provider.cache_control is not None:
                    self.send_header("Cache-Control", provider.cache_control)
                self.send_header("Content-Length", str(len(body) + provider.withheld))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Report nothing; the tests read the log."""

        return Handler


def _segment(value: object) -> str:
    return _base64url(value if isinstance(value, bytes) else json.dumps(value).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
