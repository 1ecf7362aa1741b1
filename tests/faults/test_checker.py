"""The checker itself: it finds nothing in a good story, and each broken promise in one that breaks it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from shared.model.entries import Entry, entries
from shared.model.history import Result, Run, RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from shared.store.protocol import Change, Won
from tests.faults.checker import violations
from tests.faults.evidence import PEOPLE, Began, Ended, Fact, Ledger, Reported, Write, from_file, to_file
from tests.faults.memory_store import MemoryStore

START = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
NONE = {"jobs_executed": 0, "jobs_succeeded": 0, "jobs_failed": 0, "jobs_retried": 0, "jobs_lost": 0}


class Story:
    """A job's life, told by those who act on it; each act is stored and recorded, whether it is valid or not."""

    def __init__(self) -> None:
        self.now = START
        self.facts: list[Fact] = []
        self.store = MemoryStore()
        self.ledgers: dict[str, Ledger] = {}

    def insert(self, **given: Any) -> None:
        self._swap(PEOPLE, Change(None, Job.create("job", "work", **{"now": START, **given})))

    @property
    def job(self) -> Job:
        return self.store.jobs["job"]

    def write(self, by: str, job: Job) -> None:
        self._swap(by, Change(self.job, job))

    def claim(self, by: str) -> None:
        self.write(by, self.job.claim(now=self.now, token=by, lease=MINUTE, retention=DAY))

    def begin(self, by: str) -> None:
        self.facts.append(Began(by=by, key=self.job.execution_key, clock=self.now))

    def end(self, by: str, outcome: str = "completed", *, key: str = "") -> None:
        self.facts.append(Ended(by=by, key=key or self.job.execution_key, outcome=outcome))

    def finish(self, by: str, **said: Any) -> None:
        result = Result(started_at=self.now, ended_at=self.now, by="schedule", **said)
        self.write(by, self.job.finish(result, retention=DAY))

    def run(self, by: str, outcome: str = "completed", **said: Any) -> None:
        self.claim(by)
        self.begin(by)
        self.end(by, outcome)
        self.finish(by, **said)

    def report(self, by: str, **metrics: int) -> None:
        self.facts.append(Reported(by=by, metrics={**NONE, **metrics}))

    def broken(self) -> list[str]:
        return violations(self.facts, self.store.jobs, self.now)

    def _swap(self, by: str, change: Change) -> None:
        ledger = self.ledgers.setdefault(by, Ledger(self.store, by, lambda: self.now, self.facts.append))
        assert isinstance(ledger.swap([change])[0], Won)


@pytest.fixture
def story() -> Story:
    return Story()


# -- good stories ------------------------------------------------------------------------------------------------------


def test_a_run_that_fails_and_is_tried_again(story: Story) -> None:
    """Nothing is wrong with it, and the metrics agree."""
    story.insert()
    story.run("a", "failed", error="boom")
    story.report("a", jobs_executed=1, jobs_retried=1)
    story.now += 2 * MINUTE
    story.run("b")
    story.report("b", jobs_executed=1, jobs_succeeded=1)

    assert story.broken() == []


def test_a_dead_holder_and_a_late_one(story: Story) -> None:
    """Runs overlap when a lease was lost; the late result counts as lost."""
    story.insert()
    story.claim("a")
    story.begin("a")
    story.now += MINUTE
    story.claim("b")
    story.begin("b")
    story.end("a")
    story.report("a", jobs_executed=1, jobs_lost=1)
    story.end("b")
    story.finish("b")

    assert story.broken() == []


def test_occurrences_that_were_missed(story: Story) -> None:
    """The history says so."""
    story.insert(cron="* * * * *")
    story.now += 10 * MINUTE
    story.run("a")

    assert story.broken() == []


def test_an_extra_run_by_a_clock_that_is_behind(story: Story) -> None:
    """It ends, and so do the regular occurrences before and after it."""
    story.insert(cron="0 9 * * *")
    story.run("a")
    story.write(PEOPLE, story.job.run(now=START - SECOND))
    story.run("b")
    story.now += DAY
    story.run("c")

    assert story.broken() == []


def test_a_finish_that_is_written_twice(story: Story) -> None:
    """Its answer was lost, it is repeated and recognised: both count as won, with one version."""
    story.insert()
    story.run("a")
    finish = [fact for fact in story.facts if is_of_a(fact)][-1]
    story.facts.append(replace(finish, number=99))

    assert story.broken() == []


def is_of_a(fact: Fact) -> TypeGuard[Write]:
    return isinstance(fact, Write) and fact.by == "a"


def test_an_unknown_write_that_was_applied(story: Story) -> None:
    """It is in the chain if a later reader found its value; one that was not applied does not matter."""
    story.insert()
    story.run("a")
    story.facts = [replace(fact, answer="none", after_version=None) if is_of_a(fact) else fact for fact in story.facts]
    never = next(fact for fact in story.facts if is_of_a(fact))
    story.facts.append(replace(never, by="b", after=replace(story.job, error="never applied")))

    assert story.broken() == []


def test_facts_are_read_back_as_they_were_written(story: Story, tmp_path: Path) -> None:
    """Every kind of fact, jobs with their history included."""
    story.insert(payload={"seconds": 1})
    story.run("a", "failed", error="boom")
    story.report("a", jobs_executed=1, jobs_retried=1)
    note = to_file(tmp_path / "evidence")

    for fact in story.facts:
        note(fact)

    assert from_file(tmp_path / "evidence") == story.facts


def test_a_line_without_an_end_is_not_read(tmp_path: Path) -> None:
    """A round reads the evidence while processes still write it."""
    fact = Began(by="tick", key="job@now", clock=START)
    to_file(tmp_path / "evidence")(fact)
    with (tmp_path / "evidence").open("a") as evidence:
        evidence.write('{"kind": "Beg')

    assert from_file(tmp_path / "evidence") == [fact]


# -- bad stories -------------------------------------------------------------------------------------------------------


def two_winners(story: Story) -> None:
    story.run("a")
    won = [fact for fact in story.facts if isinstance(fact, Write) and fact.answer == "won"][-1]
    story.facts.append(replace(won, by="b", number=99, after_version="99"))


def a_lost_write(story: Story) -> None:
    story.run("a")
    won = [fact for fact in story.facts if isinstance(fact, Write) and fact.answer == "won"][-1]
    assert won.before is not None
    story.store.jobs["job"] = replace(won.before, version=won.before_version, status=Status.CANCELLED, ready_at=None)


def a_write_from_nowhere(story: Story) -> None:
    story.run("a")
    won = [fact for fact in story.facts if isinstance(fact, Write) and fact.answer == "won"][-1]
    story.facts.append(replace(won, by="b", number=99, before_version="98", after_version="99"))


def a_lost_job(story: Story) -> None:
    del story.store.jobs["job"]


def claimed_under_a_lease(story: Story) -> None:
    story.claim("a")
    story.now += 59 * SECOND
    story.write("b", replace(story.job.claim(now=story.now + SECOND, token="b", lease=MINUTE, retention=DAY)))
    story.finish("b", error="given up: by hand", final=True)


def claimed_before_its_time(story: Story) -> None:
    story.write(PEOPLE, replace(story.job, ready_at=START + MINUTE, schedule_at=START + MINUTE))
    story.write("a", story.job.claim(now=START + MINUTE, token="a", lease=MINUTE, retention=DAY))
    story.finish("a", error="given up: by hand", final=True)


def claimed_from_a_dead_holder_that_is_not_counted(story: Story) -> None:
    story.claim("a")
    story.now += MINUTE
    after = story.job.claim(now=story.now, token="b", lease=MINUTE, retention=DAY)
    story.write("b", replace(after, reclaims=0))
    story.begin("b")
    story.end("b")
    story.finish("b")


def claimed_while_paused(story: Story) -> None:
    story.claim("a")
    story.write(PEOPLE, story.job.pause(now=story.now))
    story.write("a", replace(story.job, ready_at=story.now))
    story.now += MINUTE
    story.run("b")


def claimed_after_a_cancel(story: Story) -> None:
    story.write(PEOPLE, story.job.cancel(now=story.now, retention=DAY))
    story.write("a", replace(story.job, ready_at=story.now, lease_token="a"))
    story.store.jobs["job"] = replace(story.job, ready_at=None)


def finished_by_another(story: Story) -> None:
    story.claim("a")
    story.begin("b")
    story.end("b")
    story.finish("b")


def woken_from_a_pause(story: Story) -> None:
    story.claim("a")
    story.write(PEOPLE, story.job.pause(now=story.now))
    story.begin("a")
    story.end("a", "failed")
    story.write("a", replace(story.job, status=Status.RUNNING))
    story.finish("a", error="boom", final=True)


def ran_twice_under_one_claim(story: Story) -> None:
    story.claim("a")
    story.begin("a")
    story.begin("a")
    story.end("a")
    story.finish("a")


def ran_without_a_claim(story: Story) -> None:
    story.begin("b")
    story.run("a")


def began_after_its_lease(story: Story) -> None:
    story.claim("a")
    story.now += MINUTE
    story.begin("a")
    story.end("a")
    story.finish("a")


def began_while_another_was_at_work(story: Story) -> None:
    story.claim("a")
    story.begin("a")
    key = story.job.execution_key
    story.finish("a", error="boom")
    story.now += 2 * MINUTE
    story.run("b")
    story.end("a", "failed", key=key)


def completed_without_a_run(story: Story) -> None:
    story.claim("a")
    story.finish("a")


def failed_against_its_handler(story: Story) -> None:
    story.run("a", "completed", error="boom", final=True)


def completed_and_failed(story: Story) -> None:
    story.run("a")
    entry = Run(schedule_at=START, outcome=RunOutcome.FAILED, error="given up: 5 holders died")
    story.write("a", replace(story.job, recent_runs=(*story.job.recent_runs, entry)))


def tried_too_often(story: Story) -> None:
    story.claim("a")
    story.begin("a")
    story.end("a", "failed")
    story.write("a", replace(story.job, attempts=5))
    story.finish("a", error="boom", final=True)


def lost_its_result(story: Story) -> None:
    story.claim("a")
    story.begin("a")
    story.end("a")
    story.report("a", jobs_executed=1, jobs_lost=1)
    story.write(PEOPLE, story.job.cancel(now=story.now, retention=DAY))


def left_one_out(story: Story) -> None:
    story.write(PEOPLE, replace(story.job, cron="* * * * *", timezone="UTC"))
    story.run("a")
    story.write("a", replace(story.job, schedule_at=START + 5 * MINUTE, ready_at=START + 5 * MINUTE))


def changed_its_key(story: Story) -> None:
    story.run("a", "later", error="later", later=SECOND)
    story.now += MINUTE
    story.write(PEOPLE, replace(story.job, schedule_at=story.now, ready_at=story.now))
    story.run("b")


def merged_an_extra_run(story: Story) -> None:
    story.write(PEOPLE, replace(story.job, cron="* * * * *", timezone="UTC"))
    story.write(PEOPLE, story.job.run(now=START - SECOND))
    story.write("a", replace(story.job, schedule_at=START, ready_at=START, regular_at=None))


def lost_the_regular_run(story: Story) -> None:
    story.write(PEOPLE, replace(story.job, cron="* * * * *", timezone="UTC"))
    story.write(PEOPLE, replace(story.job.run(now=START - SECOND), regular_at=START + MINUTE))


def skipped_after_an_extra_run(story: Story) -> None:
    story.write(PEOPLE, replace(story.job, cron="* * * * *", timezone="UTC"))
    story.write(PEOPLE, story.job.run(now=START - SECOND))
    story.run("a")
    story.facts = [
        replace(fact, after=replace(fact.after, schedule_at=START + MINUTE))
        if isinstance(fact, Write) and fact.after and fact.after.status is Status.PENDING and fact.by == "a"
        else fact
        for fact in story.facts
    ]


def went_back(story: Story) -> None:
    story.write(PEOPLE, replace(story.job, cron="* * * * *", timezone="UTC"))
    story.run("a")
    story.write("a", replace(story.job, schedule_at=START, ready_at=START))


def still_due(story: Story) -> None:
    story.write(PEOPLE, replace(story.job, cron="* * * * *", timezone="UTC"))


def still_waiting(story: Story) -> None:
    story.run("a", "failed", error="boom")


def miscounted_runs(story: Story) -> None:
    story.run("a")
    story.report("a", jobs_executed=2, jobs_succeeded=1, jobs_lost=1)


def miscounted_results(story: Story) -> None:
    story.run("a")
    story.report("a", jobs_executed=1, jobs_retried=1, jobs_lost=1)


@pytest.mark.parametrize(
    ("tell", "says"),
    [
        (two_winners, "2 writes replaced version"),
        (a_lost_write, "the store holds version 2, the last known write made 3"),
        (a_write_from_nowhere, "a write of b was won, and is lost"),
        (a_lost_job, "the store holds version None"),
        (claimed_under_a_lease, "b claimed it at 2026-11-21T09:00:59Z, leased until"),
        (claimed_before_its_time, "a claimed it at 2026-11-21T09:00:00Z, ready at"),
        (claimed_from_a_dead_holder_that_is_not_counted, "a dead holder that is not counted"),
        (claimed_while_paused, "although it was paused"),
        (claimed_after_a_cancel, "although it was cancelled"),
        (finished_by_another, "b changed it while a was its holder"),
        (woken_from_a_pause, "a made it running, a person had it paused"),
        (ran_twice_under_one_claim, "a ran it 2 times"),
        (ran_without_a_claim, "b ran it without a claim"),
        (began_after_its_lease, "after its lease"),
        (began_while_another_was_at_work, "b began it while a was at work"),
        (completed_without_a_run, "recorded it as completed, its handler says None"),
        (failed_against_its_handler, "recorded failed, its handler says completed"),
        (completed_and_failed, "it ended twice, the second time failed"),
        (tried_too_often, "6 attempts"),
        (lost_its_result, "its outcome under a is lost"),
        (left_one_out, "2026-11-21T09:02:00Z: a left it out"),
        (changed_its_key, "people moved on, and it has not ended (later)"),
        (merged_an_extra_run, "a moved on, and nothing is recorded of it"),
        (lost_the_regular_run, "people asked for an extra run, and lost the regular one"),
        (skipped_after_an_extra_run, "a ended an extra run, and went on at 2026-11-21T09:01:00Z"),
        (went_back, "a went back to 2026-11-21T09:00:00Z"),
        (still_due, "it is still due"),
        (still_waiting, "it still waits"),
        (miscounted_runs, "2 executed, 1 handlers began"),
        (miscounted_results, "jobs_retried 1, 0 in the store"),
    ],
)
def test_a_broken_promise_is_found(story: Story, tell: Callable[[Story], None], says: str) -> None:
    """Each rule has a story that breaks it."""
    story.insert()

    tell(story)

    assert any(says in line for line in story.broken()), story.broken()


# -- the history beside the jobs ---------------------------------------------------------------------------------------


def told(story: Story) -> list[Entry]:
    """Return the history as a store keeps it."""
    pairs = [(fact.before, fact.after) for fact in story.facts if isinstance(fact, Write) and fact.answer == "won"]
    return [entry for before, after in pairs if before and after for entry in entries(before, after, kept=DAY)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda found: found, [], id="as-it-is"),
        pytest.param(lambda found: found[1:], ["1 entries of the history are missing"], id="one-missing"),
        pytest.param(
            lambda found: [*found, found[0]],
            ["1 entries of the history are too many", "it is 2 times in the history"],
            id="one-twice",
        ),
        pytest.param(
            lambda found: [replace(found[0], run=replace(found[0].run, error="another word")), *found[1:]],
            ["1 entries of the history are missing", "1 entries of the history are too many"],
            id="the-word-of-another",
        ),
    ],
)
def test_each_run_has_one_entry_in_the_history(
    story: Story, spoil: Callable[[list[Entry]], list[Entry]], says: list[str]
) -> None:
    """A death and the run that followed are two; one less, one more or a different one is a broken promise."""
    story.insert()
    story.claim("a")
    story.now += DAY
    story.run("b")

    broken = violations(story.facts, story.store.jobs, story.now, spoil(told(story)))

    assert len(told(story)) == 2
    assert [bool([line for line in broken if each in line]) for each in says] == [True] * len(says)
    assert bool(broken) == bool(says)
