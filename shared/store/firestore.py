"""The Firestore store: one document a job, compare-and-swap by the document's update time.

Every call has a timeout and none of the client's own retries: those wait for minutes for an unreachable store, and
report a write that they sent twice as lost. Retries are made here: reads are repeated for a few seconds; after an error
on a write the documents are read again, and their content shows whether the write was applied.

The history is a second collection. A holder's entry is created in the batch that ends its run, before it is known
whether this is won; all other entries are stored together with their change or not at all. See
docs/decisions/2026-11-28-history.md for why that leaves one true entry for each run.
"""

import json
import logging
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple, TypeVar, cast

from google.api_core import exceptions, retry
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.errors import StoreUnavailable
from shared.model.entries import KEPT, Entry, entries, ids_of, is_by_its_holder, time_of
from shared.model.job import Job
from shared.store.documents import (
    Unreadable,
    changed_fields,
    entry_from_document,
    entry_to_document,
    from_document,
    to_document,
)
from shared.store.messages import batch_of, commit_of, creation, deletion, fields_of, setting, update, version_of
from shared.store.protocol import PAGE, Change, Lost, Outcome, Refused, Statuses, Unknown, Won

CALL_SECONDS = 10.0
READ_SECONDS = 10.0
STRAYS_EVERY = timedelta(hours=1)
MAX_WRITES = 500
MAX_BYTES = 3 * 1024 * 1024
MAX_ID_BYTES = 1500
LOST_CODES = (5, 6, 9)  # NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION: another version is stored
LOST_ERRORS = (exceptions.NotFound, exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.Aborted)
MOST_OWED = MOST_LOST = 1_000
INCOMPLETE = "Firestore did not answer every write"

T = TypeVar("T")

log = logging.getLogger("watchkeeper.store")


class FirestoreWrite(NamedTuple):
    """A change, what it adds to the history, and the messages to send: of the job, and of each entry.

    Those are applied `together` or not at all, or else each by itself.
    """

    change: Change
    entries: Sequence[Entry]
    messages: list[Any]
    together: bool = False


class WriteResult(NamedTuple):
    """The result of a write, and whether the entries that belong to it were written."""

    outcome: Outcome
    is_entered: bool = False


Apply = Callable[[Sequence[FirestoreWrite]], dict[str, WriteResult]]


class FirestoreStore:
    """Jobs in one Firestore collection, and their history in another, which keeps entries for `kept`, if at all."""

    def __init__(self, client: firestore.Client, collection: str, *, kept: timedelta = KEPT) -> None:
        self._client = client
        self._jobs = client.collection(collection)
        self._name = f"{client._database_string}/documents/{collection}"
        self._history = client.collection(f"{collection}_runs")
        self._kept = kept
        self._owed: dict[str, Entry] = {}  # of won changes, and not written yet
        self._lost: deque[str] = deque(maxlen=MOST_LOST)  # entries of lost ends, which may have been created
        self._looked_for_strays_at = datetime.min.replace(tzinfo=UTC)

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        references = [self._jobs.document(job_id) for job_id in job_ids if _can_exist(job_id)]
        if not references:
            return {}
        request, _, how = self._client._prep_get_all(references, retry=None, timeout=CALL_SECONDS)
        found = self._documents_in(
            "found", lambda: self._api.batch_get_documents(request, metadata=self._client._rpc_metadata, **how)
        )
        return {job.id: job for job in map(self._job, found)}

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
        self, *, after: str = "", limit: int = PAGE, status: Statuses = None, space: str | None = None
    ) -> list[Job | Unreadable]:
        query = self._jobs.order_by("__name__").limit(limit)
        if _can_exist(after):
            query = query.start_after({"__name__": self._jobs.document(after)})
        # Equality and `in` alone need no composite index: Firestore merges those of the single fields.
        if status is not None:
            of_one = isinstance(status, str)
            query = query.where(filter=FieldFilter("status", "==" if of_one else "in", status if of_one else [*status]))
        if space is not None:
            query = query.where(filter=FieldFilter("space", "==", space))
        return self._query(query)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        writes: list[FirestoreWrite] = []
        answers: dict[str, WriteResult] = {}
        for change in changes:
            try:
                writes.append(self._write_of(change))
            except (ValueError, TypeError) as exc:  # it holds a value that no message can
                answers[change.job_id] = WriteResult(Refused(_reason(exc)))
        for batch in _batches([write for write in writes if not write.together]):
            answers |= self._write(batch)
        for batch in _batches([write for write in writes if write.together]):
            answers |= self._commit(batch)
        outcomes = {job_id: answer.outcome for job_id, answer in answers.items()}
        if unknown := [change for change in changes if isinstance(outcomes[change.job_id], Unknown)]:
            outcomes |= self._recognise(unknown, outcomes)
        for write in [write for write in writes if not write.together]:
            match outcomes[write.change.job_id]:
                case Won() if not answers[write.change.job_id].is_entered:
                    self._owed |= {entry.id: entry for entry in write.entries}
                case Lost():
                    self._lost.extend(entry.id for entry in write.entries)
        if self._owed and not all(isinstance(outcome, Unknown) for outcome in outcomes.values()):
            self._enter()
        return [outcomes[change.job_id] for change in changes]

    def history(
        self, *, job_id: str | None = None, since: datetime | None = None, after: str = "", limit: int = PAGE
    ) -> list[Entry]:
        if job_id is None:
            query = self._latest(since, after)
        elif not _can_exist(job_id):
            return []
        else:
            first, end = ids_of(job_id, since)
            begin = self._history.order_by("__name__").end_before({"__name__": self._history.document(end)})
            query = begin.start_at({"__name__": self._history.document(first)})
            if after:
                query = begin.start_after({"__name__": self._history.document(after)})
        read = (entry_from_document(*self._named(found)) for found in self._found(query.limit(limit)))
        return [entry for entry in read if entry is not None]

    def _latest(self, since: datetime | None, after: str) -> Any:
        latest = firestore.Query.DESCENDING
        query = self._history.order_by("at", direction=latest).order_by("__name__", direction=latest)
        if since is not None:
            query = query.where(filter=FieldFilter("at", ">=", since))
        if after:
            query = query.start_after({"at": time_of(after), "__name__": self._history.document(after)})
        return query

    def now(self) -> datetime:
        # Even for a document that does not exist, the answer has the time of the read.
        snapshot = _read(lambda: self._jobs.document("clock").get(retry=None, timeout=CALL_SECONDS))
        return datetime.fromtimestamp(snapshot.read_time.timestamp(), UTC)

    def _query(self, query: Any) -> list[Job | Unreadable]:
        return [self._job(found) for found in self._found(query)]

    # The client has no public access to the messages that it receives and sends, only to its own objects.

    @property
    def _api(self) -> Any:
        return self._client._firestore_api

    def _found(self, query: Any) -> list[Any]:
        request, _, how = query._prep_stream(retry=None, timeout=CALL_SECONDS)
        return self._documents_in(
            "document", lambda: self._api.run_query(request, metadata=self._client._rpc_metadata, **how)
        )

    def _documents_in(self, field: str, call: Callable[[], Iterable[Any]]) -> list[Any]:
        """Return the documents that the answers of a call have in that field."""
        answers = [type(answer).pb(answer) for answer in _read(lambda: list(call()))]
        return [getattr(answer, field) for answer in answers if answer.HasField(field)]

    def _named(self, document: Any) -> tuple[str, dict[str, Any]]:
        return document.name.rpartition("/")[2], fields_of(document, self._client)

    def _job(self, document: Any) -> Job | Unreadable:
        return from_document(*self._named(document), version_of(document.update_time))

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        send, request_of = (self._api.commit, commit_of) if together else (self._api.batch_write, batch_of)
        request = request_of(self._client._database_string, messages)
        answer = send(request, retry=None, timeout=CALL_SECONDS, metadata=self._client._rpc_metadata)
        return type(answer).pb(answer)

    def _write(self, writes: Sequence[FirestoreWrite]) -> dict[str, WriteResult]:
        """Apply each of the writes by itself."""
        messages = _messages(writes)
        try:
            response = self._send(messages)
        except exceptions.InvalidArgument as exc:
            return _in_halves(self._write, writes, _reason(exc))
        except exceptions.GoogleAPIError as exc:
            return _unknown(writes, _reason(exc))
        if {len(response.status), len(response.write_results)} != {len(messages)}:
            return _unknown(writes, INCOMPLETE)
        answers = zip(response.status, response.write_results, strict=True)
        return {write.change.job_id: _answer(write, islice(answers, len(write.messages))) for write in writes}

    def _commit(self, writes: Sequence[FirestoreWrite], *, is_repeated: bool = False) -> dict[str, WriteResult]:
        """Apply all of the writes, or none of them; those whose job has changed are lost, and the others repeated."""
        messages = _messages(writes)
        try:
            response = self._send(messages, together=True)
        except exceptions.InvalidArgument as exc:
            return _in_halves(self._commit, writes, _reason(exc))
        except LOST_ERRORS as exc:
            # Contention aborts a commit whose jobs are unchanged.
            may_repeat = isinstance(exc, exceptions.Aborted) and not is_repeated
            return self._commit_unchanged(writes, _reason(exc), may_repeat=may_repeat)
        except exceptions.GoogleAPIError as exc:
            return _unknown(writes, _reason(exc))
        if len(response.write_results) != len(messages):
            return _unknown(writes, INCOMPLETE)
        results = iter(response.write_results)
        return {write.change.job_id: _committed(write, islice(results, len(write.messages))) for write in writes}

    def _commit_unchanged(
        self, writes: Sequence[FirestoreWrite], reason: str, *, may_repeat: bool
    ) -> dict[str, WriteResult]:
        """Commit again, without the writes whose job has changed; with all of them only if `may_repeat`."""
        try:
            found = self.get([write.change.job_id for write in writes])
        except StoreUnavailable:
            return _unknown(writes, reason)
        lost = {write.change.job_id: WriteResult(Lost()) for write in writes if _has_changed(write.change, found)}
        others = [write for write in writes if write.change.job_id not in lost]
        if not others:
            return lost
        if not lost and not may_repeat:
            return _unknown(others, reason)
        return lost | self._commit(others, is_repeated=not lost)

    def _write_of(self, change: Change) -> FirestoreWrite:
        """Return the write of a change. Raises ValueError or TypeError for a value that no message can hold."""
        before, after = change
        message = self._message(before, after)
        if not isinstance(before, Job) or not isinstance(after, Job):
            return FirestoreWrite(change, [], [message])
        added = entries(before, after, kept=self._kept)
        is_first = is_by_its_holder(before, after) and not any(entry.id in self._lost for entry in added)
        # Create only: never overwrite the entry of a claim that took the job from this holder.
        made = creation if is_first else setting
        entered = [made(f"{self._name}_runs/{entry.id}", entry_to_document(entry)) for entry in added]
        return FirestoreWrite(change, added, [message, *entered], together=bool(added) and not is_first)

    def _message(self, before: Job | Unreadable | None, after: Job | Unreadable | None) -> Any:
        name = f"{self._name}/{Change(before, after).job_id}"
        if before is None:
            return creation(name, _written(to_document(cast("Job", after))))
        if before.version is None:  # it would be a write without any condition
            raise ValueError(f"job {before.id} was not read from the store")
        if after is None:
            return deletion(name, before.version)
        return update(name, _written(changed_fields(before, after)), before.version)

    def _enter(self) -> None:
        """Write the entries of won ends that may be missing, since the answer of their batch was lost."""
        owed = list(self._owed.values())[:MAX_WRITES]
        try:
            response = self._send(
                [setting(f"{self._name}_runs/{entry.id}", entry_to_document(entry)) for entry in owed]
            )
            written = [entry for entry, status in zip(owed, response.status, strict=True) if status.code == 0]
        except (exceptions.GoogleAPIError, ValueError, TypeError) as exc:
            log.warning("Entries of the history could not be written yet: %s", _reason(exc))
            written = owed[: max(len(self._owed) - MOST_OWED, 0)]  # no entry is retried for ever
        for entry in written:
            self._owed.pop(entry.id, None)  # another thread may have written it too

    def _recognise(self, changes: Sequence[Change], unknown: dict[str, Outcome]) -> dict[str, Outcome]:
        """Read the jobs whose writes got no answer: a document equal to the changed job was written by us."""
        try:
            found = self.get([change.job_id for change in changes])
        except StoreUnavailable:
            return {change.job_id: unknown[change.job_id] for change in changes}
        return {
            change.job_id: _recognised(change, found.get(change.job_id), unknown[change.job_id]) for change in changes
        }


def _messages(writes: Sequence[FirestoreWrite]) -> list[Any]:
    return [message for write in writes for message in write.messages]


def _in_halves(apply: Apply, writes: Sequence[FirestoreWrite], reason: str) -> dict[str, WriteResult]:
    """Write each half by itself: one value that cannot be stored fails a whole call, until it is alone."""
    if len(writes) == 1:
        return {writes[0].change.job_id: WriteResult(Refused(reason))}
    middle = len(writes) // 2
    return apply(writes[:middle]) | apply(writes[middle:])


def _answer(write: FirestoreWrite, answers: Iterable[tuple[Any, Any]]) -> WriteResult:
    (status, result), *entered = answers
    is_entered = bool(entered) and all(status.code == 0 for status, _ in entered)
    return WriteResult(_outcome(write.change, status, result), is_entered)


def _committed(write: FirestoreWrite, results: Iterable[Any]) -> WriteResult:
    result, *_ = results
    return WriteResult(_won(write.change, result), is_entered=True)


def _unknown(writes: Sequence[FirestoreWrite], reason: str) -> dict[str, WriteResult]:
    return {write.change.job_id: WriteResult(Unknown(reason)) for write in writes}


def _has_changed(change: Change, found: Mapping[str, Job | Unreadable]) -> bool:
    stored = found.get(change.job_id)
    return (change.before and change.before.version) != (stored and stored.version)


def _outcome(change: Change, status: Any, result: Any) -> Outcome:
    if status.code == 0:
        return _won(change, result)
    if status.code in LOST_CODES:
        return Lost()
    return Unknown(f"Firestore answered {status.code} {status.message}")


def _won(change: Change, result: Any) -> Won:
    after, version = change.after, version_of(result.update_time)
    return Won(after.changed(version=version) if isinstance(after, Job) else after and replace(after, version=version))


def _recognised(change: Change, found: Job | Unreadable | None, unknown: Outcome) -> Outcome:
    if (change.before and change.before.version) == (found and found.version):
        return unknown  # the version that was read is still stored: nothing was written, or not yet
    if change.after is None:
        return Won(None) if found is None else Lost()
    if found is None:
        return Lost()
    as_stored, intended = to_document(found), to_document(change.after)
    written = intended if change.before is None else changed_fields(change.before, change.after)
    same = all(as_stored.get(name) == intended.get(name) for name in written)
    return Won(found) if same else Lost()  # as found: it may have been changed after our write


def _written(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as they are stored."""
    if isinstance(fields.get("payload"), Mapping):
        # As text a payload may hold what a Firestore map cannot: nested lists, any key, any depth.
        fields["payload"] = json.dumps(fields["payload"], ensure_ascii=False)
    return fields


def _batches(writes: Sequence[FirestoreWrite]) -> Iterator[list[FirestoreWrite]]:
    """Cut into calls of at most 500 writes and about 3 MiB."""
    batch: list[FirestoreWrite] = []
    count = size = 0
    for write in writes:
        number, weight = len(write.messages), sum(message.ByteSize() for message in write.messages)
        if batch and (count + number > MAX_WRITES or size + weight > MAX_BYTES):
            yield batch
            batch, count, size = [], 0, 0
        batch.append(write)
        count += number
        size += weight
    if batch:
        yield batch


def _can_exist(job_id: str) -> bool:
    """Return whether Firestore allows the id: https://firebase.google.com/docs/firestore/quotas."""
    # To the client an id is a path: with a slash it would name another collection.
    if "/" in job_id or job_id in ("", ".", "..") or re.fullmatch("__.*__", job_id):
        return False
    try:
        return len(job_id.encode()) <= MAX_ID_BYTES
    except UnicodeEncodeError:
        return False


def _read(call: Callable[[], T]) -> T:
    """Repeat a read that failed for a temporary reason, for a few seconds."""
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
