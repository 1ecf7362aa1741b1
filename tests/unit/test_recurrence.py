"""When a recurring job runs: named edges one by one, then the rule itself against a walk over every minute."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate, product
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.interval import Interval
from shared.model.recurrence import InvalidSchedule, Recurrence, load_timezone, oddities

MICROSECOND, MINUTE, DAY = timedelta(microseconds=1), timedelta(minutes=1), timedelta(days=1)
HOUR, WEEK = 60 * MINUTE, 7 * DAY


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


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


@pytest.mark.parametrize(
    ("cron", "complaint"),
    [
        pytest.param("R 9 * * *", "minute 'R': write 0-59,", id="random"),
        pytest.param("0 R(8-17) * * *", "hour 'R(8-17)': write 0-23,", id="random-in-a-range"),
        pytest.param("0 r/5 * * *", "hour 'r/5'", id="random-with-step"),
        pytest.param("H 9 * * *", "minute 'H'", id="hashed"),
        pytest.param("0 9 H(1-5) * *", "day of month 'H(1-5)'", id="hashed-in-a-range"),
        pytest.param("0 9 15W * *", "day of month '15W': W (the nearest weekday) is not", id="nearest-weekday"),
        pytest.param("0 9 ? * *", "day of month '?': ? is not supported; write * instead", id="question-mark"),
        pytest.param("0 9 L-2 * *", "day of month 'L-2'", id="before-the-last-day"),
        pytest.param("0 9 5L * *", "day of month '5L'", id="last-friday-as-quartz-writes-it-as-day-of-month"),
        pytest.param("0 9 LW * *", "W (the nearest weekday) is not supported", id="last-weekday-of-quartz"),
        pytest.param("0 9 1-0 * *", "day of month '1-0': write 1-31,", id="range-to-no-day"),
        pytest.param("0 9 27-0 * *", "day of month '27-0'", id="wrapping-range-to-no-day"),
        pytest.param("0 9 1 6-0 *", "month '6-0'", id="range-to-no-month"),
        pytest.param("0 9 * * 7-0", "day of week '7-0'", id="range-from-sunday-to-sunday"),
        pytest.param("0 9 * * L", "day of week 'L'", id="last-weekday-without-a-day"),
        pytest.param("0 9 L5 * *", "day of month 'L5'", id="last-friday-as-day-of-month"),
        pytest.param("0 9 * * mon#6", "day of week 'mon#6': write 0-7, SUN-SAT, MON#2", id="sixth-monday"),
        pytest.param("0 9 1#1 * *", "day of month '1#1'", id="nth-in-another-field"),
        pytest.param(
            "*/60 * * * *",
            "minute '*/60': write 0-59, a range of two or more (1-5), a step of 1 to 59",
            id="step-of-minutes",
        ),
        pytest.param("0 */24 * * *", "hour '*/24'", id="step-of-hours"),
        pytest.param("0 9 1/31 * *", "day of month '1/31'", id="step-of-days"),
        pytest.param("0 9 * */12 *", "month '*/12'", id="step-of-months"),
        pytest.param("0 9 * * 0-6/7", "day of week '0-6/7'", id="step-of-weekdays"),
        pytest.param("*/0 * * * *", "minute '*/0'", id="zero-step"),
        pytest.param("0 9-9 * * *", "hour '9-9': write 0-23, a range of two or more", id="range-of-one"),
        pytest.param("0 9-09 * * *", "hour '9-09'", id="range-of-one-spelt-twice"),
        pytest.param("0 9 * * sun-Sun", "day of week 'sun-Sun'", id="range-of-one-name"),
        pytest.param("0 21-4/2 * * *", "hour '21-4/2'", id="step-in-a-range-that-wraps-around"),
        pytest.param("60 * * * *", "minute '60'", id="minute-60"),
        pytest.param("0 24 * * *", "hour '24'", id="hour-24"),
        pytest.param("0 9 0 * *", "day of month '0'", id="day-0"),
        pytest.param("0 9 * 13 *", "month '13': write 1-12, JAN-DEC,", id="month-13"),
        pytest.param("0 9 * * 8", "day of week '8'", id="weekday-8"),
        pytest.param("0 9 * mon *", "month 'mon'", id="weekday-as-month"),
        pytest.param("0 jan * * *", "hour 'jan'", id="month-as-hour"),
        pytest.param("0 9 * * monday", "day of week 'monday'", id="full-name"),
        pytest.param("0 9 * * 1,,3", "day of week ''", id="empty-item"),
        pytest.param("-5 * * * *", "minute '-5'", id="negative"),
        pytest.param("1_0 * * * *", "minute '1_0'", id="underscore"),
        pytest.param(
            "0 9 * *", "exactly five fields (minute, hour, day of month, month, day of week", id="four-fields"
        ),
        pytest.param("0 0 9 * * *", "no seconds", id="seconds"),
        pytest.param("0 0 9 * * * 2026", "no years", id="years"),
        pytest.param("@reboot", "one of @hourly, @daily", id="reboot"),
        pytest.param("", "exactly five fields", id="empty"),
        pytest.param("0 9 * * *\n", "day of week '*\\n'", id="line-end"),
        pytest.param("0\u00a09 * * *", "plain ASCII", id="no-break-space"),
        pytest.param("\u0663 9 * * *", "plain ASCII", id="arabic-digit"),
        pytest.param("\uff10 9 * * *", "plain ASCII", id="full-width-digit"),
        pytest.param("@wee\u212aly", "plain ASCII", id="kelvin-sign"),
        pytest.param(9, "plain ASCII", id="no-text"),
        pytest.param("0 0 30 2 *", "never runs: month '2' has no day of month '30'", id="30-february"),
        pytest.param("0 0 31 feb,4-6/2,sep,11 *", "never runs", id="31-of-short-months"),
    ],
)
def test_expression_that_cannot_be_meant_is_refused(cron: str, complaint: str) -> None:
    """The error names the expression, the field and the remedy."""
    with pytest.raises(InvalidSchedule) as refused:
        Recurrence(cron, "UTC")

    assert f"Cron expression {cron!r}" in str(refused.value)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        *("", "Mars/Olympus", "Europe", "europe/berlin", "Europe/Berlin ", "UTC\0", "CEST", "+02:00"),
        *("localtime", "posixrules", "Factory", "right/UTC", "posix/UTC", "zone.tab"),
        *("/etc/localtime", "../zoneinfo/UTC", "./UTC", None, 2, ["UTC"]),
    ],
)
def test_timezone_that_is_no_iana_name_is_refused(name: str) -> None:
    """A name without meaning, or with one on this machine only, is refused with an example."""
    with pytest.raises(InvalidSchedule, match=r"^Timezone .* is not known\. Write an IANA name such as Europe/Berlin"):
        load_timezone(name)
    with pytest.raises(InvalidSchedule):
        Recurrence("0 9 * * *", name)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT-5", "US/Pacific"])
def test_iana_timezone_is_found(name: str) -> None:
    """Every name that the IANA database lists can be used."""
    assert load_timezone(name) == ZoneInfo(name)


# What follows states the rules a second time and the other way round, by a walk over every minute of some days.

ZONES = [
    *("Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Caracas", "America/Havana", "America/New_York"),
    *("America/Nuuk", "America/Santiago", "America/Sao_Paulo", "America/St_Johns", "Antarctica/Casey"),
    *("Antarctica/Troll", "Asia/Amman", "Asia/Beirut", "Asia/Gaza", "Asia/Pyongyang", "Asia/Tehran"),
    *("Atlantic/Azores", "Australia/Adelaide", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin"),
    *("Europe/Istanbul", "Europe/Lisbon", "Pacific/Apia", "Pacific/Chatham", "Pacific/Norfolk"),
]
Field = tuple[str, frozenset[int]]
Rhythm = Recurrence | Interval
Minute = tuple[datetime, datetime]  # the moment in UTC, and the clock time that it shows


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An expression with a known meaning, because it was generated from it."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    @property
    def cron(self) -> str:
        return " ".join(text for text, _ in (self.minute, self.hour, self.day, self.month, self.weekday))

    def falls_on(self, day: date) -> bool:
        by_day, by_weekday = day.day in self.day[1], day.isoweekday() % 7 in self.weekday[1]
        either = "*" not in (self.day[0], self.weekday[0])
        return day.month in self.month[1] and ((by_day or by_weekday) if either else (by_day and by_weekday))


def star(low: int, high: int) -> st.SearchStrategy[Field]:
    return st.just(span("*", low, high))


def some(low: int, high: int) -> st.SearchStrategy[Field]:
    chosen = st.frozensets(st.integers(low, high), min_size=1, max_size=3)
    return chosen.map(lambda numbers: (",".join(map(str, numbers)), numbers))


def field(low: int, high: int) -> st.SearchStrategy[Field]:
    """A list, a range, a range or a star with a step, or a star, each with the numbers that it means."""
    numbers, steps = st.integers(low, high), st.integers(2, high - low)
    pairs = st.frozensets(numbers, min_size=2, max_size=2).map(lambda pair: (min(pair), max(pair)))
    ranges = pairs.filter(lambda ends: ends != (low, high))
    return st.one_of(
        some(low, high),
        ranges.map(lambda ends: span(f"{ends[0]}-{ends[1]}", ends[0], ends[1])),
        st.builds(lambda ends, step: span(f"{ends[0]}-{ends[1]}/{step}", ends[0], ends[1], step), ranges, steps),
        steps.map(lambda step: span(f"*/{step}", low, high, step)),
        star(low, high),
    )


def span(text: str, low: int, high: int, step: int = 1) -> Field:
    return text, frozenset(range(low, high + 1, step))


schedules = st.builds(
    Schedule, minute=field(0, 59), hour=field(0, 23), day=field(1, 31), month=field(1, 12), weekday=field(0, 6)
).filter(lambda schedule: any(schedule.falls_on(date(2000, 1, 1) + n * DAY) for n in range(366)))
near_schedules = st.builds(
    Schedule,
    minute=field(0, 59),
    hour=star(0, 23) | field(0, 23) | some(0, 3),  # clocks are changed at night
    day=star(1, 31) | field(1, 31),
    month=star(1, 12),
    weekday=star(0, 6) | field(0, 6),
)


@lru_cache
def clock_changes(timezone: str) -> list[datetime]:
    """The minutes from 2011 to 2035 at which a timezone's clocks change."""
    weeks = [at("2011-01-01T00:00Z") + n * WEEK for n in range(25 * 52)]  # none has two changes
    return [change_within(timezone, week) for week in weeks if offset(timezone, week) != offset(timezone, week + WEEK)]


def change_within(timezone: str, week: datetime) -> datetime:
    before, minutes = offset(timezone, week), range(WEEK // MINUTE)
    return week + MINUTE * bisect_left(minutes, True, key=lambda n: offset(timezone, week + n * MINUTE) != before)


def offset(timezone: str, moment: datetime) -> timedelta | None:
    return moment.astimezone(ZoneInfo(timezone)).utcoffset()


@st.composite
def moments(draw: st.DrawFn, timezone: str) -> datetime:
    """A moment within an hour, three hours, or a day and more of a clock change."""
    hours = draw(st.sampled_from([1, 3, 30]))
    away = st.timedeltas(-timedelta(hours=hours), timedelta(hours=hours))
    return draw(st.sampled_from(clock_changes(timezone))) + draw(away | away.map(lambda away: away // MINUTE * MINUTE))


def walk(timezone: str, start: datetime, end: datetime) -> list[Minute]:
    """Every minute, and what the clocks show then. An hour in which they are not changed takes one look at its ends."""
    minutes: list[Minute] = []
    for hour in (start + n * HOUR for n in range(-((start - end) // HOUR))):
        moments = [hour + n * MINUTE for n in range(min(HOUR, end - hour) // MINUTE)]
        if offset(timezone, hour) == offset(timezone, hour + HOUR):
            clock = clock_of(timezone, hour)
            minutes += [(moment, clock + n * MINUTE) for n, moment in enumerate(moments)]
        else:
            minutes += [(moment, clock_of(timezone, moment)) for moment in moments]
    return minutes


def clock_of(timezone: str, moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)


def occurrences(schedule: Schedule, minutes: Sequence[Minute]) -> list[datetime]:
    """The occurrences by the rules, from the second day of a walk on."""
    if "*" in schedule.hour[0]:
        return [moment for moment, clock in minutes if shows(schedule, clock)]
    days = sorted({clock.date() for _, clock in minutes})[1:]
    latest = list(accumulate((clock for _, clock in minutes), max))
    times = product(filter(schedule.falls_on, days), schedule.hour[1], schedule.minute[1])
    first_at_or_past = {bisect_left(latest, datetime.combine(day, time(hour, minute))) for day, hour, minute in times}
    return [minutes[n][0] for n in sorted(first_at_or_past) if n < len(minutes)]


def shows(schedule: Schedule, clock: datetime) -> bool:
    return clock.minute in schedule.minute[1] and clock.hour in schedule.hour[1] and schedule.falls_on(clock.date())


def following(recurrence: Rhythm, moment: datetime, count: int) -> list[datetime]:
    found = [moment]
    for _ in range(count):
        found.append(recurrence.after(found[-1]))
    return found[1:]


def preceding(recurrence: Rhythm, moment: datetime, count: int) -> list[datetime]:
    found = [recurrence.last_until(moment)]
    for _ in range(count - 1):
        found.append(recurrence.last_until(found[-1] - MICROSECOND))
    return found


@pytest.mark.slow
@settings(derandomize=True, max_examples=120)
@given(st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(st.just(zone), moments(zone))), near_schedules)
def test_occurrences_are_those_of_a_walk_over_every_minute(place: tuple[str, datetime], schedule: Schedule) -> None:
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
@given(st.sampled_from(ZONES).flatmap(lambda zone: st.tuples(st.just(zone), moments(zone))), schedules)
def test_after_and_last_until_undo_each_other(place: tuple[str, datetime], schedule: Schedule) -> None:
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
@given(schedules, st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)))
def test_where_clocks_never_change_occurrences_are_those_of_croniter(schedule: Schedule, naive: datetime) -> None:
    """In UTC, croniter's own search finds the same next and last occurrence for every expression."""
    moment = naive.replace(tzinfo=UTC)
    recurrence = Recurrence(schedule.cron, "UTC")
    by_croniter = croniter(schedule.cron, moment, ret_type=datetime)

    assert recurrence.after(moment) == by_croniter.get_next()
    assert recurrence.last_until(moment - MICROSECOND) == by_croniter.get_prev(start_time=moment)


@pytest.mark.parametrize("cron", ["0 9 * * FRI#L", "0 9 * * 5#L", "0 9 * * 5L", "0 9 * * friL"])
def test_the_last_friday_may_be_written_as_others_write_it(cron: str) -> None:
    """Quartz, Spring and others write 5L or FRI#L for L5."""
    ours, theirs = Recurrence("0 9 * * L5", "UTC"), Recurrence(cron, "UTC")
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    for _ in range(24):
        moment = ours.after(moment)
        assert theirs.last_until(moment) == moment


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        pytest.param("10-20/15 * * * *", ["minute '10-20/15' has a step wider than its range"], id="step"),
        pytest.param("1,1,5 * * * *", ["minute '1,1,5' has a value more than once"], id="repeated"),
        pytest.param("0 9 * * 1-5,mon", ["day of week '1-5,mon' has a value more than once"], id="repeated-by-name"),
        pytest.param("0 9 */2 * 1-5", ["day of month and day of week are both restricted, and either"], id="either"),
        pytest.param("0 9 * * 1-5", [], id="plain"),
        pytest.param("10-20/10 * * * *", [], id="step-that-fits"),
        pytest.param("@daily", [], id="name"),
    ],
)
def test_what_a_person_may_not_have_meant_is_mentioned(cron: str, said: list[str]) -> None:
    """It is accepted, as by other crons."""
    found = oddities(cron)

    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said
