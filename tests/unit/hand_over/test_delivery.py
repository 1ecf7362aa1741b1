"""The delivery of a task runs its job, once and only under its lease."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from shared.errors import NotBegun, StoreUnavailable
from shared.handlers import Context, InvalidPayload, Payload, Snooze
from shared.jobs import Jobs
from shared.model.history import RunOutcome
from shared.model.life import NotPossible
from shared.model.value import Status
from shared.model.wording import why
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Outcome, Won
from tests.support.handing_over import LEASE, MINUTE, SECOND, JobFactory, World


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


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


@pytest.mark.parametrize("late", [LEASE - SECOND / 1000, LEASE, 2 * LEASE])
def test_a_delivery_begins_the_job_however_long_it_waited(waiting: World, late: timedelta) -> None:
    """After the end of its lease, too, if no tick has extended it yet: its task comes only once."""
    waiting.turn(late)

    assert waiting.deliver() == "succeeded"
    assert waiting.job().reclaims == 0


def test_of_a_delivery_and_a_tick_at_the_end_of_the_lease_one_takes_the_job(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read it: a tick that finds the task gone is faster, and the delivery finds another token."""
    (body,) = waiting.tasks.bodies()
    waiting.tasks.tasks.clear()
    waiting.turn(LEASE)
    swap, ticks = JsonStore.swap, [waiting.tick]

    def swap_after_the_tick(store: JsonStore, changes: Sequence[Change]) -> list[Outcome]:
        if ticks:
            ticks.pop()()
        return swap(store, changes)

    monkeypatch.setattr(JsonStore, "swap", swap_after_the_tick)

    assert waiting.deliver(body) == "nothing"
    assert waiting.deliver() == "succeeded"
    assert len(waiting.runs) == 1


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


def extend(world: World) -> None:
    """Extend the lease, as a tick does for a job whose task still waits."""
    job = world.job()
    assert isinstance(world.store.swap([Change(job, job.renew(now=world.now, lease=LEASE))])[0], Won)


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        pytest.param(lambda world: world.jobs().edit("job", payload={"topic": "tea"}), "succeeded", id="edit"),
        pytest.param(extend, "succeeded", id="longer-lease"),
        pytest.param(lambda world: world.jobs().pause("job"), "nothing", id="pause"),
    ],
)
def test_a_change_just_before_it_begins_loses_no_delivery(
    waiting: World, monkeypatch: pytest.MonkeyPatch, first: Callable[[World], object], outcome: str
) -> None:
    """The job still waits for this task, which comes only once; a job that was taken back does not."""
    (body,) = waiting.tasks.bodies()
    swap, changes = JsonStore.swap, [first]

    def swap_after_the_change(store: JsonStore, given: Sequence[Change]) -> list[Outcome]:
        if changes:
            changes.pop()(waiting)
        return swap(store, given)

    monkeypatch.setattr(JsonStore, "swap", swap_after_the_change)

    assert waiting.deliver(body) == outcome
    assert len(waiting.runs) == (outcome == "succeeded")


def test_a_delivery_to_a_process_that_ends_is_an_error(waiting: World, caplog: pytest.LogCaptureFixture) -> None:
    """Cloud Tasks has to deliver again, to another process; nothing has begun."""
    caplog.set_level(logging.INFO, "watchkeeper")
    (body,) = waiting.tasks.bodies()

    waiting.is_stopping = True
    with pytest.raises(NotBegun, match="job was not begun"):
        waiting.deliver(body)
    waiting.is_stopping = False

    assert "Delivery of job job: not begun" in caplog.messages
    assert waiting.deliver(body) == "succeeded"
    assert waiting.job().reclaims == 0


@pytest.mark.parametrize("command", ["run", "retry"])
def test_a_job_that_waits_in_its_queue_cannot_be_run_by_hand(waiting: World, command: str) -> None:
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


def test_an_unreachable_store_is_an_error(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cloud Tasks has to deliver again: then the job can start."""
    (body,) = waiting.tasks.bodies()
    with monkeypatch.context() as patch:
        patch.setattr(JsonStore, "get", lambda *_: (_ for _ in ()).throw(StoreUnavailable("away")))
        with pytest.raises(StoreUnavailable):
            waiting.deliver(body)

    assert waiting.deliver(body) == "succeeded"


def test_a_run_whose_process_dies_is_handed_over_again(waiting: World, now: datetime) -> None:
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
