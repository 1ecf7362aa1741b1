"""What is answered to a person in Chat: commands make and manage the jobs of a space, the rest is the agent's."""

import hashlib
import logging
import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from cards import EXAMPLES, Cards, note, unpacked
from chat_event import Event, Kind
from chat_reply import Reply, says, shows
from phrases import NotUnderstood, Order, understand
from shared.chat_agent import AgentContext, as_message, load_agent
from shared.errors import InvalidInput
from shared.job import Job, Status
from shared.jobs import AlreadyScheduled, Jobs, UnknownJob
from shared.logs import hashed

log = logging.getLogger("watchkeeper.chat")

LISTED = 8
OPEN = (Status.PENDING, Status.RUNNING, Status.PAUSED, Status.FAILED)
DONE = {
    "run": "It runs with the next tick.",
    "pause": "It is paused.",
    "resume": "It goes on.",
    "cancel": "It is cancelled.",
    "retry": "It is tried again with the next tick.",
}
SORRY = "I am sorry, that did not work. Whoever looks after me finds the reason in the log, under {}."
LATER = "This takes longer than Chat waits for an answer. I will post the answer here."


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One event and what is needed to answer it. The jobs are opened only when a command needs them.

    `agent_limit` is how long the agent may take; then its answer becomes a job's.
    """

    event: Event
    cards: Cards
    now: datetime
    timezone: str
    jobs: Callable[[], Jobs]
    agent: str
    agent_limit: timedelta
    trace_id: str

    def answer(self) -> Reply | None:
        """Answer the event, or give None when there is nothing to say. Raises WatchkeeperError."""
        match self.event.kind:
            case Kind.MESSAGE:
                return self._answer_text(self.event.text)
            case Kind.CLICKED:
                return self._answer_click(self.event.parameters)
            case Kind.ADDED:
                return self._help("Hello! I remind, post and ask at the times that you tell me")
            case _:
                return None

    def _answer_text(self, text: str) -> Reply | None:
        word, _, rest = text.partition(" ")
        match word.lower():
            case "help" | "" if not rest:
                return self._help("This is what I can do")
            case "jobs" if not rest:
                return shows(self._list(after=""))
            case "job" if rest and " " not in rest.strip():
                return shows(self.cards.job(self._job(rest.strip())))
        try:
            order = understand(text, now=self.now, timezone=self.timezone)
        except NotUnderstood as exc:
            return shows(self.cards.examples(str(exc), "The nearest that I can do:", exc.suggestions or EXAMPLES))
        return self._ask_agent(text) if order is None else self._confirm(order, text, self._new_id(text))

    def _help(self, heading: str) -> Reply:
        about = "Write to me, or tap an example. Nothing is scheduled before you confirm it; `jobs` lists what is."
        return shows(self.cards.examples(heading, about, EXAMPLES))

    def _answer_click(self, given: Mapping[str, str]) -> Reply | None:
        action = given.get("action", "")
        match action:
            case "say":
                return replace(self, event=replace(self.event, kind=Kind.MESSAGE))._answer_text(given.get("text", ""))
            case "list":
                return shows(self._list(after=given.get("after", "")), replaces=True)
            case "confirm":
                return self._schedule(given)
            case "change":
                return self._change(given)
            case "discard":
                return shows(note("Discarded; nothing is scheduled"), replaces=True)
            case "show":
                return shows(self.cards.job(self._job(given.get("id", ""))))
            case _ if action in DONE:
                return self._command(action, given.get("id", ""))
        log.warning("A button of Chat asks for what is not known", extra={"fields": {"action": "unknown_button"}})
        return None

    # -- making a job --------------------------------------------------------------------------------------------------

    def _confirm(self, order: Order, phrase: str, job_id: str, *, replaces: bool = False) -> Reply:
        card = self.cards.confirm(order, job_id=job_id, user=self.event.user, phrase=phrase)
        return shows(card, replaces=replaces)

    def _change(self, given: Mapping[str, str]) -> Reply:
        phrase = self.event.inputs.get("phrase", "").strip()
        try:
            order = understand(phrase, now=self.now, timezone=self.timezone)
        except NotUnderstood as exc:
            return shows(self.cards.examples(str(exc), "The nearest that I can do:", exc.suggestions or EXAMPLES))
        if order is None:
            return self._help("I do not understand that as something to schedule")
        return self._confirm(order, phrase, given.get("id", ""), replaces=True)

    def _schedule(self, given: Mapping[str, str]) -> Reply:
        try:
            order = unpacked(given.get("order", ""))
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
            raise InvalidInput("this card cannot be confirmed any more; say it again") from None
        if order.at is not None and order.at < self.now - timedelta(minutes=1):
            return shows(
                note("That time is over; nothing is scheduled", "Say it again with another time."), replaces=True
            )
        job_type, payload = self._payload(order, given.get("user", ""))
        try:
            scheduled = self.jobs().schedule(
                job_type,
                payload,
                id=given.get("id", ""),
                at=order.at,
                cron=order.cron,
                timezone=order.timezone,
                space=self.event.space,
                by=self._by,
            )
        except AlreadyScheduled:
            raise InvalidInput("this was confirmed before, in another form; `jobs` shows it") from None
        if scheduled.outcome == "created":
            self._log("job_created", scheduled.job.id)
        return shows(self.cards.scheduled(scheduled.job), replaces=True)

    def _payload(self, order: Order, user: str) -> tuple[str, dict[str, Any]]:
        if order.kind == "ask":
            return "agent", {"prompt": order.text, **self._place}
        mention = "<users/all> " if order.everybody else f"<{user}> " if user else ""
        return "chat_message", {"text": order.text if order.kind == "post" else f"{mention}{order.text}", **self._place}

    @property
    def _place(self) -> dict[str, str]:
        return {"space": self.event.space, **({"thread": self.event.thread} if self.event.thread else {})}

    def _new_id(self, text: str) -> str:
        """Derive a job's id from the message that asks for it: the same however often Chat delivers it."""
        return hashlib.sha256(f"{self.event.message}\n{text}".encode()).hexdigest()[:10]

    # -- managing jobs -------------------------------------------------------------------------------------------------

    def _list(self, *, after: str) -> dict[str, Any]:
        found = self.jobs().list(space=self.event.space, after=after, page_size=100)
        listed = [*islice((job for job in found if isinstance(job, Job) and job.status in OPEN), LISTED + 1)]
        following = listed[LISTED - 1].id if len(listed) > LISTED else ""
        return self.cards.jobs(listed[:LISTED], following=following)

    def _job(self, job_id: str) -> Job:
        """Give a job of this space; one of another space does not exist here."""
        unknown = UnknownJob(f"There is no job {job_id[:200]} in this space; `jobs` lists those there are")
        try:
            job = self.jobs().get(job_id)
        except UnknownJob:
            raise unknown from None
        if not self.event.space or job.space != self.event.space:
            raise unknown
        return job

    def _command(self, action: str, job_id: str) -> Reply:
        self._job(job_id)
        job: Job = getattr(self.jobs(), action)(job_id, by=self._by)
        self._log(f"job_{action}", job_id)
        return shows(self.cards.job(job, DONE[action]), replaces=True)

    @property
    def _by(self) -> str:
        return f"chat:{self.event.email}"

    def _log(self, action: str, job_id: str) -> None:
        fields = {"action": action, "job_id": job_id, "by": hashed(self.event.email)}
        log.info("Job %s: %s, asked for in Chat", job_id, action, extra={"fields": fields})

    # -- the agent -----------------------------------------------------------------------------------------------------

    def _ask_agent(self, text: str) -> Reply:
        agent = load_agent(self.agent)
        if agent is None:
            return self._help("I do not understand that")
        key = self._new_id(text)
        context = AgentContext(
            space=self.event.space,
            thread=self.event.thread or None,
            user=self.event.email,
            timezone=self.timezone,
            idempotency_key=key,
            now=self.now,
        )
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(as_message(agent(text, context)))
            except BaseException as exc:  # the user's code: whatever it raises must not cost the reply
                answers.put(exc)

        threading.Thread(target=copy_context().run, args=(ask,), daemon=True, name="agent").start()
        try:
            answer = answers.get(timeout=self.agent_limit.total_seconds())
        except queue.Empty:
            self.jobs().schedule("agent", {"prompt": text, **self._place}, id=key, space=self.event.space, by=self._by)
            self._log("agent_put_off", key)
            return says(LATER)
        if isinstance(answer, BaseException):
            log_failure("The agent", answer)
            return says(SORRY.format(self.trace_id))
        return Reply(message=answer)


def log_failure(who: str, exc: BaseException) -> None:
    """Log where something failed, and not the text of the error: it may quote what a person wrote."""
    fields = {"action": "chat_failed", "stack": "".join(traceback.format_tb(exc.__traceback__))}
    log.error("%s raised %s", who, type(exc).__name__, extra={"fields": fields})
