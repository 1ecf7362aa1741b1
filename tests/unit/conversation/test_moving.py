"""`move` gives a job another time, once the person confirms it."""

from datetime import timedelta

import pytest

from shared.errors import InvalidInput
from shared.model.job import Job
from shared.model.value import Status
from tests.support.chatting import words_of
from tests.support.conversing import Chat, ended


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("move my 8:30 reminder to 9", "2026-11-22T08:00:00+00:00"),
        ("move call mum to 7pm", "2026-11-22T18:00:00+00:00"),
        ("reschedule call mum to monday at 10:00", "2026-11-23T09:00:00+00:00"),
        ("move call mum to noon", "2026-11-22T11:00:00+00:00"),
        ("move call mum to 10 o'clock", "2026-11-22T09:00:00+00:00"),
        ("move call mum to half past 4", "2026-11-22T03:30:00+00:00"),
        ("move call mum to the evening", "2026-11-22T17:00:00+00:00"),
        ("move call mum to friday", "2026-11-27T07:30:00+00:00"),
        ("move call mum to in 20 minutes", "2026-11-21T09:20:00+00:00"),
        ("move call mum to in 2 days", "2026-11-23T07:30:00+00:00"),
        ("move call mum to tomorrow afternoon", "2026-11-22T13:00:00+00:00"),
    ],
)
def test_reminder_is_moved(chat: Chat, tea: Job, mum: Job, text: str, at: str) -> None:
    """A time alone keeps the day and means the nearer half of it, a day alone keeps the time; the card asks first."""
    card = chat.say(text)
    before = chat.jobs.get("mum")
    done = chat.tap(card, "Move")

    assert before == mum
    assert chat.jobs.get("mum").schedule_at.isoformat() == at
    assert "It is moved." in words_of(done)


def test_moved_recurring_job_keeps_its_days(chat: Chat, tea: Job) -> None:
    """Only the clock time of its expression changes."""
    chat.tap(chat.say("move tea to 10:15"), "Move")

    assert chat.jobs.get("tea").cron == "15 10 * * 1-5"


def test_recurring_job_can_be_moved_to_noon(chat: Chat, tea: Job) -> None:
    """A word for a clock time is one."""
    chat.tap(chat.say("move tea to noon"), "Move")

    assert chat.jobs.get("tea").cron == "0 12 * * 1-5"


def test_moved_job_keeps_its_future_start(chat: Chat) -> None:
    """Another clock time is not another start."""
    chat.tap(chat.say("remind me every monday at 9 starting 4 january to plan"), "Confirm")

    chat.tap(chat.say("move plan to 10"), "Move")

    (job,) = chat.all()
    assert job.schedule_at.isoformat() == "2027-01-04T09:00:00+00:00"


def test_move_card_keeps_days_that_were_changed_meanwhile(chat: Chat, tea: Job) -> None:
    """The card holds the days as they were when it was asked for."""
    card = chat.say("move tea to 10:15")
    chat.jobs.edit("tea", cron="0 9 * * 6")

    told = chat.tap(card, "Move")

    assert "its schedule was changed" in words_of(told)
    assert chat.jobs.get("tea").cron == "0 9 * * 6"


@pytest.mark.parametrize(
    "text", ["move tea to tomorrow at 9:00", "move call mum to every day at 9", "move mum to soon"]
)
def test_impossible_move_is_reported(chat: Chat, tea: Job, mum: Job, text: str) -> None:
    """Nothing changes."""
    told = chat.say(text)

    assert "Nothing changed" in words_of(told)
    assert (chat.jobs.get("tea"), chat.jobs.get("mum")) == (tea, mum)


def test_late_tap_on_a_move_card_changes_nothing(chat: Chat, mum: Job) -> None:
    """The time on the card has passed."""
    card = chat.say("move call mum to 7:00")
    chat.now += timedelta(hours=22)

    told = chat.tap(card, "Move")

    assert "that time has passed" in words_of(told)
    assert chat.jobs.get("mum") == mum


def test_move_card_keeps_a_rhythm_that_was_set_meanwhile(chat: Chat, mum: Job) -> None:
    """The card shows the job as it ran once."""
    card = chat.say("move call mum to 7:00")
    chat.jobs.edit("mum", cron="0 9 * * *")

    told = chat.tap(card, "Move")

    assert "its schedule was changed" in words_of(told)
    assert chat.jobs.get("mum").cron == "0 9 * * *"


def test_move_card_of_an_ended_job_changes_nothing(chat: Chat, mum: Job) -> None:
    """It ran before anybody tapped Move, and does not run again."""
    card = chat.say("move call mum to 11:00")
    chat.now += timedelta(hours=23)
    chat.put(mum, ended(mum, chat.now))

    told = chat.tap(card, "Move")

    assert "Nothing changed: it has ended." in words_of(told)
    assert chat.jobs.get("mum").status is Status.COMPLETED


@pytest.mark.parametrize("at", [{}, {"at": ""}, {"at": "soon"}, {"at": "2026-11-22T09:00:00"}])
def test_move_card_without_a_time_is_refused(chat: Chat, mum: Job, at: dict[str, str]) -> None:
    """Nothing changes."""
    parameters = [{"key": key, "value": value} for key, value in {"action": "moved", "id": "mum", **at}.items()]

    with pytest.raises(InvalidInput, match="no longer be used"):
        chat.send(chat.app.click({"text": "Move", "onClick": {"action": {"function": "x", "parameters": parameters}}}))
    assert chat.jobs.get("mum") == mum
