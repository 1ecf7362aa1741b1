"""A wall clock that jumps during a tick."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.handlers import Context, Payload, Snooze
from tests.support.running import until
from tests.support.ticking import LEASE, MINUTE, SECOND, JobFactory, World


def test_a_clock_that_is_put_back_stops_nothing(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Time does not run backwards within a tick."""

    def put_back(payload: Payload, context: Context) -> None:
        world.clock.put(-timedelta(hours=1))

    world.on("log", put_back)
    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    assert world.tick().jobs_succeeded == 3


def test_a_clock_that_is_put_forward_ends_no_handler(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A laptop wakes hours later: the handler keeps its whole limit, and its lease is renewed at once."""

    def wake(payload: Payload, context: Context) -> None:
        world.clock.put(timedelta(hours=8))
        until(lambda: world.job().lease_until == world.clock.now + LEASE, 10)
        assert not context.stop.wait(0.3)

    world.on("log", wake, timeout=10 * SECOND)
    world.add(job_factory(at=now))

    report = world.tick()

    assert (report.jobs_succeeded, report.execution_time_ms) == (1, 0)


@pytest.mark.parametrize("hours", [-3, 3], ids=["back", "forward"])
def test_a_run_is_as_long_as_it_took_whatever_becomes_of_the_clock(
    world: World, job_factory: JobFactory, now: datetime, hours: int
) -> None:
    """Metrics and history have the time that passed; the next try is computed from the new clock time."""

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
    """For ticks on other machines, whose clocks are right, the lease must not end during the run."""

    def is_leased_until(moment: datetime) -> bool:
        return world.job().lease_until == moment

    def long(payload: Payload, context: Context) -> None:
        world.clock.put(-timedelta(hours=1))
        for third in (1, 2, 3):
            world.clock.turn(LEASE / 3)
            until(partial(is_leased_until, now + LEASE + third * LEASE / 3), 10)

    world.on("log", long, timeout=2 * LEASE)
    world.add(job_factory(at=now))

    assert world.tick().jobs_succeeded == 1


def test_the_budget_is_not_spent_by_a_clock_that_is_put_forward(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """What is due runs within the same tick."""
    world.on("log", lambda payload, context: world.clock.put(MINUTE))
    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    assert world.tick().jobs_succeeded == 3
