"""Undo brings a cancelled job back."""

from datetime import timedelta

import pytest

from shared.model.job import Job
from shared.model.value import Status
from tests.support.chatting import SPACE, words_of
from tests.support.conversing import HOUR, Chat


@pytest.mark.parametrize("job_id", ["tea", "mum"])
def test_undo_brings_a_cancelled_job_back(chat: Chat, tea: Job, mum: Job, job_id: str) -> None:
    """Cancel offers Undo, and the job continues on its schedule."""
    before = chat.jobs.get(job_id)
    cancelled = chat.say(f"cancel {job_id}")

    back = chat.tap(cancelled, "Undo")

    after = chat.jobs.get(job_id)
    assert "It is back." in words_of(back)
    assert (after.status, after.schedule_at, after.cron) == (Status.PENDING, before.schedule_at, before.cron)
    assert after.expire_at is None


def test_undo_keeps_a_paused_job_paused(chat: Chat, tea: Job) -> None:
    """Undo does not resume it."""
    chat.say("pause tea")
    chat.now += HOUR

    back = chat.tap(chat.say("cancel tea"), "Undo")

    assert "It is back, and still paused." in words_of(back)
    assert (chat.jobs.get("tea").status, chat.jobs.get("tea").cron) == (Status.PAUSED, tea.cron)


def test_undo_keeps_the_rhythm_of_an_interval(chat: Chat) -> None:
    """It does not start anew."""
    start = chat.now - timedelta(minutes=50)
    chat.jobs.schedule("log", {"message": "x"}, id="beat", every="90m", at=start, space=SPACE)

    chat.tap(chat.say("cancel beat"), "Undo")

    assert chat.jobs.get("beat").schedule_at == chat.now + timedelta(minutes=40)


def test_undo_that_is_not_possible_says_why(chat: Chat, mum: Job) -> None:
    """Its time has passed, or it is not cancelled."""
    cancelled = chat.say("cancel mum")
    chat.tap(cancelled, "Undo")
    twice = chat.tap(cancelled, "Undo")
    cancelled = chat.say("cancel mum")
    chat.now += timedelta(days=2)
    late = chat.tap(cancelled, "Undo")

    assert "it is not cancelled" in words_of(twice)
    assert "its time has passed" in words_of(late)
    assert chat.jobs.get("mum").status is Status.CANCELLED
