"""What a person asks for, as values: an order with its schedule, or why a request is not understood.

They are apart from what reads them, whose expressions are compiled only when somebody asks for something.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from shared.errors import InvalidInput
from shared.handlers.proposal import Kind as ProposedKind
from shared.handlers.proposal import Proposal
from shared.model.schedule import Schedule

Kind = Literal["remind", "post", "ask"]
PROPOSED: dict[Kind, ProposedKind] = {"remind": "reminder", "post": "message", "ask": "question"}


@dataclass(frozen=True, kw_only=True)
class When:
    """A schedule. A one-shot has `at` alone; a recurring one has `cron` or `every`, perhaps from `at` on.

    Times are aware and in UTC, `until` is exclusive, `except_dates` are local days. `others` are phrases for what else
    may be meant, and `note` is what a person may not expect of it.
    """

    at: datetime | None = None
    cron: str | None = None
    every: str | None = None
    until: datetime | None = None
    except_dates: tuple[date, ...] = ()
    others: tuple[str, ...] = ()
    note: str = ""

    @property
    def recurs(self) -> bool:
        return self.cron is not None or self.every is not None

    def schedule(self, timezone: str) -> Schedule:
        """Return the occurrences of what recurs. Raises InvalidSchedule."""
        return Schedule(
            cron=self.cron,
            every=self.every,
            timezone=timezone,
            starts_at=self.at,
            until=self.until,
            except_dates=self.except_dates,
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request; `when` is read on the clocks of `timezone` (IANA). `others` are commands for other readings."""

    kind: Kind
    text: str
    timezone: str
    when: When
    everybody: bool = False  # "remind us" rather than "remind me"
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asked for something, as it travels in the buttons: a job belongs to them, whoever confirms it.

    `name` is for the others in a space; "" in a direct message, which has no others.
    """

    user: str
    email: str
    name: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        return {"user": self.user, "by": self.email, **({"name": self.name} if self.name else {})}

    @property
    def told(self) -> dict[str, str]:
        """Return what an agent is told of them when a job asks it."""
        known = {"display_name": self.name, "user_name": self.user}
        return {name: value for name, value in known.items() if value}


class NotUnderstood(InvalidInput):
    """An unclear or impossible request for a schedule; `suggestions` are commands that may be meant."""

    def __init__(self, message: str, suggestions: tuple[str, ...] = (), *, is_final: bool = False) -> None:
        super().__init__(message)
        self.suggestions = suggestions
        self.is_final = is_final

    @property
    def is_for_agent(self) -> bool:
        """Return whether an agent may understand more of it."""
        return not self.suggestions and not self.is_final


def proposal_of(order: Order) -> Proposal:
    """Return an order as it travels in the button that confirms it."""
    asked = order.when
    return Proposal(
        kind=PROPOSED[order.kind],
        text=order.text,
        at=asked.at,
        cron=asked.cron,
        every=asked.every,
        timezone=order.timezone,
        until=asked.until,
        except_dates=asked.except_dates,
        everybody=order.everybody,
    )


def order_of(proposal: Proposal, timezone: str) -> Order:
    """Return the order for a proposal, whose schedule is read in `timezone` if it names none."""
    kind = next(kind for kind, proposed in PROPOSED.items() if proposed == proposal.kind)
    asked = When(
        at=proposal.at and proposal.at.astimezone(UTC),
        cron=proposal.cron,
        every=proposal.every,
        until=proposal.until and proposal.until.astimezone(UTC),
        except_dates=proposal.except_dates,
    )
    zone = proposal.timezone or timezone
    return Order(kind=kind, text=proposal.text, timezone=zone, when=asked, everybody=proposal.everybody)
