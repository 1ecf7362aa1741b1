"""A schedule is a rhythm between a start and an end, without the days off."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.interval import Interval
from shared.model.recurrence import InvalidSchedule, Recurrence
from shared.model.schedule import Schedule
from tests.support.walking_clocks import DAY, MICROSECOND, MINUTE, ZONES, at, crons_at_night, moments
from tests.unit.test_interval import PROPERTY, calls_of

BERLIN = "Europe/Berlin"
CHRISTMAS = (date(2026, 12, 24), date(2026, 12, 25))


def following(schedule: Schedule, moment: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    while len(found) < count and (after := schedule.after(found[-1] if found else moment)):
        found.append(after)
    return found


def preceding(schedule: Schedule, moment: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    while len(found) < count and (last := schedule.last_until(found[-1] - MICROSECOND if found else moment)):
        found.append(last)
    return found


def test_nothing_comes_before_the_start_or_from_the_end_on() -> None:
    """The start may be an occurrence, the end may not."""
    schedule = Schedule(cron="0 9 * * *", starts_at=at("2026-12-01T09:00Z"), until=at("2026-12-03T09:00Z"))
    both = [at("2026-12-01T09:00Z"), at("2026-12-02T09:00Z")]

    assert following(schedule, at("2026-01-01T00:00Z"), 5) == both
    assert preceding(schedule, at("2027-01-01T00:00Z"), 5) == both[::-1]


def test_an_end_a_moment_after_an_occurrence_lets_it_run() -> None:
    """The end is exclusive, to the microsecond."""
    end = at("2026-12-03T09:00Z")

    assert Schedule(cron="0 9 * * *", until=end).after(end - DAY) is None
    assert Schedule(cron="0 9 * * *", until=end + MICROSECOND).after(end - DAY) == end


def test_dates_are_left_out_by_the_local_calendar() -> None:
    """00:30 in Berlin on the 26th is the 25th in UTC, and runs."""
    schedule = Schedule(cron="30 0 * * *", timezone=BERLIN, except_dates=CHRISTMAS)

    assert following(schedule, at("2026-12-22T12:00Z"), 2) == [at("2026-12-22T23:30Z"), at("2026-12-25T23:30Z")]
    assert preceding(schedule, at("2026-12-25T23:30Z"), 2) == [at("2026-12-25T23:30Z"), at("2026-12-22T23:30Z")]


def test_a_date_that_comes_twice_is_left_out_twice() -> None:
    """If clocks go back over midnight, the evening before comes again in between, and runs in both passes."""
    schedule = Schedule(cron="* * * * *", timezone="America/St_Johns", except_dates=(date(2010, 11, 7),))
    last_of_first_pass, first_of_second = at("2010-11-06T23:59-02:30"), at("2010-11-06T23:01-03:30")
    last, behind = at("2010-11-06T23:59-03:30"), at("2010-11-08T00:00-03:30")

    assert following(schedule, last_of_first_pass - MICROSECOND, 2) == [last_of_first_pass, first_of_second]
    assert preceding(schedule, first_of_second, 2) == [first_of_second, last_of_first_pass]
    assert following(schedule, last, 1) == [behind]
    assert preceding(schedule, behind - MICROSECOND, 1) == [last]


@pytest.mark.parametrize("change", ["2027-03-28", "2027-10-31"], ids=["spring", "autumn"])
def test_a_day_off_with_a_change_of_clocks_ends_at_its_midnight(change: str) -> None:
    """Not an hour before or after it, in either direction."""
    day = date.fromisoformat(change)
    schedule = Schedule(cron="*/10 * * * *", timezone=BERLIN, except_dates=(day,))
    zone = ZoneInfo(BERLIN)
    before = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) - 10 * MINUTE
    after = datetime(day.year, day.month, day.day, tzinfo=zone) + DAY

    assert schedule.after(before) == after
    assert schedule.last_until(after.astimezone(UTC) - MICROSECOND) == before


def test_an_interval_goes_on_in_its_rhythm_behind_a_date_that_is_left_out() -> None:
    """A day off does not move later occurrences."""
    schedule = Schedule(every="6d", starts_at=at("2026-12-18T09:00Z"), except_dates=CHRISTMAS)

    assert following(schedule, at("2026-12-01T00:00Z"), 2) == [at("2026-12-18T09:00Z"), at("2026-12-30T09:00Z")]


def test_what_an_end_and_dates_leave_out_is_not_included() -> None:
    """For a given moment."""
    schedule = Schedule(cron="0 9 * * *", until=at("2026-12-28T09:00Z"), except_dates=CHRISTMAS)

    asked = [at(f"2026-12-{day}T09:00Z") for day in (23, 24, 25, 26, 28)]
    assert [schedule.includes(moment) for moment in asked] == [True, False, False, True, False]
    assert [schedule.allows(moment) for moment in asked] == [True, False, False, True, False]
    assert not schedule.includes(asked[0] + MICROSECOND)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        pytest.param({}, "give cron or every", id="neither"),
        pytest.param({"cron": "0 9 * * *", "every": "6d"}, "exclude each other", id="both"),
        pytest.param({"every": "6d"}, "no start to count from", id="no start"),
        pytest.param(
            {"cron": "0 9 * * *", "except_dates": tuple(date(2026, 1, 1) + n * DAY for n in range(101))},
            "holds 101 dates; at most 100",
            id="too many dates",
        ),
    ],
)
def test_what_is_no_schedule_is_refused(given: dict[str, object], complaint: str) -> None:
    """The error says what is missing or too much."""
    with pytest.raises(InvalidSchedule, match=complaint):
        Schedule(**given)  # type: ignore[arg-type]  # the cases have different types


@st.composite
def bounded(draw: st.DrawFn) -> tuple[Schedule, datetime]:
    """A schedule whose bounds are near a clock change, and a moment there."""
    timezone = draw(st.sampled_from(ZONES))
    moment = draw(moments(timezone))
    day = moment.astimezone(ZoneInfo(timezone)).date()
    near = st.timedeltas(timedelta(days=-3), timedelta(days=3))
    dates = draw(st.frozensets(st.integers(-2, 2).map(lambda n: day + n * DAY), max_size=4))
    minutes = st.sampled_from([1, 7, 30, 90, 1440]).map("{}m".format)
    rhythm = draw(crons_at_night.map(lambda each: each.cron) | minutes | st.sampled_from(["13h", "1d", "2d"]))
    start = draw(near if rhythm[-1] in "mhd" else st.none() | near)
    until = draw(st.none() | near)
    schedule = Schedule(
        cron=None if rhythm[-1] in "mhd" else rhythm,
        every=rhythm if rhythm[-1] in "mhd" else None,
        timezone=timezone,
        starts_at=None if start is None else moment + start,
        until=None if until is None else moment + until,
        except_dates=tuple(sorted(dates)),
    )
    return schedule, moment


def plain(schedule: Schedule, low: datetime, high: datetime) -> list[datetime]:
    """Return the occurrences of the rhythm alone between two moments, filtered by the rules."""
    zone = ZoneInfo(schedule.timezone)
    rhythm: Recurrence | Interval
    if schedule.every is None:
        rhythm = Recurrence(schedule.cron or "", schedule.timezone)
    else:
        assert schedule.starts_at is not None
        rhythm = Interval(schedule.every, schedule.timezone, schedule.starts_at)
    found, moment = [], low
    while (moment := rhythm.after(moment)) <= high:
        found.append(moment)
    return [
        each
        for each in found
        if (schedule.starts_at is None or each >= schedule.starts_at)
        and (schedule.until is None or each < schedule.until)
        and each.astimezone(zone).date() not in schedule.except_dates
    ]


@pytest.mark.slow
@settings(PROPERTY, max_examples=250)
@given(bounded())
def test_a_schedule_is_its_rhythm_within_its_bounds(drawn: tuple[Schedule, datetime]) -> None:
    """In both directions: the rhythm's occurrences from the start, before the end, on no day off."""
    schedule, moment = drawn
    low, high = moment - 2 * DAY, moment + 2 * DAY
    known = plain(schedule, low, high)
    around = [each for each in known if abs(each - moment) < DAY * 0.6]

    for each in around[:: max(len(around) // 5, 1)]:
        position = known.index(each)
        assert schedule.includes(each)
        assert following(schedule, each, 3) == known[position + 1 :][:3] or position + 3 >= len(known)
        assert preceding(schedule, each - MICROSECOND, 3) == known[:position][::-1][:3] or position < 3
    for one, other in sorted(pairwise(known), key=lambda pair: pair[0] - pair[1])[:5]:  # over the days left out
        assert schedule.after(one) == other
        assert schedule.last_until(other - MICROSECOND) == one
    before, after = schedule.last_until(moment), schedule.after(moment)
    assert before is None or not [each for each in known if before < each <= moment]
    assert after is None or not [each for each in known if moment < each < after]
    assert before is not None or not [each for each in known if each <= moment]
    assert after is not None or not [each for each in known if each > moment]


def test_a_hundred_dates_are_a_hundred_steps() -> None:
    """The search does not walk through every minute."""
    first = date(2026, 6, 1)
    dates = tuple(first + n * DAY for n in range(100))
    schedule = Schedule(cron="* * * * *", timezone=BERLIN, except_dates=dates)
    start, end = at("2026-05-31T23:59+02:00"), at("2026-09-09T00:00+02:00")

    assert schedule.after(start) == end
    assert schedule.last_until(end - MICROSECOND) == start
    assert calls_of(lambda: schedule.after(start)) < 100 * 60
    assert calls_of(lambda: schedule.last_until(end - MINUTE)) < 100 * 60
