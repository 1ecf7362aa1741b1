"""What a phrase for a time means: a moment, a cron expression or an interval, with a start, an end and days off.

A table (`_OF_UNIT`) lists which marks make a rhythm; anything else is refused, rather than guessed.
"""

import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from orders import When
from phrase_clocks import USUAL, WAKING, Clock, at_clocks, clocks_of, read_clock
from phrase_days import DAY, Here, days_of, fields, is_elapsed, later, listed, months, nths, numbered, weekdays
from phrase_ends import days_off, end_of, is_partly_off, start_of
from phrase_words import DAYS, MONTHS, Marks, UnclearPhrase, items, marks_of, said, unreadable
from shared.model.schedule import just_before

FURTHEST = timedelta(days=5 * 366)  # a later one is a typing mistake


def read_when(phrase: str, now: datetime, timezone: str) -> When:
    """Read a phrase at `now` (aware) on the clocks of `timezone`. Raises UnclearPhrase."""
    marks, here = marks_of(phrase), Here(now=now, timezone=timezone)
    with suppress(OverflowError):
        return _recurring(marks, here) if {"every", "recurs"} & marks.days.keys() else _once(marks, here)
    raise UnclearPhrase(f"{phrase.strip()!r} is too far away.")


def clock_times(phrase: str) -> tuple[time, ...]:
    """Return the times of day that a phrase such as "half past 4" may mean; none if it says more than one time.

    Raises UnclearPhrase for an unknown word.
    """
    marks = marks_of(phrase)
    clocks = [] if marks.days or marks.clauses or marks.hours else clocks_of(marks)
    return tuple(each for clock in clocks for each in (clock.meant, clock.other) if each) if len(clocks) == 1 else ()


# ---- Once.


def _once(marks: Marks, here: Here) -> When:
    clocks = clocks_of(marks)
    if marks.hours and not marks.clauses:
        starts = said(f"{marks.phrase} at {marks.hours[0]}")
        raise UnclearPhrase(f"A single run has one time, not {' to '.join(marks.hours)!r}.", starts)
    if marks.clauses:
        raise UnclearPhrase(
            f"Only a repeated schedule can have a start, an end or exceptions, unlike {said(marks.phrase)!r}."
        )
    at = f" {at_clocks(clock.meant for clock in clocks)}" if clocks else ""
    if apart := _days_apart(marks):
        raise UnclearPhrase("Only a repeated schedule can have several days.", *(said(f"{each}{at}") for each in apart))
    if len(clocks) > 1:
        single = (said(f"{marks.phrase} {at_clocks([clock.meant])}") for clock in clocks)
        raise UnclearPhrase("Only a repeated schedule can have several times of day.", *single)
    clock = clocks[0] if clocks else None
    try:
        when = _after(marks, clock, here) if marks.days.keys() == {"span"} else _on_day(marks, clock, here)
    except UnclearPhrase as exc:
        is_day = marks.days.keys() in ({"date"}, {"span"})  # whose phrases have no time
        near = (each if " at " in each else f"{each}{at}" for each in exc.nearest if is_day or " at " in each)
        raise UnclearPhrase(str(exc), *near) from None
    if when.at and when.at < here.now:
        raise UnclearPhrase(f"{said(f'{marks.phrase} {at_clocks([(clock or USUAL).meant])}')!r} is past.", *when.others)
    if when.at and when.at - here.now > FURTHEST:
        raise UnclearPhrase(f"{said(marks.phrase)!r} is more than five years away.")
    return when


def _days_apart(marks: Marks) -> list[str]:
    """Return phrases for a list of days: for all of them again and again, and for each of them once."""
    if len(dates := marks.days.get("date", ())) > 1:
        return [f"on {match[0]}" for match in dates]
    for name, match in (
        (name, marks.days[name][0]) for name in ("nth", "nth_weekday", "weekday", "month") if name in marks.days
    ):
        if len(each := items(match[0])) > 1:
            if name == "nth_weekday":
                each = [*(f"{nth} {match[2]}" for nth in each[:-1]), each[-1]]
            single = [marks.phrase.replace(match[0], one.removeprefix("the ")) for one in each]
            every = re.sub("^(?:(?:on|in|the) )*", "every ", marks.phrase)
            if marks.days.keys() == {"nth_weekday"}:
                return [f"{phrase} of the month" for phrase in (every, *single)]
            return [every, *single]
    return []


def _after(marks: Marks, clock: Clock | None, here: Here) -> When:
    """Read "in 2 days": hours and minutes are elapsed time, days and longer keep the time of day."""
    parts = re.findall(r"\d+ \w+", marks.days["span"][0][2] or "")
    elapsed, days = ([part for part in parts if is_elapsed(part) == which] for which in (True, False))
    if not parts or (clock and elapsed):
        raise unreadable(marks)
    if len({part.split()[1] for part in parts}) < len(parts):
        raise UnclearPhrase("Only a repeated schedule can have several times.", *(said(f"in {part}") for part in parts))
    start = here.now + timedelta(microseconds=-here.now.microsecond % 1_000_000)
    if days:
        local = later(here.clock, " ".join(days))
        start = here.moment(datetime.combine(local, clock.meant) if clock else local)
    return When(at=later(start.astimezone(UTC), " ".join(elapsed)))


def _on_day(marks: Marks, clock: Clock | None, here: Here) -> When:
    if "minute" in marks.days:
        raise _at_which_hour(marks, here)
    days = days_of(marks.days, here.today)
    if not days or not (marks.days or clock):
        raise unreadable(marks)
    clock = clock or USUAL
    moments = [_first(days, each, here) for each in (clock.meant, clock.other) if each is not None]
    soon = [each for each in moments if each >= here.clock]
    if clock.is_bare and marks.days.keys() <= {"relative"} and days[0] == here.today:
        moments = sorted(soon, key=lambda each: (each.hour < WAKING, each)) or moments
    elif not clock.is_bare:
        moments = [moments[0], *(each for each in soon if not marks.days and each < moments[0])]
    moment, others = moments[0], moments[1:]
    if moment.time() == time() and marks.days:
        others.append(moment + DAY)  # the midnight at the end of the day
    coming, note = marks.days.get("coming"), ""
    if coming and coming[0][1] == "next" and len(days) > 1 and (days[0] - here.today).days + here.today.weekday() < 7:
        others.append(moment + 7 * DAY)  # some people mean the week after this one
    last = moment.replace(day=1) - DAY  # of the month before
    if marks.days.keys() == {"nth"} and last.day < moment.day and last.date() >= here.today:
        note, others = f"{last:%B} has no such day.", [*others, last]
    return When(at=here.moment(moment), others=tuple(f"on {each:%Y-%m-%d at %H:%M}" for each in others), note=note)


def _at_which_hour(marks: Marks, here: Here) -> UnclearPhrase:
    moment = here.clock.replace(minute=int(marks.days["minute"][0][1]) % 60, second=0)
    moment += timedelta(hours=1) if moment < here.clock else timedelta()
    return UnclearPhrase("At which hour?", f"on {moment:%Y-%m-%d at %H:%M}")


def _first(days: list[date], clock: time, here: Here) -> datetime:
    moments = [datetime.combine(day, clock) for day in days]
    return next((each for each in moments if each >= here.clock), moments[-1])


# ---- Again and again.

_STEPS = [n for n in range(1, 60) if 60 % n == 0] + [60 * n for n in range(1, 13) if 24 % n == 0]  # minutes, in cron
_OF_UNIT = {  # which marks make the days of a rhythm
    "minute": ("", "weekday", "month", "month weekday"),
    "hour": ("", "weekday", "month", "month weekday"),
    "day": ("", "month"),
    "week": ("", "weekday", "month weekday"),
    "month": ("", "nth", "nth_weekday"),
    "year": ("", "date", "month nth", "month nth_weekday"),
    "": (
        *("weekday", "month weekday", "date", "nth", "nth of_month", "month nth"),
        *("nth_weekday", "nth_weekday of_month", "month nth_weekday"),
    ),
}


def _recurring(marks: Marks, here: Here) -> When:
    number, unit = _rhythm(marks)
    names = " ".join(sorted(marks.days.keys() - {"every", "recurs", "minute"}))
    if names not in _OF_UNIT[unit] or any(not clause and name != "from" for name, clause in marks.clauses.items()):
        raise unreadable(marks)
    is_minute_left = "minute" in marks.days and (unit != "hour" or marks.hours)
    if is_minute_left or (marks.hours and unit not in ("minute", "hour")):
        raise unreadable(marks)
    if unit == "month" and any(marks.clauses.get(end, {}).keys() == {"nth"} for end in ("until", "through")):
        raise unreadable(marks)  # "from the 1st to the 5th" is of each month then
    start = start_of(marks, here)
    minutes = number * {"minute": 1, "hour": 60}.get(unit, 0)
    from_a_time = "from" in marks.clauses and (marks.times or not marks.clauses["from"])
    if minutes and (minutes not in _STEPS or from_a_time):
        when = _by_minutes(marks, minutes, start, here)
    elif number > 1 and unit in ("day", "week"):
        when = _by_days(marks, number, unit, start, here)
    else:
        when = _by_cron(marks, number, unit, start, here)
    first = when.schedule(here.timezone, here.now).after(just_before(here.now))
    if first is None:
        raise unreadable(marks)
    until = end_of(marks, first, here, is_within_day=unit in ("minute", "hour"))
    when = replace(when, until=until, except_dates=days_off(marks, here), others=when.others + _through(marks, unit))
    if when.schedule(here.timezone, here.now).after(just_before(here.now)) is None:
        at = at_clocks(clock.meant for clock in clocks_of(marks) or [USUAL])
        days = f"{marks.phrase.replace(' until ', ' to ')} {at}"
        raise UnclearPhrase(
            f"{said(marks.phrase)!r} ends before it begins.", *([said(days)] if weekdays(marks.days) else [])
        )
    return when


def _through(marks: Marks, unit: str) -> tuple[str, ...]:
    """Return the phrase that includes the month of an end: "until march" may mean that too."""
    if marks.clauses.get("until", {}).keys() != {"month"} or unit in ("minute", "hour"):
        return ()
    at = at_clocks(clock.meant for clock in clocks_of(marks) or [USUAL])
    return (said(f"{marks.phrase.replace('until', 'through')} {at}"),)


def _rhythm(marks: Marks) -> tuple[int, str]:
    every = marks.days.get("every")
    number, unit = (int(every[0][1] or 1), every[0][2]) if every else (1, "")
    if marks.hours and unit in ("", "day"):
        return 1, "hour"  # "every weekday 8am to 5pm"
    if unit == "second" and number and number % 60 == 0:
        number, unit = number // 60, "minute"
    if unit == "second" or number < 1:
        raise UnclearPhrase(f"A schedule runs once a minute at most, unlike {said(marks.phrase)!r}.", "every minute")
    return number, unit


def _by_minutes(marks: Marks, minutes: int, start: date | None, here: Here) -> When:
    """Read "every 90 minutes": a true interval of elapsed time."""
    clocks = clocks_of(marks)
    if marks.days.keys() != {"every"} or marks.hours or len(clocks) > 1 or is_partly_off(marks):
        raise UnclearPhrase(f"Such an interval cannot keep to certain days or hours: {said(marks.phrase)!r}.")
    if clocks and "from" not in marks.clauses:
        raise _has_no_clock(marks, clocks)
    first = here.clock + timedelta(minutes=minutes, seconds=-here.clock.second % 60)
    if clocks or start:
        first = datetime.combine(start or here.today, (clocks or [USUAL])[0].meant)
        first += DAY if first < here.clock else timedelta()
    return When(every=f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m", at=_start(first, here))


def _start(first: datetime, here: Here) -> datetime:
    """Return the moment of a first run. Raises UnclearPhrase, without the single times beside it."""
    try:
        return here.moment(first)
    except UnclearPhrase as exc:
        raise UnclearPhrase(str(exc)) from None


def _has_no_clock(marks: Marks, clocks: list[Clock]) -> UnclearPhrase:
    phrase = said(marks.phrase)
    each = (f"{phrase} starting {at_clocks([clock.meant])}" for clock in clocks)
    return UnclearPhrase(f"{phrase!r} has no time of day, but a start.", *each)


def _by_days(marks: Marks, number: int, unit: str, start: date | None, here: Here) -> When:
    """Read "every other friday at 9": a true interval that keeps the time of day."""
    clocks, named = clocks_of(marks) or [USUAL], weekdays(marks.days)
    if len(clocks) > 1 or len(named) > 1 or "month" in marks.days or is_partly_off(marks):
        weekday = marks.days["weekday"][0][0] if named else ""
        phrases = [marks.phrase.replace(weekday, DAYS[n]) for n in named] or [marks.phrase]
        each = [said(f"{phrase} {at_clocks([clock.meant])}") for phrase in phrases for clock in clocks]
        raise UnclearPhrase(f"One schedule cannot say {said(marks.phrase)!r}.", *(each if len(each) > 1 else []))
    day = start or here.today
    day += (named[0] - day.weekday()) % 7 * DAY if named else timedelta()
    first = datetime.combine(day, clocks[0].meant)
    if first < here.clock:
        first += 7 * DAY if unit == "week" else DAY
    second = said(f"{marks.phrase} starting {first + 7 * DAY:%Y-%m-%d} {at_clocks([first.time()])}")
    return When(every=f"{number}{unit[0]}", at=_start(first, here), others=(second,) if named and not start else ())


def _by_cron(marks: Marks, number: int, unit: str, start: date | None, here: Here) -> When:
    clocks, others, note = clocks_of(marks), [], ""
    if unit in ("minute", "hour"):
        clock = _steps(marks, number, unit, clocks)
    else:
        clocks = clocks or [USUAL]
        clock = _clock_fields(marks.phrase, [each.meant for each in clocks])
        otherwise = {each.other or each.meant for each in clocks}
        if any(each.is_bare for each in clocks) and len(otherwise) == len(clocks):
            others.append(said(f"{marks.phrase} {at_clocks(otherwise)}"))
    at = at_clocks(each.meant for each in clocks)
    day, month, weekday = _day_fields(marks, number, unit, start or here.today, at)
    if (late := [n for n in day.split(",") if n in ("29", "30", "31")]) and month == "*" and "nth" in marks.days:
        note = f"Months without a {late[-1]}{'st' if late[-1] == '31' else 'th'} are left out."
        others.append(said(f"{marks.phrase.replace(marks.days['nth'][0][0], 'last day')} {at}"))
    is_one_day = len(weekdays(marks.days)) == 1 and not ("recurs" in marks.days or marks.clauses or marks.hours)
    if is_one_day and unit in ("minute", "hour"):
        named = marks.days["weekday"][0][0]  # "every hour on friday"
        others.append(said(f"{re.sub(f'(?:on )?{named}', '', marks.phrase)} starting {named} until {named}"))
    begin = here.bound(datetime.combine(start, time())) if start else None
    return When(cron=f"{clock} {day} {month} {weekday}", at=begin, others=tuple(others), note=note)


def _steps(marks: Marks, number: int, unit: str, clocks: list[Clock]) -> str:
    """Return the minutes and hours of "every 2 hours", perhaps from one hour to another."""
    if clocks:
        raise _has_no_clock(marks, clocks)
    if unit == "minute" and number >= 60:
        number, unit = number // 60, "hour"
    minute = int(marks.days["minute"][0][1]) if "minute" in marks.days else 0
    hours, step = "*", f"/{number}" if number > 1 else ""
    if marks.hours:
        first, last = _from_to(marks)
        hours = f"{first.hour}-{last.hour}" if first.hour != last.hour else f"{first.hour}"
        if last < first and (marks.days.keys() != {"every"} or number > 1):  # "from 22 to 6"
            raise unreadable(marks)
        minute, spill = first.minute, 60 - number if unit == "minute" else first.minute
        if last.minute != spill or (unit == "minute" and first.minute):
            ends = f"{last.hour - 1:02}:{60 - number:02}" if unit == "minute" else f"{last.hour:02}:{first.minute:02}"
            raise UnclearPhrase(
                f"One schedule cannot run {said(marks.phrase)!r} from {first:%H:%M} to {last:%H:%M}.",
                said(f"{marks.phrase} from {first:%H:%M} to {ends}"),
            )
    if unit == "minute":
        return f"*{step} {hours}"
    return f"{minute} {hours}{step}"


def _from_to(marks: Marks) -> tuple[time, time]:
    """Return the first and the last time of a range. Raises UnclearPhrase."""
    start, end = (read_clock(text) for text in marks.hours)
    if start.counts_to_24 or end.counts_to_24:
        start, end = start.by_24_hours, end.by_24_hours
    first = start.meant
    if start.other and end.other is None:  # "5 to 9am", "1 to 5pm"
        first = max((each for each in (start.meant, start.other) if each < end.meant), default=first)
    readings = sorted(each for each in (end.meant, end.other) if each is not None)
    last = min((each for each in readings if each > first), default=readings[0])
    if last == first or (last < first and marks.clauses):
        raise UnclearPhrase(
            f"{' to '.join(marks.hours)!r} is not a range within a day. Write it as from 9:00 to 17:00."
        )
    return first, last


def _clock_fields(phrase: str, times: list[time]) -> str:
    minutes, hours = sorted({each.minute for each in times}), sorted({each.hour for each in times})
    if len(set(times)) < len(minutes) * len(hours):
        alike = [[each for each in times if each.minute == minute] for minute in minutes]
        message = "One schedule cannot have different minutes at different hours; several can."
        raise UnclearPhrase(message, *(said(f"{phrase} {at_clocks(group)}") for group in alike))
    return f"{listed(minutes)} {listed(hours)}"


def _day_fields(marks: Marks, number: int, unit: str, today: date, at: str) -> tuple[str, str, str]:
    """Return the last three fields; without a named day it is that of today. Raises UnclearPhrase."""
    try:
        day, month, weekday = fields(marks.days)
    except UnclearPhrase as exc:
        raise UnclearPhrase(str(exc), *(f"{each} {at}" for each in exc.nearest)) from None
    nth, counts = marks.days.get("nth_weekday"), nths(marks.days)
    names_month = unit or marks.days.keys() & {"of_month", "month"}
    if nth and not names_month and len(counts) == 1 and counts[0] not in ("1", "L"):
        both = f"every {nth[0][0]} of the month {at}", f"every {counts[0]} weeks on {nth[0][2]} {at}"
        raise UnclearPhrase(f"Is {said(marks.phrase)!r} once a month, or every {counts[0]} weeks?", *both)
    if (day, weekday) == ("*", "*") and unit in ("week", "month", "year"):
        if unit != "week" and (today.day > 28 or (number > 1 and "from" not in marks.clauses)):
            raise UnclearPhrase(
                f"Say on which day ({said(marks.phrase)!r} does not).", f"{said(marks.phrase)} on the 1st {at}"
            )
        weekday = numbered(today.weekday()) if unit == "week" else "*"
        day = "*" if unit == "week" else str(today.day)
        month = str(today.month) if unit == "year" else month
    if number > 1 and unit in ("month", "year"):
        if unit == "year" or 12 % number:
            raise UnclearPhrase(f"A schedule cannot skip {unit}s unless they divide a year: {said(marks.phrase)!r}.")
        last = number - 1 if counts == ["L"] else 0  # "every quarter on the last day" is the end of March
        begin = today.month - 1 if "from" in marks.clauses else last
        if last and (begin - last) % number:
            raise _at_which_ends(marks, number, (last, begin), at)
        month = listed(_months_from(begin, number))
    return (day, *_without(marks, month, weekday, is_by_day=day == "*" and not nth))


def _months_from(begin: int, number: int) -> list[int]:
    """Return every so many months, as in cron, from `begin`, which counts from 0."""
    return sorted((begin + n) % 12 + 1 for n in range(0, 12, number))


def _at_which_ends(marks: Marks, number: int, begins: tuple[int, int], at: str) -> UnclearPhrase:
    """Return the question about "the last day of every quarter starting january 4"."""
    named = (" and ".join(MONTHS[month - 1] for month in _months_from(begin, number)) for begin in begins)
    each = (said(f"{marks.phrase.replace(marks.days['every'][0][0], f'every {names}')} {at}") for names in named)
    return UnclearPhrase(f"At the end of which months is {said(marks.phrase)!r}?", *each)


def _without(marks: Marks, month: str, weekday: str, *, is_by_day: bool) -> tuple[str, str]:
    """Leave out the weekdays and months of an exception. Raises UnclearPhrase."""
    clause = marks.clauses.get("except", {})
    kept, off = weekdays(marks.days) or list(range(7)), weekdays(clause)
    in_months = list(range(1, 13)) if month == "*" else list(map(int, month.split(",")))
    if clause.keys() == {"weekday"}:
        kept = [n for n in kept if n not in off]
        weekday = "1-5" if kept == [0, 1, 2, 3, 4] else listed(map(numbered, kept))
    if clause.keys() == {"month"}:
        in_months = [n for n in in_months if n not in months(clause)]
        month = listed(in_months)
    if not kept or not in_months or (clause.keys() == {"weekday"} and not is_by_day):
        raise unreadable(marks)
    return month, weekday
