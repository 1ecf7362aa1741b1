"""A job that an agent proposes as its answer: a person sees it as a card, and confirming it creates the job.

An agent returns `Proposal(kind="reminder", text="call mum", at=...)`. `shared.handlers.agent_tools.proposer` makes one
from the texts of a model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, Literal, get_args

from shared.errors import InvalidInput
from shared.model.definition import TIMES, Timing
from shared.model.recurrence import load_timezone
from shared.model.times import iso
from shared.model.wording import every_in_words, local_time

ProposalKind = Literal["reminder", "message", "question"]
LONGEST_TEXT = 1000  # characters
ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # an interval needs a start when its form is checked
DOES = {"reminder": "A reminder", "message": "A message", "question": "A question to me"}


@dataclass(frozen=True, kw_only=True)
class Proposal(Timing):
    """A job as it would be made in the name of who asked: a reminder to them, a message, or a question to the agent.

    `at` alone runs it once; `cron` or `every` repeats it, perhaps from `at` on (an interval without it begins one
    interval later), before `until`, and never on `except_dates`. They are read in `timezone`, by default that of who
    asked. `everybody` reminds the whole space. Raises InvalidInput for what cannot be scheduled.
    """

    kind: ProposalKind
    text: str
    timezone: str = ""
    everybody: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(ProposalKind):
            raise InvalidInput(f"a proposal is a {', a '.join(get_args(ProposalKind))}, not {str(self.kind)[:100]!r}")
        if not isinstance(self.text, str) or not self.text.strip() or len(self.text) > LONGEST_TEXT:
            raise InvalidInput(f"the text of a proposal has 1 to {LONGEST_TEXT:,} characters")
        super().__post_init__()
        if not self.is_recurring and (self.at is None or self.until or self.except_dates):
            raise InvalidInput("say when: give at, or cron or every (until and except_dates are for these two)")
        load_timezone(self.timezone or "UTC")
        if self.is_recurring:
            self.schedule(self.timezone or "UTC", ANY_TIME)


def first_run(proposal: Proposal, timezone: str, now: datetime) -> datetime:
    """Return when the job would run first. Raises InvalidInput if it never would."""
    zone = proposal.timezone or timezone
    first = proposal.schedule(zone, now).after(now) if proposal.is_recurring else proposal.at
    if first is None or first < now:
        raise InvalidInput(f"{local_time(first, zone)} ({zone}) has passed" if first else "its schedule never runs")
    return first


def packed(proposal: Proposal) -> str:
    """Return a proposal as text, for the parameter of a button."""
    fields = {
        **vars(proposal),
        **{name: iso(moment) for name in TIMES if (moment := getattr(proposal, name))},
        "except_dates": [str(day) for day in proposal.except_dates],
    }
    return json.dumps({name: value for name, value in fields.items() if value}, ensure_ascii=False)


def unpacked(text: str) -> Proposal:
    """Read a proposal from the parameter of a button. Raises InvalidInput for anything else."""
    try:
        fields = json.loads(text)
        times = {name: datetime.fromisoformat(fields[name]) for name in TIMES if name in fields}
        return Proposal(**{**fields, **times})
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise InvalidInput("this card can no longer be confirmed; please ask again") from None


def proposed_message(
    proposal: Proposal, asker: Mapping[str, str], *, timezone: str, now: datetime, function: str
) -> dict[str, Any]:
    """Return the message with which a job shows a proposal: its button opens the card that asks for Confirm.

    `asker` are the parameters that say to whom the job would belong; `function` is what a button calls. Raises
    InvalidInput for a job that would never run.
    """
    zone = proposal.timezone or timezone
    rhythm = every_in_words(proposal.every) if proposal.every else f"cron {proposal.cron}" if proposal.cron else ""
    first = local_time(first_run(proposal, timezone, now), zone)
    said = f"{DOES[proposal.kind]}: {proposal.text}\n{f'{rhythm}, first at ' if rhythm else ''}{first} ({zone})"
    given = {"action": "proposed", "proposal": packed(proposal), "timezone": zone, **asker}
    pairs = [{"key": name, "value": value} for name, value in given.items()]
    button = {"text": "Look at it", "onClick": {"action": {"function": function, "parameters": pairs}}}
    widgets = [{"textParagraph": {"text": escape(said, quote=False)}}, {"buttonList": {"buttons": [button]}}]
    card = {"header": {"title": "I propose a job"}, "sections": [{"widgets": widgets}]}
    return {"cardsV2": [{"cardId": "proposal", "card": card}]}
