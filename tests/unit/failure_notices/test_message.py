"""What the message about a failed job says, and what stays out of it."""

import json
from dataclasses import replace
from datetime import datetime

import pytest

from shared.handlers import Cancel, Context, Payload, chat_message
from shared.model.history import Run, RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from shared.running.failure_notice import failure_notice
from tests.support.announcing import (
    DAY,
    LOOK,
    SECOND,
    SECRET,
    THREAD,
    JobFactory,
    World,
    button_of,
    text_of,
)


def given_up(job: Job, error: str | None = "boom") -> Job:
    run = Run(schedule_at=job.schedule_at, outcome=RunOutcome.FAILED, error=error)
    return replace(job, status=Status.FAILED, ready_at=None, recent_runs=(run,))


def noticed(job: Job, now: datetime) -> Job:
    notice = failure_notice(job, now=now, retention=DAY, function="watchkeeper", timezone="UTC")
    assert notice is not None
    chat_message.check_message(notice.payload)
    return notice


def test_a_button_calls_the_function_at_its_address(
    on_file: World, work: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An add-on's button names a URL: PUBLIC_URL."""
    on_file.env["PUBLIC_URL"] = "https://chat.example.com"
    on_file.add(work())

    on_file.tick()

    assert button_of(on_file.notices()[0])["onClick"]["action"]["function"] == "https://chat.example.com"


@pytest.mark.parametrize("thread", ["spaces/CCCC/threads/BBBB", "BBBB", f"{THREAD}/x", 7, None])
def test_a_thread_of_another_space_is_left_out(work: JobFactory, now: datetime, thread: object) -> None:
    """A job of any type may have a field `thread`; the message must still be deliverable."""
    assert "thread" not in noticed(given_up(work(payload={"thread": thread})), now).payload


def test_ids_are_never_too_long(work: JobFactory, now: datetime) -> None:
    """The longest ids are shortened and still differ for each job and occurrence."""
    jobs = [work("j" * length, at=at) for length in (171, 172, 173, 199, 200) for at in (now, now + SECOND)]

    ids = [noticed(given_up(job), now).id for job in jobs]

    assert ids[0] == f"{jobs[0].execution_key}:failed"
    assert len(set(ids)) == len(jobs)
    assert all(len(notice_id) <= 200 and notice_id.endswith(":failed") for notice_id in ids)
    assert ids == [noticed(given_up(job), now).id for job in jobs]


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        pytest.param(RuntimeError(f"401 for key {SECRET}"), "RuntimeError", id="exception"),
        pytest.param(KeyError(SECRET), "KeyError", id="only-the-secret"),
        pytest.param(Cancel(f"the key {SECRET} is not valid"), "an error", id="final"),
        pytest.param(Cancel(f"{SECRET}: no such key"), "an error", id="like-a-name"),
        pytest.param(Cancel(f"timed out after 30 s, with {SECRET}"), "an error", id="like-our-own-words"),
        pytest.param(Cancel("<users/all> look here"), "an error", id="mention"),
    ],
)
def test_the_text_of_an_error_stays_out_of_chat(on_file: World, work: JobFactory, raised: Exception, kind: str) -> None:
    """It may quote a key or mention everybody: the space gets the kind of error, the operator the text."""

    def run(payload: Payload, context: Context) -> None:
        raise raised

    on_file.run = run
    on_file.add(work(max_attempts=1))

    on_file.tick()

    (notice,) = on_file.notices()
    assert text_of(notice) == f"Job job (work) failed for good at attempt 1: {kind}. {LOOK}"
    assert SECRET not in json.dumps(notice.payload)
    assert "<" not in text_of(notice)
    assert str(raised) in (on_file.job("job").error or "")


def test_the_attempt_is_left_out_where_the_history_is_cut(work: JobFactory, now: datetime) -> None:
    """A message has no number that may be wrong."""
    run = Run(schedule_at=now, outcome=RunOutcome.RETRIED, error="boom")
    job = given_up(work(), "boom")
    job = replace(job, recent_runs=(*[run] * 9, *job.recent_runs))

    assert text_of(noticed(job, now)) == f"Job job (work) failed for good: an error. {LOOK}"


@pytest.mark.parametrize("error", [None, ""])
def test_an_error_without_a_text_is_reported_too(work: JobFactory, now: datetime, error: str | None) -> None:
    """The message leaves the error out."""
    assert text_of(noticed(given_up(work(), error), now)).startswith("Job job (work) failed for good")
