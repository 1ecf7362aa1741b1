"""The certificates for checking tokens: fetched over HTTP, and kept for as long as their server says."""

import json
import logging
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from shared.errors import CertificatesUnavailable
from shared.settings import GOOGLE_CERTS_URL, http_url

if TYPE_CHECKING:
    from shared.web.outbound import Response

log = logging.getLogger("watchkeeper.auth")

FETCH_INTERVAL = timedelta(seconds=10)
# Certificates that are a little too old are better than a tick that does not run because one fetch failed.
GRACE = timedelta(hours=1)
MAX_BYTES = 256 * 1024  # Google's are 5 KiB
MAX_REDIRECTS = 5

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class _Fetched:
    """The result of the last fetch. A failed one keeps the certificates of the one before."""

    tried_at: datetime = _NEVER
    failed: bool = False
    by_key: Mapping[str, str] = field(default_factory=dict)
    fetched_at: datetime = _NEVER
    fresh_until: datetime = _NEVER

    def settles(self, key_id: str, now: datetime) -> bool:
        """Return whether no fetch is needed or allowed yet. A time in the future comes from a clock that was wrong."""
        is_fresh = key_id in self.by_key and self.fetched_at <= now < self.fresh_until
        return is_fresh or abs(now - self.tried_at) < FETCH_INTERVAL


class Certificates:
    """The certificates of one identity provider, kept for as long as it says and shared by all threads.

    They are fetched when they are too old or when a key is unknown, but never more often than every `FETCH_INTERVAL`,
    even if many tokens name unknown keys.
    """

    def __init__(self, url: str = GOOGLE_CERTS_URL, *, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._url = url
        self._timeout = timeout
        self._lock = threading.Lock()
        self._last = _Fetched()

    def for_key(self, key_id: str, *, now: datetime) -> str | None:
        """Return the X.509 certificate (PEM) of a key, or None if the identity provider has no such key.

        Raises `CertificatesUnavailable` if the key is not cached and the last fetch failed.
        """
        before = self._last
        # Without the lock, so that a slow fetch for an unknown key does not hold up the callers whose key is known.
        if not before.settles(key_id, now):
            # A fetch ends at its deadline, so no thread waits here for longer. A thread that waited uses its result.
            with self._lock:
                if self._last is before:
                    self._last = self._fetch(now)
        last = self._last
        if key_id in last.by_key and now < last.fresh_until + GRACE:
            return last.by_key[key_id]
        if last.failed:
            raise CertificatesUnavailable
        return None

    def _fetch(self, now: datetime) -> _Fetched:
        try:
            response = _get(self._url, self._timeout)
            by_key = _parsed_certificates(response.body)
            max_age = _max_age(response.headers.get("Cache-Control", ""))
        except Exception as exc:
            # Every failure (even RecursionError) counts as a fetch; otherwise each request would fetch again.
            error = f"{type(exc).__name__}: {exc}"[:500]
            fields = {"action": "certificates_unavailable", "url": self._url, "error": error}
            log.warning("Certificates could not be fetched", extra={"fields": fields})
            return replace(self._last, tried_at=now, failed=True)
        return _Fetched(tried_at=now, by_key=by_key, fetched_at=now, fresh_until=now + max_age)


def _get(url: str, timeout: timedelta) -> "Response":
    """Return the response, with status 200, to a GET. Raises OSError, HTTPException or ValueError."""
    # Here, because a cold start without a token needs none of it.
    from shared.web.outbound import any_address, exchange, target_of_setting

    ends_at = time.monotonic() + timeout.total_seconds()
    for _ in range(MAX_REDIRECTS + 1):
        target = target_of_setting(http_url(url))
        response = exchange("GET", target, {}, None, ends_at=ends_at, check=any_address, max_bytes=MAX_BYTES)
        location = response.headers["location"]
        if response.status not in (301, 302, 303, 307, 308) or location is None:
            break
        following = urljoin(url, location)
        if url.startswith("https:") and not following.startswith("https:"):
            raise ValueError("a redirect from https to http")
        url = following
    if response.status != 200:
        raise ValueError(f"HTTP {response.status}")
    return response


def _parsed_certificates(body: bytes) -> dict[str, str]:
    by_key = json.loads(body)
    if not by_key or not isinstance(by_key, dict) or not all(map(_is_certificate, by_key.values())):
        raise ValueError("not a map from key id to X.509 certificate (PEM)")
    return by_key


def _is_certificate(pem: object) -> bool:
    return isinstance(pem, str) and "BEGIN CERTIFICATE" in pem


def _max_age(cache_control: str) -> timedelta:
    match = re.search(r"max-age=(\d{1,9})", cache_control)
    return timedelta(seconds=int(match[1])) if match else timedelta()
