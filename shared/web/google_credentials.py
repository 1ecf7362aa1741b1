"""Tokens of the identity that this runs as: Google's default credentials, or the metadata server's."""

from collections.abc import Callable
from typing import Any

from shared.web.outbound import within


class NoToken(Exception):
    """There is no token now; there may be one later."""


def identity_token(audience: str, ends_at: float) -> str:
    """Return an identity token for the audience. Raises NoToken, at the deadline at the latest."""
    from google.oauth2.id_token import fetch_id_token

    return _token("an identity token", lambda fetch: fetch_id_token(fetch, audience), ends_at)  # type: ignore[no-untyped-call]  # google-auth has no types


def access_token(scope: str, ends_at: float) -> str:
    """Return an access token for the scopes, which a space separates. Raises NoToken, at the deadline at the latest."""
    import google.auth

    def get(fetch: Any) -> str:
        credentials: Any
        credentials, _ = google.auth.default(scopes=scope.split(" "), request=fetch)
        credentials.refresh(fetch)
        token: str = credentials.token
        return token

    return _token("an access token", get, ends_at)


def _token(name: str, get: Callable[[Any], str], ends_at: float) -> str:
    import urllib3
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.urllib3 import Request

    def get_and_close() -> str:
        with urllib3.PoolManager(retries=False) as pool:  # google-auth has retries of its own
            return get(Request(pool))  # type: ignore[no-untyped-call]  # google-auth has no types

    try:
        return within(ends_at, get_and_close)
    except (GoogleAuthError, TimeoutError, LookupError, TypeError, ValueError) as exc:
        # The last three: an answer that is no token. Their texts may quote it.
        raise NoToken(f"could not get {name} ({type(exc).__name__})") from None
