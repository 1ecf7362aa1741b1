"""When a recurring job runs: named edges one by one, then the rule itself against a walk over every minute."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.recurrence import InvalidSchedule, Recurrence
from tests.support.walking_clocks import (
    DAY,
    MICROSECOND,
    ZONES,
    KnownCron,
    at,
    crons,
    crons_at_night,
    following,
    moments,
    occurrences,
    preceding,
    walk,
)

EDGES = [
    # Spring: Berlin's clocks go from 02:00+01:00 to 03:00+02:00, so 02:00 to 02:59 is skipped.
    pytest.param(
        "30 2 * * *",
        "Europe/Berlin",
        ["2025-03-29T02:30+01:00", "2025-03-30T03:00+02:00", "2025-03-31T02:30+02:00"],
        id="gap-fixed-time-runs-at-the-first-moment-after-it",
    ),
    pytest.param(
        "0,30 2 * * *",
        "Europe/Berlin",
        ["2025-03-29T02:30+01:00", "2025-03-30T03:00+02:00", "2025-03-31T02:00+02:00"],
        id="gap-two-skipped-times-run-once",
    ),
    pytest.param(
        "0 2,3 * * *",
        "Europe/Berlin",
        ["2025-03-29T03:00+01:00", "2025-03-30T03:00+02:00", "2025-03-31T02:00+02:00"],
        id="gap-skipped-time-joins-the-one-that-exists",
    ),
    pytest.param(
        "30 2,3 * * *",
        "Europe/Berlin",
        ["2025-03-29T03:30+01:00", "2025-03-30T03:00+02:00", "2025-03-30T03:30+02:00", "2025-03-31T02:30+02:00"],
        id="gap-list-of-hours",
    ),
    pytest.param(
        "15 1-3 * * *",
        "Europe/Berlin",
        ["2025-03-30T01:15+01:00", "2025-03-30T03:00+02:00", "2025-03-30T03:15+02:00", "2025-03-31T01:15+02:00"],
        id="gap-range-of-hours",
    ),
    pytest.param(
        "15 0-23/2 * * *",
        "Europe/Berlin",
        ["2025-03-30T00:15+01:00", "2025-03-30T03:00+02:00", "2025-03-30T04:15+02:00"],
        id="gap-range-with-step",
    ),
    pytest.param(
        "15 * * * *",
        "Europe/Berlin",
        ["2025-03-30T01:15+01:00", "2025-03-30T03:15+02:00", "2025-03-30T04:15+02:00"],
        id="gap-star-does-not-run",
    ),
    pytest.param(
        "15 */2 * * *",
        "Europe/Berlin",
        ["2025-03-30T00:15+01:00", "2025-03-30T04:15+02:00", "2025-03-30T06:15+02:00"],
        id="gap-star-with-step-does-not-run",
    ),
    pytest.param(
        "30 2 30 3 *",
        "Europe/Berlin",
        ["2024-03-30T02:30+01:00", "2025-03-30T03:00+02:00", "2026-03-30T02:30+02:00"],
        id="gap-on-a-named-day",
    ),
    # Autumn: from 03:00+02:00 back to 02:00+01:00, so 02:00 to 02:59 is repeated.
    pytest.param(
        "30 2 * * *",
        "Europe/Berlin",
        ["2025-10-25T02:30+02:00", "2025-10-26T02:30+02:00", "2025-10-27T02:30+01:00"],
        id="repeat-fixed-time-runs-on-the-first-pass",
    ),
    pytest.param(
        "30 1-3 * * *",
        "Europe/Berlin",
        ["2025-10-26T01:30+02:00", "2025-10-26T02:30+02:00", "2025-10-26T03:30+01:00", "2025-10-27T01:30+01:00"],
        id="repeat-range-runs-once",
    ),
    pytest.param(
        "30 * * * *",
        "Europe/Berlin",
        ["2025-10-26T01:30+02:00", "2025-10-26T02:30+02:00", "2025-10-26T02:30+01:00", "2025-10-26T03:30+01:00"],
        id="repeat-star-runs-in-both-passes",
    ),
    pytest.param(
        "20,40 */2 * * *",
        "Europe/Berlin",
        [
            "2025-10-26T00:40+02:00",
            "2025-10-26T02:20+02:00",
            "2025-10-26T02:40+02:00",
            "2025-10-26T02:20+01:00",
            "2025-10-26T02:40+01:00",
            "2025-10-26T04:20+01:00",
        ],
        id="repeat-star-with-step-runs-the-passes-one-after-the-other",
    ),
    # Days on which more than an hour at night is at stake.
    pytest.param(
        "0 9,12 * * *",
        "Pacific/Apia",
        ["2011-12-29T12:00-10:00", "2011-12-31T09:00+14:00", "2011-12-31T12:00+14:00"],
        id="a-day-that-does-not-exist-has-no-occurrence",
    ),
    pytest.param(
        "0 * * * *",
        "Pacific/Apia",
        ["2011-12-29T23:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T01:00+14:00"],
        id="a-day-that-does-not-exist-star",
    ),
    pytest.param(
        "0 9 30 12 *",
        "Pacific/Apia",
        ["2010-12-30T09:00-10:00", "2012-12-30T09:00+14:00"],
        id="a-yearly-day-that-does-not-exist-once",
    ),
    pytest.param(
        "0 0 * * *",
        "America/Sao_Paulo",
        ["2017-10-14T00:00-03:00", "2017-10-15T01:00-02:00", "2017-10-16T00:00-02:00"],
        id="gap-at-midnight",
    ),
    pytest.param(
        "30 0 28 3 *",
        "Asia/Beirut",
        ["2020-03-28T00:30+02:00", "2021-03-28T01:00+03:00", "2022-03-28T00:30+03:00"],
        id="gap-at-midnight-on-a-named-day",
    ),
    pytest.param(
        "30 23 * * *",
        "America/Sao_Paulo",
        ["2018-02-16T23:30-02:00", "2018-02-17T23:30-02:00", "2018-02-18T23:30-03:00"],
        id="repeat-before-midnight-fixed",
    ),
    pytest.param(
        "30 */23 17 2 *",
        "America/Sao_Paulo",
        ["2018-02-17T00:30-02:00", "2018-02-17T23:30-02:00", "2018-02-17T23:30-03:00", "2019-02-17T00:30-03:00"],
        id="repeat-before-midnight-star-on-a-named-day",
    ),
    pytest.param(
        "30 * 29 10 *",
        "Atlantic/Azores",
        ["2022-10-29T23:30+00:00", "2023-10-29T00:30+00:00", "2023-10-29T00:30-01:00", "2023-10-29T01:30-01:00"],
        id="repeat-after-midnight-star-on-a-named-day",
    ),
    pytest.param(
        "15,45 * * * *",
        "Australia/Lord_Howe",
        ["2025-04-06T01:15+11:00", "2025-04-06T01:45+11:00", "2025-04-06T01:45+10:30", "2025-04-06T02:15+10:30"],
        id="repeat-of-half-an-hour-star",
    ),
    pytest.param(
        "15,45 2 * * *",
        "Australia/Lord_Howe",
        ["2025-10-04T02:45+10:30", "2025-10-05T02:30+11:00", "2025-10-05T02:45+11:00", "2025-10-06T02:15+11:00"],
        id="gap-of-half-an-hour-fixed",
    ),
    pytest.param(
        "30 1,2 * * *",
        "Antarctica/Troll",
        ["2025-03-29T02:30+00:00", "2025-03-30T03:00+02:00", "2025-03-31T01:30+02:00"],
        id="gap-of-two-hours",
    ),
    pytest.param(
        "30 1 * * *",
        "Europe/Dublin",
        ["2025-10-25T01:30+01:00", "2025-10-26T01:30+01:00", "2025-10-27T01:30+00:00"],
        id="winter-time-that-counts-as-the-saving",
    ),
    pytest.param(
        "30 2 * * *",
        "Africa/Casablanca",
        ["2025-02-22T02:30+01:00", "2025-02-23T02:30+01:00", "2025-02-24T02:30+00:00"],
        id="ramadan",
    ),
    pytest.param(
        "0 3 * * *",
        "America/Caracas",
        ["2016-04-30T03:00-04:30", "2016-05-01T03:00-04:00", "2016-05-02T03:00-04:00"],
        id="change-of-standard-time",
    ),
    # Which days match.
    pytest.param(
        "0 9 13 * FRI",
        "UTC",
        ["2025-06-06T09:00Z", "2025-06-13T09:00Z", "2025-06-20T09:00Z", "2025-06-27T09:00Z", "2025-07-04T09:00Z"],
        id="either-day-field-when-both-are-given",
    ),
    pytest.param(
        "0 9 1 * MON#1",
        "UTC",
        ["2025-06-01T09:00Z", "2025-06-02T09:00Z", "2025-07-01T09:00Z", "2025-07-07T09:00Z"],
        id="either-day-field-with-the-nth-weekday",
    ),
    pytest.param(
        "0 9 15,L * *",
        "UTC",
        ["2024-02-15T09:00Z", "2024-02-29T09:00Z", "2024-03-15T09:00Z", "2024-03-31T09:00Z"],
        id="last-day",
    ),
    pytest.param(
        "0 9 * * L5",
        "UTC",
        ["2025-06-27T09:00Z", "2025-07-25T09:00Z", "2025-08-29T09:00Z", "2025-09-26T09:00Z", "2025-10-31T09:00Z"],
        id="last-friday",
    ),
    pytest.param(
        "0 9 * * mon#5,2",
        "UTC",
        ["2025-06-24T09:00Z", "2025-06-30T09:00Z", "2025-07-01T09:00Z", "2025-07-08T09:00Z"],
        id="fifth-monday-and-every-tuesday",
    ),
    pytest.param(
        "0 22-1 * Dec-jan Sat-SUN",
        "UTC",
        ["2024-12-29T23:00Z", "2025-01-04T00:00Z", "2025-01-04T01:00Z", "2025-01-04T22:00Z"],
        id="ranges-that-wrap-around",
    ),
    pytest.param(
        "0 0 * 2 mon#5",
        "UTC",
        ["2016-02-29T00:00Z", "2044-02-29T00:00Z"],
        id="once-in-28-years",
    ),
    pytest.param(
        "0 9 */1 * MON", "UTC", ["2025-06-02T09:00Z", "2025-06-09T09:00Z"], id="star-with-step-one-restricts-nothing"
    ),
    pytest.param("@Weekly", "UTC", ["2025-06-01T00:00Z", "2025-06-08T00:00Z"], id="alias"),
    pytest.param(" 0\t9  * * 7 ", "UTC", ["2025-06-01T09:00Z", "2025-06-08T09:00Z"], id="spaces-and-sunday-as-7"),
]


@pytest.mark.parametrize(("cron", "timezone", "expected"), EDGES)
def test_occurrences_follow_each_other_in_both_directions(cron: str, timezone: str, expected: Sequence[str]) -> None:
    """From one occurrence `after` finds the next, and `last_until` finds the one before, with nothing in between."""
    recurrence = Recurrence(cron, timezone)
    occurrences = [at(text) for text in expected]

    forwards = [recurrence.after(occurrence) for occurrence in occurrences[:-1]]
    backwards = [recurrence.last_until(occurrence - MICROSECOND) for occurrence in occurrences[1:]]

    assert forwards == occurrences[1:]
    assert backwards == occurrences[:-1]


NINE = at("2025-06-02T09:00Z")


@pytest.mark.parametrize(
    ("moment", "after", "last"),
    [
        pytest.param(NINE - MICROSECOND, NINE, NINE - DAY, id="just-before"),
        pytest.param(NINE, NINE + DAY, NINE, id="at"),
        pytest.param(NINE + MICROSECOND, NINE + DAY, NINE, id="just-after"),
        pytest.param(NINE.astimezone(ZoneInfo("Asia/Tokyo")), NINE + DAY, NINE, id="in-another-timezone"),
    ],
)
def test_after_is_later_and_last_until_is_not(moment: datetime, after: datetime, last: datetime) -> None:
    """`after` excludes an occurrence at the moment itself, `last_until` includes it; both return UTC."""
    recurrence = Recurrence("0 9 * * *", "UTC")

    answers = recurrence.after(moment), recurrence.last_until(moment)

    assert answers == (after, last)
    assert {answer.tzinfo for answer in answers} == {UTC}


def test_moment_may_be_given_in_the_timezone_itself() -> None:
    """The moment counts, not its notation, even just before the clocks go back."""
    moment = datetime(2025, 10, 26, 2, 45, tzinfo=ZoneInfo("Europe/Berlin"))

    occurrence = Recurrence("30 * * * *", "Europe/Berlin").after(moment)

    assert occurrence == at("2025-10-26T02:30+01:00")


@pytest.mark.parametrize("method", ["after", "last_until"])
def test_naive_moment_is_refused(method: str) -> None:
    """A moment without a timezone is a mistake of the caller, never the machine's local time."""
    with pytest.raises(TypeError, match="naive"):
        getattr(Recurrence("0 9 * * *", "UTC"), method)(datetime(2025, 6, 2, 9))


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_end_of_the_calendar_is_an_error_with_a_reason(timezone: str) -> None:
    """After the last year of Python's calendar InvalidSchedule names the expression."""
    recurrence = Recurrence("0 9 * * *", timezone)

    with pytest.raises(InvalidSchedule, match=r"'0 9 \* \* \*' has no occurrence after 9999"):
        recurrence.after(datetime.max.replace(tzinfo=UTC))
    with pytest.raises(InvalidSchedule, match=r"'0 9 \* \* \*' has no occurrence until 0001"):
        recurrence.last_until(datetime.min.replace(tzinfo=UTC))


@pytest.mark.slow
@settings(derandomize=True, max_examples=120)
@given(st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(st.just(zone), moments(zone))), crons_at_night)
def test_occurrences_are_those_of_a_walk_over_every_minute(place: tuple[str, datetime], schedule: KnownCron) -> None:
    """A fixed time runs when the clocks first show it or a later one, a star at every minute that matches."""
    timezone, moment = place
    recurrence = Recurrence(schedule.cron, timezone)
    minutes = walk(timezone, moment.replace(second=0, microsecond=0) - 2 * DAY, moment + DAY)
    first, last = moment - DAY / 2, minutes[-1][0]
    known = [occurrence for occurrence in occurrences(schedule, minutes) if occurrence > first]
    now = bisect_right(known, moment)

    later = following(recurrence, moment, 40)
    earlier = preceding(recurrence, moment, 40)

    assert [occurrence for occurrence in later if occurrence <= last] == known[now:][:40]
    assert [occurrence for occurrence in earlier if occurrence > first] == known[:now][::-1][:40]


@pytest.mark.slow
@settings(derandomize=True, max_examples=120)
@given(st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(st.just(zone), moments(zone))), crons)
def test_after_and_last_until_undo_each_other(place: tuple[str, datetime], schedule: KnownCron) -> None:
    """Nothing lies between the newest occurrence until a moment and the first one after it."""
    timezone, moment = place
    recurrence = Recurrence(schedule.cron, timezone)

    before, after = recurrence.last_until(moment), recurrence.after(moment)

    assert before <= moment < after
    assert recurrence.after(before) == after
    assert recurrence.last_until(after) == after
    assert recurrence.last_until(after - MICROSECOND) == before


@pytest.mark.slow
@settings(derandomize=True, max_examples=80)
@given(crons, st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)))
def test_where_clocks_never_change_occurrences_are_those_of_croniter(schedule: KnownCron, naive: datetime) -> None:
    """In UTC, croniter's own search finds the same next and last occurrence for every expression."""
    moment = naive.replace(tzinfo=UTC)
    recurrence = Recurrence(schedule.cron, "UTC")
    by_croniter = croniter(schedule.cron, moment, ret_type=datetime)

    assert recurrence.after(moment) == by_croniter.get_next()
    assert recurrence.last_until(moment - MICROSECOND) == by_croniter.get_prev(start_time=moment)
