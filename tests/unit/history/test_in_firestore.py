"""The history in Firestore: which calls write an entry, and what becomes of it when one fails."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from shared.model.job import Job
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change, Lost, Outcome, Refused, Unknown, Won
from tests.support.histories import DAY, HOUR, MINUTE, JobFactory, claimed, finished, put, run


class Killed(BaseException):
    """The process ends here."""


class Scripted(FirestoreStore):
    """A store whose next calls fail as given: `None` is a call that succeeds."""

    def __init__(self, store: FirestoreStore, *script: str | None) -> None:
        super().__init__(store._client, store._jobs.id)
        self.script = list(script)
        self.sizes: list[int] = []

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        self.sizes.append(len(messages))
        step = self.script.pop(0) if self.script else None
        if step == "killed":
            raise Killed
        if step == "contended":
            raise exceptions.Aborted("too much contention")  # type: ignore[no-untyped-call]  # the library's own
        answer = super()._send(messages, together=together)
        if step == "applied but cut":
            raise exceptions.ServiceUnavailable("cut")  # type: ignore[no-untyped-call]  # the library's own
        return answer


@pytest.mark.emulator
def test_the_entry_goes_with_the_end_of_its_run(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """One call, two writes."""
    store = Scripted(firestore_store)
    held = put(store, None, claimed(job_factory(at=now), now, "a"))

    put(store, held, finished(held, now))

    assert store.sizes == [1, 2]


@pytest.mark.emulator
def test_an_end_without_an_answer_has_one_entry(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """It is recognised as won, and its entry is overwritten with the same."""
    held = put(firestore_store, None, claimed(job_factory("report", at=now), now, "a"))
    store = Scripted(firestore_store, "applied but cut")

    put(store, held, finished(held, now))

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["completed"]


class Shared(Scripted):
    """A store that another thread uses before the second call of this one."""

    other: Callable[[], object] | None = None

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        if len(self.sizes) == 1 and self.other is not None:
            other, self.other = self.other, None
            other()
        return super()._send(messages, together=together)


@pytest.mark.emulator
def test_an_entry_may_be_written_by_two_threads(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """One that is missing is written with the next call of any thread, perhaps of two at once."""
    held = put(firestore_store, None, claimed(job_factory("report", at=now), now, "a"))
    store = Shared(firestore_store, "applied but cut")
    store.other = lambda: put(store, None, job_factory("other", at=now))

    put(store, held, finished(held, now))

    assert store.sizes == [2, 1, 1, 1]
    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["completed"]


@pytest.mark.emulator
def test_the_winner_replaces_the_entry_of_the_loser(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """An end that is lost to a person's command leaves its entry; the tick that reclaims the job knows better."""
    held = put(firestore_store, None, claimed(job_factory("report", cron="* * * * *"), now, "a"))
    paused = put(firestore_store, held, held.pause(now=now))
    firestore_store.swap([Change(held, finished(held, now))])  # and then its process is killed
    resumed = put(firestore_store, paused, paused.resume(now=now, retention=DAY))

    put(firestore_store, resumed, claimed(resumed, now + HOUR, "b"))

    assert [entry.run.outcome for entry in firestore_store.history(job_id="report")] == ["died"]


@pytest.mark.emulator
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_kill_between_two_calls_loses_no_missed_occurrence(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, calls: int
) -> None:
    """The claim that leaves occurrences out and the entry that says so are stored both, or neither of them."""
    job = put(firestore_store, None, job_factory("report", cron="* * * * *"))
    store = Scripted(firestore_store, *[None] * calls, "killed")

    with suppress(Killed):
        store.swap([Change(job, claimed(job, now + 3 * MINUTE, "a"))])

    stored = firestore_store.get(["report"])["report"]
    assert isinstance(stored, Job)
    assert [entry.run for entry in firestore_store.history(job_id="report")] == [*stored.recent_runs]


@pytest.mark.emulator
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_kill_between_two_calls_leaves_no_entry_of_the_loser(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, calls: int
) -> None:
    """The entry of an end that was lost to a person is replaced with the claim that takes the job, or stands alone."""
    held = put(firestore_store, None, claimed(job_factory("report", cron="* * * * *"), now, "a"))
    paused = put(firestore_store, held, held.pause(now=now))
    firestore_store.swap([Change(held, finished(held, now))])  # and then its process is killed
    resumed = put(firestore_store, paused, paused.resume(now=now, retention=DAY))
    store = Scripted(firestore_store, *[None] * calls, "killed")

    with suppress(Killed):
        store.swap([Change(resumed, claimed(resumed, now + HOUR, "b"))])

    stored = firestore_store.get(["report"])["report"]
    assert isinstance(stored, Job)
    is_taken = stored.lease_token == "b"
    assert [entry.run.outcome for entry in firestore_store.history(job_id="report")] == [
        "died" if is_taken else "completed"
    ]


@pytest.mark.emulator
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_kill_between_two_calls_leaves_the_entry_of_the_stored_end(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, calls: int
) -> None:
    """An end that is made again, after it was lost to a person, replaces its own entry as it is stored."""
    store = Scripted(firestore_store)
    held = put(store, None, claimed(job_factory("report", cron="* * * * *"), now, "a"))
    paused = put(firestore_store, held, held.pause(now=now))
    store.swap([Change(held, finished(held, now))])
    store.script = [*[None] * calls, "killed"]

    with suppress(Killed):
        store.swap([Change(paused, finished(paused, now, error="boom", final=True))])

    stored = firestore_store.get(["report"])["report"]
    assert isinstance(stored, Job)
    is_ended = bool(stored.recent_runs)
    outcomes = [entry.run.outcome for entry in firestore_store.history(job_id="report")]
    assert outcomes == ["failed" if is_ended else "completed"]


@pytest.mark.emulator
def test_of_claims_with_missed_occurrences_only_those_of_changed_jobs_are_lost(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """All or none are stored in one call, so the others are made again: one more read and one more call."""
    store = Scripted(firestore_store)
    jobs = [put(firestore_store, None, job_factory(name, cron="* * * * *")) for name in "abcd"]
    put(firestore_store, jobs[1], jobs[1].pause(now=now))
    firestore_store.swap([Change(jobs[2], None)])

    outcomes = store.swap([Change(job, claimed(job, now + 3 * MINUTE, "token")) for job in jobs])

    assert [type(outcome) for outcome in outcomes] == [Won, Lost, Lost, Won]
    assert sorted(entry.job_id for entry in store.history()) == ["a", "d"]
    assert store.sizes == [8, 4]


@pytest.mark.emulator
def test_a_commit_that_meets_contention_is_repeated_once(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """It must not cost the tick: without an outcome the store counts as unreachable."""
    store = Scripted(firestore_store, "contended")
    jobs = [put(firestore_store, None, job_factory(name, cron="* * * * *")) for name in "ab"]

    outcomes = store.swap([Change(job, claimed(job, now + 3 * MINUTE, "a")) for job in jobs])

    assert [type(outcome) for outcome in outcomes] == [Won, Won]
    assert store.sizes == [4, 4]
    assert len(store.history()) == 2


@pytest.mark.emulator
def test_refused_claims_of_unchanged_jobs_are_unknown(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """The change that was in the way is not stored yet, or never will be: the outcome is unknown, with the reason."""
    store = Scripted(firestore_store, "contended", "contended")
    job = put(firestore_store, None, job_factory("report", cron="* * * * *"))
    claim = Change(job, claimed(job, now + 3 * MINUTE, "a"))

    (outcome,) = store.swap([claim])
    (again,) = store.swap([claim])

    assert isinstance(outcome, Unknown)
    assert "too much contention" in outcome.reason
    assert isinstance(again, Won)
    assert len(store.history()) == 1


@pytest.mark.emulator
def test_what_was_missed_costs_no_call_of_its_own(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """Claims with missed occurrences are one call with their entries, and all other claims another."""
    store = Scripted(firestore_store)
    late = [put(firestore_store, None, job_factory(name, cron="* * * * *")) for name in "ab"]
    due = [put(firestore_store, None, job_factory(name, at=now)) for name in "cd"]

    outcomes = store.swap([Change(job, claimed(job, now + 3 * MINUTE, "token")) for job in [*late, *due]])

    assert all(isinstance(outcome, Won) for outcome in outcomes)
    assert store.sizes == [2, 4]


@pytest.mark.emulator
def test_claims_whose_answer_was_lost_have_one_entry(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """They are recognised as won, and nothing is written again."""
    store = Scripted(firestore_store, "applied but cut")
    job = put(firestore_store, None, job_factory("report", cron="* * * * *"))

    put(store, job, claimed(job, now + 3 * MINUTE, "a"))

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["missed"]
    assert store.sizes == [2]


class InPieces(FirestoreStore):
    """A store whose batches are applied write by write, the entry or the job first, with something else in between.

    What is applied together has it before or behind.
    """

    def __init__(self, store: FirestoreStore, *, is_entry_first: bool, between: Callable[[], object]) -> None:
        super().__init__(store._client, store._jobs.id)
        self._is_entry_first = is_entry_first
        self._between = between

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        if len(messages) == 1:
            return super()._send(messages)
        if together:
            return self._send_whole(messages)
        answers = {}
        for at in (1, 0) if self._is_entry_first else (0, 1):
            answers[at] = super()._send([messages[at]])
            self._between()
            self._between = lambda: None
        return SimpleNamespace(
            status=[answers[at].status[0] for at in (0, 1)],
            write_results=[answers[at].write_results[0] for at in (0, 1)],
        )

    def _send_whole(self, messages: list[Any]) -> Any:
        if self._is_entry_first:
            self._between()
        answer = super()._send(messages, together=True)
        self._between()
        return answer


@pytest.mark.emulator
@pytest.mark.parametrize("is_entry_first", [True, False], ids=["entry-first", "job-first"])
@pytest.mark.parametrize("is_holder_in_pieces", [True, False], ids=["the-end", "the-reclaim"])
def test_of_two_calls_at_once_the_entry_is_that_of_the_winner(
    firestore_store: FirestoreStore,
    job_factory: JobFactory,
    now: datetime,
    is_entry_first: bool,
    is_holder_in_pieces: bool,
) -> None:
    """A batch is not atomic: a reclaim may come in the middle of an end. The entry of the winner stays."""
    held = put(firestore_store, None, claimed(job_factory("report", at=now), now, "a"))
    changes = [Change(held, finished(held, now)), Change(held, claimed(held, now + HOUR, "b"))]
    in_pieces, whole = changes if is_holder_in_pieces else reversed(changes)
    store = InPieces(firestore_store, is_entry_first=is_entry_first, between=lambda: firestore_store.swap([whole]))

    store.swap([in_pieces])

    job = firestore_store.get(["report"])["report"]
    assert isinstance(job, Job)
    assert [entry.run for entry in store.history(job_id="report")] == [job.recent_runs[-1]]


@pytest.mark.emulator
def test_without_a_history_nothing_is_written_for_it(
    firestore_client: firestore.Client, firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """A run costs two writes again."""
    store = FirestoreStore(firestore_client, firestore_store._jobs.id, kept=timedelta())

    run(store, put(store, None, job_factory(at=now)), now)

    assert firestore_store.history() == []


@pytest.mark.slow
@pytest.mark.emulator
def test_no_call_holds_more_writes_than_firestore_takes_with_the_history(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """An end is two writes, which stay together."""
    store = Scripted(firestore_store)
    held = [claimed(job_factory(f"job-{n:03}", at=now), now, f"token-{n}") for n in range(251)]
    stored: list[Outcome] = store.swap([Change(None, job) for job in held])
    jobs = [outcome.job for outcome in stored if isinstance(outcome, Won) and isinstance(outcome.job, Job)]
    store.sizes.clear()

    store.swap([Change(job, finished(job, now)) for job in jobs])

    assert store.sizes == [500, 2]
    assert len(store.history(limit=1_000)) == 251


@pytest.mark.emulator
def test_a_result_that_cannot_be_stored_leaves_no_entry(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """The store refuses the call, and so both of its writes."""
    held = put(firestore_store, None, claimed(job_factory(at=now), now, "a"))
    odd = replace(held, extra={"nested": [[1]]})

    (outcome,) = firestore_store.swap([Change(odd, replace(finished(odd, now), space=object()))])  # type: ignore[arg-type]

    assert isinstance(outcome, Refused)
    assert firestore_store.history() == []
