"""Leasing: hold a job, recognise one's own writes, and settle the result of its run.

A holder claims a job with a fresh random token, the fence, and every later write of its own is based on the newest
version that it wrote itself or read. When such a write is lost, somebody else has changed the job: a person, who leaves
the token as it is, or another holder, which has another token. The token stays in the job after the finish, so a holder
whose finish was applied without a confirmation finds its own token there, and no lease.
"""

import uuid
from collections.abc import Callable
from enum import Enum, auto

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.protocol import Change, Refused, Store, Unknown, Won

TRIES = 5


class Hold(Enum):
    """How a holder stands to a job that it reads again after a lost write."""

    OURS = auto()  # it is still held with our token, however it was changed
    SETTLED = auto()  # our own finish stands there
    GONE = auto()  # it has another holder, or none, or cannot be read


def new_token() -> str:
    """Return a token that no holder had before. A host name or a process id would not do: both are used again."""
    return uuid.uuid4().hex


def hold_of(mine: Job, found: Job | Unreadable | None) -> Hold:
    """Return how the holder of `mine` stands to the job as it is stored now."""
    if not isinstance(found, Job) or found.lease_token != mine.lease_token:
        return Hold.GONE
    return Hold.SETTLED if found.lease_until is None else Hold.OURS


def settle(store: Store, job: Job, finished: Callable[[Job], Job]) -> bool:
    """Store the result of a held job, even if people changed it meanwhile; return False if it has another holder.

    `finished` is applied to the newest version. A person who has released the lease is not another holder: the result
    is then recorded all the same. Raises StoreUnavailable.
    """
    newest, reason = job, "it keeps changing"
    for _ in range(TRIES):
        outcome = store.swap([Change(newest, finished(newest))])[0]
        if isinstance(outcome, Won):
            return True
        if isinstance(outcome, Refused | Unknown):
            reason = outcome.reason
        found = store.get([job.id]).get(job.id)
        hold = hold_of(job, found)
        if hold is Hold.SETTLED:
            return True
        if not isinstance(found, Job) or (hold is Hold.GONE and found.lease_token is not None):
            return False
        newest = found
    raise StoreUnavailable(f"job {job.id} could not be settled: {reason}")
