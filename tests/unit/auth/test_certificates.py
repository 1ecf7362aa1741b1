"""How often certificates are fetched, and how long they count."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from subprocess import run

import pytest

from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.support.callers import NOW, SECOND, Refuse, bearer, policy
from tests.support.servers import HttpServer, redirect
from tests.support.tokens import CALLER, IdentityProvider, google_claims


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
    """Certificates that may not be cached are kept for 10 s all the same, so a burst of requests costs one fetch."""
    provider.cache_control = cache_control

    fetches = []
    for offset in (0, 1, 9, 10):
        assert certificates.for_key("key-1", now=NOW + offset * SECOND) is not None
        fetches.append(provider.fetches)

    assert fetches == [1, 1, 1, 2]


def test_an_absurd_max_age_does_not_overflow(provider: IdentityProvider, certificates: Certificates) -> None:
    """A number with many digits means a long time."""
    provider.cache_control = "max-age=" + "9" * 5000

    assert certificates.for_key("key-1", now=NOW) is not None
    assert certificates.for_key("key-1", now=NOW + timedelta(days=365)) is not None
    assert provider.fetches == 1


def test_a_new_key_is_fetched_when_a_token_names_it(provider: IdentityProvider, certificates: Certificates) -> None:
    """A rotation before the certificates expire costs one fetch, and the old key still works."""
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
    """They are served while an unknown key is looked up."""
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
    """Concurrent requests on a new instance cause one fetch and share its result."""
    together = threading.Barrier(8)

    def look_up() -> str | None:
        together.wait(5)
        return certificates.for_key("key-1", now=NOW)

    with ThreadPoolExecutor(8) as threads:
        found = [look.result() for look in [threads.submit(look_up) for _ in range(8)]]

    assert len(set(found)) == 1
    assert None not in found
    assert provider.fetches == 1


def test_a_fetch_imports_no_http_library(provider: IdentityProvider) -> None:
    """urllib3 would take a third of a new instance's time to its first answer."""
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
    """They count for as long as the last server says."""
    with HttpServer({"/old": redirect("/older"), "/older": redirect(provider.url)}) as server:
        moved = Certificates(server.url("/old"))

        assert moved.for_key("key-1", now=NOW) == moved.for_key("key-1", now=NOW + 3599 * SECOND)

    assert provider.fetches == 1


def test_after_a_clock_that_was_hours_ahead_a_new_key_becomes_known(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """A last fetch in the future is ignored."""
    ahead = NOW + timedelta(hours=5)
    certificates.for_key("key-1", now=ahead)
    provider.rotate()

    assert certificates.for_key("key-2", now=NOW) is not None
    assert certificates.for_key("key-3", now=NOW + SECOND) is None
    assert provider.fetches == 2


def test_after_a_clock_that_was_hours_ahead_certificates_become_old_in_time(
    provider: IdentityProvider, certificates: Certificates
) -> None:
    """Their age is unknown, so they are fetched again and count from then on."""
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


def test_a_withdrawn_key_is_unknown_after_the_next_fetch(
    provider: IdentityProvider, certificates: Certificates, refuse: Refuse
) -> None:
    """A key that the identity provider no longer serves no longer counts."""
    token = provider.token(google_claims(NOW))
    authenticate(bearer(token), policy(), certificates=certificates, now=NOW)
    provider.rotate()
    del provider.key_ids[0]

    assert refuse(bearer(token), policy(), NOW + 3600 * SECOND) == "unknown key"
