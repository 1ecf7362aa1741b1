"""The store in a file: its errors, its lock, who may read it, and when it is read again."""

import json
import multiprocessing
import os
import signal
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Unknown
from tests.support.stored_jobs import RETENTION, JobFactory, insert


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "is not JSON", id="empty"),
        pytest.param('{"counter": 1, "jobs": {"a"', "is not JSON", id="cut off"),
        pytest.param("[]", "jobs import", id="the list of the former system"),
        pytest.param('{"jobs": {}}', "not a file of this store", id="another program's"),
        pytest.param(
            '{"counter": 1, "jobs": {"a": 3}, "versions": {}}', "not a file of this store", id="a job not an object"
        ),
        pytest.param("\udcff", "cannot be read", id="not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_never_overwritten(
    tmp_path: Path, job_factory: JobFactory, now: datetime, text: str, says: str
) -> None:
    """Reading raises the reason and the remedy; no write is attempted, and the bytes stay."""
    path = tmp_path / "jobs.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    store = JsonStore(path, lambda: now)

    with pytest.raises(StoreUnavailable, match=says):
        store.due(now)
    outcomes = store.swap([Change(None, job_factory())])

    assert isinstance(outcomes[0], Unknown)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, job_factory: JobFactory, now: datetime
) -> None:
    """The error has the path, and nothing is half written."""
    (tmp_path / "file").write_text("")
    store = JsonStore(tmp_path / "file" / "jobs.json", lambda: now)

    outcomes = store.swap([Change(None, job_factory())])

    assert isinstance(outcomes[0], Unknown)
    assert "jobs.json" in outcomes[0].reason


def test_expired_jobs_are_dropped_with_the_next_write(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """A completed job leaves the file when it expires, and not before."""
    time = now
    store = JsonStore(tmp_path / "jobs.json", lambda: time)
    insert(store, replace(job_factory("old").cancel(now=now, retention=RETENTION)))

    time = now + RETENTION - timedelta(microseconds=1)
    insert(store, job_factory("a"))
    kept = [job.id for job in store.page()]
    time = now + RETENTION
    insert(store, job_factory("b"))

    assert kept == ["a", "old"]
    assert [job.id for job in store.page()] == ["a", "b"]


def test_the_file_is_readable_by_people_and_programs(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """A job is an object with ISO times in UTC and its payload as it was given."""
    path = tmp_path / "jobs.json"
    insert(JsonStore(path, lambda: now), job_factory("a", at=now, payload={"message": "ä"}))

    document = json.loads(path.read_text(encoding="utf-8"))["jobs"]["a"]

    assert document["payload"] == {"message": "ä"}
    assert document["ready_at"] == document["schedule_at"] == "2026-11-21T09:00:00Z"


def add_jobs(path: Path, prefix: str, count: int) -> None:
    """Insert jobs one by one, in its own process."""
    moment = datetime(2026, 11, 21, 9, tzinfo=UTC)
    store = JsonStore(path, lambda: moment)
    for number in range(count):
        store.swap([Change(None, Job.create(f"{prefix}-{number}", "log", now=moment))])


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """The lock file works between processes: all their inserts are stored."""
    path = tmp_path / "jobs.json"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add_jobs, args=(path, f"process{n}", 25)) for n in range(3)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(json.loads(path.read_text())["jobs"]) == 75


class KilledAt(JsonStore):
    """A store whose process dies at this moment of a write."""

    def __init__(self, path: Path, moment: str) -> None:
        super().__init__(path, lambda: datetime(2026, 11, 21, 9, tzinfo=UTC))
        self._moment = moment

    def _write(self, content: dict[str, Any]) -> None:
        if self._moment == "half written":
            Path(f"{self._path}.tmp").write_text('{"counter": 2, "jobs": {"a"')
        if self._moment == "renamed":
            super()._write(content)
        os.kill(os.getpid(), signal.SIGKILL)


def die_writing(path: Path, moment: str) -> None:
    KilledAt(path, moment).swap([Change(None, Job.create("b", "log", now=datetime(2026, 11, 21, tzinfo=UTC)))])


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "expected"), [("half written", ["a", "c"]), ("renamed", ["a", "b", "c"])])
def test_a_kill_in_the_middle_of_a_write_leaves_a_whole_file(
    tmp_path: Path, job_factory: JobFactory, now: datetime, moment: str, expected: Sequence[str]
) -> None:
    """After SIGKILL at any moment the file is the old or the new one, and the next process continues at once."""
    path = tmp_path / "jobs.json"
    store = JsonStore(path, lambda: now)
    insert(store, job_factory("a"))

    process = multiprocessing.get_context("spawn").Process(target=die_writing, args=(path, moment))
    process.start()
    process.join(30)
    insert(store, job_factory("c"))

    assert process.exitcode == -signal.SIGKILL
    assert [job.id for job in store.page()] == expected


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=lambda mask: f"umask-{mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """A umask, from one that hides nothing to one that hides everything from others."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("before", [None, 0o666, 0o644])
def test_the_job_file_is_for_its_owner_alone(
    tmp_path: Path, job_factory: JobFactory, now: datetime, before: int | None
) -> None:
    """Payloads may hold secrets: every write closes folder, file and lock to others."""
    path = tmp_path / ".data" / "jobs.json"
    if before is not None:
        path.parent.mkdir(mode=0o777)
        path.write_text('{"counter": 0, "jobs": {}, "versions": {}}')
        path.chmod(before)
        path.parent.chmod(before | 0o111)
    store = JsonStore(path, lambda: now)

    insert(store, job_factory("a"))

    assert [mode_of(each) for each in (path.parent, path, Path(f"{path}.lock"))] == [0o700, 0o600, 0o600]
    path.chmod(0o666)
    insert(store, job_factory("b"))
    assert mode_of(path) == 0o600


def test_a_folder_that_others_share_stays_as_it_is(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """Only a new folder and our own one are closed: a job file may lie in any folder."""
    for folder in (shared := tmp_path / "shared", new := tmp_path / "new" / "folder", linked := tmp_path / ".data"):
        if folder is shared:
            shared.mkdir()
            shared.chmod(0o755)
        if folder is linked:
            linked.symlink_to(shared)
        insert(JsonStore(folder / "jobs.json", lambda: now), job_factory(folder.name.strip(".")))

    assert [mode_of(shared), mode_of(new)] == [0o755, 0o700]


def test_a_planted_link_is_not_followed(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """A link under the temporary name cannot make us overwrite another file."""
    path, precious = tmp_path / "jobs.json", tmp_path / "precious"
    precious.write_text("precious")
    Path(f"{path}.tmp").symlink_to(precious)

    insert(JsonStore(path, lambda: now), job_factory("a"))

    assert precious.read_text() == "precious"
    assert not path.is_symlink()


def test_a_job_file_that_is_a_link_is_replaced(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """Its target is read; the first write replaces the link with a file and leaves the target alone."""
    path, elsewhere = tmp_path / "jobs.json", tmp_path / "elsewhere.json"
    insert(JsonStore(elsewhere, lambda: now), job_factory("a"))
    before = elsewhere.read_text()
    path.symlink_to(elsewhere)
    store = JsonStore(path, lambda: now)

    insert(store, job_factory("b"))

    assert [job.id for job in store.page()] == ["a", "b"]
    assert (path.is_symlink(), mode_of(path), elsewhere.read_text()) == (False, 0o600, before)


def test_a_listing_parses_what_has_changed(json_store: JsonStore, job_factory: JobFactory, now: datetime) -> None:
    """A page that lists thousands of jobs every few seconds finds most unchanged; a manual edit is noticed, too."""
    first, *_ = insert(json_store, *(job_factory(name) for name in ("a", "b", "c")))
    before = json_store.page()

    json_store.swap([Change(first, first.pause(now=now))])
    path = json_store._path
    path.write_text(path.read_text().replace('"b", "job_type": "log"', '"b", "job_type": "edited"'))
    after = json_store.page()

    assert [job.status for job in after if isinstance(job, Job)] == ["paused", "pending", "pending"]
    assert [job.job_type for job in after if isinstance(job, Job)] == ["log", "edited", "log"]
    assert after[2] is before[2]


def test_a_listing_reads_the_file_when_it_has_changed(
    json_store: JsonStore, job_factory: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By any writer; a missing file is an empty store."""
    insert(json_store, job_factory("a"))
    reads = 0
    read_whole = json_store._read

    def counted() -> dict[str, Any]:
        nonlocal reads
        reads += 1
        return read_whole()

    monkeypatch.setattr(json_store, "_read", counted)
    other = JsonStore(json_store._path, json_store._clock)
    found = [len(json_store.page()), len(json_store.page(status="failed"))]
    insert(other, job_factory("b"))
    found += [len(json_store.page()), len(json_store.page())]
    json_store._path.unlink()
    found.append(len(json_store.page()))

    assert found == [1, 0, 2, 2, 0]
    assert reads == 3
