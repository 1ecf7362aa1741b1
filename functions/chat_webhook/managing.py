"""The jobs of a space: the list, one job, and what the buttons on its card do."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from chat_reply import Reply, shows
from conversation import Conversation
from job_words import OPEN
from shared.jobs import Jobs, UnknownJob
from shared.model.definition import InvalidJob
from shared.model.job import Job
from shared.model.job_text import belongs_to
from shared.model.life import NotPossible
from shared.model.value import Status

LISTED = 8
DONE = {
    "run": "It runs within a minute.",
    "pause": "It is paused.",
    "resume": "It is resumed.",
    "cancel": "It is cancelled.",
    "retry": "It is tried again within a minute.",
}


def list_jobs(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Reply with the jobs of the space, or with `mine` the person's own."""
    return shows(_listing(conversation, first=0, mine="mine" in given))


def turn(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Turn to another page of the list."""
    first = given.get("first", "")
    at = int(first) if re.fullmatch("[0-9]{1,6}", first) else 0
    return shows(_listing(conversation, first=at, mine="mine" in given), replaces=True)


def show(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Reply with the card of a job."""
    return shows(conversation.cards.job(find_job(conversation, given.get("id", ""))))


def command(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Run, pause, resume, cancel or retry a job."""
    action, job_id = given["action"], given.get("id", "")
    return change_job(
        conversation, action, job_id, lambda jobs: getattr(jobs, action)(job_id, by=conversation.by), DONE[action]
    )


def undo(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Schedule a cancelled job again, in its former rhythm; a paused one stays paused."""
    cards, job = conversation.cards, find_job(conversation, given.get("id", ""))
    if job.status is not Status.CANCELLED:
        return shows(cards.job(job, "Nothing changed: it is not cancelled."), replaces=True)

    def undone(jobs: Jobs) -> Job:
        back = jobs.restore(job.id, by=conversation.by)
        return jobs.pause(job.id, by=conversation.by) if "paused" in given else back

    done = "It is back, and still paused." if "paused" in given else "It is back."
    return change_job(conversation, "undo", job.id, undone, done, refused="its time has passed, or it is running")


def _listing(conversation: Conversation, *, first: int, mine: bool) -> dict[str, Any]:
    """Return the card of the list, the next to run first, starting at the given place."""
    mine = mine and not conversation.event.is_direct  # there all are
    listed = [job for job in open_jobs(conversation) if not mine or belongs_to(job, conversation.event.email)]
    first = first if first < len(listed) else 0
    more = first + LISTED if len(listed) > first + LISTED else None
    return conversation.cards.jobs(
        listed[first : first + LISTED], back=max(first - LISTED, 0) if first else None, more=more, mine=mine
    )


def open_jobs(conversation: Conversation) -> list[Job]:
    """Read the jobs of the space that are not over, the next to run first. Finished ones are not even read."""
    found = conversation.jobs().list(status=OPEN, space=conversation.event.space, page_size=100)
    jobs = [job for job in found if isinstance(job, Job)]
    return sorted(jobs, key=lambda job: (job.ready_at is None, job.ready_at or job.schedule_at, job.id))


def find_job(conversation: Conversation, job_id: str) -> Job:
    """Return a job of this space. Raises UnknownJob, also for a job of another space."""
    unknown = UnknownJob(f'There is no job {job_id[:200]} in this space. Write "jobs" to see them all.')
    try:
        job = conversation.jobs().get(job_id)
    except (UnknownJob, InvalidJob):  # the space of an unreadable document is unknown
        raise unknown from None
    if not conversation.event.space or job.space != conversation.event.space:
        raise unknown
    return job


def edit_job(conversation: Conversation, job: Job, changes: Mapping[str, Any], done: str) -> Reply:
    """Change the definition of a job that has not ended since its card was shown."""
    if job.status not in OPEN:
        return shows(conversation.cards.job(job, "Nothing changed: it has ended."), replaces=True)
    return change_job(conversation, "edit", job.id, lambda jobs: jobs.edit(job.id, by=conversation.by, **changes), done)


def change_job(
    conversation: Conversation,
    action: str,
    job_id: str,
    change: Callable[[Jobs], Job],
    done: str,
    *,
    refused: str = "that is not possible now",
) -> Reply:
    """Change a job of this space once, even if Chat delivers the event repeatedly, and show it.

    `refused` says why the job's state does not allow the change.
    """
    cards, job = conversation.cards, find_job(conversation, job_id)
    was_paused, sent_at = job.status is Status.PAUSED, conversation.event.sent_at
    if sent_at is not None and job.updated_at is not None and sent_at <= job.updated_at:
        # The same event, delivered again, or an event that another one has overtaken.
        return shows(cards.job(job, "Nothing changed: the job was changed after this was sent."), replaces=True)
    try:
        job = change(conversation.jobs())
    except NotPossible:
        now = find_job(conversation, job_id)
        return shows(cards.job(now, f"Nothing changed: {refused}."), replaces=True)
    conversation.log(f"job_{action}", job_id)
    return shows(cards.job(job, done, was_paused=was_paused), replaces=True)
