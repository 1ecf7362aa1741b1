"""A process that lives through a round of faults: it runs tick after tick, or does what people do, until it is ended.

Time runs faster here: the clocks of all processes follow the machine's, times `speed`, each a little off. So leases,
budgets and limits have their usual proportions, and minutes pass in seconds.
"""

import json
import logging
import os
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from shared.errors import InvalidInput, StoreUnavailable
from shared.handlers import Cancel, Context, Handler, Payload, Snooze
from shared.jobs import Jobs
from shared.model.job import Job
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from tests.faults.evidence import PEOPLE, Began, Ended, Injected, Ledger, Note, Reported, to_file
from tests.faults.faulty_store import Fault, FaultyStore, by_seed

START = datetime(2026, 11, 21, 9, tzinfo=UTC)
RETENTION = timedelta(days=30)
LIMIT = timedelta(seconds=20)
SETTINGS = Settings.from_env(
    {
        "SCHEDULER_LEASE_SECONDS": "60",
        "SCHEDULER_CONCURRENCY": "4",
        "SCHEDULER_TICK_BUDGET_SECONDS": "50",
        "SCHEDULER_LOOKAHEAD_SECONDS": "10",
        "CLOUD_RUN_TIMEOUT_SECONDS": "180",
    }
)
COMMANDS = ("pause", "resume", "resume", "cancel", "run", "run", "retry", "release")
# How often a run of each job type fails, fails for good, asks for later, and outlives its limit.
KINDS = {
    "good": (0.0, 0.0, 0.0, 0.0),
    "flaky": (0.4, 0.05, 0.1, 0.0),
    "bad": (1.0, 0.0, 0.0, 0.0),
    "hang": (0.0, 0.0, 0.0, 0.5),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a process is told: who it is, where the jobs are, how time runs, and how often the store fails."""

    name: str
    seed: str
    evidence: str
    json_path: str = ""  # or else the emulator
    collection: str = ""
    speed: float = 20.0
    began: float = 0.0  # by the machine's clock
    offset: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)

    def clock(self) -> datetime:
        """Return the time of this process."""
        return START + timedelta(seconds=self.monotonic() + self.offset)

    def monotonic(self) -> float:
        """Return the seconds since the round began, as fast as its clocks run."""
        return (time.monotonic() - self.began) * self.speed

    def store(self) -> Store:
        """Open the store."""
        if self.json_path:
            return JsonStore(Path(self.json_path), self.clock)
        from google.cloud import firestore

        from shared.store.firestore import FirestoreStore

        return FirestoreStore(firestore.Client(project="test"), self.collection)

    def command(self) -> list[str]:
        """Return the command line of the process."""
        return [sys.executable, "-m", "tests.faults.worker", json.dumps(asdict(self))]


class Worker:
    """The process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._store = plan.store()
        self._note = to_file(Path(plan.evidence))
        self._random = random.Random(plan.seed)
        self._faults = by_seed(plan.seed, plan.rates)
        self._parent = os.getppid()
        self._is_told_to_end = False
        signal.signal(signal.SIGTERM, self._tell_to_end)

    def _tell_to_end(self, *_: object) -> None:
        self._is_told_to_end = True

    def _must_end(self) -> bool:
        return self._is_told_to_end or os.getppid() != self._parent  # nobody is to be left behind

    def tick_on(self) -> None:
        """Run ticks."""
        for number in count():
            if self._must_end():
                return
            by = f"{self._plan.name}.{number}"
            store = self._faulty(by)
            try:
                report = run_tick(
                    store,
                    handlers(by, self._note, self._random),
                    settings=SETTINGS,
                    clock=self._plan.clock,
                    monotonic=self._plan.monotonic,
                    is_stopping=self._must_end,
                )
                self._note(Reported(by=by, metrics=report.metrics()))
            except StoreUnavailable:
                time.sleep(0.05)
            store.write_late()
            time.sleep(0.02)

    def be_people(self) -> None:
        """Do as people do: add jobs, and ask this and that of the jobs that there are."""
        store = self._faulty(self._plan.name)
        jobs = Jobs(store, clock=self._plan.clock, handlers={}, retention=RETENTION)
        for number in count():
            time.sleep(self._random.uniform(0.01, 0.1))
            if self._must_end():
                return
            try:
                if self._random.random() < 0.4:
                    add_job(jobs, self._random, f"{self._plan.name}-{number}")
                else:
                    names = [job.id for job in jobs.list() if isinstance(job, Job)]
                    getattr(jobs, self._random.choice(COMMANDS))(self._random.choice(names or ["none"]), by="ana")
            except (InvalidInput, StoreUnavailable):
                continue

    def _faulty(self, by: str) -> FaultyStore:
        def choose(method: str) -> Fault | None:
            fault = self._faults(method)
            if fault:
                self._note(Injected(by=by, method=method, fault=fault))
            return fault

        return FaultyStore(Ledger(self._store, by, self._plan.clock, self._note), choose)


def add_job(jobs: Jobs, draw: random.Random, name: str) -> None:
    """Add a job of some kind."""
    kind = draw.choice(["good", "good", "good", "flaky", "flaky", "bad", "hang"])
    recurs = draw.random() < 0.1
    jobs.schedule(
        kind,
        {"seconds": draw.choice([0.0, 0.01, 0.05, 0.3])},
        id=name,
        after=None if recurs else timedelta(seconds=draw.uniform(0, 60)),
        cron=draw.choice(["* * * * *", "*/2 * * * *"]) if recurs else None,
        misfire=draw.choice(["coalesce", "skip"]),
        max_attempts=draw.choice([1, 2, 3]),
    )


def handlers(by: str, note: Note, draw: random.Random) -> dict[str, Handler]:
    """Make the handlers of one tick. They note what they do; they stop when told, except those that hang."""

    def run(kind: str, payload: Payload, context: Context) -> None:
        note(Began(by=by, key=context.execution_key, clock=context.started_at))
        outcome = "failed"  # for whatever goes wrong here
        try:
            outcome = _work(kind, payload, context, draw)
        finally:
            note(Ended(by=by, key=context.execution_key, outcome=outcome))
        if outcome == "failed":
            raise RuntimeError("boom")
        if outcome == "final":
            raise Cancel("never again")
        if outcome == "later":
            raise Snooze(timedelta(seconds=20))

    def made(kind: str) -> Handler:
        return Handler(job_type=kind, run=lambda payload, context: run(kind, payload, context), timeout=LIMIT)

    return {kind: made(kind) for kind in KINDS}


def _work(kind: str, payload: Payload, context: Context, draw: random.Random) -> str:
    fails, final, later, hangs = KINDS[kind]
    if draw.random() < hangs:
        time.sleep(2.0)  # it hears nothing
        return "completed"
    if context.stop.wait(payload.get("seconds", 0)):
        return "failed"
    said = draw.random()
    for outcome, share in (("failed", fails), ("final", final), ("later", later)):
        if said < share:
            return outcome
        said -= share
    return "completed"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    plan = Plan(**json.loads(sys.argv[1]))
    worker = Worker(plan)
    worker.be_people() if plan.name.startswith(PEOPLE) else worker.tick_on()
