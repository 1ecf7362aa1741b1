"""The buttons below a job, and what its card says about its state."""

import logging
from datetime import timedelta

import pytest

from shared.model.history import Result
from shared.model.job import Job
from shared.model.value import Status
from tests.support.chatting import SPACE, button, replaces, words_of
from tests.support.conversing import HOUR, Chat, ended, failed_job


@pytest.mark.parametrize(
    ("label", "status", "says"),
    [
        ("Run now", Status.PENDING, "It runs within a minute."),
        ("Pause", Status.PAUSED, "It was paused by ada@example.com at Sat 21 Nov 2026, 10:00"),
        ("Cancel", Status.CANCELLED, "It was cancelled by ada@example.com at Sat 21 Nov 2026, 10:00"),
    ],
)
def test_job_is_managed_by_its_buttons(
    chat: Chat, tea: Job, caplog: pytest.LogCaptureFixture, label: str, status: Status, says: str
) -> None:
    """The result replaces the card and is recorded in the job; the log has the person as a hash."""
    caplog.set_level(logging.INFO, "watchkeeper")

    done = chat.tap(chat.say("jobs"), label)

    job = chat.jobs.get("tea")
    assert replaces(done)
    assert says in words_of(done)
    assert (job.status, job.updated_by) == (status, "chat:ada@example.com")
    (fields,) = [getattr(line, "fields", {}) for line in caplog.records]
    assert fields["job_id"] == "tea"
    assert fields["by"] not in ("", "ada@example.com")
    assert "ada" not in caplog.text


def test_paused_job_can_be_resumed_and_failed_job_retried(chat: Chat, tea: Job) -> None:
    """The buttons follow the status."""
    paused = chat.tap(chat.say("job tea"), "Pause")
    resumed = chat.tap(paused, "Resume")
    failed_job(chat)
    failed = chat.say("job once")
    retried = chat.tap(failed, "Retry")

    assert "It is resumed." in words_of(resumed)
    assert "It gave up after 1 attempt, because: an error." in words_of(failed)
    assert "It is tried again within a minute." in words_of(retried)
    assert chat.jobs.get("once").status is Status.PENDING


def test_job_card_says_why_it_will_or_will_not_run(chat: Chat, tea: Job) -> None:
    """The card has the reason, the schedule, the last runs and the creator."""
    found = chat.put(tea, tea.run(now=chat.now))
    held = chat.put(found, found.claim(now=chat.now, token="t", lease=HOUR, retention=HOUR))
    running = words_of(chat.say("job tea"))
    result = Result(started_at=chat.now, ended_at=chat.now, by="schedule", error="RuntimeError: no milk, sk-hunter2")
    chat.put(held, held.finish(result, retention=HOUR))
    waiting = words_of(chat.say("job tea"))

    assert "It has been running since Sat 21 Nov 2026, 10:00 (leased until Sat 21 Nov 2026, 11:00)." in running
    assert "It is tried again at Sat 21 Nov 2026, 10:01: it failed 1 of 3 attempts, because: RuntimeError." in waiting
    assert "Sat 21 Nov 2026, 10:00: retried, RuntimeError" in waiting
    assert "`watchkeeper jobs show tea` and the log show the whole error." in waiting
    assert "At 09:00, Monday through Friday (UTC)." in waiting
    assert "Made by bob@example.com." in waiting


@pytest.mark.parametrize("later", [None, HOUR], ids=["failed", "put-off"])
@pytest.mark.parametrize("most", [1, 3], ids=["for-good", "to-be-tried-again"])
def test_no_card_shows_the_text_of_an_error(chat: Chat, later: timedelta | None, most: int) -> None:
    """A handler's error may quote a key, so no card and no answer to a button contains it."""
    job = chat.jobs.schedule("log", {"message": "hello"}, id="once", space=SPACE, max_attempts=most).job
    held = chat.put(job, job.claim(now=chat.now, token="t", lease=HOUR, retention=HOUR))
    error = "no key sk-hunter2 <users/all>"
    result = Result(started_at=chat.now, ended_at=chat.now, by="schedule", error=error, later=later)
    chat.put(held, held.finish(result, retention=HOUR))

    shown = [words_of(chat.say("job once")), words_of(chat.say("jobs"))]
    shown += [words_of(chat.tap(chat.say("job once"), "All jobs")), words_of(chat.tap(chat.say("job once"), "Cancel"))]

    assert not [words for words in shown if "hunter2" in words or "users/all" in words]
    assert chat.jobs.get("once").error == error


def test_impossible_command_says_why(chat: Chat, tea: Job) -> None:
    """The card was older than the job's state."""
    listed = chat.say("jobs")
    chat.jobs.pause("tea")

    old = chat.tap(listed, "Pause")

    assert replaces(old)
    assert "Nothing changed: that is not possible now." in words_of(old)
    assert "It was paused" in words_of(old)


def test_click_delivered_again_changes_nothing(chat: Chat, tea: Job) -> None:
    """Even after the job has run: it does not run once more."""
    run = chat.app.click(button(chat.say("jobs"), "Run now"))
    tapped_at = chat.now = chat.now + timedelta(seconds=1)  # the change is recorded with the same time
    chat.send(run, at=tapped_at)
    asked_for = chat.jobs.get("tea")
    chat.put(asked_for, ended(asked_for, chat.now))
    chat.now += timedelta(seconds=40)
    before = chat.jobs.get("tea")

    again = chat.send(run, at=tapped_at)

    assert "Nothing changed" in words_of(again)
    assert chat.jobs.get("tea") == before


@pytest.mark.parametrize("parameters", [{}, {"action": "fly"}, {"action": "delete", "id": "tea"}, {"action": "get"}])
def test_unknown_button_does_nothing(chat: Chat, tea: Job, parameters: dict[str, str]) -> None:
    """It is of another release, or forged."""
    pairs = [{"key": name, "value": value} for name, value in parameters.items()]
    unknown = {"text": "?", "onClick": {"action": {"function": "x", "parameters": pairs}}}

    assert chat.send(chat.app.click(unknown)) == {}
    assert chat.jobs.get("tea") == tea


def test_card_says_what_run_now_does_to_the_regular_run(chat: Chat, tea: Job, mum: Job) -> None:
    """A recurring job keeps its next run; a one-shot job is moved."""
    assert "Run now is an extra run; the one at Mon 23 Nov 2026, 10:00 stays." in words_of(chat.say("job tea"))
    assert "Run now runs it now instead of later." in words_of(chat.say("job mum"))

    ran = chat.tap(chat.say("job tea"), "Run now")

    assert "That is an extra run; the regular one at Mon 23 Nov 2026, 10:00 stays." in words_of(ran)
