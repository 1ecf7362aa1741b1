"""The command line on Firestore: what only a real collection can show."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from google.cloud import firestore

from shared.model.job import Job
from shared.model.value import Status
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Store
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session

pytestmark = pytest.mark.emulator

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Collection:
    """A collection of the emulator, as a person and as the command line see it."""

    client: firestore.Client
    name: str
    now: datetime
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = FirestoreStore(self.client, self.name)

    def put(self, **documents: Mapping[str, Any]) -> None:
        """Write documents unchanged."""
        for job_id, document in documents.items():
            self.client.collection(self.name).document(job_id).set(dict(document), retry=None, timeout=10)

    def document(self, job_id: str) -> dict[str, Any] | None:
        """Read a document unchanged."""
        return self.client.collection(self.name).document(job_id).get(retry=None, timeout=10).to_dict()

    def versions(self) -> dict[str, Any]:
        """Return when each document was last written."""
        found = self.client.collection(self.name).get(retry=None, timeout=10)
        return {document.id: document.update_time for document in found}

    def job(self, job_id: str) -> Job:
        """Read a job."""
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job), job
        return job

    def run(self, *args: str) -> Result:
        """Call `watchkeeper` in this process."""
        session = Session(env={"SCHEDULER_STORAGE": "firestore"}, clock=lambda: self.now, user="ada")
        vars(session)["store"] = self.store
        return CliRunner().invoke(watchkeeper, args, obj=session)


@pytest.fixture
def collection(firestore_client: firestore.Client, now: datetime) -> Collection:
    """An empty collection."""
    return Collection(firestore_client, f"cli-{os.urandom(8).hex()}", now)


def former(job_id: str, **fields: Any) -> dict[str, Any]:
    """Return a document of the former system."""
    return {
        "id": job_id,
        "job_type": "log",
        "schedule_at": "2026-11-20T09:00:00",
        "payload": {"message": "hello", "list": [1, {"a": None}]},
        "status": "pending",
        "created_at": "2026-10-01T08:30:00",
        "attempts": 0,
        "max_attempts": 3,
        "owner": {"team": "a"},
        **fields,
    }


def test_former_documents_are_upgraded_in_place(collection: Collection, now: datetime) -> None:
    """ISO text and timestamps become times, a holder that is gone is removed, foreign fields stay."""
    collection.put(
        waiting=former("waiting"),
        stamped=former("stamped", schedule_at=datetime(2026, 11, 20, 9, tzinfo=UTC), created_at=now),
        gone=former("gone", status="running", lease_until=now - timedelta(hours=1)),
        held=former("held", status="running", lease_until=now + timedelta(minutes=1)),
        done=former("done", status="completed"),
        odd=former("odd", status="odd"),
    )

    result = collection.run("jobs", "upgrade")

    assert result.exit_code == 1
    assert sorted(line.split(":")[1].strip() for line in result.stderr.splitlines()[:-1]) == ["job held", "job odd"]
    for job_id in ("waiting", "stamped", "gone"):
        job = collection.job(job_id)
        assert (job.status, job.ready_at) == (Status.PENDING, datetime(2026, 11, 20, 9, tzinfo=UTC))
        assert (job.extra, job.lease_until) == ({"owner": {"team": "a"}}, None)
        assert job.payload == {"message": "hello", "list": [1, {"a": None}]}
    assert collection.job("done").expire_at == now + timedelta(days=30)
    assert collection.document("odd") == former("odd", status="odd")


def test_an_upgraded_job_runs_in_the_next_tick(collection: Collection) -> None:
    """No tick sees the document before the upgrade; the next one does afterwards."""
    collection.put(waiting=former("waiting"))
    due_before = collection.store.due(collection.now)

    collection.run("jobs", "upgrade")

    assert due_before == []
    assert [job.id for job in collection.store.due(collection.now)] == ["waiting"]


def test_a_shadow_run_only_reads(collection: Collection, now: datetime) -> None:
    """It shows, in the order of time, what a tick sees only after the upgrade; every document keeps its version."""
    collection.put(
        soon=former("soon", schedule_at="2026-11-21T09:20:00"),
        stamped=former("stamped", schedule_at=now, created_at=now),
        gone=former("gone", status="running", lease_until=now - timedelta(hours=1)),
        held=former("held", status="running", lease_until=now + timedelta(minutes=1)),
        later=former("later", schedule_at="2026-11-21T10:00:01"),
        done=former("done", status="completed"),
    )
    before = collection.versions()

    result = collection.run("tick", "--dry-run")

    after = collection.versions()
    collection.run("jobs", "upgrade")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "gone", "stamped", "soon"]
    assert "not imported: job held: it is still running" in result.stderr
    assert after == before
    assert collection.run("tick", "--dry-run").stdout == result.stdout


def test_an_import_takes_more_jobs_than_one_call(collection: Collection, tmp_path: Path) -> None:
    """1,100 jobs in one import, none twice; only a value that Firestore cannot store is named."""
    jobs = [former(f"job-{number}") for number in range(1100)]
    jobs[700]["owner"] = [[1]]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))

    first = collection.run("jobs", "import", str(tmp_path / "jobs.json"))
    second = collection.run("jobs", "import", str(tmp_path / "jobs.json"))

    assert (first.exit_code, second.exit_code) == (1, 1)
    assert first.stdout.splitlines()[1].split() == ["pending", "pending", "1099"]
    assert first.stderr.startswith("not imported: object 701, job 'job-700': the store cannot hold it")
    assert second.stdout.splitlines()[1].split() == ["exists", "already,", "unchanged", "1099"]


def test_an_export_keeps_the_form_of_the_json_file(collection: Collection, tmp_path: Path) -> None:
    """The payload, stored as text, is an object again; a quarantined document is written unchanged."""
    collection.run("jobs", "add", "log", "--id", "job", "--payload", '{"message": "hello", "nested": [[1]]}')
    collection.put(odd=former("odd", status="odd", seen=datetime(2026, 11, 20, 9, tzinfo=UTC)))

    job, odd = json.loads(collection.run("jobs", "export").stdout)

    assert job["payload"] == {"message": "hello", "nested": [[1]]}
    assert odd == former("odd", status="odd", seen="2026-11-20T09:00:00Z")


@pytest.mark.parametrize("job_id", ["a/b", "a/b/c", "", ".", "__x__"])
def test_an_impossible_id_is_unknown(collection: Collection, job_id: str) -> None:
    """An id that Firestore refuses is unknown, and not an error of the store."""
    result = collection.run("jobs", "show", job_id)

    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert "Firestore cannot be read" not in result.stderr


def test_an_id_with_slashes_reaches_no_other_document(collection: Collection) -> None:
    """A document in a subcollection of a job is not deleted for a job."""
    below = collection.client.collection(collection.name).document("job").collection("notes").document("note")
    below.set({"text": "precious"}, retry=None, timeout=10)

    result = collection.run("jobs", "delete", "job/notes/note", "--yes")

    assert result.exit_code == 1
    assert below.get(retry=None, timeout=10).exists


def test_the_command_opens_the_configured_store(firestore_emulator: str, tmp_path: Path) -> None:
    """In its own process, with nothing but its environment: a job is added, run and listed."""
    env = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "FIRESTORE_EMULATOR_HOST": firestore_emulator,
        "SCHEDULER_STORAGE": "firestore",
        "SCHEDULER_COLLECTION": f"cli-{os.urandom(8).hex()}",
        "GOOGLE_CLOUD_PROJECT": "test",
    }

    def run(*args: str) -> str:
        program = [sys.executable, "-c", "from watchkeeper.cli.main import main; main()", *args]
        return subprocess.run(program, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    run("jobs", "add", "log", "--id", "job", "--payload", '{"message": "hello"}')
    metrics = json.loads(run("tick", "--json"))
    (job,) = json.loads(run("jobs", "list", "--json"))

    assert metrics["jobs_succeeded"] == 1
    assert (job["id"], job["status"]) == ("job", "completed")
    assert "wrong" not in run("doctor")
