"""What a smoke test reaches past gcloud: the store of the deployment, and the functions themselves."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store.opening import open_store
from shared.store.protocol import Store

REQUEST_SECONDS = 70  # Cloud Run keeps a request for a minute until an instance is free


class HttpResponse(NamedTuple):
    """What came back from a function: the HTTP status, 0 without a response, and the body."""

    status: int
    body: bytes


class SendRequest(Protocol):
    """Sends a request."""

    def __call__(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None) -> HttpResponse:
        """Send it once, and follow no redirect."""
        ...


def open_deployed(settings: Settings) -> Store:
    """Open the store of a deployment with the credentials of this machine. Raises StoreUnavailable."""
    if settings.storage == "json":
        raise StoreUnavailable("its jobs are in a file, which only the function can read")
    if os.environ.get("FIRESTORE_EMULATOR_HOST"):
        raise StoreUnavailable("FIRESTORE_EMULATOR_HOST is set in this shell, so it would be the emulator: unset it")
    return open_store(settings, lambda: datetime.now(UTC))


def request(method: str, url: str, *, headers: Mapping[str, str], body: bytes | None) -> HttpResponse:
    """Send a request once, and follow no redirect."""
    from urllib3 import request
    from urllib3.exceptions import HTTPError

    try:
        response = request(
            method, url, headers=dict(headers), body=body, timeout=REQUEST_SECONDS, retries=False, redirect=False
        )
    except HTTPError:
        return HttpResponse(0, b"")
    return HttpResponse(response.status, response.data)


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The ways out; tests have ways of their own."""

    open_store: Callable[[Settings], Store] = open_deployed
    request: SendRequest = request
