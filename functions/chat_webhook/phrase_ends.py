"""From when, until when and except when a job recurs: the clauses beside a rhythm."""

from contextlib import suppress
from datetime import date, datetime, time

from phrase_days import Here, days_of, is_elapsed, later, months
from phrase_words import DayMarks, Marks, UnclearPhrase, UnknownWord, said, unreadable


def start_of(marks: Marks, here: Here) -> date | None:
    """Return the day on which it starts, or None for now. Raises UnclearPhrase."""
    clause = marks.clauses.get("from")
    return _day_in(clause, marks, here) if clause else None


def end_of(marks: Marks, first: datetime, here: Here, *, is_within_day: bool) -> datetime | None:
    """Return the exclusive end of a job that first runs at `first` (aware), or None.

    `is_within_day` means that it runs more often than once a day. Raises UnclearPhrase.
    """
    match [key for key in ("until", "through", "before", "for") if key in marks.clauses]:
        case []:
            return None
        case ["for"]:
            return _end_of_length(marks, first, here, is_within_day=is_within_day)
        case [key]:
            return _named_end(key, marks, here.local(first), here)
    raise unreadable(marks)


def _end_of_length(marks: Marks, first: datetime, here: Here, *, is_within_day: bool) -> datetime:
    """Read "for 2 days": whole days, or hours for a job that runs more often."""
    clause, starts_later = marks.clauses["for"], "from" in marks.clauses
    span = clause["span"][0][2] if clause.keys() == {"span"} else None
    if not span:
        raise unreadable(marks)
    if is_elapsed(span) and not is_within_day and not starts_later:
        raise UnknownWord(f"{said(span)!r} is no length for {said(marks.phrase)!r}.")  # "yoga for 30 minutes every day"
    if is_elapsed(span):
        return later(first if starts_later else here.now, span)
    local = here.local(first)
    whole_days = datetime.combine(local, time())
    since = (local if starts_later else here.clock) if is_within_day else whole_days
    return here.bound(later(since, span))


def _named_end(key: str, marks: Marks, local: datetime, here: Here) -> datetime:
    """Read an end such as "until friday", which is included; "until" a month, a week or a year ends before it."""
    clause = marks.clauses[key]
    day, unit = datetime.combine(_day_in(clause, marks, here), time()), _unit(clause)
    if key == "before" or (key == "until" and unit):
        return here.bound(day)
    if unit == "month" and here.today.month in months(clause):  # "through november", in November
        this_month = later(datetime.combine(here.today.replace(day=1), time()), "1 month")
        if this_month > local:
            return here.bound(this_month)
    return here.bound(later(day, f"1 {unit or 'day'}"))


def _unit(clause: DayMarks) -> str:
    """Return the unit of a period, such as a month, or "" for a day."""
    if clause.keys() == {"coming"}:
        return clause["coming"][0][2] or ""
    return next((unit for unit in ("month", "year") if unit in clause and clause.keys() <= {"month", "year"}), "")


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
