"""A tick over a store in a file: a clock that the test turns by hand, and handlers of its own."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.handlers import Context, Handler, Payload
from shared.jobs import Jobs
from shared.model.entries import Entry
from shared.model.job import Job
from shared.running.report import TickReport
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Change, Outcome, Statuses, Store, Won

LEASE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
JobFactory = Callable[..., Job]


class Clock:
    """A wall clock and a monotonic one, which move only when a test turns them."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.elapsed = timedelta()

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.elapsed.total_seconds()

    def turn(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by
        self.elapsed += by

    def put(self, by: timedelta) -> None:
        """Put the wall clock forward or back."""
        self.now += by


class Recorder(Store):
    """A store that records its calls and can fail as stores do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[str] = []
        self.swaps: list[list[Change]] = []
        self.answer: Callable[[Sequence[Change]], list[Outcome] | None] = lambda changes: None
        self.is_unreachable = False

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        self._call("get")
        return self.store.get(job_ids)

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        self._call("due")
        return self.store.due(now, limit)

    def page(
        self, *, after: str = "", limit: int = PAGE, status: Statuses = None, space: str | None = None
    ) -> list[Job | Unreadable]:
        self._call("page")
        return self.store.page(after=after, limit=limit, status=status, space=space)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.calls.append("swap")
        self.swaps.append(list(changes))
        answered = self.answer(changes)
        return self.store.swap(changes) if answered is None else answered

    def history(self, **query: Any) -> list[Entry]:
        return self.store.history(**query)

    def now(self) -> datetime:
        return self.store.now()

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.is_unreachable:
            raise StoreUnavailable("the store is unreachable")


@dataclass(kw_only=True)
class RecordedHandlers:
    """Handlers of a test, and the execution keys of their runs."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)

    def on(self, job_type: str, run: Callable[[Payload, Context], object], **options: Any) -> None:
        """Register a handler; `runs` records each run by its execution key."""

        def recorded(payload: Payload, context: Context) -> object:
            self.runs.append(context.execution_key)
            return run(payload, context)

        self.handlers[job_type] = Handler(job_type=job_type, run=recorded, **options)


@dataclass
class World(RecordedHandlers):
    """A store, a clock, handlers, and ticks over them."""

    store: Recorder
    clock: Clock
    is_stopping: bool = False
    env: dict[str, str] = field(default_factory=lambda: {"CALL_TIMEOUT_SECONDS": "3600"})

    def add(self, *jobs: Job) -> None:
        assert all(isinstance(outcome, Won) for outcome in self.store.store.swap([Change(None, job) for job in jobs]))

    def job(self, job_id: str = "job") -> Job:
        job = self.store.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def jobs(self) -> Jobs:
        return Jobs(self.store.store, clock=self.clock, handlers=self.handlers, retention=30 * DAY)

    def tick(self) -> TickReport:
        self.store.calls.clear()
        report = run_tick(
            self.store,
            self.handlers,
            settings=Settings.from_env(self.env),
            clock=self.clock,
            monotonic=self.clock.monotonic,
            is_stopping=lambda: self.is_stopping,
        )
        metrics = report.metrics()
        assert metrics["jobs_executed"] == sum(
            metrics[name] for name in ("jobs_succeeded", "jobs_failed", "jobs_retried", "jobs_lost")
        )
        return report


def do_nothing(payload: Payload, context: Context) -> None:
    """Succeed."""


def wait_for_stop(payload: Payload, context: Context) -> None:
    assert context.stop.wait(10), "nobody asked to stop"


def logged(caplog: pytest.LogCaptureFixture, action: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if getattr(record, "fields", {}).get("action") == action]


def is_claim(change: Change) -> bool:
    before, after = change
    return isinstance(before, Job) and isinstance(after, Job) and before.lease_token != after.lease_token
