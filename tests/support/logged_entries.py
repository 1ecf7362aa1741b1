"""What the functions log: a tick in which everything happens that can, deliveries, and both kinds of renewals."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airtable_settings import AirtableSettings
from airtable_webhooks import renew_webhooks
from shared.errors import RenewalFailed
from shared.handlers import Context, Handler, Payload, load_handlers
from shared.logs import JsonFormatter
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.renewals import NotRenewed, Renewals, Renewed
from shared.running.delivery import run_delivered
from shared.running.tasks import TaskRefused, Tasks, TaskState
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Outcome, Refused, Won
from shared.subscriptions import CHECK, Subscription
from tests.support.monitoring_files import Entry
from watchkeeper.fakes.airtable import API_KEY, BASE, Airtable, webhook

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HAND_OVER = {
    "TASK_QUEUES": "agents=projects/demo/locations/eu/queues/watchkeeper-agents",
    "RUN_JOB_URL": "https://run.example",
    "RUN_JOB_CALLER": "tasks@example.com",
}
SETTINGS = Settings.from_env({"CALL_TIMEOUT_SECONDS": "3600", **HAND_OVER})
LATE = timedelta(seconds=150)


class Lines(logging.Handler):
    """Keeps log lines in the form in which Cloud Logging stores them."""

    def __init__(self, function: str, entries: list[Entry]) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        labels = {"service_name": f"watchkeeper-{function.replace('_', '-')}"}
        self._resource = {"type": "cloud_run_revision", "labels": labels}
        self._entries = entries

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(self.format(record))
        self._entries.append({"resource": self._resource, "severity": line.pop("severity"), "jsonPayload": line})


@contextmanager
def logged_by(function: str, entries: list[Entry]) -> Iterator[None]:
    own, lines = logging.getLogger("watchkeeper"), Lines(function, entries)
    level = own.level
    own.addHandler(lines)
    own.setLevel(logging.INFO)
    try:
        yield
    finally:
        own.setLevel(level)
        own.removeHandler(lines)


class TroubledStore(JsonStore):
    """A store that loses the claims of the jobs `taken-*` to another tick and refuses writes of `refused-*`."""

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        super().swap([change for change in changes if change.job_id.startswith("taken")])
        return [self._swap_one(change) for change in changes]

    def _swap_one(self, change: Change) -> Outcome:
        is_end = isinstance(change.before, Job) and change.before.status is Status.RUNNING
        if change.job_id == "refused-claim" or (change.job_id == "refused-result" and is_end):
            return Refused("too large")
        return super().swap([change])[0]


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


FAIL = Handler(job_type="fail", run=fail)


def due(job_id: str, job_type: str = "log", **given: Any) -> Job:
    return Job.create(job_id, job_type, **{"now": NOW - LATE, "payload": {"message": "hello"}, **given})


class SomeTasks(Tasks):
    """Cloud Tasks that accepts every task but one."""

    def create(self, job: Job) -> TaskState:
        if job.id == "refused-task":
            raise TaskRefused("Cloud Tasks said 404 the queue does not exist")
        return TaskState.WAITING


def tick(folder: Path) -> None:
    """Run one tick in which jobs end in every possible way."""
    store = JsonStore(folder / "jobs.json", lambda: NOW)
    expiring = {"subscription": "the Gmail watch of a", "expires_at": iso(NOW + timedelta(hours=20))}
    jobs = [
        *(due(f"good-{number}") for number in range(5)),
        *(due(f"bad-{number}", "fail", max_attempts=1) for number in range(2)),
        *(due(f"again-{number}", "fail") for number in range(3)),
        *(due(f"taken-{number}") for number in range(4)),
        *(due(job_id) for job_id in ("odd", "refused-claim", "refused-result")),
        *(due(job_id, "long") for job_id in ("waits-0", "waits-1", "refused-task")),
        due("subscription:gmail:a@example.com", CHECK, payload=expiring),
    ]
    assert all(isinstance(outcome, Won) for outcome in store.swap([Change(None, job) for job in jobs]))
    content = json.loads((folder / "jobs.json").read_text())
    del content["jobs"]["odd"]["job_type"]
    (folder / "jobs.json").write_text(json.dumps(content))
    run_tick(
        TroubledStore(folder / "jobs.json", lambda: NOW),
        {**load_handlers(()), "fail": FAIL, "long": Handler(job_type="long", run=fail, queue="agents")},
        settings=SETTINGS,
        tasks=SomeTasks(SETTINGS.queues),
        clock=lambda: NOW,
        monotonic=time.monotonic,
    )


def deliveries(folder: Path) -> None:
    """Run three jobs that were handed over: one succeeds, one fails for good, one is retried."""
    store = JsonStore(folder / "handed-over.json", lambda: NOW)
    for job in (
        due("delivered"),
        due("bad-delivered", "fail", max_attempts=1),
        due("again-delivered", "fail"),
    ):
        held = job.claim(now=NOW, token="t", lease=SETTINGS.lease, retention=SETTINGS.retention, queue="agents")
        assert isinstance(store.swap([Change(None, held)])[0], Won)
        run_delivered(
            store,
            {**load_handlers(()), "fail": FAIL},
            *(job.id, "t"),
            settings=SETTINGS,
            clock=lambda: NOW,
            monotonic=time.monotonic,
        )


def renew_gmail(folder: Path) -> None:
    """Renew two mailboxes, one of which fails."""
    good, bad = (Subscription(id=f"subscription:gmail:{name}@example.com", title=name) for name in ("good", "bad"))

    def renew(subscription: Subscription) -> Renewed:
        if subscription is bad:
            raise NotRenewed("Gmail said 403 no; do something")
        return Renewed(expires_at=NOW + timedelta(days=7))

    store = JsonStore(folder / "gmail.json", lambda: NOW)
    Renewals(store, SETTINGS, now=NOW, clock=lambda: NOW, monotonic=time.monotonic, by="scheduler").renew_all(
        [good, bad], renew
    )


def renew_airtable(folder: Path) -> None:
    """Refresh two webhooks: one never expires and notifies nobody, the other has expired."""
    webhooks = [webhook("achSilent", expires_at=None, notifies=False), webhook("achExpired", expires_at=NOW)]
    with Airtable(bases={BASE: webhooks}) as airtable:
        env = {"AIRTABLE_API_KEY": API_KEY, "AIRTABLE_BASE_ID": BASE, "AIRTABLE_API_ENDPOINT": airtable.url}
        store = JsonStore(folder / "airtable.json", lambda: NOW)
        renewals = Renewals(store, SETTINGS, now=NOW, clock=lambda: NOW, monotonic=time.monotonic, by="scheduler")
        with pytest.raises(RenewalFailed):
            renew_webhooks(AirtableSettings.from_env(env), renewals)
