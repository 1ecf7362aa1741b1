"""A message about a failed job is stored once, whatever the store answers."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared.errors import StoreUnavailable
from shared.handlers import Cancel, Context, Handler, Payload
from shared.model.value import Status
from shared.store.protocol import Change, Outcome, Refused, Unknown
from tests.support.announcing import KEY, SECOND, JobFactory, World, give_up


def test_the_messages_of_many_failures_take_one_call(on_file: World, work: JobFactory) -> None:
    """Sixteen jobs that give up together are reported in one call."""
    on_file.add(*(work(f"job-{number}") for number in range(16)))

    on_file.tick()

    assert len(on_file.notices()) == 16
    assert on_file.calls.count("swap") <= 4  # one to claim, one or two to store how it ended, one to tell


def inserts(changes: Sequence[Change]) -> bool:
    """Return whether a message is among the changes."""
    return any(change.before is None for change in changes)


def test_a_message_without_an_answer_is_stored_again(world: World, work: JobFactory) -> None:
    """The tick waits for the answer and does not end before."""
    tries = []

    def lose_two_answers(changes: Sequence[Change]) -> list[Outcome] | None:
        if not inserts(changes):
            return None
        tries.append(world.now)
        world.now += SECOND
        return [Unknown("no answer")] if len(tries) < 3 else None

    world.answer = lose_two_answers
    world.add(work())

    world.tick()

    assert len(tries) == 3
    assert [notice.id for notice in world.notices()] == [f"{KEY}:failed"]


def test_a_message_that_cannot_be_stored_fails_the_tick(
    on_file: World, work: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The tick ends within its own time, says what was lost, and the failure itself is stored."""

    def lose_every_answer(changes: Sequence[Change]) -> list[Outcome] | None:
        if not inserts(changes):
            return None
        on_file.now += timedelta(seconds=30)
        return [Unknown("no answer")]

    began = on_file.now
    on_file.answer = lose_every_answer
    on_file.add(work())

    with pytest.raises(StoreUnavailable, match="messages about failed jobs could not be stored"):
        on_file.tick()

    assert on_file.now - began <= timedelta(seconds=240)
    assert on_file.job("job").status is Status.FAILED
    lost = [vars(record)["fields"] for record in caplog.records if vars(record)["fields"]["action"] == "notice_lost"]
    assert [fields["job_id"] for fields in lost] == [f"{KEY}:failed"]


def test_a_message_that_was_stored_without_an_answer_is_not_stored_twice(world: World, work: JobFactory) -> None:
    """If the same tick finds it due, it is stored: no call has the same job twice."""
    claims = []

    def lose_an_answer(changes: Sequence[Change]) -> list[Outcome] | None:
        claims.append([change.job_id for change in changes])
        if not inserts(changes) or world.notices():
            return None
        world.store.swap(changes)
        world.now += timedelta(seconds=11)  # the tick looks again, since something is still at work
        return [Unknown("no answer") for _ in changes]

    world.answer = lose_an_answer
    world.run = lambda payload, context: do_or_give_up(world, payload, context)
    world.add(work(), work("slow", payload={"slow": True}, space=None))

    world.tick()

    assert all(len(ids) == len(set(ids)) for ids in claims)
    assert [key.startswith(f"{KEY}:failed@") for key in world.delivered] == [True]
    assert world.job(f"{KEY}:failed").status is Status.COMPLETED


def do_or_give_up(world: World, payload: Payload, context: Context) -> None:
    """Fail for good, or, if the job is slow, succeed once the other job's message is delivered."""
    if not payload.get("slow"):
        raise Cancel("the report is gone")
    while not world.delivered and not context.stop.wait(0.01):
        world.now += timedelta(seconds=0.1)


def test_a_second_failure_is_reported_while_the_first_is_being_delivered(world: World, work: JobFactory) -> None:
    """Each has its own id, and the one being delivered is not changed."""
    world.add(work())
    world.tick()
    world.change("job", lambda job: job.retry(now=world.now))

    def deliver(payload: Payload, context: Context) -> None:
        while world.job("job").status is not Status.FAILED and not context.stop.wait(0.01):
            world.now += timedelta(seconds=0.1)

    run = {"work": give_up, "chat_message": deliver}
    world.tick({name: Handler(job_type=name, run=handler) for name, handler in run.items()})

    assert [(job.id, job.status) for job in world.notices()] == [
        (f"{KEY}:failed", Status.COMPLETED),
        (f"{KEY}:failed:2", Status.PENDING),
    ]


def test_a_failure_at_the_end_of_the_ticks_time_is_reported(on_file: World, work: JobFactory) -> None:
    """The tick has time for only two calls: the result of the job and the message.

    The first call for how it ended takes the tick's time, and has no answer.
    """

    def answer_at_the_end(changes: Sequence[Change]) -> list[Outcome] | None:
        if len(on_file.calls) != 3:
            return None
        on_file.now += timedelta(seconds=180)
        return [Unknown("no answer")]

    on_file.answer = answer_at_the_end
    on_file.add(work())

    on_file.tick()

    assert [notice.id for notice in on_file.notices()] == [f"{KEY}:failed"]
    assert on_file.calls == ["due", "swap", "swap", "swap", "swap"]


def test_a_message_that_the_store_refuses_is_logged(
    on_file: World, work: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The tick continues."""
    on_file.answer = lambda changes: [Refused("too odd")] if inserts(changes) else None
    on_file.add(work())

    on_file.tick()

    (record,) = [record for record in caplog.records if vars(record)["fields"]["action"] == "notice_refused"]
    assert "cannot be stored, so its space gets no message: too odd" in record.getMessage()
