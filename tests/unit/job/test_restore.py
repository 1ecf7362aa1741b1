"""A cancelled job comes back in the schedule that it had."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from tests.support.job_life import LEASE, MINUTE, RETENTION, JobFactory, claim, finish

DAY = timedelta(days=1)


def cancelled(job: Job, now: datetime) -> Job:
    return job.cancel(now=now, retention=RETENTION)


def test_a_job_comes_back_at_its_next_time(daily: Job, waiting: Job, now: datetime) -> None:
    """It neither expires nor runs what fell due while it was cancelled."""
    soon = waiting.edit(now=now, at=now + DAY)

    back = cancelled(daily, now).restore(now=now + 2 * DAY, by="ada")
    once = cancelled(soon, now).restore(now=now + MINUTE)

    assert (back.status, back.schedule_at, back.ready_at) == (Status.PENDING, now + 3 * DAY, now + 3 * DAY)
    assert (back.expire_at, back.updated_by, back.recent_runs) == (None, "ada", daily.recent_runs)
    assert (once.status, once.ready_at, once.expire_at) == (Status.PENDING, now + DAY, None)


def test_a_clock_change_meanwhile_moves_no_later_run(job_factory: JobFactory) -> None:
    """Its next run, in a skipped hour, is an hour late, and all the others are at the time of its start."""
    start, now = datetime(2027, 3, 20, 1, 30, tzinfo=UTC), datetime(2027, 3, 27, 12, tzinfo=UTC)
    job = job_factory(every="1d", at=start, timezone="Europe/Berlin")

    back = cancelled(job, now).restore(now=now)

    assert back.starts_at == start
    assert back.schedule_at == datetime(2027, 3, 28, 1, tzinfo=UTC)  # 3:00, since there is no 2:30
    assert back.schedule.after(back.schedule_at) == datetime(2027, 3, 29, 0, 30, tzinfo=UTC)  # 2:30


def test_what_has_ended_does_not_begin_again(daily: Job, now: datetime) -> None:
    """By a clock that is behind, the occurrence that ran seems to be the next one."""
    ran = finish(claim(daily, now), now)

    meanwhile = finish(cancelled(claim(daily, now), now), now)

    assert cancelled(ran, now).restore(now=now - MINUTE).schedule_at == now + DAY
    assert meanwhile.restore(now=now - MINUTE).schedule_at == now + DAY


def test_what_cannot_come_back_says_why(daily: Job, waiting: Job, now: datetime) -> None:
    """It is not cancelled, its time has passed, or its run has not ended."""
    with pytest.raises(NotPossible, match="is pending, not cancelled"):
        daily.restore(now=now)
    with pytest.raises(NotPossible, match="has passed; give it a new time"):
        cancelled(waiting, now).restore(now=now + DAY)
    with pytest.raises(NotPossible, match=r"has been running since.*; wait for it, or end its lease with `release`"):
        cancelled(claim(daily, now), now).restore(now=now)
    with pytest.raises(NotPossible, match="and its holder died; `release` it to reschedule it"):
        cancelled(claim(daily, now), now).restore(now=now + LEASE)


def test_a_job_whose_holder_died_comes_back_after_its_release(daily: Job, now: datetime) -> None:
    """The remedy works: the release leaves it cancelled, and nobody holds it any more."""
    dead = cancelled(claim(daily, now), now)

    released = dead.release(now=now + LEASE)

    assert released.status is Status.CANCELLED
    assert released.restore(now=now + LEASE).schedule_at == now + DAY
