"""The Firestore store: one document a job, compare-and-swap by the document's update time.

Every call has a timeout and none of the client's own retries: those wait for minutes for an unreachable store, and
report a write that they sent twice as lost. Retries are made here: reads are repeated for a few seconds; after an
error on a write the documents are read again, and what stands there tells whether the write was applied.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from google.api_core import exceptions, retry
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.bulk_batch import BulkWriteBatch

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.store.documents import Unreadable, changed_fields, from_document, to_document
from shared.store.protocol import PAGE, Change, Lost, Outcome, Refused, Unknown, Won

CALL_SECONDS = 10.0
READ_SECONDS = 10.0
STRAYS_EVERY = timedelta(hours=1)
MAX_WRITES = 500
MAX_BYTES = 3 * 1024 * 1024
LOST_CODES = (5, 6, 9)  # NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION: another version stands there

T = TypeVar("T")

# A query that is cut in mid-stream asks its retry object whether to go on, and stumbles over None.
NO_RETRY = retry.Retry(predicate=lambda exc: False)


class Write(NamedTuple):
    """A change and the fields that it writes."""

    change: Change
    fields: dict[str, Any]


class FirestoreStore:
    """Jobs in one Firestore collection."""

    def __init__(self, client: firestore.Client, collection: str) -> None:
        self._client = client
        self._jobs = client.collection(collection)
        self._looked_for_strays_at = datetime.min.replace(tzinfo=UTC)

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        references = [self._jobs.document(job_id) for job_id in job_ids if _can_exist(job_id)]
        if not references:
            return {}
        snapshots = _read(lambda: list(self._client.get_all(references, retry=None, timeout=CALL_SECONDS)))
        return {snapshot.id: _job(snapshot) for snapshot in snapshots if snapshot.exists}

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        query = self._jobs.where(filter=FieldFilter("ready_at", "<=", now)).order_by("ready_at").limit(limit)
        found = self._query(query)
        # Text is compared with text only, so that query never finds it. An idle call must not cost another read.
        if 0 < len(found) < limit and now - self._looked_for_strays_at >= STRAYS_EVERY:
            self._looked_for_strays_at = now
            stray = self._jobs.where(filter=FieldFilter("ready_at", ">=", "")).limit(limit - len(found))
            found += self._query(stray)
        return found

    def page(
        self, *, after: str = "", limit: int = PAGE, status: str | None = None, space: str | None = None
    ) -> list[Job | Unreadable]:
        query = self._jobs.order_by("__name__").limit(limit)
        if _can_exist(after):
            query = query.start_after({"__name__": self._jobs.document(after)})
        for name, value in (("status", status), ("space", space)):
            if value is not None:
                query = query.where(filter=FieldFilter(name, "==", value))
        return self._query(query)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        for batch in _batches([Write(change, _fields(*change)) for change in changes]):
            outcomes |= self._write(batch)
        if unheard := [change for change in changes if isinstance(outcomes[change.job_id], Unknown)]:
            outcomes |= self._recognise(unheard, outcomes)
        return [outcomes[change.job_id] for change in changes]

    def now(self) -> datetime:
        # A document that does not exist still comes with the time at which the store looked for it.
        snapshot = _read(lambda: self._jobs.document("clock").get(retry=None, timeout=CALL_SECONDS))
        return datetime.fromtimestamp(snapshot.read_time.timestamp(), UTC)

    def _query(self, query: Any) -> list[Job | Unreadable]:
        return [_job(snapshot) for snapshot in _read(lambda: query.get(retry=NO_RETRY, timeout=CALL_SECONDS))]

    def _write(self, writes: Sequence[Write]) -> dict[str, Outcome]:
        try:
            response = self._batch(writes).commit(retry=None, timeout=CALL_SECONDS)
        except (exceptions.InvalidArgument, ValueError, TypeError) as exc:
            # One value that cannot be stored fails the whole call, here or there: halve until the culprit stands alone.
            if len(writes) == 1:
                return {writes[0].change.job_id: Refused(_reason(exc))}
            middle = len(writes) // 2
            return self._write(writes[:middle]) | self._write(writes[middle:])
        except exceptions.GoogleAPIError as exc:
            return {write.change.job_id: Unknown(_reason(exc)) for write in writes}
        answers = zip(writes, response.status, response.write_results, strict=True)
        return {write.change.job_id: _outcome(write.change, status, result) for write, status, result in answers}

    def _batch(self, writes: Sequence[Write]) -> BulkWriteBatch:
        batch = BulkWriteBatch(client=self._client)
        for change, fields in writes:
            reference = self._jobs.document(change.job_id)
            if change.before is None:
                batch.create(reference, fields)
                continue
            if change.before.version is None:  # it would be a write without any condition
                raise ValueError(f"job {change.job_id} was not read from the store")
            still_there = self._client.write_option(last_update_time=change.before.version)
            if change.after is None:
                batch.delete(reference, option=still_there)
            else:
                batch.update(reference, fields, option=still_there)
        return batch

    def _recognise(self, changes: Sequence[Change], unheard: dict[str, Outcome]) -> dict[str, Outcome]:
        """Read again what no answer came for: a document that is what the change makes of it was written by it."""
        try:
            found = self.get([change.job_id for change in changes])
        except StoreUnavailable:
            return {change.job_id: unheard[change.job_id] for change in changes}
        return {
            change.job_id: _recognised(change, found.get(change.job_id), unheard[change.job_id]) for change in changes
        }


def _outcome(change: Change, status: Any, result: Any) -> Outcome:
    if status.code == 0:
        return Won(change.after and replace(change.after, version=result.update_time))
    if status.code in LOST_CODES:
        return Lost()
    return Unknown(f"Firestore answered {status.code} {status.message}")


def _recognised(change: Change, found: Job | Unreadable | None, unheard: Outcome) -> Outcome:
    if (change.before and change.before.version) == (found and found.version):
        return unheard  # what was read still stands: nothing was written, or not yet
    if change.after is None:
        return Won(None) if found is None else Lost()
    if found is None:
        return Lost()
    as_stored, intended = to_document(found), to_document(change.after)
    written = intended if change.before is None else changed_fields(change.before, change.after)
    same = all(as_stored.get(name) == intended.get(name) for name in written)
    return Won(replace(change.after, version=found.version)) if same else Lost()


def _fields(before: Job | Unreadable | None, after: Job | Unreadable | None) -> dict[str, Any]:
    """Return the document to create, or the changed fields of an update."""
    if after is None:
        return {}
    if before is None:
        fields = to_document(after)
    else:
        changed = changed_fields(before, after)
        fields = {name: firestore.DELETE_FIELD if value is None else value for name, value in changed.items()}
    if isinstance(fields.get("payload"), Mapping):
        # As text a payload may hold what a Firestore map may not: nested lists, any key, any depth.
        fields["payload"] = json.dumps(fields["payload"], ensure_ascii=False)
    return fields


def _batches(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """Cut into calls of at most 500 writes and about 3 MiB."""
    batch: list[Write] = []
    size = 0
    for write in writes:
        # The text of the fields is longer than their encoding, so this errs on the safe side.
        weight = len(str(write.fields).encode())
        if batch and (len(batch) == MAX_WRITES or size + weight > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(write)
        size += weight
    if batch:
        yield batch


def _can_exist(job_id: str) -> bool:
    # To the client an id is a path: with a slash it would name another collection.
    return bool(job_id) and "/" not in job_id and job_id not in (".", "..") and not re.fullmatch("__.*__", job_id)


def _job(snapshot: Any) -> Job | Unreadable:
    return from_document(snapshot.id, snapshot.to_dict() or {}, snapshot.update_time)


def _read(call: Callable[[], T]) -> T:
    """Repeat a read that failed for a passing reason, for a few seconds."""
    passing = retry.if_exception_type(
        exceptions.ServiceUnavailable,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.Aborted,
        exceptions.TooManyRequests,
    )
    repeated = retry.Retry(predicate=passing, initial=0.1, maximum=1.0, multiplier=2.0, timeout=READ_SECONDS)
    try:
        return repeated(call)()
    except (exceptions.GoogleAPIError, exceptions.RetryError) as exc:
        raise StoreUnavailable(f"Firestore cannot be read: {_reason(exc)}") from exc


def _reason(exc: Exception) -> str:
    cause = exc.cause if isinstance(exc, exceptions.RetryError) and exc.cause else exc
    return f"{type(cause).__name__}: {getattr(cause, 'message', cause)}"[:300]
