"""The budget of a tick, its threads and the time limit of a handler."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.errors import InvalidSettings
from shared.handlers import Cancel, Context, Handler, Handlers, Payload
from shared.model.value import Status
from shared.running.tick import check_limits
from shared.settings import Settings
from shared.store.protocol import Change, Outcome, Unknown
from tests.support.ticking import SECOND, JobFactory, World, do_nothing, is_claim, logged, wait_for_stop


def test_what_does_not_begin_within_the_budget_is_given_back(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """Handlers start only within the budget: claimed jobs that did not start are free at once, without an attempt."""

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
    """While handlers are slow, a tick claims no more jobs than it can start."""
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
    """It occupies one thread; the other thread runs everything else that is due."""
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
    """Within its budget a tick looks again every ten seconds while a handler runs."""
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


def test_a_handler_is_asked_to_stop_at_its_limit_and_recorded_as_failed(
    world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """At the limit it is asked to stop; five seconds later the run fails, with its place, and its thread is left."""
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
    assert "tests/unit/test_scheduler_limits.py:" in (trace := world.job().recent_runs[-1].trace or "")
    assert "in stubborn" in trace
    assert logged(caplog, "handler_abandoned")[0].levelno == logging.ERROR


def hanging(world: World, end: threading.Event) -> Callable[[Payload, Context], None]:
    """Return a handler with a limit of 10 s that ignores the stop, until the event is set."""

    def hang(payload: Payload, context: Context) -> None:
        world.clock.turn(10 * SECOND)
        assert context.stop.wait(10)
        world.clock.turn(5 * SECOND)
        assert end.wait(10)

    return hang


def test_a_hanging_handler_does_not_hold_up_the_others(world: World, job_factory: JobFactory, now: datetime) -> None:
    """The only thread is abandoned and replaced, so the other jobs run."""
    go_on = threading.Event()

    world.on("hang", hanging(world, go_on), timeout=10 * SECOND)
    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(job_factory("a", "hang", at=now - SECOND), job_factory("b", at=now))

    report = world.tick()
    go_on.set()

    assert (report.jobs_retried, report.jobs_succeeded) == (1, 1)


def test_a_result_that_comes_after_the_limit_is_refused(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """The run stays failed, even if the time-out is not stored yet."""
    others = threading.Event()

    def unreachable_until_the_late_result(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(is_claim(change) for change in changes) or logged(caplog, "late_result"):
            return None
        others.set()
        world.clock.turn(SECOND)
        return [Unknown("unreachable") for _ in changes]

    world.on("log", hanging(world, others), timeout=10 * SECOND)
    world.store.answer = unreachable_until_the_late_result
    world.add(job_factory(at=now))

    report = world.tick()

    assert report.jobs_retried == 1
    assert world.job().error == "timed out after 10 s"


def test_a_handler_that_stops_when_asked_keeps_its_own_result(world: World, job_factory: JobFactory) -> None:
    """Within the five seconds of grace its own result counts."""

    def polite(payload: Payload, context: Context) -> None:
        world.clock.turn(10 * SECOND)
        wait_for_stop(payload, context)
        raise Cancel("half of it is done")

    world.on("log", polite, timeout=10 * SECOND)
    world.add(job_factory())

    world.tick()

    assert (world.job().status, world.job().error) == (Status.FAILED, "half of it is done")


def test_a_claim_that_takes_too_long_starts_nothing(world: World, job_factory: JobFactory, now: datetime) -> None:
    """If the store answers after the budget is spent, the claimed jobs are released."""

    def slow(changes: Sequence[Change]) -> None:
        world.clock.turn(60 * SECOND)

    world.store.answer = slow
    world.add(job_factory(at=now))

    report = world.tick()

    assert world.runs == []
    assert report.truncated
    assert (world.job().status, world.job().lease_token) == (Status.PENDING, None)


def test_limits_that_do_not_fit_are_refused_at_start() -> None:
    """Budget, longest handler and ten seconds must fit into the function's timeout; the error names all of them."""
    handlers: Handlers = {"long": Handler(job_type="long", run=do_nothing, timeout=timedelta(seconds=121))}
    settings = Settings.from_env({"CALL_TIMEOUT_SECONDS": "180"})

    with pytest.raises(InvalidSettings, match=r"\(50\).*long.*\(121\).*180 s"):
        check_limits(settings, handlers)
    check_limits(settings, {"fits": replace(handlers["long"], timeout=timedelta(seconds=120))})
