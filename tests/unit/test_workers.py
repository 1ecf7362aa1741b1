"""The threads of a tick, and the pages of jobs that it claims from."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.handlers import Context, Handler, Payload
from shared.model.job import Job
from shared.running.backlog import Backlog
from shared.running.running_job import RunningJob, State
from shared.running.tasks import Tasks
from shared.running.workers import Workers
from shared.settings import PROJECT_FOLDER, TaskQueues
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore

LEASE = timedelta(minutes=5)
JobFactory = Callable[..., Job]


class Gate:
    """A handler that records who started, and ends when it is opened."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.has_begun = threading.Event()
        self.is_open = threading.Event()

    def __call__(self, payload: Payload, context: Context) -> None:
        self.began.append(context.job_id)
        self.has_begun.set()
        assert self.is_open.wait(10)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def workers(gate: Gate, now: datetime) -> Workers:
    """One thread, whose handler is the gate."""
    return Workers(1, {"log": Handler(job_type="log", run=gate)}, Tasks(TaskQueues()), lambda: now, timedelta)


def held(job: Job, now: datetime) -> RunningJob:
    claimed = job.claim(now=now, token="token", lease=LEASE, retention=LEASE)
    return RunningJob(found=job, job=claimed, limit=LEASE)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "handler"]


def end(before: list[threading.Thread]) -> None:
    for thread in threads():
        if thread not in before:
            thread.join(10)


def test_what_has_not_begun_never_begins_after_the_end(
    workers: Workers, gate: Gate, job_factory: JobFactory, now: datetime
) -> None:
    """A tick that ends for any reason leaves no job that could still start."""
    before = threads()
    for name in ("a", "b"):
        workers.start(held(job_factory(name), now))
    assert gate.has_begun.wait(10)

    workers.close()
    gate.is_open.set()
    end(before)

    assert gate.began == ["a"]


def test_a_thread_that_was_left_behind_takes_no_more_jobs(
    workers: Workers, gate: Gate, job_factory: JobFactory, now: datetime
) -> None:
    """Another one replaces it: exactly as many handlers run at once as were asked for."""
    before = threads()
    first = held(job_factory("a"), now)
    workers.start(first)
    assert gate.has_begun.wait(10)

    workers.leave_behind(first)
    gate.is_open.set()
    assert workers.results.get(timeout=10)[0] is first
    for name in ("b", "c"):
        workers.start(held(job_factory(name), now))
        workers.results.get(timeout=10)

    assert gate.began == ["a", "b", "c"]
    assert len([thread for thread in threads() if thread not in before]) == 1
    workers.close()
    end(before)


def test_a_job_whose_lease_was_lost_before_it_began_does_not_run(
    workers: Workers, gate: Gate, job_factory: JobFactory, now: datetime
) -> None:
    """It is returned without a result."""
    before = threads()
    lost = held(job_factory("a"), now)
    lost.state = State.LOST

    workers.start(lost)
    returned, result = workers.results.get(timeout=10)
    workers.close()
    end(before)

    assert (returned, result, gate.began) == (lost, None, [])


BEFORE, AT_THE_EDGE = pytest.param(-1, ["a"], id="before"), pytest.param(0, [], id="at-the-edge")


@pytest.mark.parametrize(("late", "began"), [BEFORE, AT_THE_EDGE])
def test_a_job_begins_only_under_its_lease(
    gate: Gate, job_factory: JobFactory, now: datetime, late: int, began: list[str]
) -> None:
    """A process suspended for longer than the lease starts nothing that another one may have by now."""
    before = threads()
    clock = now + LEASE + timedelta(seconds=late)
    workers = Workers(1, {"log": Handler(job_type="log", run=gate)}, Tasks(TaskQueues()), lambda: clock, timedelta)
    gate.is_open.set()

    workers.start(held(job_factory("a"), now))
    _, result = workers.results.get(timeout=10)
    workers.close()
    end(before)

    assert gate.began == began
    assert (result is not None) == bool(began)


LISTENING = """
import queue, signal
from datetime import UTC, datetime, timedelta
from shared.running.tasks import Tasks
from shared.running.workers import Workers
from shared.settings import TaskQueues
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))
workers = Workers(1, {}, Tasks(TaskQueues()), lambda: datetime.now(UTC), timedelta)
print("listening", flush=True)
while not told:
    try:
        workers.results.get(timeout=0.05)
    except queue.Empty:
        pass
"""


def test_a_process_that_stood_still_hears_that_it_is_to_end() -> None:
    """A signal ends the wait for results even after its time is over."""
    command = [sys.executable, "-c", LISTENING]
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            code = process.wait(10)
        finally:
            process.kill()

    assert code == 0


# -- what is due -------------------------------------------------------------------------------------------------------


class Pages(JsonStore):
    """A store of endless due jobs that records how many it was asked for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.asked: list[int] = []

    def due(self, now: datetime, limit: int = 0) -> list[Job | Unreadable]:
        self.asked.append(limit)
        return [Job.create(f"job-{len(self.asked)}-{n}", "log", now=now) for n in range(limit)]


@pytest.fixture
def pages(job_factory: JobFactory, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setattr("shared.running.backlog.LONGEST_WAIT", 0)
    return Pages(job_factory())


def ids(taken: list[Any]) -> list[str]:
    return [due.id for due in taken]


def test_a_page_that_others_are_working_on_is_left_to_them(pages: Pages, now: datetime) -> None:
    """After losing most of a batch a tick drops the rest of the page and reads a smaller one, down to a minimum."""
    due = Backlog(pages)

    for _ in range(6):
        taken = due.take(16, now, elapsed=timedelta(), is_idle=True)
        due.note(taken[:1], lost=15)
    after = due.take(16, now, elapsed=timedelta(), is_idle=True)

    assert pages.asked == [500, 250, 125, 62, 32, 32, 32]
    assert ids(after)[0] == "job-7-0"


def test_a_page_is_used_up_before_the_next_one(pages: Pages, now: datetime) -> None:
    """A few lost claims are no reason to read again."""
    due = Backlog(pages)

    first = due.take(16, now, elapsed=timedelta(), is_idle=True)
    due.note(first[:10], lost=6)
    second = due.take(16, now, elapsed=timedelta(), is_idle=False)

    assert pages.asked == [500]
    assert ids(second)[0] == "job-1-16"
    assert not due.is_exhausted(now)
