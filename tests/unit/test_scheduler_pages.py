"""A tick goes from page to page: how many calls it makes, and what may not block a page."""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from shared.handlers import Context, Payload, Snooze
from shared.model.entries import entries
from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Change
from tests.support.ticking import DAY, LEASE, MINUTE, SECOND, JobFactory, World, logged


@pytest.mark.slow
def test_five_hundred_jobs_take_few_calls(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Batches double from 16, finishes share their calls with claims, and every job is written twice.

    Including the history entries, no call exceeds the 500 writes that Firestore accepts.
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
    """A tick continues from page to page until nothing is due."""
    world.add(*(job_factory(f"job-{n:04}", at=now) for n in range(1100)))

    report = world.tick()

    assert report.jobs_succeeded == len(set(world.runs)) == 1100
    assert not report.truncated


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make pages small, so that a few jobs fill them."""
    monkeypatch.setattr("shared.running.backlog.PAGE", 20)
    return 20


def test_many_jobs_with_dead_holders_do_not_block_the_page(
    world: World, job_factory: JobFactory, now: datetime, small_pages: int
) -> None:
    """They fill the first page: the others run first, and no page is read repeatedly."""

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
    """A job that is released and rescheduled during its run waits for the next tick, although another page has it."""
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
    """It counts as started at the time to which it was moved."""

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


def test_unreadable_documents_do_not_block_the_page(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Three at the head are quarantined with one ERROR each; the rest runs; the next tick is idle."""
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
    """Even more of them than a page holds do not keep a good job from running."""
    bad = [Unreadable(id=f"bad-{n:03}", reason="", document={"ready_at": now - DAY}) for n in range(PAGE + 10)]
    world.store.store.swap([Change(None, document) for document in bad])
    world.add(job_factory(at=now))

    report = world.tick()

    assert (report.jobs_checked, report.jobs_succeeded) == (PAGE + 11, 1)
