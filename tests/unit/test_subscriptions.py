"""Subscriptions: which call may renew one, what is recorded of it, and the alarm when no call does."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.handlers import Context, Snooze, load_handlers
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change, Outcome, Store, Unknown, Won
from shared.subscriptions import (
    ALARM_EVERY,
    CHECK,
    MOST_RECORDS,
    Failed,
    NotRenewed,
    Renewals,
    Renewed,
    Skipped,
    Subscription,
    check,
)

AGENT = Subscription(id="subscription:gmail:agent@example.com", title="the Gmail watch of agent@example.com")
SALES = Subscription(id="subscription:gmail:sales_o'neill@example.com", title="the Gmail watch of sales")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LEASE = timedelta(seconds=300)
SETTINGS = Settings.from_env({"CALL_TIMEOUT_SECONDS": "300"})


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.put = timedelta()
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - self.put).timestamp()

    def put_forward(self, by: timedelta) -> None:
        """Put the wall clock forward or back, without time passing."""
        self.put += by
        self.now += by

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def renewals(store: Store, clock: Clock) -> Callable[..., Renewals]:
    """Start a call at the present time of the clock."""

    def begin(store: Store = store, **given: Any) -> Renewals:
        clocks = {"now": clock(), "clock": clock, "monotonic": clock.monotonic, "sleep": clock.sleep}
        return Renewals(store, **{"settings": SETTINGS, "by": "scheduler", **clocks, **given})

    return begin


def for_a_week(clock: Clock, **first: Any) -> Callable[[Subscription], Renewed]:
    """Renew as a service that grants seven days."""
    return lambda subscription: Renewed(expires_at=clock() + WEEK, first=first)


def refused(subscription: Subscription) -> Renewed:
    raise NotRenewed("Gmail said 403 no; do something")


def unexpected(subscription: Subscription) -> Renewed:
    raise ZeroDivisionError


def never(subscription: Subscription) -> Renewed:
    raise AssertionError(f"{subscription.id} is renewed")


def record(store: Store, subscription: Subscription = AGENT) -> Job:
    job = store.get([subscription.id])[subscription.id]
    assert isinstance(job, Job)
    return job


def changed(store: Store, job: Job, after: Job) -> Job:
    outcome = store.swap([Change(job, after)])[0]
    assert isinstance(outcome, Won)
    assert isinstance(outcome.job, Job)
    return outcome.job


def error_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR]


# -- record ------------------------------------------------------------------------------------------------------------


def test_the_first_renewal_makes_the_record(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
    """It is a job due a day before the expiry, with the renewal in its payload and its history."""
    outcomes = renewals().renew_all([AGENT], for_a_week(clock, history_id="1"))

    job = record(store)
    assert outcomes == {AGENT.id: Renewed(expires_at=clock() + WEEK, first={"history_id": "1"})}
    assert (job.job_type, job.status, job.error) == (CHECK, Status.PENDING, None)
    assert job.schedule_at == job.ready_at == clock() + WEEK - DAY
    assert (job.lease_until, job.completed_at) == (None, clock())
    assert [(run.outcome, run.by) for run in job.recent_runs] == [(RunOutcome.COMPLETED, "scheduler")]
    assert job.payload == {
        "subscription": AGENT.title,
        "history_id": "1",
        "renewed_at": iso(clock()),
        "expires_at": iso(clock() + WEEK),
    }


def test_what_was_recorded_first_stays(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
    """A later renewal moves the deadline and keeps foreign fields and the first history id."""
    renewals().renew_all([AGENT], for_a_week(clock, history_id="1"))
    job = record(store)
    changed(store, job, job.edit(now=clock(), payload={**job.payload, "cursor": 7}))
    clock.now += DAY

    renewals().renew_all([AGENT], for_a_week(clock, history_id="2"))

    again = record(store)
    assert (again.payload["history_id"], again.payload["cursor"]) == ("1", 7)
    assert again.payload["renewed_at"] == iso(clock())
    assert again.ready_at == clock() + WEEK - DAY


def test_a_failure_keeps_the_expiry_and_says_why(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The alarm does not move, and a later success removes the error."""
    renewals().renew_all([AGENT], for_a_week(clock))
    deadline = record(store).ready_at
    clock.now += DAY

    outcomes = renewals().renew_all([AGENT], refused)

    failed = record(store)
    assert outcomes == {AGENT.id: Failed("Gmail said 403 no; do something")}
    assert failed.payload["error"] == failed.error == "Gmail said 403 no; do something"
    assert failed.payload["expires_at"] == iso(clock() - DAY + WEEK)
    assert (failed.status, failed.ready_at) == (Status.PENDING, deadline)
    assert failed.recent_runs[-1].outcome is RunOutcome.FAILED
    assert error_lines(caplog) == [f"Could not renew {AGENT.title}: Gmail said 403 no; do something"]

    clock.now += DAY
    renewals().renew_all([AGENT], for_a_week(clock))

    assert "error" not in record(store).payload
    assert record(store).error is None


def test_a_failure_after_the_deadline_raises_the_alarm_at_once(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """It does not wait for another hour, and does not count as late."""
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now += timedelta(days=6, hours=5)

    renewals().renew_all([AGENT], refused)

    assert record(store).ready_at == clock()
    assert record(store).schedule_at == clock() - timedelta(hours=5)


def test_what_has_never_been_renewed_raises_the_alarm_at_once(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """Its expiry is unknown, and it may not even exist."""
    renewals().renew_all([AGENT], refused)

    assert record(store).ready_at == clock()
    assert "expires_at" not in record(store).payload


def test_the_expiry_that_the_service_knows_is_recorded_with_a_failure(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """So the alarm comes in time even if no renewal has ever succeeded."""
    known = Subscription(id="subscription:airtable:app:ach", title="a webhook", expires_at=clock() + 3 * DAY)

    renewals().renew_all([known], refused)

    assert record(store, known).ready_at == clock() + 2 * DAY


def test_what_never_expires_has_no_alarm(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
    """Its record is completed, until it expires again."""
    renewals().renew_all([AGENT], lambda subscription: Renewed(expires_at=None))

    assert (record(store).status, record(store).ready_at) == (Status.COMPLETED, None)
    assert record(store).payload["expires_at"] is None

    renewals(now=clock() + DAY).renew_all([AGENT], for_a_week(clock))

    assert record(store).status is Status.PENDING


def test_one_that_fails_unexpectedly_does_not_stop_the_others(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has its traceback, the answer only the error, and its lease ends."""
    works = for_a_week(clock)

    outcomes = renewals().renew_all([AGENT, SALES], lambda each: unexpected(each) if each is AGENT else works(each))

    assert outcomes[AGENT.id] == Failed("an unexpected ZeroDivisionError; see the log")
    assert isinstance(outcomes[SALES.id], Renewed)
    assert record(store).lease_until is None
    assert caplog.records[0].exc_info


def test_a_record_that_cannot_be_read_does_not_stop_the_others(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """It is reported with the remedy and not changed."""
    store.swap([Change(None, Unreadable(id=AGENT.id, reason="", document={"status": "odd"}))])

    outcomes = renewals().renew_all([AGENT, SALES], for_a_week(clock))

    failed = outcomes[AGENT.id]
    assert isinstance(failed, Failed)
    assert "`watchkeeper jobs upgrade`" in failed.reason
    assert isinstance(outcomes[SALES.id], Renewed)
    assert isinstance(store.get([AGENT.id])[AGENT.id], Unreadable)


# -- lease -------------------------------------------------------------------------------------------------------------


def test_nobody_renews_while_another_call_does(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
    """The second call skips it; the first one's outcome is recorded."""
    inner: dict[str, Any] = {}

    def renew(subscription: Subscription) -> Renewed:
        clock.now += LEASE - timedelta(seconds=1)
        inner.update(renewals().renew_all([AGENT], never))
        return Renewed(expires_at=clock() + WEEK)

    outcomes = renewals().renew_all([AGENT], renew)

    assert inner == {AGENT.id: Skipped()}
    assert isinstance(outcomes[AGENT.id], Renewed)


def test_a_renewal_whose_holder_died_is_taken_over_when_its_lease_ends(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """Exactly then, and history says that a holder died."""

    def die(subscription: Subscription) -> Renewed:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renewals().renew_all([AGENT], die)
    clock.now += LEASE

    outcomes = renewals().renew_all([AGENT], for_a_week(clock))

    assert isinstance(outcomes[AGENT.id], Renewed)
    assert [run.outcome for run in record(store).recent_runs] == [RunOutcome.DIED, RunOutcome.COMPLETED]
    assert record(store).reclaims == 0


def test_what_was_renewed_since_the_call_began_is_not_renewed_again(
    renewals: Callable[..., Renewals], clock: Clock
) -> None:
    """The slower of two deliveries of one call finds it renewed."""
    slower = renewals()
    clock.now += timedelta(milliseconds=20)
    renewals().renew_all([AGENT], for_a_week(clock))

    assert slower.renew_all([AGENT], never) == {AGENT.id: Skipped()}
    assert isinstance(renewals(now=clock() + timedelta(seconds=1)).renew_all([AGENT], refused)[AGENT.id], Failed)


def test_many_at_once_renew_once(store: Store, now: datetime) -> None:
    """In any interleaving of calls, one of them renews each subscription."""
    gate = threading.Barrier(4)
    renewed: list[str] = []
    outcomes: list[dict[str, Any]] = []

    def renew(subscription: Subscription) -> Renewed:
        renewed.append(subscription.id)
        return Renewed(expires_at=now + WEEK)

    def call() -> None:
        gate.wait(10)
        each = Renewals(store, SETTINGS, now=now, clock=lambda: now, monotonic=time.monotonic, by="scheduler")
        outcomes.append(each.renew_all([AGENT, SALES], renew))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(renewed) == [AGENT.id, SALES.id]
    assert len(outcomes) == 4
    assert sum(isinstance(outcome, Skipped) for each in outcomes for outcome in each.values()) == 6


def test_the_alarm_does_not_keep_anybody_from_renewing(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """A tick that examines the deadline loses the job, and its later write changes nothing."""
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now += timedelta(days=6)
    found = record(store)
    held = changed(store, found, found.claim(now=clock(), token="tick", lease=LEASE, retention=DAY))

    outcomes = renewals().renew_all([AGENT], for_a_week(clock))

    late = held.finish(Result(started_at=clock(), ended_at=clock(), by="schedule"), retention=DAY)
    assert isinstance(outcomes[AGENT.id], Renewed)
    assert not isinstance(store.swap([Change(held, late)])[0], Won)
    assert [run.outcome for run in record(store).recent_runs] == [RunOutcome.COMPLETED, RunOutcome.COMPLETED]


def test_a_pause_silences_the_alarm_and_no_renewal(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """Whether it was paused before or during the renewal."""
    renewals().renew_all([AGENT], for_a_week(clock))

    def pause_and_renew(subscription: Subscription) -> Renewed:
        job = record(store)
        changed(store, job, job.pause(now=clock()))
        return Renewed(expires_at=clock() + WEEK)

    clock.now += DAY
    renewals().renew_all([AGENT], pause_and_renew)
    paused = record(store)
    clock.now += DAY
    renewals().renew_all([AGENT], for_a_week(clock))

    again = record(store)
    assert (paused.status, paused.ready_at, paused.payload["renewed_at"]) == (Status.PAUSED, None, iso(clock() - DAY))
    assert (again.status, again.ready_at, again.payload["renewed_at"]) == (Status.PAUSED, None, iso(clock()))
    assert again.resume(now=clock(), retention=WEEK).ready_at == clock() + WEEK - DAY


def test_a_cancelled_record_comes_back_with_the_next_renewal(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """A renewal means that it is needed; the record no longer expires."""
    renewals().renew_all([AGENT], for_a_week(clock))
    job = record(store)
    changed(store, job, job.cancel(now=clock(), retention=DAY))
    clock.now += DAY

    renewals().renew_all([AGENT], for_a_week(clock))

    assert (record(store).status, record(store).expire_at) == (Status.PENDING, None)


def test_the_outcome_of_a_lost_lease_is_not_recorded(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Another call took over meanwhile, and its record stays."""

    def be_late(subscription: Subscription) -> Renewed:
        clock.now += LEASE
        renewals().renew_all([AGENT], for_a_week(clock, history_id="theirs"))
        return Renewed(expires_at=clock(), first={"history_id": "ours"})

    renewals().renew_all([AGENT], be_late)

    assert record(store).payload["history_id"] == "theirs"
    assert record(store).ready_at == clock() + WEEK - DAY
    assert f"Another call has taken {AGENT.title} meanwhile" in caplog.messages


def test_a_renewal_whose_lease_a_person_ended_is_recorded_all_the_same(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """The service did renew it."""

    def release_meanwhile(subscription: Subscription) -> Renewed:
        job = record(store)
        changed(store, job, job.release(now=clock()))
        return Renewed(expires_at=clock() + WEEK)

    renewals().renew_all([AGENT], release_meanwhile)

    assert (record(store).status, record(store).ready_at) == (Status.PENDING, clock() + WEEK - DAY)


def test_a_renewal_in_the_future_keeps_nobody_from_renewing(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """A clock was wrong."""
    right = clock.now
    clock.now += 365 * DAY
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now = right + HOUR

    assert isinstance(renewals().renew_all([AGENT], for_a_week(clock))[AGENT.id], Renewed)


def test_what_has_lapsed_raises_the_alarm_at_once(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """Also if its record named a later time."""
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now += DAY

    def lose(subscription: Subscription) -> Renewed:
        raise NotRenewed("the former watch is stopped", has_lapsed=True)

    renewals().renew_all([AGENT], lose)

    assert record(store).ready_at == clock()
    assert record(store).payload["expires_at"] == iso(clock())


def test_what_expires_first_is_renewed_first(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """A call may not have time for all; one that was never renewed comes last, so it cannot block the others."""
    renewals().renew_all([AGENT], lambda subscription: Renewed(expires_at=clock() + WEEK))
    renewals().renew_all([SALES], lambda subscription: Renewed(expires_at=clock() + DAY))
    clock.now += HOUR
    order: list[str] = []

    def note(subscription: Subscription) -> Renewed:
        order.append(subscription.id)
        return Renewed(expires_at=clock() + WEEK)

    fresh = Subscription(id="subscription:gmail:new@example.com", title="new")
    renewals().renew_all([fresh, AGENT, SALES], note)

    assert order == [SALES.id, AGENT.id, fresh.id]


def test_those_on_record_are_known_by_their_prefix(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """Except those that a person has cancelled."""
    renewals().renew_all([AGENT, SALES], for_a_week(clock))
    job = record(store, SALES)
    changed(store, job, job.cancel(now=clock(), retention=DAY))

    assert renewals().recorded("subscription:gmail:") == [AGENT]
    assert renewals().recorded("subscription:airtable:") == []


def test_looking_for_records_does_not_read_all_jobs(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, job_factory: Callable[..., Job]
) -> None:
    """Each document that is read costs money, and other ids follow those of subscriptions."""
    read: list[Job | Unreadable] = []

    class Counting:
        def page(self, **given: Any) -> list[Job | Unreadable]:
            page = store.page(**given)
            read.extend(page)
            return page

    store.swap([Change(None, job_factory(f"task-{number:03}")) for number in range(200)])
    renewals().renew_all([AGENT], for_a_week(clock))

    assert renewals(Counting()).recorded("subscription:gmail:") == [AGENT]
    assert len(read) == MOST_RECORDS


# -- time --------------------------------------------------------------------------------------------------------------


def test_nothing_is_begun_without_time_to_end_it(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
    """It starts at least 90 s before the lease ends; the others are reported and free for the next call."""
    call = renewals()

    def be_slow(subscription: Subscription) -> Renewed:
        clock.now += timedelta(seconds=210.001)
        return Renewed(expires_at=clock() + WEEK)

    outcomes = call.renew_all([AGENT, SALES], be_slow)

    assert isinstance(outcomes[AGENT.id], Renewed)
    assert outcomes[SALES.id] == Failed("there was no time left to begin; try again")
    assert record(store, SALES).lease_until is None


def test_nothing_is_begun_when_the_process_is_to_end(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """Its claimed records are reported and released."""
    outcomes = renewals(is_stopping=lambda: True).renew_all([AGENT], never)

    assert isinstance(outcomes[AGENT.id], Failed)


def test_a_pause_is_waited_for_if_there_is_time(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """In small steps, to notice the end of the process; a pause that does not fit is not started."""
    call = renewals()

    assert call.wait(timedelta(seconds=30.5))
    assert (sum(clock.slept), max(clock.slept)) == (30.5, 1)

    assert not call.wait(timedelta(seconds=180))
    assert sum(clock.slept) == 30.5

    assert call.wait(timedelta(seconds=179.5))  # to the very last moment
    assert not call.wait(timedelta(microseconds=1))


def test_a_pause_ends_with_the_process(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """Within a second."""
    call = renewals(is_stopping=lambda: len(clock.slept) == 3)

    assert not call.wait(timedelta(seconds=30))
    assert len(clock.slept) == 3


# -- a store in trouble ------------------------------------------------------------------------------------------------


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


def test_a_claim_that_was_not_heard_fails_alone(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
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
def test_a_record_whose_write_was_not_heard_is_looked_at_again(
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


# -- alarm -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def context(now: datetime) -> Context:
    return Context(
        job_id=AGENT.id,
        job_type=CHECK,
        execution_key="",
        attempt=1,
        schedule_at=now,
        started_at=now,
        deadline=now + timedelta(seconds=30),
    )


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        pytest.param({"expires_at": "2026-11-22T09:00:00Z"}, "expires in 24.0 hours", id="at-the-deadline"),
        pytest.param({"expires_at": "2026-11-21T09:30:00Z"}, "expires in 0.5 hours", id="soon"),
        pytest.param({"expires_at": "2026-11-21T09:00:00Z"}, "expired 0.0 hours ago", id="now"),
        pytest.param({"expires_at": "2026-11-20T09:00:00Z"}, "expired 24.0 hours ago", id="over"),
        pytest.param({}, "has never been renewed", id="unknown"),
        pytest.param({"expires_at": "soon"}, "has never been renewed", id="not-a-time"),
        pytest.param({"renewed_at": "2026-11-14T09:00:00Z"}, "Last renewal: 2026-11-14T09:00:00Z", id="last-renewal"),
        pytest.param({"error": "Gmail said 403"}, "Last error: Gmail said 403", id="last-error"),
        pytest.param({}, "Run `watchkeeper renew gmail`", id="remedy"),
        pytest.param({}, f"`watchkeeper jobs cancel {AGENT.id}`", id="not-wanted"),
    ],
)
def test_the_alarm_names_the_subscription(
    context: Context, caplog: pytest.LogCaptureFixture, payload: dict[str, Any], says: str
) -> None:
    """One ERROR line has its state and the remedy; an hour later it is examined again."""
    with pytest.raises(Snooze) as raised:
        check({"subscription": AGENT.title, **payload}, context)

    (line,) = error_lines(caplog)
    assert line.startswith(AGENT.title)
    assert says in line
    assert raised.value.delay == ALARM_EVERY


def test_there_is_no_alarm_while_there_is_time(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    """Until a day before the expiry; a renewal whose process died is a warning."""
    for payload, lines in (({}, []), ({"renewal_started_at": "2026-11-21T08:55:00Z"}, ["WARNING"])):
        caplog.clear()
        with pytest.raises(Snooze) as raised:
            check({"expires_at": "2026-11-22T09:00:01Z", **payload}, context)

        assert raised.value.delay == timedelta(seconds=1)
        assert [line.levelname for line in caplog.records] == lines


def test_the_tick_raises_the_alarm_every_hour_until_somebody_renews(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The check is a built-in handler and never gives up."""
    renewals().renew_all([AGENT], for_a_week(clock))
    handlers = load_handlers(())

    def alarms() -> int:
        caplog.clear()
        run_tick(store, handlers, settings=SETTINGS, clock=clock, monotonic=time.monotonic)
        return len(error_lines(caplog))

    counts = []
    for later in (timedelta(days=6), timedelta(minutes=59), timedelta(minutes=1), *[timedelta(hours=1)] * 4):
        clock.now += later
        counts.append(alarms())
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now += ALARM_EVERY

    assert counts == [1, 0, 1, 1, 1, 1, 1]
    assert alarms() == 0
    assert record(store).status is Status.PENDING


@pytest.mark.parametrize("hours", [-3, 3], ids=["back", "forward"])
def test_a_clock_that_jumps_neither_ends_a_call_nor_makes_it_wait(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, hours: int
) -> None:
    """Pauses have their length, there is time for the next one, and no duration is negative."""
    call = renewals()

    def renew(subscription: Subscription) -> Renewed:
        clock.put_forward(timedelta(hours=hours))
        assert call.wait(timedelta(seconds=2))
        return Renewed(expires_at=clock() + WEEK)

    outcomes = call.renew_all([AGENT, SALES], renew)

    assert all(isinstance(outcome, Renewed) for outcome in outcomes.values())
    assert sum(clock.slept) == pytest.approx(4)
    for job in store.get([AGENT.id, SALES.id]).values():
        assert isinstance(job, Job)
        (run,) = job.recent_runs
        assert run.started_at is not None
        assert run.ended_at is not None
        assert timedelta(seconds=1.9) < run.ended_at - run.started_at < timedelta(seconds=2.1)
