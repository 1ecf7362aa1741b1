"""A tick that waits for what is due within its look-ahead."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from shared.handlers import Context, Payload
from shared.model.job import Job
from shared.model.value import Status
from shared.store.protocol import PAGE, Change
from tests.support.ticking import DAY, MINUTE, SECOND, Clock, JobFactory, World


class Going(Clock):
    """A clock that advances by a quarter of a second whenever it is read."""

    def __call__(self) -> datetime:
        self.turn(SECOND / 4)
        return self.now


def later(job_factory: JobFactory, now: datetime, *seconds: int) -> list[Job]:
    """Return a job for each of these numbers of seconds from now."""
    return [job_factory(f"in-{after}", at=now + after * SECOND) for after in seconds]


@pytest.fixture
def looking_ahead(world: World, now: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose ticks look a minute ahead, and whose clock runs by itself."""
    monkeypatch.setattr("shared.running.runner.POLL_SECONDS", 0.001)
    world.clock = Going(now)
    world.env["SCHEDULER_LOOKAHEAD_SECONDS"] = "60"
    return world


def test_each_job_starts_at_its_second(looking_ahead: World, job_factory: JobFactory, now: datetime) -> None:
    """The tick waits only for jobs that fall due within its budget of 50 s, and reads each once."""
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
    """A job that is not due is not read."""
    world.clock = Going(now)
    world.add(*later(job_factory, now, 10))

    report = world.tick()

    assert (report.jobs_checked, world.runs) == (0, [])
    assert world.clock.now < now + 5 * SECOND


def test_nobody_holds_a_job_until_its_second(looking_ahead: World, job_factory: JobFactory, now: datetime) -> None:
    """A pause while the tick waits takes effect; the job does not run and is not changed."""
    looking_ahead.on("pause", lambda payload, context: looking_ahead.jobs().pause("in-10"))
    looking_ahead.add(job_factory("first", "pause", at=now), *later(job_factory, now, 10, 20))

    report = looking_ahead.tick()

    assert [key.partition("@")[0] for key in looking_ahead.runs] == ["first", "in-20"]
    assert looking_ahead.job("in-10").status is Status.PAUSED
    assert report.jobs_skipped == 1


def stopping_job(world: World, job_factory: JobFactory, now: datetime) -> Job:
    """Return a job, due now, during which the process is told to end."""

    def stop(payload: Payload, context: Context) -> None:
        world.is_stopping = True

    world.on("stop", stop)
    return job_factory("first", "stop", at=now)


def test_a_tick_that_looks_ahead_ends_when_it_is_told_to(
    looking_ahead: World, job_factory: JobFactory, now: datetime
) -> None:
    """The next tick finds what was left."""
    looking_ahead.add(stopping_job(looking_ahead, job_factory, now), *later(job_factory, now, 30))

    report = looking_ahead.tick()

    assert looking_ahead.clock.now < now + 20 * SECOND
    assert looking_ahead.job("in-30").ready_at == now + 30 * SECOND
    assert not report.truncated


def test_a_look_ahead_does_not_wait_for_a_clock_that_was_put_back(
    looking_ahead: World, job_factory: JobFactory, now: datetime
) -> None:
    """The wait could be long: the next tick starts what was left."""

    def put_back(payload: Payload, context: Context) -> None:
        looking_ahead.clock.put(-60 * MINUTE)

    looking_ahead.on("put_back", put_back)
    looking_ahead.add(job_factory("first", "put_back", at=now), *later(job_factory, now, 30))

    looking_ahead.tick()

    assert looking_ahead.clock.now < now - 50 * MINUTE
    assert looking_ahead.job("in-30").ready_at == now + 30 * SECOND


def test_a_look_ahead_goes_on_after_lost_claims(looking_ahead: World, job_factory: JobFactory, now: datetime) -> None:
    """Two jobs that people changed do not mean another tick: the rest starts and is not read again."""

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
    """Its holder renews the lease before it ends; if not, the next tick takes over."""
    held = job_factory(at=now).claim(now=now, token="other", lease=30 * SECOND, retention=DAY)
    looking_ahead.add(held)

    report = looking_ahead.tick()

    assert looking_ahead.clock.now < now + 10 * SECOND
    assert (report.jobs_skipped, report.jobs_recovered) == (0, 0)


def test_a_full_page_that_is_not_due_yet_is_no_work_left(
    looking_ahead: World, job_factory: JobFactory, now: datetime
) -> None:
    """A tick that has to end while it waits is not truncated, however much it has read."""
    looking_ahead.add(stopping_job(looking_ahead, job_factory, now))
    looking_ahead.add(*(job_factory(f"job-{n}", at=now + 40 * SECOND) for n in range(PAGE)))

    report = looking_ahead.tick()

    assert report.jobs_checked == PAGE
    assert not report.truncated
