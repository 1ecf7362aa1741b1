"""One event and what every reply to it needs; `answering` chooses who replies."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from card_parts import Buttons
from chat_event import Event
from chat_reply import Reply, shows
from shared.logs import hashed

if TYPE_CHECKING:
    from cards import Cards
    from shared.jobs import Jobs

log = logging.getLogger("watchkeeper.chat")

SORRY = "Sorry, that did not work. The people who run this app find the reason in the log, under {}."
NOT_OURS = (
    'Nothing was done, because I cannot verify that this button is mine. Write "jobs" to get a list of what is '
    "scheduled, with buttons that work."
)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One event and what the reply needs. The jobs are opened only when a command needs them.

    `agent_limit` is how long the agent may take; after that a job answers instead. `default_timezone` applies if the
    event names no time zone.
    """

    event: Event
    buttons: Buttons
    now: datetime
    default_timezone: str
    jobs: "Callable[[], Jobs]"
    agent: str
    agent_limit: timedelta
    trace_id: str

    @cached_property
    def timezone(self) -> str:
        """Return the name of the time zone of the event's person."""
        return self.event.timezone or self.default_timezone

    @cached_property
    def cards(self) -> "Cards":
        """Return the maker of cards about jobs, imported only when it is needed: `help` does without."""
        from cards import Cards

        return Cards(self.buttons, timezone=self.timezone, now=self.now)

    @property
    def by(self) -> str:
        """Return the event's person, in the form in which changes of a job name them."""
        return f"chat:{self.event.email}"

    @property
    def place(self) -> dict[str, str]:
        """Return where a job posts, as part of its payload."""
        return {"space": self.event.space, **({"thread": self.event.thread} if self.event.thread else {})}

    def new_id(self, text: str) -> str:
        """Return a job's id, derived from the event: the same if Chat delivers it again."""
        event = self.event
        # A written message is known by its name. A tap or a quick command has only its time and its person.
        other = () if event.is_written else (event.sent_at, event.user)
        return id_from(event.message, *other, text)

    def written(self, text: str) -> str:
        """Return a text of the event with its markup, if Chat sends that."""
        typed = self.event.formatted
        return {self.event.text: typed, self.event.text[1:]: typed[1:]}.get(text) or text

    def help(self, heading: str) -> Reply:
        """Reply with examples to tap."""
        about = (
            'Write to me, or tap an example. Nothing is scheduled before you confirm it. Write "jobs" to see what is.'
        )
        return shows(self.buttons.examples(heading, about))

    def log(self, action: str, job_id: str) -> None:
        """Log what was done to a job."""
        fields = {"action": action, "job_id": job_id, "by": hashed(self.event.email)}
        log.info("Job %s: %s, asked for in Chat", job_id, action, extra={"fields": fields})


def id_from(*source: object) -> str:
    """Return a job's id, derived from what asks for the job."""
    return hashlib.sha256("\n".join(map(str, source)).encode()).hexdigest()[:10]
