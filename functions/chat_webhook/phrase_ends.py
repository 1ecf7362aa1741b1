"""From when, until when and except when a job recurs: the clauses beside a rhythm."""

from contextlib import suppress
from datetime import date, datetime, time

from phrase_days import Here, days_of, is_elapsed, later, months
from phrase_words import DayMarks, Marks, UnclearPhrase, unreadable


def start_of(marks: Marks, here: Here) -> date | None:
    """Return the day on which it starts, or None for now. Raises UnclearPhrase."""
    clause = marks.clauses.get("from")
    return _day_in(clause, marks, here) if clause else None


def end_of(marks: Marks, first: datetime, here: Here, *, is_within_day: bool) -> datetime | None:
    """Return the exclusive end of a job that first runs at `first` (aware); a named day or period is included.

    But a month or a week after "until" is not. "For 2 days" counts whole days, unless the job runs more often: then
    hours.
    """
    ends = [key for key in ("until", "through", "before", "for") if key in marks.clauses]
    if len(ends) > 1:
        raise unreadable(marks)
    return _end(ends[0], marks, first, here, is_within_day=is_within_day) if ends else None


def _end(key: str, marks: Marks, first: datetime, here: Here, *, is_within_day: bool) -> datetime:
    clause, local = marks.clauses[key], here.local(first)
    if key == "for":
        span = clause["span"][0][2] if clause.keys() == {"span"} else None
        if not span:
            raise unreadable(marks)
        is_later = "from" in marks.clauses
        if is_elapsed(span):
            return later(first if is_later else here.now, span)
        since = datetime.combine(local, time()) if not is_within_day else local if is_later else here.clock
        return here.bound(later(since, span))
    day, unit = _day_in(clause, marks, here), _unit(clause)
    if key == "through" and unit == "month" and here.today.month in months(clause):
        now = later(datetime.combine(here.today.replace(day=1), time()), "1 month")
        return here.bound(now) if now > local else here.bound(later(datetime.combine(day, time()), "1 month"))
    length = {"until": "" if unit else "1 day", "before": "", "through": f"1 {unit or 'day'}"}[key]
    return here.bound(later(datetime.combine(day, time()), length))


def _unit(clause: DayMarks) -> str:
    """Return the unit of a period, such as a month, or "" for a day."""
    if clause.keys() == {"coming"}:
        return clause["coming"][0][2] or ""
    return next(iter(clause)) if clause.keys() in ({"month"}, {"year"}) else ""


def days_off(marks: Marks, here: Here) -> tuple[date, ...]:
    """Return the days on which it does not run. Raises UnclearPhrase."""
    clause = marks.clauses.get("except")
    if clause is None or is_partly_off(marks):
        return ()
    if clause.keys() not in ({"date"}, {"relative"}, {"coming", "weekday"}):
        raise unreadable(marks)
    each: list[DayMarks] = [{"date": (match,)} for match in clause["date"]] if clause.keys() == {"date"} else [clause]
    return tuple(sorted(_day_in(one, marks, here) for one in each))


def is_partly_off(marks: Marks) -> bool:
    """Return whether an exception names weekdays or months, rather than days."""
    return marks.clauses.get("except", {}).keys() in ({"weekday"}, {"month"})


def _day_in(clause: DayMarks, marks: Marks, here: Here) -> date:
    """Return the day that a clause names, today or later."""
    if clause.keys() == {"span"} and (span := clause["span"][0][2]) and not is_elapsed(span):
        return later(here.clock, span).date()
    with suppress(UnclearPhrase):  # with phrases for the day alone
        for day in days_of(clause, here.today, is_clause=True) if clause else []:
            if day >= here.today:
                return day
    raise unreadable(marks)
