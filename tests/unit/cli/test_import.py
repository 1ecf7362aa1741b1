"""`jobs import` takes over the jobs of a file."""

import gc
from collections.abc import Callable, Collection, Sequence
from threading import Barrier, Event

import pytest

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Change, Lost, Outcome, Unknown, Won
from tests.support.command_line import JobFactory, ScriptedStore, Terminal, former


def test_an_import_reports_by_status(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """The result of each status, how many jobs are overdue and by how much, and which have no handler."""
    path = jobs_json(
        former("a"),
        former("b", schedule_at="2026-11-21T06:00:00"),
        former("c", status="running"),
        former("d", status="completed"),
        former("e", job_type="digest"),
        former("f", schedule_at="2026-12-01T00:00:00"),
    )

    result = run("jobs", "import", path)

    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[:5]] == [
        ["WAS", "IS", "NOW", "JOBS"],
        ["completed", "completed", "1"],
        ["pending", "paused", "1"],
        ["pending", "pending", "3"],
        ["running", "pending", "1"],
    ]
    assert "Overdue: 3, by 3 h to 24 h" in result.stdout
    assert "No handler for digest: 1 paused" in result.stdout
    assert run.job("e").status is Status.PAUSED


def test_an_import_can_be_repeated(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """The second time everything exists; later changes to a job are not undone."""
    path = jobs_json(former("a"), former("b"))
    run("jobs", "import", path)
    run("jobs", "cancel", "a")

    result = run("jobs", "import", path)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == ["exists", "already,", "unchanged", "2"]
    assert run.job("a").status is Status.CANCELLED


def test_an_import_names_what_it_refuses_and_imports_the_rest(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """By position, id and reason, with exit code 1; a job with a lease in force cannot be imported."""
    path = jobs_json(
        former("a"),
        former("a"),
        former("b", status="odd"),
        former("c", status="running", lease_until="2026-11-21T09:01:00"),
        "d",
        former("e"),
    )

    result = run("jobs", "import", path)

    assert result.exit_code == 1
    assert [line.partition(": ")[2] for line in result.stderr.splitlines()] == [
        "object 2, job 'a': its id is that of object 1",
        "object 3, job 'b': status is 'odd', not one of pending, running, paused, completed, failed, cancelled",
        "object 4, job 'c': it is still running, under a lease until 2026-11-21T09:01:00Z; repeat this after that run",
        "object 5: it is not an object, but 'd'",
        "4 of 6 were not imported; see the reasons above",
    ]
    assert sorted(run.store.get(["a", "b", "c", "e"])) == ["a", "e"]


def test_an_id_of_another_document_cannot_be_imported(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """No list would show the job; a subscription has such an id."""
    path = jobs_json(
        former("watchkeeper:doctor"),
        former("subscription:gmail:a"),
        former("subscription:gmail:b", job_type="subscription_check"),
    )

    result = run("jobs", "import", path)

    assert result.exit_code == 1
    assert "begin with watchkeeper: are reserved" in result.stderr
    assert "begin with subscription: are reserved" in result.stderr
    assert list(run.store.get(["watchkeeper:doctor", "subscription:gmail:a", "subscription:gmail:b"])) == [
        "subscription:gmail:b"
    ]


def test_text_that_no_store_can_hold_does_not_stop_an_import(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """Half a character in one object: the other jobs are imported, without a traceback."""
    path = jobs_json(former("bad", note="\ud800"), former("good"))

    result = run("jobs", "import", path)

    assert isinstance(result.exception, SystemExit | None)
    assert run.job("good").status is Status.PENDING


def test_a_dry_run_of_an_import_only_reads(
    run: Terminal, jobs_json: Callable[..., str], job_factory: JobFactory
) -> None:
    """It prints what the import would and writes nothing."""
    run.put(job_factory("a"))
    before = run.path.read_bytes()
    path = jobs_json(former("a"), former("b"), former("c", status="odd"))

    rehearsed = run("jobs", "import", path, "--dry-run")
    after = run.path.read_bytes()
    done = run("jobs", "import", path)

    assert before == after
    assert rehearsed.stdout == done.stdout + "This was a dry run: nothing was written.\n"
    assert (rehearsed.stderr, rehearsed.exit_code) == (done.stderr, done.exit_code)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        pytest.param("", 1, "error: - is not JSON", id="empty"),
        pytest.param("{", 1, "error: - is not JSON", id="broken"),
        pytest.param("[" * 100_000, 1, "error: - is not JSON", id="too-deep"),
        pytest.param('{"counter": 0}', 1, "error: - is JSON, but not a list of jobs", id="no-list"),
        pytest.param("[]", 0, "- holds no jobs", id="no-jobs"),
        pytest.param("\ufeff[]", 0, "- holds no jobs", id="byte-order-mark"),
    ],
)
def test_a_file_without_a_list_of_jobs_is_one_error(run: Terminal, text: str, code: int, says: str) -> None:
    """One line, and nothing is stored."""
    gc.collect()  # or the deepest call of a parser collects what other tests left, and their finalizers print errors
    result = run("jobs", "import", "-", answer=text)

    assert result.exit_code == code
    assert result.output.startswith(says)
    assert result.output.count("\n") == 1
    assert not run.path.exists()


class MeetingStore(ScriptedStore):
    """A store that answers a swap only while another one is under way."""

    meeting = Barrier(2, timeout=10)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.meeting.wait()
        return super().swap(changes)


def test_an_import_into_firestore_makes_several_calls_at_once(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """Each has 500 jobs and none waits for the one before."""
    run.env["SCHEDULER_STORAGE"] = "firestore"
    run.fakes["store"] = store = MeetingStore(Lost())

    result = run("jobs", "import", jobs_json(*(former(f"job-{number}") for number in range(2 * PAGE))))

    assert result.exit_code == 0, result.output
    assert len(store.swapped) == 2 * PAGE


def test_an_import_ends_when_the_store_becomes_unreachable(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """It reports what was stored, and the error says to repeat the import for the rest."""
    run.fakes["store"] = ScriptedStore(Unknown("connection refused"))

    result = run("jobs", "import", jobs_json(former("a")))

    assert result.exit_code == 1
    assert result.stderr.startswith("error: could not store everything; repeat this for the rest: connection")


class UnreachableStore(ScriptedStore):
    """A store that cannot be read."""

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        raise StoreUnavailable(f"the store cannot be read: no answer about {', '.join(job_ids)}")


@pytest.mark.parametrize("option", [[], ["--dry-run"]], ids=["import", "dry-run"])
def test_an_import_into_an_unreachable_store_ends_before_the_first_write(
    run: Terminal, jobs_json: Callable[..., str], option: list[str]
) -> None:
    """A write would take twice as long to fail, and would have to be asked about."""
    run.fakes["store"] = store = UnreachableStore(Lost())

    result = run("jobs", "import", jobs_json(former("a"), former("b")), *option)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: the store cannot be read: no answer about a")
    assert store.swapped == []


class LeavingStore(ScriptedStore):
    """A store that fails the first call after the second has succeeded."""

    is_stored = Event()

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        if changes[0].job_id == "job-0":
            assert self.is_stored.wait(10)
            return super().swap(changes)
        self.is_stored.set()
        return [Won(change.after) for change in changes]


def test_an_import_that_ends_early_reports_all_that_was_stored(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """Whichever of the concurrent calls failed."""
    run.env["SCHEDULER_STORAGE"] = "firestore"
    run.fakes["store"] = LeavingStore(Unknown("connection refused"))

    result = run("jobs", "import", jobs_json(*(former(f"job-{number}") for number in range(2 * PAGE))))

    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].split()[-1] == str(PAGE)
    assert result.stderr.startswith("error: could not store everything; repeat this for the rest: connection")
