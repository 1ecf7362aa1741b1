"""The smoke test of the queues: each must deliver a job that runs."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import click

from watchkeeper.deploy.functions_table import Queue
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.patience import LIMIT, Backoff
from watchkeeper.deploy.smoke.trial import ABOUT_JOB, Trial, on_trial
from watchkeeper.deploy.smoke.waiting import await_run, polls, wait_or_raise
from watchkeeper.deploy.work import Work

SPAN = timedelta(seconds=2 * LIMIT)  # for the turn of a task to come, and its queue to try it again


class Undelivered(Exception):
    """The turn of a task did not come while it was waited for."""


def deliver(work: Work, queue: Queue) -> None:
    """Have a queue deliver a job, and wait until it has run; without the store, a task about no job.

    The function must be reached, let the caller in and ask the store. A queue that is busy with other jobs is well.
    Raises StepFailed, and StillRefused.
    """
    name, state, worker = work.deployment.queue(queue), work.describe_queue(queue, "(state)"), work.deployment.worker
    if work.is_dry_run:
        work.note(ABOUT_JOB)
        _make_task(work, queue, "smoke-TASK", None)
        return
    if state is None:
        raise StepFailed(f"there is no queue {name}")
    if state == "PAUSED":
        work.leave_open(f"not proved: that {name} delivers, since it is paused; `resume` wakes it")
        return
    proves = f"that {work.deployment.service(worker)} runs what {name} delivers"
    try:
        with on_trial(work, worker, proves=proves, queue=queue.name) as trial:
            _have_delivered(work, queue, trial)
    except Undelivered:
        work.leave_open(
            f"not proved: {proves}. It delivered nothing for {SPAN // timedelta(minutes=1)} minutes, so it is busy "
            "with other jobs: `watchkeeper jobs list` shows them. Run smoke again when they are done"
        )
        return
    click.echo(f"proved: {name} delivers to {work.deployment.service(worker)}" + (", which ran a job" if trial else ""))


def _have_delivered(work: Work, queue: Queue, trial: Trial | None) -> None:
    """Raise Undelivered if the turn of the task does not come, StepFailed if the job does not run."""
    task = f"smoke-{secrets.token_hex(8)}"
    with _task(work, queue, task, trial):
        _await_answer(work, queue, task)
    if trial and not await_run(work, trial):
        raise StepFailed(f"{work.deployment.queue(queue)} delivered the job {trial.id}, and it did not run")


@contextmanager
def _task(work: Work, queue: Queue, task: str, trial: Trial | None) -> Iterator[None]:
    """Make a task, and take it out again if it is not done at the end: its queue would try it for a day."""
    try:
        _make_task(work, queue, task, trial)
        yield
    except BaseException:
        ended = work.gcloud.ask("tasks", "delete", task, *_place(work, queue), "--quiet")
        if ended.code and not ended.is_not_found:
            work.leave_open(f"the task {task} may be left in {work.deployment.queue(queue)}; it runs nothing any more")
        raise


def _make_task(work: Work, queue: Queue, task: str, trial: Trial | None) -> None:
    worker, url = work.deployment.worker, work.deployment.url(work.deployment.worker)
    job, token = (trial.id, trial.token) if trial else (task, task)
    body = json.dumps({"job": job, "token": token})
    request = (
        *(f"--url={url}", "--method=POST", "--header=Content-Type: application/json", f"--body-content={body}"),
        *(f"--oidc-service-account-email={work.deployment.caller(worker)}", f"--oidc-token-audience={url}"),
    )
    work.gcloud.run("tasks", "create-http-task", task, *_place(work, queue), *request, "--format=none")


def _place(work: Work, queue: Queue) -> tuple[str, str]:
    return f"--queue={work.deployment.queue(queue)}", work.location


def _await_answer(work: Work, queue: Queue, task: str) -> None:
    """Wait until the task is gone: then it was answered well. The queue itself tries it again.

    Raises Undelivered, StepFailed and StillRefused.
    """
    name, worker = work.deployment.queue(queue), work.deployment.worker
    fields = "(createTime,dispatchCount,lastAttempt.responseTime,lastAttempt.responseStatus.message)"
    shows = f'--format=value[separator="|"]{fields}'
    backoff, answered, is_begun = Backoff(work.patience), "", False
    for _ in polls(work, SPAN):
        found = work.gcloud.look("tasks", "describe", task, *_place(work, queue), shows)
        if found is None:
            return
        made, dispatches, at, said = (*found.split("|", 3), "", "", "")[:4]
        is_begun = dispatches not in ("", "0")
        if at and at != answered:
            answered, made_at = at, datetime.fromisoformat(made)
            wait_or_raise(work, worker, backoff, f"the task in {name}", said or "no answer", since=made_at)
    if not is_begun:
        raise Undelivered
    raise StepFailed(f"the task in {name} got no answer; the log of {work.deployment.service(worker)} says why")
