"""A reminder that was posted: snooze it, or mark it as done."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from card_parts import note
from cards import title
from chat_reply import Reply, shows
from conversation import Conversation, id_from
from managing import find_job
from shared.errors import InvalidInput
from shared.jobs import AlreadyScheduled
from shared.model.history import RunOutcome
from shared.model.job import Job
from shared.model.job_text import is_reminder
from shared.model.value import Status


def snooze_tapped(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Snooze the reminder of a button. A second tap on that button of the same message changes nothing."""
    reminder, when = find_job(conversation, given.get("id", "")), given.get("when", "")
    return _snooze(conversation, reminder, when, id_from(conversation.event.message, reminder.id, when))


def snooze_here(conversation: Conversation, when: str) -> Reply | None:
    """Snooze the reminder that was posted last in the thread of the event, or return None without one."""
    if (reminder := _posted_here(conversation)) is None:
        return None
    return _snooze(conversation, reminder, when, conversation.new_id(f"snooze {reminder.id}"))


def done(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Replace the reminder's buttons with a note."""
    return shows(note(f"Done: {title(find_job(conversation, given.get('id', '')))}"), replaces=True)


def _posted_here(conversation: Conversation) -> Job | None:
    """Return the reminder that was posted last in the thread of the event.

    In a direct message it is the last one of the space: each message there has a new thread.
    """
    event = conversation.event
    found = conversation.jobs().list(space=event.space) if event.thread else ()
    posted = [
        job
        for job in found
        if isinstance(job, Job)
        and is_reminder(job)
        and (event.is_direct or job.payload.get("thread") == event.thread)
        and _posted_at(job)
    ]
    return max(posted, key=lambda job: (_posted_at(job), job.id), default=None)


def _snooze(conversation: Conversation, reminder: Job, when: str, job_id: str) -> Reply:
    """Post a reminder once more, at the time in words; it still belongs to the person who asked for it."""
    if not is_reminder(reminder):
        raise InvalidInput("only a reminder can be snoozed")
    try:
        scheduled = conversation.jobs().schedule(
            "chat_message",
            {**reminder.payload, "cardsV2": conversation.cards.reminder(job_id)},
            id=job_id,
            at=_until(conversation, when),
            space=conversation.event.space,
            by=reminder.created_by,
            confirmed_by=conversation.by,
        )
    except AlreadyScheduled:
        return _snoozed_before(conversation, job_id)
    conversation.log("job_snoozed", job_id)
    return shows(conversation.cards.snoozed(scheduled.job), replaces=True)


def _snoozed_before(conversation: Conversation, job_id: str) -> Reply:
    job, cards = find_job(conversation, job_id), conversation.cards
    is_waiting = job.status is Status.PENDING
    return shows(cards.snoozed(job) if is_waiting else cards.job(job, "It was snoozed before."), replaces=True)


def _until(conversation: Conversation, words: str) -> datetime:
    from phrase_times import read_when  # 60 ms of a start, which Done does without

    for phrase in (f"in {words}", words):
        with suppress(InvalidInput):
            asked = read_when(phrase, now=conversation.now, timezone=conversation.timezone)
            if asked.at is not None and not asked.is_recurring:
                return asked.at
    raise InvalidInput("Until when? Write, for example: snooze 10 minutes, or: snooze until tomorrow.")


def _posted_at(job: Job) -> datetime | None:
    """Return when a job last succeeded."""
    return max(
        (run.ended_at for run in job.recent_runs if run.outcome is RunOutcome.COMPLETED and run.ended_at), default=None
    )
