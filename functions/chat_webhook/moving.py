"""Moving a job to another time, in two steps: the card that asks, and its Move."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from cards import time_of
from chat_reply import Reply, shows
from conversation import Conversation
from job_words import nearest_clock
from managing import edit_job, find_job
from orders import When
from phrase_times import clock_times, read_when
from phrase_words import marks_of
from shared.errors import InvalidInput
from shared.model.job import Job
from shared.model.recurrence import load_timezone


def ask(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Ask whether to move a job to the time in the message. A time alone keeps the day, a day alone the time."""
    job = find_job(conversation, given.get("id", ""))
    try:
        return shows(conversation.cards.move(job, _new_time(conversation, job, given.get("when", ""))))
    except InvalidInput as exc:
        return shows(conversation.cards.job(job, f"Nothing changed: {exc}"))


def move(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Move a job as its card says."""
    at, cron = _moment(given.get("at")), given.get("cron")
    if at is None and cron is None:
        raise InvalidInput("this card can no longer be used; please ask again")
    job = find_job(conversation, given.get("id", ""))
    if at is not None and at < conversation.now:
        return shows(conversation.cards.job(job, "Nothing changed: that time has passed."), replaces=True)
    if "was" in given and given["was"] != time_of(job):  # an older card does not hold it
        says = "Nothing changed: its schedule was changed after this was asked."
        return shows(conversation.cards.job(job, says), replaces=True)
    return edit_job(conversation, job, {"at": at, "cron": cron}, "It is moved.")


def _new_time(conversation: Conversation, job: Job, words: str) -> When:
    timezone = (job.timezone if job.is_recurring else None) or conversation.timezone
    local = (job.regular_at or job.schedule_at).astimezone(load_timezone(timezone))
    clock = nearest_clock(words, local) or _clock(words, local)
    if job.is_recurring:
        minute, hour, *days = (job.cron or "").split() or ("", "")
        if clock is None or not (minute.isdigit() and hour.isdigit()):
            raise InvalidInput("only the clock time of a job that runs once a day can be moved; schedule a new job")
        return When(cron=" ".join([str(clock[1]), str(clock[0]), *days]))
    if clock is not None:
        words = f"on {local.date()} at {clock[0]:02}:{clock[1]:02}"
    asked = _read(words, local, conversation.now, timezone)
    if asked.is_recurring or asked.at is None:
        raise InvalidInput("it runs once; to repeat it, cancel it and schedule a new job")
    return asked


def _clock(words: str, local: datetime) -> tuple[int, int] | None:
    """Return the clock time of words such as "noon" or "half past 4", or None if they name a day too."""
    readings = [local.replace(hour=each.hour, minute=each.minute) for each in clock_times(words)]
    nearest = min(readings, key=lambda clock: abs(clock - local), default=None)
    return (nearest.hour, nearest.minute) if nearest else None


def _read(words: str, local: datetime, now: datetime, timezone: str) -> When:
    """Read a time; a day without one keeps the present clock time, if possible."""
    marks = marks_of(words)
    if not (marks.times or marks.hours or marks.parts):
        with suppress(InvalidInput):
            return read_when(f"{words} at {local:%H:%M}", now=now, timezone=timezone)
    return read_when(words, now=now, timezone=timezone)


def _moment(text: str | None) -> datetime | None:
    """Read a time from a button, or return None for anything else."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
