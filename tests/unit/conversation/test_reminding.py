"""A posted reminder can be snoozed or marked as done."""

from datetime import timedelta

import pytest

from shared.errors import InvalidInput
from shared.model.wording import local_time
from tests.support.chatting import SPACE, THREAD, button, buttons_of, from_person, replaces, words_of
from tests.support.conversing import BOB, HOUR, REMIND, Chat, ended, in_direct_message, posted


@pytest.mark.parametrize(
    ("label", "at"),
    [
        ("Snooze 10 min", "Sat 21 Nov 2026, 10:30"),
        ("Snooze 1 h", "Sat 21 Nov 2026, 11:20"),
        ("Tomorrow", "Sun 22 Nov 2026, 09:00"),
    ],
)
def test_reminder_is_snoozed_by_its_buttons(chat: Chat, label: str, at: str) -> None:
    """It returns with the same buttons and still belongs to the person who asked for it."""
    reminder = posted(chat)

    done = chat.tap(reminder.payload, label)

    (again,) = [job for job in chat.all() if job.id != reminder.id]
    assert local_time(again.schedule_at, "Europe/Berlin") == at
    assert replaces(done)
    assert at in words_of(done)
    assert (again.payload["text"], again.payload["thread"]) == ("<users/104> stretch", THREAD)
    assert [each["text"] for each in buttons_of(again.payload)] == ["Snooze 10 min", "Snooze 1 h", "Tomorrow", "Done"]
    assert again.created_by == "chat:ada@example.com"
    assert chat.jobs.get(reminder.id) == reminder


def test_done_replaces_the_buttons_of_a_reminder(chat: Chat) -> None:
    """The text replaces its buttons."""
    done = chat.tap(posted(chat).payload, "Done")

    assert replaces(done)
    assert words_of(done) == "Done: stretch"


def test_snooze_delivered_twice_makes_one_reminder(chat: Chat) -> None:
    """Even if the second delivery is late."""
    reminder = posted(chat)
    click = chat.app.click(button(reminder.payload, "Snooze 10 min"))

    chat.send(click, at=chat.now)
    chat.now += timedelta(seconds=20)
    again = chat.send(click, at=chat.now - timedelta(seconds=20))

    assert len(chat.all()) == 2
    assert "10:30" in words_of(again)


def test_double_click_on_snooze_makes_one_reminder(chat: Chat) -> None:
    """Each click is an event of its own. Another button, or the same one of a later message, makes another reminder."""
    reminder = posted(chat)
    click = chat.app.click(button(reminder.payload, "Snooze 10 min"), name="posted")
    later = chat.app.click(button(reminder.payload, "Snooze 10 min"), name="posted-later")

    first, second = chat.send(click), chat.send(click)
    chat.send(later)
    chat.tap(reminder.payload, "Snooze 1 h", name="posted")

    assert words_of(first) == words_of(second)
    assert len(chat.all()) == 4


def test_snooze_says_so_if_the_reminder_was_posted_again(chat: Chat) -> None:
    """The card shows the job instead of a time that has passed."""
    reminder = posted(chat)
    chat.tap(reminder.payload, "Snooze 10 min")
    (again,) = [job for job in chat.all() if job.id != reminder.id]
    chat.now += HOUR
    chat.put(again, ended(again, chat.now))

    told = chat.tap(reminder.payload, "Snooze 10 min")

    assert "It was snoozed before." in words_of(told)
    assert len(chat.all()) == 2


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("snooze 10 minutes", "Sat 21 Nov 2026, 10:30"),
        ("snooze", "Sat 21 Nov 2026, 10:30"),
        ("please snooze this for 2 hours", "Sat 21 Nov 2026, 12:20"),
        ("snooze until tomorrow at 8:00", "Sun 22 Nov 2026, 08:00"),
    ],
)
def test_reminder_is_snoozed_by_a_message_in_its_thread(chat: Chat, text: str, at: str) -> None:
    """It is the last reminder posted there."""
    reminder = posted(chat)

    chat.say(text)

    (again,) = [job for job in chat.all() if job.id != reminder.id]
    assert local_time(again.schedule_at, "Europe/Berlin") == at


def test_nothing_can_be_snoozed_in_another_thread(chat: Chat) -> None:
    """Neither in another thread, nor before the reminder is posted."""
    chat.tap(chat.say(REMIND), "Confirm")
    early = chat.say("snooze")
    (job,) = chat.all()
    chat.put(job, ended(job, chat.now + HOUR))
    elsewhere = chat.say("snooze", thread=f"{SPACE}/threads/OTHER")

    assert "no reminder in this thread" in words_of(early)
    assert "no reminder in this thread" in words_of(elsewhere)
    assert len(chat.all()) == 1


def test_last_reminder_is_snoozed_in_a_direct_message(chat: Chat) -> None:
    """Each message there has its own thread, so the last reminder is meant."""
    reminder = posted(chat)

    chat.send(in_direct_message(chat.app.message("snooze", thread=f"{SPACE}/threads/OTHER")))

    assert len(chat.all()) == 2
    assert chat.jobs.get(reminder.id) == reminder


def test_reminder_snoozed_by_another_person_keeps_its_owner(chat: Chat) -> None:
    """Both people are recorded."""
    reminder = posted(chat)

    chat.send(from_person(chat.app.click(button(reminder.payload, "Snooze 1 h"), name="card"), **BOB))

    (again,) = [job for job in chat.all() if job.id != reminder.id]
    assert (again.created_by, again.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")


def test_invalid_snooze_time_is_reported(chat: Chat) -> None:
    """Nothing is scheduled."""
    posted(chat)

    with pytest.raises(InvalidInput, match="Until when"):
        chat.say("snooze every day")
    assert len(chat.all()) == 1
