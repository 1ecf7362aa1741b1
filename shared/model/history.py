"""What became of a job's runs: the entries of its history, and what a holder reports of the latest."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class RunOutcome(StrEnum):
    """What became of an occurrence, or of one attempt at it."""

    COMPLETED = "completed"
    FAILED = "failed"  # given up
    RETRIED = "retried"  # failed, and will be tried again
    LATER = "later"  # its handler asked for another time
    DIED = "died"  # its holder vanished
    MISSED = "missed"  # nobody ran it in time, and it was left out


PUT_OFF = (RunOutcome.RETRIED, RunOutcome.LATER)
UNENDED = (*PUT_OFF, RunOutcome.DIED)  # the occurrence is still to end
OVER = (RunOutcome.COMPLETED, RunOutcome.FAILED, RunOutcome.MISSED)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One entry of a job's history. `schedule_at` names the occurrence.

    `until` is the last occurrence of those that were missed, or the time to which another try was put off.
    """

    schedule_at: datetime
    outcome: RunOutcome
    started_at: datetime | None = None
    ended_at: datetime | None = None
    until: datetime | None = None
    error: str | None = None
    by: str | None = None


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """That a job waits in a queue of Cloud Tasks: in which, since when, when it was due, and who asked for the run."""

    queue: str
    at: datetime
    due_at: datetime
    by: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a holder reports of its run: success has no `error`; `final` and `later` say what follows a failure."""

    started_at: datetime
    ended_at: datetime
    by: str
    error: str | None = None
    final: bool = False
    later: timedelta | None = None
