"""The cards that the webhook replies with. They are values: nothing here reads or changes anything.

https://developers.google.com/workspace/chat/api/reference/rest/v1/cards
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from card_parts import Buttons, Card, Widget, card, escape, field, row, short, text
from edit_form import EditForm, why_fixed
from job_words import OPEN, text_of
from markup import readable
from orders import Asker, Order, When, proposal_of
from shared.handlers.proposal import packed
from shared.model.history import Run
from shared.model.job import Job
from shared.model.job_text import REMINDER, TEXTS
from shared.model.recurrence import load_timezone, oddities
from shared.model.times import iso
from shared.model.value import Status
from shared.model.wording import (
    clock_change,
    for_space,
    local_time,
    occurrences,
    person,
    when,
    where_to_look,
    why,
)

RUNS_SHOWN = 3
RUNS_SHOWN_WITH_NOTE = 5
LONGEST_PHRASE = 4000  # characters in a field; Chat takes a message of at most 32,000 bytes, cards included
FORMS = "Put the time first or last, for example: tomorrow at 9:00, in 20 minutes, every monday at 9:00."
OFFERED = {
    Status.PENDING: ("run", "pause", "cancel"),
    Status.RUNNING: ("pause", "cancel"),
    Status.PAUSED: ("run", "resume", "cancel"),
    Status.FAILED: ("retry", "cancel"),
    Status.COMPLETED: ("run",),
    Status.CANCELLED: ("undo",),
}
SNOOZES = {"Snooze 10 min": "in 10 minutes", "Snooze 1 h": "in 1 hour", "Tomorrow": "tomorrow"}
MORE = {"show": "Why?", "list": "All jobs"}
LABELS = {
    "run": "Run now",
    "pause": "Pause",
    "resume": "Resume",
    "cancel": "Cancel",
    "retry": "Retry",
    "move": "Move",
    "undo": "Undo",
    "show": "Show",
}


class Cards:
    """Makes cards about jobs, with times in `timezone`."""

    def __init__(self, buttons: Buttons, *, timezone: str, now: datetime) -> None:
        self._buttons = buttons
        self._timezone = timezone
        self._now = now

    def confirm(self, order: Order, *, job_id: str, asker: Asker, phrase: str, is_zone_known: bool = True) -> Card:
        """Return the card that shows an order and asks for Confirm; nothing is scheduled yet.

        Only the person who asked may change it. In a space others may confirm it, and the card says so.
        """
        given = {"id": job_id, **asker.parameters, "timezone": order.timezone}
        anyone = {"anyone": "yes"} if asker.name else {}
        ordered = {"order": packed(proposal_of(order)), **anyone}
        confirm = self._buttons.make("Confirm", "confirm", id=job_id, **asker.parameters, **ordered)
        change = (self._buttons.make("Change", "change", **given),) if self._buttons.takes_fields else ()
        widgets = [self._times(order), text(readable(_doing(order), self._buttons.names))]
        if anyone:
            widgets.append(text(f"{asker.name} asked for this. Anyone in this space can confirm it; it stays theirs."))
        if not is_zone_known:
            widgets.append(text(f"Chat did not tell me your time zone, so I used {order.timezone}."))
        if order.others:
            others = (self._buttons.make(command, "change", **given, phrase=command) for command in order.others)
            widgets += [text("Or did you mean:"), row(*others)]
        if self._buttons.takes_fields:
            widgets.append(_phrase_field(phrase))
        if self._buttons.takes_fields and not is_zone_known:
            widgets.append(field("timezone", "Your time zone, such as Europe/Berlin", order.timezone))
        discard = self._buttons.make("Discard", "discard", id=job_id)
        return card("Shall I do this?", *widgets, row(confirm, *change, discard))

    def unclear(
        self, says: str, suggestions: Iterable[str], *, job_id: str, asker: Asker, timezone: str, phrase: str
    ) -> Card:
        """Return the card that asks to word a request differently, with buttons for what may be meant."""
        commands = [self._buttons.make(command, "say", text=command) for command in suggestions]
        widgets = [text("Did you mean:"), row(*commands)] if commands else [text(f"{FORMS} Nothing is scheduled.")]
        if self._buttons.takes_fields:
            change = self._buttons.make("Change", "change", id=job_id, **asker.parameters, timezone=timezone)
            widgets += [_phrase_field(phrase), row(change)]
        return card(says, *widgets)

    def scheduled(self, job: Job) -> Card:
        """Return the card of a job that was just scheduled."""
        job = for_space(job)
        says = text(f"{self._next(job)}\nIts id is {job.id}.")
        return card(f"Scheduled: {title(job)}", says, self._commands(job, "edit"), subtitle=self._clocks)

    def jobs(self, jobs: Sequence[Job], *, back: int | None, more: int | None, mine: bool = False) -> Card:
        """Return the list of jobs, each with its buttons; `back` and `more` are where the other pages begin.

        With `mine` it lists the jobs of one person.
        """
        if not jobs and mine:
            everything = row(self._buttons.make(MORE["list"], "list"))
            return card("You have nothing scheduled in this space", everything)
        if not jobs:
            return self._buttons.examples("There is nothing scheduled in this space", "Try one of these:")
        sections = [{"widgets": [self._summary(for_space(job)), self._commands(job, "show")]} for job in jobs]
        pages = {"Back": back, "More": more}
        whose = {"mine": "yes"} if mine else {}
        turns = [
            self._buttons.make(label, "list", first=str(at), **whose) for label, at in pages.items() if at is not None
        ]
        turns += [self._buttons.make(MORE["list"], "list")] if mine else []
        if turns:
            sections.append({"widgets": [row(*turns)]})
        heading = "What you have scheduled in this space" if mine else "What is scheduled in this space"
        return {"header": {"title": heading, "subtitle": self._clocks}, "sections": sections}

    def which(self, jobs: Sequence[Job], action: str, *, more: int = 0, **given: str) -> Card:
        """Return the card that asks which job is meant; each has a button for the command. `more` others fit too."""
        sections = [
            {
                "widgets": [
                    self._summary(for_space(job)),
                    row(self._buttons.make(LABELS[action], action, id=job.id, **given)),
                ]
            }
            for job in jobs
        ]
        if more:
            sections.append({"widgets": [text(f"{more} more fit. Write more of the text to find one of them.")]})
        return {"header": {"title": "Which one do you mean?", "subtitle": self._clocks}, "sections": sections}

    def move(self, job: Job, order: When) -> Card:
        """Return the card that asks whether to move a job to another time; nothing is changed yet."""
        job = for_space(job)
        to = {"at": iso(order.at)} if order.at else {"cron": str(order.cron)}
        new = (
            local_time(order.at, self._timezone) if order.at else when(order.schedule(job.timezone or "UTC", self._now))
        )
        old = when(job.schedule) if job.is_recurring else local_time(job.schedule_at, self._timezone)
        buttons = row(
            self._buttons.make("Move", "moved", id=job.id, was=time_of(job), **to),
            self._buttons.make("Keep", "show", id=job.id),
        )
        times = text(f"From: {old}\nTo: {new}")
        return card(f"Shall I move this? {title(job)}", times, buttons, subtitle=self._clocks)

    def job(self, job: Job, note: str = "", *, was_paused: bool = False) -> Card:
        """Return the card of one job: why it runs or does not, and its last runs."""
        job = for_space(job)
        now = max(self._now, job.updated_at or self._now)  # the job may have been changed a moment after
        lines = [note, why(job, now, self._timezone), self._schedule(job), f"Made by {person(job.created_by)}."]
        lines.append(self._run_now(job))
        lines.append(where_to_look(job) if any(run.error for run in job.recent_runs) else "")
        runs = "\n".join(self._run(run) for run in reversed(job.recent_runs)) or "It has not run yet."
        commands = self._commands(job, "edit", "list", was_paused=was_paused)
        widgets = [text("\n".join(filter(None, lines))), text(f"Last runs:\n{runs}"), commands]
        return {
            "header": {"title": title(job), "subtitle": f"{job.id}, {job.status}. {self._clocks}"},
            "sections": [{"widgets": widgets}],
        }

    def edit(self, job: Job, form: EditForm, was: str, problem: str = "") -> Card:
        """Return the dialog that edits a job; a problem with the input stands above the fields.

        `was` is the form as it was opened, packed.
        """
        described = {
            "text": ("Text", form.text),
            "when": ("When, such as every weekday at 9:00, or tomorrow at 8", form.when),
            "timezone": ("Time zone, such as Europe/Berlin", form.timezone),
            "until": ("Last day, such as 2027-01-05; empty for no end", form.until),
        }
        inputs = [field(name, label, value) for name, (label, value) in described.items() if value is not None]
        if form.text is not None:
            inputs[0]["textInput"]["type"] = "MULTIPLE_LINE"
        notes = [text(f"Nothing is changed yet: {problem}")] if problem else []
        save = self._buttons.make("Save", "edited", id=job.id, was=was)
        notes += [text(why_fixed(job))] if form.text is None and job.job_type in TEXTS else []
        return card(f"Edit: {title(job)}", *notes, *inputs, row(save))

    def reminder(self, job_id: str) -> list[dict[str, Any]]:
        """Return the cards of a posted reminder: buttons to snooze it, or to mark it as done."""
        snoozes = [self._buttons.make(label, "snooze", id=job_id, when=words) for label, words in SNOOZES.items()]
        buttons = row(*snoozes, self._buttons.make("Done", "done", id=job_id))
        return [{"cardId": REMINDER, "card": {"sections": [{"widgets": [buttons]}]}}]

    def snoozed(self, job: Job) -> Card:
        """Return the card of a reminder that will be posted again."""
        says = f"The next reminder is at {local_time(job.schedule_at, self._timezone)}. Its id is {job.id}."
        cancel = row(self._buttons.make("Cancel", "cancel", id=job.id))
        return card(f"Snoozed: {title(job)}", text(says), cancel, subtitle=self._clocks)

    # -- parts ---------------------------------------------------------------------------------------------------------

    @property
    def _clocks(self) -> str:
        """Return whose clocks a card shows: everybody in a space sees it, also in other time zones."""
        return f"Times are in {self._timezone}."

    def _times(self, order: Order) -> Widget:
        asked, zone = order.when, order.timezone
        lines = [f"{self._local(asked.at or self._now, zone)} ({zone})"]
        if asked.is_recurring:
            schedule = asked.schedule(zone, self._now)
            odd = [f"Note: {each}." for each in oddities(asked.cron or "")]
            count = RUNS_SHOWN_WITH_NOTE if odd else RUNS_SHOWN
            following = (self._local(at, zone) for at in occurrences(schedule, self._now, count))
            lines = [when(schedule), *odd, "Next:", *following]
        return text("\n".join(filter(None, [*lines, asked.note])))

    def _local(self, moment: datetime, timezone: str) -> str:
        change = clock_change(moment.astimezone(load_timezone(timezone)))
        return f"{local_time(moment, timezone)}{f' ({change})' if change else ''}"

    def _run_now(self, job: Job) -> str:
        """Return what Run now does, or did, to the regular run, or "" if it is not offered."""
        if "run" not in OFFERED[job.status]:
            return ""
        if job.status is Status.COMPLETED:
            return "Run now repeats it once."
        if not job.is_recurring:
            return "Run now runs it now instead of later."
        if job.regular_at is not None:
            return f"That is an extra run; the regular one at {local_time(job.regular_at, self._timezone)} stays."
        if job.attempts or job.ready_at != job.schedule_at:
            return ""
        return f"Run now is an extra run; the one at {local_time(job.schedule_at, self._timezone)} stays."

    def _next(self, job: Job) -> str:
        return f"{self._schedule(job)} {why(job, self._now, self._timezone)}".strip()

    def _schedule(self, job: Job) -> str:
        return f"{when(job.schedule)}." if job.is_recurring else ""

    def _summary(self, job: Job) -> Widget:
        says = {"topLabel": f"{job.status}, {job.id}", "text": escape(title(job)), "bottomLabel": self._next(job)}
        return {"decoratedText": {**says, "wrapText": True}}

    def _run(self, run: Run) -> str:
        when = local_time(run.started_at or run.schedule_at, self._timezone)
        return f"{when}: {run.outcome}{f', {run.error}' if run.error else ''}"

    def _commands(self, job: Job, *more: str, was_paused: bool = False) -> Widget:
        """Return the buttons of a job. Undo keeps a job paused if it was paused before it was cancelled."""
        paused = {"paused": "yes"} if was_paused else {}
        buttons = [
            self._buttons.make(LABELS[action], action, id=job.id, **(paused if action == "undo" else {}))
            for action in OFFERED[job.status]
        ]
        if "edit" in more:
            if self._buttons.takes_fields and job.status in OPEN:
                buttons.append(self._buttons.make("Edit", "edit", id=job.id))
            more = tuple(each for each in more if each != "edit")
        return row(*buttons, *(self._buttons.make(MORE[action], action, id=job.id) for action in more))


def time_of(job: Job) -> str:
    """Return when a job runs, as a card to move it holds it, to notice that it was changed since."""
    return job.cron or iso(job.schedule_at)


def title(job: Job) -> str:
    """Return a job's title for people: its text or prompt, or else its type."""
    return short(readable(text_of(job)), 80)


def _phrase_field(phrase: str) -> Widget:
    return field("phrase", "Say it differently, then tap Change", short(phrase, LONGEST_PHRASE))


def _doing(order: Order) -> str:
    match order.kind:
        case "ask":
            return f"I will ask the agent: {order.text}"
        case "post":
            return f"I will post: {order.text}"
        case _:
            return f"I will remind {'everybody' if order.everybody else 'you'}: {order.text}"
