"""A cron expression, read on the clocks of a timezone, and how a clock time becomes a moment.

Croniter only reads the expression. Which moments it means is decided here, on naive clock times that are then placed
in the timezone: left to itself, croniter runs a fixed time twice on the day on which the clocks go back.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from shared.errors import InvalidInput

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LONGEST = 500  # characters of an expression

# No timezone ever put its clocks back by more than this, or changed them twice within it.
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_WEEKDAY = 4  # the position of its field
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LAST = -1  # day of a month, or Monday of a month
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = (
    ("minute", 0, 59, "0-59"),
    ("hour", 0, 23, "0-23"),
    ("day of month", 1, 31, "1-31, L (the last day)"),
    ("month", 1, 12, "1-12, JAN-DEC"),
    ("day of week", 0, 6, "0-7, SUN-SAT, MON#2 (the second Monday), FRI#L (the last Friday)"),
)
_ITEM = re.compile(
    r"""(?:\*|(?P<low>[0-9]{1,2})(?:-(?P<high>[0-9]{1,2}))?)(?:/(?P<step>[0-9]{1,3}))?
    |(?P<name>[a-z]{3})(?:-(?!(?P=name))[a-z]{3})?
    |l[0-7]?
    |(?:[0-7]|[a-z]{3})[#][1-5]""",
    re.VERBOSE,
)
_LAST_WEEKDAY = re.compile(r"(?P<day>[0-7]|sun|mon|tue|wed|thu|fri|sat)(?:\#l|l)")
# Syntax of other schedulers that is not supported here, and what to write instead.
_FOREIGN = (
    (re.compile(r"\?"), "? is not supported; write * instead"),
    (
        re.compile(r"(?:[0-9]{1,2}|l)w"),
        "W (the nearest weekday) is not supported; name a weekday instead, such as MON#1 (the first Monday)",
    ),
)


class InvalidSchedule(InvalidInput):
    """A cron expression, an interval, its bounds or a timezone cannot be used; the message names it and the remedy."""


@dataclass(frozen=True)
class Recurrence:
    """The occurrences of a five-field cron expression, or an `@` name, in an IANA timezone.

    An hour field without `*` means fixed clock times: each runs once on every calendar day that exists, in a skipped
    hour at the first moment after it, in a repeated hour on the first pass. An hour field with `*` is matched against
    the clock as it stands: skipped hours do not run, repeated ones run in both passes. Where neither the day of month
    nor the day of week is `*`, a day needs to match only one. Raises InvalidSchedule for what cannot be used.
    """

    cron: str
    timezone: str

    def __post_init__(self) -> None:
        if not isinstance(self.cron, str) or not self.cron.isascii():
            raise InvalidSchedule(f"Cron expression {self.cron!r} cannot be read. Write it in plain ASCII text.")
        if len(self.cron) > LONGEST:
            raise InvalidSchedule(f"Cron expression {self.cron[:40]!r}... is longer than {LONGEST} characters.")
        _read(self.cron)
        load_timezone(self.timezone)

    def after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than `moment` (aware), in UTC. Raises InvalidSchedule past year 9999."""
        later: list[datetime] = []
        try:
            for clock in _read(self.cron).clocks_after(min(self._clock(moment), self._clock(moment, _DAY))):
                instants = self._instants(clock)
                later += (instant for instant in instants if instant > moment)
                # As long as only a second pass is found, the first pass of a later clock time may come before it.
                if instants and instants[0] > moment:
                    break
        except OverflowError as exc:
            raise InvalidSchedule(f"Cron expression {self.cron!r} has no occurrence after {moment}.") from exc
        return min(later)

    def last_until(self, moment: datetime) -> datetime:
        """Return the newest occurrence at or before `moment` (aware), in UTC. Raises InvalidSchedule before year 1."""
        past: list[datetime] = []
        try:
            for clock in _read(self.cron).clocks_until(max(self._clock(moment), self._clock(moment, -_DAY))):
                instants = self._instants(clock)
                past += (instant for instant in instants if instant <= moment)
                if instants and instants[-1] <= moment:
                    break
        except OverflowError as exc:
            raise InvalidSchedule(f"Cron expression {self.cron!r} has no occurrence until {moment}.") from exc
        return max(past)

    def _clock(self, moment: datetime, away: timedelta = timedelta()) -> datetime:
        """What the clocks show at `moment`, by the offset that is in force `away` from it."""
        return clock_at(moment.astimezone(UTC) + away, load_timezone(self.timezone)) - away

    def _instants(self, clock: datetime) -> list[datetime]:
        return instants(clock, load_timezone(self.timezone), fixed=_read(self.cron).fixed)


def clock_at(moment: datetime, zone: tzinfo) -> datetime:
    """Return what the clocks show at a moment, as a naive time."""
    return moment.astimezone(zone).replace(tzinfo=None)


def both_passes(clock: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the moments at which the clocks show a time for the first and for the second time.

    As a rule they are one; where the time is skipped they come in reverse order (PEP 495).
    """
    first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def instants(clock: datetime, zone: tzinfo, *, fixed: bool) -> list[datetime]:
    """Return the moments, in order, at which a clock time runs; see `Recurrence` for fixed ones."""
    first, second = both_passes(clock, zone)
    if first > second:
        return _after_gap(clock, zone, second, first) if fixed else []
    return [first] if fixed or first == second else [first, second]


def _after_gap(clock: datetime, zone: tzinfo, low: datetime, high: datetime) -> list[datetime]:
    """Return the end of the gap, in (low, high], unless the clock time's whole day falls into it."""
    low, high = (moment.replace(microsecond=0) for moment in (low, high))  # clocks change at a full second
    seconds = range(int((high - low).total_seconds()))
    end = low + _SECOND * bisect_left(seconds, True, key=lambda n: clock_at(low + n * _SECOND, zone) > clock)
    day_is_skipped = clock_at(end - _SECOND, zone).date() < clock.date() < clock_at(end, zone).date()
    return [] if day_is_skipped else [end]


def load_timezone(name: str) -> "ZoneInfo":
    """Return the IANA timezone of exactly that name. Raises InvalidSchedule for anything else, such as `localtime`."""
    if not isinstance(name, str) or name not in timezone_names():
        raise InvalidSchedule(f"Timezone {name!r} is not known. Write an IANA name such as Europe/Berlin or UTC.")
    return _timezone(name)


@cache
def _timezone(name: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo  # it takes 3 ms, and a start that finds nothing due needs no timezone

    return ZoneInfo(name)


@lru_cache(maxsize=1)
def timezone_names() -> frozenset[str]:
    # One file to read, where zoneinfo.available_timezones() opens 600 and adds names that only this machine knows.
    return frozenset((files("tzdata") / "zones").read_text().split()) - {"Factory"}


@dataclass(frozen=True, kw_only=True)
class _Expression:
    """A cron expression that has been read, and the naive clock times that match it."""

    times: tuple[time, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[tuple[int, int]]
    either: bool
    fixed: bool

    def clocks_after(self, start: datetime) -> Iterator[datetime]:
        """Yield what matches later than `start`, ascending. Raises OverflowError at the end of year 9999."""
        day, times = start.date(), self.times[bisect_right(self.times, start.time()) :]
        while True:
            if self.falls_on(day):
                yield from (datetime.combine(day, time) for time in times)
            day, times = day + _DAY, self.times

    def clocks_until(self, end: datetime) -> Iterator[datetime]:
        """Yield what matches at or before `end`, descending. Raises OverflowError at the start of year 1."""
        day, times = end.date(), self.times[: bisect_right(self.times, end.time())]
        while True:
            if self.falls_on(day):
                yield from (datetime.combine(day, time) for time in reversed(times))
            day, times = day - _DAY, self.times

    def falls_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        weekday, nth = day.isoweekday() % 7, (day.day + 6) // 7
        listed = day.day in self.days or (_LAST in self.days and _is_in_last(1, day))
        on_weekday = (weekday, nth) in self.weekdays or ((weekday, _LAST) in self.weekdays and _is_in_last(7, day))
        return listed or on_weekday if self.either else listed and on_weekday


def _is_in_last(days: int, day: date) -> bool:
    return (day + days * _DAY).month != day.month


@lru_cache(maxsize=1024)
def _read(cron: str) -> _Expression:
    texts = re.split(r"[ \t]+", cron.strip(" \t"))
    if len(texts) == 1:
        texts = ALIASES.get(texts[0].lower(), "").split()
    if len(texts) != len(_FIELDS):
        raise InvalidSchedule(
            f"Cron expression {cron!r} cannot be read. Write exactly five fields (minute, hour, day of month, month,"
            f" day of week; no seconds, no years) or one of {', '.join(ALIASES)}."
        )
    *others, weekdays = (
        frozenset().union(*(_values(cron, position, item) for item in text.split(",")))
        for position, text in enumerate(texts)
    )
    minutes, hours, days, months = (frozenset(value for value, _ in pairs) for pairs in others)
    expression = _Expression(
        times=tuple(sorted(time(hour, minute) for hour in hours for minute in minutes)),
        days=days,
        months=months,
        weekdays=weekdays,
        either="*" not in (texts[2].removesuffix("/1"), texts[4].removesuffix("/1")),
        fixed="*" not in texts[1],
    )
    # 28 years without a skipped leap year hold every date on every weekday.
    if not any(expression.falls_on(date(2000, 1, 1) + n * _DAY) for n in range(28 * 366)):
        raise InvalidSchedule(
            f"Cron expression {cron!r} never runs: month {texts[3]!r} has no day of month {texts[2]!r}. Change either."
        )
    return expression


def _values(cron: str, position: int, typed: str) -> set[tuple[int, int]]:
    """Read one item of a field's list: its values, each paired with every nth weekday of the month that is meant."""
    # Imported when first needed, because it takes 50 ms of a cold start.
    from croniter import CroniterBadCronError, croniter

    name, lowest, highest, takes = _FIELDS[position]
    item = typed.lower()
    for pattern, remedy in _FOREIGN:
        if pattern.fullmatch(item):
            raise InvalidSchedule(f"Cron expression {cron!r}, {name} {typed!r}: {remedy}.")
    refusal = InvalidSchedule(
        f"Cron expression {cron!r}, {name} {typed!r}: write {takes}, a range of two or more (1-5), a step of 1 to"
        f" {highest - lowest} in numbers (*/5; not in a range that wraps around), a list of these (1,3) or *."
    )
    if position == _WEEKDAY and (last := _LAST_WEEKDAY.fullmatch(item)):
        day = last["day"]
        item = f"l{day if day.isdigit() else _DAYS.index(day)}"
    if not _is_plain(item, position):
        raise refusal
    try:
        expanded, nths = croniter.expand(" ".join(["*"] * position + [item] + ["*"] * (4 - position)))
    except CroniterBadCronError as exc:
        raise refusal from exc
    values = range(lowest, highest + 1) if expanded[position] == ["*"] else expanded[position]
    return {(_number(value), _number(nth)) for value in values for nth in nths.get(value, range(1, 6))}


def _is_plain(item: str, position: int) -> bool:
    """Return whether croniter reads the item as it is meant.

    To it `9-9` and `27-0` are `*`, `*/90` is `0`, and `R` a random number.
    """
    match = _ITEM.fullmatch(item)
    if not match:
        return False
    _, lowest, highest, _ = _FIELDS[position]
    low, high, step = match.group("low", "high", "step")
    if step and int(step) > highest - lowest:
        return False
    if not high:
        return True
    first, last = int(low), int(high)
    most = 7 if position == _WEEKDAY else highest  # Sunday has two numbers
    if not lowest <= first <= most or not lowest <= last <= most or (first > last and (first, last) == (7, 0)):
        return False
    return first < last or (first > last and not step)


def oddities(cron: str) -> list[str]:
    """Return warnings about a valid expression that may not mean what its author thinks, a sentence each."""
    found = []
    texts = re.split(r"[ \t]+", cron.strip(" \t"))
    if len(texts) != len(_FIELDS):
        return []
    for position, text in enumerate(texts):
        name, items = _FIELDS[position][0], [_values(cron, position, item) for item in text.split(",")]
        if sum(map(len, items)) > len(set().union(*items)):
            found.append(f"{name} {text!r} has a value more than once")
        for low, high, step in re.findall(r"(?<![^,])([0-9]+)-([0-9]+)/([0-9]+)(?![^,])", text):
            if int(step) > int(high) - int(low):
                found.append(f"{name} '{low}-{high}/{step}' has a step wider than its range, so it is {low} alone")
    return [*found, *filter(None, [either_warning(cron)])]


def either_warning(cron: str) -> str:
    """Return the warning about an expression that restricts both day fields, which people read as "and"; else ""."""
    if not _read(cron).either:
        return ""
    return (
        "day of month and day of week are both restricted, and either is enough"
        " (some crons want both where one begins with *)"
    )


def _number(value: int | str) -> int:
    return _LAST if value == "l" else int(value)
