"""A process in a round of faults: it runs ticks, takes deliveries, or gives commands as people do.

Time runs faster here: the clock of each process is the machine's, times `speed`, and a little off. So leases, budgets
and limits keep their proportions, and minutes pass in seconds.
"""

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from werkzeug.wrappers import Request, Response

from shared.errors import InvalidInput, NotBegun, StoreUnavailable
from shared.handlers import Cancel, Context, Handler, Payload, Snooze
from shared.jobs import Jobs
from shared.model.job import Job
from shared.running.delivery import run_delivered
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from tests.faults.evidence import PEOPLE, Began, Ended, Injected, Ledger, Note, Reported, to_file
from tests.faults.faulty_store import Fault, FaultyStore, by_seed
from watchkeeper.serving import bind, serving

START = datetime(2026, 11, 21, 9, tzinfo=UTC)
RETENTION = timedelta(days=30)
LIMIT = timedelta(seconds=20)
LIMITS = {
    "SCHEDULER_LEASE_SECONDS": "60",
    "SCHEDULER_CONCURRENCY": "4",
    "SCHEDULER_TICK_BUDGET_SECONDS": "50",
    "SCHEDULER_LOOKAHEAD_SECONDS": "10",
    "CALL_TIMEOUT_SECONDS": "180",
}
SETTINGS = Settings.from_env(LIMITS)
QUEUE = "projects/watchkeeper-local/locations/local/queues/agents"
QUEUED = "queued-"  # begins the job types that are handed over
LEFT_BEHIND = 70  # the exit code of a process that has left a thread behind
COMMANDS = ("pause", "resume", "resume", "cancel", "run", "run", "retry", "release", "edit")
# How often a run of each job type fails, fails for good, is snoozed, and outlives its limit.
KINDS = {
    "good": (0.0, 0.0, 0.0, 0.0),
    "flaky": (0.4, 0.05, 0.1, 0.0),
    "bad": (1.0, 0.0, 0.0, 0.0),
    "hang": (0.0, 0.0, 0.0, 0.5),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of a process: its name, the place of the jobs, how time runs, and how often the store fails."""

    name: str
    seed: str
    evidence: str
    json_path: str = ""  # or else the emulator
    collection: str = ""
    speed: float = 20.0
    began: float = 0.0  # by the machine's clock
    offset: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    tasks: str = ""  # the address of Cloud Tasks
    port: int = 0  # where this process takes deliveries, if it does

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

    def settings(self) -> Settings:
        """Return the settings of a tick."""
        queues = {
            "TASK_QUEUES": f"agents={QUEUE}",
            "RUN_JOB_URL": "http://127.0.0.1/run_job",
            "RUN_JOB_CALLER": "tasks@watchkeeper-local.iam.gserviceaccount.com",
            "TASKS_API_ENDPOINT": self.tasks,
        }
        return Settings.from_env({**LIMITS, **queues}) if self.tasks else SETTINGS

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
        self._code = 0
        signal.signal(signal.SIGTERM, self._tell_to_end)

    def _tell_to_end(self, *_: object) -> None:
        self._is_told_to_end = True

    def _must_end(self) -> bool:
        return self._is_told_to_end or os.getppid() != self._parent  # no process outlives its round

    def _leave(self) -> None:
        """End after the present call, since a thread was left behind."""
        self._code = LEFT_BEHIND
        self._is_told_to_end = True

    def tick_on(self) -> int:
        """Run ticks; return the exit code."""
        numbers = count()
        while not self._must_end():
            number = next(numbers)
            by = f"{self._plan.name}.{number}"
            store = self._faulty(by)
            try:
                report = run_tick(
                    store,
                    handlers(by, self._note, self._random),
                    settings=self._plan.settings(),
                    clock=self._plan.clock,
                    monotonic=self._plan.monotonic,
                    is_stopping=self._must_end,
                    end_process=self._leave,
                )
                self._note(Reported(by=by, metrics=report.metrics()))
            except StoreUnavailable:
                time.sleep(0.05)
            store.write_late()
            time.sleep(0.02)
        return self._code

    def take_deliveries(self) -> int:
        """Run what Cloud Tasks delivers, one call at a time; return the exit code."""
        numbers = count()
        at_work = threading.Lock()

        @Request.application
        def run_job(request: Request) -> Response:
            with at_work:
                return Response(status=200 if self._deliver(request.get_json(), next(numbers)) else 503)

        with serving(bind(run_job, self._plan.port)):
            while not self._must_end():
                time.sleep(0.02)
            with at_work:  # it is answered first
                return self._code

    def _deliver(self, task: dict[str, str], number: int) -> bool:
        by = f"{self._plan.name}.{number}"
        store = self._faulty(by)
        try:
            report = run_delivered(
                store,
                handlers(by, self._note, self._random),
                task["job"],
                task["token"],
                settings=SETTINGS,
                clock=self._plan.clock,
                monotonic=self._plan.monotonic,
                is_stopping=self._must_end,
                end_process=self._leave,
            )
            self._note(Reported(by=by, metrics=report.metrics()))
        except (NotBegun, StoreUnavailable):
            return False
        finally:
            store.write_late()
        return True

    def act_as_people(self) -> int:
        """Add jobs, and give commands on those that exist; return the exit code."""
        store = self._faulty(self._plan.name)
        queues = self._plan.settings().queues
        jobs = Jobs(store, clock=self._plan.clock, handlers={}, retention=RETENTION, queues=queues)
        numbers = count()
        while not self._must_end():
            number = next(numbers)
            time.sleep(self._random.uniform(0.01, 0.1))
            try:
                if self._random.random() < 0.4:
                    add_job(jobs, self._random, f"{self._plan.name}-{number}")
                else:
                    names = [job.id for job in jobs.list() if isinstance(job, Job)]
                    getattr(jobs, self._random.choice(COMMANDS))(self._random.choice(names or ["none"]), by="ana")
            except (InvalidInput, StoreUnavailable):
                continue
        return self._code

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
    queued = QUEUED if draw.random() < 0.4 else ""
    jobs.schedule(
        f"{queued}{kind}",
        {"seconds": draw.choice([0.0, 0.01, 0.05, 0.3])},
        id=name,
        after=None if recurs else timedelta(seconds=draw.uniform(0, 60)),
        cron=draw.choice(["* * * * *", "*/2 * * * *"]) if recurs else None,
        misfire=draw.choice(["coalesce", "skip"]) if recurs else "coalesce",
        max_attempts=draw.choice([1, 2, 3]),
    )


def handlers(by: str, note: Note, draw: random.Random) -> dict[str, Handler]:
    """Return the handlers of one tick, which record what they do. They stop when asked, except those that hang."""

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

    def made(kind: str, queue: str | None) -> Handler:
        job_type = f"{QUEUED}{kind}" if queue else kind
        return Handler(
            job_type=job_type, run=lambda payload, context: run(kind, payload, context), timeout=LIMIT, queue=queue
        )

    each = [made(kind, queue) for kind in KINDS for queue in (None, "agents")]
    return {handler.job_type: handler for handler in each}


def _work(kind: str, payload: Payload, context: Context, draw: random.Random) -> str:
    fails, final, later, hangs = KINDS[kind]
    if draw.random() < hangs:
        time.sleep(2.0)  # it ignores the stop
        return "completed"
    if context.stop.wait(payload.get("seconds", 0)):
        return "failed"
    drawn = draw.random()
    for outcome, share in (("failed", fails), ("final", final), ("later", later)):
        if drawn < share:
            return outcome
        drawn -= share
    return "completed"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    plan = Plan(**json.loads(sys.argv[1]))
    worker = Worker(plan)
    live = (
        worker.act_as_people
        if plan.name.startswith(PEOPLE)
        else worker.take_deliveries
        if plan.port
        else worker.tick_on
    )
    code = live()
    sys.stdout.flush()
    os._exit(code)  # with its threads
