"""Moving a job to another time, in two steps: the card that asks, and its Move."""

from collections.abc import Mapping
from datetime import UTC, datetime

from chat_reply import Reply, shows
from conversation import Conversation
from job_words import nearest_clock
from managing import change_job, find_job
from orders import When
from phrase_times import read_when
from shared.errors import InvalidInput
from shared.model.job import Job
from shared.model.recurrence import load_timezone


def ask(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Ask whether to move a job to the time that the words say. A bare clock time keeps the day, or the days."""
    job = find_job(conversation, given.get("id", ""))
    try:
        return shows(conversation.cards.move(job, _new_time(conversation, job, given.get("when", ""))))
    except InvalidInput as exc:
        return shows(conversation.cards.job(job, f"Nothing changed: {exc}"))


def move(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Move a job as its card has said."""
    job_id, at, cron = given.get("id", ""), _moment(given.get("at")), given.get("cron")
    if at is None and cron is None:
        raise InvalidInput("this card can no longer be used; repeat the command")
    if at is not None and at < conversation.now:
        job = find_job(conversation, job_id)
        return shows(conversation.cards.job(job, "Nothing changed: that time has passed."), replaces=True)
    return change_job(
        conversation,
        "edit",
        job_id,
        lambda jobs: jobs.edit(job_id, at=at, cron=cron, by=conversation.by),
        "It is moved.",
    )


def _new_time(conversation: Conversation, job: Job, words: str) -> When:
    timezone = (job.timezone if job.is_recurring else None) or conversation.timezone
    local = (job.regular_at or job.schedule_at).astimezone(load_timezone(timezone))
    clock = nearest_clock(words, local)
    if job.is_recurring:
        minute, hour, *days = (job.cron or "").split() or ("", "")
        if clock is None or not (minute.isdigit() and hour.isdigit()):
            raise InvalidInput("only the clock time of what runs once a day can be moved; schedule it anew")
        return When(cron=" ".join([str(clock[1]), str(clock[0]), *days]))
    if clock is not None:
        words = f"on {local.date()} at {clock[0]:02}:{clock[1]:02}"
    asked = read_when(words, now=conversation.now, timezone=timezone)
    if asked.is_recurring or asked.at is None:
        raise InvalidInput("it runs once; cancel it, and schedule what is to recur anew")
    return asked


def _moment(text: str | None) -> datetime | None:
    """Read a time from a button, or return None for anything else."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
