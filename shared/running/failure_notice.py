"""The message that tells a space that a job was given up: a job itself, so that it is retried like any other."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.model.history import Run, RunOutcome
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import MAX_RECENT_RUNS, Status
from shared.model.wording import for_space, where_to_look, why
from shared.web.chat_rules import is_thread_of

SUFFIX = ":failed"
_NOTICE = re.compile(rf"{SUFFIX}(:[0-9]+)?$")
LONGEST_ID = 200  # see `shared.model.job.ID`
TRIED = (RunOutcome.RETRIED, RunOutcome.FAILED)


def failure_notice(job: Job, *, now: datetime, retention: timedelta, function: str, timezone: str) -> Job | None:
    """Return the job that reports the failure which ended an occurrence, or None if nobody is to be told.

    Its id follows from the occurrence, so it can be stored only once. Unlike other failed jobs it expires even if it
    fails: nobody would retry it, and a space that removed the app would leave one for each failure. `function` is what
    a button calls, `timezone` that of a job without one.
    """
    run = job.recent_runs[-1] if job.recent_runs else None
    if run is None or run.outcome is not RunOutcome.FAILED or job.status is Status.CANCELLED:
        return None
    if not job.space or _NOTICE.search(job.id):  # no notice reports that a notice could not be delivered
        return None
    told = for_space(job)
    follows = "" if job.status is Status.FAILED else f"\n{why(told, now, job.timezone or timezone)}"
    text = (
        f"Job {job.id} ({job.job_type}) failed for good{_attempt(job, run)}: {told.recent_runs[-1].error or 'an error'}"
    )
    text = f"{text}. {where_to_look(job)}{follows}"
    payload: dict[str, Any] = {"space": job.space, "text": text, "cardsV2": [_card(job, function)]}
    if is_thread_of(job.space, job.payload.get("thread")):
        payload["thread"] = job.payload["thread"]
    same = [each for each in job.recent_runs if each.outcome is run.outcome and each.schedule_at == run.schedule_at]
    notice_id = _notice_id(f"{job.id}@{iso(run.schedule_at)}", len(same))
    notice = Job.create(notice_id, "chat_message", now=now, payload=payload, space=job.space, by="tick")
    return notice.changed(expire_at=now + retention)


def _attempt(job: Job, last: Run) -> str:
    """Return the number of the attempt, unless the history, which is cut, does not hold all attempts."""
    of_occurrence = [run for run in job.recent_runs if run.schedule_at == last.schedule_at]
    number = sum(run.outcome in TRIED for run in of_occurrence)
    return f" at attempt {number}" if len(of_occurrence) < MAX_RECENT_RUNS else ""


def _notice_id(execution_key: str, count: int) -> str:
    """Return the key with the suffix, and from the second failure of the occurrence on with its number.

    A key that is too long is cut, and a hash of the whole key added.
    """
    suffix = SUFFIX if count < 2 else f"{SUFFIX}:{count}"
    room = LONGEST_ID - len(suffix)
    if len(execution_key) > room:
        digest = hashlib.sha256(execution_key.encode()).hexdigest()[:32]
        execution_key = f"{execution_key[: room - len(digest) - 1]}:{digest}"
    return execution_key + suffix


def _card(job: Job, function: str) -> Mapping[str, Any]:
    """Return the card with a button to retry a one-shot job; a recurring one has moved on, and can be run now.

    A job that has paused can be resumed.
    """
    label, action = ("Retry", "retry") if job.status is Status.FAILED else ("Run now", "run")
    if job.has_paused_itself:
        label, action = "Resume", "resume"
    parameters = [{"key": "action", "value": action}, {"key": "id", "value": job.id}]
    button = {"text": label, "onClick": {"action": {"function": function, "parameters": parameters}}}
    return {"cardId": "failed", "card": {"sections": [{"widgets": [{"buttonList": {"buttons": [button]}}]}]}}
