"""Commands that people give while a job runs."""

from datetime import datetime, timedelta

import pytest

from shared.handlers import Context, Payload
from shared.model.life import NotPossible
from shared.model.value import Status
from tests.support.ticking import LEASE, JobFactory, World, do_nothing, wait_for_stop


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_stopping_a_running_job(world: World, job_factory: JobFactory, now: datetime, command: str) -> None:
    """Its run is recorded, its status stays as requested, and it does not run again."""
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
    """Even on its only attempt: the job is paused and resumes where it was."""

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
    """The context has the reason, and the handler may stop early."""
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
    """Its own holder completes it; another tick at the same time finds nothing."""
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
    """Run, retry and delete are refused with the reason; the current run continues."""
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
    """This is the operator's remedy for a stuck lease: the lease token fences the old holder off."""
    world.on("log", lambda payload, context: world.jobs().release("job"))
    world.add(job_factory())

    report = world.tick()

    assert report.jobs_lost == 1
    assert world.job().status is Status.PENDING
    world.on("log", do_nothing)
    assert world.tick().jobs_succeeded == 1
