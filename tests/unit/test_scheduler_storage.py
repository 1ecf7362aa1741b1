"""The contract of a job store, run over every store."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.model.history import RunOutcome
from shared.model.value import Status
from shared.store.documents import to_document
from shared.store.protocol import Change, Lost, Store, Won
from tests.support.stored_jobs import LEASE, RETENTION, JobFactory, claimed, insert, read, result, won


def test_a_job_comes_back_as_it_was_stored(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Every field survives the store: times, history, payload of any shape, foreign fields."""
    finished = replace(
        claimed(job_factory(cron="*/5 * * * *", timezone="Europe/Berlin", space="spaces/A"), now),
        payload={"nested": [[1, 2], [{"__x__": None}]], "text": "ä\n\u2028😀", "deep": {"a": {"b": {"c": []}}}},
        extra={"team": "ops", "weights": {"a": 1.5}},
    ).finish(result(now, error="boom"), retention=RETENTION)
    done = claimed(finished, finished.ready_at or now)
    finished = done.finish(result(now, output='{"rows": [[1, 2]]}'), retention=RETENTION)

    insert(store, finished)

    assert read(store, finished.id) == finished
    assert finished.recent_runs[0].outcome is RunOutcome.RETRIED


def test_inserting_an_id_that_exists_changes_nothing(store: Store, job_factory: JobFactory) -> None:
    """The insert is lost: this makes scheduling idempotent."""
    (first,) = insert(store, job_factory(payload={"n": 1}))

    outcomes = store.swap([Change(None, job_factory(payload={"n": 2}))])

    assert outcomes == [Lost()]
    assert read(store, first.id) == first


def test_get_leaves_out_what_does_not_exist(store: Store, job_factory: JobFactory) -> None:
    """It returns the ids that exist; without ids it makes no call."""
    (job,) = insert(store, job_factory("a"))

    found = store.get(["a", "missing"])

    assert found == {"a": job}
    assert store.get([]) == {}


def test_due_gives_what_is_ready_oldest_first(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A job is due exactly from its ready time on."""
    microsecond = timedelta(microseconds=1)
    times = {"exactly": now, "late": now - LEASE, "early": now + microsecond, "just": now - microsecond}
    insert(store, *(job_factory(job_id, at=at) for job_id, at in times.items()))

    due = store.due(now)

    assert [job.id for job in due] == ["late", "just", "exactly"]


def test_due_gives_at_most_a_page(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """The oldest ones, up to the limit."""
    insert(store, *(job_factory(f"job-{n}", at=now - timedelta(seconds=n)) for n in range(5)))

    due = store.due(now, limit=2)

    assert [job.id for job in due] == ["job-4", "job-3"]


def test_what_has_nothing_to_do_is_never_due(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A tick does not find paused, cancelled and finished jobs, however old they are."""
    jobs = [job_factory(name, at=now) for name in ("paused", "cancelled", "completed", "failed")]
    changed = [
        jobs[0].pause(now=now),
        jobs[1].cancel(now=now, retention=RETENTION),
        claimed(jobs[2], now).finish(result(now), retention=RETENTION),
        claimed(jobs[3], now).finish(result(now, error="x", final=True), retention=RETENTION),
    ]
    insert(store, *changed)

    assert store.due(now + timedelta(days=300)) == []


def test_a_running_job_is_due_when_its_lease_is_over(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A job whose holder vanished is found when its lease ends, and not a microsecond before."""
    (job,) = insert(store, claimed(job_factory(at=now), now))

    before = store.due(now + LEASE - timedelta(microseconds=1))
    at_the_end = store.due(now + LEASE)

    assert before == []
    assert at_the_end == [job]


def test_only_one_of_two_claims_wins(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Both read the same version: the second one loses, and nothing of its write is stored."""
    (job,) = insert(store, job_factory(at=now))

    first = store.swap([Change(job, claimed(job, now, "first"))])
    second = store.swap([Change(job, claimed(job, now, "second"))])

    assert isinstance(first[0], Won)
    assert second == [Lost()]
    assert read(store, job.id).lease_token == "first"


def test_the_version_of_a_win_carries_the_next_swap(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A holder continues with the returned value, without reading again."""
    (job,) = insert(store, job_factory(at=now))

    held = won(store.swap([Change(job, claimed(job, now))])[0])
    renewed = won(store.swap([Change(held, held.renew(now=now, lease=2 * LEASE))])[0])
    ended = won(store.swap([Change(renewed, renewed.finish(result(now), retention=RETENTION))])[0])

    assert ended.status is Status.COMPLETED
    assert read(store, job.id) == ended


def test_changes_of_one_call_are_independent(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A win, a loss, an insert and a deletion in one call each have their own outcome."""
    a, b, c = insert(store, *(job_factory(name, at=now) for name in "abc"))
    won(store.swap([Change(b, b.pause(now=now))])[0])

    outcomes = store.swap(
        [Change(a, claimed(a, now)), Change(b, claimed(b, now)), Change(c, None), Change(None, job_factory("d"))]
    )

    assert [type(outcome) for outcome in outcomes] == [Won, Lost, Won, Won]
    assert sorted(store.get("abcd")) == ["a", "b", "d"]
    assert read(store, "b").status is Status.PAUSED


@pytest.mark.slow
def test_more_changes_than_one_call_may_hold(store: Store, job_factory: JobFactory) -> None:
    """A swap may be of any size; every change is answered and stored."""
    jobs = [job_factory(f"job-{n:04}") for n in range(1201)]

    insert(store, *jobs)

    assert len(store.get([job.id for job in jobs])) == 1201


def test_more_bytes_than_one_call_may_hold(store: Store, job_factory: JobFactory) -> None:
    """Payloads at the limit go through in as many calls as they need."""
    payload = {"text": "x" * (64 * 1024 - 20)}

    jobs = insert(store, *(job_factory(f"job-{n}", payload=payload) for n in range(100)))

    assert read(store, jobs[99].id).payload == payload


def test_a_field_that_is_none_is_removed(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A finished job has no ready_at and no lease, not empty ones."""
    (job,) = insert(store, job_factory(at=now))
    held = won(store.swap([Change(job, claimed(job, now))])[0])

    won(store.swap([Change(held, held.finish(result(now), retention=RETENTION))])[0])

    document = to_document(read(store, job.id))
    assert not {"ready_at", "lease_until", "error"} & document.keys()
    assert document["lease_token"] == "token"


def test_a_foreign_field_outlives_every_change(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Fields of other programs stay in the document."""
    (job,) = insert(store, replace(job_factory(at=now), extra={"team": {"name": "ops"}}))

    won(store.swap([Change(job, claimed(replace(job, extra={}), now))])[0])

    assert read(store, job.id).extra == {"team": {"name": "ops"}}


def test_a_deletion_is_conditional(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A job that changed since it was read is not deleted; nor is one that no longer exists."""
    (job,) = insert(store, job_factory(at=now))
    newer = won(store.swap([Change(job, job.pause(now=now))])[0])

    stale = store.swap([Change(job, None)])
    fresh = store.swap([Change(newer, None)])
    again = store.swap([Change(newer, None)])

    assert stale == [Lost()]
    assert fresh == [Won(None)]
    assert again == [Lost()]


def test_a_value_that_was_never_read_replaces_nothing(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Without a version there is nothing to compare, so nothing is written."""
    (stored,) = insert(store, job_factory(at=now))
    job = replace(stored, version=None)

    outcomes = store.swap([Change(job, claimed(job, now))])

    assert not isinstance(outcomes[0], Won)
    assert read(store, job.id) == stored


def test_an_id_that_is_created_again_has_a_new_version(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """The holder of a deleted job cannot write into a new one with the same id."""
    (old,) = insert(store, job_factory(at=now))
    store.swap([Change(old, None)])
    insert(store, job_factory(at=now))

    outcomes = store.swap([Change(old, claimed(old, now))])

    assert outcomes == [Lost()]
    assert read(store, old.id).status is Status.PENDING


def test_a_listing_is_by_id_and_paged(store: Store, job_factory: JobFactory) -> None:
    """Pages follow each other without a gap or a repetition."""
    insert(store, *(job_factory(name) for name in ("b", "a", "C", "a.1", "d")))

    first = store.page(limit=3)
    second = store.page(after=first[-1].id, limit=3)

    assert [job.id for job in first + second] == ["C", "a", "a.1", "b", "d"]


def test_a_listing_can_be_of_one_status_or_space(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Both filters can be combined, and paging works within them."""
    jobs = [job_factory(f"job-{n}", space=f"spaces/{n % 2}") for n in range(6)]
    insert(store, *(job.pause(now=now) if n < 4 else job for n, job in enumerate(jobs)))

    paused_here = store.page(status="paused", space="spaces/1", limit=1)
    the_rest = store.page(status="paused", space="spaces/1", after=paused_here[0].id)

    assert [job.id for job in paused_here + the_rest] == ["job-1", "job-3"]


def test_a_listing_can_be_of_several_statuses(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """In one query, ordered by id, of one space or of all."""
    jobs = [job_factory(f"job-{n}", space=f"spaces/{n % 2}") for n in range(6)]
    ended = jobs[5].cancel(now=now, retention=timedelta(days=1))
    insert(store, *(job.pause(now=now) for job in jobs[:2]), *jobs[2:5], ended)

    of_all = store.page(status=("pending", "paused"), limit=4)
    of_one = store.page(status=("paused", "cancelled"), space="spaces/1")

    assert [job.id for job in of_all] == ["job-0", "job-1", "job-2", "job-3"]
    assert [job.id for job in of_one] == ["job-1", "job-5"]
