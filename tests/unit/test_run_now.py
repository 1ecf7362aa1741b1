"""A requested run starts now, on one machine: jobs over both kinds of store, and a clock that is turned by hand."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.handlers import Context, Handler, Later, Payload
from shared.jobs import Jobs
from shared.model.job import Job
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Store, Won
from watchkeeper.dev.run_now import MOST_CALLS, AskedFor, call_when_asked, watch_file

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PATIENCE = 10  # seconds for what another thread is to do


class World:
    """Jobs, a clock, and a watch for requested runs. `work` is what the one handler does."""

    def __init__(self, store: Store, now: datetime) -> None:
        self.now = now
        self.store = store
        self.work: Callable[[Payload, Context], None] = lambda payload, context: None
        self.handlers = {"work": Handler(job_type="work", run=lambda payload, context: self.work(payload, context))}
        self.jobs = Jobs(store, clock=lambda: self.now, handlers=self.handlers, retention=HOUR)

    def watch(self) -> AskedFor:
        """Begin to watch, as a local run does at its start."""
        return AskedFor(self.jobs, lambda: True)

    def add(self, **given: object) -> Job:
        return self.jobs.schedule("work", **{"id": "job", **given}).job  # type: ignore[arg-type]

    def tick(self) -> None:
        run_tick(
            self.store, self.handlers, settings=Settings.from_env({}), clock=lambda: self.now, monotonic=lambda: 0.0
        )

    def hold(self, job_id: str = "job") -> None:
        """Let a holder claim the job and vanish."""
        job = self.jobs.get(job_id)
        held = job.claim(now=self.now, token="t", lease=HOUR, retention=HOUR)
        assert isinstance(self.store.swap([Change(job, held)])[0], Won)


@pytest.fixture
def world(store: Store, now: datetime) -> World:
    return World(store, now)


@pytest.fixture
def on_file(json_store: JsonStore, now: datetime) -> World:
    return World(json_store, now)


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


def fail_for_good(world: World) -> None:
    world.work = fail
    world.add(max_attempts=1)
    world.tick()


def pause_until_it_is_due(world: World) -> None:
    world.add(after=MINUTE)
    world.jobs.pause("job")
    world.now += HOUR


def hold_a_due_job(world: World) -> None:
    world.add()
    world.hold()


@pytest.mark.parametrize(
    ("before", "ask"),
    [
        pytest.param(lambda world: None, lambda world: world.add(), id="add"),
        pytest.param(lambda world: None, lambda world: world.add(at=world.now - HOUR), id="add-for-the-past"),
        pytest.param(lambda world: world.add(after=HOUR), lambda world: world.jobs.run("job"), id="run"),
        pytest.param(lambda world: world.add(cron="0 7 * * *"), lambda world: world.jobs.run("job"), id="run-cron"),
        pytest.param(
            lambda world: world.add(cron="0 7 * * *") and world.jobs.pause("job"),
            lambda world: world.jobs.run("job"),
            id="run-paused",
        ),
        pytest.param(fail_for_good, lambda world: world.jobs.retry("job"), id="retry"),
        pytest.param(pause_until_it_is_due, lambda world: world.jobs.resume("job"), id="resume"),
        pytest.param(hold_a_due_job, lambda world: world.jobs.release("job"), id="release"),
        pytest.param(
            lambda world: world.add(after=HOUR), lambda world: world.jobs.edit("job", at=world.now), id="edit"
        ),
    ],
)
def test_every_way_to_ask_for_a_job_is_noticed(
    world: World, before: Callable[[World], object], ask: Callable[[World], object]
) -> None:
    """The same for all commands, from any place: the next look finds it, once."""
    before(world)
    asked = world.watch()
    world.now += SECOND
    quiet = asked.has_news()

    ask(world)
    world.now += SECOND
    heard, again = asked.has_news(), asked.has_news()

    assert (quiet, heard, again) == (False, True, False)


@pytest.mark.parametrize("given", [{"after": MINUTE}, {"cron": "1 9 * * *"}], ids=["once", "cron"])
def test_a_scheduled_job_waits_for_the_tick(world: World, given: dict[str, object]) -> None:
    """It falls due between two ticks, as in the cloud; the end of a lease is not a request either."""
    asked = world.watch()
    world.add(**given)
    world.add(id="held")
    asked.has_news()
    world.hold("held")

    looks = []
    for _ in range(5):
        world.now += HOUR / 2
        looks.append(asked.has_news())

    assert looks == [False] * 5


def test_a_job_from_before_the_start_is_not_noticed(on_file: World) -> None:
    """A local run begins with a tick, which runs it: a second tick would be useless."""
    on_file.add()

    assert not on_file.watch().has_news()


@pytest.mark.parametrize("error", [RuntimeError("boom"), Later(timedelta())], ids=["failing", "put-off"])
def test_a_failing_job_does_not_cause_call_after_call(on_file: World, error: Exception) -> None:
    """Its further tries are scheduled: of 60 looks, each with a tick if there is news, one has news."""

    def work(payload: Payload, context: Context) -> None:
        raise error

    on_file.work = work
    asked = on_file.watch()
    on_file.add(max_attempts=100)

    news = 0
    for _ in range(60):
        on_file.now += SECOND
        if asked.has_news():
            news += 1
            on_file.tick()

    assert news == 1


def test_a_job_that_no_tick_can_claim_is_noticed_once(on_file: World) -> None:
    """The call may fail or find the store locked: the next regular tick is the next try."""
    asked = on_file.watch()
    on_file.add()
    looks = []
    for _ in range(5):
        on_file.now += SECOND
        looks.append(asked.has_news())

    assert looks == [True, False, False, False, False]


def test_a_job_is_noticed_each_time_it_is_asked_for(on_file: World) -> None:
    """A later request is new."""
    on_file.add(cron="0 7 * * *")
    asked = on_file.watch()
    looks = []
    for _ in range(3):
        on_file.now += SECOND
        on_file.jobs.run("job")
        looks.append(asked.has_news())
        on_file.tick()

    assert looks == [True] * 3


def test_nothing_is_read_while_the_file_is_unchanged(on_file: World, tmp_path: Path) -> None:
    """A look only checks the file's state; every change is noticed, including its creation."""
    reads: list[timedelta] = []

    class Counting(Jobs):
        def upcoming(self, within: timedelta, *, limit: int) -> list[Job]:
            reads.append(within)
            return [job for job in super().upcoming(within, limit=limit) if isinstance(job, Job)]

    counting = Counting(on_file.store, clock=lambda: on_file.now, handlers=on_file.handlers, retention=HOUR)
    asked = AskedFor(counting, watch_file(tmp_path / "jobs.json"))
    looks = [asked.has_news() for _ in range(10)]
    at_rest = len(reads)

    on_file.add()
    first = asked.has_news()
    on_file.add(id="other")
    second = [asked.has_news() for _ in range(10)]

    assert (looks, at_rest) == ([False] * 10, 1)
    assert (first, second, len(reads)) == (True, [True] + [False] * 9, 3)


def test_a_job_is_noticed_after_a_failed_read(on_file: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the file has not changed since."""
    changes = [True, True]
    asked = AskedFor(on_file.jobs, lambda: bool(changes) and changes.pop())
    on_file.add()
    with monkeypatch.context() as patch:
        patch.setattr(on_file.jobs, "upcoming", unavailable)
        missed = asked.has_news()

    assert (missed, asked.has_news(), asked.has_news()) == (False, True, False)


def unavailable(within: timedelta, *, limit: int) -> list[Job]:
    raise StoreUnavailable


def test_an_unreachable_store_causes_no_call(on_file: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is read again after a change; the watch continues."""
    asked = AskedFor(on_file.jobs, watch_file(tmp_path / "jobs.json"))
    (tmp_path / "jobs.json").write_text("not JSON")
    with pytest.raises(StoreUnavailable):
        on_file.jobs.upcoming(timedelta(), limit=1)

    broken = asked.has_news()
    (tmp_path / "jobs.json").unlink()
    on_file.add()

    assert (broken, asked.has_news()) == (False, True)


# -- the calls ---------------------------------------------------------------------------------------------------------


class Asked(AskedFor):
    """A watch that has news this number of times."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def has_news(self) -> bool:
        self.looks -= 1
        return True


def test_a_long_tick_delays_no_other_call() -> None:
    """Each request has its own call, up to a limit; a call that ends makes room for another."""
    asked, began, let_go = Asked(looks=20), threading.Semaphore(0), threading.Event()

    def call() -> None:
        began.release()
        let_go.wait(PATIENCE)

    waits = iter(range(20))
    call_when_asked(asked, call, lambda seconds: next(waits, None) is None)

    assert all(began.acquire(timeout=PATIENCE) for _ in range(MOST_CALLS))
    assert not began.acquire(blocking=False)
    let_go.set()


def test_a_finished_call_makes_room_for_another() -> None:
    """So the number of calls one after another has no limit."""
    asked, calls = Asked(looks=1_000_000), []

    call_when_asked(asked, lambda: calls.append("called"), lambda seconds: len(calls) > 2 * MOST_CALLS)

    assert len(calls) > 2 * MOST_CALLS
