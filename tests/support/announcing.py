"""Ticks in which jobs are given up, and the messages about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from shared.handlers import Cancel, Context, Handler, Payload, Snooze
from shared.model.job import Job
from shared.running.report import TickReport
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.protocol import Change, Outcome, Store, Won

SPACE = "spaces/AAAA"
THREAD = "spaces/AAAA/threads/BBBB"
KEY = "job@2026-11-21T09:00:00Z"
LOOK = "`watchkeeper jobs show job` and the log show the whole error."
SECRET = "sk-hunter2"
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
JobFactory = Callable[..., Job]


def give_up(payload: Payload, context: Context) -> None:
    raise Cancel("the report is gone")


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


def put_off(payload: Payload, context: Context) -> None:
    raise Snooze(SECOND)


def do_nothing(payload: Payload, context: Context) -> None:
    """Succeed."""


@dataclass
class World:
    """A store, a clock that is turned by hand, and ticks over them. `answer` can answer in the store's place."""

    store: Store
    now: datetime
    run: Callable[[Payload, Context], None] = give_up
    answer: Callable[[Sequence[Change]], list[Outcome] | None] = lambda changes: None
    calls: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.store, name)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.calls.append("swap")
        answered = self.answer(changes)
        return self.store.swap(changes) if answered is None else answered

    def add(self, *jobs: Job) -> None:
        assert all(isinstance(outcome, Won) for outcome in self.store.swap([Change(None, job) for job in jobs]))

    def job(self, job_id: str) -> Job:
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def change(self, job_id: str, transition: Callable[[Job], Job]) -> None:
        job = self.job(job_id)
        assert isinstance(self.store.swap([Change(job, transition(job))])[0], Won)

    def tick(self, handlers: Mapping[str, Handler] | None = None) -> TickReport:
        """Run a tick in which `work` does what `run` says, and messages are recorded instead of posted."""

        def deliver(payload: Payload, context: Context) -> None:
            self.delivered.append(context.execution_key)

        own = {"work": self.run, "chat_message": deliver}
        return run_tick(
            cast(Store, self),
            handlers or {name: Handler(job_type=name, run=handler) for name, handler in own.items()},
            settings=Settings.from_env({"SCHEDULER_TIMEZONE": "Europe/Berlin", **self.env}),
            clock=lambda: self.now,
            monotonic=lambda: self.now.timestamp(),
        )

    def notices(self) -> list[Job]:
        jobs = [job for job in self.store.page() if isinstance(job, Job)]
        return [job for job in jobs if job.job_type == "chat_message"]


def text_of(notice: Job) -> str:
    return str(notice.payload["text"])


def button_of(notice: Job) -> Any:
    (card,) = notice.payload["cardsV2"]
    return card["card"]["sections"][0]["widgets"][0]["buttonList"]["buttons"][0]


def action_of(notice: Job) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in button_of(notice)["onClick"]["action"]["parameters"]}


def held_by_the_dead(job: Job, now: datetime, *, died_before: int) -> Job:
    """Return the job after its holder, and others before it, have died."""
    held = replace(job, reclaims=died_before).claim(now=now, token="t", lease=SECOND, retention=DAY)
    return replace(held, lease_until=now, ready_at=now)
