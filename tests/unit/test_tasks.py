"""Hand-over and delivery over HTTP: a tick, the fake of Cloud Tasks with its faults, and a worker that runs jobs."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.handlers import Context, Handler, Payload
from shared.model.job import Job
from shared.model.value import Status
from shared.running.delivery import run_delivered
from shared.running.tasks import TaskRefused, Tasks, TaskState
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from shared.web import google_credentials
from tests.support.running import until
from tests.support.servers import Exchange, HttpServer, reply
from watchkeeper.fakes.cloud_tasks import CloudTasks
from watchkeeper.fakes.google_oauth import GoogleOAuth
from watchkeeper.fakes.task_queue import RateLimits, RetryConfig, TaskQueue

QUEUE = "projects/watchkeeper-local/locations/local/queues/watchkeeper-agents"
CALLER = "watchkeeper-tasks@watchkeeper-local.iam.gserviceaccount.com"
CREATE, FIND = "POST /v2", "GET /v2"
LEASE = timedelta(minutes=5)
BACKOFF = timedelta(minutes=2)  # longer than the first, with its jitter
PATIENCE = 10  # seconds for what another thread is to do


class World:
    """A store in a file, the fake with one queue, a worker that it calls, and a clock that is set by hand."""

    def __init__(self, folder: Path, oauth: GoogleOAuth, worker: HttpServer) -> None:
        # The libraries look at the real time, so it is that at first.
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.store = JsonStore(folder / "jobs.json", self.clock)
        self.runs: Counter[str] = Counter()
        self.at_work = self.most_at_work = 0
        self.fake = CloudTasks(oauth, clock=self.clock)
        self.fake.add_queue(QUEUE, RateLimits(max_concurrent=2), RetryConfig(min_backoff=timedelta(seconds=1)))
        self.worker = worker
        worker.answers["/"] = self._deliver
        self.settings = Settings.from_env(
            {
                "TASK_QUEUES": f"agents={QUEUE}",
                "RUN_JOB_URL": worker.url("/"),
                "RUN_JOB_CALLER": CALLER,
                "TASKS_API_ENDPOINT": self.fake.url,
                "CALL_TIMEOUT_SECONDS": "1800",
            }
        )
        self.tasks = Tasks(self.settings.queues)
        self.handlers = {"work": Handler(job_type="work", run=self._work, queue="agents")}
        self._lock = threading.Lock()

    def clock(self) -> datetime:
        return self.now

    @property
    def queue(self) -> TaskQueue:
        return self.fake.queues[QUEUE]

    def add(self, job_id: str = "job") -> Job:
        self.store.swap([Change(None, Job.create(job_id, "work", now=self.now))])
        return self.job(job_id)

    def job(self, job_id: str = "job") -> Job:
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def hold(self) -> Job:
        """Return a job that has to be handed over."""
        job = self.add()
        return job.claim(now=self.now, token="s3cret", lease=LEASE, retention=LEASE, queue="agents")

    def tick(self) -> None:
        run_tick(self.store, self.handlers, settings=self.settings, clock=self.clock, monotonic=time.monotonic)

    def pass_time(self, length: timedelta) -> None:
        self.now += length
        self.fake.wake()

    def wait_until_idle(self) -> None:
        """Wait until the faults have occurred and the worker has answered everything."""
        until(lambda: not self.fake.has_faults and not self.fake.is_calling, PATIENCE)

    def _work(self, payload: Payload, context: Context) -> None:
        with self._lock:
            self.runs[context.execution_key] += 1
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        context.stop.wait(0.01)
        with self._lock:
            self.at_work -= 1

    def _deliver(self, exchange: Exchange) -> None:
        body = json.loads(exchange.request.body)
        run_delivered(
            self.store,
            self.handlers,
            body["job"],
            body["token"],
            settings=self.settings,
            clock=self.clock,
            monotonic=time.monotonic,
        )
        reply()(exchange)


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleOAuth]:
    """Google's tokens, with a key where the library looks for it."""
    path = tmp_path_factory.mktemp("google") / "key.json"
    with GoogleOAuth() as oauth, pytest.MonkeyPatch.context() as patch:
        oauth.write_key_file(path)
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        google_credentials._known.clear()
        yield oauth
        google_credentials._known.clear()


@pytest.fixture
def world(oauth: GoogleOAuth, tmp_path: Path) -> Iterator[World]:
    with HttpServer() as worker:
        world = World(tmp_path, oauth, worker)
        with world.fake:
            yield world


@pytest.fixture
def paused(world: World) -> World:
    """The world with its queue paused, so that tasks wait."""
    world.queue.is_paused = True
    return world


# -- What is asked of Cloud Tasks --------------------------------------------------------------------------------------


def test_a_task_holds_the_id_and_the_token_and_is_named_after_neither(paused: World) -> None:
    """The name is a hash, so a log with it gives no access; the deadline is the longest possible."""
    created = paused.tasks.create(paused.hold())

    (task,) = paused.queue.tasks.values()
    assert created is TaskState.WAITING
    assert json.loads(task.body) == {"job": "job", "token": "s3cret"}
    assert "s3cret" not in f"{task.id} {task.url} {dict(task.headers)}"
    assert (task.account, task.audience, task.deadline) == (CALLER, paused.worker.url("/"), timedelta(minutes=30))


def test_a_repeated_hand_over_creates_one_task(paused: World) -> None:
    """Its answer was lost; both ways to ask then say that it waits."""
    job = paused.hold()
    paused.fake.fail("applied-but-cut", path=CREATE)

    asked = [paused.tasks.create(job), paused.tasks.find(job), paused.tasks.create(job)]

    assert asked == [TaskState.UNKNOWN, TaskState.WAITING, TaskState.WAITING]
    assert len(paused.queue.tasks) == 1


def test_a_deleted_task_is_gone(paused: World) -> None:
    """A second deletion is not an error, and a task that never existed is gone, too."""
    job = paused.hold()
    never = paused.tasks.find(job)
    paused.tasks.create(job)

    for _ in range(2):
        paused.tasks.delete(job)

    assert (never, paused.tasks.find(job)) == (TaskState.GONE, TaskState.GONE)
    assert paused.queue.tasks == {}


@pytest.mark.parametrize("fault", ["forbidden", "no-queue", "rate-limit"])
def test_what_cloud_tasks_refuses_was_not_handed_over(paused: World, fault: str) -> None:
    """The error has the status and the text."""
    paused.fake.fail(fault, path=CREATE)

    with pytest.raises(TaskRefused, match=r"Cloud Tasks said 4\d\d [A-Z]"):
        paused.tasks.create(paused.hold())


@pytest.mark.parametrize("fault", ["unavailable", "internal", "cut"])
def test_a_call_without_an_answer_is_unknown(paused: World, fault: str) -> None:
    """The lease decides then."""
    job = paused.hold()
    paused.fake.fail(fault, path=CREATE)
    paused.fake.fail(fault, path=FIND)

    assert (paused.tasks.create(job), paused.tasks.find(job)) == (TaskState.UNKNOWN, TaskState.UNKNOWN)


def test_a_token_that_is_refused_is_replaced_once(paused: World) -> None:
    """As after a revocation; the second request carries another one."""
    paused.fake.fail("unauthorized", path=CREATE)

    created = paused.tasks.create(paused.hold())

    assert created is TaskState.WAITING
    assert len({request.bearer_token() for request in paused.fake.requests}) == 2


# -- From the tick to the worker and back ------------------------------------------------------------------------------


def after(length: timedelta) -> Callable[[World], None]:
    """Let this much time pass, and tick."""

    def go_on(world: World) -> None:
        world.wait_until_idle()
        world.pass_time(length)
        world.tick()

    return go_on


def delivered_after_the_lease(world: World) -> None:
    """Let the lease end before the task is delivered, and no tick come before that."""
    world.wait_until_idle()
    world.pass_time(2 * LEASE)
    until(lambda: not world.queue.tasks, PATIENCE)
    world.tick()


@pytest.mark.parametrize(
    ("fault", "path", "go_on", "reclaims"),
    [
        pytest.param("", "", lambda world: None, 0, id="none"),
        pytest.param("deliver-twice", "", lambda world: None, 0, id="twice"),
        pytest.param("deliver-late", "", after(timedelta(seconds=5)), 0, id="late"),
        pytest.param("deliver-late", "", delivered_after_the_lease, 0, id="after-the-lease"),
        pytest.param("deliver-never", "", after(LEASE), 1, id="lost"),
        pytest.param("deadline", "", after(timedelta(seconds=1)), 0, id="deadline"),
        pytest.param("applied-but-cut", CREATE, lambda world: None, 0, id="create-answer-lost"),
        pytest.param("unavailable", CREATE, after(LEASE), 1, id="create-unavailable"),
        pytest.param("cut", CREATE, after(LEASE), 1, id="create-cut"),
        pytest.param("forbidden", CREATE, after(BACKOFF), 0, id="create-forbidden"),
        pytest.param("rate-limit", CREATE, after(BACKOFF), 0, id="create-too-often"),
    ],
)
def test_a_job_runs_once_whatever_happens_to_its_task(
    world: World, fault: str, path: str, go_on: Callable[[World], None], reclaims: int
) -> None:
    """With the same key and one success; only a lost task counts as a dead holder."""
    if fault:
        world.fake.fail(fault, path=path)
    world.add()
    world.tick()

    go_on(world)
    until(lambda: world.job().status is Status.COMPLETED, PATIENCE)
    world.wait_until_idle()
    world.pass_time(2 * LEASE)
    world.tick()
    until(lambda: not world.queue.tasks, PATIENCE)

    assert [*world.runs.values()] == [1]
    assert world.job().reclaims == reclaims


def test_a_backlog_longer_than_its_leases_has_one_task_a_job(paused: World) -> None:
    """Ticks ask for waiting tasks and extend their leases; no holder dies, and in the end all have run once."""
    for number in range(5):
        paused.add(f"job-{number}")
    paused.tick()
    names = set(paused.queue.tasks)

    for _ in range(3):
        paused.pass_time(LEASE)
        paused.tick()
    waiting = set(paused.queue.tasks)
    paused.queue.is_paused = False
    paused.fake.wake()
    until(lambda: not paused.queue.tasks, PATIENCE)

    jobs = [paused.job(f"job-{number}") for number in range(5)]
    assert (len(names), waiting) == (5, names)
    assert {(job.status, job.reclaims) for job in jobs} == {(Status.COMPLETED, 0)}
    assert sorted(paused.runs.values()) == [1] * 5


@pytest.mark.slow
def test_a_queue_of_two_never_has_three_at_work(world: World) -> None:
    """Forty jobs are handed over by one tick, and all run, two at a time."""
    for number in range(40):
        world.add(f"job-{number:02}")
    world.tick()
    until(lambda: not world.queue.tasks, PATIENCE)

    assert sorted(world.runs.values()) == [1] * 40
    assert world.most_at_work <= 2


def test_a_job_that_was_cancelled_is_delivered_and_does_not_run(paused: World) -> None:
    """Its task could not be deleted, and does nothing."""
    paused.add()
    paused.tick()
    job = paused.job()
    paused.store.swap([Change(job, job.cancel(now=paused.now, retention=LEASE))])

    paused.queue.is_paused = False
    paused.fake.wake()
    until(lambda: not paused.queue.tasks, PATIENCE)

    assert len(paused.worker.received) == 1
    assert paused.runs == {}
