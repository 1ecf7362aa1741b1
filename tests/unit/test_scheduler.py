"""The tick, over a store in a file, with a clock that the test turns by hand."""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

import pytest

from shared.errors import InvalidSettings, StoreUnavailable
from shared.handlers import Cancel, Context, Handler, Handlers, InvalidPayload, Payload, Snooze
from shared.jobs import Jobs
from shared.logs import JsonFormatter
from shared.model.entries import Entry, entries
from shared.model.history import Result
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from shared.running.report import TickReport
from shared.running.tick import check_limits, run_tick
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import PAGE, Change, Lost, Outcome, Refused, Statuses, Store, Unknown, Won

LEASE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
JobFactory = Callable[..., Job]


class Clock:
    """A wall clock and a monotonic one, which stand still until they are turned."""

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
    """A store that counts its calls, and can fail as stores do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[str] = []
        self.swaps: list[list[Change]] = []
        self.answer: Callable[[Sequence[Change]], list[Outcome] | None] = lambda changes: None
        self.away = False

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
        if self.away:
            raise StoreUnavailable("the store is away")


@dataclass
class World:
    """A store, a clock, handlers of one's own, and ticks over them."""

    store: Recorder
    clock: Clock
    handlers: dict[str, Handler] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    is_stopping: bool = False
    env: dict[str, str] = field(default_factory=lambda: {"CALL_TIMEOUT_SECONDS": "3600"})

    def on(self, job_type: str, run: Callable[[Payload, Context], object], **options: Any) -> None:
        """Register a handler; each run is noted by its execution key."""

        def noted(payload: Payload, context: Context) -> object:
            self.runs.append(context.execution_key)
            return run(payload, context)

        self.handlers[job_type] = Handler(job_type=job_type, run=noted, **options)

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


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


def wait_for_stop(payload: Payload, context: Context) -> None:
    assert context.stop.wait(10), "nobody asked to stop"


@pytest.fixture
def world(json_store: JsonStore, now: datetime) -> World:
    """An empty world with a handler `log` that succeeds."""
    world = World(Recorder(json_store), Clock(now))
    world.on("log", do_nothing)
    return world


# -- what runs ---------------------------------------------------------------------------------------------------------


def test_an_idle_tick_makes_one_call(world: World) -> None:
    """Nothing due: one query, no write, all figures zero."""
    report = world.tick()

    assert world.store.calls == ["due"]
    assert not any(report.metrics().values())


def test_due_jobs_run_once_and_others_not(world: World, job_factory: JobFactory, now: datetime) -> None:
    """What is due runs, exactly; the next tick has nothing to do."""
    world.add(job_factory("due", at=now), job_factory("early", at=now + timedelta(microseconds=1)))

    first = world.tick()
    second = world.tick()

    assert world.runs == ["due@2026-11-21T09:00:00Z"]
    assert (first.jobs_checked, first.jobs_due, first.jobs_succeeded) == (1, 1, 1)
    assert second.jobs_checked == 0
    assert world.job("due").status is Status.COMPLETED


@pytest.mark.slow
def test_five_hundred_jobs_take_few_calls(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Batches double from 16, finishes travel with claims, and every job is written twice.

    With the entries of the history, too, no call has more than the 500 writes that Firestore takes.
    """
    world.add(*(job_factory(f"job-{n:03}", at=now) for n in range(500)))

    report = world.tick()

    assert report.jobs_succeeded == 500
    assert world.store.calls.count("due") == 2
    assert world.store.calls.count("swap") == 8
    assert sum(len(changes) for changes in world.store.swaps) == 1000
    assert max(_writes(changes) for changes in world.store.swaps) == PAGE


def _writes(changes: Sequence[Change]) -> int:
    jobs = [(before, after) for before, after in changes if isinstance(before, Job) and isinstance(after, Job)]
    return len(changes) + sum(bool(entries(before, after, kept=timedelta(days=30))) for before, after in jobs)


@pytest.mark.slow
def test_more_than_a_page_runs_in_one_tick(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A tick goes on from page to page until nothing is due."""
    world.add(*(job_factory(f"job-{n:04}", at=now) for n in range(1100)))

    report = world.tick()

    assert report.jobs_succeeded == len(set(world.runs)) == 1100
    assert not report.truncated


def test_a_recurring_job_goes_on(world: World, job_factory: JobFactory, now: datetime) -> None:
    """It runs at each of its times, once."""
    world.add(job_factory(cron="0 * * * *", at=now))

    for _ in range(3):
        world.tick()
        world.tick()
        world.clock.turn(timedelta(hours=1))

    assert world.runs == [f"job@2026-11-21T{hour:02}:00:00Z" for hour in (9, 10, 11)]


def test_lateness_is_the_start_against_the_ready_time(world: World, job_factory: JobFactory, now: datetime) -> None:
    """The report names the largest one."""
    world.add(job_factory("a", at=now - 90 * SECOND), job_factory("b", at=now))

    assert world.tick().max_lateness_seconds == 90


# -- how runs end ------------------------------------------------------------------------------------------------------


def test_a_failure_is_retried_and_told(world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture) -> None:
    """The job waits with its error; the report counts it; the log says when it runs again, at INFO."""
    caplog.set_level(logging.INFO, "watchkeeper")
    world.on("log", fail)
    world.add(job_factory())

    report = world.tick()

    assert report.jobs_retried == 1
    assert (world.job().attempts, world.job().error) == (1, "RuntimeError: boom")
    (record,) = logged(caplog, "job_retried")
    assert record.levelno == logging.INFO
    assert "will run again" in record.getMessage()


def test_a_final_failure_is_an_error_with_its_traceback(
    world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that gave up is counted, logged once at ERROR, and can be told from the traceback."""
    world.on("log", fail)
    world.add(job_factory(max_attempts=1))

    report = world.tick()

    assert report.jobs_failed == 1
    (record,) = logged(caplog, "job_failed")
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


def test_a_failure_says_where(world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells it of the first attempt, and each run keeps it: files, lines and functions, and no code."""
    caplog.set_level(logging.INFO)
    world.on("log", lambda payload, context: json.loads("{"))
    world.add(job_factory())

    world.tick()
    world.clock.now = world.job().ready_at or world.clock.now
    world.tick()

    first, second = (record.fields.get("trace") for record in logged(caplog, "job_retried"))  # type: ignore[attr-defined]
    assert second is None
    assert re.fullmatch(
        r"tests/unit/test_scheduler.py:\d+ in <lambda>\n"
        r"json/__init__.py:\d+ in loads\njson/decoder.py:\d+ in decode\njson/decoder.py:\d+ in raw_decode",
        first,
    )
    assert [run.trace for run in world.job().recent_runs] == [first, first]


def test_a_failure_of_no_handler_has_no_place(world: World, job_factory: JobFactory) -> None:
    """Nor has a handler that asks for later: neither is a failure of some line of code."""
    world.on("log", lambda payload, context: (_ for _ in ()).throw(Snooze(MINUTE)))
    world.add(job_factory("later"), job_factory("unknown", "nobody"))

    world.tick()

    assert [world.job(job_id).recent_runs[-1].trace for job_id in ("later", "unknown")] == [None, None]


class Written(logging.Handler):
    """Keeps the lines that a function would write."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


def test_what_is_logged_during_a_run_names_the_run(world: World, job_factory: JobFactory) -> None:
    """Also by a library that knows nothing of jobs; the runner's own lines say what they said."""
    foreign, written = logging.getLogger("some.package"), Written()

    def log_and_fail(payload: Payload, context: Context) -> None:
        foreign.warning("hello")
        raise RuntimeError("boom")

    world.on("log", log_and_fail)
    world.add(job_factory("a"), job_factory("b"))
    foreign.addHandler(written)
    try:
        world.tick()
        world.clock.now = max(world.job(job_id).ready_at or world.clock.now for job_id in "ab")
        world.tick()
        foreign.warning("nobody runs")
    finally:
        foreign.removeHandler(written)

    said = [tuple(line.get(name) for name in ("job_id", "execution_key", "attempt")) for line in written.lines]
    expected = [(job_id, f"{job_id}@2026-11-21T09:00:00Z", attempt) for attempt in (1, 2) for job_id in "ab"]
    assert sorted(said[:-1]) == sorted(expected)
    assert said[-1] == (None, None, None)


def logged(caplog: pytest.LogCaptureFixture, action: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if getattr(record, "fields", {}).get("action") == action]


@pytest.mark.parametrize(
    ("raised", "counter", "status"),
    [
        pytest.param(Cancel("gone"), "jobs_failed", Status.FAILED, id="never again"),
        pytest.param(InvalidPayload("no url"), "jobs_failed", Status.FAILED, id="payload refused"),
        pytest.param(Snooze(MINUTE), "jobs_retried", Status.PENDING, id="later"),
        pytest.param(RuntimeError("x"), "jobs_retried", Status.PENDING, id="any other error"),
        pytest.param(SystemExit(3), "jobs_retried", Status.PENDING, id="sys.exit"),
        pytest.param(asyncio.CancelledError(), "jobs_retried", Status.PENDING, id="no ordinary exception"),
        pytest.param(NotPossible("x"), "jobs_retried", Status.PENDING, id="our own error"),
    ],
)
def test_the_vocabulary_of_a_handler(
    world: World, job_factory: JobFactory, raised: BaseException, counter: str, status: Status
) -> None:
    """What a handler raises decides what follows; the tick itself never fails."""

    def speak(payload: Payload, context: Context) -> None:
        raise raised

    world.on("log", speak)
    world.add(job_factory())

    report = world.tick()

    assert report.metrics()[counter] == report.metrics()["jobs_executed"] == 1
    assert world.job().status is status


def test_an_unknown_job_type_is_a_clear_failure(world: World, job_factory: JobFactory) -> None:
    """It names the type, the types that there are, and where to add one."""
    world.add(job_factory(job_type="mystery"))

    report = world.tick()

    assert report.jobs_retried == 1
    error = world.job().error or ""
    assert all(word in error for word in ("'mystery'", "log", "JOB_HANDLERS"))


def test_a_payload_is_checked_before_the_handler_runs(world: World, job_factory: JobFactory) -> None:
    """A payload that its handler refuses fails at once, and the handler is not called."""

    def refuse(payload: Payload) -> None:
        raise InvalidPayload("message must be text")

    world.on("log", do_nothing, check=refuse)
    world.add(job_factory())

    world.tick()

    assert (world.job().status, world.job().error) == (Status.FAILED, "message must be text")
    assert world.runs == []


@pytest.mark.slow
def test_a_tick_starts_an_occurrence_at_most_once(world: World, job_factory: JobFactory) -> None:
    """A handler that says "later" is not run again by the same tick, even when its time comes meanwhile."""

    def later(payload: Payload, context: Context) -> None:
        world.clock.turn(2 * SECOND)
        raise Snooze(SECOND)

    world.on("log", later)
    world.add(job_factory(), *(job_factory(f"other-{n:03}") for n in range(PAGE)))
    world.env["SCHEDULER_TICK_BUDGET_SECONDS"] = "3000"

    world.tick()

    assert len(world.runs) == len(set(world.runs)) == PAGE + 1


def test_the_context_tells_what_a_handler_needs(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Key, attempt and deadline; the key is the same in the second attempt."""
    seen: list[Context] = []

    def look(payload: Payload, context: Context) -> None:
        seen.append(context)
        raise RuntimeError

    world.on("log", look, timeout=7 * SECOND)
    world.add(job_factory(at=now, space="spaces/A", by="ana"))
    world.tick()
    world.clock.turn(timedelta(hours=1))

    world.tick()

    assert [context.attempt for context in seen] == [1, 2]
    assert {context.execution_key for context in seen} == {"job@2026-11-21T09:00:00Z"}
    assert seen[0].deadline == now + 7 * SECOND
    assert (seen[0].space, seen[0].created_by, seen[0].stop_reason) == ("spaces/A", "ana", None)


def test_history_says_who_asked(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A run by hand carries the person's name, one by the clock says so."""
    world.add(job_factory(cron="0 9 * * *", at=now))
    world.tick()
    world.clock.turn(MINUTE)
    world.jobs().run("job", by="ana")

    world.tick()

    assert [run.by for run in world.job().recent_runs] == ["schedule", "ana"]


# -- budget, limits, stopping ------------------------------------------------------------------------------------------


def test_what_the_budget_leaves_is_given_back(world: World, job_factory: JobFactory, now: datetime) -> None:
    """New handlers start only within the budget: claimed jobs that did not begin are free at once, uncounted."""

    def slow(payload: Payload, context: Context) -> None:
        world.clock.turn(60 * SECOND)

    world.on("log", slow)
    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    report = world.tick()

    assert report.truncated
    assert len(world.runs) == report.jobs_succeeded == 1
    waiting = [world.job(f"job-{n}") for n in (1, 2)]
    assert all((job.status, job.attempts, job.reclaims) == (Status.PENDING, 0, 0) for job in waiting)
    assert world.tick().jobs_succeeded == 1


def test_a_slow_batch_goes_back_to_the_free_threads(world: World, job_factory: JobFactory, now: datetime) -> None:
    """While handlers are slow no more is claimed than can begin."""
    world.env["SCHEDULER_CONCURRENCY"] = "2"

    def slow(payload: Payload, context: Context) -> None:
        world.clock.turn(2 * SECOND)

    world.on("log", slow)
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(8)))

    world.tick()

    claims = [sum(after.status is Status.RUNNING for _, after in changes) for changes in world.store.swaps]  # type: ignore[union-attr]
    assert max(claims) <= 2
    assert len(world.runs) == 8


def test_one_slow_job_does_not_hold_up_the_others(world: World, job_factory: JobFactory, now: datetime) -> None:
    """While it holds its thread, the other thread goes through all that is due."""
    world.env["SCHEDULER_CONCURRENCY"] = "2"
    others_done = threading.Event()

    def quick(payload: Payload, context: Context) -> None:
        world.clock.turn(2 * SECOND if len(world.runs) == 2 else SECOND / 5)
        if len(world.runs) == 11:
            others_done.set()

    def slow(payload: Payload, context: Context) -> None:
        assert others_done.wait(5)

    world.on("slow", slow)
    world.on("log", quick)
    world.add(job_factory("slow", "slow", at=now - SECOND), *(job_factory(f"job-{n}", at=now) for n in range(10)))

    report = world.tick()

    assert report.jobs_succeeded == 11


def test_what_becomes_due_while_a_long_job_runs_does_not_wait_for_its_end(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """Within its budget a tick looks again every ten seconds as long as a handler runs."""
    ran = threading.Event()

    def long(payload: Payload, context: Context) -> None:
        world.add(job_factory("new", at=now + SECOND))
        world.clock.turn(10 * SECOND)
        assert ran.wait(10)

    world.on("long", long)
    world.on("log", lambda payload, context: ran.set())
    world.add(job_factory("long", "long", at=now))

    report = world.tick()

    assert report.jobs_succeeded == 2
    assert world.store.calls.count("due") == 2


def test_a_handler_is_told_at_its_limit_and_recorded_as_failed(
    world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """At the limit it hears "stop"; five seconds later the run has failed, where it hung, and its thread is left."""
    told, go_on = threading.Event(), threading.Event()

    def stubborn(payload: Payload, context: Context) -> None:
        world.clock.turn(10 * SECOND)
        assert context.stop.wait(10)
        assert context.stop_reason == "time limit"
        world.clock.turn(5 * SECOND)
        told.set()
        assert go_on.wait(10)

    world.on("log", stubborn, timeout=10 * SECOND)
    world.add(job_factory())

    report = world.tick()
    go_on.set()

    assert told.is_set()
    assert report.jobs_retried == 1
    assert world.job().error == "timed out after 10 s"
    assert "tests/unit/test_scheduler.py:" in (trace := world.job().recent_runs[-1].trace or "")
    assert "in stubborn" in trace
    assert logged(caplog, "handler_abandoned")[0].levelno == logging.ERROR


def test_a_hanging_handler_does_not_hold_up_the_others(world: World, job_factory: JobFactory, now: datetime) -> None:
    """With one thread, the thread left behind is replaced, and the other jobs run."""
    go_on = threading.Event()

    def hang(payload: Payload, context: Context) -> None:
        world.clock.turn(10 * SECOND)
        assert context.stop.wait(10)
        world.clock.turn(5 * SECOND)
        assert go_on.wait(10)

    world.on("hang", hang, timeout=10 * SECOND)
    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(job_factory("a", "hang", at=now - SECOND), job_factory("b", at=now))

    report = world.tick()
    go_on.set()

    assert (report.jobs_retried, report.jobs_succeeded) == (1, 1)


def test_a_result_that_comes_after_the_limit_is_refused(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Even while the record of the time-out is not stored yet: the run has failed, and that stays."""
    others = threading.Event()

    def late(payload: Payload, context: Context) -> None:
        world.clock.turn(10 * SECOND)
        assert context.stop.wait(10)
        world.clock.turn(5 * SECOND)
        assert others.wait(10)

    def away_until_the_late_result(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(is_claim(change) for change in changes) or logged(caplog, "late_result"):
            return None
        others.set()
        world.clock.turn(SECOND)
        return [Unknown("away") for _ in changes]

    world.on("log", late, timeout=10 * SECOND)
    world.store.answer = away_until_the_late_result
    world.add(job_factory(at=now))

    report = world.tick()

    assert report.jobs_retried == 1
    assert world.job().error == "timed out after 10 s"


def test_a_handler_that_stops_when_told_reports_itself(world: World, job_factory: JobFactory) -> None:
    """Within the five seconds of grace its own result counts."""

    def polite(payload: Payload, context: Context) -> None:
        world.clock.turn(10 * SECOND)
        wait_for_stop(payload, context)
        raise Cancel("half of it is done")

    world.on("log", polite, timeout=10 * SECOND)
    world.add(job_factory())

    world.tick()

    assert (world.job().status, world.job().error) == (Status.FAILED, "half of it is done")


def test_a_process_that_is_told_to_end_starts_nothing_more(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """What did not begin is given back, what runs is told and stored, and the tick answers."""
    world.env["SCHEDULER_CONCURRENCY"] = "1"

    def last(payload: Payload, context: Context) -> None:
        world.is_stopping = True
        wait_for_stop(payload, context)
        assert context.stop_reason == "shutting down"

    world.on("log", last)
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    report = world.tick()

    assert (report.jobs_succeeded, report.truncated) == (1, True)
    assert [world.job(f"job-{n}").status for n in range(3)] == ["completed", "pending", "pending"]


def test_a_process_that_ends_does_not_wait_for_ever(world: World, job_factory: JobFactory) -> None:
    """A handler that does not hear keeps its lease, to be taken over; the tick still answers."""
    go_on = threading.Event()

    def deaf(payload: Payload, context: Context) -> None:
        world.is_stopping = True
        assert context.stop.wait(10)
        world.clock.turn(7 * SECOND)
        assert go_on.wait(10)

    world.on("log", deaf)
    world.add(job_factory())

    report = world.tick()
    go_on.set()

    assert report.truncated
    assert (report.jobs_lost, report.metrics()["jobs_executed"]) == (1, 1)
    assert world.job().status is Status.RUNNING


@pytest.mark.parametrize(
    ("raised", "ready_in"),
    [(RuntimeError("stopped"), SECOND), (Snooze(timedelta(hours=1)), timedelta(hours=1))],
    ids=["an error", "later"],
)
def test_stopping_as_told_is_no_failure(
    world: World, job_factory: JobFactory, now: datetime, raised: Exception, ready_in: timedelta
) -> None:
    """A handler that gives up because the process ends uses no attempt; its own "later" still counts."""

    def obey(payload: Payload, context: Context) -> None:
        world.is_stopping = True
        wait_for_stop(payload, context)
        raise raised

    world.on("log", obey)
    world.add(job_factory(at=now, max_attempts=1))

    report = world.tick()

    assert report.jobs_retried == 1
    assert (world.job().attempts, world.job().ready_at) == (0, now + ready_in)


def test_a_claim_that_takes_too_long_starts_nothing(world: World, job_factory: JobFactory, now: datetime) -> None:
    """When the store answers after the budget is spent, what was claimed is given back."""

    def slow(changes: Sequence[Change]) -> None:
        world.clock.turn(60 * SECOND)

    world.store.answer = slow
    world.add(job_factory(at=now))

    report = world.tick()

    assert world.runs == []
    assert report.truncated
    assert (world.job().status, world.job().lease_token) == (Status.PENDING, None)


def test_a_clock_that_is_put_back_stops_nothing(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Time does not run backwards within a tick."""

    def put_back(payload: Payload, context: Context) -> None:
        world.clock.put(-timedelta(hours=1))

    world.on("log", put_back)
    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    assert world.tick().jobs_succeeded == 3


def test_a_clock_that_is_put_forward_ends_no_handler(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A laptop wakes hours later: the handler still has its whole limit, and its lease is renewed at once."""

    def wake(payload: Payload, context: Context) -> None:
        world.clock.put(timedelta(hours=8))
        until(lambda: world.job().lease_until == world.clock.now + LEASE)
        assert not context.stop.wait(0.3)

    world.on("log", wake, timeout=10 * SECOND)
    world.add(job_factory(at=now))

    report = world.tick()

    assert (report.jobs_succeeded, report.execution_time_ms) == (1, 0)


@pytest.mark.parametrize("hours", [-3, 3], ids=["back", "forward"])
def test_a_run_is_as_long_as_it_took_whatever_becomes_of_the_clock(
    world: World, job_factory: JobFactory, now: datetime, hours: int
) -> None:
    """Metrics and history hold the time that passed, and the next try is reckoned from the clock in force."""

    def fail_after_a_while(payload: Payload, context: Context) -> None:
        world.clock.put(timedelta(hours=hours))
        world.clock.turn(2 * SECOND)
        raise Snooze(MINUTE)

    world.on("log", fail_after_a_while)
    world.add(job_factory(at=now))

    report = world.tick()

    (run,) = world.job().recent_runs
    assert run.started_at is not None
    assert run.ended_at == run.started_at + 2 * SECOND == world.clock.now
    assert world.job().ready_at == world.clock.now + MINUTE
    assert (report.execution_time_ms, report.max_lateness_seconds) == (2000, 0)


def test_a_lease_is_renewed_although_the_clock_was_put_back(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """To ticks on other machines, whose clocks are right, the lease must not end under a handler."""

    def is_leased_until(moment: datetime) -> bool:
        return world.job().lease_until == moment

    def long(payload: Payload, context: Context) -> None:
        world.clock.put(-timedelta(hours=1))
        for third in (1, 2, 3):
            world.clock.turn(LEASE / 3)
            until(partial(is_leased_until, now + LEASE + third * LEASE / 3))

    world.on("log", long, timeout=2 * LEASE)
    world.add(job_factory(at=now))

    assert world.tick().jobs_succeeded == 1


def test_the_budget_is_not_spent_by_a_clock_that_is_put_forward(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """What is due is run within the same tick."""
    world.on("log", lambda payload, context: world.clock.put(MINUTE))
    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    assert world.tick().jobs_succeeded == 3


def test_limits_that_do_not_fit_are_refused_at_start() -> None:
    """Budget, longest handler and ten seconds must fit into the function's timeout; the error names all."""
    handlers: Handlers = {"long": Handler(job_type="long", run=do_nothing, timeout=timedelta(seconds=121))}
    settings = Settings.from_env({"CALL_TIMEOUT_SECONDS": "180"})

    with pytest.raises(InvalidSettings, match=r"\(50\).*long.*\(121\).*180 s"):
        check_limits(settings, handlers)
    check_limits(settings, {"fits": replace(handlers["long"], timeout=timedelta(seconds=120))})


# -- looking ahead -----------------------------------------------------------------------------------------------------


class Going(Clock):
    """A clock that goes on by a quarter of a second whenever it is read."""

    def __call__(self) -> datetime:
        self.turn(SECOND / 4)
        return self.now


def later(job_factory: JobFactory, now: datetime, *seconds: int) -> list[Job]:
    """Make a job for each of so many seconds from now."""
    return [job_factory(f"in-{after}", at=now + after * SECOND) for after in seconds]


@pytest.fixture
def looking_ahead(world: World, now: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose ticks look a minute ahead, and whose clock goes on by itself."""
    monkeypatch.setattr("shared.running.runner.POLL_SECONDS", 0.001)
    world.clock = Going(now)
    world.env["SCHEDULER_LOOKAHEAD_SECONDS"] = "60"
    return world


def test_each_job_starts_at_its_second(looking_ahead: World, job_factory: JobFactory, now: datetime) -> None:
    """The tick stays for what falls due within its budget of 50 s, and for nothing else; each is read once."""
    looking_ahead.add(*later(job_factory, now, 0, 10, 11, 45, 55))

    report = looking_ahead.tick()

    assert [key.partition("@")[0] for key in looking_ahead.runs] == ["in-0", "in-10", "in-11", "in-45"]
    for after in (10, 11, 45):
        started_at = looking_ahead.job(f"in-{after}").recent_runs[0].started_at
        assert started_at is not None
        assert timedelta() <= started_at - (now + after * SECOND) <= 3 * SECOND
    assert looking_ahead.job("in-55").started_at is None
    assert report.jobs_checked == 4
    assert not report.truncated


def test_without_a_look_ahead_the_tick_ends_at_once(world: World, job_factory: JobFactory, now: datetime) -> None:
    """What is not due is not read."""
    world.clock = Going(now)
    world.add(*later(job_factory, now, 10))

    report = world.tick()

    assert (report.jobs_checked, world.runs) == (0, [])
    assert world.clock.now < now + 5 * SECOND


def test_a_job_is_nobodys_until_its_second(looking_ahead: World, job_factory: JobFactory, now: datetime) -> None:
    """Whoever pauses it while the tick waits is heard; it is not run and not changed."""
    looking_ahead.on("pause", lambda payload, context: looking_ahead.jobs().pause("in-10"))
    looking_ahead.add(job_factory("first", "pause", at=now), *later(job_factory, now, 10, 20))

    report = looking_ahead.tick()

    assert [key.partition("@")[0] for key in looking_ahead.runs] == ["first", "in-20"]
    assert looking_ahead.job("in-10").status is Status.PAUSED
    assert report.jobs_skipped == 1


def test_a_tick_that_looks_ahead_ends_when_it_is_told_to(
    looking_ahead: World, job_factory: JobFactory, now: datetime
) -> None:
    """The next one finds what was left."""

    def stop(payload: Payload, context: Context) -> None:
        looking_ahead.is_stopping = True

    looking_ahead.on("stop", stop)
    looking_ahead.add(job_factory("first", "stop", at=now), *later(job_factory, now, 30))

    report = looking_ahead.tick()

    assert looking_ahead.clock.now < now + 20 * SECOND
    assert looking_ahead.job("in-30").ready_at == now + 30 * SECOND
    assert not report.truncated


def test_a_look_ahead_does_not_wait_for_a_clock_that_was_put_back(
    looking_ahead: World, job_factory: JobFactory, now: datetime
) -> None:
    """Nobody knows how long that would take: the next tick starts what was left."""

    def put_back(payload: Payload, context: Context) -> None:
        looking_ahead.clock.put(-60 * MINUTE)

    looking_ahead.on("put_back", put_back)
    looking_ahead.add(job_factory("first", "put_back", at=now), *later(job_factory, now, 30))

    looking_ahead.tick()

    assert looking_ahead.clock.now < now - 50 * MINUTE
    assert looking_ahead.job("in-30").ready_at == now + 30 * SECOND


def test_a_look_ahead_goes_on_after_lost_claims(looking_ahead: World, job_factory: JobFactory, now: datetime) -> None:
    """Two jobs that people changed are no sign of another tick: what was read is started, and not read again."""

    def pause_first(changes: Sequence[Change]) -> None:
        for _, job in changes:
            if isinstance(job, Job) and job.id in ("in-10", "in-20"):
                looking_ahead.jobs().pause(job.id)

    looking_ahead.store.answer = pause_first
    looking_ahead.add(*later(job_factory, now, 10, 20, 30))

    report = looking_ahead.tick()

    assert [key.partition("@")[0] for key in looking_ahead.runs] == ["in-30"]
    assert (report.jobs_checked, report.jobs_skipped) == (3, 2)


def test_a_look_ahead_does_not_wait_for_a_job_that_another_tick_holds(
    looking_ahead: World, job_factory: JobFactory, now: datetime
) -> None:
    """Its lease is renewed before it ends; if not, the next tick takes it over."""
    held = job_factory(at=now).claim(now=now, token="other", lease=30 * SECOND, retention=DAY)
    looking_ahead.add(held)

    report = looking_ahead.tick()

    assert looking_ahead.clock.now < now + 10 * SECOND
    assert (report.jobs_skipped, report.jobs_recovered) == (0, 0)


def test_a_full_page_that_is_not_due_yet_is_no_work_left(
    looking_ahead: World, job_factory: JobFactory, now: datetime
) -> None:
    """A tick that is told to end while it waits is not truncated, however much it has read."""

    def stop(payload: Payload, context: Context) -> None:
        looking_ahead.is_stopping = True

    looking_ahead.on("stop", stop)
    looking_ahead.add(job_factory("first", "stop", at=now))
    looking_ahead.add(*(job_factory(f"job-{n}", at=now + 40 * SECOND) for n in range(PAGE)))

    report = looking_ahead.tick()

    assert report.jobs_checked == PAGE
    assert not report.truncated


# -- leases ------------------------------------------------------------------------------------------------------------


def test_the_lease_is_renewed_at_a_third_while_a_handler_runs(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """Each time a third of the lease has gone by, one write moves its end; the finish still counts."""
    renewed: list[datetime | None] = []

    def long(payload: Payload, context: Context) -> None:
        for _ in range(2):
            world.clock.turn(LEASE / 3)
            until(lambda: world.job().lease_until == world.clock.now + LEASE)
            renewed.append(world.job().lease_until)

    world.on("log", long, timeout=timedelta(hours=1))
    world.add(job_factory(at=now))

    report = world.tick()

    assert renewed == [now + LEASE / 3 + LEASE, now + 2 * LEASE / 3 + LEASE]
    assert report.jobs_succeeded == 1


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until another thread has made it true."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("it did not become true in time")


def test_a_handler_that_outlives_its_lease_changes_nothing(
    world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Another holder took the job over: the late result is refused, told and counted; the other's stands."""
    other: list[Job] = []

    def late(payload: Payload, context: Context) -> None:
        job = world.job()
        over = world.clock.now + LEASE
        taken = job.claim(now=over, token="other", lease=LEASE, retention=DAY)
        assert isinstance(world.store.store.swap([Change(job, taken)])[0], Won)
        world.clock.now = over
        wait_for_stop(payload, context)
        assert context.stop_reason == "lease lost"
        other.append(world.job())

    world.on("log", late, timeout=timedelta(hours=1))
    world.add(job_factory())

    report = world.tick()

    assert (report.jobs_lost, report.jobs_succeeded) == (1, 0)
    assert world.job() == other[0]
    assert logged(caplog, "lease_lost")[0].levelno == logging.WARNING


def test_a_job_that_waited_for_a_thread_longer_than_its_lease_is_given_back(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """A process that stood still must not begin what another one may have taken over by then."""

    def stand_still_in_the_second(payload: Payload, context: Context) -> None:
        if context.job_id == "b":
            world.clock.turn(LEASE)

    def unrenewed(changes: Sequence[Change]) -> list[Outcome] | None:
        if len(world.runs) < 2 or all(isinstance(job, Job) and job.lease_until is None for _, job in changes):
            return None
        world.clock.turn(SECOND)
        return [Unknown("away") for _ in changes]

    world.env |= {"SCHEDULER_CONCURRENCY": "1", "SCHEDULER_TICK_BUDGET_SECONDS": "3000"}
    world.on("log", stand_still_in_the_second)
    world.add(*(job_factory(name, at=now) for name in "abc"))
    world.store.answer = unrenewed

    report = world.tick()

    assert [key[0] for key in world.runs] == ["a", "b"]
    assert report.metrics()["jobs_executed"] == 2
    assert (world.job("c").status, world.job("c").lease_until, world.job("c").reclaims) == (Status.PENDING, None, 0)


def test_a_dead_holders_job_is_recovered(world: World, job_factory: JobFactory, now: datetime) -> None:
    """It runs when its lease is over, and is counted as recovered."""
    world.add(job_factory(at=now).claim(now=now, token="dead", lease=LEASE, retention=DAY))

    too_early = world.tick()
    world.clock.turn(LEASE)
    in_time = world.tick()

    assert too_early.jobs_checked == 0
    assert (in_time.jobs_recovered, in_time.jobs_succeeded) == (1, 1)


def test_jobs_with_two_dead_holders_run_alone_and_last(world: World, job_factory: JobFactory, now: datetime) -> None:
    """One that kills its process then gives up alone: each is claimed, run and stored before the next is claimed."""

    def twice_dead(name: str) -> Job:
        job = job_factory(name, at=now)
        for _ in range(2):
            job = job.claim(now=job.ready_at or now, token="dead", lease=LEASE, retention=DAY)
        return job

    world.add(twice_dead("a"), twice_dead("b"), job_factory("healthy", at=now + 2 * LEASE))
    world.clock.turn(2 * LEASE)

    report = world.tick()

    assert [key.partition("@")[0] for key in world.runs] == ["healthy", "a", "b"]
    claims = [[change.job_id for change in changes if is_claim(change)] for changes in world.store.swaps]
    assert [ids for ids in claims if ids] == [["healthy"], ["a"], ["b"]]
    assert report.jobs_recovered == 2


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make pages small, so that a few jobs fill them."""
    monkeypatch.setattr("shared.running.backlog.PAGE", 20)
    return 20


def test_nothing_starts_beside_a_job_that_runs_alone(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Not even what becomes due while it runs."""
    job = job_factory("alone", "alone", at=now)
    for _ in range(2):
        job = job.claim(now=job.ready_at or now, token="dead", lease=LEASE, retention=DAY)
    beside: list[str] = []

    def alone(payload: Payload, context: Context) -> None:
        world.add(job_factory("new", at=now))
        world.clock.turn(20 * SECOND)
        context.stop.wait(0.4)
        beside.extend(world.runs[1:])

    world.on("alone", alone)
    world.add(job)
    world.clock.turn(2 * LEASE)

    world.tick()

    assert beside == []
    assert world.job("alone").status is Status.COMPLETED


def test_many_jobs_with_dead_holders_do_not_block_the_page(
    world: World, job_factory: JobFactory, now: datetime, small_pages: int
) -> None:
    """A whole page of them at the head: the others run first, and no page is read again and again."""

    def twice_dead(name: str) -> Job:
        job = job_factory(name, at=now)
        for _ in range(2):
            job = job.claim(now=job.ready_at or now, token="dead", lease=LEASE, retention=DAY)
        return job

    world.env["SCHEDULER_TICK_BUDGET_SECONDS"] = "3000"
    world.add(*(twice_dead(f"dead-{n:03}") for n in range(small_pages)))
    world.clock.turn(2 * LEASE)
    world.add(*(job_factory(f"job-{n:02}", at=now + 2 * LEASE) for n in range(30)))

    report = world.tick()

    assert report.jobs_succeeded == small_pages + 30
    assert all(key.startswith("job-") for key in world.runs[:30])
    assert world.store.calls.count("due") <= 3
    assert report.jobs_checked <= 5 * small_pages


def test_a_tick_never_holds_a_job_twice(world: World, job_factory: JobFactory, now: datetime, small_pages: int) -> None:
    """A job released and rescheduled while it runs here waits for the next tick, though another page shows it."""
    others_done = threading.Event()

    def long(payload: Payload, context: Context) -> None:
        world.jobs().release("long")
        world.jobs().edit("long", at=now - SECOND)
        assert others_done.wait(20)

    def quick(payload: Payload, context: Context) -> None:
        world.clock.turn(SECOND / 5)
        if len(world.runs) > small_pages:
            others_done.set()

    world.env["SCHEDULER_TICK_BUDGET_SECONDS"] = "3000"
    world.on("long", long, timeout=timedelta(hours=1))
    world.on("log", quick)
    world.add(
        job_factory("long", "long", at=now - MINUTE), *(job_factory(f"job-{n:03}", at=now) for n in range(small_pages))
    )

    report = world.tick()

    assert sum(key.startswith("long@") for key in world.runs) == 1
    assert (report.jobs_lost, report.jobs_succeeded) == (1, small_pages)
    assert (world.job("long").status, world.job("long").schedule_at) == (Status.PENDING, now - SECOND)


def test_a_coalesced_occurrence_is_started_once_in_a_tick(
    world: World, job_factory: JobFactory, now: datetime, small_pages: int
) -> None:
    """It counts as started under the time to which it was moved."""

    def later(payload: Payload, context: Context) -> None:
        world.clock.turn(SECOND / 5)
        raise Snooze(SECOND)

    world.env["SCHEDULER_TICK_BUDGET_SECONDS"] = "3000"
    world.on("log", later)
    world.add(
        job_factory("behind", cron="0 * * * *", at=now - DAY),
        *(job_factory(f"j-{n:03}", at=now) for n in range(small_pages)),
    )

    world.tick()

    assert len(world.runs) == len(set(world.runs))


def is_claim(change: Change) -> bool:
    before, after = change
    return isinstance(before, Job) and isinstance(after, Job) and before.lease_token != after.lease_token


# -- people, while it runs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_stopping_a_running_job(world: World, job_factory: JobFactory, now: datetime, command: str) -> None:
    """Its run is recorded, its status stays as asked, it does not run again."""
    world.on("log", lambda payload, context: getattr(world.jobs(), command)("job"))
    world.add(job_factory(cron="0 * * * *", at=now))

    report = world.tick()
    world.clock.turn(timedelta(hours=5))
    world.tick()

    assert report.jobs_succeeded == 1
    assert len(world.runs) == 1
    assert world.job().status == {"pause": "paused", "cancel": "cancelled"}[command]
    assert [run.outcome for run in world.job().recent_runs] == ["completed"]


def test_a_handler_that_stops_because_of_a_pause_has_not_failed(world: World, job_factory: JobFactory) -> None:
    """Even with its only attempt: the job is paused, and resumes where it was."""

    def obey(payload: Payload, context: Context) -> None:
        world.jobs().pause("job")
        world.clock.turn(LEASE / 3)
        wait_for_stop(payload, context)
        raise RuntimeError("stopped")

    world.on("log", obey, timeout=timedelta(hours=1))
    world.add(job_factory(max_attempts=1))

    world.tick()

    assert (world.job().status, world.job().attempts) == (Status.PAUSED, 0)


def test_the_holder_hears_of_a_cancel_with_its_next_renewal(world: World, job_factory: JobFactory) -> None:
    """The context says why, and the handler may stop early."""
    reasons: list[str | None] = []

    def long(payload: Payload, context: Context) -> None:
        world.jobs().cancel("job")
        world.clock.turn(LEASE / 3)
        wait_for_stop(payload, context)
        reasons.append(context.stop_reason)

    world.on("log", long, timeout=timedelta(hours=1))
    world.add(job_factory())

    world.tick()

    assert reasons == ["cancelled"]
    assert world.job().status is Status.CANCELLED


def test_pause_and_resume_while_it_runs_makes_no_second_holder(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """It is completed by its own holder; another tick at the same time finds nothing."""
    found: list[int] = []

    def long(payload: Payload, context: Context) -> None:
        world.jobs().pause("job")
        world.jobs().resume("job")
        found.append(len(world.store.store.due(world.clock.now)))

    world.on("log", long)
    world.add(job_factory(at=now))

    report = world.tick()

    assert found == [0]
    assert (report.jobs_succeeded, world.job().status) == (1, Status.COMPLETED)


@pytest.mark.parametrize("command", ["run", "retry", "delete"])
def test_a_second_run_of_a_running_job_is_refused(world: World, job_factory: JobFactory, command: str) -> None:
    """Run, retry and delete are refused with the reason; the run under way is not disturbed."""
    refusals: list[str] = []

    def long(payload: Payload, context: Context) -> None:
        with pytest.raises(NotPossible) as refusal:
            getattr(world.jobs(), command)("job")
        refusals.append(str(refusal.value))

    world.on("log", long)
    world.add(job_factory())

    report = world.tick()

    assert "running since 2026-11-21T09:00:00Z" in refusals[0]
    assert (report.jobs_succeeded, len(world.runs)) == (1, 1)


def test_a_released_job_runs_again_and_its_old_holder_is_refused(world: World, job_factory: JobFactory) -> None:
    """The operator's way out of a stuck lease: the fence holds."""
    world.on("log", lambda payload, context: world.jobs().release("job"))
    world.add(job_factory())

    report = world.tick()

    assert report.jobs_lost == 1
    assert world.job().status is Status.PENDING
    world.on("log", do_nothing)
    assert world.tick().jobs_succeeded == 1


# -- what cannot be read -----------------------------------------------------------------------------------------------


def test_unreadable_documents_do_not_block_the_page(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Three at the head are set aside with one ERROR each; the rest runs; the next tick is idle."""
    raw = [Unreadable(id=f"bad-{n}", reason="", document={"ready_at": now - DAY, "n": n}) for n in range(3)]
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(5)))
    world.store.store.swap([Change(None, bad) for bad in raw])

    report = world.tick()
    next_tick = world.tick()

    assert (report.jobs_checked, report.jobs_due, report.jobs_succeeded) == (8, 5, 5)
    assert [record.levelno for record in logged(caplog, "job_set_aside")] == [logging.ERROR] * 3
    assert next_tick.jobs_checked == 0
    listed = world.store.store.get(["bad-1"])["bad-1"]
    assert isinstance(listed, Unreadable)
    assert listed.document["n"] == 1


def test_a_page_of_nothing_but_unreadable_documents(world: World, job_factory: JobFactory, now: datetime) -> None:
    """More of them than a page holds still do not keep a good job from running."""
    bad = [Unreadable(id=f"bad-{n:03}", reason="", document={"ready_at": now - DAY}) for n in range(PAGE + 10)]
    world.store.store.swap([Change(None, document) for document in bad])
    world.add(job_factory(at=now))

    report = world.tick()

    assert (report.jobs_checked, report.jobs_succeeded) == (PAGE + 11, 1)


class Explosive(Job):
    """A job that breaks a rule which nobody thought of, in the transition that its payload names."""

    def claim(self, **given: Any) -> Self:
        return self._unless("claim", super().claim(**given))

    def finish(self, result: Result, **given: Any) -> Self:
        return self._unless("finish", super().finish(result, **given))

    def _unless(self, transition: str, after: Self) -> Self:
        if self.payload["message"] == transition:
            raise OverflowError("date value out of range")
        return after


@pytest.mark.parametrize("transition", ["claim", "finish"])
def test_a_job_that_breaks_a_rule_is_set_aside_alone(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture, transition: str
) -> None:
    """The last guard: one ERROR names it, its companions are stored as completed, and the next tick is idle."""
    good = [job_factory(f"good-{n}", at=now) for n in range(5)]
    bad = Explosive(**{**vars(job_factory("bad", at=now)), "payload": {"message": transition}})
    world.add(bad, *good)
    due = world.store.store.due

    def explosive(now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        return [Explosive(**vars(job)) if job.id == "bad" and isinstance(job, Job) else job for job in due(now, limit)]

    world.store.due = explosive  # type: ignore[method-assign]  # the store would make a plain job of it

    report = world.tick()
    again = world.tick()

    assert (report.jobs_succeeded, again.jobs_checked) == (5, 0)
    assert [line.levelno for line in logged(caplog, "job_set_aside")] == [logging.ERROR]
    found = world.store.store.get(["bad"])["bad"]
    assert "OverflowError" in str(found.document["error"] if isinstance(found, Unreadable) else found.error)


# -- the store, when it fails ------------------------------------------------------------------------------------------


def test_a_store_that_is_away_fails_the_tick(world: World, job_factory: JobFactory) -> None:
    """Scheduler and alerts must see it."""
    world.store.away = True

    with pytest.raises(StoreUnavailable, match="away"):
        world.tick()


def test_jobs_claimed_by_another_tick_are_skipped(world: World, job_factory: JobFactory, now: datetime) -> None:
    """All of a page lost: one more look, and then the tick ends, whatever it still sees."""
    world.store.answer = lambda changes: [Lost() for _ in changes]
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    report = world.tick()

    assert world.runs == []
    assert report.jobs_skipped == 6
    assert world.store.calls == ["due", "swap", "due", "swap"]


def test_a_claim_that_was_not_heard_ends_the_tick(world: World, job_factory: JobFactory, now: datetime) -> None:
    """The store does not say: nothing is started, and the tick fails; what it claimed is taken over later."""
    world.store.answer = lambda changes: [Unknown("cut") for _ in changes]
    world.add(job_factory(at=now))

    with pytest.raises(StoreUnavailable, match="cut"):
        world.tick()

    assert world.runs == []


def test_a_claim_that_was_not_heard_among_others(world: World, job_factory: JobFactory, now: datetime) -> None:
    """One write without an answer does not end the tick: the others run."""
    world.store.answer = lambda changes: [
        Unknown("contention") if change.job_id == "a" else world.store.store.swap([change])[0] for change in changes
    ]
    world.add(job_factory("a", at=now), *(job_factory(f"b{n}", at=now) for n in range(20)))

    report = world.tick()

    assert report.jobs_succeeded == 20
    assert not any(key.startswith("a@") for key in world.runs)


def test_a_finish_is_repeated_until_it_is_heard(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A result is stored as soon as the store is back, and the tick succeeds."""
    refusals = iter([1, 2, 3])

    def away_for_finishes(changes: Sequence[Change]) -> list[Outcome] | None:
        if not any(is_claim(change) for change in changes) and next(refusals, None):
            world.clock.turn(SECOND)
            return [Unknown("away") for _ in changes]
        return None

    world.store.answer = away_for_finishes
    world.add(job_factory(at=now))

    report = world.tick()

    assert (report.jobs_succeeded, len(world.runs)) == (1, 1)
    assert world.job().status is Status.COMPLETED


def test_a_finish_that_was_applied_unheard_is_recognised(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Its repetition is lost to its own first write; the token says whose it was."""
    answered: list[str] = []

    def unheard_once(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(is_claim(change) for change in changes) or answered:
            return None
        answered.append("unheard")
        world.store.store.swap(changes)
        world.clock.turn(SECOND)
        return [Unknown("cut after it was applied") for _ in changes]

    world.store.answer = unheard_once
    world.add(job_factory(cron="0 * * * *", at=now))

    report = world.tick()

    assert (report.jobs_succeeded, report.jobs_lost, len(world.runs)) == (1, 0, 1)
    assert [run.outcome for run in world.job().recent_runs] == ["completed"]


def test_an_unheard_finish_counts_as_what_it_was(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Even when a person's command has made another entry in the history before the job is read again."""
    answered: list[str] = []

    def unheard_once(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(is_claim(change) for change in changes) or answered:
            return None
        answered.append("unheard")
        world.store.store.swap(changes)
        world.clock.turn(6 * MINUTE)
        world.jobs().edit("job", cron="*/10 * * * *", by="ana")
        return [Unknown("cut after it was applied") for _ in changes]

    world.store.answer = unheard_once
    world.add(job_factory(cron="*/5 * * * *", at=now))

    report = world.tick()

    assert [run.outcome for run in world.job().recent_runs] == ["completed", "missed"]
    assert (report.jobs_succeeded, report.jobs_retried) == (1, 0)


def test_results_that_cannot_be_stored_fail_the_tick_in_time(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """Before the function's timeout it gives up and says so; the job is taken over when its lease ends."""

    def away_for_finishes(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(is_claim(change) for change in changes):
            return None
        world.clock.turn(30 * SECOND)
        return [Unknown("away") for _ in changes]

    world.env["CALL_TIMEOUT_SECONDS"] = "180"
    world.store.answer = away_for_finishes
    world.add(job_factory(at=now))

    with pytest.raises(StoreUnavailable, match="could not be stored"):
        world.tick()

    assert world.clock.now <= now + 240 * SECOND
    assert world.job().status is Status.RUNNING


def test_a_result_that_the_store_refuses_is_stored_as_a_failure(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """The job fails with the store's reason; the others go through."""

    def refuse_success(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(after.status is Status.COMPLETED and after.id == "a" for _, after in changes):  # type: ignore[union-attr]
            return [Refused("too large") if c.job_id == "a" else world.store.store.swap([c])[0] for c in changes]
        return None

    world.store.answer = refuse_success
    world.add(job_factory("a", at=now), job_factory("b", at=now))

    report = world.tick()

    assert (report.jobs_failed, report.jobs_succeeded) == (1, 1)
    assert "too large" in (world.job("a").error or "")


def test_a_claim_that_the_store_refuses_does_not_stop_the_others(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """It is logged, left alone for this tick, and everything else runs."""
    world.store.answer = lambda changes: [
        Refused("no") if change.job_id == "a" else world.store.store.swap([change])[0] for change in changes
    ]
    world.add(job_factory("a", at=now), *(job_factory(f"b{n}", at=now) for n in range(20)))

    report = world.tick()

    assert report.jobs_succeeded == 20
    assert world.job("a").status is Status.PENDING


# -- misfires, as the tick sees them -----------------------------------------------------------------------------------


def test_a_skipped_occurrence_is_moved_on_and_not_run(world: World, job_factory: JobFactory, now: datetime) -> None:
    """It is due, it is not executed, and history says why."""
    world.add(job_factory(cron="0 9 * * *", at=now, misfire="skip"))
    world.clock.turn(timedelta(hours=1))

    report = world.tick()

    assert (report.jobs_due, report.metrics()["jobs_executed"]) == (1, 0)
    assert world.job().ready_at == now + DAY
    assert [run.outcome for run in world.job().recent_runs] == ["missed"]


def test_a_tick_completes_a_job_whose_last_occurrence_is_skipped(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing runs and nothing follows; the log says that the schedule has ended."""
    world.add(job_factory(every="1h", until=now + timedelta(hours=2), misfire="skip"))
    world.clock.turn(DAY)

    report = world.tick()

    assert (report.metrics()["jobs_executed"], world.job().status) == (0, Status.COMPLETED)
    assert "Job job was not run in time; its schedule has ended" in caplog.messages


def test_a_job_that_gave_up_by_deaths_is_an_error(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Alerts see it, though no handler was started."""
    job = job_factory(at=now)
    for _ in range(5):
        job = job.claim(now=job.ready_at or now, token="dead", lease=LEASE, retention=DAY)
    world.add(job)
    world.clock.turn(5 * LEASE)

    report = world.tick()

    assert report.metrics()["jobs_executed"] == 0
    assert logged(caplog, "job_failed")[0].levelno == logging.ERROR
    assert world.job().status is Status.FAILED


# -- log lines ---------------------------------------------------------------------------------------------------------


def test_the_lines_that_operators_look_for(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Their messages are those of the former system, each about a job with its id, the last with the metrics."""
    caplog.set_level(logging.INFO, "watchkeeper")
    world.add(job_factory("report", at=now))

    world.tick()

    assert [record.getMessage() for record in caplog.records] == [
        "Running scheduler tick",
        "Claimed job report",
        "Job report completed successfully",
        "Scheduler tick completed",
    ]
    fields = [record.__dict__["fields"] for record in caplog.records]
    assert [line.get("job_id") for line in fields] == [None, "report", "report", None]
    assert fields[3]["jobs_executed"] == 1
    assert all("action" in line for line in fields)
