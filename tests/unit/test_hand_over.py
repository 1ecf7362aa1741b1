"""Jobs that a tick hands over to a queue, and their delivery, over a store in a file.

Cloud Tasks is played by a list here; how it is spoken to over HTTP is tested with a fake that is a server.
"""

import base64
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.handlers import Context, Handler, InvalidPayload, Payload, Snooze
from shared.jobs import Jobs
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.model.life import MAX_RECLAIMS, NotPossible
from shared.model.value import Status
from shared.model.wording import why
from shared.running.delivery import run_delivered
from shared.running.report import TickReport
from shared.running.tasks import Tasks, Waiting
from shared.running.tick import check_limits, run_tick, where_it_runs
from shared.settings import Settings, TaskQueues
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Store, Won

LEASE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
QUEUE = "projects/p/locations/l/queues/watchkeeper-agents"
QUEUES = TaskQueues(names=(("agents", QUEUE),), worker_url="https://run.example/job", caller="tasks@p.example")
JobFactory = Callable[..., Job]


class ListedTasks(Tasks):
    """Tasks in a list. The next calls return `answers` instead of doing their work."""

    def __init__(self) -> None:
        super().__init__(QUEUES)
        self.tasks: dict[str, Any] = {}
        self.made: list[str] = []
        self.asked = 0
        self.answers: list[tuple[int, str]] = []
        self.is_deaf = False  # what is answered next was done all the same

    def _call(self, method: str, resource: str, body: object = None) -> tuple[int, str]:
        answer = self.answers.pop(0) if self.answers else None
        if answer is None or self.is_deaf:
            done = self._do(method, resource, body)
        return done if answer is None else answer

    def _do(self, method: str, resource: str, body: Any) -> tuple[int, str]:
        if method == "POST":
            task = body["task"]
            if task["name"] in self.made:
                return 409, "it exists"
            self.made.append(task["name"])
            self.tasks[task["name"]] = task
            return 200, ""
        self.asked += method == "GET"
        if resource not in self.tasks:
            return 404, "there is none"
        if method == "DELETE":
            del self.tasks[resource]
        return 200, ""

    def bodies(self) -> list[dict[str, str]]:
        """Return the bodies of the waiting tasks."""
        return [json.loads(base64.b64decode(task["httpRequest"]["body"])) for task in self.tasks.values()]


@dataclass
class World:
    """A store, a clock, a queue, and ticks and deliveries over them."""

    store: Store
    now: datetime
    tasks: ListedTasks = field(default_factory=ListedTasks)
    handlers: dict[str, Handler] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)  # processes that ended
    elapsed: timedelta = timedelta()
    env: dict[str, str] = field(
        default_factory=lambda: {
            "TASK_QUEUES": f"agents={QUEUE}",
            "RUN_JOB_URL": QUEUES.worker_url,
            "RUN_JOB_CALLER": QUEUES.caller,
            "CALL_TIMEOUT_SECONDS": "1800",
        }
    )

    def clock(self) -> datetime:
        return self.now

    def turn(self, by: timedelta) -> None:
        self.now += by
        self.elapsed += by

    def on(self, job_type: str, run: Callable[[Payload, Context], object], **options: Any) -> None:
        """Register a handler; `runs` records each run by its execution key."""

        def recorded(payload: Payload, context: Context) -> object:
            self.runs.append(context.execution_key)
            return run(payload, context)

        self.handlers[job_type] = Handler(job_type=job_type, run=recorded, **options)

    def add(self, *jobs: Job) -> None:
        assert all(isinstance(outcome, Won) for outcome in self.store.swap([Change(None, job) for job in jobs]))

    def job(self, job_id: str = "job") -> Job:
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def jobs(self) -> Jobs:
        return Jobs(self.store, clock=self.clock, handlers={}, retention=MINUTE, queues=QUEUES)

    def tick(self) -> TickReport:
        return run_tick(
            self.store,
            self.handlers,
            settings=Settings.from_env(self.env),
            clock=self.clock,
            monotonic=lambda: self.elapsed.total_seconds(),
            tasks=self.tasks,
            end_process=lambda: self.ended.append("tick"),
        )

    def deliver(self, body: dict[str, str] | None = None) -> str:
        """Deliver this task, or the one that waits."""
        (body,) = [body] if body else self.tasks.bodies()
        return run_delivered(
            self.store,
            self.handlers,
            body["job"],
            body["token"],
            settings=Settings.from_env(self.env),
            clock=self.clock,
            monotonic=lambda: self.elapsed.total_seconds(),
            end_process=lambda: self.ended.append("run_job"),
        ).outcome


def do_nothing(payload: Payload, context: Context) -> None:
    """Succeed."""


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


@pytest.fixture
def world(json_store: JsonStore, now: datetime) -> World:
    """A world with a handler `research`, which runs outside the tick, and `log`, which does not."""
    world = World(json_store, now)
    world.on("research", do_nothing, queue="agents", timeout=20 * MINUTE)
    world.on("log", do_nothing)
    return world


@pytest.fixture
def waiting(world: World, job_factory: JobFactory) -> World:
    """A world whose job was handed over and waits in its queue."""
    world.add(job_factory(job_type="research", by="ada"))
    world.tick()
    return world


# -- the hand-over -----------------------------------------------------------------------------------------------------


def test_a_job_with_a_queue_is_handed_over(world: World, job_factory: JobFactory, now: datetime) -> None:
    """It has a lease and waits; the task has the caller, the address and the token, and nothing else of the job."""
    world.add(job_factory(job_type="research"), job_factory("other"))

    report = world.tick()

    assert world.runs == ["other@2026-11-21T09:00:00Z"]
    assert (report.jobs_handed_over, report.jobs_succeeded) == (1, 1)
    job = world.job()
    assert (job.status, job.queue, job.started_at) == (Status.RUNNING, "agents", None)
    assert job.ready_at == job.lease_until == now + LEASE
    (name,) = world.tasks.tasks
    request = world.tasks.tasks[name]["httpRequest"]
    assert name.startswith(f"{QUEUE}/tasks/")
    assert str(job.lease_token) not in name
    assert (request["url"], request["httpMethod"]) == (QUEUES.worker_url, "POST")
    assert request["oidcToken"] == {"serviceAccountEmail": QUEUES.caller, "audience": QUEUES.worker_url}
    assert world.tasks.bodies() == [{"job": "job", "token": job.lease_token}]


def test_an_earlier_try_that_was_not_heard_has_handed_over(world: World, job_factory: JobFactory) -> None:
    """The task of this very lease has the name (409)."""
    world.tasks.answers = [(409, "it exists")]
    world.tasks.is_deaf = True
    world.add(job_factory(job_type="research"))

    assert world.tick().jobs_handed_over == 1
    assert world.deliver() == "succeeded"


@pytest.mark.parametrize("status", [400, 403, 404, 429])
def test_a_task_that_is_refused_gives_the_job_back(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """It is tried again in a minute, with the reason in its history and without using an attempt."""
    world.tasks.answers = [(status, "no such thing")]
    world.add(job_factory(job_type="research"))

    report = world.tick()

    job = world.job()
    assert (report.jobs_handed_over, report.jobs_not_handed_over, report.jobs_retried) == (0, 1, 0)
    assert (job.status, job.attempts, job.reclaims, job.handed_over) == (Status.PENDING, 0, 0, None)
    assert job.ready_at == now + MINUTE
    assert job.error == f"could not be handed over: Cloud Tasks said {status} no such thing"
    assert "task_refused" in [record.__dict__.get("fields", {}).get("action") for record in caplog.records]
    world.turn(MINUTE)
    assert world.tick().jobs_handed_over == 1


@pytest.mark.parametrize("is_made", [True, False])
def test_a_hand_over_that_was_not_heard_is_left_to_its_lease(
    world: World, job_factory: JobFactory, is_made: bool
) -> None:
    """If the task exists it runs the job; if not, that is found when the lease ends."""
    world.tasks.answers, world.tasks.is_deaf = [(0, "no response")], is_made
    world.add(job_factory(job_type="research"))

    report = world.tick()

    assert (report.jobs_handed_over, report.jobs_lost) == (0, 0)
    if not is_made:
        world.turn(LEASE)
        assert world.tick().jobs_handed_over == 1
    assert world.deliver() == "succeeded"
    assert world.job().reclaims == (not is_made)


def test_a_task_that_waits_when_the_lease_ends_is_not_made_again(waiting: World) -> None:
    """A backlog of three leases: one task, no death, one run under the same key."""
    body = waiting.tasks.bodies()

    for _ in range(3):
        waiting.turn(LEASE)
        report = waiting.tick()
        assert (report.jobs_recovered, report.jobs_handed_over, report.jobs_lost) == (0, 0, 0)

    assert len(waiting.tasks.made) == 1
    assert waiting.tasks.asked == 3
    assert waiting.tasks.bodies() == body
    assert waiting.job().reclaims == 0
    assert waiting.deliver() == "succeeded"
    assert waiting.runs == ["job@2026-11-21T09:00:00Z"]


def test_a_task_that_is_gone_is_made_anew(waiting: World) -> None:
    """With a new token and name; the lost one counts as a death, and a late delivery of it does nothing."""
    (former,) = waiting.tasks.bodies()
    waiting.tasks.tasks.clear()
    waiting.turn(LEASE)

    report = waiting.tick()

    assert (report.jobs_handed_over, report.jobs_recovered) == (1, 0)
    job = waiting.job()
    assert job.reclaims == 1
    assert job.recent_runs[-1].error == "its task was lost before it began"
    assert len(set(waiting.tasks.made)) == 2
    assert waiting.deliver(former) == "nothing"
    assert waiting.deliver() == "succeeded"


def test_a_job_whose_tasks_are_lost_again_and_again_is_given_up(waiting: World) -> None:
    """After five, as with dead holders."""
    for _ in range(MAX_RECLAIMS):
        waiting.tasks.tasks.clear()
        waiting.turn(LEASE)
        waiting.tick()

    job = waiting.job()
    assert (job.status, job.error) == (Status.FAILED, "given up: 5 holders died")
    assert job.handed_over is None


def test_a_job_that_cannot_be_claimed_anew_stops_nothing(
    waiting: World, job_factory: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is quarantined, and the other jobs run."""
    waiting.tasks.tasks.clear()
    waiting.turn(LEASE)
    waiting.add(job_factory("other"))
    monkeypatch.setattr(Job, "reclaim", lambda *_, **__: 1 / 0)

    assert waiting.tick().jobs_succeeded == 1
    assert isinstance(waiting.store.get(["job"])["job"], Unreadable)


def test_a_question_that_is_not_answered_is_asked_again(waiting: World) -> None:
    """The lease is extended until Cloud Tasks can be reached."""
    waiting.turn(LEASE)
    waiting.tasks.answers = [(503, "later")]
    waiting.tick()
    waiting.turn(LEASE)
    waiting.tick()

    assert waiting.job().reclaims == 0
    assert waiting.deliver() == "succeeded"


def test_without_its_queue_a_job_runs_in_the_tick(world: World, job_factory: JobFactory) -> None:
    """Within the tick's limit, which is logged; so does one that waited in the queue."""
    limits: list[timedelta] = []
    world.on("research", lambda _, context: limits.append(context.deadline - context.started_at), queue="agents")
    world.add(job_factory(job_type="research", by="ada"))
    world.tick()
    former = world.tasks.bodies()[0]
    del world.env["TASK_QUEUES"]
    world.handlers["research"] = replace(world.handlers["research"], timeout=29 * MINUTE)
    world.env["CALL_TIMEOUT_SECONDS"] = "180"
    world.turn(LEASE)

    report = world.tick()

    assert report.jobs_succeeded == 1
    assert world.job().reclaims == 0
    assert limits == [timedelta(seconds=120)]
    assert world.deliver(former) == "nothing"
    settings = Settings.from_env(world.env)
    check_limits(settings, world.handlers)
    says = "in the tick, for 120 s at most, since TASK_QUEUES does not name queue agents"
    assert where_it_runs(settings, world.handlers["research"]) == says


def test_a_hand_over_that_hangs_is_left_to_its_lease(
    world: World, job_factory: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is abandoned, so the process can end; its late result changes nothing."""
    let_go = threading.Event()

    def hang(job: Job) -> Waiting:
        assert let_go.wait(10)
        return Waiting.YES

    def end(payload: Payload, context: Context) -> None:
        until = world.now + 2 * MINUTE
        while world.now < until:
            context.stop.wait(0.001)
        let_go.set()
        context.stop.wait(0.05)

    monkeypatch.setattr(world.tasks, "create", hang)
    world.on("log", end, timeout=10 * MINUTE)
    world.add(job_factory(job_type="research"), job_factory("other"))
    turning(world, monkeypatch)

    report = world.tick()

    assert (report.jobs_handed_over, report.jobs_lost, report.jobs_succeeded) == (0, 0, 1)
    assert world.job().queue == "agents"
    assert world.ended == ["tick"]


# -- the delivery ------------------------------------------------------------------------------------------------------


def test_a_delivery_runs_the_job(waiting: World, now: datetime) -> None:
    """The history has its start and its requester; the token changes."""
    (body,) = waiting.tasks.bodies()
    waiting.turn(SECOND)

    assert waiting.deliver() == "succeeded"

    job = waiting.job()
    assert job.status is Status.COMPLETED
    assert job.lease_token != body["token"]
    (run,) = job.recent_runs
    assert (run.started_at, run.by, run.outcome) == (now + SECOND, "schedule", RunOutcome.COMPLETED)


def test_who_asked_for_an_extra_run_is_kept_in_the_queue(world: World, job_factory: JobFactory) -> None:
    """As if it had run in the tick."""
    world.add(job_factory(job_type="research", cron="0 9 * * *"))
    world.turn(MINUTE)
    world.jobs().run("job", by="ada")
    world.tick()

    assert world.deliver() == "succeeded"
    assert world.job().recent_runs[-1].by == "ada"


@pytest.mark.parametrize(
    ("run", "outcome", "attempts"),
    [
        pytest.param(fail, "retried", 1, id="failed"),
        pytest.param(lambda *_: (_ for _ in ()).throw(Snooze(MINUTE)), "retried", 0, id="snoozed"),
        pytest.param(lambda *_: (_ for _ in ()).throw(InvalidPayload("odd")), "failed", 1, id="refused"),
    ],
)
def test_a_failure_is_decided_by_the_job(
    waiting: World, run: Callable[[Payload, Context], object], outcome: str, attempts: int
) -> None:
    """The task is done: the job's own backoff repeats a failed run, never Cloud Tasks."""
    waiting.on("research", run, queue="agents")

    assert waiting.deliver() == outcome
    assert waiting.job().attempts == attempts
    assert waiting.job().handed_over is None


def test_a_second_delivery_does_nothing(waiting: World) -> None:
    """The first one replaced its token."""
    (body,) = waiting.tasks.bodies()

    assert [waiting.deliver(body) for _ in range(3)] == ["succeeded", "nothing", "nothing"]
    assert len(waiting.runs) == 1


def test_eight_deliveries_at_once_make_one_run(waiting: World) -> None:
    """All have read the same job before the first starts it."""
    (body,) = waiting.tasks.bodies()
    start = threading.Barrier(8)

    def deliver(_: int) -> str:
        start.wait(10)
        return waiting.deliver(body)

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(deliver, range(8)))

    assert sorted(outcomes) == ["nothing"] * 7 + ["succeeded"]
    assert len(waiting.runs) == 1


@pytest.mark.parametrize(
    ("late", "outcome"), [(LEASE - SECOND / 1000, "succeeded"), (LEASE, "nothing"), (2 * LEASE, "nothing")]
)
def test_a_delivery_begins_only_under_the_lease(waiting: World, late: timedelta, outcome: str) -> None:
    """After the lease a tick may have claimed the job again."""
    waiting.turn(late)

    assert waiting.deliver() == outcome


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(lambda jobs: jobs.pause("job"), id="pause"),
        pytest.param(lambda jobs: jobs.cancel("job"), id="cancel"),
        pytest.param(lambda jobs: jobs.release("job"), id="release"),
        pytest.param(lambda jobs: jobs.delete("job"), id="delete"),
        pytest.param(lambda jobs: jobs.edit("job", cron="0 9 * * *"), id="new-time"),
        pytest.param(lambda jobs: [jobs.pause("job"), jobs.resume("job")], id="pause-and-resume"),
    ],
)
def test_a_job_that_was_taken_back_is_not_begun(
    waiting: World, monkeypatch: pytest.MonkeyPatch, command: Callable[[Jobs], object]
) -> None:
    """A person's command takes it out of its queue and deletes its task, or at least makes the task useless."""
    (body,) = waiting.tasks.bodies()
    monkeypatch.setattr("shared.running.tasks.Tasks._call", lambda self, *call: waiting.tasks._call(*call))

    command(waiting.jobs())

    assert waiting.tasks.tasks == {}
    assert waiting.deliver(body) == "nothing"
    assert waiting.runs == []


def test_a_command_succeeds_when_cloud_tasks_cannot_be_reached(
    waiting: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The task stays, which is logged, and will do nothing."""
    monkeypatch.setattr("shared.running.tasks.Tasks._call", lambda self, *call: (0, "no response (X)"))

    waiting.jobs().cancel("job")

    assert waiting.job().status is Status.CANCELLED
    assert "its deletion is uncertain: no response (X)" in caplog.text
    assert waiting.deliver() == "nothing"


def test_an_edit_before_it_begins_counts(waiting: World) -> None:
    """A task has no copy of the job, so the stored one runs."""
    seen: list[Payload] = []
    waiting.on("research", lambda payload, _: seen.append(payload), queue="agents")
    waiting.jobs().edit("job", payload={"topic": "tea"})

    assert waiting.deliver() == "succeeded"
    assert seen == [{"topic": "tea"}]


@pytest.mark.parametrize("command", ["run", "retry"])
def test_a_job_that_waits_cannot_be_run_beside_that(waiting: World, command: str) -> None:
    """The refusal has the queue and the remedy."""
    with pytest.raises(NotPossible, match=r"has been waiting in queue agents since .*or `release` it to"):
        getattr(waiting.jobs(), command)("job")


def test_why_says_that_it_waits(waiting: World, now: datetime) -> None:
    """And since when."""
    says = "It was handed over, and has been waiting in queue agents since Sat 21 Nov 2026, 09:00."

    assert why(waiting.job(), now, "UTC") == says


def test_a_paused_job_that_is_run_once_stays_paused(world: World, job_factory: JobFactory) -> None:
    """Outside the tick, too."""
    world.add(job_factory(job_type="research", cron="0 9 * * *", at=world.now + MINUTE))
    world.jobs().pause("job")
    world.jobs().run("job")
    world.tick()

    assert world.deliver() == "succeeded"
    assert world.job().status is Status.PAUSED


def test_a_store_that_cannot_be_asked_is_an_error(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cloud Tasks has to deliver again: then the job can start."""
    (body,) = waiting.tasks.bodies()
    with monkeypatch.context() as patch:
        patch.setattr(JsonStore, "get", lambda *_: (_ for _ in ()).throw(StoreUnavailable("away")))
        with pytest.raises(StoreUnavailable):
            waiting.deliver(body)

    assert waiting.deliver(body) == "succeeded"


def test_a_run_whose_process_dies_is_handed_over_anew(waiting: World, now: datetime) -> None:
    """With the same execution key, a new token and a new task; it counts as a death."""
    (body,) = waiting.tasks.bodies()
    dead = waiting.job().begin(now=now, token="of the process that died", lease=LEASE)
    waiting.store.swap([Change(waiting.job(), dead)])
    waiting.tasks.tasks.clear()
    waiting.turn(LEASE)

    report = waiting.tick()

    assert (report.jobs_recovered, report.jobs_handed_over) == (1, 1)
    assert waiting.deliver(body) == "nothing"
    assert waiting.deliver() == "succeeded"
    assert waiting.runs == ["job@2026-11-21T09:00:00Z"]
    assert waiting.job().recent_runs[0].outcome is RunOutcome.DIED


# -- nothing overlaps itself -------------------------------------------------------------------------------------------


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


def turning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second pass whenever the threads' results are read."""
    monkeypatch.setattr("shared.running.runner.POLL_SECONDS", 0.001)
    clock = World.clock

    def turned(self: World) -> datetime:
        self.turn(SECOND)
        return clock(self)

    monkeypatch.setattr(World, "clock", turned)


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


# -- concurrency keys --------------------------------------------------------------------------------------------------


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


# -- the value ---------------------------------------------------------------------------------------------------------


def test_a_result_ends_the_wait_in_the_queue(job_factory: JobFactory, now: datetime) -> None:
    """A refused hand-over is finished like a run, and the job has no field of the queue left."""
    claimed = job_factory(cron="0 9 * * *").claim(now=now, token="t", lease=LEASE, retention=LEASE, queue="agents")
    refused = Result(started_at=now, ended_at=now, by="schedule", error="refused", later=MINUTE)
    failed = Result(started_at=now, ended_at=now, by="schedule", error="refused", final=True)

    assert claimed.queue == "agents"
    assert claimed.finish(refused, retention=LEASE).queue is None
    assert claimed.finish(failed, retention=LEASE).queue is None
    assert claimed.give_back(now=now).queue is None
