"""A job belongs to the person who asked for it, whoever confirms it."""

from typing import Any

import pytest

from shared.model.wording import local_time
from tests.support.chatting import SPACE, button, buttons_of, from_person, words_of
from tests.support.conversing import BOB, REMIND, WEEKDAYS, Chat


def bob_taps(chat: Chat, reply: Any, label: str, **given: Any) -> Any:
    """Tap a button as another person of the space, on clocks in Tokyo."""
    body = from_person(chat.app.click(button(reply, label), **given), **BOB)
    (body["commonEventObject"] if chat.app.is_add_on else body["common"])["timeZone"] = {"id": "Asia/Tokyo"}
    return chat.send(body)


@pytest.mark.parametrize("said", [REMIND, WEEKDAYS, 'tomorrow at 9:00 ask "what is new?"'])
def test_job_belongs_to_the_person_who_asked(chat: Chat, said: str) -> None:
    """The card says that another person of the space may confirm; both people are recorded."""
    asked = chat.say(said)

    bob_taps(chat, asked, "Confirm")

    (job,) = chat.all()
    assert "Ada asked for this. Anyone in this space can confirm it" in words_of(asked)
    assert (job.created_by, job.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")
    assert job.timezone == "Europe/Berlin" or not job.is_recurring
    assert "users/105" not in str(job.payload)


def test_confirming_ones_own_request_records_no_change(chat: Chat) -> None:
    """The job counts as unchanged since its creation."""
    chat.tap(chat.say(REMIND), "Confirm")

    (job,) = chat.all()
    assert (job.created_by, job.updated_by, job.updated_at) == ("chat:ada@example.com", None, None)


@pytest.mark.parametrize("label", ["Change", "on"])
def test_only_the_person_who_asked_can_change_a_request(chat: Chat, label: str) -> None:
    """Another person cannot change its words or its zone: the job would run in the name of somebody who did not ask."""
    asked = chat.say("remind me tomorrow at 9 to stretch")
    label = label if label == "Change" else buttons_of(asked)[0]["text"]

    told = bob_taps(chat, asked, label, inputs={"phrase": "remind me at 7:00 to rest"})
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert "only the person who asked" in words_of(told)
    assert (local_time(job.schedule_at, "Europe/Berlin"), job.created_by) == (
        "Sun 22 Nov 2026, 09:00",
        "chat:ada@example.com",
    )


def test_card_in_a_direct_message_mentions_nobody_else(chat: Chat) -> None:
    """It has one person, so nobody else may confirm."""
    body = chat.app.message(REMIND)
    (body["chat"]["messagePayload"] if chat.app.is_add_on else body)["space"] = {"name": SPACE, "type": "DM"}

    asked = chat.send(body)
    told = bob_taps(chat, asked, "Confirm")

    assert "Anyone" not in words_of(asked)
    assert "only the person who asked" in words_of(told)
    assert chat.all() == []
