"""Schedules and jobs in plain words, for people in Chat and at a terminal."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, time
from functools import lru_cache

from shared.model.job import Job
from shared.model.recurrence import Recurrence, load_timezone
from shared.model.schedule import Schedule, just_before
from shared.model.value import Status

# Errors in our own words, which hold nothing but numbers.
OWN_ERROR = re.compile(
    "timed out after [0-9]+ s|given up: [0-9]+ holders died|its holder died, or could not renew its lease"
    "|its lease was released|its task was lost before it began"
)
UNITS = {"m": "minute", "h": "hour", "d": "day", "w": "week"}
MOST_DATES_NAMED = 3
EXCEPTION = re.compile("([A-Z][A-Za-z]{0,60}(?:Error|Exception)): ")


@lru_cache(maxsize=512)
def in_words(expression: str) -> str:
    """Return a valid cron expression in words, or "" if the words would be wrong.

    The words are cached, because the library loads its translations each time, which takes 3 ms.
    """
    from cron_descriptor import FormatException, Options, get_description

    if expression.strip().startswith("@"):
        return expression.strip()[1:].capitalize()
    fields = expression.upper().split()
    minute, hour, day, month, weekday = fields
    is_either = day not in ("*", "*/1") and weekday not in ("*", "*/1")  # the library says "and"
    if is_either or not all(_is_plain(field) for field in (day, month, weekday)):
        return ""
    if not (_is_even(minute, 60) and _is_even(hour, 24)):
        return ""
    if "," in hour and not re.fullmatch("[0-9,]+", f"{minute},{hour}"):
        return ""  # "every 5 minutes, at 09:00 and 10:00", "at 09:00 and 11:00 through 13:59"
    try:
        words = get_description(" ".join(fields), Options(locale_code="en_GB", use_24hour_time_format=True))
    except FormatException:
        return ""
    return f"{words}, every day" if (day, month, weekday) == ("*",) * 3 and "*" not in hour else words


def when(schedule: Schedule) -> str:
    """Return when a job recurs: its rhythm, in words if they are right, and its bounds.

    For example `Every 6 days (Europe/Berlin), until Fri 1 Jan 2027, 00:00, except 24 Dec 2026`.
    """
    zone = schedule.timezone
    rhythm = every_in_words(schedule.every) if schedule.every else in_words(schedule.cron or "") or schedule.cron
    bounds = [f"until {local_time(schedule.until, zone)}"] if schedule.until else []
    if days := schedule.except_dates:
        some = ", ".join(f"{day.day} {day:%b %Y}" for day in days[:MOST_DATES_NAMED])
        bounds.append(f"except {some}{f' and {more} more' if (more := len(days) - MOST_DATES_NAMED) > 0 else ''}")
    return ", ".join([f"{rhythm} ({zone})", *bounds])


def every_in_words(every: str) -> str:
    """Return an interval in words, e.g. `Every 90 minutes`, `Every day`."""
    number, unit = every[:-1], UNITS[every[-1]]
    return f"Every {unit}" if number == "1" else f"Every {number} {unit}s"


def _is_plain(field: str) -> bool:
    """Return whether the library words a day or month field correctly: no step, no `#L`, no list with `#` or `L`."""
    return not re.search("/|#L|,.*[#L]|[#L].*,", field)


def _is_even(field: str, span: int) -> bool:
    """Return whether a minute or hour field has no step, or one that divides its span: `*/7` restarts every hour."""
    if "/" not in field:
        return True
    step = re.fullmatch(r"\*/([0-9]+)", field)
    return step is not None and span % int(step[1]) == 0


def occurrences(schedule: Recurrence | Schedule, begin: datetime, count: int) -> Iterator[datetime]:
    """Return the first occurrences from `begin` on, that moment included; fewer where the schedule ends."""
    moment: datetime | None = just_before(begin)
    for _ in range(count):
        if moment is None or (moment := schedule.after(moment)) is None:
            return
        yield moment


def clock_change(local: datetime) -> str:
    """Return how the clocks change on the day of a local time; empty on other days."""
    first = datetime.combine(local.date(), time.min, local.tzinfo)
    last = datetime.combine(local.date(), time.max, local.tzinfo).replace(fold=1)
    if first.utcoffset() == last.utcoffset():
        return ""
    return f"the clocks change on this day, from {_offset(first)} to {_offset(last)}"


def _offset(local: datetime) -> str:
    return local.isoformat(timespec="seconds")[len("2026-11-21T09:00:00") :]


def local_time(moment: datetime, timezone: str) -> str:
    """Write a moment as people say it, e.g. `Mon 23 Nov 2026, 09:00`."""
    local = moment.astimezone(load_timezone(timezone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"


def exact_time(moment: datetime, timezone: str) -> str:
    """Write a moment to the second and with its zone, e.g. `Mon 23 Nov 2026, 09:00:00 CET`."""
    local = moment.astimezone(load_timezone(timezone))
    return f"{local_time(moment, timezone)}{local::%S %Z}"


def why(job: Job, now: datetime, timezone: str, write: Callable[[datetime, str], str] = local_time) -> str:
    """Return when a job runs next, or why it does not; `write` writes the times in the zone."""

    def at(moment: datetime | None) -> str:
        return write(moment, timezone) if moment else "an unknown time"

    by = f"by {person(job.updated_by)} " if job.updated_by else ""
    if job.handed_over is not None:
        return (
            f"It was handed over, and has been waiting in queue {job.handed_over.queue} since {at(job.handed_over.at)}."
        )
    if job.lease_until is not None and job.lease_until > now:
        return f"It has been running since {at(job.started_at)} (leased until {at(job.lease_until)})."
    if job.lease_until is not None and job.ready_at is not None:
        return f"It ran from {at(job.started_at)} and did not end; the next tick takes it up again."
    match job.status:
        case Status.PAUSED if job.ready_at is not None:
            return "It is paused, and runs once now."
        case Status.PAUSED if job.has_paused_itself:
            failures = f"{job.failed_in_a_row} failure{'' if job.failed_in_a_row == 1 else 's'} in a row"
            return f"It is paused after {failures}, the last because: {job.error}. Resume lets it go on."
        case Status.PAUSED:
            return f"It was paused {by}at {at(job.updated_at)}, and waits to be resumed."
        case Status.CANCELLED:
            return f"It was cancelled {by}at {at(job.updated_at)}."
        case Status.FAILED:
            after = f" after {_attempts(job.attempts)}" if job.attempts else ""
            return f"It gave up{after}, because: {job.error}. Retry tries it again."
        case Status.COMPLETED if job.is_recurring:
            ran = f"it last ran at {at(job.completed_at)}" if job.completed_at else "it never ran"
            return f"Its schedule has ended; {ran}."
        case Status.COMPLETED:
            return f"It ran at {at(job.completed_at)}, and was to run once."
    if job.ready_at is not None and job.ready_at <= now:
        return f"It is due since {at(job.ready_at)}; the next tick runs it."
    if job.attempts:
        failed = f"it failed {job.attempts} of {_attempts(job.max_attempts)}, because: {job.error}"
        return f"It is tried again at {at(job.ready_at)}: {failed}."
    if job.error and job.ready_at != job.schedule_at:
        return f"It was put off until {at(job.ready_at)}: {job.error}."
    return f"It is not due until {at(job.ready_at)}."


def for_space(job: Job) -> Job:
    """Return the job as the people of its space may see it: of each error only the kind, not its text.

    A handler can raise any text. It may quote a key, or a response that was meant for the operator.
    """
    runs = tuple(replace(run, error=run.error and kind_of_error(run.error), trace=None) for run in job.recent_runs)
    return replace(job, error=job.error and kind_of_error(job.error), recent_runs=runs)


def kind_of_error(error: str) -> str:
    """Return the kind of an error: our own wording, or the name of an exception, else `an error`."""
    if OWN_ERROR.fullmatch(error):
        return error
    return named[1] if (named := EXCEPTION.match(error)) else "an error"


def where_to_look(job: Job) -> str:
    """Return where the operator finds the text of an error."""
    return f"`watchkeeper jobs show {job.id}` and the log show the whole error."


def person(by: str | None) -> str:
    """Return the name of a person without the channel: `chat:ada@example.com` is ada@example.com."""
    return (by or "somebody").partition(":")[2] or by or "somebody"


def _attempts(count: int) -> str:
    return f"{count} attempt{'' if count == 1 else 's'}"
