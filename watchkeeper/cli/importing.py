"""Converts documents to jobs: from the former system, from `jobs export`, or quarantined and repaired since.

The conversion is pure, and the same for `jobs import` from a file and `jobs upgrade` in the store.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from shared.errors import InvalidInput
from shared.jobs import refuse_reserved
from shared.model.job import Job
from shared.model.life import MAX_ERROR_CHARACTERS
from shared.model.times import iso
from shared.model.value import Status
from shared.store.documents import Document, Unreadable, from_document, with_times
from shared.subscriptions import CHECK, PREFIX
from watchkeeper.session import ADD_HANDLER


@dataclass(frozen=True, kw_only=True)
class ImportItem:
    """A document to import: its name in messages, the status that it claims, and the job that it becomes."""

    name: str
    status: str
    before: Unreadable | None = None
    after: Job | Unreadable


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Converts documents to jobs, as of `now`. Waiting jobs of other types than `job_types` are imported paused."""

    now: datetime
    retention: timedelta
    job_types: Collection[str]

    def from_file(self, objects: Sequence[Any]) -> list[ImportItem]:
        """Convert the objects of a file. The first object with an id counts; a later one is refused."""
        positions: dict[str, int] = {}
        return [self._from_file(position, value, positions) for position, value in enumerate(objects, 1)]

    def from_store(self, document: Unreadable) -> ImportItem:
        """Convert a document of the store."""
        return ImportItem(
            name=f"job {document.id}",
            status=str(document.document.get("status")),
            before=document,
            after=self.convert(document.id, document.document),
        )

    def _from_file(self, position: int, value: Any, positions: dict[str, int]) -> ImportItem:
        if not isinstance(value, dict):
            reason = f"it is not an object, but {str(value)[:100]!r}"
            return _refused(f"object {position}", Unreadable(id="", reason=reason, document={}))
        job_id = value.get("id")
        name = f"object {position}, job {job_id!r}"
        if not isinstance(job_id, str):
            return _refused(name, Unreadable(id="", reason="its id is not a string", document=value))
        if job_id in positions:
            reason = f"its id is that of object {positions[job_id]}"
            return _refused(name, Unreadable(id=job_id, reason=reason, document=value))
        positions[job_id] = position
        return ImportItem(name=name, status=str(value.get("status")), after=self.convert(job_id, value))

    def convert(self, job_id: str, raw: Document) -> Job | Unreadable:
        """Return the job of a document, or why it is none.

        ISO text becomes a time, a naive one in UTC. A waiting job without `ready_at` becomes ready at `schedule_at`; so
        does a running one after the end of its lease. A job under a lease in force is refused.
        """
        document = with_times(raw, naive=UTC)
        if reason := _reserved(job_id, document) or self._held(document):
            return Unreadable(id=job_id, reason=reason, document=raw)
        read = from_document(job_id, self._completed(document))
        if isinstance(read, Unreadable):
            return replace(read, document=raw, reason=read.reason.removeprefix(f"job {job_id!r}: "))
        return self._paused_without_handler(read)

    def _held(self, document: Document) -> str:
        until = document.get("lease_until")
        if document.get("status") in (Status.COMPLETED, Status.FAILED) or not _is_time(until) or until <= self.now:
            return ""
        return f"it is still running, under a lease until {iso(until)}; repeat this after that run"

    def _completed(self, document: Document) -> Document:
        """Fill in the fields that a job needs and the former system did not write."""
        added: dict[str, Any] = {}
        if document.get("created_at") is None:
            added["created_at"] = self.now
        if document.get("every") is not None and document.get("starts_at") is None:
            added["starts_at"] = document.get("schedule_at")
        if document.get("ready_at") is None:
            added |= _without_holder(document)
        is_kept_for_a_while = document.get("status") in (Status.COMPLETED, Status.CANCELLED)
        if is_kept_for_a_while and _is_over(document.get("expire_at"), self.now):
            added["expire_at"] = self.now + self.retention
        if str(document.get("error")).startswith("unreadable: "):
            added["error"] = None  # written by the tick that quarantined it
        return {**document, **added}

    def _paused_without_handler(self, job: Job) -> Job:
        if job.status not in (Status.PENDING, Status.RUNNING) or job.job_type in self.job_types:
            return job
        reason = f"imported paused: no handler for {job.job_type!r} is registered; {ADD_HANDLER}, then resume the job"
        error = f"{reason}; its last error: {job.error}" if job.error else reason
        return replace(
            job,
            status=Status.PAUSED,
            ready_at=None,
            lease_until=None,
            lease_token=None,
            error=error[:MAX_ERROR_CHARACTERS],
        )


def _reserved(job_id: str, document: Document) -> str:
    """Return why this cannot be a job, or ""."""
    if job_id.startswith(PREFIX) and document.get("job_type") == CHECK:
        return ""
    try:
        refuse_reserved(job_id, str(document.get("job_type")))
    except InvalidInput as exc:
        return str(exc)
    return ""


def _refused(name: str, document: Unreadable) -> ImportItem:
    return ImportItem(name=name, status=str(document.document.get("status")), after=document)


def _without_holder(document: Document) -> dict[str, Any]:
    """Return the fields that remove the lease of a dead holder, and make a waiting job ready."""
    status, schedule_at = document.get("status"), document.get("schedule_at")
    # A malformed lease stays, so that the reader refuses the job: it may still be running.
    ended = {"lease_until": None} if _is_time(document.get("lease_until")) else {}
    if status in (Status.PENDING, Status.RUNNING) and _is_time(schedule_at):
        return {"status": Status.PENDING, "ready_at": schedule_at, "lease_token": None, **ended}
    return ended if status in (Status.COMPLETED, Status.FAILED) else {}


def _is_time(value: Any) -> TypeGuard[datetime]:
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_over(value: Any, now: datetime) -> bool:
    return value is None or (_is_time(value) and value <= now)
