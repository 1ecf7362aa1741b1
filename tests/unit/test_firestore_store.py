"""The store in Firestore: the form of its documents, its calls and its errors."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.store.documents import to_document
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change, Lost, Refused, Unknown, Won
from tests.support.stored_jobs import RETENTION, JobFactory, claimed, insert, read, result, won, write_raw


@pytest.mark.emulator
@pytest.mark.parametrize("extra", [[[1]], json.loads('{"a": [' * 30 + "]}" * 30)], ids=["list", "deep"])
def test_one_value_that_cannot_be_stored_does_not_fail_the_others(
    firestore_store: FirestoreStore, job_factory: JobFactory, extra: object
) -> None:
    """Only this change is refused, with the store's reason; the rest of the call is stored."""
    jobs = [job_factory(f"job-{n}") for n in range(7)]
    jobs[3] = replace(jobs[3], extra={"nested": extra})

    outcomes = firestore_store.swap([Change(None, job) for job in jobs])

    assert [type(outcome) for outcome in outcomes] == [Won] * 3 + [Refused] + [Won] * 3
    assert isinstance(outcomes[3], Refused)
    assert outcomes[3].reason
    assert len(firestore_store.page()) == 6


class CutStore(FirestoreStore):
    """A store whose answers lack the last write."""

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        answer = super()._send(messages, together=together)
        del answer.status[-1]
        return answer


@pytest.mark.emulator
def test_an_incomplete_answer_counts_as_none(firestore_client: firestore.Client, job_factory: JobFactory) -> None:
    """Reading the documents shows what was written."""
    store = CutStore(firestore_client, f"jobs-{uuid4().hex}")

    outcomes = store.swap([Change(None, job_factory(name)) for name in "ab"])

    assert [type(outcome) for outcome in outcomes] == [Won, Won]


class EditedStore(FirestoreStore):
    """A store whose answers are lost; before it reads what was written, a person edits the job."""

    def __init__(self, client: firestore.Client, collection: str, edit: Callable[[Job], Job]) -> None:
        super().__init__(client, collection)
        self._edit = edit

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        super()._send(messages, together=together)
        other = FirestoreStore(self._client, self._jobs.id)
        job = read(other, "job")
        assert isinstance(other.swap([Change(job, self._edit(job))])[0], Won)
        raise exceptions.ServiceUnavailable("cut")  # type: ignore[no-untyped-call]  # the library's own


@pytest.mark.emulator
def test_a_write_is_recognised_with_what_was_written_after_it(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """A claim whose answer was lost, and then an edit: the holder's next occurrence follows the new schedule."""
    (job,) = insert(firestore_store, job_factory("job", cron="0 9 * * *", at=now))
    store = EditedStore(
        firestore_store._client, firestore_store._jobs.id, lambda job: job.edit(now=now, cron="30 10 * * *")
    )

    held = won(store.swap([Change(job, claimed(job, now))])[0])
    firestore_store.swap([Change(held, held.finish(result(now), retention=RETENTION))])

    ended = read(firestore_store, "job")
    assert (ended.cron, ended.schedule_at) == ("30 10 * * *", now.replace(hour=10, minute=30))


@pytest.mark.emulator
@pytest.mark.parametrize("job_id", ["\udcff", "x" * 1501, "é" * 800], ids=["no-text", "long", "long-in-bytes"])
def test_an_id_that_no_document_can_have_is_absent(firestore_store: FirestoreStore, job_id: str) -> None:
    """As in a file: no call fails because of it."""
    assert firestore_store.get([job_id]) == {}
    assert firestore_store.history(job_id=job_id) == []


@pytest.mark.emulator
def test_times_are_timestamps_and_the_payload_is_text(
    firestore_store: FirestoreStore, firestore_client: firestore.Client, job_factory: JobFactory, now: datetime
) -> None:
    """Firestore can compare the times in queries, and a payload may have what a map may not."""
    insert(firestore_store, job_factory("a", at=now, payload={"rows": [[1], [2]]}))

    document = firestore_store._jobs.document("a").get().to_dict()

    assert document is not None
    assert document["ready_at"] == now
    assert json.loads(document["payload"]) == {"rows": [[1], [2]]}


@pytest.mark.emulator
def test_a_payload_that_is_a_map_is_read(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """Documents of the former system have it as a map."""
    write_raw(firestore_store, "a", {**to_document(job_factory("a", at=now)), "payload": {"message": "hi"}})

    assert read(firestore_store, "a").payload == {"message": "hi"}


@pytest.mark.emulator
def test_a_claim_writes_only_what_it_changes(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """A field that another program writes between read and claim makes the claim lose and is never overwritten."""
    (job,) = insert(firestore_store, job_factory(at=now))
    firestore_store._jobs.document(job.id).update({"team": "ops"})

    outcomes = firestore_store.swap([Change(job, claimed(job, now))])

    assert outcomes == [Lost()]
    assert read(firestore_store, job.id).extra == {"team": "ops"}


class Counts(FirestoreStore):
    """A store that counts the writes of each call."""

    def __init__(self, client: firestore.Client, collection: str) -> None:
        super().__init__(client, collection)
        self.sizes: list[int] = []

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        self.sizes.append(len(messages))
        return super()._send(messages, together=together)


@pytest.mark.slow
@pytest.mark.emulator
def test_no_call_holds_more_writes_than_firestore_takes(
    firestore_store: FirestoreStore, job_factory: JobFactory
) -> None:
    """500 a call: the emulator would take more, Firestore does not."""
    store = Counts(firestore_store._client, firestore_store._jobs.id)

    insert(store, *(job_factory(f"job-{n:04}") for n in range(1201)))

    assert store.sizes == [500, 500, 201]


class RefusesWrites(FirestoreStore):
    """A store that can be read but not written: a missing role, or an exhausted quota."""

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        raise exceptions.PermissionDenied("no")  # type: ignore[no-untyped-call]  # the library's own


@pytest.mark.emulator
def test_refused_writes_of_unchanged_jobs_are_unknown_and_not_lost(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """The documents did not change, so no other writer was faster: the outcome is unknown, with the reason."""
    (job,) = insert(firestore_store, job_factory(at=now))
    store = RefusesWrites(firestore_store._client, firestore_store._jobs.id)

    outcomes = store.swap([Change(job, claimed(job, now)), Change(None, job_factory("new"))])

    assert all(isinstance(outcome, Unknown) and "PermissionDenied" in outcome.reason for outcome in outcomes)


def test_an_unreachable_store_leaves_writes_unknown_and_fails_reads(
    unreachable_store: FirestoreStore, job_factory: JobFactory, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swap never raises but returns unknown outcomes with the reason, and reads give up in time."""
    monkeypatch.setattr("shared.store.firestore.READ_SECONDS", 0.2)

    outcomes = unreachable_store.swap([Change(None, job_factory())])

    assert isinstance(outcomes[0], Unknown)
    assert "Unavailable" in outcomes[0].reason
    with pytest.raises(StoreUnavailable, match="Firestore cannot be read"):
        unreachable_store.due(now)
