"""The card that asks for Confirm, and what follows: a job, or nothing."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from card_parts import note
from chat_reply import Reply, says, shows
from conversation import Conversation, id_from
from job_words import OPEN
from managing import find_job
from orders import Asker, Order, When, order_of
from shared.errors import InvalidInput
from shared.handlers.proposal import Proposal, first_run, unpacked
from shared.jobs import AlreadyScheduled, UnknownJob

NOT_YOURS = "Nothing was changed: only the person who asked for this can do that. Write to me to schedule your own."
STILL = timedelta(minutes=1)  # since a time on a card, in which Confirm still means it
NO_PROPOSAL = "The agent proposed a job that cannot be scheduled: {}."


def asker_here(conversation: Conversation) -> Asker:
    """Return the event's person as the one who asks."""
    event = conversation.event
    name = "" if event.is_direct else event.display_name or event.email
    return Asker(user=event.user, email=event.email, name=name)


def asker_of(conversation: Conversation, given: Mapping[str, str]) -> Asker:
    """Return who asked for what a button is about; for a card from before buttons named them, who taps it."""
    if "by" not in given:
        return asker_here(conversation)
    return Asker(user=given.get("user", ""), email=given["by"], name=given.get("name", ""))


def confirm(
    conversation: Conversation, order: Order, phrase: str, job_id: str, asker: Asker, *, replaces: bool = False
) -> Reply:
    """Show an order, and ask for Confirm."""
    known = bool(conversation.event.timezone)
    card = conversation.cards.confirm(order, job_id=job_id, asker=asker, phrase=phrase, is_zone_known=known)
    return shows(card, replaces=replaces)


def propose(
    conversation: Conversation,
    proposal: Proposal,
    timezone: str,
    job_id: str,
    asker: Asker,
    *,
    phrase: str = "",
    replaces: bool = False,
) -> Reply:
    """Show the agent's proposal with the same card that people get for their own requests."""
    try:
        first = first_run(proposal, timezone, conversation.now)
    except InvalidInput as exc:
        return says(NO_PROPOSAL.format(exc))
    if proposal.every and proposal.at is None:
        proposal = replace(proposal, at=first)  # so that the card and the job count from the same moment
    return confirm(conversation, order_of(proposal, timezone), phrase, job_id, asker, replaces=replaces)


def show_proposal(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Show the proposal that a job has posted."""
    packed, asker = given.get("proposal", ""), asker_of(conversation, given)
    job_id = id_from(conversation.event.message, packed)  # a message makes one job, however often it is tapped
    zone = given.get("timezone") or conversation.timezone
    return propose(conversation, unpacked(packed), zone, job_id, asker, replaces=True)


def discard(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Withdraw a card, unless it was confirmed before."""
    discarded = shows(note("Discarded. Nothing is scheduled."), replaces=True)
    return _confirmed_before(conversation, given) or discarded


def schedule(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Create the job that a card has shown."""
    event, asker, cards = conversation.event, asker_of(conversation, given), conversation.cards
    order = order_of(unpacked(given.get("order", "")), conversation.timezone)
    if asker.email != event.email and "anyone" not in given:
        return says(NOT_YOURS, for_one=True)
    when = _still_to_come(order, conversation.now - STILL)
    # A card that was confirmed before shows its job, whatever has passed since.
    if when != order.when and (before := _confirmed_before(conversation, given)) is not None:
        return before
    if when is None:
        return shows(note("That time has passed, so nothing is scheduled. Please ask again."), replaces=True)
    job_type, payload = _payload(conversation, order, asker, given.get("id", ""))
    try:
        scheduled = conversation.jobs().schedule(
            job_type,
            payload,
            id=given.get("id", ""),
            **when.timing,
            timezone=order.timezone,
            space=event.space,
            by=f"chat:{asker.email}",
            confirmed_by=conversation.by,
        )
    except AlreadyScheduled:
        raise InvalidInput('This was confirmed before with another text or time. Write "jobs" to see it.') from None
    if scheduled.outcome == "created":
        conversation.log("job_created", scheduled.job.id)
    elif scheduled.job.status not in OPEN:
        return shows(cards.job(scheduled.job, "This was confirmed before."), replaces=True)
    return shows(cards.scheduled(scheduled.job), replaces=True)


def _still_to_come(order: Order, now: datetime) -> When | None:
    """Return when an order runs, without what has passed; None if all of it has."""
    with suppress(InvalidInput):
        return order.when.ahead(order.timezone, now)
    return None


def _confirmed_before(conversation: Conversation, given: Mapping[str, str]) -> Reply | None:
    """Return the card of a job that was confirmed before, perhaps by another person."""
    try:
        job = find_job(conversation, given.get("id", ""))
    except UnknownJob:
        return None
    return shows(conversation.cards.job(job, "This was confirmed before."), replaces=True)


def _payload(conversation: Conversation, order: Order, asker: Asker, job_id: str) -> tuple[str, dict[str, Any]]:
    place = conversation.place
    if order.kind == "ask":
        asked = {"prompt": order.text, "timezone": order.timezone, "space_kind": conversation.event.space_kind}
        return "agent", {**asked, **asker.told, **place}
    if order.kind == "post":
        return "chat_message", {"text": order.text, **place}
    mention = "<users/all> " if order.everybody else f"<{asker.user}> " if asker.user else ""
    buttons = {"cardsV2": conversation.cards.reminder(job_id)}
    return "chat_message", {"text": f"{mention}{order.text}", **buttons, **place}
