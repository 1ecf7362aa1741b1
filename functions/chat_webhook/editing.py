"""Editing a job in a dialog: the form as the job is, and the changes of a filled form."""

from collections.abc import Mapping

from chat_reply import Reply, says, shows
from conversation import NOT_OURS, Conversation
from edit_form import EditForm, Read, changes, form_of, packed_form, unpacked_form
from managing import edit_job, find_job
from phrases import read_schedule
from shared.errors import InvalidInput
from shared.model.job_text import belongs_to


def ask(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Show the dialog that edits a job."""
    job = find_job(conversation, given.get("id", ""))
    form = form_of(
        job,
        timezone=conversation.timezone,
        email=conversation.event.email,
        read=_read(conversation),
        now=conversation.now,
    )
    return shows(conversation.cards.edit(job, form, packed_form(form)), is_dialog=True)


def edit(conversation: Conversation, given: Mapping[str, str]) -> Reply:
    """Change a job as its dialog was filled in, or show the dialog again with the problem."""
    if not conversation.buttons.takes_fields:
        return says(NOT_OURS, for_one=True)
    event = conversation.event
    job, was = find_job(conversation, given.get("id", "")), unpacked_form(given.get("was", ""))
    has_text = was.text is not None and belongs_to(job, event.email)
    filled = EditForm(
        text=event.filled("text") if has_text else None,
        when=event.filled("when"),
        timezone=event.filled("timezone"),
        until=None if was.until is None else event.filled("until"),
    )
    try:
        changed = changes(job, was, filled, read=_read(conversation), now=conversation.now)
        if not changed:
            return shows(conversation.cards.job(job, "Nothing changed."))
        return edit_job(conversation, job, changed, "It is changed.")
    except InvalidInput as exc:
        return shows(conversation.cards.edit(job, filled, given.get("was", ""), str(exc)), is_dialog=True)


def _read(conversation: Conversation) -> Read:
    return lambda phrase, timezone: read_schedule(phrase, now=conversation.now, timezone=timezone)
