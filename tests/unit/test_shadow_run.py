"""`tick --dry-run` over the jobs of the former system: it shows what an import would do, and only reads."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import PAGE, Change, Outcome
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session

JobFactory = Callable[..., Job]


@dataclass
class ReadOnly:
    """A job store that records its reads and accepts no change."""

    store: JsonStore
    asked: list[str] = field(default_factory=list)

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        self.asked.append("due")
        return self.store.due(now, limit)

    def page(self, *, status: str | None = None, **where: Any) -> list[Job | Unreadable]:
        self.asked.append(f"page of {status}")
        return self.store.page(status=status, **where)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        raise AssertionError(f"a dry run writes {changes}")


@dataclass
class Shadow:
    """Calls the command line over one job file, at one time."""

    path: Path
    now: datetime

    def __call__(self, *args: str, path: Path | None = None, store: ReadOnly | None = None) -> Result:
        """Call `watchkeeper` with the arguments, on another job file or store if one is given."""
        session = Session(env={"SCHEDULER_JSON_PATH": str(path or self.path)}, clock=lambda: self.now, user="ada")
        if store is not None:
            vars(session)["store"] = store
        return CliRunner().invoke(watchkeeper, args, obj=session)

    def collection(self, *documents: dict[str, Any]) -> ReadOnly:
        """Return a store with these raw documents, as a collection of the former system has."""
        stored = {document["id"]: document for document in documents}
        self.path.write_text(json.dumps({"counter": 1, "jobs": stored, "versions": {}}))
        return ReadOnly(JsonStore(self.path, lambda: self.now))

    def folder(self) -> dict[str, tuple[int, bytes]]:
        """Return every file beside the jobs, with its modification time and content."""
        return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in self.path.parent.iterdir()}


@pytest.fixture
def shadow(tmp_path: Path, now: datetime) -> Shadow:
    """The command line, alone in its folder."""
    (tmp_path / "former").mkdir()
    return Shadow(tmp_path / "former" / "jobs.json", now)


def former(job_id: str, **fields: Any) -> dict[str, Any]:
    """Return an object as the former system wrote it, due two hours ago."""
    return {
        "id": job_id,
        "job_type": "log",
        "schedule_at": "2026-11-21T07:00:00",
        "payload": {"message": "hello"},
        "status": "pending",
        "created_at": "2026-10-01T08:30:00",
        "attempts": 0,
        "max_attempts": 3,
        **fields,
    }


FORMER = [
    former("soon", schedule_at="2026-11-21T09:20:00", attempts=1),
    former("late"),
    former("edge", schedule_at="2026-11-21T10:00:00"),
    former("later", schedule_at="2026-11-21T10:00:00.000001"),
    former("zoned", schedule_at="2026-11-21T10:05:00+01:00", cron="5 * * * *"),
    former("gone", status="running", schedule_at="2026-11-21T08:50:00", lease_until="2026-11-21T08:59:00"),
    former("held", status="running", lease_until="2026-11-21T09:01:00"),
    former("odd", payload=[1]),
    former("digest", job_type="digest"),
    former("paused", status="paused"),
    former("done", status="completed"),
]
DUE = ["late", "gone", "zoned", "soon", "edge"]


# -- a jobs.json -------------------------------------------------------------------------------------------------------


def test_a_former_file_is_shown_in_the_order_of_time(shadow: Shadow) -> None:
    """What is due now and within the hour (included), with lateness; the last line counts what was read."""
    shadow.path.write_text(json.dumps(FORMER))

    result = shadow("tick", "--dry-run")

    rows = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert result.exit_code == 0
    assert list(rows) == ["ID", *DUE]
    assert rows["late"].split(maxsplit=2)[2] == "2 h late     2026-11-21 07:00:00Z"
    assert "in 20 min " in rows["soon"]
    assert rows["soon"].endswith("attempt 2 of 3")
    assert result.stderr.splitlines()[-1] == (
        "Checked: 11, as `watchkeeper jobs import` would convert them; until then no tick runs them."
    )


@pytest.mark.parametrize("args", [["tick", "--dry-run"], ["tick", "--dry-run", "--json"], ["tick"]])
def test_a_dry_run_over_a_former_file_writes_nothing(shadow: Shadow, args: Sequence[str]) -> None:
    """No byte of it, no lock file, no temporary file, no new store; a real tick refuses such a file."""
    shadow.path.write_text(json.dumps(FORMER))
    before = shadow.folder()

    result = shadow(*args)

    assert result.exit_code == (0 if "--dry-run" in args else 1)
    assert shadow.folder() == before


def test_a_refused_document_is_named_as_by_an_import(shadow: Shadow, tmp_path: Path) -> None:
    """By position, id and reason, and the types without a handler; that is not a failure."""
    shadow.path.write_text(json.dumps([*FORMER, former("late"), "no object"]))
    rehearsed = shadow("jobs", "import", str(shadow.path), "--dry-run", path=tmp_path / "none.json")

    result = shadow("tick", "--dry-run")

    refused = [line for line in result.stderr.splitlines() if line.startswith("not imported: ")]
    assert refused == rehearsed.stderr.splitlines()[:-1]
    assert [line.split(",")[0] for line in refused] == [
        "not imported: object 7",
        "not imported: object 8",
        "not imported: object 12",
        "not imported: object 13: it is not an object",
    ]
    assert "No handler for digest: 1 paused" in result.stderr


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_it_shows_what_is_due_after_an_import(shadow: Shadow, tmp_path: Path, form: Sequence[str]) -> None:
    """The same table and the same job objects as over a store that has imported the file."""
    shadow.path.write_text(json.dumps(FORMER))
    shadow("jobs", "import", str(shadow.path), path=tmp_path / "store.json")

    result = shadow("tick", "--dry-run", *form)

    assert result.stdout == shadow("tick", "--dry-run", *form, path=tmp_path / "store.json").stdout
    assert all(job_id in result.stdout for job_id in DUE)


def test_a_missing_file_is_named(shadow: Shadow) -> None:
    """A misspelt path is not taken for a system without jobs."""
    result = shadow("tick", "--dry-run")

    assert result.stdout == "Nothing is due now, or within the next hour.\n"
    assert f"there is no job file {shadow.path}" in result.stderr


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        pytest.param("[]", 0, "Nothing is due now, or within the next hour.\nChecked: 0", id="no-jobs"),
        pytest.param("[", 1, "is not JSON", id="broken"),
        pytest.param('{"jobs": []}', 1, "is not a file of this store", id="other"),
    ],
)
def test_a_file_of_ours_is_read_as_before(shadow: Shadow, text: str, code: int, says: str) -> None:
    """Only a list is the former system's file; any other is an error with its reason."""
    shadow.path.write_text(text)

    result = shadow("tick", "--dry-run")

    assert (result.exit_code, says in result.output) == (code, True)


# -- a collection ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_it_shows_what_is_due_after_an_upgrade(shadow: Shadow, form: Sequence[str]) -> None:
    """The same as after an upgrade of the former documents, which no tick sees; nothing is written."""
    store = shadow.collection(*FORMER)
    before = shadow.folder()

    result = shadow("tick", "--dry-run", *form, store=store)

    unchanged = shadow.folder() == before
    shadow("jobs", "upgrade")
    assert unchanged
    assert result.stdout == shadow("tick", "--dry-run", *form).stdout
    assert all(job_id in result.stdout for job_id in DUE)


def test_documents_that_cannot_be_converted_are_named(shadow: Shadow) -> None:
    """With the reason; finished and paused ones are not even read."""
    store = shadow.collection(*FORMER)

    result = shadow("tick", "--dry-run", store=store)

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "not imported: job odd: payload is 'list'; it must be an object",
        "not imported: job held: it is still running, under a lease until 2026-11-21T09:01:00Z; "
        "repeat this after that run",
        "No handler for digest: 1 paused; add one in agent/handlers.py, or name its module in JOB_HANDLERS, "
        "then `watchkeeper jobs resume ID...`",
        "Checked: 9, as `watchkeeper jobs upgrade` would convert them; until then no tick runs them.",
    ]
    assert store.asked == ["due", "page of pending", "page of running"]


def test_a_collection_with_due_jobs_costs_one_query(shadow: Shadow, job_factory: JobFactory) -> None:
    """If a tick would find jobs, former documents are not read."""
    store = shadow.collection(former("former"))
    store.store.swap([Change(None, job_factory("present"))])

    result = shadow("tick", "--dry-run", store=store)

    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "present"]
    assert (result.stderr, store.asked) == ("", ["due"])


def test_a_collection_of_ours_is_not_taken_for_the_former_one(shadow: Shadow, job_factory: JobFactory) -> None:
    """If only later jobs wait, nothing is due."""
    store = shadow.collection()
    store.store.swap([Change(None, job_factory("later", at=shadow.now + timedelta(hours=2)))])

    result = shadow("tick", "--dry-run", store=store)

    assert result.stdout == "Nothing is due now, or within the next hour.\n"
    assert result.stderr == ""
