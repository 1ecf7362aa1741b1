"""The card of a request shows its schedule, its time zone and what else the words may mean."""

import json
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.model.times import iso
from shared.model.wording import local_time
from shared.store.documents import to_document
from tests.support.chatting import (
    button,
    buttons_of,
    fields_of,
    replaces,
    words_of,
)
from tests.support.conversing import REMIND, WEEKDAYS, Chat


def test_recurring_job_uses_the_time_zone_of_the_person(chat: Chat) -> None:
    """The card shows the schedule in words and the next runs as local times."""
    asked = chat.say(WEEKDAYS)
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert (job.cron, job.timezone) == ("0 9 * * 1-5", "Europe/Berlin")
    assert "At 09:00, Monday through Friday (Europe/Berlin)" in words_of(asked)
    assert "Mon 23 Nov 2026, 09:00\nTue 24 Nov 2026, 09:00\nWed 25 Nov 2026, 09:00" in words_of(asked)


def test_card_warns_if_either_day_field_is_enough(chat: Chat) -> None:
    """Both day fields are set: five runs stand below the warning, and where one field is free there is none."""
    asked = chat.say('cron 0 9 */2 * 1-5 post "x"')

    assert "Note: day of month and day of week are both restricted, and either is enough" in words_of(asked)
    runs = ["Mon 23 Nov 2026", "Tue 24 Nov 2026", "Wed 25 Nov 2026", "Thu 26 Nov 2026", "Fri 27 Nov 2026"]
    assert "\n".join(f"{run}, 09:00" for run in runs) in words_of(asked)
    assert "either" not in words_of(chat.say(WEEKDAYS))


def test_card_marks_a_day_on_which_the_clocks_change(chat: Chat) -> None:
    """The card marks it among the next runs."""
    chat.now = chat.now.replace(year=2027, month=3, day=26)

    asked = chat.say('every day at 9:00 post "x"')

    assert "Sun 28 Mar 2027, 09:00 (the clocks change on this day, from +01:00 to +02:00)" in words_of(asked)


def test_card_asks_about_a_date_with_two_readings(chat: Chat) -> None:
    """Each reading is a button with the person's text and time; a tap on it asks for confirmation."""
    told = chat.say("remind me on 12/1 at 17:30 to pay")

    asked = chat.tap(told, "remind me on 2027-01-12 at 17:30 to pay")

    assert "1 December 2026 or 12 January 2027?" in words_of(told)
    assert chat.all() == []
    assert "Tue 12 Jan 2027, 17:30" in words_of(asked)
    assert "I will remind you: pay" in words_of(asked)


def test_unclear_request_can_be_corrected_on_the_card(chat: Chat) -> None:
    """The card keeps the whole text in a field and guesses nothing."""
    told = chat.say("remind me soonish to call Bob")

    asked = chat.tap(told, "Change", inputs={"phrase": "remind me tomorrow at 9:00 to call Bob"})
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert [each["text"] for each in buttons_of(told)] == ["Change"]
    assert fields_of(told) == {"phrase": "remind me soonish to call Bob"}
    assert job.payload["text"] == "<users/104> call Bob"


@pytest.mark.parametrize("letter", ["x", "ä", "🍕"])
def test_text_that_is_far_too_long_is_shown_cut(chat: Chat, letter: str) -> None:
    """The card with the reason fits into a message, whatever a person has pasted."""
    told = chat.say(f"remind me in 20 minutes to {letter * 40_000}")

    assert "at most 1,000 are possible" in words_of(told)
    assert len(fields_of(told)["phrase"]) == 4000


def test_card_offers_the_other_reading(chat: Chat) -> None:
    """At ten, "at 7" means seven in the evening; a button offers the morning and replaces the card."""
    asked = chat.say("remind me at 7 to stretch")

    changed = chat.tap(asked, "remind me on 2026-11-22 at 07:00 to stretch")
    chat.tap(changed, "Confirm")

    (job,) = chat.all()
    assert "Sat 21 Nov 2026, 19:00" in words_of(asked)
    assert replaces(changed)
    assert "Sun 22 Nov 2026, 07:00" in words_of(changed)
    assert local_time(job.schedule_at, "Europe/Berlin") == "Sun 22 Nov 2026, 07:00"


def test_card_warns_of_short_months_and_offers_the_last_day(chat: Chat) -> None:
    """Five months of the year have no 31st."""
    asked = chat.say('every month on the 31st at 9:00 post "rent"')

    changed = chat.tap(asked, 'every month on the last day at 09:00 post "rent"')

    assert "Months without a 31st are left out." in words_of(asked)
    assert "Mon 30 Nov 2026, 09:00" in words_of(changed)


@pytest.mark.parametrize(
    ("said", "fields", "words"),
    [
        pytest.param(
            'every other friday at 10:00 post "pay"',
            {"every": "2w", "starts_at": "2026-11-27T09:00:00Z"},
            ["Every 2 weeks (Europe/Berlin)", "Fri 27 Nov 2026, 10:00\nFri 11 Dec 2026, 10:00"],
            id="weeks",
        ),
        pytest.param(
            'every 90 minutes post "pay"',
            {"every": "90m", "starts_at": "2026-11-21T10:30:00Z"},
            ["Every 90 minutes (Europe/Berlin)", "Sat 21 Nov 2026, 11:30\nSat 21 Nov 2026, 13:00"],
            id="minutes",
        ),
        pytest.param(
            'every day at 9:00 starting monday until friday except november 25 post "pay"',
            {
                "cron": "0 9 * * *",
                "starts_at": "2026-11-22T23:00:00Z",
                "until": "2026-11-27T23:00:00Z",
                "except_dates": ["2026-11-25"],
            },
            ["until Sat 28 Nov 2026, 00:00, except 25 Nov 2026", "Mon 23 Nov 2026, 09:00\nTue 24 Nov 2026, 09:00"],
            id="bounds",
        ),
        pytest.param(
            'weekdays at 9:00 except fridays until december post "pay"',
            {"cron": "0 9 * * 1,2,3,4", "until": "2026-11-30T23:00:00Z"},
            ["until Tue 1 Dec 2026, 00:00", "Wed 25 Nov 2026, 09:00"],
            id="weekdays-off",
        ),
    ],
)
def test_schedules_beyond_cron_are_intervals_or_have_bounds(
    chat: Chat, said: str, fields: dict[str, Any], words: list[str]
) -> None:
    """The card shows it with the next runs, and the job stores every part of it."""
    asked = chat.say(said)
    done = chat.tap(asked, "Confirm")

    (job,) = chat.all()
    names = ("cron", "every", "until", "except_dates", "starts_at")
    stored = {name: value for name, value in to_document(job).items() if name in names and value}
    assert all(each in words_of(asked) for each in words), words_of(asked)
    assert json.loads(json.dumps(stored, default=iso)) == fields
    assert "Scheduled: pay" in words_of(done)


def test_note_says_what_may_not_be_meant(chat: Chat) -> None:
    """If both day fields are restricted, the note says that a match of either is enough."""
    assert "either is enough" in words_of(chat.say('cron 0 9 1 * 1 post "x"'))


def nowhere(chat: Chat, body: Any) -> Any:
    """Return an event without a time zone."""
    del (body["commonEventObject"] if chat.app.is_add_on else body["common"])["timeZone"]
    return body


def test_card_names_the_time_zone_if_chat_does_not(chat: Chat) -> None:
    """It can be changed on the card, and every later change keeps it."""
    asked = chat.send(nowhere(chat, chat.app.message("remind me tomorrow at 9:00 to stretch")))

    click = chat.app.click(button(asked, "Change"), inputs={"phrase": REMIND, "timezone": "Asia/Tokyo"})
    changed = chat.send(nowhere(chat, click))
    other = chat.send(
        nowhere(chat, chat.app.click(button(changed, "Change"), inputs={"phrase": "remind me at 7 to rest"}))
    )
    last = chat.send(nowhere(chat, chat.app.click(button(other, "remind me on 2026-11-22 at 07:00 to rest"))))

    assert "Chat did not tell me your time zone, so I used UTC." in words_of(asked)
    assert fields_of(asked) == {"phrase": "remind me tomorrow at 9:00 to stretch", "timezone": "UTC"}
    assert fields_of(changed)["timezone"] == "Asia/Tokyo"
    assert "Sun 22 Nov 2026, 07:00 (Asia/Tokyo)" in words_of(last)


def test_card_asks_for_no_time_zone_that_chat_names(chat: Chat) -> None:
    """The card has no field for it."""
    assert list(fields_of(chat.say(REMIND))) == ["phrase"]


def test_unknown_time_zone_is_refused(chat: Chat) -> None:
    """The error says what to write instead."""
    asked = chat.say(REMIND)

    with pytest.raises(InvalidInput, match="Write an IANA name"):
        chat.tap(asked, "Change", inputs={"phrase": REMIND, "timezone": "Bielefeld"})


def test_cards_name_the_time_zone_of_their_times(chat: Chat) -> None:
    """Everybody in the space sees them, also in other time zones."""
    scheduled = chat.tap(chat.say("remind me tomorrow at 9:00 to stretch"), "Confirm")

    cards = [chat.say(text) for text in ("jobs", "show stretch", "move stretch to 10", "cancel the reminder")]

    for card in (scheduled, *cards):
        assert "Times are in Europe/Berlin." in words_of(card)
