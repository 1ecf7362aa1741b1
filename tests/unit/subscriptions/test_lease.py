"""Which of several calls renews a subscription, and in which order."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.renewals import Failed, NotRenewed, Renewals, Renewed, Skipped
from shared.store.documents import Unreadable
from shared.store.protocol import Change, Store, Won
from shared.subscriptions import MOST_RECORDS, Subscription
from tests.support.subscribed import (
    AGENT,
    DAY,
    HOUR,
    LEASE,
    SALES,
    SETTINGS,
    WEEK,
    Clock,
    changed,
    for_a_week,
    never,
    record,
    refused,
)


def test_a_subscription_that_another_call_renews_is_skipped(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
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


def test_a_subscription_renewed_since_the_call_began_is_skipped(
    renewals: Callable[..., Renewals], clock: Clock
) -> None:
    """The slower of two deliveries of one call finds it renewed."""
    slower = renewals()
    clock.now += timedelta(milliseconds=20)
    renewals().renew_all([AGENT], for_a_week(clock))

    assert slower.renew_all([AGENT], never) == {AGENT.id: Skipped()}
    assert isinstance(renewals(now=clock() + timedelta(seconds=1)).renew_all([AGENT], refused)[AGENT.id], Failed)


def test_many_calls_at_once_renew_once(store: Store, now: datetime) -> None:
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


def test_a_lease_of_the_alarm_does_not_block_a_renewal(
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


def test_a_pause_silences_the_alarm_and_not_the_renewal(
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
    assert f"Another call has claimed {AGENT.title} meanwhile" in caplog.messages


def test_a_renewal_is_recorded_although_a_person_released_its_lease(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """The service did renew it."""

    def release_meanwhile(subscription: Subscription) -> Renewed:
        job = record(store)
        changed(store, job, job.release(now=clock()))
        return Renewed(expires_at=clock() + WEEK)

    renewals().renew_all([AGENT], release_meanwhile)

    assert (record(store).status, record(store).ready_at) == (Status.PENDING, clock() + WEEK - DAY)


def test_a_recorded_renewal_in_the_future_does_not_block_a_renewal(
    renewals: Callable[..., Renewals], clock: Clock
) -> None:
    """A clock was wrong."""
    right = clock.now
    clock.now += 365 * DAY
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now = right + HOUR

    assert isinstance(renewals().renew_all([AGENT], for_a_week(clock))[AGENT.id], Renewed)


def test_a_lapsed_subscription_raises_the_alarm_at_once(
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


def test_the_first_to_expire_is_renewed_first(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """A call may not have time for all; one whose expiry is unknown comes last, so it cannot block the others.

    The expiry that the service says counts more than the recorded one.
    """
    renewals().renew_all([AGENT], lambda subscription: Renewed(expires_at=clock() + WEEK))
    renewals().renew_all([SALES], lambda subscription: Renewed(expires_at=clock() + DAY))
    soon = Subscription(id="subscription:gmail:soon@example.com", title="soon", expires_at=clock() + 2 * HOUR)
    clock.now += HOUR
    order: list[str] = []

    def note(subscription: Subscription) -> Renewed:
        order.append(subscription.id)
        return Renewed(expires_at=clock() + WEEK)

    fresh = Subscription(id="subscription:gmail:new@example.com", title="new")
    renewals().renew_all([fresh, AGENT, SALES, soon], note)

    assert order == [soon.id, SALES.id, AGENT.id, fresh.id]


def test_recorded_subscriptions_are_found_by_their_prefix(
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
