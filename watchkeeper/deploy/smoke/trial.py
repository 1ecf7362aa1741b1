"""The job of a smoke test: made in the store of the deployment, watched until it has run, and deleted.

It is made with the credentials of this machine, as `watchkeeper jobs add` does. Its type is `log`: it writes one line
to the log of the function that runs it. docs/decisions/2026-11-29-smoke-test.md names the rejected options.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from shared.errors import InvalidSettings, StoreUnavailable
from shared.model.job import Job
from shared.model.value import Status
from shared.settings import Settings
from shared.store.protocol import Change, Store, Won
from watchkeeper.deploy.functions_table import Function
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.patience import LIMIT
from watchkeeper.deploy.work import Work

ABOUT_JOB = "a job smoke:ID is made in the store; it has to run, and is deleted"
PREFIX, TYPE, BY = "smoke:", "log", "smoke"
LEASE = timedelta(seconds=4 * LIMIT)  # longer than a smoke test waits: until then no tick takes it out of its queue
FORGOTTEN = timedelta(hours=1)  # what a smoke test left that was killed; it expires after that too, if it never ran
TRIES = 5


class Trial:
    """The job of one smoke test."""

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self.id = job.id
        self.token = job.lease_token

    def has_run(self) -> bool:
        """Return whether the job has run well. Raises StepFailed when it failed, and StoreUnavailable."""
        found = self._store.get([self.id]).get(self.id)
        if isinstance(found, Job) and found.status is Status.FAILED:
            raise StepFailed(f"the job {self.id} was run, and failed: {found.error}")
        return isinstance(found, Job) and found.status is Status.COMPLETED

    def has_others_before(self) -> bool:
        """Return whether another job is due, which a tick runs first. Raises StoreUnavailable."""
        due = self._store.due(self._store.now(), limit=1)
        return bool(due) and due[0].id != self.id


@contextmanager
def on_trial(work: Work, function: Function, *, proves: str, queue: str = "") -> Iterator[Trial | None]:
    """Make a job that is due, or with a `queue` waits in it, and delete it at the end, whatever that is.

    Where the store cannot be used from here there is no job, and what it `proves` is left open.
    """
    with ExitStack() as stack:
        trial = None
        try:
            store = work.outside.open_store(_settings(work, function))
            now = store.now()
            job = _job(now, queue)
            _delete_forgotten(work, store, now)
            stack.callback(_delete, work, store, job.id)
            trial = _made(store, job)
        except (StoreUnavailable, InvalidSettings) as exc:
            work.leave_open(f"not proved: {proves}, since no job could be made ({exc}). It takes roles/datastore.user")
        yield trial


def _settings(work: Work, function: Function) -> Settings:
    return Settings.from_env({"SCHEDULER_STORAGE": "firestore", **work.deployment.environment(function)})


def _job(now: datetime, queue: str) -> Job:
    job_id = f"{PREFIX}{secrets.token_hex(8)}"
    payload = {"message": f"The smoke test ran the job {job_id}"}
    job = replace(
        Job.create(job_id, TYPE, now=now, by=BY, payload=payload, at=now, max_attempts=1),
        expire_at=now + FORGOTTEN,
    )
    if not queue:
        return job
    return job.claim(now=now, token=secrets.token_hex(16), lease=LEASE, retention=FORGOTTEN, queue=queue)


def _made(store: Store, job: Job) -> Trial:
    (outcome,) = store.swap([Change(None, job)])
    if not isinstance(outcome, Won):
        raise StoreUnavailable(getattr(outcome, "reason", "its id is taken"))
    return Trial(store, job)


def _delete_forgotten(work: Work, store: Store, now: datetime) -> None:
    for job in store.page(after=PREFIX, limit=100):
        if not job.id.startswith(PREFIX):
            return
        if isinstance(job, Job) and _is_ours(job) and now - job.created_at > FORGOTTEN:
            _delete(work, store, job.id)


def _is_ours(job: Job) -> bool:
    """Return whether a smoke test made the job: a person may have named one so."""
    return (job.job_type, job.created_by) == (TYPE, BY)


def _delete(work: Work, store: Store, job_id: str) -> None:
    """Delete the job, even if it is running: it does nothing, and no other job will have its id."""
    is_gone = False
    try:
        is_gone = any(_is_gone(store, job_id) for _ in range(TRIES))
    finally:  # a signal may come meanwhile
        if not is_gone:
            work.leave_open(f"the job {job_id} could not be deleted: `watchkeeper jobs delete {job_id}`")


def _is_gone(store: Store, job_id: str) -> bool:
    """Try to delete a job, and return whether it is gone."""
    try:
        found = store.get([job_id]).get(job_id)
        return found is None or isinstance(store.swap([Change(found, None)])[0], Won)
    except StoreUnavailable:
        return False
