"""A job that is scheduled again: how it differs from the new definition, and the change to that one."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.model.definition import Definition
from shared.model.job import Job
from shared.model.times import iso

SAME_TIME = timedelta(milliseconds=1)


def differences(present: Job, wanted: Definition, now: datetime) -> list[str]:
    """Return where a job differs from a definition; a space, a start and a single time count only if they are given."""
    names = {name: (getattr(present, name), value) for name, value in wanted.fields(now).items()}
    if wanted.space is None:
        del names["space"]
    if wanted.at is None:
        del names["starts_at"]
    # An occurrence may lie microseconds after the time that was asked for, to have a key of its own.
    elif not wanted.is_recurring and abs(present.schedule_at - wanted.at) >= SAME_TIME:
        names["schedule_at"] = (present.schedule_at, wanted.at)
    return [f"{name} is {_shown(old)}, not {_shown(new)}" for name, (old, new) in names.items() if old != new]


def _shown(value: Any) -> str:
    text = iso(value) if isinstance(value, datetime) else repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def redefined(present: Job, wanted: Definition, *, now: datetime, by: str | None) -> Job:
    """Return the job with the wanted definition; it keeps its time if it keeps its rhythm and no start is given."""
    wanted = replace(wanted, space=wanted.space or present.space)
    if not wanted.is_recurring:
        wanted = replace(wanted, at=wanted.first(now))
    elif wanted.at is None and (present.cron, present.every) == (wanted.cron, wanted.every):
        return present.redefine(replace(wanted, at=present.starts_at), now=now, by=by, is_new=False)
    return present.redefine(wanted, now=now, by=by, is_new=True)
