"""The history beside the jobs: one true entry for each run, over every store."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from shared.errors import InvalidInput
from shared.jobs import Jobs
from shared.model.entries import Entry, entries
from shared.model.history import Result, Run, RunOutcome
from shared.model.job import Job
from shared.store import json_file
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Lost, Outcome, Refused, Store, Unknown, Won

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
JobFactory = Callable[..., Job]


def put(store: Store, before: Job | None, after: Job) -> Job:
    """Store a change, and return the job with its version."""
    (outcome,) = store.swap([Change(before, after)])
    assert isinstance(outcome, Won)
    assert isinstance(outcome.job, Job)
    return outcome.job


def claimed(job: Job, now: datetime, token: str) -> Job:
    return job.claim(now=now, token=token, lease=5 * MINUTE, retention=30 * DAY)


def finished(job: Job, now: datetime, **said: Any) -> Job:
    return job.finish(Result(started_at=now, ended_at=now + MINUTE, by="schedule", **said), retention=30 * DAY)


def run(store: Store, job: Job, now: datetime, token: str = "token", **said: Any) -> Job:
    """Claim and finish a stored job."""
    held = put(store, job, claimed(job, now, token))
    return put(store, held, finished(held, now, **said))


def told(found: Sequence[Entry]) -> list[tuple[str, RunOutcome]]:
    return [(entry.execution_key, entry.run.outcome) for entry in found]


# -- the contract ------------------------------------------------------------------------------------------------------


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


def test_a_holder_that_lost_its_lease_enters_nothing_over_its_death(
    store: Store, job_factory: JobFactory, now: datetime
) -> None:
    """Its result is refused; the run keeps the one entry that its holder died."""
    job = put(store, None, job_factory("report", at=now))
    held = put(store, job, claimed(job, now, "a"))
    again = put(store, held, claimed(held, now + HOUR, "b"))

    assert store.swap([Change(held, finished(held, now))]) == [Lost()]
    put(store, again, finished(again, now + HOUR))

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["completed", "died"]


def test_a_reclaim_that_lost_enters_no_death(store: Store, job_factory: JobFactory, now: datetime) -> None:
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


def test_no_history_of_what_cannot_be_a_job(store: Store) -> None:
    """An id that no job can have finds nothing, also if it has a meaning for the store."""
    assert [store.history(job_id=job_id) for job_id in ("", "a/b", "..", "nobody")] == [[]] * 4


def test_jobs_whose_ids_begin_alike_are_told_apart(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A longer id is another job's, whichever character follows."""
    for job_id in ("report", "report-2", "report@x", "repor"):
        run(store, put(store, None, job_factory(job_id, at=now)), now)

    assert [entry.job_id for entry in store.history(job_id="report")] == ["report"]


@pytest.mark.parametrize("after", ["x", "a/b~8204096620352-ab", "report~12-ab", "report~820409662035x-ab"])
def test_a_cursor_that_is_none_is_refused(json_store: JsonStore, now: datetime, after: str) -> None:
    """It comes from an address, so it may be anything."""
    jobs = Jobs(json_store, clock=lambda: now, handlers={}, retention=DAY)

    with pytest.raises(InvalidInput, match="is not the id of an entry"):
        next(jobs.history(after=after), None)


# -- a JSON file -------------------------------------------------------------------------------------------------------


def test_without_a_history_none_is_kept(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """The job keeps its own ten runs, and there is no file beside it."""
    store = JsonStore(tmp_path / "jobs.json", lambda: now, kept=timedelta())

    ran = run(store, put(store, None, job_factory(at=now)), now)

    assert len(ran.recent_runs) == 1
    assert store.history() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.json", "jobs.json.lock"]


def test_a_line_whose_change_was_never_made_is_no_history(
    tmp_path: Path, job_factory: JobFactory, now: datetime
) -> None:
    """A writer killed between history and job file leaves a line that is never read, and the next writer drops it."""
    store = JsonStore(tmp_path / "jobs.json", lambda: now)
    job = run(store, put(store, None, job_factory(cron="* * * * *")), now)
    held = put(store, job, claimed(job, now + MINUTE, "b"))
    before = (tmp_path / "jobs.json").read_bytes()
    put(store, held, finished(held, now + MINUTE))
    (tmp_path / "jobs.json").write_bytes(before)

    assert len(store.history()) == 1
    put(store, held, finished(held, now + MINUTE, error="boom"))
    assert [entry.run.outcome for entry in store.history()] == ["retried", "completed"]


def test_a_damaged_line_hides_no_other(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """A power cut or an editor may damage a line."""
    store = JsonStore(tmp_path / "jobs.json", lambda: now)
    job = run(store, put(store, None, job_factory(cron="* * * * *")), now)
    file = tmp_path / "jobs_runs.jsonl"
    text = file.read_text()
    file.write_text(text.replace("job_type", "jxb_type"))
    run(store, job, now + MINUTE, "b")

    assert [entry.at for entry in store.history()] == [now + MINUTE]


def test_the_file_of_the_history_is_bounded(
    tmp_path: Path, job_factory: JobFactory, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest runs stay; the file never takes much more than is allowed."""
    monkeypatch.setattr(json_file, "MOST_HISTORY_BYTES", 3_000)
    store = JsonStore(tmp_path / "jobs.json", lambda: now)
    job = put(store, None, job_factory(cron="* * * * *"))
    for number in range(40):
        job = run(store, job, now + number * MINUTE, f"token-{number}")
        assert (tmp_path / "jobs_runs.jsonl").stat().st_size < 4_000

    found = [entry.at for entry in store.history()]

    assert len(found) > 4
    assert found == [now + number * MINUTE for number in range(39, 39 - len(found), -1)]


def test_the_history_is_for_its_owner_alone(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """It has outputs; a planted link is not followed."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    store = JsonStore(tmp_path / "jobs.json", lambda: now)
    run(store, put(store, None, job_factory(at=now)), now)
    file = tmp_path / "jobs_runs.jsonl"
    file.chmod(0o666)
    run(store, put(store, None, job_factory("a", at=now)), now)
    mode = file.stat().st_mode
    file.unlink()
    file.symlink_to(precious)
    held = put(store, None, claimed(job_factory("b", at=now), now, "b"))

    (outcome,) = store.swap([Change(held, finished(held, now))])

    assert mode & 0o077 == 0
    assert isinstance(outcome, Unknown)
    assert precious.read_text() == "precious"


# -- Firestore ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


class Scripted(FirestoreStore):
    """A store whose next calls fail as given: `None` is a call that succeeds."""

    def __init__(self, store: FirestoreStore, *script: str | None) -> None:
        super().__init__(store._client, store._jobs.id)
        self.script = list(script)
        self.sizes: list[int] = []

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        self.sizes.append(len(messages))
        step = self.script.pop(0) if self.script else None
        if step == "killed":
            raise Killed
        if step == "contended":
            raise exceptions.Aborted("too much contention")  # type: ignore[no-untyped-call]  # the library's own
        answer = super()._send(messages, together=together)
        if step == "applied but cut":
            raise exceptions.ServiceUnavailable("cut")  # type: ignore[no-untyped-call]  # the library's own
        return answer


@pytest.mark.emulator
def test_the_entry_goes_with_the_end_of_its_run(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """One call, two writes."""
    store = Scripted(firestore_store)
    held = put(store, None, claimed(job_factory(at=now), now, "a"))

    put(store, held, finished(held, now))

    assert store.sizes == [1, 2]


@pytest.mark.emulator
def test_an_end_that_was_not_heard_has_one_entry(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """It is recognised as won, and its entry is overwritten with the same."""
    held = put(firestore_store, None, claimed(job_factory("report", at=now), now, "a"))
    store = Scripted(firestore_store, "applied but cut")

    put(store, held, finished(held, now))

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["completed"]


@pytest.mark.emulator
def test_the_entry_of_one_that_lost_is_replaced_by_that_of_the_winner(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """An end that is lost to a person's command leaves its entry; the tick that reclaims the job knows better."""
    held = put(firestore_store, None, claimed(job_factory("report", cron="* * * * *"), now, "a"))
    paused = put(firestore_store, held, held.pause(now=now))
    firestore_store.swap([Change(held, finished(held, now))])  # and then its process is killed
    resumed = put(firestore_store, paused, paused.resume(now=now, retention=DAY))

    put(firestore_store, resumed, claimed(resumed, now + HOUR, "b"))

    assert [entry.run.outcome for entry in firestore_store.history(job_id="report")] == ["died"]


@pytest.mark.emulator
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_process_that_is_killed_between_two_calls_loses_nothing_that_was_missed(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, calls: int
) -> None:
    """The claim that leaves occurrences out and the entry that says so are stored both, or neither of them."""
    job = put(firestore_store, None, job_factory("report", cron="* * * * *"))
    store = Scripted(firestore_store, *[None] * calls, "killed")

    with suppress(Killed):
        store.swap([Change(job, claimed(job, now + 3 * MINUTE, "a"))])

    stored = firestore_store.get(["report"])["report"]
    assert isinstance(stored, Job)
    assert [entry.run for entry in firestore_store.history(job_id="report")] == [*stored.recent_runs]


@pytest.mark.emulator
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_process_that_is_killed_between_two_calls_leaves_no_word_of_one_that_lost(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, calls: int
) -> None:
    """The entry of an end that was lost to a person is replaced with the claim that takes the job, or stands alone."""
    held = put(firestore_store, None, claimed(job_factory("report", cron="* * * * *"), now, "a"))
    paused = put(firestore_store, held, held.pause(now=now))
    firestore_store.swap([Change(held, finished(held, now))])  # and then its process is killed
    resumed = put(firestore_store, paused, paused.resume(now=now, retention=DAY))
    store = Scripted(firestore_store, *[None] * calls, "killed")

    with suppress(Killed):
        store.swap([Change(resumed, claimed(resumed, now + HOUR, "b"))])

    stored = firestore_store.get(["report"])["report"]
    assert isinstance(stored, Job)
    is_taken = stored.lease_token == "b"
    assert [entry.run.outcome for entry in firestore_store.history(job_id="report")] == [
        "died" if is_taken else "completed"
    ]


@pytest.mark.emulator
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_process_that_is_killed_between_two_calls_leaves_the_end_that_counts(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, calls: int
) -> None:
    """An end that is made again, after it was lost to a person, replaces its own entry as it is stored."""
    store = Scripted(firestore_store)
    held = put(store, None, claimed(job_factory("report", cron="* * * * *"), now, "a"))
    paused = put(firestore_store, held, held.pause(now=now))
    store.swap([Change(held, finished(held, now))])
    store.script = [*[None] * calls, "killed"]

    with suppress(Killed):
        store.swap([Change(paused, finished(paused, now, error="boom", final=True))])

    stored = firestore_store.get(["report"])["report"]
    assert isinstance(stored, Job)
    is_ended = bool(stored.recent_runs)
    outcomes = [entry.run.outcome for entry in firestore_store.history(job_id="report")]
    assert outcomes == ["failed" if is_ended else "completed"]


@pytest.mark.emulator
def test_of_claims_that_leave_something_out_only_those_are_lost_whose_job_has_changed(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """All or none are stored in one call, so the others are made again: one more read and one more call."""
    store = Scripted(firestore_store)
    jobs = [put(firestore_store, None, job_factory(name, cron="* * * * *")) for name in "abcd"]
    put(firestore_store, jobs[1], jobs[1].pause(now=now))
    firestore_store.swap([Change(jobs[2], None)])

    outcomes = store.swap([Change(job, claimed(job, now + 3 * MINUTE, "token")) for job in jobs])

    assert [type(outcome) for outcome in outcomes] == [Won, Lost, Lost, Won]
    assert sorted(entry.job_id for entry in store.history()) == ["a", "d"]
    assert store.sizes == [8, 4]


@pytest.mark.emulator
def test_a_commit_that_meets_contention_is_repeated_once(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """It must not cost the tick: without an outcome the store counts as unreachable."""
    store = Scripted(firestore_store, "contended")
    jobs = [put(firestore_store, None, job_factory(name, cron="* * * * *")) for name in "ab"]

    outcomes = store.swap([Change(job, claimed(job, now + 3 * MINUTE, "a")) for job in jobs])

    assert [type(outcome) for outcome in outcomes] == [Won, Won]
    assert store.sizes == [4, 4]
    assert len(store.history()) == 2


@pytest.mark.emulator
def test_claims_that_are_refused_while_no_job_has_changed_are_lost_to_nobody(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """The change that was in the way is not stored yet, or never will be: the outcome is unknown, with the reason."""
    store = Scripted(firestore_store, "contended", "contended")
    job = put(firestore_store, None, job_factory("report", cron="* * * * *"))
    claim = Change(job, claimed(job, now + 3 * MINUTE, "a"))

    (outcome,) = store.swap([claim])
    (again,) = store.swap([claim])

    assert isinstance(outcome, Unknown)
    assert "too much contention" in outcome.reason
    assert isinstance(again, Won)
    assert len(store.history()) == 1


@pytest.mark.emulator
def test_what_was_missed_costs_no_call_of_its_own(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """Claims that leave something out are one call with their entries, and the claims beside them another."""
    store = Scripted(firestore_store)
    late = [put(firestore_store, None, job_factory(name, cron="* * * * *")) for name in "ab"]
    due = [put(firestore_store, None, job_factory(name, at=now)) for name in "cd"]

    outcomes = store.swap([Change(job, claimed(job, now + 3 * MINUTE, "token")) for job in [*late, *due]])

    assert all(isinstance(outcome, Won) for outcome in outcomes)
    assert store.sizes == [2, 4]


@pytest.mark.emulator
def test_claims_whose_answer_was_lost_have_one_entry(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """They are recognised as won, and nothing is written again."""
    store = Scripted(firestore_store, "applied but cut")
    job = put(firestore_store, None, job_factory("report", cron="* * * * *"))

    put(store, job, claimed(job, now + 3 * MINUTE, "a"))

    assert [entry.run.outcome for entry in store.history(job_id="report")] == ["missed"]
    assert store.sizes == [2]


class InPieces(FirestoreStore):
    """A store whose batches are applied write by write, the entry or the job first, with something else in between.

    What is applied together has it before or behind.
    """

    def __init__(self, store: FirestoreStore, *, is_entry_first: bool, between: Callable[[], object]) -> None:
        super().__init__(store._client, store._jobs.id)
        self._is_entry_first = is_entry_first
        self._between = between

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        if len(messages) == 1:
            return super()._send(messages)
        if together:
            return self._send_whole(messages)
        answers = {}
        for at in (1, 0) if self._is_entry_first else (0, 1):
            answers[at] = super()._send([messages[at]])
            self._between()
            self._between = lambda: None
        return SimpleNamespace(
            status=[answers[at].status[0] for at in (0, 1)],
            write_results=[answers[at].write_results[0] for at in (0, 1)],
        )

    def _send_whole(self, messages: list[Any]) -> Any:
        if self._is_entry_first:
            self._between()
        answer = super()._send(messages, together=True)
        self._between()
        return answer


@pytest.mark.emulator
@pytest.mark.parametrize("is_entry_first", [True, False], ids=["entry-first", "job-first"])
@pytest.mark.parametrize("is_holder_in_pieces", [True, False], ids=["the-end", "the-reclaim"])
def test_of_two_calls_at_once_the_entry_is_that_of_the_winner(
    firestore_store: FirestoreStore,
    job_factory: JobFactory,
    now: datetime,
    is_entry_first: bool,
    is_holder_in_pieces: bool,
) -> None:
    """A batch is not atomic: a reclaim may come in the middle of an end. Who wins has the last word."""
    held = put(firestore_store, None, claimed(job_factory("report", at=now), now, "a"))
    changes = [Change(held, finished(held, now)), Change(held, claimed(held, now + HOUR, "b"))]
    in_pieces, whole = changes if is_holder_in_pieces else reversed(changes)
    store = InPieces(firestore_store, is_entry_first=is_entry_first, between=lambda: firestore_store.swap([whole]))

    store.swap([in_pieces])

    job = firestore_store.get(["report"])["report"]
    assert isinstance(job, Job)
    assert [entry.run for entry in store.history(job_id="report")] == [job.recent_runs[-1]]


@pytest.mark.emulator
def test_without_a_history_nothing_is_written_for_it(
    firestore_client: firestore.Client, firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """A run costs two writes again."""
    store = FirestoreStore(firestore_client, firestore_store._jobs.id, kept=timedelta())

    run(store, put(store, None, job_factory(at=now)), now)

    assert firestore_store.history() == []


@pytest.mark.slow
@pytest.mark.emulator
def test_no_call_holds_more_writes_than_firestore_takes_with_the_history(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """An end is two writes, which stay together."""
    store = Scripted(firestore_store)
    held = [claimed(job_factory(f"job-{n:03}", at=now), now, f"token-{n}") for n in range(251)]
    stored: list[Outcome] = store.swap([Change(None, job) for job in held])
    jobs = [outcome.job for outcome in stored if isinstance(outcome, Won) and isinstance(outcome.job, Job)]
    store.sizes.clear()

    store.swap([Change(job, finished(job, now)) for job in jobs])

    assert store.sizes == [500, 2]
    assert len(store.history(limit=1_000)) == 251


@pytest.mark.emulator
def test_a_result_that_cannot_be_stored_leaves_no_entry(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """The store refuses the call, and so both of its writes."""
    held = put(firestore_store, None, claimed(job_factory(at=now), now, "a"))
    odd = replace(held, extra={"nested": [[1]]})

    (outcome,) = firestore_store.swap([Change(odd, replace(finished(odd, now), space=object()))])  # type: ignore[arg-type]

    assert isinstance(outcome, Refused)
    assert firestore_store.history() == []


# -- what a change adds ------------------------------------------------------------------------------------------------


def test_entries_are_found_where_older_ones_drop_out(job_factory: JobFactory, now: datetime) -> None:
    """A job keeps ten runs: the eleventh pushes the first one out, and is the only new one."""
    job = job_factory(cron="* * * * *")
    same = Run(schedule_at=now, outcome=RunOutcome.COMPLETED, started_at=now, ended_at=now)
    full = replace(job, recent_runs=(same,) * 10)
    after = finished(claimed(full, now, "a"), now)

    found = entries(full, after, kept=DAY)

    assert [entry.run for entry in found] == [after.recent_runs[-1]]
