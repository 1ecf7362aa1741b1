"""Runs that must not overlap: a retry beside an abandoned thread, and jobs with one concurrency key."""

import threading
from datetime import datetime
from typing import Any

import pytest

from shared.handlers import Context, Payload
from tests.support.handing_over import MINUTE, SECOND, JobFactory, World, turning


class Deaf:
    """A handler that ignores its limit until it is released."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.at_work = 0
        self.most_at_work = 0

    def __call__(self, payload: Payload, context: Context) -> None:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.let_go.wait(10)
        self.at_work -= 1


@pytest.fixture
def deaf() -> Any:
    deaf = Deaf()
    yield deaf
    deaf.let_go.set()


def test_a_delivery_that_outlives_its_limit_ends_its_process(
    waiting: World, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry waits from the end of the delivery and runs in another process."""
    waiting.on("research", deaf, queue="agents", timeout=MINUTE)
    (body,) = waiting.tasks.bodies()
    turning(waiting, monkeypatch)

    assert waiting.deliver(body) == "retried"

    assert waiting.ended == ["run_job"]
    job = waiting.job()
    assert job.error == "timed out after 60 s"
    assert job.ready_at is not None
    assert job.ready_at - waiting.now >= 50 * SECOND


def test_what_timed_out_is_held_until_all_else_is_stored(
    world: World, deaf: Deaf, job_factory: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So no process can start its retry while the abandoned thread may still act."""
    held: list[datetime | None] = []

    def look(payload: Payload, context: Context) -> None:
        until = world.now + 5 * MINUTE
        while world.now < until and not context.stop.is_set():
            held.append(world.job("deaf").lease_until)

    world.on("deaf", deaf, timeout=20 * SECOND)
    world.on("log", look, timeout=10 * MINUTE)
    world.env |= {"CALL_TIMEOUT_SECONDS": "3600", "SCHEDULER_LEASE_SECONDS": "60"}
    world.add(job_factory("deaf", job_type="deaf"), job_factory("other"))
    turning(world, monkeypatch)

    report = world.tick()

    assert (report.jobs_retried, report.jobs_succeeded, report.threads_left_behind) == (1, 1, 1)
    assert None not in held
    assert len(set(held)) > 3, "the lease is renewed meanwhile"
    assert world.ended == ["tick"]
    job = world.job("deaf")
    assert job.lease_until is None
    assert job.ready_at is not None
    assert job.ready_at - world.now >= 50 * SECOND
    assert deaf.most_at_work == 1


class Lanes:
    """A handler that records the order of its runs, and how many of one key ran at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.order: list[str] = []
        self.at_work: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def __call__(self, payload: Payload, context: Context) -> None:
        key = payload["space"]
        with self.lock:
            self.order.append(context.job_id)
            self.at_work[key] = self.at_work.get(key, 0) + 1
            self.most[key] = max(self.most.get(key, 0), self.at_work[key])
        context.stop.wait(0.002)
        with self.lock:
            self.at_work[key] -= 1


def test_jobs_of_one_key_run_one_after_another(world: World, job_factory: JobFactory, now: datetime) -> None:
    """In the order of their times, while jobs with other keys, or without one, run beside them."""
    lanes = Lanes()
    world.on("post", lanes, concurrency_key=lambda payload: payload["space"])
    due = [
        job_factory(f"{space}-{n:02}", job_type="post", payload={"space": space}, at=now - n * SECOND)
        for space in "abc"
        for n in range(40)
    ]
    world.add(*due, job_factory("odd", job_type="post", payload={}), job_factory("free"))

    report = world.tick()

    assert report.jobs_succeeded == 121, "all but the one without a space"
    assert lanes.most == {"a": 1, "b": 1, "c": 1}
    for space in "abc":
        assert [job for job in lanes.order if job[0] == space] == [f"{space}-{n:02}" for n in reversed(range(40))]
    assert report.max_lateness_seconds == 39


def test_what_waits_behind_another_job_takes_no_thread(
    world: World, job_factory: JobFactory, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads and twenty slow messages to one space: other jobs run meanwhile."""
    is_over, others = threading.Event(), []

    def post(payload: Payload, context: Context) -> None:
        assert is_over.wait(10), "the other jobs never ran"

    def other(payload: Payload, context: Context) -> None:
        others.append(context.job_id)
        if len(others) == 20:
            is_over.set()

    turning(world, monkeypatch)
    world.env |= {"SCHEDULER_CONCURRENCY": "2", "SCHEDULER_TICK_BUDGET_SECONDS": "1000"}
    world.on("post", post, concurrency_key=lambda payload: payload["space"], timeout=10 * MINUTE)
    world.on("log", other)
    world.add(
        *(job_factory(f"post-{n:02}", job_type="post", payload={"space": "a"}, at=now - MINUTE) for n in range(20))
    )
    world.add(*(job_factory(f"other-{n:02}") for n in range(20)))

    assert world.tick().jobs_succeeded == 40


def test_what_did_not_begin_keeps_its_place(world: World, job_factory: JobFactory, now: datetime) -> None:
    """The budget ends while one runs: the others are released with their own times and their true lateness."""

    def post(payload: Payload, context: Context) -> None:
        world.turn(MINUTE)

    world.on("post", post, concurrency_key=lambda payload: payload["space"])
    world.add(
        *(job_factory(f"job-{n}", job_type="post", payload={"space": "a"}, at=now - n * SECOND) for n in range(3))
    )

    report = world.tick()

    assert (report.jobs_succeeded, report.truncated) == (1, True)
    assert [world.job(f"job-{n}").ready_at for n in range(2)] == [now, now - SECOND]
    assert world.runs == ["job-2@2026-11-21T08:59:58Z"]
    assert world.tick().max_lateness_seconds == 61
