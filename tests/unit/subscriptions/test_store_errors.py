"""A store that cannot be reached, changes meanwhile, or loses its answers."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.model.value import Status
from shared.renewals import Failed, Renewals, Renewed
from shared.store.documents import Unreadable
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change, Outcome, Store, Unknown
from tests.support.subscribed import AGENT, DAY, SALES, SETTINGS, WEEK, Clock, changed, for_a_week, never, record


def test_nothing_is_renewed_while_the_store_is_unreachable(
    unreachable_store: FirestoreStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lease two calls could renew at once."""
    monkeypatch.setattr("shared.store.firestore.READ_SECONDS", 0.2)
    clocks: dict[str, Any] = {"clock": clock, "monotonic": clock.monotonic, "sleep": clock.sleep}
    renewals = Renewals(unreachable_store, settings=SETTINGS, now=clock(), by="scheduler", **clocks)

    with pytest.raises(StoreUnavailable):
        renewals.renew_all([AGENT], never)


class Silent:
    """A store that reports the outcome of one record's claim as unknown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        if len(changes) < 2:
            return self._store.swap(changes)
        heard = iter(self._store.swap([change for change in changes if change.job_id != AGENT.id]))
        return [Unknown("no answer") if change.job_id == AGENT.id else next(heard) for change in changes]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_store_that_cannot_be_written_is_an_error(renewals: Callable[..., Renewals], store: Store) -> None:
    """No lease was confirmed, so nothing is renewed."""
    with pytest.raises(StoreUnavailable, match="no answer"):
        renewals(Forgetful(store, is_applied=False)).renew_all([AGENT], never)


def test_an_unconfirmed_claim_fails_alone(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
    """Without a confirmed lease it is not renewed; the others are, and hold no lease afterwards."""
    works = for_a_week(clock)

    outcomes = renewals(Silent(store)).renew_all(
        [AGENT, SALES], lambda each: never(each) if each is AGENT else works(each)
    )

    assert outcomes[AGENT.id] == Failed("the store did not confirm its lease (no answer); try again")
    assert isinstance(outcomes[SALES.id], Renewed)
    assert record(store, SALES).lease_until is None


class Contended:
    """A store in which another writer changes the record before every swap, this many times."""

    def __init__(self, store: Store, times: int, now: datetime) -> None:
        self._store = store
        self._times = times
        self._now = now

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        if self._times:
            self._times -= 1
            job = record(self._store)
            changed(self._store, job, job.edit(now=self._now, payload={**job.payload, "n": self._times}))
        return self._store.swap(changes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize(("times", "outcome"), [(4, Renewed), (5, Failed)])
def test_a_record_that_a_person_changes_meanwhile_is_read_again(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, times: int, outcome: type
) -> None:
    """A few times; then it is reported."""
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now += DAY

    outcomes = renewals(Contended(store, times, clock())).renew_all([AGENT], for_a_week(clock))

    assert isinstance(outcomes[AGENT.id], outcome)
    assert record(store).lease_until is None


class Forgetful:
    """A store that answers a write of one record with Unknown: it is applied or not, and later reads may fail."""

    def __init__(self, store: Store, *, is_applied: bool, reads: bool = True) -> None:
        self._store = store
        self._is_applied = is_applied
        self._reads = reads
        self._is_silent = False

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        if self._is_silent and not self._reads and AGENT.id in job_ids:
            raise StoreUnavailable("the store is away")
        return self._store.get(job_ids)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        if [change.job_id for change in changes] != [AGENT.id] or self._is_silent:
            return self._store.swap(changes)
        self._is_silent = True
        if self._is_applied:
            self._store.swap(changes)
        return [Unknown("no answer")]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_record_whose_write_is_unconfirmed_is_read_again(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, is_applied: bool
) -> None:
    """Applied or not, it is written once in the end."""
    renewals(Forgetful(store, is_applied=is_applied)).renew_all([AGENT, SALES], for_a_week(clock))

    job = record(store)
    assert (job.status, job.lease_until, job.ready_at) == (Status.PENDING, None, clock() + WEEK - DAY)
    assert len(job.recent_runs) == 1


def test_an_outcome_that_cannot_be_recorded_is_an_error_after_the_others_were_renewed(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """Renewals matter more than records."""
    forgetful = Forgetful(store, is_applied=False, reads=False)

    with pytest.raises(StoreUnavailable, match="away"):
        renewals(forgetful).renew_all([AGENT, SALES], for_a_week(clock))

    assert record(store, SALES).ready_at == clock() + WEEK - DAY
