"""A space in Chat in which a person writes to the app and taps its buttons, in both generations of Chat."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from answering import answer
from card_parts import Buttons
from chat_event import parse_event
from chat_reply import rendered
from conversation import Conversation
from seal import Seal
from shared.jobs import Jobs
from shared.model.history import Result
from shared.model.job import Job
from shared.model.times import iso
from shared.store.protocol import Change, Store, Won
from tests.support.chatting import SPACE, AddOn, Classic, button, checked, closes

App = type[Classic] | type[AddOn]
ELSEWHERE = "spaces/elsewhere"
REMIND = "remind me in 20 minutes to stretch"
WEEKDAYS = 'every weekday at 9:00 post "stand-up"'
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
ADA = {"display_name": "Ada", "user_name": "users/104"}  # as a job tells the agent of her
BOB = {"name": "users/105", "displayName": "Bob", "email": "bob@example.com"}


@dataclass
class Chat:
    """A space with the app in it. `say` and `tap` give the reply as Chat gets it."""

    app: App
    jobs: Jobs
    store: Store
    now: datetime
    agent: str = ""
    agent_limit: timedelta = timedelta(seconds=10)
    seal: Seal | None = None
    count: int = field(default=0)

    def say(self, text: str, **given: Any) -> Any:
        """Write a message to the app; each has a name of its own."""
        return self.send(self.app.message(text, **{"name": f"M{self.count}", **given}))

    def tap(self, reply: Any, label: str, *, inputs: dict[str, str] | None = None, **given: Any) -> Any:
        """Tap the first button of that label in a reply."""
        return self.send(self.app.click(button(reply, label), inputs=inputs, **{"name": "card", **given}))

    def send(self, body: Any, *, at: datetime | None = None) -> Any:
        """Send an event, by default a moment after the one before, and look at the form of the answer."""
        self.count += 1
        (body["chat"] if self.app.is_add_on else body)["eventTime"] = iso(at or self.now + self.count * MOMENT)
        event = parse_event(body)
        conversation = Conversation(
            event=event,
            buttons=Buttons(function="https://example.com/chat", seal=self.seal, names=event.names),
            now=self.now,
            default_timezone="UTC",
            jobs=lambda: self.jobs,
            agent=self.agent,
            agent_limit=self.agent_limit,
            trace_id="trace",
        )
        reply = rendered(answer(conversation), event)
        assert not reply or bool({"hostAppDataAction", "action"} & reply.keys()) is self.app.is_add_on
        if reply and reply != closes(is_add_on=self.app.is_add_on):
            checked(reply)
        return reply

    def all(self) -> list[Job]:
        """Return all jobs."""
        return [job for job in self.jobs.list() if isinstance(job, Job)]

    def put(self, before: Job, after: Job) -> Job:
        """Store a later state of a job."""
        outcome = self.store.swap([Change(before, after)])[0]
        assert isinstance(outcome, Won)
        assert isinstance(outcome.job, Job)
        return outcome.job


def ended(job: Job, now: datetime) -> Job:
    """Run a due job to its end."""
    held = job.claim(now=now, token="t", lease=HOUR, retention=HOUR)
    return held.finish(Result(started_at=now, ended_at=now, by="schedule"), retention=HOUR)


BOB = {"name": "users/105", "displayName": "Bob", "email": "bob@example.com"}


def in_direct_message(event: Any) -> Any:
    """Return the event as if it came from a direct message."""
    payload = event["chat"]["messagePayload"] if "chat" in event else event
    payload["space"]["spaceType"] = "DIRECT_MESSAGE"
    return event


def posted(chat: Chat) -> Job:
    """Ask for a reminder in the thread and run it when it is due."""
    chat.tap(chat.say(REMIND), "Confirm")
    (job,) = chat.all()
    chat.now += timedelta(minutes=20)
    return chat.put(job, ended(job, chat.now))


def made_up(**parameters: str) -> dict[str, Any]:
    """Return a button as another app could show it."""
    pairs = [{"key": name, "value": value} for name, value in parameters.items()]
    return {"text": "Hooray", "onClick": {"action": {"function": "x", "parameters": pairs}}}


def failed_job(chat: Chat) -> Job:
    """Store a job that has failed for good."""
    once = chat.jobs.schedule("log", {"message": "hello"}, id="once", space=SPACE, max_attempts=1).job
    held = chat.put(once, once.claim(now=chat.now, token="t", lease=HOUR, retention=HOUR))
    result = Result(started_at=chat.now, ended_at=chat.now, by="schedule", error="no milk")
    return chat.put(held, held.finish(result, retention=HOUR))
