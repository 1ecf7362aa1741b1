"""The tick and the job's rules, interleaved by hypothesis: several ticks, people, time and a store that fails.

A tick is moved on by hand, one call to the store at a time, over a store in memory; anybody else can come between
its read and its write. The checker is the same as for real processes.
"""

import base64
import json
import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from shared.errors import StoreUnavailable
from shared.handlers import Context, Handler, Payload
from shared.jobs import Jobs
from shared.model.life import NotPossible
from shared.running.backlog import Backlog
from shared.running.delivery import DeliveredJob, begin_rule
from shared.running.runner import Runner
from shared.running.running_job import RunningJob
from shared.running.tasks import Tasks
from shared.running.tick import claim_rule, longest_in_tick
from shared.running.workers import Workers
from shared.settings import Settings
from shared.store.protocol import Change, Outcome
from tests.faults.checker import violations
from tests.faults.evidence import PEOPLE, Began, Ended, Fact, Ledger, Reported
from tests.faults.faulty_store import Fault, FaultyStore
from tests.faults.memory_store import MemoryStore

START = datetime(2026, 11, 21, 9, tzinfo=UTC)
QUEUE = "projects/p/locations/l/queues/agents"
SETTINGS = Settings.from_env(
    {
        "SCHEDULER_LEASE_SECONDS": "60",
        "SCHEDULER_CONCURRENCY": "2",
        "CALL_TIMEOUT_SECONDS": "600",
        "TASK_QUEUES": f"agents={QUEUE}",
        "RUN_JOB_URL": "https://run.example",
        "RUN_JOB_CALLER": "tasks@p.example",
    }
)


def no_run(payload: Payload, context: Context) -> None:
    raise AssertionError("the model runs the jobs")


HANDLERS = {
    "work": Handler(job_type="work", run=no_run, timeout=timedelta(seconds=90)),
    "research": Handler(job_type="research", run=no_run, timeout=timedelta(seconds=90), queue="agents"),
}
COMMANDS = ("pause", "resume", "cancel", "run", "retry", "release", "edit")
OUTCOMES: dict[str, dict[str, Any]] = {
    "completed": {},
    "failed": {"error": "boom"},
    "final": {"error": "never again", "final": True},
    "later": {"error": "later", "later": timedelta(seconds=20)},
}


class Interrupted(Ledger):
    """A ledger that lets something else happen just before the next write."""

    first: Callable[[], None] | None = None

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        first, self.first = self.first, None
        if first:
            first()
        return super().swap(changes)


class Results(queue.Queue[Any]):
    """A queue on which nobody waits."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return super().get(block=False)


class ModelTasks(Tasks):
    """Tasks in a list, delivered by the model. `answer` is what the next creation answers, done or not."""

    def __init__(self) -> None:
        super().__init__(SETTINGS.queues)
        self.waiting: dict[str, dict[str, str]] = {}  # what each is delivered with
        self.made: set[str] = set()
        self.answer: tuple[bool, int] | None = None

    def _call(self, method: str, resource: str, body: Any = None) -> tuple[int, str]:
        if method == "GET":
            return (200 if resource in self.waiting else 404), ""
        if method == "DELETE":
            self.waiting.pop(resource, None)
            return 200, ""
        is_done, status = self.answer or (True, 0)
        if is_done and body["task"]["name"] not in self.made:
            self.made.add(body["task"]["name"])
            self.waiting[body["task"]["name"]] = json.loads(base64.b64decode(body["task"]["httpRequest"]["body"]))
            return (status if self.answer else 200), "as the model has it"
        return (status if self.answer else 409), "as the model has it"


class HandWorkers(Workers):
    """Workers without threads: a test starts and ends each run."""

    def __init__(
        self,
        by: str,
        clock: Callable[[], datetime],
        elapsed: Callable[[], timedelta],
        note: Callable[[Fact], None],
        tasks: Tasks,
    ) -> None:
        super().__init__(0, HANDLERS, tasks, clock, elapsed)
        self.results = Results()
        self.running: list[RunningJob] = []
        self._by = by
        self._note = note

    def add_thread(self) -> None:
        """Have none."""

    def begin(self) -> None:
        """Begin what waits longest, if anything waits."""
        with suppress(queue.Empty):
            held = self._waiting.get_nowait()
            if held is not None and held.may_begin(self._clock()):
                self._begin(held)
            elif held is not None:
                self.results.put((held, None))

    def _begin(self, held: RunningJob) -> None:
        held.begin(self._clock(), self._elapsed())
        if held.job.handed_over is not None:
            self.results.put((held, self._hand_over(held)))
            return
        self._note(Began(by=self._by, key=held.job.execution_key, clock=self._clock()))
        self.running.append(held)

    def end(self, outcome: str, which: int = 0) -> None:
        """End a run, if one runs."""
        if not self.running:
            return
        held = self.running.pop(which % len(self.running))
        assert held.context is not None
        self._note(Ended(by=self._by, key=held.context.execution_key, outcome=outcome))
        self.results.put((held, held.result_of(self._clock(), self._elapsed(), **OUTCOMES[outcome])))


class HandTick(Runner):
    """A tick, or the delivery of a task, that a test moves on step by step."""

    def __init__(
        self,
        store: Interrupted,
        by: str,
        clock: Callable[[], datetime],
        note: Callable[[Fact], None],
        wait: Any,
        tasks: Tasks,
        delivered: Mapping[str, str] | None = None,
    ) -> None:
        self.ledger = store
        self.fault: Fault | None = None
        self.faulty = FaultyStore(store, lambda method: self.fault, seconds=20, wait=wait)
        self.is_told_to_end = False
        super().__init__(
            self.faulty,
            HANDLERS,
            DeliveredJob(self.faulty, delivered["job"], delivered["token"]) if delivered else Backlog(self.faulty),
            claim=begin_rule(SETTINGS) if delivered else claim_rule(HANDLERS, SETTINGS),
            longest=longest_in_tick(SETTINGS),
            tasks=tasks,
            settings=SETTINGS,
            clock=clock,
            monotonic=lambda: (clock() - START).total_seconds(),
            is_stopping=lambda: self.is_told_to_end,
        )
        self.workers = self._workers = HandWorkers(by, clock, self._elapsed, note, tasks)
        self._by = by
        self._note = note
        self._now = clock()
        self.is_over = False

    def crank(self) -> None:
        """Make one step; report after the last."""
        self._now = max(self._now, self._clock())
        self.is_over = not super()._step(self._now)
        if self.is_over:
            with suppress(StoreUnavailable):
                self.run()
                self._note(Reported(by=self._by, metrics=self.report.metrics()))
            self.fault = None
            self.faulty.write_late()

    def _step(self, now: datetime) -> bool:
        return not self.is_over


class Model(RuleBasedStateMachine):
    """Everything that can happen to a few jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.facts: list[Fact] = []
        self.store = MemoryStore()
        self.ticks: list[HandTick] = []
        self.tasks = ModelTasks()
        self.numbers = count()
        ledger = Ledger(self.store, PEOPLE, self.persons_clock, self.facts.append)
        self.persons_offset = timedelta()
        self.people = Jobs(ledger, clock=self.persons_clock, handlers={}, retention=timedelta(days=30))

    def persons_clock(self) -> datetime:
        return self.now + self.persons_offset

    @initialize(recurring=st.integers(0, 2), once=st.integers(0, 3))
    def begin(self, recurring: int, once: int) -> None:
        for _ in range(recurring):
            self.add("work", "* * * * *", "coalesce", 1)
        for number in range(once):
            self.add(["research", "work"][number % 2], None, "coalesce", 2)

    @rule(
        job_type=st.sampled_from(sorted(HANDLERS)),
        cron=st.sampled_from([None, "* * * * *", "*/5 * * * *"]),
        misfire=st.sampled_from(["coalesce", "skip"]),
        max_attempts=st.integers(1, 3),
    )
    def add(self, job_type: str, cron: str | None, misfire: str, max_attempts: int) -> None:
        name = f"job-{next(self.numbers)}"
        misfire = misfire if cron else "coalesce"  # a single time has no other rule
        self.people.schedule(job_type, id=name, cron=cron, misfire=misfire, max_attempts=max_attempts)

    @precondition(lambda self: len(self.ticks) < 4 and self.tasks.waiting)
    @rule(
        which=st.integers(0, 3),
        offset=st.sampled_from([-15, 0, 15]),
        stays=st.booleans(),  # it is delivered once more, at once or later
    )
    def deliver(self, which: int, offset: int, stays: bool) -> None:
        names = list(self.tasks.waiting)  # their names are random, their order is not
        name = names[which % len(names)]
        delivered = self.tasks.waiting[name] if stays else self.tasks.waiting.pop(name)
        self.start(offset, delivered)

    @precondition(lambda self: self.tasks.waiting)
    @rule(which=st.integers(0, 3))
    def lose_task(self, which: int) -> None:
        names = list(self.tasks.waiting)  # their names are random, their order is not
        del self.tasks.waiting[names[which % len(names)]]

    @rule(answer=st.sampled_from([None, (True, 0), (False, 0), (False, 403), (True, 503), (False, 503)]))
    def answer_tasks(self, answer: tuple[bool, int] | None) -> None:
        self.tasks.answer = answer

    @precondition(lambda self: len(self.ticks) < 3)
    @rule(offset=st.sampled_from([-15, 0, 15]))
    def start(self, offset: int, delivered: Mapping[str, str] | None = None) -> None:
        def clock() -> datetime:
            return self.now + timedelta(seconds=offset)

        by = f"tick-{next(self.numbers)}"
        ledger = Interrupted(self.store, by, clock, self.facts.append)
        tick = HandTick(ledger, by, clock, self.facts.append, self.pass_time, self.tasks, delivered)
        self.ticks.append(tick)
        self.crank(-1)

    @precondition(lambda self: self.ticks)
    @rule(
        which=st.integers(0, 2), fault=st.sampled_from([None, None, None, *Fault]), begins=st.sampled_from([1, 1, 0, 2])
    )
    def crank(self, which: int, fault: Fault | None = None, begins: int = 1) -> None:
        tick = self.ticks[which % len(self.ticks)]
        tick.fault = fault
        tick.crank()
        tick.fault = None
        for _ in range(begins):
            tick.workers.begin()
        self.ticks = [tick for tick in self.ticks if not tick.is_over]

    @precondition(lambda self: len(self.ticks) > 1)
    @rule(which=st.integers(0, 2))
    def crank_two_at_once(self, which: int) -> None:
        first, second = self.ticks[which % len(self.ticks)], self.ticks[(which + 1) % len(self.ticks)]
        first.ledger.first = second.crank
        self.crank(which)
        first.ledger.first = None

    @precondition(lambda self: self.ticks and self.store.jobs)
    @rule(which=st.integers(0, 2), job=st.integers(0, 5), command=st.sampled_from(COMMANDS))
    def command_between_read_and_write(self, which: int, job: int, command: str) -> None:
        tick = self.ticks[which % len(self.ticks)]
        tick.ledger.first = lambda: self.command(job, command)
        self.crank(which)
        tick.ledger.first = None

    @precondition(lambda self: any(tick.workers.running for tick in self.ticks))
    @rule(which=st.integers(0, 2), run=st.integers(0, 3), outcome=st.sampled_from(sorted(OUTCOMES)))
    def end_run(self, which: int, run: int, outcome: str) -> None:
        self.ticks[which % len(self.ticks)].workers.end(outcome, run)

    @rule(seconds=st.sampled_from([0.2, 1, 10, 25, 70, 700]))
    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.store.jobs)
    @rule(job=st.integers(0, 5), command=st.sampled_from(COMMANDS), offset=st.sampled_from([0, 0, -15, 15]))
    def command(self, job: int, command: str, offset: int = 0) -> None:
        names = sorted(self.store.jobs)
        self.persons_offset = timedelta(seconds=offset)
        with suppress(NotPossible):
            getattr(self.people, command)(names[job % len(names)], by="ana")

    @precondition(lambda self: self.ticks)
    @rule(which=st.integers(0, 2), is_killed=st.booleans())
    def end_process(self, which: int, is_killed: bool) -> None:
        self.ticks[which % len(self.ticks)].is_told_to_end = True
        if is_killed:
            self.ticks.pop(which % len(self.ticks))

    def teardown(self) -> None:
        for tick in self.ticks:
            self._finish(tick)
        self.ticks = []
        self.tasks.answer = None
        jobs = self.store.jobs
        for _ in range(20):  # more than an occurrence can have attempts, dead holders and hand-overs
            self.now += timedelta(hours=2)
            last_look = self.now
            self.start(0)
            for tick in self.ticks:
                self._finish(tick)
            while self.tasks.waiting:
                self.start(0, self.tasks.waiting.pop(next(iter(self.tasks.waiting))))
                for tick in self.ticks:
                    self._finish(tick)
            if not any(
                job.is_due(last_look if job.cron else datetime.max.replace(tzinfo=UTC)) for job in jobs.values()
            ):
                break
        broken = violations(self.facts, self.store.jobs, last_look)
        assert not broken, "\n".join(broken)

    def _finish(self, tick: HandTick) -> None:
        for _ in range(1000):
            if tick.is_over:
                return
            tick.workers.begin()
            tick.workers.end("completed")
            tick.crank()
            self.pass_time(0.1)
        raise AssertionError("a tick does not end")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that meets another one looks again at once."""
    monkeypatch.setattr("shared.running.backlog.LONGEST_WAIT", 0)


SETTINGS_OF_THE_MODEL = settings(
    deadline=None,  # for the soak, too
    max_examples=500,
    stateful_step_count=60,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
TestModel = Model.TestCase
TestModel.settings = SETTINGS_OF_THE_MODEL
