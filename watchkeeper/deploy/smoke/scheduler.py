"""The smoke test of what Cloud Scheduler calls."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import NamedTuple

import click

from shared.model.times import iso
from watchkeeper.deploy.asking import reading_answers
from watchkeeper.deploy.functions_table import Function, SchedulerJob
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.patience import LIMIT, Backoff
from watchkeeper.deploy.smoke.trial import ABOUT_JOB, Trial, on_trial
from watchkeeper.deploy.smoke.waiting import APART, await_run, polls, wait_or_raise
from watchkeeper.deploy.work import Work

UNTIL_LOGGED = timedelta(seconds=60)  # from the end of the longest call


class Attempt(NamedTuple):
    """A line of Cloud Scheduler's log: the start or the end of an attempt, and what it says of an end that is bad."""

    at: datetime
    is_end: bool
    said: str


def call(work: Work, function: Function, job: SchedulerJob) -> None:
    """Have Cloud Scheduler call the function until that ends well; one that runs jobs has to run one of ours.

    Raises StepFailed, and StillRefused if waiting did not help.
    """
    service = work.deployment.service(function)
    if work.is_dry_run:
        if function.with_agent:
            work.note(ABOUT_JOB)
        _run(work, job)
        return
    if _is_paused(work, function, job):
        work.leave_open(f"not proved: that Cloud Scheduler calls {service}: {job.name} is paused; `resume` wakes it")
        return
    with _on_trial(work, function) as trial:
        _await_well(work, function, job, trial)
        ran = _ran(work, service, trial) if trial else ""
    click.echo(f"proved: Cloud Scheduler calls {service}{ran}")


def _ran(work: Work, service: str, trial: Trial) -> str:
    """Return that the function ran the job, "" if it is busy with those that are due before it. Raises StepFailed."""
    if await_run(work, trial):
        return f", which ran the job {trial.id}"
    if not trial.has_others_before():
        raise StepFailed(f"{service} was called, and did not run the job {trial.id}")
    work.leave_open(
        f"not proved: that {service} runs a job, since it is busy with those that are due before. "
        "`watchkeeper tick --dry-run` lists them; run smoke again when they are done"
    )
    return ""


def _is_paused(work: Work, function: Function, job: SchedulerJob) -> bool:
    """Return whether a person keeps it from running. Raises StepFailed if it is not there, or not ours."""
    found = work.describe_job(job.name, '[separator="|"](state,httpTarget.uri)')
    if found is None:
        raise StepFailed(f"there is no Scheduler job {job.name}; run schedules")
    state, _, uri = found.partition("|")
    if uri != work.deployment.url(function):
        raise StepFailed(f"{job.name} calls {uri or 'no URL'}, which is not ours; schedules would take it over")
    return state == "PAUSED"


def _on_trial(work: Work, function: Function) -> AbstractContextManager[Trial | None]:
    """Return a trial for what has people's code, and so runs jobs."""
    if not function.with_agent:
        return nullcontext()
    return on_trial(work, function, proves=f"that {work.deployment.service(function)} runs a job")


def _await_well(work: Work, function: Function, job: SchedulerJob, trial: Trial | None) -> None:
    backoff, first = Backoff(work.patience), None
    while True:
        started = _begun(work, job)
        first = first or started
        said = _await_end(work, function, job, trial, first=first, latest=started)
        if not said or (trial and trial.has_run()):
            return
        wait_or_raise(work, function, backoff, f"the attempt of {job.name}", said, since=first)


def _run(work: Work, job: SchedulerJob) -> None:
    work.gcloud.run("scheduler", "jobs", "run", job.name, work.location, "--format=none")


def _begun(work: Work, job: SchedulerJob) -> datetime:
    """Have the job run, and return when the next attempt began: that one, or its own at its time."""
    before = work.describe_job(job.name, "(lastAttemptTime)")
    _run(work, job)
    for _ in polls(work, timedelta(seconds=LIMIT)):
        after = work.describe_job(job.name, "(lastAttemptTime)")
        if after and after != before:
            return datetime.fromisoformat(after)
    raise StepFailed(f"{job.name} was told to run, but no attempt followed; see its log")


def _await_end(
    work: Work, function: Function, job: SchedulerJob, trial: Trial | None, *, first: datetime, latest: datetime
) -> str:
    """Return what is said of the end of an attempt, "" for a good one, or where the trial has run."""
    for _ in polls(work, function.timeout + UNTIL_LOGGED):
        if trial and trial.has_run():
            return ""
        said = verdict(_attempts(work, job, first - function.timeout), first=first, latest=latest)
        if said is not None:
            return said
    raise StepFailed(f"an attempt of {job.name} began, but its end is not in the log; is it excluded there?")


def verdict(attempts: Sequence[Attempt], *, first: datetime, latest: datetime) -> str | None:
    """Return how an attempt that began at `first` or later has ended, "" for well, None while that is open.

    An end does not say which start is its own. So where attempts were under way at `first`, as many ends prove nothing.
    A bad one counts only if it came after `latest`: those before it were waited for.
    """
    under_way = 0
    for attempt in attempts:
        if attempt.at < first - APART:
            # The start of an end may be older than what was read.
            under_way = max(0, under_way - 1) if attempt.is_end else under_way + 1
    ends = [attempt for attempt in attempts if attempt.is_end and attempt.at >= first - APART]
    bad = [attempt for attempt in ends if attempt.said]
    if len(ends) - len(bad) > under_way:
        return ""
    return bad[-1].said if len(bad) > under_way and bad[-1].at >= latest - APART else None


def _attempts(work: Work, job: SchedulerJob, since: datetime) -> list[Attempt]:
    """Read the log of a Scheduler job, the oldest line first. Raises StepFailed and CannotAsk."""
    lines = (
        # Audit logs have the same resource, and no attempts.
        f'logName="projects/{work.deployment.project}/logs/cloudscheduler.googleapis.com%2Fexecutions" AND '
        'resource.type="cloud_scheduler_job" AND '
        f'resource.labels.job_id="{job.name}" AND resource.labels.location="{work.deployment.region}" AND '
        f'timestamp>="{iso(since)}"'
    )
    try:
        found = work.gcloud.look("logging", "read", lines, "--order=asc", "--format=json")
    except StepFailed as exc:
        says = f"cannot read the log of {job.name}, which says how its call ended: that needs roles/logging.viewer"
        raise StepFailed(says) from exc
    with reading_answers():
        return [_attempt(line) for line in json.loads(found or "[]")]


def _attempt(line: dict[str, object]) -> Attempt:
    payload = line["jsonPayload"]
    assert isinstance(payload, dict)
    said = [str(payload[name]) for name in ("status", "debugInfo") if payload.get(name)]
    is_good = payload.get("status", "OK") == "OK"
    is_end = str(payload["@type"]).endswith("AttemptFinished")
    return Attempt(datetime.fromisoformat(str(line["timestamp"])), is_end, "" if is_good else ", ".join(said))
