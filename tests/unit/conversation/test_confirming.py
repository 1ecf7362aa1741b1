"""A request becomes a job when its card is confirmed, and only once."""

from datetime import datetime, timedelta

import pytest

from card_parts import EXAMPLES
from shared.errors import InvalidInput
from tests.support.answering_agents import AGENT
from tests.support.chatting import SPACE, THREAD, USER, button, buttons_of, from_person, replaces, words_of
from tests.support.conversing import ADA, BOB, HOUR, REMIND, Chat


def test_confirmed_request_becomes_a_job(chat: Chat, now: datetime) -> None:
    """The card repeats the request; the job is scheduled only after Confirm."""
    asked = chat.say(REMIND)
    nothing_yet = chat.all()
    done = chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert nothing_yet == []
    assert "Sat 21 Nov 2026, 10:20" in words_of(asked)
    assert "I will remind you: stretch" in words_of(asked)
    assert replaces(done)
    assert "Scheduled: stretch" in words_of(done)
    assert (job.job_type, job.schedule_at, job.space) == ("chat_message", now + timedelta(minutes=20), SPACE)
    assert {**job.payload, "cardsV2": ...} == {
        "text": "<users/104> stretch",
        "space": SPACE,
        "thread": THREAD,
        "cardsV2": ...,
    }
    assert job.created_by == "chat:ada@example.com"


@pytest.mark.parametrize(
    ("said", "job_type", "payload"),
    [
        pytest.param("remind us tomorrow at 9 to sing", "chat_message", {"text": "<users/all> sing"}, id="everybody"),
        pytest.param('tomorrow at 9 post "hello"', "chat_message", {"text": "hello"}, id="post"),
        pytest.param(
            'tomorrow at 9 ask "what is new?"',
            "agent",
            {"prompt": "what is new?", "timezone": "Europe/Berlin", "space_kind": "space", **ADA},
            id="ask",
        ),
    ],
)
def test_each_kind_of_request_creates_its_job_type(
    chat: Chat, said: str, job_type: str, payload: dict[str, str]
) -> None:
    """A reminder mentions its person; a question becomes a job of the agent."""
    chat.tap(chat.say(said), "Confirm")

    (job,) = chat.all()
    written = {name: value for name, value in job.payload.items() if name != "cardsV2"}
    assert (job.job_type, written) == (job_type, {**payload, "space": SPACE, "thread": THREAD})


def test_event_delivered_twice_makes_one_job(chat: Chat) -> None:
    """Chat may deliver either again: the job's id comes from the message that asked."""
    first, again = chat.say(REMIND, name="M"), chat.say(REMIND, name="M")
    other = chat.say(REMIND, name="other")

    replies = [chat.tap(first, "Confirm"), chat.tap(first, "Confirm"), chat.tap(again, "Confirm")]
    chat.tap(other, "Confirm")

    assert len(chat.all()) == 2
    assert all("Scheduled: stretch" in words_of(reply) for reply in replies)


def test_discarded_request_creates_nothing(chat: Chat) -> None:
    """The card says so and has no buttons left."""
    done = chat.tap(chat.say(REMIND), "Discard")

    assert replaces(done)
    assert "Nothing is scheduled" in words_of(done)
    assert not buttons_of(done)
    assert not chat.all()


def test_request_can_be_reworded(chat: Chat) -> None:
    """The card takes new words and asks again in the same place."""
    asked = chat.say(REMIND)

    changed = chat.tap(asked, "Change", inputs={"phrase": "remind me in 2 hours to rest"})
    chat.tap(changed, "Confirm")

    (job,) = chat.all()
    assert replaces(changed)
    assert job.payload["text"] == "<users/104> rest"
    assert job.schedule_at == chat.now + 2 * HOUR


def test_empty_field_changes_nothing(chat: Chat) -> None:
    """The agent is not asked either, since the person wrote nothing."""
    chat.agent = f"{AGENT}:answering"
    asked = chat.say(REMIND)

    told = chat.tap(asked, "Change", inputs={"phrase": "  "})

    assert "the field is empty" in words_of(told)


@pytest.mark.parametrize("phrase", ["hello", "every 30 seconds post x", "remind me"])
def test_new_words_that_cannot_be_scheduled_are_reported(chat: Chat, phrase: str) -> None:
    """The answer offers a way to continue; the card with the buttons stays."""
    told = chat.tap(chat.say(REMIND), "Change", inputs={"phrase": phrase})

    assert not replaces(told)
    assert buttons_of(told)
    assert chat.all() == []


def test_late_confirmation_is_reported(chat: Chat) -> None:
    """A request for a time that has passed is not moved to another time."""
    asked = chat.say(REMIND)
    chat.now += HOUR

    late = chat.tap(asked, "Confirm")

    assert "That time has passed" in words_of(late)
    assert chat.all() == []


@pytest.mark.parametrize(
    ("text", "later", "first"),
    [
        pytest.param("remind me every 90 minutes to stretch", 5 * HOUR, "2026-11-21T15:00:00+00:00", id="interval"),
        pytest.param(
            "remind me every day at 9 starting tomorrow to stretch",
            74 * HOUR,
            "2026-11-25T08:00:00+00:00",
            id="clock-time",
        ),
    ],
)
def test_late_confirmation_of_a_recurring_job_starts_at_the_next_occurrence(
    chat: Chat, text: str, later: timedelta, first: str
) -> None:
    """What fell due before the job was made does not run at once, and a second tap finds the same job."""
    asked = chat.say(text)
    chat.now += later

    chat.tap(asked, "Confirm")
    (job,) = chat.all()
    chat.now += 2 * HOUR
    again = chat.tap(asked, "Confirm")

    assert job.schedule_at.isoformat() == first
    assert chat.all() == [job]
    assert "This was confirmed before." in words_of(again)


@pytest.mark.parametrize("label", ["Confirm", "Discard"])
def test_second_click_on_a_confirmed_card_shows_its_job(chat: Chat, label: str) -> None:
    """A late second click, by another person or delivered again, never says that there is no job."""
    asked = chat.say(REMIND)
    chat.tap(asked, "Confirm")
    chat.now += HOUR

    again = chat.tap(asked, label)

    assert "This was confirmed before." in words_of(again)
    assert "nothing is scheduled" not in words_of(again)
    assert len(chat.all()) == 1


def test_confirm_on_the_card_of_a_cancelled_job_says_so(chat: Chat) -> None:
    """The job is not scheduled once more, and the card does not seem to say so."""
    asked = chat.say(REMIND)
    chat.tap(asked, "Confirm")
    chat.say("cancel stretch")

    again = chat.tap(asked, "Confirm")

    assert "This was confirmed before." in words_of(again)
    assert "Scheduled" not in words_of(again)


@pytest.mark.parametrize(
    ("late", "is_scheduled"), [(timedelta(minutes=1), True), (timedelta(minutes=1, microseconds=1), False)]
)
def test_confirmation_can_be_a_minute_late(chat: Chat, late: timedelta, is_scheduled: bool) -> None:
    """A person who taps just after the time on the card still means it."""
    asked = chat.say("remind me in 2 minutes to stretch")
    chat.now += timedelta(minutes=2) + late

    chat.tap(asked, "Confirm")

    assert bool(chat.all()) is is_scheduled


def test_example_can_be_tapped_again(chat: Chat) -> None:
    """Each tap asks for a new job; a tap delivered twice asks for one."""
    told = chat.say("help")
    body = chat.app.click(button(told, EXAMPLES[0]))

    asked = [chat.send(body, at=chat.now + number * HOUR) for number in (1, 2, 2)]
    for each in asked:
        chat.tap(each, "Confirm")

    assert len(chat.all()) == 2


def test_each_quick_command_can_become_a_job(chat: Chat) -> None:
    """A quick command has no message, so each is known by its time and person; one delivered twice makes one job."""
    for hours, person in ((1, USER), (2, USER), (2, USER), (2, BOB)):
        asked = chat.send(from_person(chat.app.quick_command("remind"), **person), at=chat.now + hours * HOUR)
        change = chat.app.click(button(asked, "Change"), inputs={"phrase": "remind me in 3 hours to stretch"})
        chat.tap(chat.send(from_person(change, **person)), "Confirm")

    assert len(chat.all()) == 3


@pytest.mark.parametrize("order", ["", "[]", "{}", '{"at": null}', '{"at": "soon", "kind": "post"}', "[" * 3])
def test_confirmation_without_an_order_is_refused(chat: Chat, order: str) -> None:
    """A card of another release, for example."""
    asked = chat.say(REMIND)
    for pair in button(asked, "Confirm")["onClick"]["action"]["parameters"]:
        if pair["key"] == "order":
            pair["value"] = order

    with pytest.raises(InvalidInput, match="please ask again"):
        chat.tap(asked, "Confirm")


def test_one_card_makes_one_job(chat: Chat) -> None:
    """A changed copy of a card that was confirmed before is refused, with the reason."""
    asked = chat.say(REMIND)
    changed = chat.tap(asked, "Change", inputs={"phrase": "remind me in 2 hours to rest"})
    chat.tap(asked, "Confirm")

    with pytest.raises(InvalidInput, match="confirmed before"):
        chat.tap(changed, "Confirm")
