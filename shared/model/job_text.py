"""The text of a job that people see and change, and who may change it."""

import re
from collections.abc import Mapping
from typing import Any

from shared.errors import InvalidInput
from shared.model.job import Job
from shared.model.wording import person

TEXTS = {"chat_message": "text", "agent": "prompt"}  # the field of a payload that holds it
REMINDER = "reminder"  # the id of the card that a reminder is posted with
_MENTION = re.compile(r"<users/[^>]*> ")


def asker_of(job: Job) -> str | None:
    """Return the e-mail address of who asked for a job in Chat, directly or by the agent; None for an operator's."""
    is_from_chat = (job.created_by or "").partition(":")[0] in ("chat", "agent")
    return person(job.created_by) if is_from_chat else None


def belongs_to(job: Job, email: str) -> bool:
    """Return whether a job was asked for by this person, in Chat or by way of the agent: it runs as them."""
    return asker_of(job) == email


def is_reminder(job: Job) -> bool:
    """Return whether a job reminds somebody: it mentions them, and is posted with buttons to snooze it."""
    if job.job_type != "chat_message" or not str(job.payload.get("text", "")).startswith("<users/"):
        return False
    cards = job.payload.get("cardsV2")
    return isinstance(cards, list) and any(
        isinstance(each, Mapping) and each.get("cardId") == REMINDER for each in cards
    )


def text_without_mention(job: Job) -> str | None:
    """Return what a job posts or asks, without the mention that begins a reminder; None if it has no text."""
    text = job.payload.get(TEXTS.get(job.job_type, ""))
    return text[len(_mention(job)) :] if isinstance(text, str) else None


def payload_with(job: Job, text: str) -> dict[str, Any]:
    """Return the payload with another text; a reminder still mentions whom it is for. Raises InvalidInput."""
    if job.job_type not in TEXTS:
        raise InvalidInput(f"job {job.id} is of type {job.job_type}, and has no text that can be changed here")
    if not isinstance(text, str):
        raise InvalidInput(f"the text of a job is {str(text)[:100]!r}; it must be a string")
    mention = _mention(job)
    return {**job.payload, TEXTS[job.job_type]: mention + text.removeprefix(mention)}


def _mention(job: Job) -> str:
    match = _MENTION.match(str(job.payload.get("text", ""))) if is_reminder(job) else None
    return match[0] if match else ""
