"""The history in a file: its lines, its length, and who may read it."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.store import json_file
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Unknown
from tests.support.histories import MINUTE, JobFactory, claimed, finished, put, run


def test_without_a_history_no_entry_is_kept(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """The job keeps its own ten runs, and there is no file beside it."""
    store = JsonStore(tmp_path / "jobs.json", lambda: now, kept=timedelta())

    ran = run(store, put(store, None, job_factory(at=now)), now)

    assert len(ran.recent_runs) == 1
    assert store.history() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.json", "jobs.json.lock"]


def test_a_line_of_a_change_that_was_not_made_does_not_count(
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


def test_the_history_outlives_its_job_file(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """A broken job file is moved away, as its error says: the runs so far stay listed, and new ones are added."""
    path = tmp_path / "jobs.json"
    store = JsonStore(path, lambda: now)
    run(store, put(store, None, job_factory("old", at=now)), now)
    path.rename(tmp_path / "broken.json")

    before = [entry.job_id for entry in store.history()]
    run(store, put(store, None, job_factory("new", at=now)), now + MINUTE)

    assert before == ["old"]
    assert [entry.job_id for entry in store.history()] == ["new", "old"]


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
