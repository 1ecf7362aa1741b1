"""Ticks that hand jobs over to a queue, and the deliveries of its tasks, over a store in a file."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.handlers import Context, Payload
from shared.jobs import Jobs
from shared.model.job import Job
from shared.running.delivery import run_delivered
from shared.running.report import TickReport
from shared.running.tasks import Tasks
from shared.running.tick import run_tick
from shared.settings import Settings, TaskQueues
from shared.store.protocol import Change, Store, Won
from tests.support.ticking import RecordedHandlers

LEASE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
QUEUE = "projects/p/locations/l/queues/watchkeeper-agents"
QUEUES = TaskQueues(names=(("agents", QUEUE),), worker_url="https://run.example/job", caller="tasks@p.example")
JobFactory = Callable[..., Job]


class ListedTasks(Tasks):
    """Tasks in a list. The next calls return `answers` instead of doing their work."""

    def __init__(self) -> None:
        super().__init__(QUEUES)
        self.tasks: dict[str, Any] = {}
        self.made: list[str] = []
        self.asked = 0
        self.answers: list[tuple[int, str]] = []
        self.is_deaf = False  # what is answered next was done all the same

    def _call(self, method: str, resource: str, body: object = None) -> tuple[int, str]:
        answer = self.answers.pop(0) if self.answers else None
        if answer is None or self.is_deaf:
            done = self._do(method, resource, body)
        return done if answer is None else answer

    def _do(self, method: str, resource: str, body: Any) -> tuple[int, str]:
        if method == "POST":
            task = body["task"]
            if task["name"] in self.made:
                return 409, "it exists"
            self.made.append(task["name"])
            self.tasks[task["name"]] = task
            return 200, ""
        self.asked += method == "GET"
        if resource not in self.tasks:
            return 404, "there is none"
        if method == "DELETE":
            del self.tasks[resource]
        return 200, ""

    def bodies(self) -> list[dict[str, str]]:
        """Return the bodies of the waiting tasks."""
        return [json.loads(base64.b64decode(task["httpRequest"]["body"])) for task in self.tasks.values()]


@dataclass
class World(RecordedHandlers):
    """A store, a clock, a queue, and ticks and deliveries over them."""

    store: Store
    now: datetime
    tasks: ListedTasks = field(default_factory=ListedTasks)
    ended: list[str] = field(default_factory=list)  # processes that ended
    elapsed: timedelta = timedelta()
    is_stopping: bool = False
    env: dict[str, str] = field(
        default_factory=lambda: {
            "TASK_QUEUES": f"agents={QUEUE}",
            "RUN_JOB_URL": QUEUES.worker_url,
            "RUN_JOB_CALLER": QUEUES.caller,
            "CALL_TIMEOUT_SECONDS": "1800",
        }
    )

    def clock(self) -> datetime:
        return self.now

    def turn(self, by: timedelta) -> None:
        self.now += by
        self.elapsed += by

    def add(self, *jobs: Job) -> None:
        assert all(isinstance(outcome, Won) for outcome in self.store.swap([Change(None, job) for job in jobs]))

    def job(self, job_id: str = "job") -> Job:
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def jobs(self) -> Jobs:
        return Jobs(self.store, clock=self.clock, handlers={}, retention=MINUTE, queues=QUEUES)

    def tick(self) -> TickReport:
        return run_tick(
            self.store,
            self.handlers,
            settings=Settings.from_env(self.env),
            clock=self.clock,
            monotonic=lambda: self.elapsed.total_seconds(),
            is_stopping=lambda: self.is_stopping,
            tasks=self.tasks,
            end_process=lambda: self.ended.append("tick"),
        )

    def deliver(self, body: dict[str, str] | None = None) -> str:
        """Deliver this task, or the one that waits."""
        (body,) = [body] if body else self.tasks.bodies()
        return run_delivered(
            self.store,
            self.handlers,
            body["job"],
            body["token"],
            settings=Settings.from_env(self.env),
            clock=self.clock,
            monotonic=lambda: self.elapsed.total_seconds(),
            is_stopping=lambda: self.is_stopping,
            end_process=lambda: self.ended.append("run_job"),
        ).outcome


def do_nothing(payload: Payload, context: Context) -> None:
    """Succeed."""


def turning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second pass whenever the threads' results are read."""
    monkeypatch.setattr("shared.running.runner.POLL_SECONDS", 0.001)
    clock = World.clock

    def turned(self: World) -> datetime:
        self.turn(SECOND)
        return clock(self)

    monkeypatch.setattr(World, "clock", turned)
