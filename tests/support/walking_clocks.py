"""The rules of a recurrence a second time and the other way round, by a walk over every minute of some days."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate, product
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from shared.model.interval import Interval
from shared.model.recurrence import Recurrence

MICROSECOND, MINUTE, DAY = timedelta(microseconds=1), timedelta(minutes=1), timedelta(days=1)
HOUR, WEEK = 60 * MINUTE, 7 * DAY
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


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class KnownCron:
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


crons = st.builds(
    KnownCron, minute=field(0, 59), hour=field(0, 23), day=field(1, 31), month=field(1, 12), weekday=field(0, 6)
).filter(lambda schedule: any(schedule.falls_on(date(2000, 1, 1) + n * DAY) for n in range(366)))
crons_at_night = st.builds(
    KnownCron,
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


def occurrences(schedule: KnownCron, minutes: Sequence[Minute]) -> list[datetime]:
    """The occurrences by the rules, from the second day of a walk on."""
    if "*" in schedule.hour[0]:
        return [moment for moment, clock in minutes if shows(schedule, clock)]
    days = sorted({clock.date() for _, clock in minutes})[1:]
    latest = list(accumulate((clock for _, clock in minutes), max))
    times = product(filter(schedule.falls_on, days), schedule.hour[1], schedule.minute[1])
    first_at_or_past = {bisect_left(latest, datetime.combine(day, time(hour, minute))) for day, hour, minute in times}
    return [minutes[n][0] for n in sorted(first_at_or_past) if n < len(minutes)]


def shows(schedule: KnownCron, clock: datetime) -> bool:
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
