"""Run and retry: an extra occurrence beside the regular ones."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.model.definition import Misfire
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from tests.support.job_life import LEASE, MINUTE, SECOND, JobFactory, claim, finish


def test_run_makes_an_extra_occurrence_and_keeps_the_regular_one(daily: Job, now: datetime) -> None:
    """Between two regular occurrences it runs now, under its own key, and then continues as planned."""
    tomorrow = finish(claim(daily, now), now)
    noon = now + timedelta(hours=3)

    extra = tomorrow.run(now=noon, by="ana")
    done = finish(claim(extra, noon), noon)

    assert (extra.schedule_at, extra.ready_at, extra.requested_by) == (noon, noon, "ana")
    assert done.ready_at == now + timedelta(days=1)


def test_run_on_an_overdue_recurring_job_keeps_the_overdue_occurrence(daily: Job, now: datetime) -> None:
    """Both run, the extra one first, each under its own key."""
    extra = daily.run(now=now + MINUTE)

    after = finish(claim(extra, now + MINUTE), now + MINUTE)

    assert extra.execution_key != daily.execution_key == after.execution_key
    assert (after.ready_at, len(after.recent_runs)) == (now, 1)


def test_an_extra_run_by_a_clock_that_is_behind_repeats_nothing(daily: Job, now: datetime) -> None:
    """An occurrence that ended a second ago does not start again, although that clock has not reached it."""
    ended = finish(claim(daily, now + SECOND), now + SECOND)

    extra = claim(ended.run(now=now - 2 * SECOND), now + MINUTE)

    assert (extra.schedule_at, extra.recent_runs) == (now - 2 * SECOND, ended.recent_runs)
    assert finish(extra, now + MINUTE).schedule_at == now + timedelta(days=1)


@pytest.mark.parametrize("misfire", list(Misfire))
@pytest.mark.parametrize("late", [10 * SECOND, timedelta(days=3)], ids=["next-tick", "after-days"])
def test_no_misfire_rule_swallows_an_extra_run(
    job_factory: JobFactory, now: datetime, misfire: Misfire, late: timedelta
) -> None:
    """Requested ten seconds before the regular occurrence and claimed after it, it runs first; both run."""
    job = job_factory(cron="0 9 * * *", at=now, misfire=misfire)

    extra = claim(job.run(now=now - 10 * SECOND), now + late)
    done = finish(extra, now + late)

    assert (extra.schedule_at, extra.recent_runs) == (now - 10 * SECOND, ())
    assert (done.schedule_at, done.ready_at) == (now, now)


def test_an_extra_run_at_the_very_time_of_a_regular_one_has_its_own_key(daily: Job, now: datetime) -> None:
    """A click at 09:00:00.000000 must not take the key of the occurrence at 09:00, nor that of another click."""
    tomorrow = finish(claim(daily, now), now)

    first = finish(claim(tomorrow.run(now=now), now), now)
    second = finish(claim(first.run(now=now), now), now)

    assert len({run.schedule_at for run in second.recent_runs}) == 3
    assert second.schedule_at == now + timedelta(days=1)


def test_a_one_shot_that_is_run_again_at_once_has_another_key(waiting: Job, now: datetime) -> None:
    """Even if the clock shows the time of the occurrence that ended."""
    again = finish(claim(waiting, now), now).run(now=now)

    assert again.execution_key != waiting.execution_key


def test_a_failed_extra_run_is_tried_again_under_its_key(daily: Job, now: datetime) -> None:
    """It is an ordinary occurrence: attempts, backoff, and then the regular one."""
    extra = daily.run(now=now - MINUTE)

    failed = finish(claim(extra, now), now, error="boom")
    again = claim(failed, now + timedelta(days=2))

    assert (again.execution_key, again.attempts) == (extra.execution_key, 1)
    assert finish(again, now).schedule_at == daily.schedule_at


def test_an_extra_run_is_kept_when_the_schedule_changes(daily: Job, now: datetime) -> None:
    """Waiting or running, it ends first; then the new schedule begins."""
    extra = daily.run(now=now - MINUTE)

    waiting = extra.edit(now=now - MINUTE, cron="0 20 * * *")
    running = claim(extra, now - MINUTE).edit(now=now - MINUTE, cron="0 20 * * *")

    assert waiting.execution_key == running.execution_key == extra.execution_key
    for job in (claim(waiting, now), running):
        assert finish(job, now).schedule_at == now + timedelta(hours=11)


def test_run_twice_is_one_run(daily: Job, now: datetime) -> None:
    """A second click before the tick came changes nothing."""
    once = daily.run(now=now + MINUTE, by="ana")

    assert once.run(now=now + 2 * MINUTE, by="ana") == once


def test_run_on_a_job_that_waits_for_a_retry_is_the_same_occurrence(waiting: Job, now: datetime) -> None:
    """It is ready now, with its key and its count of attempts."""
    failed = finish(claim(waiting, now), now, error="boom")

    ready = failed.run(now=now + timedelta(seconds=5))

    assert (ready.ready_at, ready.attempts) == (now + timedelta(seconds=5), 1)
    assert ready.execution_key == waiting.execution_key


def test_run_moves_a_one_shot_to_now(job_factory: JobFactory, now: datetime) -> None:
    """A one-shot job has one occurrence: run early, it does not run again at its time."""
    early = job_factory(at=now + timedelta(days=1)).run(now=now)

    done = finish(claim(early, now), now)

    assert (done.status, done.ready_at) == (Status.COMPLETED, None)


@pytest.mark.parametrize("said", [{}, {"error": "x", "final": True}], ids=["completed", "failed"])
def test_run_on_a_finished_job_runs_it_again(waiting: Job, now: datetime, said: dict[str, Any]) -> None:
    """It is pending with a new occurrence, no attempts and no expiry."""
    over = finish(claim(waiting, now), now, **said)

    again = over.run(now=now + MINUTE)

    assert (again.status, again.ready_at, again.attempts) == (Status.PENDING, now + MINUTE, 0)
    assert again.expire_at is None
    assert again.execution_key != waiting.execution_key


def test_run_on_a_paused_job_runs_once_and_stays_paused(daily: Job, now: datetime) -> None:
    """The extra run does not wake the schedule."""
    paused = finish(claim(daily, now), now).pause(now=now)
    noon = now + timedelta(hours=3)

    held = claim(paused.run(now=noon), noon)
    done = finish(held, noon)

    assert (held.status, held.lease_until) == (Status.PAUSED, noon + LEASE)
    assert (done.status, done.ready_at, done.schedule_at) == (Status.PAUSED, None, now + timedelta(days=1))


def test_retry_starts_a_failed_occurrence_over(waiting: Job, now: datetime) -> None:
    """The same key, ready now, with all attempts left."""
    failed = finish(claim(waiting, now), now, error="gone", final=True)

    again = failed.retry(now=now + MINUTE, by="ana")

    assert (again.status, again.ready_at, again.attempts) == (Status.PENDING, now + MINUTE, 0)
    assert again.execution_key == waiting.execution_key


def test_retry_needs_a_failure(daily: Job, now: datetime) -> None:
    """A job that has not failed refuses it and names the right command."""
    with pytest.raises(NotPossible, match="`run`"):
        daily.retry(now=now)


def test_run_on_a_paused_job_that_was_put_off_keeps_its_occurrence(waiting: Job, now: datetime) -> None:
    """A receiver that has seen its execution key sees the same one again."""
    later = finish(claim(waiting, now), now, error="busy", later=MINUTE).pause(now=now)
    released = claim(waiting, now).pause(now=now).release(now=now)

    for paused in (later, released):
        assert paused.run(now=now + MINUTE).execution_key == waiting.execution_key
