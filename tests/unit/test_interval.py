"""True intervals: named edges one by one, then the rules themselves over zones and years."""

import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.interval import Interval
from shared.model.recurrence import InvalidSchedule
from tests.support.walking_clocks import DAY, MICROSECOND, MINUTE, ZONES, at, following, moments, preceding, walk

PROPERTY = settings(derandomize=True)

EDGES = [
    pytest.param(
        "1d",
        "Europe/Berlin",
        ["2025-03-28T02:30+01:00", "2025-03-29T02:30+01:00", "2025-03-30T03:00+02:00", "2025-03-31T02:30+02:00"],
        id="days-in-the-skipped-hour-run-at-the-first-moment-after-it",
    ),
    pytest.param(
        "1d",
        "Europe/Berlin",
        ["2025-10-25T02:30+02:00", "2025-10-26T02:30+02:00", "2025-10-27T02:30+01:00"],
        id="days-in-the-repeated-hour-run-on-the-first-pass",
    ),
    pytest.param(
        "1d",
        "Europe/Berlin",
        ["2025-10-26T02:30+01:00", "2025-10-27T02:30+01:00"],
        id="a-start-on-the-second-pass-is-the-first",
    ),
    pytest.param(
        "2w",
        "America/New_York",
        ["2026-02-23T09:00-05:00", "2026-03-09T09:00-04:00", "2026-03-23T09:00-04:00"],
        id="weeks-keep-the-clock-time",
    ),
    pytest.param(
        "6d",
        "UTC",
        ["2026-11-25T00:00Z", "2026-12-01T00:00Z", "2026-12-07T00:00Z", "2026-12-13T00:00Z"],
        id="days-go-on-over-the-end-of-a-month",
    ),
    pytest.param(
        "90m",
        "Europe/Berlin",
        ["2025-03-30T00:00+01:00", "2025-03-30T01:30+01:00", "2025-03-30T04:00+02:00", "2025-03-30T05:30+02:00"],
        id="minutes-are-elapsed-time-in-spring",
    ),
    pytest.param(
        "24h",
        "Europe/Berlin",
        ["2025-10-25T09:00+02:00", "2025-10-26T08:00+01:00", "2025-10-27T08:00+01:00"],
        id="hours-are-elapsed-time-in-autumn",
    ),
    pytest.param(
        "1d",
        "Pacific/Apia",
        ["2011-12-28T10:00-10:00", "2011-12-29T10:00-10:00", "2011-12-31T10:00+14:00"],
        id="a-day-that-does-not-exist-has-no-occurrence",
    ),
    pytest.param(
        "2d",
        "Pacific/Apia",
        ["2011-12-28T10:00-10:00", "2012-01-01T10:00+14:00"],
        id="two-days-on-the-day-that-does-not-exist",
    ),
]


@pytest.mark.parametrize(("every", "timezone", "expected"), EDGES)
def test_occurrences_follow_each_other_in_both_directions(every: str, timezone: str, expected: Sequence[str]) -> None:
    """From the start, each is the next after the one before; backwards, each is the newest until then."""
    known = [at(text) for text in expected]
    interval = Interval(every, timezone, known[0])

    assert following(interval, known[0] - MICROSECOND, len(known)) == known
    assert preceding(interval, known[-1], len(known)) == known[::-1]


def test_a_start_between_two_seconds_changes_nothing_about_a_gap() -> None:
    """A start that is not given is now, to the microsecond; the first moment after the gap is a full minute."""
    interval = Interval("6d", "America/Havana", at("2026-03-02T00:30:00.846960-05:00"))

    assert interval.after(at("2026-03-07T12:00-05:00")) == at("2026-03-08T01:00-04:00")


def test_a_moment_in_the_second_pass_lies_behind_the_first() -> None:
    """At 02:10 for the second time, 02:30 is over: it ran in the first pass."""
    interval = Interval("1d", "Europe/Berlin", at("2025-10-20T02:30+02:00"))
    moment = at("2025-10-26T02:10+01:00")

    assert interval.last_until(moment) == at("2025-10-26T02:30+02:00")
    assert interval.after(moment) == at("2025-10-27T02:30+01:00")


def test_nothing_comes_before_the_start() -> None:
    """The start is the first occurrence, at any distance."""
    start = at("2026-11-25T00:00Z")
    interval = Interval("6d", "UTC", start)

    assert interval.after(at("1999-01-01T00:00Z")) == start
    with pytest.raises(InvalidSchedule, match="until"):
        interval.last_until(start - MICROSECOND)


@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Auckland", "Pacific/Honolulu"])
@pytest.mark.parametrize("every", ["999999m", "999999w", "1d", "1m"])
def test_the_ends_of_the_calendar_are_an_error_with_a_reason(every: str, timezone: str) -> None:
    """Nothing overflows: outside of the years 1 to 9999 it is refused, or was the last."""
    interval = Interval(every, timezone, at("2026-11-25T00:00Z"))
    last, first = (moment.replace(tzinfo=UTC) for moment in (datetime.max, datetime.min))

    with pytest.raises(InvalidSchedule, match="no occurrence after"):
        interval.after(last)
    with pytest.raises(InvalidSchedule, match="no occurrence until"):
        interval.last_until(first)
    assert interval.last_until(last - DAY) <= last


@pytest.mark.parametrize(
    "every",
    ["", "90", "0m", "-1d", "1.5h", "90s", "1h30m", "6 d", "6D", "3M", "1y", "1mo", "٣d", "1000000m", "1d\n", None, 6],
)
def test_what_is_no_interval_is_refused_with_the_remedy(every: Any) -> None:
    """One line has the given text and what to write."""
    with pytest.raises(InvalidSchedule, match="write a whole number and m, h, d or w") as refused:
        Interval(every, "UTC", at("2026-11-25T00:00Z"))

    assert "\n" not in str(refused.value).replace("\\n", "")


def test_an_unknown_timezone_is_refused() -> None:
    """Also for elapsed time, where it does not matter: the job may be edited."""
    with pytest.raises(InvalidSchedule, match="CEST"):
        Interval("90m", "CEST", at("2026-11-25T00:00Z"))


elapsed = st.builds("{}{}".format, st.integers(1, 5000), st.sampled_from("mh"))
kept = st.builds("{}{}".format, st.integers(1, 40), st.sampled_from("dw"))
starts = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@pytest.mark.slow
@settings(PROPERTY, max_examples=200)
@given(st.sampled_from(ZONES), starts, elapsed, st.timedeltas(timedelta(), timedelta(days=60 * 365)))
def test_minutes_and_hours_have_exact_gaps(timezone: str, start: datetime, every: str, away: timedelta) -> None:
    """Over any clock change two occurrences are the interval apart, counted from the start."""
    step = timedelta(**{{"m": "minutes", "h": "hours"}[every[-1]]: int(every[:-1])})
    interval = Interval(every, timezone, start)

    before, after = interval.last_until(start + away), interval.after(start + away)

    assert before <= start + away < after
    assert after - before == step
    assert (before - start) % step == timedelta()


@st.composite
def near_starts(draw: st.DrawFn) -> tuple[str, datetime, datetime]:
    """A zone, a moment near one of its clock changes, and a start in a whole minute up to ten years before it."""
    timezone = draw(st.sampled_from(ZONES))
    moment = draw(moments(timezone))
    days, minutes = draw(st.integers(3, 3650)), draw(st.integers(0, 24 * 60))
    return timezone, moment, moment.replace(second=0, microsecond=0) - days * DAY + minutes * MINUTE


@pytest.mark.slow
@settings(PROPERTY, max_examples=150)
@given(near_starts(), st.integers(1, 5))
def test_days_are_those_of_a_walk_over_every_minute(near: tuple[str, datetime, datetime], days: int) -> None:
    """On its day each runs when the clocks first show the start's time or a later one."""
    timezone, moment, start = near
    zone = ZoneInfo(timezone)
    interval = Interval(f"{days}d", timezone, start)
    minutes = walk(timezone, moment.replace(second=0, microsecond=0) - 2 * DAY, moment + 2 * DAY)
    latest = list(accumulate((clock for _, clock in minutes), max))
    first_clock = start.astimezone(zone).replace(tzinfo=None)
    shown = sorted({clock.date() for _, clock in minutes})[1:]
    clocks = (datetime.combine(day, first_clock.time()) for day in shown)
    found = (bisect_left(latest, clock) for clock in clocks if (clock - first_clock).days % days == 0)
    known = [minutes[n][0] for n in found if n < len(minutes)]

    lowest, last = minutes[0][0] + DAY, minutes[-1][0]
    later = following(interval, lowest, 6)

    assert [each for each in later if each <= last] == [each for each in known if each > lowest]


@pytest.mark.slow
@settings(PROPERTY, max_examples=300)
@given(near_starts(), elapsed | kept)
def test_after_and_last_until_undo_each_other(near: tuple[str, datetime, datetime], every: str) -> None:
    """Nothing lies between the newest occurrence until a moment and the first one after it."""
    timezone, moment, start = near
    interval = Interval(every, timezone, min(start, moment))

    before, after = interval.last_until(moment), interval.after(moment)

    assert before <= moment < after
    assert interval.after(before) == after
    assert interval.after(after - MICROSECOND) == after
    assert interval.last_until(after) == after
    assert interval.last_until(after - MICROSECOND) == before


def calls_of(function: Callable[[], Any]) -> int:
    """Return how many Python functions a call takes."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("every", ["1m", "5m", "13h", "1d", "2w"])
def test_an_occurrence_is_found_in_constant_time(every: str) -> None:
    """The next and the last one take as many steps after sixty years as after one day."""
    start = at("2000-01-01T09:00Z")
    interval = Interval(every, "Europe/Berlin", start)
    near, far = start + timedelta(days=30, minutes=7), start + timedelta(days=60 * 365, minutes=7)

    for find in (interval.after, interval.last_until):
        find(near), find(far)
        assert calls_of(partial(find, far)) <= calls_of(partial(find, near)) + 10 < 60
