"""One true entry for each run, over every store."""

from dataclasses import replace
from datetime import datetime

import pytest

from shared.errors import InvalidInput
from shared.jobs import Jobs
from shared.model.entries import entries
from shared.model.history import Run, RunOutcome
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Lost, Store
from tests.support.histories import DAY, HOUR, MINUTE, JobFactory, claimed, finished, put, run, told


def test_a_run_has_its_entry(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """It has everything that the job keeps of the run, and the job's own type."""
    ran = run(store, put(store, None, job_factory("report", at=now)), now, output="42 rows")

    (entry,) = store.history(job_id="report")

    assert entry.run == ran.recent_runs[0]
    assert (entry.job_id, entry.job_type, entry.attempt, entry.at) == ("report", "log", 1, now)
    assert entry.expire_at == now + MINUTE + 30 * DAY


def test_the_attempts_at_an_occurrence_have_one_each(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """The latest comes first."""
    failed = run(store, put(store, None, job_factory("report", at=now)), now, "a", error="boom")
    assert failed.ready_at is not None
    run(store, failed, failed.ready_at, "b")

    found = store.history(job_id="report")

    assert [(entry.attempt, entry.run.outcome) for entry in found] == [(2, "completed"), (1, "retried")]


def test_more_runs_than_the_job_keeps(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Thirty runs are thirty entries, page by page, of the job and of all jobs, and since a time."""
    job = put(store, None, job_factory("report", cron="* * * * *"))
    other = put(store, None, job_factory("report-2", at=now))
    for number in range(30):
        job = run(store, job, now + number * MINUTE, f"token-{number}")
    run(store, other, now + HOUR)
    jobs = Jobs(store, clock=lambda: now, handlers={}, retention=DAY)

    own = [entry.at for entry in jobs.history("report", page_size=7)]
    every = [entry.at for entry in jobs.history(page_size=7)]
    late = [entry.at for entry in jobs.history("report", since=now + 25 * MINUTE)]
    latest = [entry.at for entry in jobs.history(since=now + 25 * MINUTE, page_size=2)]

    expected = [now + number * MINUTE for number in reversed(range(30))]
    assert own == expected
    assert every == [now + HOUR, *expected]
    assert late == expected[:5]
    assert latest == [now + HOUR, *expected[:5]]


def test_a_holder_that_lost_its_lease_does_not_replace_the_entry_of_its_death(
    store: Store, job_factory: JobFactory, now: datetime
) -> None:
    """Its result is refused; the run keeps the one entry that its holder died."""
    job = put(store, None, job_factory("report", at=now))
    held = put(store, job, claimed(job, now, "a"))
    again = put(store, held, claimed(held, now + HOUR, "b"))

    assert store.swap([Change(held, finished(held, now))]) == [Lost()]
    put(store, again, finished(again, now + HOUR))

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["completed", "died"]


def test_a_lost_reclaim_leaves_no_entry(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A tick loses the takeover because the run ended a moment before; that entry stays."""
    job = put(store, None, job_factory("report", at=now))
    held = put(store, job, claimed(job, now, "a"))
    put(store, held, finished(held, now))

    assert store.swap([Change(held, claimed(held, now + HOUR, "b"))]) == [Lost()]

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["completed"]


def test_a_result_that_is_stored_again_has_one_entry(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A person pauses the job meanwhile, so its end is written twice: the first is lost, the second counts."""
    job = put(store, None, job_factory("report", cron="* * * * *"))
    held = put(store, job, claimed(job, now, "a"))
    paused = put(store, held, held.pause(now=now))
    failure = {"error": "boom", "final": True}

    assert store.swap([Change(held, finished(held, now))]) == [Lost()]
    put(store, paused, finished(paused, now, **failure))

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["failed"]


def test_a_job_that_is_given_up_for_its_dead_holders(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """One entry says that the last run died and that the job gave up."""
    held = put(store, None, replace(claimed(job_factory("report", at=now), now, "a"), reclaims=4))
    put(store, held, claimed(held, now + HOUR, "b"))

    (entry,) = store.history(job_id="report")

    assert (entry.run.outcome, entry.run.error) == (RunOutcome.FAILED, "given up: 5 holders died")


def test_what_was_missed_is_in_the_history_when_the_claim_is_won(
    store: Store, job_factory: JobFactory, now: datetime
) -> None:
    """One entry for all missed occurrences; a tick that lost the claim, because its clock is ahead, adds none."""
    job = put(store, None, job_factory("report", cron="* * * * *"))
    held = put(store, job, claimed(job, now + 3 * MINUTE, "a"))

    assert store.swap([Change(job, claimed(job, now + 5 * MINUTE, "b"))]) == [Lost()]
    put(store, held, finished(held, now + 3 * MINUTE))

    found = store.history(job_id="report")
    assert [(entry.run.outcome, entry.run.until) for entry in found] == [
        ("completed", None),
        ("missed", now + 2 * MINUTE),
    ]


def test_only_what_is_won_has_an_entry(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Claims and commands add none; nor does a job that is imported with its history."""
    job = put(store, None, finished(claimed(job_factory("imported", at=now), now, "a"), now))
    put(store, job, job.run(now=now))

    assert store.history() == []


def test_entries_outlive_their_job(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A deleted job keeps its history."""
    ended = run(store, put(store, None, job_factory("report", at=now)), now)

    store.swap([Change(ended, None)])

    assert told(store.history(job_id="report")) == [("report@2026-11-21T09:00:00Z", RunOutcome.COMPLETED)]


def test_an_id_that_no_job_can_have_has_no_history(store: Store) -> None:
    """An id that no job can have finds nothing, also if it has a meaning for the store."""
    assert [store.history(job_id=job_id) for job_id in ("", "a/b", "..", "nobody")] == [[]] * 4


def test_jobs_whose_ids_begin_alike_are_told_apart(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A longer id is another job's, whichever character follows."""
    for job_id in ("report", "report-2", "report@x", "repor"):
        run(store, put(store, None, job_factory(job_id, at=now)), now)

    assert [entry.job_id for entry in store.history(job_id="report")] == ["report"]


@pytest.mark.parametrize("after", ["x", "a/b~8204096620352-ab", "report~12-ab", "report~820409662035x-ab"])
def test_an_invalid_cursor_is_refused(json_store: JsonStore, now: datetime, after: str) -> None:
    """It comes from an address, so it may be anything."""
    jobs = Jobs(json_store, clock=lambda: now, handlers={}, retention=DAY)

    with pytest.raises(InvalidInput, match="is not the id of an entry"):
        next(jobs.history(after=after), None)


def test_a_new_run_is_found_when_the_oldest_drops_out(job_factory: JobFactory, now: datetime) -> None:
    """A job keeps ten runs: the eleventh pushes the first one out, and is the only new one."""
    job = job_factory(cron="* * * * *")
    same = Run(schedule_at=now, outcome=RunOutcome.COMPLETED, started_at=now, ended_at=now)
    full = replace(job, recent_runs=(same,) * 10)
    after = finished(claimed(full, now, "a"), now)

    found = entries(full, after, kept=DAY)

    assert [entry.run for entry in found] == [after.recent_runs[-1]]
