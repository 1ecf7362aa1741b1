"""The record of a webhook, and when its alarm is due."""

from datetime import datetime

from shared.model.history import RunOutcome
from shared.model.value import Status
from tests.support.local_airtable import DAY, RECORD, REPLACE, TITLE, LocalAirtable
from tests.support.renewing import call, utc_now
from tests.support.running import RunningFunction
from watchkeeper.fakes.airtable import BASE, WEBHOOK, webhook


def test_a_renewal_is_recorded_with_an_alarm_a_day_before_the_expiry(
    local: LocalAirtable, of_one: RunningFunction
) -> None:
    """The record is a job that the tick runs if nobody renews in time."""
    before = utc_now()

    call(of_one)

    job = local.storage.record(RECORD)
    expires_at = datetime.fromisoformat(local.expiration())
    assert job.payload.keys() == {"subscription", "renewed_at", "expires_at"}
    assert job.payload["subscription"] == TITLE
    assert before <= datetime.fromisoformat(job.payload["renewed_at"]) <= utc_now()
    assert datetime.fromisoformat(job.payload["expires_at"]) == expires_at
    assert (job.job_type, job.status) == ("subscription_check", Status.PENDING)
    assert job.schedule_at == job.ready_at == expires_at - DAY
    assert (job.lease_until, job.error) == (None, None)
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.COMPLETED]


def test_a_renewal_that_succeeds_clears_the_error(local: LocalAirtable, of_one: RunningFunction) -> None:
    """Expiry and alarm are the new ones; the history keeps the failure."""
    local.airtable.fail("internal", path="/refresh")
    call(of_one)

    call(of_one)

    job = local.storage.record(RECORD)
    assert "error" not in job.payload
    assert job.error is None
    assert job.schedule_at == datetime.fromisoformat(local.expiration()) - DAY
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.FAILED, RunOutcome.COMPLETED]


def test_an_expired_webhook_is_recorded_with_an_alarm_at_once(local: LocalAirtable, of_one: RunningFunction) -> None:
    """The expiry is the one that Airtable lists, although it was never renewed here."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=utc_now() - DAY))

    call(of_one)

    job = local.storage.record(RECORD)
    assert datetime.fromisoformat(job.payload["expires_at"]) == datetime.fromisoformat(local.expiration())
    assert REPLACE in str(job.payload["error"])
    assert job.ready_at is not None
    assert job.ready_at <= utc_now()


def test_a_webhook_that_never_expires_raises_no_alarm(local: LocalAirtable, of_one: RunningFunction) -> None:
    """It cannot lapse."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=None))

    call(of_one)

    job = local.storage.record(RECORD)
    assert (job.status, job.ready_at, job.payload["expires_at"]) == (Status.COMPLETED, None, None)
