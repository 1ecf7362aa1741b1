"""What a person asks for, as values: an order with its schedule, or why a request is not understood.

They are separate from the code that reads them, whose expressions are compiled only when somebody asks for something.
"""

from dataclasses import dataclass
from typing import Literal

from shared.errors import InvalidInput
from shared.handlers.proposal import Proposal, ProposalKind
from shared.model.definition import Timing

OrderKind = Literal["remind", "post", "ask"]
PROPOSED: dict[OrderKind, ProposalKind] = {"remind": "reminder", "post": "message", "ask": "question"}


@dataclass(frozen=True, kw_only=True)
class When(Timing):
    """A timing as read from words. `others` are phrases for what else may be meant, and `note` is a caution."""

    others: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request; `when` is read on the clocks of `timezone` (IANA). `others` are commands for other readings."""

    kind: OrderKind
    text: str
    timezone: str
    when: When
    everybody: bool = False  # "remind us" rather than "remind me"
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asked for something, as it travels in the buttons: the job belongs to them, no matter who confirms it.

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
        """Return the fields about them in the payload of a job that asks the agent."""
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
        """Return whether an agent may understand it better."""
        return not self.suggestions and not self.is_final


def proposal_of(order: Order) -> Proposal:
    """Return an order as it travels in the button that confirms it."""
    kind = PROPOSED[order.kind]
    return Proposal(kind=kind, text=order.text, timezone=order.timezone, everybody=order.everybody, **order.when.timing)


def order_of(proposal: Proposal, timezone: str) -> Order:
    """Return the order for a proposal, whose schedule is read in `timezone` if it names none."""
    kind = next(kind for kind, proposed in PROPOSED.items() if proposed == proposal.kind)
    zone, when = proposal.timezone or timezone, When(**proposal.timing)
    return Order(kind=kind, text=proposal.text, timezone=zone, when=when, everybody=proposal.everybody)
