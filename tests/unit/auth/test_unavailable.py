"""An identity provider that cannot be reached or answers garbage."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import CertificatesUnavailable
from shared.web.auth import authenticate
from shared.web.certificates import FETCH_INTERVAL, MAX_REDIRECTS, Certificates
from tests.support.callers import NOW, SECOND, Logged, bearer, policy
from tests.support.servers import Answer, HttpServer, redirect, reply
from tests.support.tokens import IdentityProvider, google_claims


def error_of(work: Callable[[], object]) -> Exception | None:
    """Return the error that the work raises, or None."""
    try:
        work()
    except Exception as exc:
        return exc
    return None


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
    """Without certificates a token is neither valid nor invalid; the log has the reason, the answer does not."""
    for name, value in fault.items():
        setattr(provider, name, value)
    token = provider.token(google_claims(NOW))

    with pytest.raises(CertificatesUnavailable, match=r"^The certificates to check a token with could not be fetched"):
        authenticate(bearer(token), policy(), certificates=certificates, now=NOW)

    (line,) = logged()
    assert line.pop("error") != ""
    assert line == {"level": "WARNING", "action": "certificates_unavailable", "url": provider.url}


@pytest.mark.parametrize("fault", GARBAGE)
def test_a_failed_fetch_is_not_repeated_at_every_request(
    provider: IdentityProvider, certificates: Certificates, fault: dict[str, Any]
) -> None:
    """After any wrong answer, the identity provider is asked at most once in ten seconds."""
    for name, value in fault.items():
        setattr(provider, name, value)

    for offset in (0, 1, 9):
        with pytest.raises(CertificatesUnavailable):
            certificates.for_key("key-1", now=NOW + offset * SECOND)

    assert provider.fetches == 1


@pytest.mark.parametrize(
    "answer", [redirect("/"), redirect("ftp://127.0.0.1/"), reply(302)], ids=["loop", "ftp", "bare"]
)
def test_a_redirect_that_leads_nowhere_is_unavailable(answer: Answer) -> None:
    """The number of requests is bounded."""
    with HttpServer({"/": answer}) as server, pytest.raises(CertificatesUnavailable):
        Certificates(server.url()).for_key("key-1", now=NOW)

    assert len(server.received) <= MAX_REDIRECTS + 1


def test_a_server_that_is_down_is_unavailable() -> None:
    """A refused connection means that there are no certificates."""
    with IdentityProvider() as provider:
        gone = Certificates(provider.url)

    with pytest.raises(CertificatesUnavailable):
        gone.for_key("key-1", now=NOW)


def test_a_server_that_hangs_is_unavailable(provider: IdentityProvider) -> None:
    """The time limit applies to an answer that does not come."""
    answer = threading.Event()
    provider.hold = lambda: answer.wait(5)
    impatient = Certificates(provider.url, timeout=timedelta(milliseconds=50))

    with pytest.raises(CertificatesUnavailable):
        impatient.for_key("key-1", now=NOW)
    answer.set()


def test_nobody_waits_longer_than_one_fetch(provider: IdentityProvider) -> None:
    """Requests that arrive while a fetch hangs share its failure; they do not queue for further fetches."""
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


def test_after_a_clock_that_was_hours_ahead_a_failed_fetch_is_repeated(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """A failure recorded in the future does not delay the next fetch."""
    provider.status = 503
    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-1", now=NOW + timedelta(hours=5))
    provider.status = 200

    assert certificates.for_key("key-1", now=NOW) is not None


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
    """The known keys still work in an outage, but not for ever."""
    certificates.for_key("key-1", now=NOW)
    provider.status = 503
    too_old = NOW + timedelta(hours=2)

    assert certificates.for_key("key-1", now=too_old - SECOND) is not None
    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-7", now=too_old - SECOND)
    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-1", now=too_old)


def test_garbage_does_not_replace_good_certificates(provider: IdentityProvider, certificates: Certificates) -> None:
    """An invalid answer leaves the old certificates."""
    certificates.for_key("key-1", now=NOW)
    provider.body = b"{}"

    with pytest.raises(CertificatesUnavailable):
        certificates.for_key("key-7", now=NOW + 60 * SECOND)
    assert certificates.for_key("key-1", now=NOW + 60 * SECOND) is not None
