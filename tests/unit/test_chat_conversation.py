"""The conversation in docs/CHAT.md is true: each of its lines is sent, and each answer is checked as Chat does."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from answering import answer
from card_parts import Buttons
from chat_event import parse_event
from chat_reply import rendered
from conversation import Conversation
from shared.handlers import load_handlers
from shared.jobs import Jobs
from shared.model.history import Result
from shared.model.job import Job
from shared.model.times import iso
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.support.chatting import AddOn, Classic, button, checked, fields_of, from_person, words_of

BOB = {"name": "users/105", "displayName": "Bob", "email": "bob@example.com"}
HOUR = timedelta(hours=1)
PAGE = Path(__file__).parents[2] / "docs" / "CHAT.md"
TURN = re.compile(
    r"(?P<who>Ada|Bob) (?P<how>writes|taps|fills in (?P<field>\w+)): (?P<what>.+)|(?P<minutes>\d+) minutes later"
)


def turns() -> list[tuple[re.Match[str], list[str]]]:
    """Return what is said and tapped in the document, each with the expected words of the answer."""
    block = PAGE.read_text().split("## A conversation")[1].split("```")[1]
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in filter(None, block.removeprefix("text").splitlines()):
        if line.startswith("    "):
            found[-1][1].append(line.strip())
        else:
            match = TURN.fullmatch(line)
            assert match, line
            found.append((match, []))
    return found


class Space:
    """A space with two people in it, whose jobs run when time passes."""

    def __init__(self, app: Any, store: JsonStore, now: datetime) -> None:
        self.app, self.store, self.now, self.sent = app, store, now, 0
        self.card: dict[str, Any] = {}
        self.jobs = Jobs(store, clock=lambda: self.now, handlers=load_handlers(()), retention=30 * 24 * HOUR)

    def turn(self, match: re.Match[str]) -> Any:
        """Do what a line says, and return the resulting message."""
        if match["minutes"]:
            return self.wait(timedelta(minutes=int(match["minutes"])))
        self.sent += 1
        if match["how"] == "writes":
            body = self.app.message(match["what"], name=f"M{self.sent}")
        elif match["how"] == "taps":
            body = self.app.click(button(self.card, match["what"]), name="card")
        else:
            filled = {**fields_of(self.card), match["field"]: match["what"]}
            body = self.app.click(button(self.card, "Save"), inputs=filled, submits=True, name="card")
        body = from_person(body, **BOB) if match["who"] == "Bob" else body
        (body["chat"] if self.app.is_add_on else body)["eventTime"] = iso(self.now + timedelta(microseconds=self.sent))
        self.card = checked(self.answer(body))
        return self.card

    def answer(self, body: Any) -> Any:
        """Return the reply to an event, as Chat gets it."""
        event = parse_event(body)
        conversation = Conversation(
            event=event,
            buttons=Buttons(function="https://example.com/chat"),
            now=self.now,
            default_timezone="UTC",
            jobs=lambda: self.jobs,
            agent="",
            agent_limit=HOUR,
            trace_id="trace",
        )
        return rendered(answer(conversation), event)

    def wait(self, time: timedelta) -> Any:
        """Run what falls due, and return the last message posted."""
        self.now += time
        for job in self.store.due(self.now):
            assert isinstance(job, Job)
            held = job.claim(now=self.now, token="t", lease=HOUR, retention=HOUR)
            ended = held.finish(Result(started_at=self.now, ended_at=self.now, by="schedule"), retention=24 * HOUR)
            self.store.swap([Change(job, ended)])
            self.card = checked({name: job.payload[name] for name in ("text", "cardsV2") if name in job.payload})
        return self.card


@pytest.mark.parametrize("app", [Classic, AddOn])
def test_documented_conversation_is_true(app: Any, json_store: JsonStore, now: datetime) -> None:
    """In both generations of Chat, and Chat accepts every reply."""
    space = Space(app, json_store, now)
    said = turns()

    assert len(said) >= 20
    for match, expected in said:
        words = words_of(space.turn(match))
        assert expected
        for each in expected:
            assert each in words, f"{match[0]}: {words}"
