"""The reply to a person in Chat: commands create and manage the jobs of a space, the agent replies to the rest."""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agent_reply import Failed, Message, PutOff, ask_agent
from cards import EXAMPLES, Asker, Cards, moment_of, note, title
from chat_event import COMMANDS, Dialog, Event, Kind, text_in
from chat_reply import Reply, says, shows
from edit_form import Form, belongs_to, changes, form_of, unpacked_form
from job_words import Command, is_reminder, matching, nearest_clock, read_command
from markup import readable
from orders import NotUnderstood, Order, When, order_of
from shared.errors import InvalidInput
from shared.handlers.agent import ASKER, AgentContext, Proposal, in_parts
from shared.handlers.asking import Action, ActionKind, clicked, told
from shared.handlers.proposal import first_run, unpacked
from shared.jobs import AlreadyScheduled, Jobs, UnknownJob
from shared.logs import hashed
from shared.model.definition import InvalidJob
from shared.model.history import RunOutcome
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.recurrence import load_timezone
from shared.model.times import iso
from shared.model.value import Status

log = logging.getLogger("watchkeeper.chat")

LISTED = 8
OPEN = (Status.PENDING, Status.RUNNING, Status.PAUSED, Status.FAILED)
DONE = {
    "run": "It runs within a minute.",
    "pause": "It is paused.",
    "resume": "It goes on.",
    "cancel": "It is cancelled.",
    "retry": "It is tried again within a minute.",
}
SORRY = "Sorry, that did not work. My operator finds the reason in the log, under {}."
NOT_OURS = (
    "Nothing was done: I cannot verify that this button is mine. Write to me instead; jobs lists what is scheduled, "
    "with buttons that work."
)
NOT_YOURS = "Nothing is changed: only who asked for this may do that. Write to me to schedule something of your own."
NO_JOB = (
    "No job in this space fits {}; nothing is changed. jobs lists what is scheduled.",
    "There is no reminder in this thread to snooze. Write snooze in the thread of a reminder.",
)
NO_PROPOSAL = "My agent proposed a job that cannot be scheduled: {}. Nothing is scheduled."


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One event and what the reply needs. The jobs are opened only when a command needs them.

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
        """Return the reply to the event, or None without one. Raises WatchkeeperError."""
        if self.event.dialog is Dialog.CANCEL:
            return None
        match self.event.kind:
            case Kind.MESSAGE if self.event.unknown_command:
                return self._answer_unknown_command()
            case Kind.MESSAGE:
                return self._answer_text(self.event.text)
            case Kind.CLICKED:
                return self._answer_click(self.event.parameters)
            case Kind.ADDED:
                return self._help("Hello! I remind, post and ask at the times that you tell me")
            case _:
                return None

    def _answer_unknown_command(self) -> Reply | None:
        """Return the agent's answer to a command of the app's configuration that is not ours, or help without one."""
        event = self.event
        if not self.agent:
            return self._help("I do not know that command")
        kind: ActionKind = "message_action" if event.is_message_action else "command"
        about = event.source if event.is_message_action else {}
        return self._ask_agent(event.text, Action(kind=kind, name=event.unknown_command, message=about))

    def _answer_text(self, text: str) -> Reply | None:
        word, _, rest = text.partition(" ")
        if word.startswith("/") and word[1:].lower() in COMMANDS.values():
            return self._answer_text(text[1:])  # typed as a command that the app's configuration lacks
        match word.lower():
            case "help" | "" if not rest or self.event.is_command:
                return self._help("This is what I can do")
            case "jobs" if not rest or self.event.is_command:
                return shows(self._list(first=0))
            case "job" if not rest:
                return self._help("Say which job: job ID. The list of jobs shows their ids")
            case "job" if " " not in rest.strip():
                return shows(self.cards.job(self._job(rest.strip())))
        command = read_command(self._written(text))
        return (command and self._answer_command(command)) or self._answer_request(text, command)

    def _answer_command(self, command: Command) -> Reply | None:
        """Return the reply to a command about jobs, or None if no job of the space fits."""
        match command.action:
            case "list" | "mine":
                return shows(self._list(first=0, mine=command.action == "mine"))
            case "help":
                return self._help("This is what I can do")
            case "snooze":
                reminder = self._posted_here()
                return self._snooze(reminder, command.when) if reminder else None
        found = matching(command.about, self._open_jobs(), action=command.action, timezone=self.timezone)
        if found.is_sure:
            return self._act(command.action, found.jobs[0].id, command.when)
        more = {"when": command.when} if command.when else {}
        return shows(self.cards.which(found.jobs[:LISTED], command.action, **more)) if found.jobs else None

    def _act(self, action: str, job_id: str, when: str) -> Reply:
        return self._move(job_id, when) if action == "move" else self._command(action, job_id)

    def _answer_request(self, text: str, command: Command | None) -> Reply | None:
        """Return the reply to what asks for something new, or is for the agent; `command` is one that no job fits."""
        written = self._written(text)
        try:
            order = self._as_written(written, text) or self._understood(text, self.timezone)
        except NotUnderstood as exc:
            if self.agent and exc.is_for_agent and not self.event.is_command:
                return self._ask_agent(text)
            return self._unclear(exc, written, self._new_id(text), self._asker, self.timezone)
        if order:
            return self._confirm(order, written, self._new_id(text), self._asker)
        if self.event.is_command:
            return self._help("I do not understand that")
        if command and not self.agent:
            about = readable(command.about, self.event.names)[:100]
            return says(NO_JOB[command.action == "snooze"].format(repr(about)))
        return self._ask_agent(text)

    def _help(self, heading: str) -> Reply:
        about = "Write to me, or tap an example. Nothing is scheduled before you confirm it; jobs lists what is."
        return shows(self.cards.examples(heading, about, EXAMPLES))

    def _answer_click(self, given: Mapping[str, str]) -> Reply | None:
        action = given.get("action", "")
        if not self.cards.made(given):
            log.warning(
                "A button is refused: it is not shown to be ours", extra={"fields": {"action": "button_refused"}}
            )
            return says(NOT_OURS, for_one=True)
        match action:
            case "say":
                return self._answer_text(given.get("text", ""))
            case "list":
                first = given.get("first", "")
                at = int(first) if re.fullmatch("[0-9]{1,6}", first) else 0
                return shows(self._list(first=at, mine="mine" in given), replaces=True)
            case "confirm":
                return self._schedule(given)
            case "change":
                return self._change(given)
            case "proposed":
                return self._proposed(given)
            case "discard":
                return self._confirmed_before(given) or shows(note("Discarded; nothing is scheduled."), replaces=True)
            case "show":
                return shows(self.cards.job(self._job(given.get("id", ""))))
            case "move":
                return self._move(given.get("id", ""), given.get("when", ""))
            case "moved":
                return self._moved(given)
            case "edit":
                return self._edit(given.get("id", ""))
            case "edited":
                return self._edited(given)
            case "undo":
                return self._undo(given.get("id", ""), keeps_paused="paused" in given)
            case "snooze":
                return self._snooze(self._job(given.get("id", "")), given.get("when", ""))
            case "done":
                return shows(note(f"Done: {title(self._job(given.get('id', '')))}"), replaces=True)
            case _ if action in DONE:
                return self._command(action, given.get("id", ""))
        if self.agent:
            name, parameters = clicked(given, self.event.function)
            inputs, card = self.event.inputs, self.event.source
            return self._ask_agent(
                "", Action(kind="click", name=name, parameters=parameters, inputs=inputs, message=card)
            )
        log.warning("A button of Chat asks for what is not known", extra={"fields": {"action": "unknown_button"}})
        return None

    # -- making a job --------------------------------------------------------------------------------------------------

    def _understood(self, text: str, timezone: str) -> Order | None:
        # Imported when first needed, because it takes 100 ms of a cold start.
        from phrases import understand

        return understand(text, now=self.now, timezone=timezone)

    def _written(self, text: str) -> str:
        """Return a text of the event with its markup, where Chat gives that."""
        typed = self.event.formatted
        return {self.event.text: typed, self.event.text[1:]: typed[1:]}.get(text) or text

    def _as_written(self, written: str, text: str) -> Order | None:
        """Return the order as it is written with markup, unless that is read otherwise than without."""
        if written == text:
            return None
        with suppress(NotUnderstood):
            marked, plain = self._understood(written, self.timezone), self._understood(text, self.timezone)
            return marked if marked and plain and marked.when == plain.when else None
        return None

    @property
    def _asker(self) -> Asker:
        event = self.event
        name = "" if event.is_direct else event.display_name or event.email
        return Asker(user=event.user, email=event.email, name=name)

    def _asker_of(self, given: Mapping[str, str]) -> Asker:
        """Return who asked for what a button is about; a card from before buttons said so is of who taps it."""
        if "by" not in given:
            return self._asker
        return Asker(user=given.get("user", ""), email=given["by"], name=given.get("name", ""))

    def _confirm(self, order: Order, phrase: str, job_id: str, asker: Asker, *, replaces: bool = False) -> Reply:
        known = bool(self.event.timezone)
        card = self.cards.confirm(order, job_id=job_id, asker=asker, phrase=phrase, is_zone_known=known)
        return shows(card, replaces=replaces)

    def _unclear(self, exc: NotUnderstood, phrase: str, job_id: str, asker: Asker, timezone: str) -> Reply:
        return shows(
            self.cards.unclear(str(exc), exc.suggestions, job_id=job_id, asker=asker, timezone=timezone, phrase=phrase)
        )

    def _change(self, given: Mapping[str, str]) -> Reply | None:
        """Read the request again as it stands on a button or in the card's fields, in the zone that stands there."""
        asker = self._asker_of(given)
        if asker.email != self.event.email:
            return says(NOT_YOURS, for_one=True)  # what is changed would run as somebody who has not said it
        filled = self.event.filled if self.cards.takes_fields else lambda name: ""
        phrase = given.get("phrase") or filled("phrase")
        timezone = filled("timezone") or given.get("timezone") or self.timezone
        job_id = given.get("id", "")
        try:
            order = self._understood(phrase, timezone)
        except NotUnderstood as exc:
            if self.agent and exc.is_for_agent:
                return self._ask_agent(phrase)
            return self._unclear(exc, phrase, job_id, asker, timezone)
        if order:
            return self._confirm(order, phrase, job_id, asker, replaces=True)
        if self.agent:
            return self._ask_agent(phrase)
        return self._help("I do not understand that as something to schedule")

    def _confirmed_before(self, given: Mapping[str, str]) -> Reply | None:
        """Return the card of a job that was confirmed before, perhaps by another person."""
        try:
            return shows(self.cards.job(self._job(given.get("id", "")), "This was confirmed before."), replaces=True)
        except UnknownJob:
            return None

    def _schedule(self, given: Mapping[str, str]) -> Reply:
        order = order_of(unpacked(given.get("order", "")), self.timezone)
        asker = self._asker_of(given)
        if asker.email != self.event.email and "anyone" not in given:
            return says(NOT_YOURS, for_one=True)
        when = order.when
        if when.at is not None and not when.recurs and when.at < self.now - timedelta(minutes=1):
            over = shows(note("That time has passed; nothing is scheduled. Repeat the command."), replaces=True)
            return self._confirmed_before(given) or over
        job_type, payload = self._payload(order, asker, given.get("id", ""))
        try:
            scheduled = self.jobs().schedule(
                job_type,
                payload,
                id=given.get("id", ""),
                at=when.at,
                cron=when.cron,
                every=when.every,
                until=when.until,
                except_dates=when.except_dates,
                timezone=order.timezone,
                space=self.event.space,
                by=f"chat:{asker.email}",
                confirmed_by=self._by,
            )
        except AlreadyScheduled:
            raise InvalidInput("This was confirmed before, in another form; jobs shows it.") from None
        if scheduled.outcome == "created":
            self._log("job_created", scheduled.job.id)
        elif scheduled.job.status not in OPEN:
            return shows(self.cards.job(scheduled.job, "This was confirmed before."), replaces=True)
        return shows(self.cards.scheduled(scheduled.job), replaces=True)

    def _payload(self, order: Order, asker: Asker, job_id: str) -> tuple[str, dict[str, Any]]:
        if order.kind == "ask":
            asked = {"prompt": order.text, "timezone": order.timezone, "space_kind": self.event.space_kind}
            return "agent", {**asked, **asker.told, **self._place}
        if order.kind == "post":
            return "chat_message", {"text": order.text, **self._place}
        mention = "<users/all> " if order.everybody else f"<{asker.user}> " if asker.user else ""
        buttons = {"cardsV2": self.cards.reminder(job_id)}
        return "chat_message", {"text": f"{mention}{order.text}", **buttons, **self._place}

    @property
    def _place(self) -> dict[str, str]:
        return {"space": self.event.space, **({"thread": self.event.thread} if self.event.thread else {})}

    def _new_id(self, text: str) -> str:
        """Return a job's id, derived from the message or the click: the same if Chat delivers it again."""
        click = self.event.sent_at if self.event.kind is Kind.CLICKED else ""  # a card may be tapped again, and anew
        return hashlib.sha256(f"{self.event.message}\n{click}\n{text}".encode()).hexdigest()[:10]

    # -- managing jobs -------------------------------------------------------------------------------------------------

    def _list(self, *, first: int, mine: bool = False) -> dict[str, Any]:
        """Return the jobs of the space, or the person's own, the next to run first, from the given place on."""
        mine = mine and not self.event.is_direct  # there all are
        listed = [job for job in self._open_jobs() if not mine or belongs_to(job, self.event.email)]
        first = first if first < len(listed) else 0
        more = first + LISTED if len(listed) > first + LISTED else None
        return self.cards.jobs(
            listed[first : first + LISTED], back=max(first - LISTED, 0) if first else None, more=more, mine=mine
        )

    def _open_jobs(self) -> list[Job]:
        """Read the jobs of the space that are not over, the next to run first. What is over is not even read."""
        jobs = self.jobs()
        found = [each for status in OPEN for each in jobs.list(status=status, space=self.event.space, page_size=100)]
        unique = {job.id: job for job in found if isinstance(job, Job)}  # one may change between two of the queries
        return sorted(unique.values(), key=lambda job: (job.ready_at is None, job.ready_at or job.schedule_at, job.id))

    def _job(self, job_id: str) -> Job:
        """Return a job of this space. Raises UnknownJob, also for a job of another space."""
        unknown = UnknownJob(f"There is no job {job_id[:200]} in this space; jobs lists them.")
        try:
            job = self.jobs().get(job_id)
        except (UnknownJob, InvalidJob):  # nobody knows whose a document is that cannot be read
            raise unknown from None
        if not self.event.space or job.space != self.event.space:
            raise unknown
        return job

    def _command(self, action: str, job_id: str) -> Reply:
        return self._change_job(action, job_id, lambda jobs: getattr(jobs, action)(job_id, by=self._by), DONE[action])

    def _change_job(self, action: str, job_id: str, change: Callable[[Jobs], Job], done: str) -> Reply:
        """Change a job of this space once, however often Chat delivers the event, and show it."""
        job = self._job(job_id)
        was_paused = job.status is Status.PAUSED
        if self.event.sent_at is not None and job.updated_at is not None and self.event.sent_at <= job.updated_at:
            # The event itself, delivered again, or one that was overtaken by another.
            return shows(
                self.cards.job(job, "Nothing changed: the job was changed after this was sent."), replaces=True
            )
        try:
            job = change(self.jobs())
        except NotPossible:
            return shows(self.cards.job(self._job(job_id), "Nothing changed: that is not possible now."), replaces=True)
        self._log(f"job_{action}", job_id)
        return shows(self.cards.job(job, done, was_paused=was_paused), replaces=True)

    def _move(self, job_id: str, words: str) -> Reply:
        """Ask whether to move a job to the time that the words say. A bare clock time keeps the day, or the days."""
        job = self._job(job_id)
        try:
            return shows(self.cards.move(job, self._new_time(job, words)))
        except InvalidInput as exc:
            return shows(self.cards.job(job, f"Nothing changed: {exc}"))

    def _new_time(self, job: Job, words: str) -> When:
        from phrase_times import read_when  # see `_understood`

        timezone = (job.timezone if job.is_recurring else None) or self.timezone
        local = (job.regular_at or job.schedule_at).astimezone(load_timezone(timezone))
        clock = nearest_clock(words, local)
        if job.is_recurring:
            minute, hour, *days = (job.cron or "").split() or ("", "")
            if clock is None or not (minute.isdigit() and hour.isdigit()):
                raise InvalidInput("only the clock time of what runs once a day can be moved; schedule it anew")
            return When(cron=" ".join([str(clock[1]), str(clock[0]), *days]))
        if clock is not None:
            words = f"on {local.date()} at {clock[0]:02}:{clock[1]:02}"
        asked = read_when(words, now=self.now, timezone=timezone)
        if asked.recurs or asked.at is None:
            raise InvalidInput("it runs once; cancel it, and schedule what is to recur anew")
        return asked

    def _moved(self, given: Mapping[str, str]) -> Reply:
        job_id, cron = given.get("id", ""), given.get("cron")
        try:
            at = moment_of(given.get("at"))
        except (ValueError, OverflowError):
            at = None
        if at is None and cron is None:
            raise InvalidInput("this card can no longer be used; repeat the command")
        if at is not None and at < self.now:
            return shows(self.cards.job(self._job(job_id), "Nothing changed: that time has passed."), replaces=True)
        return self._change_job(
            "edit", job_id, lambda jobs: jobs.edit(job_id, at=at, cron=cron, by=self._by), "It is moved."
        )

    def _edit(self, job_id: str) -> Reply:
        """Show the dialog that edits a job."""
        job = self._job(job_id)
        form = form_of(job, timezone=self.timezone, email=self.event.email, read=self._read)
        return shows(self.cards.edit(job, form, form), is_dialog=True)

    def _edited(self, given: Mapping[str, str]) -> Reply:
        """Change a job as its dialog was filled in, or show the dialog again with what is wrong."""
        if not self.cards.takes_fields:
            return says(NOT_OURS, for_one=True)
        job, was = self._job(given.get("id", "")), unpacked_form(given.get("was", ""))
        has_text = was.text is not None and belongs_to(job, self.event.email)
        filled = Form(
            text=self.event.filled("text") if has_text else None,
            when=self.event.filled("when"),
            timezone=self.event.filled("timezone"),
            until=None if was.until is None else self.event.filled("until"),
        )
        try:
            changed = changes(job, was, filled, read=self._read)
            if not changed:
                return shows(self.cards.job(job, "Nothing changed."))
            return self._change_job(
                "edit", job.id, lambda jobs: jobs.edit(job.id, by=self._by, **changed), "It is changed."
            )
        except InvalidInput as exc:
            return shows(self.cards.edit(job, filled, was, str(exc)), is_dialog=True)

    def _read(self, phrase: str, timezone: str) -> When:
        from phrases import read_schedule  # see `_understood`

        return read_schedule(phrase, now=self.now, timezone=timezone)

    def _undo(self, job_id: str, *, keeps_paused: bool) -> Reply:
        """Schedule a cancelled job again, in the rhythm that it had; one that was paused stays paused."""
        job = self._job(job_id)
        if job.status is not Status.CANCELLED:
            return shows(self.cards.job(job, "Nothing changed: it is not cancelled."), replaces=True)
        at = job.schedule.after(self.now) if job.is_recurring else job.schedule_at
        if at is None or at <= self.now:
            return shows(self.cards.job(job, "Nothing changed: its time has passed."), replaces=True)

        def undone(jobs: Jobs) -> Job:
            back = jobs.edit(job_id, by=self._by, at=at, cron=job.cron, every=job.every)
            return jobs.pause(job_id, by=self._by) if keeps_paused else back

        done = "It is back, and still paused." if keeps_paused else "It is back."
        return self._change_job("undo", job_id, undone, done)

    def _posted_here(self) -> Job | None:
        """Return the reminder that was posted last in the thread of the event.

        In a direct message it is the last one of all: each message there has a new thread.
        """
        found = self.jobs().list(space=self.event.space) if self.event.thread else ()
        posted = [
            job
            for job in found
            if isinstance(job, Job)
            and is_reminder(job)
            and (self.event.is_direct or job.payload.get("thread") == self.event.thread)
            and _posted_at(job)
        ]
        return max(posted, key=lambda job: (_posted_at(job), job.id), default=None)

    def _snooze(self, reminder: Job, words: str) -> Reply:
        """Post a reminder once more, at the time that the words say; it still belongs to who asked for it."""
        if not is_reminder(reminder):
            raise InvalidInput("only a reminder can be snoozed")
        job_id = self._new_id(f"snooze {reminder.id}")
        payload = {**reminder.payload, "cardsV2": self.cards.reminder(job_id)}
        by, at = reminder.created_by, self._snoozed_until(words)
        try:
            job = (
                self.jobs()
                .schedule(
                    "chat_message", payload, id=job_id, at=at, space=self.event.space, by=by, confirmed_by=self._by
                )
                .job
            )
            self._log("job_snoozed", job_id)
        except AlreadyScheduled:  # by the same event, which was delivered twice
            job = self._job(job_id)
        return shows(self.cards.snoozed(job), replaces=True)

    def _snoozed_until(self, words: str) -> datetime:
        from phrase_times import read_when  # see `_understood`

        for phrase in (f"in {words}", words):
            with suppress(InvalidInput):
                asked = read_when(phrase, now=self.now, timezone=self.timezone)
                if asked.at is not None and not asked.recurs:
                    return asked.at
        raise InvalidInput("I do not see until when. Write, for example: snooze 10 minutes, or: snooze until tomorrow.")

    @property
    def _by(self) -> str:
        return f"chat:{self.event.email}"

    def _log(self, action: str, job_id: str) -> None:
        fields = {"action": action, "job_id": job_id, "by": hashed(self.event.email)}
        log.info("Job %s: %s, asked for in Chat", job_id, action, extra={"fields": fields})

    # -- the agent -----------------------------------------------------------------------------------------------------

    def _ask_agent(self, text: str, action: Action | None = None) -> Reply | None:
        if not self.agent:
            return self._help("I do not understand that")
        job_id, asked_at = self._new_id(text or (action.name if action else "")), self.event.sent_at or self.now
        context = self._context(f"{job_id}@{iso(asked_at)}", action)  # the key of the job, if the answer becomes one
        answer = ask_agent(self.agent, text, context, open_jobs=self.jobs, limit=self.agent_limit)
        match answer:
            case Message():
                first, *rest = in_parts(self.cards.routed(answer.content))
                self._post_rest(rest, job_id, asked_at)
                return Reply(message=first, replaces=answer.replaces)
            case Proposal():
                return self._propose(answer, self.timezone, self._new_id(f"proposal {text}"), self._asker, phrase=text)
            case PutOff():
                self._put_off(text, context, job_id, asked_at)
                return says(answer.says)
            case Failed():
                return says(SORRY.format(self.trace_id))
        return None

    def _post_rest(self, parts: Sequence[Mapping[str, Any]], job_id: str, asked_at: datetime) -> None:
        """Let jobs post what does not fit into a reply; one runs after another, in the order of their times."""
        for number, part in enumerate(parts, 2):
            with suppress(AlreadyScheduled):  # by the same event, which was delivered twice
                self.jobs().schedule(
                    "chat_message",
                    {**part, **self._place},
                    id=f"{job_id}-{number}",
                    at=asked_at + timedelta(microseconds=number),
                    space=self.event.space,
                    by=self._by,
                )

    def _context(self, key: str, action: Action | None) -> AgentContext:
        event = self.event
        wrote = event.kind is Kind.MESSAGE and not event.is_message_action
        source = event.source if wrote else {}
        attachments, quoted, url = (source.get(name) for name in ("attachment", "quotedMessageMetadata", "matchedUrl"))
        return AgentContext(
            space=event.space,
            thread=event.thread or None,
            user=event.email,
            timezone=self.timezone,
            idempotency_key=key,
            now=self.now,
            space_kind=event.space_kind,
            display_name=event.display_name,
            user_name=event.user,
            locale=event.locale,
            message_name=event.message if wrote else "",
            formatted_text=text_in(source, "formattedText"),
            attachments=tuple(each for each in attachments if isinstance(each, Mapping))
            if isinstance(attachments, list)
            else (),
            quoted=quoted if isinstance(quoted, Mapping) else None,
            matched_url=text_in(url, "url"),
            action=action,
        )

    def _put_off(self, text: str, context: AgentContext, job_id: str, asked_at: datetime) -> None:
        """Let a job ask the agent, which is told the same."""
        known = {name: getattr(context, name) for name in ("timezone", *ASKER) if name != "session_key"}
        asked = told(context)
        payload = {**{name: value for name, value in known.items() if value}, **({"asked": asked} if asked else {})}
        with suppress(AlreadyScheduled):  # by the same event, which was delivered twice
            self.jobs().schedule(
                "agent",
                {"prompt": text, **payload, **self._place},
                id=job_id,
                at=asked_at,
                space=self.event.space,
                by=self._by,
            )
        self._log("agent_put_off", job_id)

    def _propose(
        self, proposal: Proposal, timezone: str, job_id: str, asker: Asker, *, phrase: str = "", replaces: bool = False
    ) -> Reply:
        """Show what the agent proposes as the card that people get for what they ask for."""
        try:
            first = first_run(proposal, timezone, self.now)
        except InvalidInput as exc:
            return says(NO_PROPOSAL.format(exc))
        if proposal.every and proposal.at is None:
            proposal = replace(proposal, at=first)  # the card and the job then count from the same moment
        return self._confirm(order_of(proposal, timezone), phrase, job_id, asker, replaces=replaces)

    def _proposed(self, given: Mapping[str, str]) -> Reply:
        """Show the proposal that a job has posted."""
        packed = given.get("proposal", "")
        asker, job_id = self._asker_of(given), self._new_id(f"proposal {packed}")
        zone = given.get("timezone") or self.timezone
        return self._propose(unpacked(packed), zone, job_id, asker, replaces=True)


def _posted_at(job: Job) -> datetime | None:
    """Return when a job last did what it is for."""
    return max(
        (run.ended_at for run in job.recent_runs if run.outcome is RunOutcome.COMPLETED and run.ended_at), default=None
    )
