"""Tokens of the identity that this runs as: Google's default credentials, or the metadata server's.

Credentials are found once and shared by all threads. google-auth bounds each wait but not the whole, so everything is
done within a deadline here, over connections that end with it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from shared.web.outbound import time_left, within

_NO_TOKEN = (AttributeError, LookupError, TypeError, ValueError)  # from what is made of an answer or a key file

T = TypeVar("T")
Fetch = Any  # a google.auth.transport.Request, or what can be called like one

_finding = threading.Lock()
_refreshing = threading.Lock()
_known: dict[str, Any] = {}  # the credentials that were found, by scope


class NoToken(Exception):
    """There is no token now; there may be one later.

    `said` is the text of Google's library, for the operator: it may quote a response, but never a token.
    """

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def identity_token(audience: str, ends_at: float) -> str:
    """Return an identity token for the audience. Raises NoToken, at the deadline at the latest."""
    from google.oauth2.id_token import fetch_id_token

    def get() -> str:
        with _transport(ends_at) as fetch:
            return fetch_id_token(fetch, audience)  # type: ignore[no-untyped-call,no-any-return]  # it has no types

    return _bounded("an identity token", get, ends_at)


def access_token(scope: str, ends_at: float, *, refused: str = "") -> str:
    """Return an access token for the scopes (separated by spaces) that stays valid for some minutes.

    A token that was refused is replaced, once for all threads that have it. Raises NoToken, at the deadline at the
    latest.
    """
    credentials = default_credentials(scope, ends_at)
    if not _has_token(credentials, refused):
        with _locked(_refreshing, ends_at):
            if not _has_token(credentials, refused):  # unless another thread has fetched one meanwhile
                refresh(credentials, ends_at)
    token: str = credentials.token
    return token


def default_credentials(scope: str, ends_at: float) -> Any:
    """Return the credentials of this environment, which may have no token yet. Raises NoToken."""
    with _locked(_finding, ends_at):
        if scope not in _known:  # a look-up takes a thread, which each of many hand-overs should not pay for
            _known[scope] = _bounded("an access token", lambda: _found(scope, ends_at), ends_at)
        return _known[scope]


def refresh(credentials: Any, ends_at: float, fetch: Fetch | None = None) -> None:
    """Fetch a new access token for the credentials, with `fetch` instead of a connection. Raises NoToken."""

    def get() -> None:
        with _transport(ends_at) as own:
            credentials.refresh(fetch or own)

    _bounded("an access token", get, ends_at)


def _has_token(credentials: Any, refused: str) -> bool:
    return bool(credentials.valid and credentials.token != refused)


def _found(scope: str, ends_at: float) -> Any:
    import google.auth

    with _transport(ends_at) as fetch:
        credentials, _ = google.auth.default(scopes=scope.split(" "), request=fetch)
    return credentials


@contextmanager
def _transport(ends_at: float) -> Iterator[Fetch]:
    import urllib3
    from google.auth.transport.urllib3 import Request

    with urllib3.PoolManager(retries=False) as pool:  # google-auth has retries of its own
        request: Any = Request(pool)  # type: ignore[no-untyped-call]  # google-auth has no types

        def fetch(*args: Any, timeout: float | None = None, **given: Any) -> Any:
            left = time_left(ends_at)
            return request(*args, timeout=left if timeout is None else min(timeout, left), **given)

        yield fetch


@contextmanager
def _locked(lock: threading.Lock, ends_at: float) -> Iterator[None]:
    """Hold the lock. Every holder has a deadline, too. Raises NoToken if this one passes first."""
    if not lock.acquire(timeout=max(ends_at - time.monotonic(), 0)):
        raise _no_token("an access token", TimeoutError("timed out"))
    try:
        yield
    finally:
        lock.release()


def _bounded(name: str, get: Callable[[], T], ends_at: float) -> T:
    from google.auth.exceptions import GoogleAuthError

    try:
        return within(ends_at, get)
    except (GoogleAuthError, OSError, *_NO_TOKEN) as exc:
        raise _no_token(name, exc) from None


def _no_token(name: str, exc: Exception) -> NoToken:
    return NoToken(f"could not get {name} ({type(exc).__name__})", _said(exc))


def _said(exc: Exception) -> str:
    from google.auth.exceptions import GoogleAuthError

    if isinstance(exc, _NO_TOKEN):
        return f"no valid token in the response ({type(exc).__name__})"  # its text may quote the response
    # google-auth wraps errors of urllib3, and at the metadata server its own, which may quote a response.
    cause = next((arg for arg in exc.args if isinstance(arg, Exception)), exc)
    if isinstance(cause, GoogleAuthError) and cause is not exc:
        return _said(cause)
    if isinstance(exc, OSError) or cause is not exc:
        name = type(cause).__name__
        return f"no response ({'timed out' if 'Timeout' in name else name})"
    return " ".join(arg for arg in exc.args if isinstance(arg, str)) or str(exc)
