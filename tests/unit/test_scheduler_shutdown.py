"""A process that has to end during a tick."""

import threading
from datetime import datetime, timedelta

import pytest

from shared.handlers import Context, Payload, Snooze
from shared.model.value import Status
from tests.support.ticking import SECOND, JobFactory, World, wait_for_stop


def test_a_process_that_is_told_to_end_starts_nothing_more(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """Waiting jobs are released, the running one is asked to stop and its result stored, and the tick returns."""
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


def test_a_process_that_ends_does_not_wait_for_a_handler_that_ignores_the_stop(
    world: World, job_factory: JobFactory
) -> None:
    """A handler that ignores the stop keeps its lease until another tick takes over; this tick returns."""
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
def test_a_handler_that_stops_as_asked_has_not_failed(
    world: World, job_factory: JobFactory, now: datetime, raised: Exception, ready_in: timedelta
) -> None:
    """A handler that gives up because the process ends uses no attempt; its own snooze still counts."""

    def obey(payload: Payload, context: Context) -> None:
        world.is_stopping = True
        wait_for_stop(payload, context)
        raise raised

    world.on("log", obey)
    world.add(job_factory(at=now, max_attempts=1))

    report = world.tick()

    assert report.jobs_retried == 1
    assert (world.job().attempts, world.job().ready_at) == (0, now + ready_in)
