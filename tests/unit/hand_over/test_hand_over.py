"""A tick hands a job over to a queue, and what follows if the task is refused, lost or late."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.handlers import Context, Payload
from shared.model.history import Result
from shared.model.job import Job
from shared.model.life import MAX_RECLAIMS
from shared.model.value import Status
from shared.running.running_job import RunningJob
from shared.running.tasks import TaskState
from shared.running.tick import check_limits, where_it_runs
from shared.running.workers import Workers
from shared.settings import Settings
from shared.store.documents import Unreadable
from tests.support.handing_over import LEASE, MINUTE, QUEUE, QUEUES, JobFactory, World, turning


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


def test_a_repeated_hand_over_finds_its_own_task(world: World, job_factory: JobFactory) -> None:
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
def test_a_hand_over_without_an_answer_is_left_to_its_lease(
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


def test_a_task_that_waits_when_the_lease_ends_is_not_created_again(waiting: World) -> None:
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


def test_a_missing_task_is_created_again(waiting: World) -> None:
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


def test_a_job_that_cannot_be_claimed_again_is_quarantined(
    waiting: World, job_factory: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is quarantined, and the other jobs run."""
    waiting.tasks.tasks.clear()
    waiting.turn(LEASE)
    waiting.add(job_factory("other"))
    monkeypatch.setattr(Job, "reclaim", lambda *_, **__: 1 / 0)

    assert waiting.tick().jobs_succeeded == 1
    assert isinstance(waiting.store.get(["job"])["job"], Unreadable)


def test_a_look_up_without_an_answer_is_repeated(waiting: World) -> None:
    """The lease is extended until Cloud Tasks can be reached."""
    waiting.turn(LEASE)
    waiting.tasks.answers = [(503, "later")]
    waiting.tick()
    waiting.turn(LEASE)
    waiting.tick()

    assert waiting.job().reclaims == 0
    assert waiting.deliver() == "succeeded"


def test_a_waiting_job_keeps_its_place_when_the_tick_ends_before_it_asks(
    world: World, job_factory: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task still waits, so it is not taken out of the queue; the next tick asks after another lease."""
    find, asked, is_over = world.tasks.find, [], threading.Event()

    def find_slowly(job: Job) -> TaskState:
        asked.append(job.id)
        if len(asked) == 2:
            world.turn(MINUTE)
            assert is_over.wait(10)
        return find(job)

    withdraw = Workers.withdraw

    def withdraw_and_go_on(self: Workers) -> list[RunningJob]:
        withdrawn = withdraw(self)
        is_over.set()
        return withdrawn

    world.env["SCHEDULER_CONCURRENCY"] = "1"
    world.add(*(job_factory(f"job-{n}", job_type="research") for n in range(3)))
    world.tick()
    tokens = [body["token"] for body in world.tasks.bodies()]
    world.turn(LEASE)
    monkeypatch.setattr(world.tasks, "find", find_slowly)
    monkeypatch.setattr(Workers, "withdraw", withdraw_and_go_on)

    report = world.tick()

    assert (asked, report.truncated) == (["job-0", "job-1"], True)
    assert [world.job(f"job-{n}").queue for n in range(3)] == ["agents"] * 3
    assert [world.job(f"job-{n}").lease_token for n in range(3)] == tokens


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

    def hang(job: Job) -> TaskState:
        assert let_go.wait(10)
        return TaskState.WAITING

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


def test_a_result_ends_the_wait_in_the_queue(job_factory: JobFactory, now: datetime) -> None:
    """A refused hand-over is finished like a run, and the job has no field of the queue left."""
    claimed = job_factory(cron="0 9 * * *").claim(now=now, token="t", lease=LEASE, retention=LEASE, queue="agents")
    refused = Result(started_at=now, ended_at=now, by="schedule", error="refused", later=MINUTE)
    failed = Result(started_at=now, ended_at=now, by="schedule", error="refused", final=True)

    assert claimed.queue == "agents"
    assert claimed.finish(refused, retention=LEASE).queue is None
    assert claimed.finish(failed, retention=LEASE).queue is None
    assert claimed.give_back(now=now).queue is None
