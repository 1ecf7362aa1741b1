"""Documents that are not jobs: read as unreadable and quarantined, over every store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable, from_document, to_document
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change, Lost, Store, Won
from tests.support.stored_jobs import JobFactory, insert, read, won, write_raw

BROKEN: dict[str, dict[str, Any]] = {
    "no job_type": {"job_type": None},
    "an unknown status": {"status": "sleeping"},
    "a time that is text": {"schedule_at": "tomorrow"},
    "a payload that is no JSON": {"payload": "{"},
    "a payload that is a list": {"payload": "[]"},
    "an unknown zone": {"cron": "* * * * *", "timezone": "Mars/Olympus"},
    "a cron expression of a stranger": {"cron": "every day"},
    "attempts that are no number": {"attempts": "3"},
    "a history that is no list": {"recent_runs": {"a": 1}},
    "a run without outcome": {"recent_runs": [{"schedule_at": datetime(2026, 1, 1, tzinfo=UTC)}]},
    "a run with an empty time": {"recent_runs": [{"schedule_at": None, "outcome": "failed"}]},
    "a run with an output that is no text": {
        "recent_runs": [{"schedule_at": datetime(2026, 1, 1, tzinfo=UTC), "outcome": "completed", "output": 7}]
    },
    "a run with an empty outcome": {
        "recent_runs": [{"schedule_at": datetime(2026, 1, 1, tzinfo=UTC), "outcome": None}]
    },
    "an extra run of a one-shot": {"regular_at": datetime(2026, 1, 1, tzinfo=UTC)},
}


@pytest.mark.parametrize("broken", [pytest.param(fields, id=name) for name, fields in BROKEN.items()])
def test_an_unreadable_document_is_listed_and_quarantined(
    store: Store, job_factory: JobFactory, now: datetime, broken: dict[str, Any]
) -> None:
    """It is read as unreadable with a reason; a swap quarantines it and keeps all its other fields."""
    document = {**to_document(job_factory(at=now)), "team": "ops", **broken}
    write_raw(store, "bad", {name: value for name, value in document.items() if value is not None})
    (found,) = store.due(now)
    assert isinstance(found, Unreadable)

    outcomes = store.swap([Change(found, found.quarantined())])

    assert isinstance(outcomes[0], Won)
    assert store.due(now) == []
    (listed,) = store.page()
    assert isinstance(listed, Unreadable)
    kept = {name: value for name, value in found.document.items() if name != "ready_at"}
    assert listed.document == {**kept, "error": f"unreadable: {found.reason}"}


@pytest.mark.parametrize("ready_at", ["2026-11-21 at nine", ""], ids=["words", "empty"])
def test_a_ready_time_that_is_text_is_quarantined_by_a_tick_with_other_work(
    store: Store, job_factory: JobFactory, now: datetime, ready_at: str
) -> None:
    """No comparison with a time finds it; it is read after the due jobs and quarantined like others."""
    insert(store, job_factory("good", at=now))
    write_raw(store, "stray", {**to_document(job_factory("stray", at=now)), "ready_at": ready_at})

    first, stray = store.due(now)
    assert isinstance(stray, Unreadable)
    store.swap([Change(stray, stray.quarantined())])

    assert (first.id, stray.id) == ("good", "stray")
    assert "ready_at" in stray.reason
    assert [job.id for job in store.due(now)] == ["good"]


def test_looking_for_text_costs_an_idle_tick_nothing(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One query if nothing is due or the page is full, and one more at most every hour otherwise."""
    queries: list[object] = []
    query = FirestoreStore._query
    hour, counts = timedelta(hours=1), []

    def recorded(store: FirestoreStore, asked: object) -> list[Job | Unreadable]:
        queries.append(asked)
        return query(store, asked)

    def look(at: datetime, limit: int = 500) -> None:
        queries.clear()
        firestore_store.due(at, limit)
        counts.append(len(queries))

    monkeypatch.setattr(FirestoreStore, "_query", recorded)

    look(now)
    insert(firestore_store, job_factory(at=now))
    for at, limit in ((now, 1), (now, 2), (now + hour / 2, 2), (now + hour, 2)):
        look(at, limit)

    assert counts == [1, 1, 2, 1, 2]


def test_a_finished_job_with_a_ready_time_is_quarantined(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """This contradiction would make it due for ever; quarantine removes the ready time."""
    write_raw(store, "odd", {**to_document(job_factory("odd", at=now)), "status": "completed"})
    (found,) = store.due(now)
    assert isinstance(found, Unreadable)

    store.swap([Change(found, found.quarantined())])

    assert store.due(now) == []
    assert read(store, "odd").status is Status.COMPLETED


def test_quarantine_is_conditional(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A document that was repaired meanwhile is not touched."""
    write_raw(store, "bad", {**to_document(job_factory(at=now)), "status": "sleeping"})
    (found,) = store.due(now)
    assert isinstance(found, Unreadable)
    repaired = from_document("bad", {**found.document, "status": "pending"}, found.version)
    won(store.swap([Change(found, repaired)])[0])

    outcomes = store.swap([Change(found, found.quarantined())])

    assert outcomes == [Lost()]
    assert read(store, "bad").ready_at == now
