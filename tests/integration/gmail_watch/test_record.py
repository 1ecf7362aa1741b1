"""The record of a watch, and when its alarm is due."""

from shared.model.history import RunOutcome
from shared.model.value import Status
from tests.support.local_google import DAY, RECORD, TITLE, LocalGoogle, record_times
from tests.support.renewing import call, utc_now
from tests.support.running import RunningFunction


def test_a_renewal_is_recorded_with_an_alarm_a_day_before_the_expiry(
    google: LocalGoogle, of_one: RunningFunction
) -> None:
    """The record is a job that the tick runs if nobody renews in time."""
    before = utc_now()

    answered = call(of_one)

    job = google.storage.record(RECORD)
    renewed_at, expires_at = record_times(job.payload)
    assert job.payload.keys() == {"subscription", "history_id", "renewed_at", "expires_at"}
    assert (job.payload["subscription"], job.payload["history_id"]) == (TITLE, answered.body["history_id"])
    assert before <= renewed_at <= utc_now()
    assert round(expires_at.timestamp() * 1000) == int(answered.body["expiration"])
    assert (job.job_type, job.status) == ("subscription_check", Status.PENDING)
    assert job.schedule_at == job.ready_at == expires_at - DAY
    assert (job.lease_until, job.error) == (None, None)
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.COMPLETED]


def test_a_renewal_keeps_the_first_history_id_and_replaces_the_rest(
    google: LocalGoogle, of_one: RunningFunction
) -> None:
    """A reader of the mailbox begins where the first watch began; only the answer has the newest id."""
    first = call(of_one)
    was = google.storage.record(RECORD)

    second = call(of_one)

    job = google.storage.record(RECORD)
    assert int(second.body["history_id"]) == int(first.body["history_id"]) + 1
    assert job.payload["history_id"] == first.body["history_id"]
    assert all(new > old for new, old in zip(record_times(job.payload), record_times(was.payload), strict=True))
    assert job.schedule_at == record_times(job.payload)[1] - DAY
    assert round(record_times(job.payload)[1].timestamp() * 1000) == int(second.body["expiration"])


def test_a_mailbox_that_was_never_renewed_raises_the_alarm_at_once(
    google: LocalGoogle, of_one: RunningFunction
) -> None:
    """Its expiry is unknown, so the next tick has to find the record."""
    google.gmail.fail("not-a-publisher")

    call(of_one)

    job = google.storage.record(RECORD)
    assert job.payload.keys() == {"subscription", "error"}
    assert job.ready_at is not None
    assert job.ready_at <= utc_now()


def test_a_renewal_that_succeeds_clears_the_error(google: LocalGoogle, of_one: RunningFunction) -> None:
    """The history keeps the failure."""
    google.gmail.fail("internal")
    call(of_one)

    call(of_one)

    job = google.storage.record(RECORD)
    assert "error" not in job.payload
    assert job.error is None
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.FAILED, RunOutcome.COMPLETED]
