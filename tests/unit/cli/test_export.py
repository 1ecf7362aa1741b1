"""`jobs export` writes a file that can be imported again."""

import json
import os
import stat
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.command_line import HOUR, JobFactory, Terminal, former


def test_an_export_can_be_imported_again(run: Terminal, job_factory: JobFactory, now: datetime, tmp_path: Path) -> None:
    """Jobs, subscriptions, history, foreign fields and quarantined documents survive the round trip."""
    run.put(
        replace(job_factory("a", cron="@daily", by="ada"), extra={"owner": [1]}),
        job_factory("b").pause(now=now),
        job_factory("subscription:gmail:ada@example.com", "subscription_check"),
    )
    exported = run("jobs", "export", str(tmp_path / "backup.json"))
    elsewhere = Terminal(path=tmp_path / "elsewhere.json", at=now)

    imported = elsewhere("jobs", "import", str(tmp_path / "backup.json"))

    assert exported.stdout == f"{tmp_path / 'backup.json'} holds 3 jobs.\n"
    assert imported.exit_code == 0
    assert elsewhere.store.page() == run.store.page()


def test_an_export_holds_unreadable_documents(run: Terminal) -> None:
    """Unchanged, under its stored id, with a note on stderr."""
    document = former("other", status="odd")
    run.put_raw(bad=document)

    result = run("jobs", "export")

    assert json.loads(result.stdout) == [{**document, "id": "bad"}]
    assert "1 cannot be read" in result.stderr


def test_a_hyphen_exports_to_standard_output(run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it means standard input for an import; no file of that name is written."""
    monkeypatch.chdir(tmp_path)

    result = run("jobs", "export", "-")

    assert json.loads(result.stdout) == []
    assert not (tmp_path / "-").exists()


def test_an_export_holds_all_of_a_job(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """It includes the holder's token: a backup that is restored during a run must still know who finishes it."""
    job = job_factory().claim(now=now, token="t0ken", lease=HOUR, retention=HOUR)
    run.put(job)

    (exported,) = json.loads(run("jobs", "export", "-").stdout)

    assert exported["lease_token"] == "t0ken"


def test_an_export_overwrites_a_file_only_with_force(run: Terminal, job_factory: JobFactory, tmp_path: Path) -> None:
    """Without --force an existing file does not change; with it the file is replaced, and nothing is left beside it."""
    run.put(job_factory())
    backup = tmp_path / "backup.json"
    backup.write_text("precious")

    refused, kept = run("jobs", "export", str(backup)), backup.read_text()
    forced = run("jobs", "export", str(backup), "--force")

    assert (refused.exit_code, kept, forced.exit_code) == (1, "precious", 0)
    assert json.loads(backup.read_text())[0]["id"] == "job"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.json", "jobs.json", "jobs.json.lock"]


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_only_the_owner_can_read_an_export(run: Terminal, job_factory: JobFactory, tmp_path: Path, mask: int) -> None:
    """Payloads may hold secrets: a file that others could read loses those rights, and no planted link is followed."""
    run.put(job_factory("a"))
    backup, precious = tmp_path / "backup.json", tmp_path / "precious"
    precious.write_text("precious")
    backup.write_text("old")
    backup.chmod(0o666)
    (tmp_path / f".backup.json.{os.getpid()}").symlink_to(precious)
    before = os.umask(mask)

    run("jobs", "export", str(backup), "--force")
    os.umask(before)

    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [job["id"] for job in json.loads(backup.read_text())] == ["a"]
    assert precious.read_text() == "precious"


def test_an_export_that_cannot_be_written_is_an_error(run: Terminal, tmp_path: Path) -> None:
    """One line names the folder that does not exist."""
    result = run("jobs", "export", str(tmp_path / "nowhere" / "backup.json"))

    assert result.exit_code == 1
    assert "cannot be written (No such file or directory)" in result.stderr
