"""A person confirms what the agent proposes."""

import json
from datetime import datetime
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.handlers.agent import Proposal
from shared.handlers.proposal import proposed_message
from tests.support.answering_agents import AGENT
from tests.support.chatting import (
    SPACE,
    THREAD,
    button,
    buttons_of,
    checked,
    from_person,
    message_of,
    replaces,
    words_of,
)
from tests.support.conversing import ADA, BOB, HOUR, REMIND, Chat, made_up


@pytest.mark.parametrize(
    ("proposed", "says", "job_type", "payload"),
    [
        pytest.param(
            {"kind": "reminder", "text": "call mum", "at": "2026-11-24T17:00"},
            "I will remind you: call mum",
            "chat_message",
            {"text": "<users/104> call mum"},
            id="reminder",
        ),
        pytest.param(
            {
                "kind": "message",
                "text": "stand-up",
                "every": "2w",
                "until": "2027-06-01",
                "except_dates": ["2026-12-24"],
            },
            "Every 2 weeks (Europe/Berlin), until Tue 1 Jun 2027, 00:00, except 24 Dec 2026",
            "chat_message",
            {"text": "stand-up"},
            id="message",
        ),
        pytest.param(
            {"kind": "question", "text": "is it green?", "cron": "0 9 * * *", "timezone": "Asia/Tokyo"},
            "I will ask the agent: is it green?",
            "agent",
            {"prompt": "is it green?", "timezone": "Asia/Tokyo", "space_kind": "space", **ADA},
            id="question",
        ),
    ],
)
def test_person_confirms_a_proposal_of_the_agent(
    chat: Chat, proposed: dict[str, Any], says: str, job_type: str, payload: dict[str, str]
) -> None:
    """The card is the one for a person's own request; the job belongs to the person who asked the agent."""
    chat.agent = f"{AGENT}:proposing"

    asked = chat.say(json.dumps(proposed))
    before = chat.all()
    chat.send(from_person(chat.app.click(button(asked, "Confirm"), name="card"), **BOB))

    (job,) = chat.all()
    assert before == []
    assert "Shall I do this?" in words_of(asked)
    assert says in words_of(asked)
    assert (job.created_by, job.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")
    written = {name: value for name, value in job.payload.items() if name != "cardsV2"}
    assert (job.job_type, written) == (job_type, {**payload, "space": SPACE, "thread": THREAD})
    assert job.timezone == (proposed.get("timezone", "Europe/Berlin") if job.is_recurring else None)


@pytest.mark.parametrize(
    ("proposed", "says"),
    [
        pytest.param({"at": "2026-11-20T17:00"}, "Fri 20 Nov 2026, 17:00 (Europe/Berlin) has passed", id="past"),
        pytest.param({"cron": "0 9 * * *", "until": "2026-11-21"}, "its schedule never runs", id="never"),
    ],
)
def test_proposal_that_would_never_run_is_reported(chat: Chat, proposed: dict[str, str], says: str) -> None:
    """There is nothing to confirm."""
    chat.agent = f"{AGENT}:proposing"

    reply = chat.say(json.dumps({"kind": "message", "text": "x", **proposed}))

    assert says in message_of(reply)["text"]
    assert buttons_of(reply) == []


def test_changed_words_of_a_proposal_go_to_the_agent(chat: Chat) -> None:
    """New words in its field go to the agent, unless the grammar understands them."""
    chat.agent = f"{AGENT}:proposing"
    asked = chat.say("keep an eye on the build")

    again = chat.tap(asked, "Change", inputs={"phrase": "keep an eye on the tests"})
    read = chat.tap(asked, "Change", inputs={"phrase": REMIND})

    assert "I will ask the agent: keep an eye on the tests" in words_of(again)
    assert "I will remind you: stretch" in words_of(read)


def test_proposal_of_a_job_belongs_to_its_creator(chat: Chat, now: datetime) -> None:
    """The job posts a description, with a button that shows the card."""
    tea = Proposal(kind="reminder", text="tea <3", every="1d", at=now + HOUR)
    asker = {"user": "users/104", "by": "ada@example.com", "name": "Ada"}
    posted = proposed_message(tea, asker, timezone="Europe/Berlin", now=now, function="https://example.com/chat")

    card = chat.send(from_person(chat.app.click(button(posted, "Look at it"), name="card"), **BOB))
    chat.tap(card, "Confirm")

    (job,) = chat.all()
    assert checked(posted)
    assert "A reminder: tea &lt;3\nEvery day, first at Sat 21 Nov 2026, 11:00 (Europe/Berlin)" in words_of(posted)
    assert replaces(card)
    assert "Ada asked for this. Anyone in this space can confirm it" in words_of(card)
    assert (job.created_by, job.payload["text"]) == ("chat:ada@example.com", "<users/104> tea <3")
    assert (job.every, job.timezone) == ("1d", "Europe/Berlin")


def test_posted_proposal_makes_one_job(chat: Chat, now: datetime) -> None:
    """A double click shows two cards, but they are about the same job."""
    posted = proposed_message(
        Proposal(kind="message", text="tea", at=now + HOUR), {}, timezone="UTC", now=now, function="x"
    )

    for card in [chat.tap(posted, "Look at it") for _ in range(2)]:
        chat.tap(card, "Confirm")

    assert len(chat.all()) == 1


@pytest.mark.parametrize("packed", ["", "[]", "{}", '{"kind": "magic", "text": "x", "cron": "0 9 * * *"}'])
def test_button_without_a_proposal_is_refused(chat: Chat, packed: str) -> None:
    """An incomplete or unknown proposal is refused."""
    posted = made_up(action="proposed", proposal=packed)

    with pytest.raises(InvalidInput):
        chat.send(chat.app.click(posted, name="card"))
