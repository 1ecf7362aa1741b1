"""How a run fails, whether it is retried, and what is recorded."""

import asyncio
import json
import logging
import re
from datetime import datetime
from typing import Any, Self

import pytest

from shared.handlers import Cancel, Context, InvalidPayload, Payload, Snooze
from shared.logs import JsonFormatter
from shared.model.history import Result
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE
from tests.support.ticking import MINUTE, JobFactory, World, do_nothing, logged


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


def test_a_failure_is_retried_and_logged(
    world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The job keeps its error; the report counts it; an INFO line says when it runs again."""
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
    """A job that gives up is counted and logged once, at ERROR, with its traceback."""
    world.on("log", fail)
    world.add(job_factory(max_attempts=1))

    report = world.tick()

    assert report.jobs_failed == 1
    (record,) = logged(caplog, "job_failed")
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


def test_a_failure_has_its_location(world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the place for the first attempt, each run keeps it: files, lines and functions, without code."""
    caplog.set_level(logging.INFO)
    world.on("log", lambda payload, context: json.loads("{"))
    world.add(job_factory())

    world.tick()
    world.clock.now = world.job().ready_at or world.clock.now
    world.tick()

    first, second = (record.fields.get("trace") for record in logged(caplog, "job_retried"))  # type: ignore[attr-defined]
    assert second is None
    assert re.fullmatch(
        r"tests/unit/test_scheduler_failures.py:\d+ in <lambda>\n"
        r"json/__init__.py:\d+ in loads\njson/decoder.py:\d+ in decode\njson/decoder.py:\d+ in raw_decode",
        first,
    )
    assert [run.trace for run in world.job().recent_runs] == [first, first]


def test_an_unknown_job_type_and_a_snooze_have_no_location(world: World, job_factory: JobFactory) -> None:
    """An unknown job type and a snooze are not failures of a line of code."""
    world.on("log", lambda payload, context: (_ for _ in ()).throw(Snooze(MINUTE)))
    world.add(job_factory("later"), job_factory("unknown", "nobody"))

    world.tick()

    assert [world.job(job_id).recent_runs[-1].trace for job_id in ("later", "unknown")] == [None, None]


class Written(logging.Handler):
    """Collects the lines that a function would write."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


def test_log_lines_of_a_handler_name_its_run(world: World, job_factory: JobFactory) -> None:
    """Including lines of a library that knows nothing of jobs, but no line outside a run."""
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
def test_what_a_handler_raises_decides_what_follows(
    world: World, job_factory: JobFactory, raised: BaseException, counter: str, status: Status
) -> None:
    """The raised error decides what follows; the tick itself never fails."""

    def speak(payload: Payload, context: Context) -> None:
        raise raised

    world.on("log", speak)
    world.add(job_factory())

    report = world.tick()

    assert report.metrics()[counter] == report.metrics()["jobs_executed"] == 1
    assert world.job().status is status


def test_an_unknown_job_type_is_a_clear_failure(world: World, job_factory: JobFactory) -> None:
    """The error names the type, the known types, and where to add one."""
    world.add(job_factory(job_type="mystery"))

    report = world.tick()

    assert report.jobs_retried == 1
    error = world.job().error or ""
    assert all(word in error for word in ("'mystery'", "log", "JOB_HANDLERS"))


def test_a_payload_is_checked_before_the_handler_runs(world: World, job_factory: JobFactory) -> None:
    """A payload that the check refuses fails the job at once, without a call of the handler."""

    def refuse(payload: Payload) -> None:
        raise InvalidPayload("message must be text")

    world.on("log", do_nothing, check=refuse)
    world.add(job_factory())

    world.tick()

    assert (world.job().status, world.job().error) == (Status.FAILED, "message must be text")
    assert world.runs == []


class Explosive(Job):
    """A job that breaks an unforeseen rule, in the transition that its payload names."""

    def claim(self, **given: Any) -> Self:
        return self._unless("claim", super().claim(**given))

    def finish(self, result: Result, **given: Any) -> Self:
        return self._unless("finish", super().finish(result, **given))

    def _unless(self, transition: str, after: Self) -> Self:
        if self.payload["message"] == transition:
            raise OverflowError("date value out of range")
        return after


@pytest.mark.parametrize("transition", ["claim", "finish"])
def test_a_job_that_breaks_a_rule_is_quarantined_alone(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture, transition: str
) -> None:
    """The last guard: one ERROR names it, the other jobs are stored as completed, and the next tick is idle."""
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
