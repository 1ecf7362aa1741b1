"""Which failures are reported to the space of a job, and how often."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.handlers import Cancel, Context, Handler, Payload, load_handlers
from shared.model.value import Status
from tests.support.announcing import (
    DAY,
    KEY,
    LOOK,
    SECOND,
    SPACE,
    THREAD,
    JobFactory,
    World,
    action_of,
    button_of,
    do_nothing,
    fail,
    give_up,
    held_by_the_dead,
    put_off,
    text_of,
)
from watchkeeper.fakes.chat import Chat


def test_a_final_failure_is_reported(world: World, work: JobFactory) -> None:
    """The message is a job, due at once, in the space of the job; it names what failed and offers a retry."""
    world.add(work())

    world.tick()

    (notice,) = world.notices()
    assert (notice.id, notice.space, notice.max_attempts) == (f"{KEY}:failed", SPACE, 3)
    assert (notice.status, notice.ready_at) == (Status.PENDING, world.now)
    assert notice.payload.keys() == {"space", "text", "cardsV2"}
    assert text_of(notice) == f"Job job (work) failed for good at attempt 1: an error. {LOOK}"
    assert button_of(notice)["text"] == "Retry"
    assert button_of(notice)["onClick"]["action"]["function"] == "watchkeeper"
    assert action_of(notice) == {"action": "retry", "id": "job"}
    assert world.job("job").status is Status.FAILED


def test_the_last_failed_attempt_is_reported(world: World, work: JobFactory) -> None:
    """Only the last attempt is reported, not one that is followed by another."""
    world.run = fail
    world.add(work(max_attempts=2))

    world.tick()
    told_early = world.notices()
    world.now += timedelta(minutes=2)
    world.tick()

    assert told_early == []
    assert [notice.id for notice in world.notices()] == [f"{KEY}:failed"]
    assert text_of(world.notices()[0]).endswith(f"failed for good at attempt 2: RuntimeError. {LOOK}")


def test_a_job_with_five_dead_holders_is_reported(world: World, work: JobFactory) -> None:
    """A job that kills its process gives up without a handler."""
    world.add(held_by_the_dead(work(), world.now, died_before=4))

    world.tick()

    (notice,) = world.notices()
    assert notice.id == f"{KEY}:failed"
    assert text_of(notice).endswith(f"failed for good at attempt 1: given up: 5 holders died. {LOOK}")
    assert action_of(notice)["action"] == "retry"


def test_a_recurring_job_can_be_run_now(world: World, work: JobFactory) -> None:
    """It is at its next occurrence, which the message names in local time; its id has the failed one."""
    world.add(work(cron="0 9 * * *"))

    world.tick()

    (notice,) = world.notices()
    assert notice.id == f"{KEY}:failed"
    assert text_of(notice).endswith(f"{LOOK}\nIt is not due until Sun 22 Nov 2026, 09:00.")
    assert button_of(notice)["text"] == "Run now"
    assert action_of(notice) == {"action": "run", "id": "job"}


def test_a_job_that_pauses_after_failures_says_so(
    world: World, work: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The last message says that the job is paused, without the error's text, and offers to resume."""
    world.add(work(cron="0 9 * * *", pause_after_failures=2))

    world.tick()
    world.now += DAY
    world.tick()

    first, last = sorted(world.notices(), key=lambda notice: notice.id)
    assert "paused" not in text_of(first)
    assert text_of(last).endswith(
        f"{LOOK}\nIt is paused after 2 failures in a row, the last because: an error. Resume lets it go on."
    )
    assert action_of(last) == {"action": "resume", "id": "job"}
    assert world.job("job").status is Status.PAUSED
    assert "Job job paused after 2 failures in a row" in caplog.messages


# -- once --------------------------------------------------------------------------------------------------------------


def test_it_is_delivered_once_by_the_next_tick(world: World, work: JobFactory) -> None:
    """The tick that gives up stores the message, the next one delivers it, and the one after it has nothing to do."""
    world.add(work())

    world.tick()
    delivered_at_once = list(world.delivered)
    second, third = world.tick(), world.tick()

    assert delivered_at_once == []
    assert world.delivered == [f"{KEY}:failed@2026-11-21T09:00:00Z"]
    assert (second.jobs_succeeded, third.jobs_checked) == (1, 0)


def test_a_failure_after_a_retry_is_reported_too(world: World, work: JobFactory) -> None:
    """The person who tapped Retry needs to know; each failure of the occurrence is reported once."""
    world.add(work())
    world.tick()

    world.change("job", lambda job: job.retry(now=world.now))
    world.now += SECOND
    world.tick()
    world.tick()

    assert [notice.id for notice in world.notices()] == [f"{KEY}:failed", f"{KEY}:failed:2"]
    assert len(world.delivered) == 2


def test_it_arrives_in_chat(
    world: World, work: JobFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: Chat
) -> None:
    """The real handlers post it into the thread where the job was made."""
    handlers = {**load_handlers(()), "work": Handler(job_type="work", run=give_up)}
    world.add(work(payload={"thread": THREAD}))

    for _ in range(3):
        world.tick(handlers)

    (message,) = chat.messages
    assert (message.space, message.thread) == (SPACE, THREAD)
    assert message.text == f"Job job (work) failed for good at attempt 1: an error. {LOOK}"
    assert message.request_id == f"{KEY}:failed@2026-11-21T09:00:00Z"
    assert message.cards[0]["cardId"] == "failed"


# -- nobody to tell ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "given"),
    [
        pytest.param(give_up, {"space": None}, id="without-a-space"),
        pytest.param(give_up, {"job_id": f"{KEY}:failed"}, id="itself-a-notice"),
        pytest.param(give_up, {"job_id": f"{KEY}:failed:2"}, id="itself-a-second-notice"),
        pytest.param(fail, {}, id="tried-again"),
        pytest.param(put_off, {}, id="put-off"),
        pytest.param(do_nothing, {}, id="succeeded"),
    ],
)
def test_without_a_final_failure_or_a_space_nothing_is_reported(
    on_file: World, work: JobFactory, run: Callable[[Payload, Context], None], given: dict[str, Any]
) -> None:
    """No message, and no call to the store for it: one query, one claim, one finish."""
    on_file.run = run
    on_file.add(work(**given))

    on_file.tick()

    assert on_file.notices() == []
    assert on_file.calls == ["due", "swap", "swap"]


def test_the_failure_of_a_cancelled_job_is_not_reported(on_file: World, work: JobFactory) -> None:
    """The person who cancelled it does not need to know that it failed."""

    def cancelled_meanwhile(payload: Payload, context: Context) -> None:
        on_file.change("job", lambda job: job.cancel(now=on_file.now, retention=DAY))
        raise Cancel("the report is gone")

    on_file.run = cancelled_meanwhile
    on_file.add(work())

    report = on_file.tick()

    assert (report.jobs_failed, on_file.job("job").status) == (1, Status.CANCELLED)
    assert on_file.notices() == []


def test_a_notice_that_cannot_be_delivered_expires(on_file: World, work: JobFactory) -> None:
    """A space that is gone gets no notice about its notices, and failed notices do not accumulate."""
    on_file.add(work())
    handlers = {name: Handler(job_type=name, run=give_up) for name in ("work", "chat_message")}

    for _ in range(3):
        on_file.tick(handlers)

    assert [notice.status for notice in on_file.notices()] == [Status.FAILED]
    assert [notice.expire_at for notice in on_file.notices()] == [on_file.now + 30 * DAY]
    assert on_file.job("job").expire_at is None
