"""The cards that the webhook replies with. They are values: nothing here reads or changes anything.

https://developers.google.com/workspace/chat/api/reference/rest/v1/cards
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from html import escape as escape_html
from typing import Any

from phrases import Order
from seal import NAME as SEAL
from seal import Seal
from shared.model.history import Run
from shared.model.job import Job
from shared.model.recurrence import Recurrence, load_timezone
from shared.model.times import iso
from shared.model.value import Status
from shared.model.wording import clock_change, for_space, in_words, local_time, occurrences, person, where_to_look, why

escape = partial(escape_html, quote=False)

Card = dict[str, Any]
Widget = dict[str, Any]

RUNS_SHOWN = 3
EXAMPLES = (
    "remind me in 20 minutes to stretch",
    "remind us tomorrow at 9:00 to send the report",
    'every weekday at 9:00 post "stand-up"',
    'every weekday at 9:00 ask "summarise my inbox"',
    'cron 0 9 1 * * post "a new month"',
    "jobs",
)
BUTTONS = {
    Status.PENDING: ("run", "pause", "cancel"),
    Status.RUNNING: ("pause", "cancel"),
    Status.PAUSED: ("run", "resume", "cancel"),
    Status.FAILED: ("retry", "cancel"),
    Status.COMPLETED: ("run",),
    Status.CANCELLED: (),
}
MORE = {"show": "Why?", "list": "All jobs"}
LABELS = {"run": "Run now", "pause": "Pause", "resume": "Resume", "cancel": "Cancel", "retry": "Retry"}


class Cards:
    """Makes cards whose buttons call `function` and whose times are those of `timezone`.

    With a `seal` each button carries a mark, and only a button with its mark counts.
    """

    def __init__(self, *, function: str, timezone: str, now: datetime, seal: Seal | None = None) -> None:
        self._function = function
        self._timezone = timezone
        self._now = now
        self._seal = seal

    def made(self, parameters: Mapping[str, str]) -> bool:
        """Return whether a button with these parameters is ours; True without a seal. Raises StoreUnavailable."""
        return self._seal is None or self._seal.holds(parameters)

    def confirm(self, order: Order, *, job_id: str, user: str, phrase: str) -> Card:
        """Return the card that shows an order and asks for Confirm; nothing is scheduled yet."""
        confirm = self._button("Confirm", "confirm", id=job_id, user=user, order=_packed(order))
        discard = self._button("Discard", "discard", id=job_id)
        field = {"name": "phrase", "label": "Say it differently, then tap Change", "value": phrase}
        change = self._button("Change", "change", id=job_id, user=user)
        says = (self._times(order), _text(_doing(order)))
        if self._seal:  # no mark says who has filled in the field
            return _card("Shall I do this?", *says, self._buttons(confirm, discard))
        return _card("Shall I do this?", *says, {"textInput": field}, self._buttons(confirm, change, discard))

    def scheduled(self, job: Job) -> Card:
        """Return the card of a job that was just scheduled."""
        job = for_space(job)
        return _card(f"Scheduled: {title(job)}", _text(f"{self._next(job)}\nIts id is {job.id}."), self._commands(job))

    def jobs(self, jobs: Sequence[Job], *, back: int | None, more: int | None) -> Card:
        """Return the list of jobs, each with its buttons; `back` and `more` are where the other pages begin."""
        if not jobs:
            return self.examples("There is nothing scheduled in this space", "Try one of these:", EXAMPLES)
        sections = [{"widgets": [self._summary(for_space(job)), self._commands(job, "show")]} for job in jobs]
        pages = {"Back": back, "More": more}
        if turns := [self._button(label, "list", first=str(at)) for label, at in pages.items() if at is not None]:
            sections.append({"widgets": [self._buttons(*turns)]})
        return {"header": {"title": "What is scheduled in this space"}, "sections": sections}

    def job(self, job: Job, note: str = "") -> Card:
        """Return the card of one job: why it runs or does not, and its last runs."""
        job = for_space(job)
        now = max(self._now, job.updated_at or self._now)  # the job may have been changed a moment after
        lines = [note, why(job, now, self._timezone), self._schedule(job), f"Made by {person(job.created_by)}."]
        lines.append(where_to_look(job) if any(run.error for run in job.recent_runs) else "")
        runs = "\n".join(self._run(run) for run in reversed(job.recent_runs)) or "It has not run yet."
        widgets = [_text("\n".join(filter(None, lines))), _text(f"Last runs:\n{runs}"), self._commands(job, "list")]
        return {
            "header": {"title": title(job), "subtitle": f"{job.id}, {job.status}"},
            "sections": [{"widgets": widgets}],
        }

    def examples(self, heading: str, says: str, commands: Iterable[str]) -> Card:
        """Return a card with commands to tap."""
        buttons = (self._button(command, "say", text=command) for command in commands)
        return _card(heading, _text(says), self._buttons(*buttons))

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _times(self, order: Order) -> Widget:
        if order.cron is None:
            return _text(f"{self._local(order.at or self._now, order.timezone)} ({order.timezone})")
        following = occurrences(Recurrence(order.cron, order.timezone), self._now, RUNS_SHOWN)
        words = in_words(order.cron) or order.cron
        lines = [f"{words} ({order.timezone})", "Next:", *(self._local(moment, order.timezone) for moment in following)]
        return _text("\n".join(lines))

    def _local(self, moment: datetime, timezone: str) -> str:
        change = clock_change(moment.astimezone(load_timezone(timezone)))
        return f"{local_time(moment, timezone)}{f' ({change})' if change else ''}"

    def _next(self, job: Job) -> str:
        return f"{self._schedule(job)} {why(job, self._now, self._timezone)}".strip()

    def _schedule(self, job: Job) -> str:
        return "" if job.cron is None else f"{in_words(job.cron) or job.cron} ({job.timezone or 'UTC'})."

    def _summary(self, job: Job) -> Widget:
        says = {"topLabel": f"{job.status}, {job.id}", "text": escape(title(job)), "bottomLabel": self._next(job)}
        return {"decoratedText": {**says, "wrapText": True}}

    def _run(self, run: Run) -> str:
        when = local_time(run.started_at or run.schedule_at, self._timezone)
        return f"{when}: {run.outcome}{f', {run.error}' if run.error else ''}"

    def _commands(self, job: Job, *more: str) -> Widget:
        buttons = [self._button(LABELS[action], action, id=job.id) for action in BUTTONS[job.status]]
        return self._buttons(*buttons, *(self._button(MORE[action], action, id=job.id) for action in more))

    def _button(self, label: str, action: str, **parameters: str) -> Widget:
        named = {"action": action, **parameters}
        if self._seal:
            named[SEAL] = self._seal.of(named)
        pairs = [{"key": name, "value": value} for name, value in named.items()]
        return {"text": _short(label, 60), "onClick": {"action": {"function": self._function, "parameters": pairs}}}

    @staticmethod
    def _buttons(*buttons: Widget) -> Widget:
        return {"buttonList": {"buttons": list(buttons)}}


def title(job: Job) -> str:
    """Return a job's title for people: its text or prompt, or else its type."""
    said = job.payload.get("text") or job.payload.get("prompt") or job.payload.get("message") or job.job_type
    words = re.sub(r"^<users/[^>]*> ", "", " ".join(str(said).split()))
    return _short(words, 80)


def note(says: str) -> Card:
    """Return a card with a text only."""
    return {"sections": [{"widgets": [_text(says)]}]}


def unpacked(text: str) -> Order:
    """Read the order from a confirmation. Raises one of Python's own errors for anything else."""
    fields = json.loads(text)
    at = fields.pop("at")
    if at is not None:
        at = datetime.fromisoformat(at)
        if at.tzinfo is None:
            raise ValueError("a time without its zone")
        at = at.astimezone(UTC)
    return Order(**fields, at=at)


def _packed(order: Order) -> str:
    return json.dumps({**vars(order), "at": order.at and iso(order.at)})


def _doing(order: Order) -> str:
    match order.kind:
        case "ask":
            return f"I ask the agent: {order.text}"
        case "post":
            return f"I post: {order.text}"
        case _:
            return f"I remind {'everybody' if order.everybody else 'you'}: {order.text}"


def _card(heading: str, *widgets: Widget) -> Card:
    return {"header": {"title": heading}, "sections": [{"widgets": list(widgets)}]}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _text(text: str) -> Widget:
    return {"textParagraph": {"text": escape(text)}}  # Chat renders tags in it, and people may write some
