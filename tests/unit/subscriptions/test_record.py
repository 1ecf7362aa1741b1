"""What a renewal records, and when its alarm is due."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.model.history import RunOutcome
from shared.model.times import iso
from shared.model.value import Status
from shared.renewals import Failed, Renewals, Renewed
from shared.store.documents import Unreadable
from shared.store.protocol import Change, Store
from shared.subscriptions import CHECK, Subscription
from tests.support.subscribed import (
    AGENT,
    DAY,
    SALES,
    WEEK,
    Clock,
    changed,
    error_lines,
    for_a_week,
    record,
    refused,
    unexpected,
)


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


def test_a_later_renewal_keeps_the_first_values_and_foreign_fields(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
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


def test_a_failure_keeps_the_expiry_and_records_the_error(
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


def test_a_subscription_that_was_never_renewed_raises_the_alarm_at_once(
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


def test_a_subscription_without_an_expiry_has_no_alarm(
    renewals: Callable[..., Renewals], store: Store, clock: Clock
) -> None:
    """Its record is completed, until it expires again."""
    renewals().renew_all([AGENT], lambda subscription: Renewed(expires_at=None))

    assert (record(store).status, record(store).ready_at) == (Status.COMPLETED, None)
    assert record(store).payload["expires_at"] is None

    renewals(now=clock() + DAY).renew_all([AGENT], for_a_week(clock))

    assert record(store).status is Status.PENDING


def test_an_unexpected_error_does_not_stop_the_others(
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
