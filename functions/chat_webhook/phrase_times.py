"""What a phrase that says when means: a moment, or a cron expression.

The library `recurrent` reads it. It skips what it does not know and guesses the rest, so it is given only phrases of a
form that is listed in `phrase_words`, without the time of day, and what it makes of them is compared with them.
"""

import re
import warnings
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta

from phrase_words import (
    CLOCK,
    CODES,
    DATE,
    DAYS,
    ELAPSED,
    LATER,
    LIMIT,
    MONTH,
    MONTHS,
    NAME,
    NAMED_TIMES,
    NTH,
    PARTS,
    RECURRING,
    USUAL,
    plain_words,
    said,
    taken_apart,
    unknown_words,
)
from shared.model.recurrence import load_timezone

FURTHEST = timedelta(days=366)
EXAMPLES = ("tomorrow at 9:00", "in 20 minutes", "every monday at 9:00")
_RELATIVE = {"": 0, "today": 0, "tomorrow": 1, "overmorrow": 2}


class Refused(Exception):
    """A schedule that is not possible; `nearest` are phrases for possible ones."""

    def __init__(self, message: str, *nearest: str) -> None:
        super().__init__(message)
        self.nearest = tuple(filter(None, nearest)) or EXAMPLES


def read_when(phrase: str, now: datetime, timezone: str) -> datetime | str:
    """Read WHEN: a moment (aware, UTC) or a cron expression."""
    clocks, parts, rest = taken_apart(phrase)
    plain, times = plain_words(rest), _times(clocks, parts)
    if limit := LIMIT.search(rest):
        nearest = said(plain_words(LIMIT.sub(" ", rest)), times)
        raise Refused(
            f"A schedule has no start, no end and no exceptions ({limit[0].strip()!r}); it can be cancelled then.",
            nearest,
        )
    if unknown := unknown_words(phrase):
        raise Refused(f"The word {unknown[0]!r} is not known in {phrase.strip()!r}.")
    if len(clocks) > 1:
        raise Refused(f"{phrase.strip()!r} has more than one time. Write one, or a list such as at 9 and 17.")
    if not re.search(r"\bevery\b", plain):
        return _moment(plain, times, now, timezone)
    if not RECURRING.fullmatch(plain):
        raise _not_a_time(phrase)
    return _cron(plain, times, now.astimezone(load_timezone(timezone)))


def _not_a_time(phrase: str) -> Refused:
    return Refused(f"{phrase.strip()!r} cannot be read as a time.")


def _times(clocks: list[str], parts: list[str]) -> list[time]:
    if not clocks:
        return sorted({PARTS[part][0] for part in parts})
    if len(parts) > 1:
        raise Refused(f"{' and '.join(parts)} with a time is unclear. Write it as 9:00 or 17:00.")
    return sorted({_time(clock, parts) for clock in re.findall(rf"{CLOCK}", clocks[0])})


def _time(clock: str, parts: list[str]) -> time:
    refusal = Refused(f"{' in the '.join([clock, *parts])!r} is no time of day. Write it as 9:00, 17:30 or 5:30 pm.")
    match = re.fullmatch(r"([0-9]+)(?:[:.]([0-9]+))?\s?(am|pm)?(?:o'clock)?", clock)
    hour, minute, half = (int(match[1]), int(match[2] or 0), match[3]) if match else (NAMED_TIMES[clock].hour, 0, None)
    hours = {hour} | ({hour % 12, hour % 12 + 12} if match and parts and hour <= 12 else set())
    if half:
        hours = {hour % 12 + (12 if half == "pm" else 0)} if 1 <= hour <= 12 else set()
    fitting = [each for each in hours if each < 24 and all(each in PARTS[part][1] for part in parts)]
    if len(fitting) != 1 or minute > 59:
        raise refusal
    return time(fitting[0], minute)


def _recurrent(plain: str, clock: datetime) -> datetime | str | None:
    # Imported when first needed, because it takes 100 ms of a cold start.
    from parsedatetime.warns import pdt20DeprecationWarning
    from recurrent import RecurringEvent

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pdt20DeprecationWarning)  # about how `recurrent` calls `parsedatetime`
        event = RecurringEvent(now_date=clock)
    try:
        result: datetime | str | None = event.parse(plain.replace("of_month", "of the month"))
    except (OverflowError, ValueError):  # a moment after the year 9999
        return None
    return result


# ---- Once.


def _moment(plain: str, times: list[time], now: datetime, timezone: str) -> datetime:
    here = now.astimezone(load_timezone(timezone)).replace(tzinfo=None)
    if len(times) > 1:
        raise Refused("Only what recurs can have several times of day.", *(said(plain, [each]) for each in times))
    if ELAPSED.fullmatch(plain) and not times:
        moment = _recurrent(plain, _whole_second(now.astimezone(UTC).replace(tzinfo=None)))
        at = moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else datetime.max.replace(tzinfo=UTC)
    else:
        at = _clock_moment(plain, times, here, now=now, timezone=timezone)
    if at < now:
        raise Refused(f"{said(plain, times or [USUAL])!r} is past.", said("tomorrow", times or [USUAL]))
    if at - now > FURTHEST:
        raise Refused(f"{said(plain, times)!r} is more than a year away.", "in 1 year")
    return at


def _clock_moment(plain: str, times: list[time], here: datetime, *, now: datetime, timezone: str) -> datetime:
    """Return the moment at which the clocks show it; for a time or a weekday alone, the next such moment."""
    step = timedelta(days=1) if not plain else timedelta(days=7) if plain in DAYS else None
    day = _day(plain, here)
    if day is None:
        raise _not_a_time(said(plain, times))
    usual = _whole_second(here).time() if LATER.fullmatch(plain) else USUAL
    clock = datetime.combine(day, times[0] if times else usual)
    return _placed(clock + step if step and clock < here else clock, timezone)


def _day(plain: str, here: datetime) -> date | None:
    if plain in _RELATIVE:
        return (here + timedelta(days=_RELATIVE[plain])).date()
    with suppress(ValueError):
        return date.fromisoformat(plain)
    if nth := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", plain):  # of this month or of a later one
        coming = (here.date() + timedelta(days=number) for number in range(63))
        return next((day for day in coming if day.day == int(nth[1])), None)
    match = DATE.fullmatch(plain)
    if not match and not LATER.fullmatch(plain) and plain.removeprefix("next ") not in DAYS:
        return None
    # `recurrent` takes a weekday to be one after today.
    found = _recurrent(plain.removeprefix("next "), here - timedelta(days=1) if plain in DAYS else here)
    if not isinstance(found, datetime):
        return None
    wanted = (match["month"], int(match["day"]), int(match["year"] or found.year)) if match else ()
    return found.date() if not match or wanted == (MONTHS[found.month - 1], found.day, found.year) else None


def _placed(clock: datetime, timezone: str) -> datetime:
    zone = load_timezone(timezone)
    first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    hours = (timedelta(hours=-1), timedelta(hours=1))
    nearest = [said(f"on {clock + hour:%Y-%m-%d}", [(clock + hour).time()]) for hour in hours]
    why = "does not exist: the clocks skip it" if first > second else "comes twice: the clocks are put back"
    raise Refused(f"{clock:%Y-%m-%d %H:%M} {why} in {timezone}.", *nearest)


def _whole_second(clock: datetime) -> datetime:
    return clock + timedelta(microseconds=-clock.microsecond % 1_000_000)


# ---- Again and again.

_STEPS = [n for n in range(1, 60) if 60 % n == 0] + [60 * n for n in range(1, 25) if 24 % n == 0]  # minutes, in cron
_INTERVALS = {"MONTHLY": (1, 2, 3, 4, 6, 12)}  # otherwise 1
_MINUTES = {"HOURLY": 60, "MINUTELY": 1, "SECONDLY": 0}
_SKIPPED = {"DAILY": "days", "WEEKLY": "weeks", "MONTHLY": "months, unless they divide a year", "YEARLY": "years"}
_ATOMS = {  # of an RRULE
    **{day: [code] for day, code in zip(DAYS, CODES, strict=True)},
    **{month: [f"month {number}"] for number, month in enumerate(MONTHS, 1)},
    **{"weekday": CODES[:5], "weekend": CODES[5:], "last": ["-1"]},
}
_FREQUENCIES = (  # the first one whose words appear
    ("YEARLY", rf"year|{MONTH}"),
    ("MONTHLY", "month"),
    ("WEEKLY", rf"week|{NAME}"),
    ("DAILY", "day"),
    ("HOURLY", "hour"),
    ("MINUTELY", "minute"),
    ("SECONDLY", "seconds"),
)


def _cron(plain: str, times: list[time], here: datetime) -> str:
    rule = _rule(plain, here)
    frequency, interval = rule["FREQ"], int(rule.get("INTERVAL", 1))
    if frequency in _MINUTES:
        return _by_the_clock(plain, times, minutes=interval * _MINUTES[frequency])
    usual = times or [USUAL]
    if interval not in _INTERVALS.get(frequency, (1,)):
        raise Refused(f"A schedule cannot skip {_SKIPPED[frequency]}.", *_without_interval(plain, usual, here))
    days = _day_fields(rule)
    if not days:
        raise Refused(f"Say on which day ({said(plain)!r} does not).", *_with_day(plain, usual, here))
    return f"{_clock_fields(plain, usual)} {days}"


def _without_interval(plain: str, times: list[time], here: datetime) -> list[str]:
    each = re.sub(r"every \d+ ", "every ", plain)
    if not re.search(rf"day|{NTH}", each):
        return _with_day(each, times, here)
    second = re.fullmatch(rf"every 2 ({NAME})", plain)
    return [said(each, times), *([said(f"every 1st 3rd {second[1]} of_month", times)] if second else [])]


def _with_day(plain: str, times: list[time], here: datetime) -> list[str]:
    today, first = DAYS[here.weekday()], re.sub("every year", f"every {MONTHS[here.month - 1]}", plain)
    days = ["every monday", f"every {today}"] if "week" in plain else [f"{first} 1st"]
    return [said(day, times) for day in dict.fromkeys(days)]


def _rule(plain: str, here: datetime) -> dict[str, str]:
    """Return the RRULE of a phrase. Raises Refused if it omits a word of the phrase or adds anything."""
    match = re.fullmatch(r"RRULE:(\S+)", str(_recurrent(plain, here.replace(tzinfo=None))))
    rule = dict(pair.split("=") for pair in match[1].split(";")) if match else {}
    found = [rule.get("FREQ"), rule.get("INTERVAL", "1"), *re.findall(r"[A-Z]+|-?\d+", rule.get("BYDAY", ""))]
    found += [
        *re.findall(r"-?\d+", rule.get("BYMONTHDAY", "")),
        *(f"month {n}" for n in rule.get("BYMONTH", "").split()),
    ]
    interval = re.search(r"every (\d+) ", plain)
    wanted = [next(name for name, words in _FREQUENCIES if re.search(words, plain)), interval[1] if interval else "1"]
    wanted += [atom for word in plain.split() for atom in _ATOMS.get(word, re.findall(r"^(\d+)[a-z]", word))]
    if set(found) != set(wanted) or rule.keys() - {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH"}:
        raise _not_a_time(said(plain))
    return rule


def _by_the_clock(plain: str, times: list[time], *, minutes: int) -> str:
    if times:
        raise Refused(
            "What comes every few hours or minutes has no time of day.", said(plain), said("every day", times)
        )
    if minutes in _STEPS:
        hours = minutes // 60
        minute_step, hour_step = (f"*/{step}" if step > 1 else "*" for step in (minutes, hours))
        return f"{minute_step} * * * *" if not hours else f"0 {hour_step if hours < 24 else 0} * * *"
    below, above = [step for step in _STEPS if step < minutes], [step for step in _STEPS if step > minutes]
    nearest = [(f"{n // 60} hour" if n >= 60 else f"{n} minute") for n in (*below[-1:], *above[:1])]
    message = f"A schedule cannot keep to {said(plain)!r}: the steps must fill an hour or a day evenly."
    raise Refused(message, *(said(f"every {step}".replace("every 1 ", "every ")) for step in nearest))


def _clock_fields(plain: str, times: list[time]) -> str:
    minutes, hours = sorted({each.minute for each in times}), sorted({each.hour for each in times})
    if len(times) < len(minutes) * len(hours):
        alike = ([each for each in times if each.minute == minute] for minute in minutes)
        message = "One schedule cannot have different minutes at different hours; several can."
        raise Refused(message, *(said(plain, group) for group in alike))
    return f"{_listed(minutes)} {_listed(hours)}"


def _day_fields(rule: dict[str, str]) -> str:
    """Return the last three fields of the cron expression, or "" if the rule names no day."""
    days = [f"{nth}{code}" for nth, code in re.findall(r"(-?\d*)([A-Z]+)", rule.get("BYDAY", ""))]
    dates = "L" if (listed := rule.get("BYMONTHDAY", "")) == "-1" else ",".join(listed.replace("-1", "L").split(","))
    step = int(rule.get("INTERVAL", 1))
    months = rule.get("BYMONTH") or ("*" if step == 1 else _listed(range(1, 13, step)))
    weekdays = ",".join(map(_weekday, days))
    if rule["FREQ"] == "WEEKLY" and weekdays == "1,2,3,4,5":
        weekdays = "1-5"
    if rule["FREQ"] != "DAILY" and not dates and not weekdays:
        return ""
    return f"{dates or '*'} {months} {weekdays or '*'}"


def _weekday(day: str) -> str:
    number = (CODES.index(day[-2:]) + 1) % 7
    return {"": f"{number}", "-1": f"L{number}"}.get(day[:-2], f"{number}#{day[:-2]}")


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))
