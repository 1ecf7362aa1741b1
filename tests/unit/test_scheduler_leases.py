"""Leases: renewed while a handler runs, lost to another holder, and taken over from a dead one."""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from shared.handlers import Context, Payload
from shared.model.job import Job
from shared.model.value import Status
from shared.store.protocol import Change, Outcome, Unknown, Won
from tests.support.running import until
from tests.support.ticking import DAY, LEASE, SECOND, JobFactory, World, is_claim, logged, wait_for_stop


def test_the_lease_is_renewed_at_a_third_while_a_handler_runs(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """After each third of the lease one write extends it; the finish still counts."""
    renewed: list[datetime | None] = []

    def long(payload: Payload, context: Context) -> None:
        for _ in range(2):
            world.clock.turn(LEASE / 3)
            until(lambda: world.job().lease_until == world.clock.now + LEASE, 10)
            renewed.append(world.job().lease_until)

    world.on("log", long, timeout=timedelta(hours=1))
    world.add(job_factory(at=now))

    report = world.tick()

    assert renewed == [now + LEASE / 3 + LEASE, now + 2 * LEASE / 3 + LEASE]
    assert report.jobs_succeeded == 1


def test_a_handler_that_outlives_its_lease_changes_nothing(
    world: World, job_factory: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Another holder took over: the late result is refused, logged and counted; the other's stays."""
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


def test_a_handler_that_stops_because_its_lease_may_be_lost_has_not_failed(
    world: World, job_factory: JobFactory
) -> None:
    """Nobody took the job over while the store did not answer: it runs again, and no attempt is counted."""
    is_stopped = threading.Event()

    def obey(payload: Payload, context: Context) -> None:
        world.clock.turn(LEASE / 3)
        wait_for_stop(payload, context)
        is_stopped.set()
        world.clock.turn(2 * SECOND)
        raise RuntimeError("stopped")

    def unreachable_until_it_stops(changes: Sequence[Change]) -> list[Outcome] | None:
        if is_stopped.is_set() or any(is_claim(change) for change in changes):
            return None
        if world.clock.elapsed < LEASE:
            world.clock.turn(LEASE)
        return [Unknown("unreachable") for _ in changes]

    world.on("log", obey, timeout=timedelta(hours=1))
    world.store.answer = unreachable_until_it_stops
    world.add(job_factory(max_attempts=1))

    world.tick()

    assert (world.job().status, world.job().attempts, world.job().reclaims) == (Status.PENDING, 0, 0)


def test_a_handler_whose_job_was_given_up_is_stopped(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Its tick waits for it, and refuses its result, although no other holder follows after the fifth."""
    job = job_factory(at=now)
    for _ in range(4):
        job = job.claim(now=job.ready_at or now, token="dead", lease=LEASE, retention=DAY)
    reasons: list[str | None] = []

    def late(payload: Payload, context: Context) -> None:
        job, over = world.job(), world.clock.now + LEASE
        given_up = job.claim(now=over, token="other", lease=LEASE, retention=DAY)
        assert isinstance(world.store.store.swap([Change(job, given_up)])[0], Won)
        world.clock.now = over
        wait_for_stop(payload, context)
        reasons.append(context.stop_reason)

    world.on("log", late, timeout=timedelta(hours=1))
    world.add(job)
    world.clock.turn(4 * LEASE)

    report = world.tick()

    assert (report.jobs_lost, report.jobs_failed) == (1, 0)
    assert reasons == ["lease lost"]
    assert (world.job().status, world.job().error) == (Status.FAILED, "given up: 5 holders died")


def test_a_job_that_waited_for_a_thread_longer_than_its_lease_is_given_back(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """A process that was suspended must not start what another one may have taken over."""

    def stand_still_in_the_second(payload: Payload, context: Context) -> None:
        if context.job_id == "b":
            world.clock.turn(LEASE)

    def unrenewed(changes: Sequence[Change]) -> list[Outcome] | None:
        if len(world.runs) < 2 or all(isinstance(job, Job) and job.lease_until is None for _, job in changes):
            return None
        world.clock.turn(SECOND)
        return [Unknown("unreachable") for _ in changes]

    world.env |= {"SCHEDULER_CONCURRENCY": "1", "SCHEDULER_TICK_BUDGET_SECONDS": "3000"}
    world.on("log", stand_still_in_the_second)
    world.add(*(job_factory(name, at=now) for name in "abc"))
    world.store.answer = unrenewed

    report = world.tick()

    assert [key[0] for key in world.runs] == ["a", "b"]
    assert report.metrics()["jobs_executed"] == 2
    assert (world.job("c").status, world.job("c").lease_until, world.job("c").reclaims) == (Status.PENDING, None, 0)


def test_a_dead_holders_job_is_recovered(world: World, job_factory: JobFactory, now: datetime) -> None:
    """It runs when its lease is over, and counts as recovered."""
    world.add(job_factory(at=now).claim(now=now, token="dead", lease=LEASE, retention=DAY))

    too_early = world.tick()
    world.clock.turn(LEASE)
    in_time = world.tick()

    assert too_early.jobs_checked == 0
    assert (in_time.jobs_recovered, in_time.jobs_succeeded) == (1, 1)


def test_jobs_with_two_dead_holders_run_alone_and_last(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A job that kills its process then fails alone: each is claimed, run and stored before the next claim."""

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


def test_nothing_starts_beside_a_job_that_runs_alone(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Not even a job that becomes due meanwhile."""
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


def test_a_job_given_up_after_five_deaths_is_an_error(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Alerts see it, although no handler started."""
    job = job_factory(at=now)
    for _ in range(5):
        job = job.claim(now=job.ready_at or now, token="dead", lease=LEASE, retention=DAY)
    world.add(job)
    world.clock.turn(5 * LEASE)

    report = world.tick()

    assert report.metrics()["jobs_executed"] == 0
    assert logged(caplog, "job_failed")[0].levelno == logging.ERROR
    assert world.job().status is Status.FAILED


def test_a_job_that_pauses_after_too_many_deaths_says_so(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """As after failures of its handler."""
    job = job_factory(at=now, cron="0 9 * * *", pause_after_failures=1)
    for _ in range(5):
        job = job.claim(now=job.ready_at or now, token="dead", lease=LEASE, retention=DAY)
    world.add(job)
    world.clock.turn(5 * LEASE)

    world.tick()

    assert world.job().status is Status.PAUSED
    assert [record.getMessage() for record in logged(caplog, "job_paused")] == [
        "Job job paused after 1 failures in a row"
    ]
