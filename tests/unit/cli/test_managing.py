"""The commands that change jobs: pause, resume, run, retry, cancel, release and delete."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.model.history import Result as RunResult
from shared.model.value import Status
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Outcome
from tests.support.command_line import HELLO, HOUR, JobFactory, Terminal


def test_all_failed_jobs_of_a_type_are_retried(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """No id is needed after a service is repaired; other types and states do not change."""
    failed = RunResult(started_at=now, ended_at=now, by="schedule", error="boom", final=True)
    run.put(
        *(
            job_factory(job_id, job_type)
            .claim(now=now, token="t", lease=HOUR, retention=HOUR)
            .finish(failed, retention=HOUR)
            for job_id, job_type in [("a", "digest"), ("b", "log"), ("c", "digest")]
        ),
        job_factory("d", "digest"),
    )

    result = run("jobs", "retry", "--all", "--type", "digest")

    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["job a: pending", "job c: pending"]
    assert run.job("b").status is Status.FAILED
    assert run("jobs", "retry", "--all", "--type", "digest").stdout == "No failed jobs of type digest found.\n"
    assert run("jobs", "retry").exit_code == run("jobs", "retry", "--type", "log").exit_code == 2
    assert run("jobs", "retry", "b", "--all").exit_code == 2


def test_a_command_shows_the_new_state_of_each_job(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """Pause, resume, run and cancel record the caller's name."""
    run.put(job_factory(at=now + timedelta(hours=2)))

    answers = [run("jobs", verb, "job").stdout for verb in ("pause", "resume", "run", "cancel")]

    assert answers == [
        "job job: paused\n",
        "job job: pending, 2026-11-21 11:00:00Z (in 2 h)\n",
        "job job: pending, 2026-11-21 09:00:00Z (now)\n",
        "job job: cancelled\n",
    ]
    assert run.job().updated_by == "cli:ada"


@pytest.mark.parametrize(
    ("verb", "says"), [("pause", "already paused"), ("resume", "already pending, "), ("cancel", "already cancelled")]
)
def test_a_repeated_command_is_not_an_error(run: Terminal, job_factory: JobFactory, verb: str, says: str) -> None:
    """The job already has the state, and the output says since when."""
    run.put(job_factory(at=run.at + HOUR))
    run("jobs", "pause", "job")
    run("jobs", verb, "job")
    before = run.job()
    run.at += timedelta(minutes=1)

    result = run("jobs", verb, "job")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"job job: {says}")
    assert run.job() == before


def test_a_stuck_lease_is_released(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """A running job can be cancelled but not deleted; release makes it ready again."""
    run.put(job_factory().claim(now=now, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1)))

    refused = run("jobs", "delete", "job", "--yes")
    released = run("jobs", "release", "job")

    assert "has been running since 2026-11-21T09:00:00Z" in refused.stderr
    assert released.stdout == "job job: pending, 2026-11-21 09:00:00Z (now)\n"


def test_a_failed_job_is_tried_again(run: Terminal, job_factory: JobFactory) -> None:
    """Retry makes it ready and resets its attempts."""
    run.put(replace(job_factory(), status=Status.FAILED, ready_at=None, attempts=3))

    run("jobs", "retry", "job")

    assert (run.job().status, run.job().attempts) == (Status.PENDING, 0)


class CountingStore(JsonStore):
    """A store that counts its writes."""

    writes = 0

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.writes += 1
        return super().swap(changes)


@pytest.mark.parametrize("verb", ["pause", "run", "cancel", "delete"])
def test_many_jobs_are_changed_in_one_write(run: Terminal, job_factory: JobFactory, verb: str) -> None:
    """Writing a file of 5,000 jobs once for each of 200 took minutes."""
    run.put(*(job_factory(f"job-{number}", at=run.at + HOUR) for number in range(20)))
    run.fakes["store"] = store = CountingStore(run.path, lambda: run.at)

    result = run("jobs", verb, *(f"job-{number}" for number in range(20)), *["--yes"] * (verb == "delete"))

    assert len(result.stdout.splitlines()) == 20
    assert store.writes == 1


def test_a_command_continues_after_a_refusal(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """Each id is reported; the exit code says that one failed."""
    run.put(job_factory("a"), job_factory("b").cancel(now=now, retention=timedelta(days=1)), job_factory("c"))

    result = run("jobs", "pause", "a", "b", "nowhere", "c")

    assert result.exit_code == 1
    assert result.stdout == "job a: paused\njob c: paused\n"
    assert "job b is cancelled" in result.stderr
    assert "there is no job nowhere" in result.stderr


@pytest.mark.parametrize(
    ("args", "answer", "code", "is_deleted"),
    [
        pytest.param(["--yes"], None, 0, True, id="not-asked"),
        pytest.param([], "y\n", 0, True, id="yes"),
        pytest.param([], "n\n", 1, False, id="no"),
        pytest.param([], "", 1, False, id="nobody-there"),
    ],
)
def test_a_delete_asks_first(
    run: Terminal, job_factory: JobFactory, args: Sequence[str], answer: str | None, code: int, is_deleted: bool
) -> None:
    """Nothing is deleted without a yes."""
    run.put(job_factory())

    result = run("jobs", "delete", "job", *args, answer=answer)

    assert result.exit_code == code
    assert (run.store.get(["job"]) == {}) is is_deleted


def test_a_job_can_be_stopped_where_its_handler_cannot_be_imported(run: Terminal, job_factory: JobFactory) -> None:
    """Listing and stopping jobs needs no handlers; adding one does, and names the broken module."""
    run.env["JOB_HANDLERS"] = "no_such_module"
    run.put(job_factory())

    assert run("jobs", "cancel", "job").exit_code == 0
    assert run("jobs", "list").exit_code == 0
    assert "no_such_module" in run("jobs", "add", "log", "--payload", HELLO).stderr
