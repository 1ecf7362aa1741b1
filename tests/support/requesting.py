"""Runs of the `http_request` handler, and URLs full of secrets that no message may contain."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.handlers import Context
from shared.handlers.http_request import http_request
from shared.web import outbound
from tests.support.servers import HttpServer, Received
from tests.support.tokens import rsa_key, server_certificate

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
KEY = "report@2026-11-21T09:00:00Z"
AUDIENCE = "https://reports.example"
URL = "https://reports.example/daily"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# A URL may hold all of these, and no message any of them.
SECRET_PATH = "/private-path"
SECRET_TARGET = f"{SECRET_PATH}?key=private-query#private-fragment"
SECRETS = ("lovelace", "hunter2", "private-path", "private-query", "private-fragment")
Fail = Callable[..., Exception]
Send = Callable[..., Received]


def new_context() -> Context:
    return Context(
        job_id="report",
        job_type="http_request",
        execution_key=KEY,
        attempt=2,
        schedule_at=NOW,
        started_at=NOW,
        deadline=NOW + timedelta(seconds=30),
    )


def outcome(payload: dict[str, Any]) -> Exception | None:
    """Run the handler and return the error it raised, or None."""
    try:
        http_request(payload, new_context())
    except Exception as exc:
        return exc
    return None


@contextmanager
def trusted_https(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """Serve https with a certificate for this name, which every request of this process trusts meanwhile."""
    pem = folder / "server.pem"
    pem.write_text(server_certificate(rsa_key("server"), name))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem)
    patch.setattr("certifi.where", lambda: str(pem))
    outbound._tls.cache_clear()
    with HttpServer(tls=tls) as server:
        yield server
    outbound._tls.cache_clear()
