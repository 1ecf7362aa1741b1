"""A claim, its lease, and what becomes of a job whose holders die."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.model.job import Job
from shared.model.life import MAX_RECLAIMS, NotPossible
from shared.model.value import Status
from tests.support.job_life import LEASE, MICROSECOND, MINUTE, claim, outcomes, stop


def test_a_claim_sets_lease_token_and_ready_time(waiting: Job, now: datetime) -> None:
    """A claimed job is running, and ready for another holder exactly when the lease ends."""
    held = claim(waiting, now)

    assert (held.status, held.lease_token) == (Status.RUNNING, "token")
    assert held.lease_until == held.ready_at == now + LEASE
    assert held.started_at == now
    assert held.schedule_at == waiting.schedule_at


def test_a_job_is_claimed_from_its_time_on(waiting: Job, now: datetime) -> None:
    """A microsecond before its time it cannot be claimed."""
    with pytest.raises(NotPossible, match="not due"):
        claim(waiting, now - MICROSECOND)


def test_a_lease_in_force_keeps_others_out(waiting: Job, now: datetime) -> None:
    """A running job can be claimed when the lease ends and not a microsecond before."""
    held = claim(waiting, now)

    with pytest.raises(NotPossible):
        claim(held, now + LEASE - MICROSECOND, "other")
    assert claim(held, now + LEASE, "other").lease_token == "other"


def test_a_dead_holder_is_counted_and_noted(waiting: Job, now: datetime) -> None:
    """A takeover from a dead holder uses no attempt; history records it; the key stays."""
    held = claim(waiting, now)

    taken_over = claim(held, now + LEASE, "other")

    assert (taken_over.reclaims, taken_over.attempts) == (1, 0)
    assert outcomes(taken_over) == ["died"]
    assert taken_over.execution_key == held.execution_key


def die(job: Job, times: int, now: datetime) -> tuple[Job, datetime]:
    """Claim a job this many times without finishing it."""
    for _ in range(times):
        job = claim(job, now)
        now += LEASE
    return job, now


def test_after_five_dead_holders_a_one_shot_fails(waiting: Job, now: datetime) -> None:
    """The job gives up with the fifth death, with a reason, and is not ready any more."""
    last, then = die(waiting, MAX_RECLAIMS, now)

    given_up = claim(last, then)

    assert (given_up.status, given_up.ready_at, given_up.lease_until) == (Status.FAILED, None, None)
    assert given_up.error == "given up: 5 holders died"
    assert outcomes(given_up) == ["died"] * 5 + ["failed"]
    assert given_up.lease_token is None, "the fifth holder must not take this for its own finish"


def test_after_five_dead_holders_a_recurring_job_goes_on(daily: Job, now: datetime) -> None:
    """It gives up this occurrence, and the next one starts with a count of zero."""
    last, then = die(daily, MAX_RECLAIMS, now)

    given_up = claim(last, then)

    assert (given_up.status, given_up.schedule_at) == (Status.PENDING, now + timedelta(days=1))
    assert given_up.reclaims == 0


def test_a_job_without_lease_fields_is_taken_over(waiting: Job, now: datetime) -> None:
    """An operator who deletes the lease fields by hand frees the job at its ready time."""
    by_hand = replace(claim(waiting, now), lease_until=None, lease_token=None)

    taken_over = claim(by_hand, now + LEASE, "other")

    assert (taken_over.lease_token, taken_over.reclaims) == ("other", 1)


def test_renewing_moves_the_end_of_the_lease(waiting: Job, now: datetime) -> None:
    """Lease and ready time move together; token and start stay."""
    held = claim(waiting, now)

    renewed = held.renew(now=now + MINUTE, lease=LEASE)

    assert renewed == replace(held, lease_until=now + MINUTE + LEASE, ready_at=now + MINUTE + LEASE)


def test_a_change_of_a_field_that_is_none_is_refused(waiting: Job) -> None:
    """A misspelt field would change nothing."""
    with pytest.raises(TypeError, match="redy_at"):
        waiting.changed(redy_at=None)


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_renewing_a_stopped_job_does_not_make_it_ready(waiting: Job, now: datetime, command: str) -> None:
    """The holder of a paused or cancelled job keeps its lease, but nobody else may claim the job."""
    stopped = stop(claim(waiting, now), command, now)

    renewed = stopped.renew(now=now + MINUTE, lease=LEASE)

    assert (renewed.ready_at, renewed.lease_until) == (None, now + MINUTE + LEASE)


def test_what_is_given_back_is_ready_at_once(waiting: Job, now: datetime) -> None:
    """A job that its holder did not start is free for the next one: same occurrence, no attempt counted."""
    back = claim(waiting, now).give_back(now=now + MINUTE)

    assert (back.status, back.ready_at, back.lease_token) == (Status.PENDING, now + MINUTE, None)
    assert (back.attempts, back.reclaims, back.recent_runs) == (0, 0, ())
    assert back.execution_key == waiting.execution_key
