"""Commands on a job while it runs, and the release of its lease."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from tests.support.job_life import LEASE, MINUTE, RETENTION, claim, finish, outcomes, stop


@pytest.mark.parametrize("command", ["run", "retry", "refuse_delete"])
def test_a_running_job_refuses_a_second_run(waiting: Job, now: datetime, command: str) -> None:
    """Run, retry and delete say since when it runs and what to do."""
    held = claim(waiting, now)

    with pytest.raises(NotPossible, match=r"running since 2026-11-21T09:00:00Z.*release"):
        getattr(held, command)(now=now + MINUTE)


def test_a_running_job_whose_holder_died_is_left_to_the_tick(waiting: Job, now: datetime) -> None:
    """Run and retry would only hide the death; a delete is allowed."""
    dead = claim(waiting, now)

    with pytest.raises(NotPossible, match="holder died"):
        dead.run(now=now + LEASE)
    dead.refuse_delete(now=now + LEASE)


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_stopping_a_running_job_keeps_token_and_lease(waiting: Job, now: datetime, command: str) -> None:
    """Nobody else claims it, and its holder can still report."""
    held = claim(waiting, now)

    stopped = stop(held, command, now)

    assert stopped.ready_at is None
    assert (stopped.lease_token, stopped.lease_until) == (held.lease_token, held.lease_until)


def test_a_recurring_job_paused_while_it_runs_gets_its_next_occurrence(daily: Job, now: datetime) -> None:
    """The outcome is recorded, and it stays paused."""
    done = finish(claim(daily, now).pause(now=now), now)

    assert (done.status, done.schedule_at, done.ready_at) == (Status.PAUSED, now + timedelta(days=1), None)
    assert outcomes(done) == ["completed"]


def test_a_one_shot_paused_while_it_runs_is_completed_by_its_run(waiting: Job, now: datetime) -> None:
    """There is nothing left to pause."""
    assert finish(claim(waiting, now).pause(now=now), now).status is Status.COMPLETED


def test_a_failure_of_a_paused_job_waits_for_resume(waiting: Job, now: datetime) -> None:
    """It counts, is not ready, and runs after resume under its key."""
    failed = finish(claim(waiting, now).pause(now=now), now, error="boom")
    resumed = failed.resume(now=now, retention=RETENTION)

    assert (failed.status, failed.ready_at, failed.attempts) == (Status.PAUSED, None, 1)
    assert resumed.ready_at == now + failed.backoff()
    assert claim(resumed, now + 2 * MINUTE).execution_key == waiting.execution_key


@pytest.mark.parametrize("said", [{"error": "boom"}, {"error": "busy", "later": timedelta(hours=1)}])
def test_a_pause_does_not_shorten_the_wait_for_another_try(daily: Job, now: datetime, said: dict[str, Any]) -> None:
    """After resume the job is ready when it would have been, with its occurrence; this is not a misfire."""
    put_off = finish(claim(daily, now), now, **said)

    resumed = put_off.pause(now=now).resume(now=now, retention=RETENTION)

    assert resumed.ready_at == put_off.ready_at
    assert claim(resumed, now + timedelta(days=3)).schedule_at == now


@pytest.mark.parametrize("said", [{}, {"error": "boom"}, {"error": "busy", "later": MINUTE}])
def test_a_job_cancelled_while_it_runs_stays_cancelled(daily: Job, now: datetime, said: dict[str, Any]) -> None:
    """History has the run; nothing is ready, and the job still expires."""
    done = finish(claim(daily, now).cancel(now=now, retention=RETENTION), now, **said)

    assert (done.status, done.ready_at, done.lease_until) == (Status.CANCELLED, None, None)
    assert outcomes(done) == ["failed" if said else "completed"]
    assert done.expire_at == now + RETENTION


def test_resume_gives_a_running_job_back_to_its_holder(waiting: Job, now: datetime) -> None:
    """It never gets a second holder: it is ready when the current lease ends."""
    held = claim(waiting, now)

    resumed = held.pause(now=now).resume(now=now + MINUTE, retention=RETENTION)

    assert (resumed.status, resumed.ready_at, resumed.lease_token) == (Status.RUNNING, held.lease_until, "token")


def test_resume_after_the_holder_died_is_a_takeover(waiting: Job, now: datetime) -> None:
    """A death during the pause is found and counted after resume."""
    resumed = claim(waiting, now).pause(now=now).resume(now=now + 2 * LEASE, retention=RETENTION)

    assert claim(resumed, now + 2 * LEASE, "other").reclaims == 1


@pytest.mark.parametrize(("paused", "ready"), [(False, True), (True, False)])
def test_release_ends_the_lease_and_fences_the_holder(waiting: Job, now: datetime, paused: bool, ready: bool) -> None:
    """The token is gone, so the old holder's result is refused; a paused job stays paused."""
    held = claim(waiting, now)

    freed = (held.pause(now=now) if paused else held).release(now=now + MINUTE, by="ana")

    assert (freed.lease_token, freed.lease_until, freed.updated_by) == (None, None, "ana")
    assert [(run.outcome, run.by) for run in freed.recent_runs] == [("died", "ana")]
    assert freed.ready_at == (now + MINUTE if ready else None)


def test_release_needs_a_lease(waiting: Job, now: datetime) -> None:
    """A waiting job has none to release."""
    with pytest.raises(NotPossible, match="no lease"):
        waiting.release(now=now)
