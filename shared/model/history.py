"""The outcome of a job's runs: the entries of its history, and what a holder reports about the latest."""

import json
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MAX_OUTPUT_BYTES = 2048  # of a text written as JSON
CUT = "..."


class RunOutcome(StrEnum):
    """The outcome of an occurrence, or of one attempt at it."""

    COMPLETED = "completed"
    FAILED = "failed"  # given up
    RETRIED = "retried"  # failed, and will be tried again
    LATER = "later"  # its handler asked for another time
    DIED = "died"  # its holder vanished
    MISSED = "missed"  # not run in time, and skipped


PUT_OFF = (RunOutcome.RETRIED, RunOutcome.LATER)
UNENDED = (*PUT_OFF, RunOutcome.DIED)  # the occurrence goes on
OVER = (RunOutcome.COMPLETED, RunOutcome.FAILED, RunOutcome.MISSED)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One entry of a job's history. `schedule_at` names the occurrence.

    `until` is the last missed occurrence, or the time to which another attempt was postponed. `output` is what the
    handler returned (see `output_of`), `trace` where it failed: a few frames as `file:line in function`.
    """

    schedule_at: datetime
    outcome: RunOutcome
    started_at: datetime | None = None
    ended_at: datetime | None = None
    until: datetime | None = None
    error: str | None = None
    trace: str | None = None
    output: str | None = None
    by: str | None = None

    @property
    def is_missed(self) -> bool:
        """Return whether it stands for missed occurrences, which did not run."""
        return self.outcome is RunOutcome.MISSED


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """A job's wait in a queue of Cloud Tasks: which queue, since when, when it was due, and who asked for the run."""

    queue: str
    at: datetime
    due_at: datetime
    by: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a holder reports about its run: success has no `error`; `final` and `later` say what follows a failure."""

    started_at: datetime
    ended_at: datetime
    by: str
    error: str | None = None
    trace: str | None = None
    output: str | None = None
    final: bool = False
    later: timedelta | None = None


def output_of(returned: object) -> str | None:
    """Return what is kept of a handler's return value: a text as it is, anything else as JSON, both cut at 2 KB.

    None, a blank text and a value that cannot be written as JSON are not kept.
    """
    try:
        text = returned if isinstance(returned, str) else json.dumps(returned, ensure_ascii=False, allow_nan=False)
        # A subclass of str could behave in any way, so a plain str is stored.
        kept = str.encode(text[: MAX_OUTPUT_BYTES + 1], "utf-8", "replace").decode()
    except Exception:
        return None
    return None if returned is None or not kept.strip() else _within(kept, MAX_OUTPUT_BYTES)


def _within(text: str, most: int) -> str:
    """Return the text, cut with an ellipsis so that it takes at most this many bytes when written as JSON."""
    if _bytes(text) <= most:
        return text
    return text[: bisect_right(range(1, len(text)), most - len(CUT), key=lambda length: _bytes(text[:length]))] + CUT


def _bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())
