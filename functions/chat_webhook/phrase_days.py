"""Which days the marks of a phrase name: days on the calendar where it is said, or the fields of a cron expression."""

import calendar
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import product

from phrase_words import DAYS, MONTHS, DayMarks, UnclearPhrase
from shared.model.recurrence import InvalidSchedule, Recurrence, both_passes, instants, load_timezone

Fields = tuple[str, str, str]  # day of month, month and day of week, of a cron expression
DAY = timedelta(days=1)
_RELATIVE = ("today", "tomorrow", "day after tomorrow")
WEEKEND = [5, 6]
_WEEK = {day: (n,) for n, day in enumerate(DAYS)} | {"weekday": (0, 1, 2, 3, 4), "weekend": (5, 6)}


@dataclass(frozen=True, kw_only=True)
class Here:
    """Where and when a phrase is written."""

    now: datetime
    timezone: str

    @property
    def clock(self) -> datetime:
        """Return what the clocks show, as a naive time in whole seconds."""
        local = self.local(self.now)
        return local + timedelta(microseconds=-local.microsecond % 1_000_000)

    @property
    def today(self) -> date:
        return self.clock.date()

    def local(self, moment: datetime) -> datetime:
        """Return what the clocks show at a moment, as a naive time."""
        return moment.astimezone(load_timezone(self.timezone)).replace(tzinfo=None)

    def moment(self, clock: datetime) -> datetime:
        """Return the moment at which the clocks show this. Raises UnclearPhrase if they skip it or show it twice."""
        first, second = both_passes(clock, load_timezone(self.timezone))
        if first == second:
            return first
        why = "does not exist: the clocks skip it" if first > second else "comes twice: the clocks are put back"
        near = [f"on {clock + n * timedelta(hours=1):%Y-%m-%d at %H:%M}" for n in (-1, 1)]
        raise UnclearPhrase(f"{clock:%Y-%m-%d %H:%M} {why} in {self.timezone}.", *near)

    def bound(self, clock: datetime) -> datetime:
        """Return the moment of a start or an end: where the clocks skip it, that at which they go on."""
        moments = instants(clock, load_timezone(self.timezone), fixed=True)
        return moments[0] if moments else self.bound(clock + DAY)


def weekdays(marks: DayMarks) -> list[int]:
    """Return the weekdays that are named, Monday is 0."""
    words = (word for match in marks.get("weekday", ()) for word in re.findall("|".join(_WEEK), match[0]))
    return [number for word in words for number in _WEEK[word]]


def months(marks: DayMarks) -> list[int]:
    words = (word for match in marks.get("month", ()) for word in re.findall("|".join(MONTHS), match[0]))
    return [MONTHS.index(word) + 1 for word in words]


def nths(marks: DayMarks) -> list[str]:
    """Return the ordinals before a day of the month or a weekday; the last one is "L"."""
    found = [*marks.get("nth", ()), *marks.get("nth_weekday", ())]
    return [number or "L" for match in found for number, _ in re.findall(r"0?(\d+)[a-z]{2}|(last)", match[1])]


def fields(marks: DayMarks) -> Fields:
    """Return the cron fields of recurring days. Raises UnclearPhrase for dates that no fields can hold."""
    numbers, in_months = (nths(marks) if "nth" in marks else []), months(marks)
    if "date" in marks:
        pairs = [_yearly(match) for match in marks["date"]]
        numbers, in_months = [f"{n}" for n in sorted({day for _, day in pairs})], sorted({month for month, _ in pairs})
        if set(pairs) != set(product(in_months, map(int, numbers))):
            each = (f"every {day} {MONTHS[month - 1]}" for month, day in pairs)
            raise UnclearPhrase("One schedule cannot have different days in different months; several can.", *each)
    of_week = [numbered(number) for number in weekdays(marks)]
    for match in marks.get("nth_weekday", ()):
        number = numbered(DAYS.index(match[2]))
        of_week = [f"L{number}" if nth == "L" else f"{number}#{nth}" for nth in nths(marks)]
    return listed(numbers), listed(in_months), "1-5" if of_week == list("12345") else listed(of_week)


def _yearly(match: re.Match[str]) -> tuple[int, int]:
    readings = {(month, day) for year, month, day in _readings(match) if not year}
    if len(readings) != 1:
        raise UnclearPhrase(f"{match[0]!r} is not a clear day of every year.")
    return readings.pop()


def _readings(match: re.Match[str]) -> list[tuple[int, int, int]]:
    """Return the year or 0, the month and the day of a date, in each way in which it can be read."""
    parts = match.groupdict()
    year = int(parts["y"] or 0) + (2000 if len(parts["y"] or "") == 2 else 0)
    if "a" in parts:
        first, second = int(parts["a"]), int(parts["b"] or parts["b2"])
        both = [(year, first, second), (year, second, first)]
    else:
        both = [(year, MONTHS.index(parts["m"]) + 1 if parts["m"] in MONTHS else int(parts["m"]), int(parts["d"]))]
    found = [each for each in dict.fromkeys(both) if 1 <= each[1] <= 12 and 1 <= each[2] <= _longest(year, each[1])]
    if not found:
        raise UnclearPhrase(f"There is no day {match[0]!r}.")
    return found


def _longest(year: int, month: int) -> int:
    return calendar.monthrange(year or 2000, month)[1]


def numbered(weekday: int) -> str:
    return f"{(weekday + 1) % 7}"


def listed(values: Iterable[int | str]) -> str:
    return ",".join(map(str, values)) or "*"


# ---- One day.


def months_on(day: date, number: int) -> tuple[int, int]:
    return day.year + (day.month - 1 + number) // 12, (day.month - 1 + number) % 12 + 1


def later(clock: datetime, span: str) -> datetime:
    """Return the time after a span such as "1 month 2 day". Raises OverflowError after the year 9999."""
    lengths = [(int(number), unit) for number, unit in re.findall(r"(\d+) (\w+)", span)]
    year, month = months_on(clock, sum(n * {"month": 1, "year": 12}.get(unit, 0) for n, unit in lengths))
    if year > 9999:
        raise OverflowError
    clock = clock.replace(year=year, month=month, day=min(clock.day, _longest(year, month)))
    rest = {f"{unit}s": n for n, unit in lengths if unit not in ("month", "year")}
    return clock + timedelta(**rest)


def is_elapsed(span: str) -> bool:
    """Return whether a span is elapsed time, as minutes are and days are not."""
    return bool(re.search("second|minute|hour", span))


def days_of(marks: DayMarks, today: date, *, is_clause: bool = False) -> list[date]:
    """Return the next day that the marks name, and the one after it; none if they name no day. Raises UnclearPhrase."""
    names = marks.keys() - {"span"}
    if names & {"date", "nth", "relative"} and "weekday" in names:
        return _checked({name: marks[name] for name in marks if name != "weekday"}, weekdays(marks), today)
    if span := marks.get("span"):
        length = span[0][1] or ""  # of "2 weeks after friday"; "friday in 2 weeks" is not clear
        days = (
            []
            if not length or is_elapsed(length) or not names
            else days_of({name: marks[name] for name in names}, today)
        )
        return [later(datetime.combine(day, time()), length).date() for day in days]
    read = _ONCE.get(" ".join(sorted(names))) or (_BEGINS.get(" ".join(sorted(names))) if is_clause else None)
    is_list = any(len(found) > 1 for found in (*marks.values(), nths(marks), months(marks)))
    if read is None or is_list:
        return []
    return read(marks, today)


def _checked(marks: DayMarks, named: list[int], today: date) -> list[date]:
    days = days_of(marks, today)[:1] if len(named) == 1 else []
    if days and named != [days[0].weekday()]:
        raise UnclearPhrase(f"{days[0].day} {days[0]:%B %Y} is a {days[0]:%A}.")
    return days


def _next(marks: DayMarks, today: date) -> list[date]:
    return _upcoming(fields(marks), today)


def _upcoming(of: Fields, today: date) -> list[date]:
    try:
        rhythm = Recurrence(f"0 0 {' '.join(of)}", "UTC")
    except InvalidSchedule:
        return []
    first = rhythm.after(datetime.combine(today, time(), UTC) - DAY / 2)
    return [first.date(), rhythm.after(first).date()]


def _weekday(marks: DayMarks, today: date) -> list[date]:
    return _next(marks, today) if marks["weekday"][0][0] in (*DAYS, "weekend") else []


def _coming_weekday(marks: DayMarks, today: date) -> list[date]:
    """Read "next friday" or "friday of next week"."""
    which, unit = marks["coming"][0].groups()
    if which == "next" and not unit and weekdays(marks) == WEEKEND:
        return _upcoming(("*", "*", numbered(WEEKEND[0])), today + DAY)
    days = _weekday(marks, today + DAY * (which == "next" and not unit))
    if which == "this" and not unit:
        return [day for day in days if day.isocalendar()[:2] == days[0].isocalendar()[:2]]
    if unit:
        monday = today - today.weekday() * DAY + 7 * DAY * (which != "this")
        return [monday + weekdays(marks)[0] * DAY] if unit == "week" and days else []
    return days


def _coming(marks: DayMarks, today: date) -> list[date]:
    which, unit = marks["coming"][0].groups()
    if which != "next" or not unit:
        return []
    first = {"week": today + (7 - today.weekday()) * DAY, "month": date(*months_on(today, 1), 1)}
    return [first.get(unit) or date(today.year + 1, 1, 1)]


def _in_coming_month(marks: DayMarks, today: date) -> list[date]:
    which, unit = marks["coming"][0].groups()
    year, month = months_on(today, int(which != "this"))
    of_month, _, of_week = fields(marks)
    days = _upcoming((of_month, f"{month}", of_week), today)
    return days[:1] if unit == "month" and days[:1] and (days[0].year, days[0].month) == (year, month) else []


def _date(marks: DayMarks, today: date) -> list[date]:
    """Return the day of a date. Raises UnclearPhrase if it can be read in two ways."""
    match = marks["date"][0]
    readings = _readings(match)
    if re.fullmatch(r"\d+\.\d+", match[0]) and not match.string[: match.start()].endswith("on "):
        dates = [f"on {day} {MONTHS[month - 1]}" for _, month, day in reversed(readings)]
        raise UnclearPhrase(f"Is {match[0]} a time of day or a date?", f"at {match[0].replace('.', ':')}", *dates)
    days = [[date(*each)] if each[0] else _upcoming((f"{each[2]}", f"{each[1]}", "*"), today) for each in readings]
    if len(days) > 1:
        both = [each[0] for each in days]
        raise UnclearPhrase(f"{' or '.join(f'{day.day} {day:%B %Y}' for day in both)}?", *(f"on {day}" for day in both))
    return days[0]


def _date_in_year(marks: DayMarks, today: date) -> list[date]:
    """Read "3 march next year"."""
    which, unit = marks["coming"][0].groups()
    year = today.year + (which != "this")
    days = _date(marks, max(today, date(year, 1, 1))) if unit == "year" else []
    return [day for day in days if day.year == year]


def _next_in_year(marks: DayMarks, today: date) -> list[date]:
    """Read "the last friday of october 2027"."""
    year = int(marks["year"][0][0])
    return [day for day in _upcoming(fields(marks), max(today, date(year, 1, 1))) if day.year == year]


_ONCE: Mapping[str, Callable[[DayMarks, date], list[date]]] = {
    "": lambda _, today: [today, today + DAY],
    "relative": lambda marks, today: [today + _RELATIVE.index(marks["relative"][0][0]) * DAY],
    "weekday": _weekday,
    "coming weekday": _coming_weekday,
    "coming": _coming,
    "coming nth": _in_coming_month,
    "coming nth_weekday": _in_coming_month,
    "date": _date,
    "coming date": _date_in_year,
    "month nth year": _next_in_year,
    "month nth_weekday year": _next_in_year,
} | dict.fromkeys(("nth", "nth of_month", "month nth", "nth_weekday of_month", "month nth_weekday"), _next)
_BEGINS: Mapping[str, Callable[[DayMarks, date], list[date]]] = {  # as a start or an end
    "month": lambda marks, today: _upcoming(("1", f"{months(marks)[0]}", "*"), today + DAY),
    "month year": lambda marks, _: [date(int(marks["year"][0][0]), months(marks)[0], 1)],
    "year": lambda marks, _: [date(int(marks["year"][0][0]), 1, 1)],
}
