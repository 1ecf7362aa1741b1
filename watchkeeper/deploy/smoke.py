"""The smoke test: each function is called as it always is, and has to do its work.

What Cloud Scheduler calls with people's code in it has to run a job, and so has each queue; a renewal has to end well;
what Chat calls has to refuse an event that nobody signed. What that leaves unproved is said.
"""

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import NamedTuple

import click

from shared.model.times import iso
from watchkeeper.deploy.functions_table import Function, Queue, SchedulerJob
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.outside import Reply
from watchkeeper.deploy.patience import LIMIT, Refusal, Waiting
from watchkeeper.deploy.trial import Trial, on_trial
from watchkeeper.deploy.work import Work

LOOK_SECONDS = 5
UNTIL_LOGGED = timedelta(seconds=60)  # from the end of the longest call
SPAN = timedelta(seconds=2 * LIMIT)  # for the turn of a task to come, and its queue to try it again
ABOUT_JOB = "a job smoke:ID is made in the store; it has to run, and is deleted"
APART = timedelta(seconds=5)  # by so much the start of an attempt may differ between its log and its job

# Answers that pass by themselves, by Google's word or HTTP status in what is said of them.
BUSY = Refusal(
    re.compile(r"RESOURCE_EXHAUSTED|\b429\b"),
    "an instance that is free",
    "another call takes as long as the function may: its log says what it does",
)
UNAVAILABLE = Refusal(
    re.compile(r"UNAVAILABLE|\b503\b"),
    "a function that starts, and a store that answers it",
    "the log of the function says what it cannot reach",
)
PASSING = (
    Refusal(
        re.compile(r"PERMISSION_DENIED|\b403\b"),
        "the right to call the function",
        "run setup, which grants it; if it has, look whether an organisation policy takes it away",
    ),
    BUSY,
    UNAVAILABLE,
    Refusal(
        re.compile(r"UNAUTHENTICATED|\b401\b"),
        "an auth_refused line in the log of the function",
        "there is no such line, so Cloud Run rejects the token: run functions and schedules, which set its audience",
        limit=60,
    ),
)


# -- Cloud Scheduler ---------------------------------------------------------------------------------------------------


class Attempt(NamedTuple):
    """A line of Cloud Scheduler's log: the start or the end of an attempt, and what it says of an end that is bad."""

    at: datetime
    is_end: bool
    said: str


def call(work: Work, function: Function, job: SchedulerJob) -> None:
    """Have Cloud Scheduler call the function until that ends well; one that runs jobs has to run one of ours.

    Raises StepFailed, and StillRefused if waiting did not help.
    """
    service = work.target.service(function)
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
    if _await_run(work, trial):
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
    if uri != work.target.url(function):
        raise StepFailed(f"{job.name} calls {uri or 'no URL'}, which is not ours; schedules would take it over")
    return state == "PAUSED"


def _on_trial(work: Work, function: Function) -> AbstractContextManager[Trial | None]:
    """Return a trial for what has people's code, and so runs jobs."""
    if not function.with_agent:
        return nullcontext()
    return on_trial(work, function, proves=f"that {work.target.service(function)} runs a job")


def _await_well(work: Work, function: Function, job: SchedulerJob, trial: Trial | None) -> None:
    waiting, first = Waiting(work.patience), None
    while True:
        started = _begun(work, job)
        first = first or started
        said = _await_end(work, function, job, trial, first=first, latest=started)
        if not said or (trial and trial.has_run()):
            return
        _bear(work, function, waiting, f"the attempt of {job.name}", said, since=first)


def _run(work: Work, job: SchedulerJob) -> None:
    work.gcloud.run("scheduler", "jobs", "run", job.name, work.location, "--format=none")


def _begun(work: Work, job: SchedulerJob) -> datetime:
    """Have the job run, and return when the next attempt began: that one, or its own at its time."""
    before = work.describe_job(job.name, "(lastAttemptTime)")
    _run(work, job)
    for _ in _looks(work, timedelta(seconds=LIMIT)):
        after = work.describe_job(job.name, "(lastAttemptTime)")
        if after and after != before:
            return datetime.fromisoformat(after)
    raise StepFailed(f"{job.name} was told to run, and no attempt was seen; look into its log")


def _await_end(
    work: Work, function: Function, job: SchedulerJob, trial: Trial | None, *, first: datetime, latest: datetime
) -> str:
    """Return what is said of the end of an attempt, "" for a good one, or where the trial has run."""
    for _ in _looks(work, function.timeout + UNTIL_LOGGED):
        if trial and trial.has_run():
            return ""
        said = verdict(_attempts(work, job, first - function.timeout), first=first, latest=latest)
        if said is not None:
            return said
    raise StepFailed(f"an attempt of {job.name} began, and its log has no end; is it excluded from the log?")


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
    """Read the log of a Scheduler job, the oldest line first. Raises StepFailed."""
    lines = (
        # Audit logs have the same resource, and no attempts.
        f'logName="projects/{work.target.project}/logs/cloudscheduler.googleapis.com%2Fexecutions" AND '
        'resource.type="cloud_scheduler_job" AND '
        f'resource.labels.job_id="{job.name}" AND resource.labels.location="{work.target.region}" AND '
        f'timestamp>="{iso(since)}"'
    )
    try:
        found = work.gcloud.look("logging", "read", lines, "--order=asc", "--format=json")
    except StepFailed as exc:
        says = f"how {job.name} was answered stands in its log, which takes roles/logging.viewer to read"
        raise StepFailed(says) from exc
    return [_attempt(line) for line in json.loads(found or "[]")]


def _attempt(line: dict[str, object]) -> Attempt:
    payload = line["jsonPayload"]
    assert isinstance(payload, dict)
    said = [str(payload[name]) for name in ("status", "debugInfo") if payload.get(name)]
    is_good = payload.get("status", "OK") == "OK"
    is_end = str(payload["@type"]).endswith("AttemptFinished")
    return Attempt(datetime.fromisoformat(str(line["timestamp"])), is_end, "" if is_good else ", ".join(said))


# -- Queues ------------------------------------------------------------------------------------------------------------


class Undelivered(Exception):
    """The turn of a task did not come while it was waited for."""


def deliver(work: Work, queue: Queue) -> None:
    """Have a queue deliver a job, and wait until it has run; without the store, a task about no job.

    The function must be reached, let the caller in and ask the store. A queue that is busy with other jobs is well.
    Raises StepFailed, and StillRefused.
    """
    name, state, worker = work.target.queue(queue), work.describe_queue(queue, "(state)"), work.target.worker
    if work.is_dry_run:
        work.note(ABOUT_JOB)
        _make_task(work, queue, "smoke-TASK", None)
        return
    if state is None:
        raise StepFailed(f"there is no queue {name}")
    if state == "PAUSED":
        work.leave_open(f"not proved: that {name} delivers, since it is paused; `resume` wakes it")
        return
    proves = f"that {work.target.service(worker)} runs what {name} delivers"
    try:
        with on_trial(work, worker, proves=proves, queue=queue.name) as trial:
            _have_delivered(work, queue, trial)
    except Undelivered:
        work.leave_open(
            f"not proved: {proves}. It delivered nothing for {SPAN // timedelta(minutes=1)} minutes, so it is busy "
            "with other jobs: `watchkeeper jobs list` shows them. Run smoke again when they are done"
        )
        return
    click.echo(f"proved: {name} delivers to {work.target.service(worker)}" + (", which ran a job" if trial else ""))


def _have_delivered(work: Work, queue: Queue, trial: Trial | None) -> None:
    """Raise Undelivered if the turn of the task does not come, StepFailed if the job does not run."""
    task = f"smoke-{secrets.token_hex(8)}"
    with _task(work, queue, task, trial):
        _await_answer(work, queue, task)
    if trial and not _await_run(work, trial):
        raise StepFailed(f"{work.target.queue(queue)} delivered the job {trial.id}, and it did not run")


@contextmanager
def _task(work: Work, queue: Queue, task: str, trial: Trial | None) -> Iterator[None]:
    """Make a task, and take it out again if it is not done at the end: its queue would try it for a day."""
    try:
        _make_task(work, queue, task, trial)
        yield
    except BaseException:
        ended = work.gcloud.ask("tasks", "delete", task, *_place(work, queue), "--quiet")
        if ended.code and not ended.is_not_found:
            work.leave_open(f"the task {task} may be left in {work.target.queue(queue)}; it runs nothing any more")
        raise


def _make_task(work: Work, queue: Queue, task: str, trial: Trial | None) -> None:
    worker, url = work.target.worker, work.target.url(work.target.worker)
    job, token = (trial.id, trial.token) if trial else (task, task)
    body = json.dumps({"job": job, "token": token})
    request = (
        *(f"--url={url}", "--method=POST", "--header=Content-Type: application/json", f"--body-content={body}"),
        *(f"--oidc-service-account-email={work.target.caller(worker)}", f"--oidc-token-audience={url}"),
    )
    work.gcloud.run("tasks", "create-http-task", task, *_place(work, queue), *request, "--format=none")


def _place(work: Work, queue: Queue) -> tuple[str, str]:
    return f"--queue={work.target.queue(queue)}", work.location


def _await_answer(work: Work, queue: Queue, task: str) -> None:
    """Wait until the task is gone: then it was answered well. The queue itself tries it again.

    Raises Undelivered, StepFailed and StillRefused.
    """
    name, worker = work.target.queue(queue), work.target.worker
    fields = "(createTime,dispatchCount,lastAttempt.responseTime,lastAttempt.responseStatus.message)"
    shows = f'--format=value[separator="|"]{fields}'
    waiting, answered, is_begun = Waiting(work.patience), "", False
    for _ in _looks(work, SPAN):
        found = work.gcloud.look("tasks", "describe", task, *_place(work, queue), shows)
        if found is None:
            return
        made, dispatches, at, said = (*found.split("|", 3), "", "", "")[:4]
        is_begun = dispatches not in ("", "0")
        if at and at != answered:
            answered, made_at = at, datetime.fromisoformat(made)
            _bear(work, worker, waiting, f"the task in {name}", said or "no answer", since=made_at)
    if not is_begun:
        raise Undelivered
    raise StepFailed(f"the task in {name} got no answer; the log of {work.target.service(worker)} says why")


# -- Google Chat -------------------------------------------------------------------------------------------------------


def refuse_stranger(work: Work, function: Function) -> None:
    """Send what Chat calls an event that nobody signed, which its code has to refuse. Raises StepFailed, StillRefused.

    Nobody but Chat can sign one, so a good event stays unproved. Cloud Run lets whoever deploys in, as far as that is
    granted, by a header of its own: the code sees no token at all.
    """
    service, url = work.target.service(function), work.target.url(function)
    unproved = f"not proved: that Google Chat reaches {service}; write `help` to the app"
    if work.is_dry_run:
        work.note(f"POST {url} without a token of Chat, which must be refused")
        return
    entrance = _entrance(work, function)
    if entrance is not None and _is_refused_by_code(work, function, entrance):
        click.echo(f"proved: {service} runs, and refuses an event that nobody signed")
    else:
        unproved += f". Nor that it runs, since Cloud Run lets you in only with roles/run.invoker on {service}"
    work.leave_open(unproved)


def _entrance(work: Work, function: Function) -> dict[str, str] | None:
    """Return the headers by which Cloud Run lets whoever deploys in, None where gcloud has no such token.

    Where everybody may call, none is needed.
    """
    if not work.target.caller(function):
        return {}
    asked = ("auth", "print-identity-token")
    # Only a service account can have a token for an audience, and needs one.
    for flags in ((f"--audiences={work.target.url(function)}",), ()):
        found = work.gcloud.ask(*asked, *flags)
        if found.code == 0:
            return {"X-Serverless-Authorization": f"Bearer {found.output.decode().strip()}"}
    return None


def _is_refused_by_code(work: Work, function: Function, entrance: dict[str, str]) -> bool:
    """Return whether our code refuses the event, and not Cloud Run. Raises StepFailed and StillRefused."""
    service, waiting = work.target.service(function), Waiting(work.patience)
    headers = {"Content-Type": "application/json", **entrance}
    while True:
        reply = work.outside.request("POST", work.target.url(function), headers=headers, body=b"{}")
        code = _error_code(reply)
        if code in ("unauthorized", "forbidden"):
            return True
        if not code and reply.status in (401, 403):
            return False
        if reply.status not in (0, 429, 503):
            break
        waiting.wait_for(BUSY if reply.status == 429 else UNAVAILABLE)
    if reply.status == 200:
        raise StepFailed(f"{service} accepts an event that nobody signed: anyone who reaches it can send it commands")
    raise StepFailed(f"{service} answered {reply.status}{code and f' {code}'}; its log says why")


def _error_code(reply: Reply) -> str:
    """Return the code of an error of ours, "" where the answer is not one."""
    try:
        return str(json.loads(reply.body)["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return ""


# -- What all share ----------------------------------------------------------------------------------------------------


def _looks(work: Work, limit: timedelta) -> Iterator[None]:
    """Yield at once, and then after each pause, until the limit."""
    end = work.patience.clock() + limit.total_seconds()
    yield
    while work.patience.clock() < end:
        work.patience.sleep(LOOK_SECONDS)
        yield


def _await_run(work: Work, trial: Trial) -> bool:
    """Wait until the job of the test has run, and return whether it has. Raises StepFailed when it failed."""
    return any(trial.has_run() for _ in _looks(work, timedelta(seconds=LIMIT)))


def _bear(work: Work, function: Function, waiting: Waiting, caller: str, said: str, *, since: datetime) -> None:
    """Wait for what passes by itself. Raises StepFailed for what does not, and StillRefused if waiting did not help."""
    service = work.target.service(function)
    refusal = next((each for each in PASSING if each.words.search(said)), None)
    if refusal is None:
        raise StepFailed(f"{caller} failed with {said}; the log of {service} says why")
    if refusal is not BUSY and (reason := _own_reason(work, service, since)):
        raise _refused(caller, service, reason)
    waiting.wait_for(refusal)


def _own_reason(work: Work, service: str, since: datetime) -> str:
    """Ask the log why our code refused the caller; "" where it did not, or where the log may not be read."""
    lines = (
        f'resource.labels.service_name="{service}" AND jsonPayload.action="auth_refused" AND '
        f'timestamp>="{iso(since - APART)}"'
    )
    found = work.gcloud.ask("logging", "read", lines, "--limit=1", "--format=value(jsonPayload.reason)")
    return found.output.decode().strip() if found.code == 0 else ""


def _refused(caller: str, service: str, reason: str) -> StepFailed:
    if reason.startswith("signature removed"):
        return StepFailed(
            f"{caller} was refused: Cloud Run removes the signature of its token here. Set AUTH_MODE=platform in the "
            "settings file, and deploy the functions again"
        )
    return StepFailed(f"{caller} was refused by {service}: {reason}. Run functions and schedules, which agree on that")
