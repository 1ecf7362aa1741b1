"""The rules of a job, each on the value alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.model.definition import Misfire
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.model.life import MAX_RECLAIMS, NotPossible
from shared.model.value import Status
from shared.store.documents import from_document, to_document

LEASE = timedelta(minutes=5)
RETENTION = timedelta(days=30)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
JobFactory = Callable[..., Job]


def claim(job: Job, now: datetime, token: str = "token") -> Job:
    return job.claim(now=now, token=token, lease=LEASE, retention=RETENTION)


def finish(job: Job, now: datetime, **said: Any) -> Job:
    return job.finish(Result(started_at=now, ended_at=now, by="schedule", **said), retention=RETENTION)


def outcomes(job: Job) -> list[str]:
    return [run.outcome.value for run in job.recent_runs]


def nested(levels: int) -> dict[str, Any]:
    """Return an object of so many levels."""
    inner: Any = 1
    for _ in range(levels):
        inner = {"x": inner}
    return {"x": inner} if levels == 0 else inner


@pytest.fixture
def waiting(job_factory: JobFactory, now: datetime) -> Job:
    """A one-shot job that is due now."""
    return job_factory(at=now)


@pytest.fixture
def daily(job_factory: JobFactory, now: datetime) -> Job:
    """A job of every day at nine, due now."""
    return job_factory(cron="0 9 * * *", at=now)


# -- claim -------------------------------------------------------------------------------------------------------------


def test_a_claim_sets_lease_token_and_ready_time(waiting: Job, now: datetime) -> None:
    """A claimed job runs, and is ready again for another exactly at the end of the lease."""
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
    """A running job can be claimed at the end of the lease and not a microsecond before."""
    held = claim(waiting, now)

    with pytest.raises(NotPossible):
        claim(held, now + LEASE - MICROSECOND, "other")
    assert claim(held, now + LEASE, "other").lease_token == "other"


def test_a_dead_holder_is_counted_and_noted(waiting: Job, now: datetime) -> None:
    """Taking a job over from a dead holder uses up no attempt; history tells of it; the key stays."""
    held = claim(waiting, now)

    taken_over = claim(held, now + LEASE, "other")

    assert (taken_over.reclaims, taken_over.attempts) == (1, 0)
    assert outcomes(taken_over) == ["died"]
    assert taken_over.execution_key == held.execution_key


def die(job: Job, times: int, now: datetime) -> tuple[Job, datetime]:
    """Claim a job so many times without finishing it."""
    for _ in range(times):
        job = claim(job, now)
        now += LEASE
    return job, now


def test_after_five_dead_holders_a_one_shot_fails(waiting: Job, now: datetime) -> None:
    """The fifth death is the last: the job is given up with its reason, and nothing is ready any more."""
    last, then = die(waiting, MAX_RECLAIMS, now)

    given_up = claim(last, then)

    assert (given_up.status, given_up.ready_at, given_up.lease_until) == (Status.FAILED, None, None)
    assert given_up.error == "given up: 5 holders died"
    assert outcomes(given_up) == ["died"] * 5 + ["failed"]


def test_after_five_dead_holders_a_recurring_job_goes_on(daily: Job, now: datetime) -> None:
    """Its occurrence is given up, and the next one starts with a clean count."""
    last, then = die(daily, MAX_RECLAIMS, now)

    given_up = claim(last, then)

    assert (given_up.status, given_up.schedule_at) == (Status.PENDING, now + timedelta(days=1))
    assert given_up.reclaims == 0


def test_a_job_without_lease_fields_is_taken_over(waiting: Job, now: datetime) -> None:
    """An operator who deletes the lease fields by hand frees the job at its ready time."""
    by_hand = replace(claim(waiting, now), lease_until=None, lease_token=None)

    taken_over = claim(by_hand, now + LEASE, "other")

    assert (taken_over.lease_token, taken_over.reclaims) == ("other", 1)


# -- renew and give back -----------------------------------------------------------------------------------------------


def test_renewing_moves_the_end_of_the_lease(waiting: Job, now: datetime) -> None:
    """Lease and ready time move together; token and start stay."""
    held = claim(waiting, now)

    renewed = held.renew(now=now + MINUTE, lease=LEASE)

    assert renewed == replace(held, lease_until=now + MINUTE + LEASE, ready_at=now + MINUTE + LEASE)


def test_a_change_of_a_field_that_is_none_is_refused(waiting: Job) -> None:
    """As a misspelt one would do nothing."""
    with pytest.raises(TypeError, match="redy_at"):
        waiting.changed(redy_at=None)


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_renewing_a_stopped_job_does_not_make_it_ready(waiting: Job, now: datetime, command: str) -> None:
    """The holder of a job that was paused or cancelled keeps its lease, but nobody is to take the job up."""
    stopped = stop(claim(waiting, now), command, now)

    renewed = stopped.renew(now=now + MINUTE, lease=LEASE)

    assert (renewed.ready_at, renewed.lease_until) == (None, now + MINUTE + LEASE)


def stop(job: Job, command: str, now: datetime) -> Job:
    return job.pause(now=now) if command == "pause" else job.cancel(now=now, retention=RETENTION)


def test_what_is_given_back_is_ready_at_once(waiting: Job, now: datetime) -> None:
    """A job that its holder did not begin is free for the next one: same occurrence, nothing counted."""
    back = claim(waiting, now).give_back(now=now + MINUTE)

    assert (back.status, back.ready_at, back.lease_token) == (Status.PENDING, now + MINUTE, None)
    assert (back.attempts, back.reclaims, back.recent_runs) == (0, 0, ())
    assert back.execution_key == waiting.execution_key


# -- finish ------------------------------------------------------------------------------------------------------------


def test_a_one_shot_that_succeeded_is_completed(waiting: Job, now: datetime) -> None:
    """It keeps its token for a holder that did not hear, has nothing ready, and expires after the retention."""
    done = finish(claim(waiting, now), now + MINUTE)

    assert (done.status, done.ready_at, done.lease_until) == (Status.COMPLETED, None, None)
    assert (done.completed_at, done.expire_at) == (now + MINUTE, now + MINUTE + RETENTION)
    assert done.lease_token == "token"
    assert outcomes(done) == ["completed"]


def test_a_failure_waits_and_is_tried_again(waiting: Job, now: datetime) -> None:
    """The same occurrence, with its key, after a pause; the error is told."""
    failed = finish(claim(waiting, now), now, error="boom")

    assert (failed.status, failed.attempts, failed.error) == (Status.PENDING, 1, "boom")
    assert failed.execution_key == waiting.execution_key
    assert failed.ready_at is not None
    assert MINUTE <= failed.ready_at - now < 1.25 * MINUTE


def test_the_pause_doubles_up_to_an_hour(waiting: Job) -> None:
    """60 s, 120 s, ... 1 h, each with at most a quarter of jitter."""
    pauses = [replace(waiting, attempts=n).backoff() for n in (1, 2, 3, 6, 7, 50)]

    expected = [1, 2, 4, 32, 60, 60]
    assert all(n * MINUTE <= pause < 1.25 * n * MINUTE for n, pause in zip(expected, pauses, strict=True))


def test_the_jitter_follows_from_key_and_attempt(waiting: Job, now: datetime) -> None:
    """The same attempt at the same occurrence waits equally long everywhere; another one does not."""
    first = replace(waiting, attempts=1)

    assert first.backoff() == replace(first, version=7, payload={}).backoff()
    assert first.backoff() != replace(first, schedule_at=now + MINUTE).backoff()
    assert replace(waiting, attempts=7).backoff() != replace(waiting, attempts=8).backoff()


def test_the_last_attempt_fails_a_one_shot_for_good(waiting: Job, now: datetime) -> None:
    """After max_attempts failures it is failed and stays, without an expiry."""
    job = waiting
    for _ in range(3):
        assert job.ready_at is not None
        job = finish(claim(job, job.ready_at), now, error="boom")

    assert (job.status, job.attempts, job.ready_at, job.expire_at) == (Status.FAILED, 3, None, None)
    assert outcomes(job) == ["retried", "retried", "failed"]


def test_never_again_fails_at_once(waiting: Job, now: datetime) -> None:
    """A final failure uses no further attempt."""
    failed = finish(claim(waiting, now), now, error="gone", final=True)

    assert (failed.status, failed.attempts) == (Status.FAILED, 1)


def test_later_uses_no_attempt(waiting: Job, now: datetime) -> None:
    """The same occurrence runs again after the asked pause."""
    later = finish(claim(waiting, now), now, error="busy", later=timedelta(hours=2))

    assert (later.status, later.attempts, later.ready_at) == (Status.PENDING, 0, now + timedelta(hours=2))
    assert later.execution_key == waiting.execution_key


@pytest.mark.parametrize("asked", [timedelta(), timedelta(seconds=-5), timedelta(seconds=1)])
def test_later_is_at_least_a_second(waiting: Job, now: datetime, asked: timedelta) -> None:
    """No handler can make a job ready again at once."""
    assert finish(claim(waiting, now), now, error="busy", later=asked).ready_at == now + timedelta(seconds=1)


def test_a_recurring_job_goes_on_to_the_first_occurrence_after_the_one_that_ran(daily: Job, now: datetime) -> None:
    """Even if that one is already due, and whatever the attempts were."""
    failed_once = finish(claim(daily, now), now, error="boom")
    assert failed_once.ready_at is not None

    done = finish(claim(failed_once, failed_once.ready_at), now + timedelta(days=3))

    assert (done.status, done.schedule_at, done.ready_at) == (Status.PENDING, *[now + timedelta(days=1)] * 2)
    assert (done.attempts, done.error, done.expire_at) == (0, None, None)


def test_a_recurring_job_survives_a_final_failure(daily: Job, now: datetime) -> None:
    """It records the failure and goes on with the next occurrence."""
    failed = finish(claim(daily, now), now, error="gone", final=True)

    assert (failed.status, failed.error, failed.ready_at) == (Status.PENDING, "gone", now + timedelta(days=1))
    assert outcomes(failed) == ["failed"]


def test_a_recurring_job_ends_with_time_itself(daily: Job, now: datetime) -> None:
    """Where no occurrence can follow any more it is completed, and a tick does not stumble over it."""
    last = replace(daily, schedule_at=datetime(9999, 12, 31, 9, tzinfo=UTC))

    assert finish(claim(last, now), now).status is Status.COMPLETED


def test_history_holds_the_last_ten_runs(daily: Job, now: datetime) -> None:
    """The oldest entry makes room for the newest."""
    job = daily
    for day in range(12):
        job = finish(claim(job, now + timedelta(days=day)), now + timedelta(days=day))

    assert [run.schedule_at for run in job.recent_runs] == [now + timedelta(days=day) for day in range(2, 12)]


def test_an_error_is_cut_to_what_may_be_stored(waiting: Job, now: datetime) -> None:
    """A long error keeps its first 1,000 characters, in the job and in its history."""
    failed = finish(claim(waiting, now), now, error="x" * 5000)

    assert failed.error == failed.recent_runs[0].error == "x" * 1000


def test_the_output_of_a_success_is_kept_in_its_run(waiting: Job, now: datetime) -> None:
    """A failure has none."""
    done = finish(claim(waiting, now), now, output="42 rows")
    failed = finish(claim(waiting, now), now, output="42 rows", error="the store refuses the result")

    assert (done.recent_runs[0].output, failed.recent_runs[0].output) == ("42 rows", None)


# -- misfires ----------------------------------------------------------------------------------------------------------


def test_coalesce_runs_the_newest_due_occurrence(daily: Job, now: datetime) -> None:
    """After three days away one run stands for all; history names the first and the last left out."""
    late = now + timedelta(days=3, hours=1)

    held = claim(daily, late)

    assert held.schedule_at == now + timedelta(days=3)
    assert held.status is Status.RUNNING
    (missed,) = held.recent_runs
    assert (missed.outcome, missed.schedule_at, missed.until) == (RunOutcome.MISSED, now, now + timedelta(days=2))


def test_an_occurrence_that_is_late_but_alone_just_runs(daily: Job, now: datetime) -> None:
    """As long as no later one is due, a late run is the right run."""
    held = claim(daily, now + timedelta(hours=23, minutes=59))

    assert (held.schedule_at, held.recent_runs) == (now, ())


@pytest.mark.parametrize(
    ("late", "runs"),
    [(timedelta(minutes=10), True), (timedelta(minutes=10) + MICROSECOND, False), (timedelta(days=2), False)],
)
def test_skip_runs_only_what_is_at_most_ten_minutes_late(
    daily: Job, now: datetime, late: timedelta, runs: bool
) -> None:
    """Exactly ten minutes late still runs; after that the job moves to the next future occurrence."""
    after = claim(replace(daily, misfire=Misfire.SKIP), now + late)

    assert (after.status is Status.RUNNING) is runs
    if not runs:
        assert after.lease_token is None
        assert after.ready_at == after.schedule_at > now + late
        (missed,) = after.recent_runs
        assert (missed.schedule_at, missed.until) == (now, after.schedule_at - timedelta(days=1))


def test_a_retry_is_no_misfire(daily: Job, now: datetime) -> None:
    """Only the first attempt of an occurrence is judged: a retry keeps its occurrence however late it is."""
    failed = finish(claim(daily, now), now, error="boom")

    held = claim(failed, now + timedelta(days=5))

    assert held.schedule_at == now


def test_a_takeover_is_no_misfire(daily: Job, now: datetime) -> None:
    """Nor does a dead holder's occurrence move."""
    held = claim(claim(daily, now), now + timedelta(days=5), "other")

    assert held.schedule_at == now


def test_a_year_of_minutes_is_caught_up_without_walking(job_factory: JobFactory, now: datetime) -> None:
    """The newest due occurrence is found by looking back from now; the entry spans all of it."""
    job = job_factory(cron="* * * * *", at=now - timedelta(days=365))

    held = claim(job, now)

    assert held.schedule_at == now
    assert held.recent_runs[0].until == now - MINUTE


# -- commands on a waiting job -----------------------------------------------------------------------------------------


def test_pause_and_resume_a_waiting_job(daily: Job, now: datetime) -> None:
    """A paused job has nothing ready; resumed, it is ready at its occurrence again; both are signed."""
    paused = daily.pause(now=now - MINUTE, by="ana")
    resumed = paused.resume(now=now - SECOND, retention=RETENTION, by="ben")

    assert (paused.status, paused.ready_at, paused.updated_by) == (Status.PAUSED, None, "ana")
    assert (resumed.status, resumed.ready_at, resumed.updated_by) == (Status.PENDING, daily.schedule_at, "ben")


WEDNESDAY = timedelta(days=4, hours=6)  # at 15:00, for a job of every day at 9:00 that was paused on Saturday


@pytest.mark.parametrize("misfire", list(Misfire))
def test_resume_goes_on_with_the_next_future_occurrence(
    job_factory: JobFactory, now: datetime, misfire: Misfire
) -> None:
    """A stand-up that was paused for days is not posted in the afternoon; history has one entry for what was missed."""
    paused = job_factory(cron="0 9 * * *", at=now, misfire=misfire).pause(now=now)

    resumed = paused.resume(now=now + WEDNESDAY, retention=RETENTION)

    assert resumed.schedule_at == resumed.ready_at == now + timedelta(days=5)
    assert [(run.outcome, run.schedule_at, run.until) for run in resumed.recent_runs] == [
        ("missed", now, now + timedelta(days=4))
    ]


@pytest.mark.parametrize("misfire", list(Misfire))
def test_resume_catches_up_when_it_is_asked_to(job_factory: JobFactory, now: datetime, misfire: Misfire) -> None:
    """The newest occurrence that fell due runs once, whatever the misfire rule; then the schedule goes on."""
    paused = job_factory(cron="0 9 * * *", at=now, misfire=misfire).pause(now=now)

    held = claim(paused.resume(now=now + WEDNESDAY, retention=RETENTION, catch_up=True), now + WEDNESDAY)

    assert held.schedule_at == now + timedelta(days=4)
    assert [(run.schedule_at, run.until) for run in held.recent_runs] == [(now, now + timedelta(days=3))]
    assert finish(held, now + WEDNESDAY).schedule_at == now + timedelta(days=5)


def test_resume_with_nothing_missed_changes_no_time(daily: Job, now: datetime) -> None:
    """Neither the next occurrence nor the history; nor does a one-shot job lose its only one."""
    tomorrow = finish(claim(daily, now), now).pause(now=now)

    for catch_up in (False, True):
        resumed = tomorrow.resume(now=now + MINUTE, retention=RETENTION, catch_up=catch_up)
        assert (resumed.ready_at, len(resumed.recent_runs)) == (now + timedelta(days=1), 1)


def test_resume_keeps_a_one_shot_and_an_extra_run(waiting: Job, daily: Job, now: datetime) -> None:
    """A one-shot job runs late; an extra run, which somebody asked for, comes first."""
    late = waiting.pause(now=now).resume(now=now + WEDNESDAY, retention=RETENTION)
    extra = daily.run(now=now - MINUTE).pause(now=now).resume(now=now + WEDNESDAY, retention=RETENTION)

    assert (late.ready_at, extra.schedule_at) == (now, now - MINUTE)
    assert finish(claim(extra, now + WEDNESDAY), now + WEDNESDAY).schedule_at == now + timedelta(days=5)


def test_a_cancelled_job_is_over_and_expires(daily: Job, now: datetime) -> None:
    """It cannot be resumed, run or retried."""
    cancelled = daily.cancel(now=now, retention=RETENTION, by="ana")

    assert (cancelled.status, cancelled.ready_at, cancelled.expire_at) == (Status.CANCELLED, None, now + RETENTION)
    resume = partial(cancelled.resume, retention=RETENTION)
    for refused in (resume, cancelled.run, cancelled.retry, cancelled.pause, cancelled.release):
        with pytest.raises(NotPossible, match="cancelled"):
            refused(now=now)


def test_run_makes_an_extra_occurrence_and_keeps_the_regular_one(daily: Job, now: datetime) -> None:
    """Between two regular ones it runs now, under a key of its own, and then goes on as planned."""
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
    """An occurrence that ended a second ago is not begun again, although that clock has not reached it."""
    ended = finish(claim(daily, now + SECOND), now + SECOND)

    extra = claim(ended.run(now=now - 2 * SECOND), now + MINUTE)

    assert (extra.schedule_at, extra.recent_runs) == (now - 2 * SECOND, ended.recent_runs)
    assert finish(extra, now + MINUTE).schedule_at == now + timedelta(days=1)


@pytest.mark.parametrize("misfire", list(Misfire))
@pytest.mark.parametrize("late", [10 * SECOND, timedelta(days=3)], ids=["next-tick", "after-days"])
def test_no_misfire_rule_swallows_an_extra_run(
    job_factory: JobFactory, now: datetime, misfire: Misfire, late: timedelta
) -> None:
    """Asked for ten seconds before the regular occurrence and taken up after it, it runs first; both run."""
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
    """Even by a clock that stands at the time of the occurrence that ended."""
    again = finish(claim(waiting, now), now).run(now=now)

    assert again.execution_key != waiting.execution_key


def test_a_failed_extra_run_is_tried_again_under_its_key(daily: Job, now: datetime) -> None:
    """It is one occurrence like any other: attempts, backoff, and then the regular one."""
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


def test_an_edit_by_a_clock_that_is_behind_repeats_nothing(daily: Job, now: datetime) -> None:
    """A schedule that includes an occurrence which has just ended begins with the one after it."""
    ended = finish(claim(daily, now), now + SECOND)

    edited = ended.edit(now=now - 2 * SECOND, cron="0 9 * * 0-6")

    assert edited.schedule_at == now + timedelta(days=1)


def test_an_edit_to_a_one_shot_drops_the_regular_occurrence(daily: Job, now: datetime) -> None:
    """Nothing of the old schedule follows, not even after an extra run."""
    once = daily.run(now=now).edit(now=now, at=now + MINUTE)

    done = finish(claim(once, now + MINUTE), now + MINUTE)

    assert (once.regular_at, done.status) == (None, Status.COMPLETED)


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
    """It is pending with a new occurrence, a clean count and no expiry."""
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
    """The same key, ready now, all attempts left."""
    failed = finish(claim(waiting, now), now, error="gone", final=True)

    again = failed.retry(now=now + MINUTE, by="ana")

    assert (again.status, again.ready_at, again.attempts) == (Status.PENDING, now + MINUTE, 0)
    assert again.execution_key == waiting.execution_key


def test_retry_needs_a_failure(daily: Job, now: datetime) -> None:
    """On a job that has not failed it is refused, naming the command that fits."""
    with pytest.raises(NotPossible, match="`run`"):
        daily.retry(now=now)


# -- commands on a running job -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "retry", "refuse_delete"])
def test_a_running_job_refuses_a_second_run(waiting: Job, now: datetime, command: str) -> None:
    """Run, retry and delete say since when it runs and what to do."""
    held = claim(waiting, now)

    with pytest.raises(NotPossible, match=r"running since 2026-11-21T09:00:00Z.*release"):
        getattr(held, command)(now=now + MINUTE)


def test_a_running_job_whose_holder_died_is_left_to_the_tick(waiting: Job, now: datetime) -> None:
    """Run and retry would only hide the death; deleting it is allowed."""
    dead = claim(waiting, now)

    with pytest.raises(NotPossible, match="holder died"):
        dead.run(now=now + LEASE)
    dead.refuse_delete(now=now + LEASE)


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_stopping_a_running_job_keeps_token_and_lease(waiting: Job, now: datetime, command: str) -> None:
    """Nobody takes it up, and its holder can still report."""
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
    """After resume the job is ready when it would have been, with its occurrence, and that is no misfire."""
    put_off = finish(claim(daily, now), now, **said)

    resumed = put_off.pause(now=now).resume(now=now, retention=RETENTION)

    assert resumed.ready_at == put_off.ready_at
    assert claim(resumed, now + timedelta(days=3)).schedule_at == now


def test_run_on_a_paused_job_that_was_put_off_keeps_its_occurrence(waiting: Job, now: datetime) -> None:
    """Whoever has seen its execution key sees the same one again."""
    later = finish(claim(waiting, now), now, error="busy", later=MINUTE).pause(now=now)
    released = claim(waiting, now).pause(now=now).release(now=now)

    for paused in (later, released):
        assert paused.run(now=now + MINUTE).execution_key == waiting.execution_key


@pytest.mark.parametrize("said", [{}, {"error": "boom"}, {"error": "busy", "later": MINUTE}])
def test_a_job_cancelled_while_it_runs_stays_cancelled(daily: Job, now: datetime, said: dict[str, Any]) -> None:
    """History says that it ran meanwhile; nothing is ready, and it still expires."""
    done = finish(claim(daily, now).cancel(now=now, retention=RETENTION), now, **said)

    assert (done.status, done.ready_at, done.lease_until) == (Status.CANCELLED, None, None)
    assert outcomes(done) == ["failed" if said else "completed"]
    assert done.expire_at == now + RETENTION


def test_resume_gives_a_running_job_back_to_its_holder(waiting: Job, now: datetime) -> None:
    """Never a second holder: it is ready at the end of the lease in force."""
    held = claim(waiting, now)

    resumed = held.pause(now=now).resume(now=now + MINUTE, retention=RETENTION)

    assert (resumed.status, resumed.ready_at, resumed.lease_token) == (Status.RUNNING, held.lease_until, "token")


def test_resume_after_the_holder_died_is_a_takeover(waiting: Job, now: datetime) -> None:
    """A death while paused is found and counted after resume."""
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


# -- edit --------------------------------------------------------------------------------------------------------------


def test_editing_the_payload_keeps_everything_else(daily: Job, now: datetime) -> None:
    """Schedule, history and count stay."""
    job = finish(claim(daily, now), now)

    edited = job.edit(now=now + MINUTE, by="ana", payload={"message": "new"})

    assert edited == replace(job, payload={"message": "new"}, updated_at=now + MINUTE, updated_by="ana")


def test_a_new_schedule_starts_a_new_occurrence(daily: Job, now: datetime) -> None:
    """The next run follows the new expression in the new zone; history is kept."""
    job = finish(claim(daily, now), now)

    edited = job.edit(now=now, cron="30 18 * * *", timezone="Europe/Berlin")

    assert edited.ready_at == edited.schedule_at == datetime(2026, 11, 21, 17, 30, tzinfo=UTC)
    assert edited.recent_runs == job.recent_runs


def test_what_a_new_schedule_leaves_out_is_in_the_history(daily: Job, now: datetime) -> None:
    """Occurrences that were due when the schedule was changed do not vanish."""
    edited = daily.edit(now=now + timedelta(days=2), cron="0 12 * * *")

    (missed,) = edited.recent_runs
    assert (missed.outcome, missed.schedule_at, missed.until) == ("missed", now, now + timedelta(days=1))


def test_the_schedule_of_a_cancelled_job_waits_for_its_run_to_end(daily: Job, now: datetime) -> None:
    """Else the finish of the run under way would leave it cancelled."""
    with pytest.raises(NotPossible, match="when that run has ended"):
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


def test_editing_a_running_job_concerns_later_occurrences(daily: Job, now: datetime) -> None:
    """Its run goes on under its lease; the next occurrence follows the new expression."""
    held = claim(daily, now)

    edited = held.edit(now=now, cron="0 12 * * *")
    done = finish(edited, now)

    assert (edited.lease_token, edited.ready_at, edited.schedule_at) == (held.lease_token, held.ready_at, now)
    assert done.ready_at == now + timedelta(hours=3)


def test_the_time_of_a_running_one_shot_cannot_be_changed(waiting: Job, now: datetime) -> None:
    """It would be lost with the finish of the run under way."""
    with pytest.raises(NotPossible, match="when that run has ended"):
        claim(waiting, now).edit(now=now, at=now + MINUTE)


def test_a_time_alone_makes_a_recurring_job_a_one_shot(daily: Job, now: datetime) -> None:
    """Cron and zone go with it."""
    edited = daily.edit(now=now, at=now + MINUTE)

    assert (edited.cron, edited.timezone, edited.ready_at) == (None, None, now + MINUTE)


def test_an_edit_is_checked_like_a_new_job(daily: Job, now: datetime) -> None:
    """A bad value changes nothing and is named."""
    with pytest.raises(InvalidInput, match="max_attempts"):
        daily.edit(now=now, max_attempts=0)


# -- making and checking -----------------------------------------------------------------------------------------------


def test_a_recurring_job_starts_with_its_first_occurrence(job_factory: JobFactory, now: datetime) -> None:
    """From now on, or from the given time on, that very moment included."""
    assert job_factory(cron="0 9 * * *").schedule_at == now
    assert job_factory(cron="0 9 * * *", at=now + MICROSECOND).schedule_at == now + timedelta(days=1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"job_id": ""}, "id ''", id="empty id"),
        pytest.param({"job_id": "a/b"}, "id 'a/b'", id="slash"),
        pytest.param({"job_id": "-a"}, "id '-a'", id="first character"),
        pytest.param({"job_id": "a\n"}, "id", id="newline"),
        pytest.param({"job_id": "ä"}, "id", id="not ASCII"),
        pytest.param({"job_id": "x" * 201}, "id", id="long id"),
        pytest.param({"job_id": 7}, "id 7", id="number"),
        pytest.param({"job_type": ""}, "job_type", id="no type"),
        pytest.param({"job_type": "a b"}, "job_type", id="space in type"),
        pytest.param({"payload": []}, "payload", id="list"),
        pytest.param({"payload": {"x": float("nan")}}, "payload", id="NaN"),
        pytest.param({"payload": {"x": object()}}, "payload", id="no JSON"),
        pytest.param({"payload": nested(101)}, "payload.*100 levels", id="nested too deep"),
        pytest.param({"payload": nested(20_000)}, "payload.*100 levels", id="nested without end"),
        pytest.param({"payload": {"x": "y" * 65536}}, "65536 bytes of JSON", id="large payload"),
        pytest.param({"max_attempts": 0}, "max_attempts", id="no attempts"),
        pytest.param({"max_attempts": True}, "max_attempts", id="bool"),
        pytest.param({"max_attempts": 101}, "max_attempts", id="many attempts"),
        pytest.param({"misfire": "never"}, "coalesce, skip", id="misfire"),
        pytest.param({"at": datetime(2026, 1, 1)}, "time zone", id="naive time"),
        pytest.param({"cron": ""}, "cron|expression", id="empty cron"),
        pytest.param({"cron": "0 9 * *"}, "0 9", id="four fields"),
        pytest.param({"cron": "0 9 * * *", "timezone": "CEST"}, "CEST", id="no IANA zone"),
        pytest.param({"space": 7}, "space", id="space"),
    ],
)
def test_a_malformed_job_is_refused_by_name(job_factory: JobFactory, given: dict[str, Any], says: str) -> None:
    """Whatever is wrong, one error names it."""
    with pytest.raises(InvalidInput, match=says):
        job_factory(**given)


def test_ids_of_the_longest_and_of_all_kinds_are_fine(job_factory: JobFactory) -> None:
    """Addresses, times and keys make good ids."""
    assert job_factory("x" * 200).id == "x" * 200
    assert job_factory("subscription:gmail:a_b.o'neill@example.com").id.endswith("a_b.o'neill@example.com")
    assert job_factory("subscription:gmail:a+b@example.com").execution_key.startswith("subscription:gmail:a+b@example")


def test_the_execution_key_names_the_occurrence(job_factory: JobFactory, now: datetime) -> None:
    """In the form JOB_ID@TIME, to the second where there is no more to say."""
    assert job_factory("report", at=now).execution_key == "report@2026-11-21T09:00:00Z"
    assert job_factory("report", at=now + MICROSECOND).execution_key == "report@2026-11-21T09:00:00.000001Z"


def test_a_document_is_read_as_it_was_written(daily: Job, now: datetime) -> None:
    """Nothing is lost or invented on the way to a document and back."""
    job = finish(claim(daily, now + timedelta(days=2)), now + timedelta(days=2), error="boom")

    assert from_document(job.id, to_document(job)) == job


def test_a_one_shot_that_becomes_recurring_starts_now(job_factory: JobFactory, now: datetime) -> None:
    """Its own time, long past or far ahead, is not the start of the schedule."""
    for at in (now - timedelta(days=400), now + timedelta(days=400)):
        edited = job_factory(at=at).edit(now=now + MINUTE, cron="0 9 * * *")

        assert edited.schedule_at == now + timedelta(days=1)


def test_an_edit_wakes_a_cancelled_job_whose_extra_run_waited(daily: Job, now: datetime) -> None:
    """Nothing is kept of the extra run; the job is pending, and does not expire."""
    cancelled = daily.run(now=now - MINUTE).cancel(now=now, retention=RETENTION)

    edited = cancelled.edit(now=now + MINUTE, cron="0 10 * * *")

    assert (edited.status, edited.ready_at) == (Status.PENDING, now + timedelta(hours=1))
    assert (edited.expire_at, edited.regular_at) == (None, None)


def test_resume_keeps_the_next_try_of_an_extra_run(job_factory: JobFactory, now: datetime) -> None:
    """Although the regular occurrences that fell due meanwhile are noted as missed."""
    extra = job_factory(cron="*/5 * * * *", at=now).run(now=now - MINUTE)
    held = claim(extra, now).pause(now=now)
    snoozed = finish(held, now, error="busy", later=timedelta(hours=1))

    resumed = snoozed.resume(now=now + 20 * MINUTE, retention=RETENTION)

    assert (resumed.schedule_at, resumed.ready_at) == (extra.schedule_at, now + timedelta(hours=1))
    assert resumed.recent_runs[-1].outcome is RunOutcome.MISSED


def test_an_edit_repeats_nothing_that_history_has_forgotten(job_factory: JobFactory, now: datetime) -> None:
    """Ten tries at one occurrence push out what ended before; a clock that is behind still finds it over."""
    job = job_factory(cron="0 * * * *", at=now)
    job = finish(claim(job, now), now)
    for _ in range(11):
        job = finish(claim(job, now + timedelta(days=1)), now, error="busy", later=SECOND)

    edited = job.edit(now=now - 2 * SECOND, cron="0 * * * 0-6")

    assert edited.schedule_at > now


def test_a_schedule_that_has_not_begun_can_be_moved_up(daily: Job, now: datetime) -> None:
    """What history holds is older than the start that was given."""
    job = finish(claim(daily, now), now).edit(now=now, cron="0 9 * * *", at=now + timedelta(days=400))

    edited = job.edit(now=now + MINUTE, cron="0 10 * * *")

    assert edited.schedule_at == now + timedelta(hours=1)


def test_a_one_shot_at_a_time_that_has_ended_has_another_key(waiting: Job, daily: Job, now: datetime) -> None:
    """Whether it was a one-shot before or a recurring job."""
    for job in (waiting, daily):
        ended = finish(claim(job, now), now)

        assert ended.edit(now=now, at=now).execution_key != job.execution_key


def test_a_changed_job_is_what_replace_makes_of_it(job_factory: JobFactory, now: datetime) -> None:
    """It is a value of its own, and its schedule is that of its new fields."""
    job = job_factory(cron="0 9 * * *", timezone="UTC")
    assert job.schedule.cron == "0 9 * * *"

    changed = job.changed(cron="0 10 * * *", attempts=2)

    assert changed == replace(job, cron="0 10 * * *", attempts=2)
    assert changed.schedule.cron == "0 10 * * *"
    assert (job.cron, job.attempts) == ("0 9 * * *", 0)
