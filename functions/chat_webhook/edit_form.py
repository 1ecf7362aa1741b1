"""The form in which a person edits a job: its fields as texts, and what a filled form changes of the job."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from orders import When
from shared.errors import InvalidInput
from shared.model.job import Job
from shared.model.job_text import asker_of, belongs_to, payload_with, text_without_mention
from shared.model.recurrence import load_timezone
from shared.model.schedule import FOREVER
from shared.model.wording import every_in_words

LONGEST_TEXT = 4000  # characters that a form holds
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

STARTING = " starting "

Read = Callable[[str, str], When]  # a phrase, or cron and an expression, in a time zone; raises InvalidInput


@dataclass(frozen=True, kw_only=True)
class EditForm:
    """The values of the fields; None if there is no such field."""

    text: str | None
    when: str
    timezone: str
    until: str | None


def form_of(job: Job, *, timezone: str, email: str, read: Read, now: datetime) -> EditForm:
    """Return the form of a job as it is: with its text for its owner, and with its end if it recurs."""
    zone = job.timezone or timezone
    text = text_without_mention(job)
    is_theirs = text is not None and len(text) <= LONGEST_TEXT and belongs_to(job, email)
    return EditForm(
        text=text if is_theirs else None,
        when=_phrase(job, zone, read, now),
        timezone=zone,
        until=_end(job) if job.is_recurring else None,
    )


def why_fixed(job: Job) -> str:
    """Return why the form of a job has no field for its text."""
    if len(text_without_mention(job) or "") > LONGEST_TEXT:
        return f"Its text is longer than {LONGEST_TEXT:,} characters, so it cannot be changed here."
    asker = asker_of(job)
    return f"Only {asker} can change its text." if asker else "Its text cannot be changed in Chat."


def packed_form(form: EditForm) -> str:
    """Return a form for the parameter of a button, with a digest of its text: Chat accepts 32,000 bytes in all."""
    return json.dumps({**vars(form), "text": None if form.text is None else _digest(form.text)}, ensure_ascii=False)


def unpacked_form(text: str) -> EditForm:
    """Read a form, with the digest of its text, from the parameter of a button. Raises InvalidInput if it cannot."""
    try:
        return EditForm(**{field.name: json.loads(text)[field.name] for field in fields(EditForm)})
    except (ValueError, TypeError, LookupError, RecursionError):
        raise InvalidInput("this form can no longer be used; open it again") from None


def changes(job: Job, was: EditForm, filled: EditForm, *, read: Read, now: datetime) -> dict[str, Any]:
    """Return what `Jobs.edit` must change, from the form as it was opened, unpacked, and as it was filled in.

    An untouched field changes nothing, even if the job has changed meanwhile. Raises InvalidInput.
    """
    load_timezone(filled.timezone)
    changed: dict[str, Any] = {}
    is_moved = filled.timezone != was.timezone
    if filled.when != was.when or (is_moved and not job.is_recurring):
        changed |= _schedule(filled, read)
        if STARTING in was.when and "at" not in changed:  # it was taken out
            changed["at"] = now
    elif is_moved:
        changed["timezone"] = filled.timezone
    becomes_once = "at" in changed and not changed.keys() & {"cron", "every"}
    if filled.until is not None and filled.until != was.until and not becomes_once:
        changed["until"] = _until(filled, read)
    if payload := _payload(job, was, filled):
        changed["payload"] = payload
    return changed


def _schedule(form: EditForm, read: Read) -> dict[str, Any]:
    asked = read(form.when, form.timezone)
    changed = {**asked.timing, "timezone": form.timezone if asked.is_recurring else None}
    return {name: value for name, value in changed.items() if value}


def _until(form: EditForm, read: Read) -> datetime:
    """Return the end that a field names, exclusive: a day is included."""
    if not form.until:
        return FOREVER
    zone = load_timezone(form.timezone)
    try:
        moment = datetime.fromisoformat(form.until)
        is_day = bool(re.fullmatch(r"[\d-]+", form.until))
        moment = moment + timedelta(days=1) if is_day else moment
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        pass
    asked = read(f"every day until {form.until}", form.timezone)
    if asked.until is None:
        raise InvalidInput(
            f"I do not see the end in {form.until[:100]!r}; write a day, such as 2027-01-05 or 5 January"
        )
    return asked.until


def _payload(job: Job, was: EditForm, filled: EditForm) -> dict[str, Any]:
    """Return the payload with the new text and time zone, or nothing if it stays as it is."""
    changed = dict(job.payload)
    if filled.text is not None and _digest(filled.text) != was.text:
        if not filled.text or len(filled.text) > LONGEST_TEXT:
            raise InvalidInput(f"the text has {len(filled.text)} characters; 1 to {LONGEST_TEXT:,} are possible")
        changed = payload_with(job, filled.text)
    if "timezone" in changed and filled.timezone != was.timezone:
        changed["timezone"] = filled.timezone  # in which the agent reads times
    return changed if changed != job.payload else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode("utf-8", "replace")).hexdigest()


def _phrase(job: Job, timezone: str, read: Read, now: datetime) -> str:
    """Return when a job runs, in words that mean exactly that, or else as an expression."""
    local = (job.regular_at or job.schedule_at).astimezone(load_timezone(timezone))
    if job.cron:
        phrase = _clock_phrase(job.cron)
        if phrase and job.starts_at is not None and job.starts_at > now:
            phrase = f"{phrase}{STARTING}{local:%Y-%m-%d}"  # the day of its first run
        return phrase if phrase and _means(read, phrase, timezone, When(cron=job.cron)) else f"cron {job.cron}"
    start = f"{local:%Y-%m-%d} at {local:%H:%M}"
    if job.every:
        phrase = f"{every_in_words(job.every).lower()}{STARTING}{start}"
        return phrase if _means(read, phrase, timezone, When(every=job.every)) else f"every {job.every}"
    return start


def _clock_phrase(cron: str) -> str:
    """Return words for a job that runs once a day on some days of the week, or ""."""
    match = re.fullmatch(r"(\d+) (\d+) \* \* (\*|1-5|[0-7](?:,[0-7])*)", cron)
    if not match:
        return ""
    named = {"*": "day", "1-5": "weekday"}
    days = named.get(match[3]) or " and ".join(DAYS[int(day)] for day in match[3].split(","))
    return f"every {days} at {int(match[2]):02}:{int(match[1]):02}"


def _means(read: Read, phrase: str, timezone: str, wanted: When) -> bool:
    try:
        asked = read(phrase, timezone)
    except InvalidInput:
        return False
    return replace(asked, at=None, others=(), note="") == wanted


def _end(job: Job) -> str:
    """Return the end of a job as the last day on which it may run, or as a time."""
    if job.until is None:
        return ""
    local = job.until.astimezone(load_timezone(job.timezone or "UTC"))
    last: date = local.date() - timedelta(days=1)
    return last.isoformat() if local.time() == time.min else f"{local:%Y-%m-%d %H:%M}"
