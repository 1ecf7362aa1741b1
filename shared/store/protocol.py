"""What a job store is: a few reads and one atomic verb, `swap`. A store knows no rule about jobs.

Losing a swap is an ordinary outcome, not an error. Nothing here imports an SDK; `open_store` imports the one store that
the settings ask for.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.model.entries import Entry
from shared.model.job import Job
from shared.store.documents import Unreadable

PAGE = 500

Statuses = str | Collection[str] | None  # one, any of several, or all


class Change(NamedTuple):
    """One conditional write: an insert without `before`, a deletion without `after`, else a replacement."""

    before: Job | Unreadable | None
    after: Job | Unreadable | None

    @property
    def job_id(self) -> str:
        """Return the id of the job that the change is about."""
        subject = self.after or self.before
        if subject is None:
            raise ValueError("a change needs a job before or after it")
        return subject.id


@dataclass(frozen=True)
class Won:
    """The change is stored. `job` is the new value with its new version; None after a deletion."""

    job: Job | Unreadable | None


@dataclass(frozen=True)
class Lost:
    """Another version is stored (for an insert: the id exists). Nothing was written."""


@dataclass(frozen=True)
class Refused:
    """The store can never hold this value. Nothing was written."""

    reason: str


@dataclass(frozen=True)
class Unknown:
    """The store did not answer, and could not be asked again: the change may be stored or not."""

    reason: str


Outcome = Won | Lost | Refused | Unknown


class Store(Protocol):
    """Where jobs are kept. Every reading method raises StoreUnavailable when the store cannot be read."""

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        """Read the named jobs in one call; ids that do not exist are absent from the answer."""

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        """Read at most `limit` documents whose `ready_at <= now`, oldest first.

        These are the jobs whose time has come and the jobs whose holder let its lease end. After them come documents
        whose `ready_at` is not a time, as far as the store finds them without another read in an idle call.
        """

    def page(
        self, *, after: str = "", limit: int = PAGE, status: Statuses = None, space: str | None = None
    ) -> list[Job | Unreadable]:
        """List at most `limit` documents by id, starting after `after`.

        Optionally only those of one or several statuses, and those of one space.
        """

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write each change if and only if the version of its `before` is still stored; answer each in order.

        A job may occur once among the changes. Only changed fields are written; fields that are not ours stay. Any
        number may be given; changes are independent of each other. Never raises for an unreachable store: such changes
        are Unknown. A write that was applied although the store's answer was lost is recognised, and is Won.

        A change that is won and adds to the job's own history is added to the history collection too: one entry for
        each run, see `shared.model.entries`, unless the store was opened without a history.
        """

    def history(
        self, *, job_id: str | None = None, since: datetime | None = None, after: str = "", limit: int = PAGE
    ) -> list[Entry]:
        """List at most `limit` entries, of one job or of all, the latest first, starting after `after`.

        `after` is the id of an entry, which may no longer exist; `since` leaves out those before that time. Entries
        outlive their job, and may be listed for a while after they have expired.
        """

    def now(self) -> datetime:
        """Return the store's own time, for comparing clocks."""
