"""The health of the system: how many jobs failed, are late, stuck or waiting, and how many subscriptions will lapse.

Each figure has a number, a level (shown as a mark and a colour) and the address of its list.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.subscriptions import PREFIX, recorded_time
from watchkeeper.console.selection import Record, states_of

LAPSING = timedelta(days=2)  # a renewal a day, and one that failed
SAYS = {
    "failed": "gave up after failing",
    "late": "due, but not started",
    "stuck": "died, and no tick took over",
    "lapsing": "subscriptions that end within two days",
    "waiting": "in the queues of long jobs",
    "unreadable": "documents that cannot be read as jobs",
}
LEVELS = {"waiting": "info"}  # not a fault, unlike the others
ALWAYS = ("failed", "late", "stuck", "lapsing", "waiting")


def figures(found: Sequence[Record], now: datetime) -> list[dict[str, Any]]:
    """Return the figures of all jobs and subscriptions, the most urgent first."""
    jobs = (job for job in found if not job.id.startswith(PREFIX))
    counts = Counter(state for job in jobs for state in states_of(job, now))
    counts["lapsing"] = sum(job.id.startswith(PREFIX) and _is_lapsing(job, now) for job in found)
    return [_figure(name, counts[name]) for name in SAYS if name in ALWAYS or counts[name]]


def _figure(name: str, count: int) -> dict[str, Any]:
    address = "#now?show=subscriptions" if name == "lapsing" else f"#jobs?status={name}"
    level = LEVELS.get(name, "bad") if count else "good"
    return {"name": name, "count": count, "level": level, "says": SAYS[name], "address": address}


def _is_lapsing(job: Record, now: datetime) -> bool:
    """Return whether a subscription ends soon, or its end is unknown; one without an end never lapses once renewed."""
    if isinstance(job, Unreadable):
        return True
    if job.status is Status.CANCELLED:
        return False
    expires_at, renewed_at = (recorded_time(job.payload, name) for name in ("expires_at", "renewed_at"))
    return renewed_at is None if expires_at is None else expires_at <= now + LAPSING
