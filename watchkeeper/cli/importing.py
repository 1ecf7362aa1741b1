"""Documents of other origins as jobs: of the former system, of `jobs export`, or set aside and repaired since.

The conversion is pure, and one for both ways in, `jobs import` from a file and `jobs upgrade` in the store.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from shared.model.job import Job
from shared.model.life import MAX_ERROR_CHARACTERS
from shared.model.times import iso
from shared.model.value import Status
from shared.store.documents import Document, Unreadable, from_document, with_times
from watchkeeper.session import ADD_HANDLER


@dataclass(frozen=True, kw_only=True)
class Intake:
    """A document on its way in: how messages call it, the status that it claims, and what becomes of it."""

    name: str
    status: str
    before: Unreadable | None = None
    after: Job | Unreadable


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Makes jobs of documents, as of `now`. Waiting jobs of any other than the `job_types` are taken in paused."""

    now: datetime
    retention: timedelta
    job_types: Collection[str]

    def from_file(self, objects: Sequence[Any]) -> list[Intake]:
        """Convert the objects of a file. An id counts where it stands first; a later one is refused."""
        positions: dict[str, int] = {}
        return [self._from_file(position, value, positions) for position, value in enumerate(objects, 1)]

    def from_store(self, document: Unreadable) -> Intake:
        """Convert a document that the store holds already."""
        return Intake(
            name=f"job {document.id}",
            status=str(document.document.get("status")),
            before=document,
            after=self.convert(document.id, document.document),
        )

    def _from_file(self, position: int, value: Any, positions: dict[str, int]) -> Intake:
        if not isinstance(value, dict):
            reason = f"it is no object, but {str(value)[:100]!r}"
            return _refused(f"object {position}", Unreadable(id="", reason=reason, document={}))
        job_id = value.get("id")
        name = f"object {position}, job {job_id!r}"
        if not isinstance(job_id, str):
            return _refused(name, Unreadable(id="", reason="its id is no text", document=value))
        if job_id in positions:
            reason = f"its id is that of object {positions[job_id]}"
            return _refused(name, Unreadable(id=job_id, reason=reason, document=value))
        positions[job_id] = position
        return Intake(name=name, status=str(value.get("status")), after=self.convert(job_id, value))

    def convert(self, job_id: str, raw: Document) -> Job | Unreadable:
        """Make a job of a document, or say why it is none.

        ISO text becomes a time, a naive one in UTC. A job that waits without `ready_at` is ready at `schedule_at`;
        so is one that runs without it, once its lease is over. A lease in force is a reason to leave the job alone.
        """
        document = with_times(raw, naive=UTC)
        if reason := self._held(document):
            return Unreadable(id=job_id, reason=reason, document=raw)
        read = from_document(job_id, self._completed(document))
        if isinstance(read, Unreadable):
            return replace(read, document=raw, reason=read.reason.removeprefix(f"job {job_id!r}: "))
        return self._parked_without_handler(read)

    def _held(self, document: Document) -> str:
        until = document.get("lease_until")
        if document.get("status") in (Status.COMPLETED, Status.FAILED) or not _is_time(until) or until <= self.now:
            return ""
        return f"it is still being run, under a lease until {iso(until)}; repeat this when that run has ended"

    def _completed(self, document: Document) -> Document:
        """Fill in what a job needs and the former system did not write."""
        added: dict[str, Any] = {}
        if document.get("created_at") is None:
            added["created_at"] = self.now
        if document.get("ready_at") is None:
            added |= _without_holder(document)
        is_kept_for_a_while = document.get("status") in (Status.COMPLETED, Status.CANCELLED)
        if is_kept_for_a_while and _is_over(document.get("expire_at"), self.now):
            added["expire_at"] = self.now + self.retention
        if str(document.get("error")).startswith("unreadable: "):
            added["error"] = None  # the note of the tick that set it aside
        return {**document, **added}

    def _parked_without_handler(self, job: Job) -> Job:
        if job.status not in (Status.PENDING, Status.RUNNING) or job.job_type in self.job_types:
            return job
        reason = f"taken in paused: no handler for {job.job_type!r} is registered; {ADD_HANDLER}, then resume the job"
        error = f"{reason}; its last error: {job.error}" if job.error else reason
        return replace(
            job,
            status=Status.PAUSED,
            ready_at=None,
            lease_until=None,
            lease_token=None,
            error=error[:MAX_ERROR_CHARACTERS],
        )


def _refused(name: str, document: Unreadable) -> Intake:
    return Intake(name=name, status=str(document.document.get("status")), after=document)


def _without_holder(document: Document) -> dict[str, Any]:
    """Let a job of the former system wait for its run, or rest, without the lease of a holder that is gone."""
    status, schedule_at = document.get("status"), document.get("schedule_at")
    # A lease that is no time stays, for the reader to refuse: nobody knows whether the job still runs.
    ended = {"lease_until": None} if _is_time(document.get("lease_until")) else {}
    if status in (Status.PENDING, Status.RUNNING) and _is_time(schedule_at):
        return {"status": Status.PENDING, "ready_at": schedule_at, "lease_token": None, **ended}
    return ended if status in (Status.COMPLETED, Status.FAILED) else {}


def _is_time(value: Any) -> TypeGuard[datetime]:
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_over(value: Any, now: datetime) -> bool:
    return value is None or (_is_time(value) and value <= now)
