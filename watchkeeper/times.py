"""Times as people write and read them: in a time zone, and as a distance from now."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from shared.errors import InvalidInput
from shared.model.recurrence import both_passes, load_timezone

LATE_AFTER = timedelta(minutes=2)
UNITS = (("days", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))


def place(moment: datetime, timezone: str) -> datetime:
    """Return the moment in UTC; a naive one is a clock time in `timezone`.

    Raises InvalidInput for a clock time that the clocks skip, or show twice, and InvalidSchedule for no timezone.
    """
    zone = load_timezone(timezone)
    try:
        if moment.tzinfo:
            return moment.astimezone(UTC)
        first, second = both_passes(moment, zone)
    except OverflowError as exc:
        raise InvalidInput(f"{moment} is too far away to be a time") from exc
    if first > second:
        raise InvalidInput(f"{moment} does not exist in {timezone}: the clocks skip it; give another time")
    if first < second:
        choice = " or ".join(each.astimezone(zone).isoformat() for each in (first, second))
        raise InvalidInput(f"{moment} comes twice in {timezone}: the clocks are put back; write {choice}")
    return first


def shown(moment: datetime, timezone: str) -> str:
    """Return a moment in `timezone`, e.g. `2026-11-21 10:00:00+01:00`."""
    with suppress(OverflowError):  # at the end of year 9999 some clocks show nothing
        moment = moment.astimezone(load_timezone(timezone))
    return moment.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")


def shown_with_distance(moment: datetime, timezone: str, now: datetime) -> str:
    """Return a moment and its distance from now, e.g. `2026-11-21 10:00:00+01:00 (in 5 min)`."""
    return f"{shown(moment, timezone)} ({distance(moment, now)})"


def distance(moment: datetime, now: datetime) -> str:
    """Return the distance of a moment from now, e.g. `in 5 min`."""
    if abs(moment - now) < timedelta(seconds=1):
        return "now"
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def took(length: timedelta) -> str:
    """Return how long a run took, e.g. `350 ms`, `12.4 s` or `5 min`."""
    if length < timedelta(seconds=1):
        return f"{length / timedelta(milliseconds=1):.0f} ms"
    return f"{length.total_seconds():.1f} s" if length < timedelta(minutes=1) else span(length)


def distance_to_start(moment: datetime, now: datetime) -> str:
    """Return the distance to when a job is ready: `in 5 min`, `due`, or `5 min late`; a tick comes once a minute."""
    if moment > now:
        return distance(moment, now)
    return "due" if now - moment < LATE_AFTER else f"{span(now - moment)} late"


def span(length: timedelta) -> str:
    """Return a duration in whole units, the largest unit that it holds at least twice, e.g. `34 h`."""
    for name, unit in UNITS:
        if length >= 2 * unit:
            return f"{length // unit} {name}"
    return f"{length.total_seconds():.0f} s"
