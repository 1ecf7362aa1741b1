"""What an edit changes, and what it keeps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import InvalidInput
from shared.model.definition import Misfire
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from tests.support.job_life import MINUTE, RETENTION, SECOND, JobFactory, claim, finish


def test_an_edit_by_a_clock_that_is_behind_repeats_nothing(daily: Job, now: datetime) -> None:
    """A schedule with an occurrence that has just ended begins with the one after it."""
    ended = finish(claim(daily, now), now + SECOND)

    edited = ended.edit(now=now - 2 * SECOND, cron="0 9 * * 0-6")

    assert edited.schedule_at == now + timedelta(days=1)


def test_a_single_time_has_no_misfire_rule(daily: Job, now: datetime) -> None:
    """An edit to one drops the rule, and to set one for it is refused, as when it is made."""
    skipped = daily.edit(now=now, misfire="skip", grace=timedelta(minutes=5))

    once = skipped.edit(now=now, at=now + MINUTE)

    assert (once.misfire, once.grace_seconds) == ("coalesce", None)
    with pytest.raises(InvalidInput, match="misfire skip and grace are for a recurring job"):
        once.edit(now=now, misfire="skip")
    with pytest.raises(InvalidInput, match="misfire skip and grace are for a recurring job"):
        Job.create("x", "log", now=now, at=now, misfire="skip", grace=timedelta(minutes=5))


def test_a_single_time_that_was_stored_with_a_misfire_rule_can_be_edited(waiting: Job, now: datetime) -> None:
    """An earlier version allowed one."""
    stored = replace(waiting, misfire=Misfire.SKIP, grace_seconds=300)

    assert stored.edit(now=now, payload={"message": "x"}).misfire is Misfire.COALESCE


def test_a_time_zone_alone_moves_no_single_time(waiting: Job, now: datetime) -> None:
    """It would say that it is changed, and run when it ran before."""
    with pytest.raises(InvalidInput, match="runs once"):
        waiting.edit(now=now, timezone="Asia/Tokyo")
    assert waiting.edit(now=now, timezone="Asia/Tokyo", at=now + MINUTE).schedule_at == now + MINUTE


def test_an_edit_to_a_one_shot_drops_the_regular_occurrence(daily: Job, now: datetime) -> None:
    """Nothing of the old schedule follows, not even after an extra run."""
    once = daily.run(now=now).edit(now=now, at=now + MINUTE)

    done = finish(claim(once, now + MINUTE), now + MINUTE)

    assert (once.regular_at, done.status) == (None, Status.COMPLETED)


def test_editing_the_payload_keeps_everything_else(daily: Job, now: datetime) -> None:
    """Schedule, history and count stay."""
    job = finish(claim(daily, now), now)

    edited = job.edit(now=now + MINUTE, by="ana", payload={"message": "new"})

    assert edited == replace(job, payload={"message": "new"}, updated_at=now + MINUTE, updated_by="ana")


def test_a_new_schedule_starts_a_new_occurrence(daily: Job, now: datetime) -> None:
    """The next run follows the new expression in the new zone; history stays."""
    job = finish(claim(daily, now), now)

    edited = job.edit(now=now, cron="30 18 * * *", timezone="Europe/Berlin")

    assert edited.ready_at == edited.schedule_at == datetime(2026, 11, 21, 17, 30, tzinfo=UTC)
    assert edited.recent_runs == job.recent_runs


def test_what_a_new_schedule_leaves_out_is_in_the_history(daily: Job, now: datetime) -> None:
    """Occurrences that were due before the change do not vanish."""
    edited = daily.edit(now=now + timedelta(days=2), cron="0 12 * * *")

    (missed,) = edited.recent_runs
    assert (missed.outcome, missed.schedule_at, missed.until) == ("missed", now, now + timedelta(days=1))


def test_the_schedule_of_a_cancelled_job_waits_for_its_run_to_end(daily: Job, now: datetime) -> None:
    """Otherwise the finish of the current run would leave it cancelled."""
    with pytest.raises(NotPossible, match="wait for it, or end its lease with `release`, to reschedule it"):
        claim(daily, now).cancel(now=now, retention=RETENTION).edit(now=now, cron="0 12 * * *")


def test_a_new_time_wakes_a_finished_job(waiting: Job, now: datetime) -> None:
    """It is pending again and does not expire."""
    edited = finish(claim(waiting, now), now).edit(now=now, at=now + MINUTE)

    assert (edited.status, edited.ready_at, edited.expire_at) == (Status.PENDING, now + MINUTE, None)


def test_a_paused_job_stays_paused_when_edited(daily: Job, now: datetime) -> None:
    """The new schedule waits for resume."""
    edited = daily.pause(now=now).edit(now=now, cron="0 12 * * *")

    assert (edited.status, edited.ready_at) == (Status.PAUSED, None)
    assert edited.resume(now=now, retention=RETENTION).ready_at == now + timedelta(hours=3)


def test_editing_a_running_job_changes_later_occurrences_only(daily: Job, now: datetime) -> None:
    """Its run continues under its lease; the next occurrence follows the new expression."""
    held = claim(daily, now)

    edited = held.edit(now=now, cron="0 12 * * *")
    done = finish(edited, now)

    assert (edited.lease_token, edited.ready_at, edited.schedule_at) == (held.lease_token, held.ready_at, now)
    assert done.ready_at == now + timedelta(hours=3)


def test_the_time_of_a_running_one_shot_cannot_be_changed(waiting: Job, now: datetime) -> None:
    """The finish of the current run would overwrite it."""
    with pytest.raises(NotPossible, match="wait for it, or end its lease with `release`, to reschedule it"):
        claim(waiting, now).edit(now=now, at=now + MINUTE)


def test_a_time_alone_makes_a_recurring_job_a_one_shot(daily: Job, now: datetime) -> None:
    """Its expression and zone are removed."""
    edited = daily.edit(now=now, at=now + MINUTE)

    assert (edited.cron, edited.timezone, edited.ready_at) == (None, None, now + MINUTE)


def test_an_edit_is_checked_like_a_new_job(daily: Job, now: datetime) -> None:
    """A bad value changes nothing and is named."""
    with pytest.raises(InvalidInput, match="max_attempts"):
        daily.edit(now=now, max_attempts=0)


def test_a_one_shot_that_becomes_recurring_starts_now(job_factory: JobFactory, now: datetime) -> None:
    """Its own time, past or far ahead, is not the start of the schedule."""
    for at in (now - timedelta(days=400), now + timedelta(days=400)):
        edited = job_factory(at=at).edit(now=now + MINUTE, cron="0 9 * * *")

        assert edited.schedule_at == now + timedelta(days=1)


def test_an_edit_wakes_a_cancelled_job_whose_extra_run_waited(daily: Job, now: datetime) -> None:
    """The extra run is dropped; the job is pending and does not expire."""
    cancelled = daily.run(now=now - MINUTE).cancel(now=now, retention=RETENTION)

    edited = cancelled.edit(now=now + MINUTE, cron="0 10 * * *")

    assert (edited.status, edited.ready_at) == (Status.PENDING, now + timedelta(hours=1))
    assert (edited.expire_at, edited.regular_at) == (None, None)


def test_an_edit_repeats_nothing_that_history_has_forgotten(job_factory: JobFactory, now: datetime) -> None:
    """Ten tries at one occurrence push older runs out of it; a clock that is behind still knows that they ended."""
    job = job_factory(cron="0 * * * *", at=now)
    job = finish(claim(job, now), now)
    for _ in range(11):
        job = finish(claim(job, now + timedelta(days=1)), now, error="busy", later=SECOND)

    edited = job.edit(now=now - 2 * SECOND, cron="0 * * * 0-6")

    assert edited.schedule_at > now


def test_a_schedule_that_has_not_begun_can_be_moved_up(daily: Job, now: datetime) -> None:
    """The runs in its history are older than the given start."""
    job = finish(claim(daily, now), now).edit(now=now, cron="0 9 * * *", at=now + timedelta(days=400))

    edited = job.edit(now=now + MINUTE, cron="0 10 * * *", at=now + MINUTE)

    assert edited.schedule_at == now + timedelta(hours=1)


def test_a_one_shot_at_a_time_that_has_ended_has_another_key(waiting: Job, daily: Job, now: datetime) -> None:
    """Whether it was a one-shot job before or a recurring one."""
    for job in (waiting, daily):
        ended = finish(claim(job, now), now)

        assert ended.edit(now=now, at=now).execution_key != job.execution_key


def test_a_changed_job_is_what_replace_makes_of_it(job_factory: JobFactory, now: datetime) -> None:
    """It is a new value with the schedule of its new fields."""
    job = job_factory(cron="0 9 * * *", timezone="UTC")
    assert job.schedule.cron == "0 9 * * *"

    changed = job.changed(cron="0 10 * * *", attempts=2)

    assert changed == replace(job, cron="0 10 * * *", attempts=2)
    assert changed.schedule.cron == "0 10 * * *"
    assert (job.cron, job.attempts) == ("0 9 * * *", 0)
