"""The contract of a job store, run over every store, and what is special to one of them."""

import json
import multiprocessing
import os
import signal
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from shared.errors import StoreUnavailable
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable, from_document, to_document
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Lost, Outcome, Refused, Store, Unknown, Won

LEASE = timedelta(minutes=5)
RETENTION = timedelta(days=30)
JobFactory = Callable[..., Job]


def insert(store: Store, *jobs: Job) -> list[Job]:
    """Store jobs and return them with their versions."""
    outcomes = store.swap([Change(None, job) for job in jobs])
    return [won(outcome) for outcome in outcomes]


def won(outcome: Outcome) -> Job:
    assert isinstance(outcome, Won)
    assert isinstance(outcome.job, Job)
    return outcome.job


def read(store: Store, job_id: str) -> Job:
    found = store.get([job_id])[job_id]
    assert isinstance(found, Job)
    return found


def claimed(job: Job, now: datetime, token: str = "token") -> Job:
    return job.claim(now=now, token=token, lease=LEASE, retention=RETENTION)


def result(now: datetime, **changes: Any) -> Result:
    return Result(**{"started_at": now, "ended_at": now, "by": "schedule", **changes})


# -- reading and inserting ---------------------------------------------------------------------------------------------


def test_a_job_comes_back_as_it_was_stored(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Every field survives the store: times, history, payload of any shape, foreign fields."""
    finished = replace(
        claimed(job_factory(cron="*/5 * * * *", timezone="Europe/Berlin", space="spaces/A"), now),
        payload={"nested": [[1, 2], [{"__x__": None}]], "text": "ä\n\u2028😀", "deep": {"a": {"b": {"c": []}}}},
        extra={"team": "ops", "weights": {"a": 1.5}},
    ).finish(result(now, error="boom"), retention=RETENTION)
    done = claimed(finished, finished.ready_at or now)
    finished = done.finish(result(now, output='{"rows": [[1, 2]]}'), retention=RETENTION)

    insert(store, finished)

    assert read(store, finished.id) == finished
    assert finished.recent_runs[0].outcome is RunOutcome.RETRIED


def test_inserting_an_id_that_exists_changes_nothing(store: Store, job_factory: JobFactory) -> None:
    """The insert is lost: this makes scheduling idempotent."""
    (first,) = insert(store, job_factory(payload={"n": 1}))

    outcomes = store.swap([Change(None, job_factory(payload={"n": 2}))])

    assert outcomes == [Lost()]
    assert read(store, first.id) == first


def test_get_leaves_out_what_does_not_exist(store: Store, job_factory: JobFactory) -> None:
    """It returns the ids that exist; without ids it makes no call."""
    (job,) = insert(store, job_factory("a"))

    found = store.get(["a", "missing"])

    assert found == {"a": job}
    assert store.get([]) == {}


# -- due ---------------------------------------------------------------------------------------------------------------


def test_due_gives_what_is_ready_oldest_first(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A job is due exactly from its ready time on."""
    microsecond = timedelta(microseconds=1)
    times = {"exactly": now, "late": now - LEASE, "early": now + microsecond, "just": now - microsecond}
    insert(store, *(job_factory(job_id, at=at) for job_id, at in times.items()))

    due = store.due(now)

    assert [job.id for job in due] == ["late", "just", "exactly"]


def test_due_gives_at_most_a_page(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """The oldest ones, up to the limit."""
    insert(store, *(job_factory(f"job-{n}", at=now - timedelta(seconds=n)) for n in range(5)))

    due = store.due(now, limit=2)

    assert [job.id for job in due] == ["job-4", "job-3"]


def test_what_has_nothing_to_do_is_never_due(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A tick does not find paused, cancelled and finished jobs, however old they are."""
    jobs = [job_factory(name, at=now) for name in ("paused", "cancelled", "completed", "failed")]
    changed = [
        jobs[0].pause(now=now),
        jobs[1].cancel(now=now, retention=RETENTION),
        claimed(jobs[2], now).finish(result(now), retention=RETENTION),
        claimed(jobs[3], now).finish(result(now, error="x", final=True), retention=RETENTION),
    ]
    insert(store, *changed)

    assert store.due(now + timedelta(days=300)) == []


def test_a_running_job_is_due_when_its_lease_is_over(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A job whose holder vanished is found when its lease ends, and not a microsecond before."""
    (job,) = insert(store, claimed(job_factory(at=now), now))

    before = store.due(now + LEASE - timedelta(microseconds=1))
    at_the_end = store.due(now + LEASE)

    assert before == []
    assert at_the_end == [job]


# -- swap --------------------------------------------------------------------------------------------------------------


def test_only_one_of_two_claims_wins(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Both read the same version: the second one loses, and nothing of its write is stored."""
    (job,) = insert(store, job_factory(at=now))

    first = store.swap([Change(job, claimed(job, now, "first"))])
    second = store.swap([Change(job, claimed(job, now, "second"))])

    assert isinstance(first[0], Won)
    assert second == [Lost()]
    assert read(store, job.id).lease_token == "first"


def test_the_version_of_a_win_carries_the_next_swap(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A holder continues with the returned value, without reading again."""
    (job,) = insert(store, job_factory(at=now))

    held = won(store.swap([Change(job, claimed(job, now))])[0])
    renewed = won(store.swap([Change(held, held.renew(now=now, lease=2 * LEASE))])[0])
    ended = won(store.swap([Change(renewed, renewed.finish(result(now), retention=RETENTION))])[0])

    assert ended.status is Status.COMPLETED
    assert read(store, job.id) == ended


def test_changes_of_one_call_stand_for_themselves(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A win, a loss, an insert and a deletion in one call each have their own outcome."""
    a, b, c = insert(store, *(job_factory(name, at=now) for name in "abc"))
    won(store.swap([Change(b, b.pause(now=now))])[0])

    outcomes = store.swap(
        [Change(a, claimed(a, now)), Change(b, claimed(b, now)), Change(c, None), Change(None, job_factory("d"))]
    )

    assert [type(outcome) for outcome in outcomes] == [Won, Lost, Won, Won]
    assert sorted(store.get("abcd")) == ["a", "b", "d"]
    assert read(store, "b").status is Status.PAUSED


@pytest.mark.slow
def test_more_changes_than_one_call_may_hold(store: Store, job_factory: JobFactory) -> None:
    """A swap may be of any size; every change is answered and stored."""
    jobs = [job_factory(f"job-{n:04}") for n in range(1201)]

    insert(store, *jobs)

    assert len(store.get([job.id for job in jobs])) == 1201


def test_more_bytes_than_one_call_may_hold(store: Store, job_factory: JobFactory) -> None:
    """Payloads at the limit go through in as many calls as they need."""
    payload = {"text": "x" * (64 * 1024 - 20)}

    jobs = insert(store, *(job_factory(f"job-{n}", payload=payload) for n in range(100)))

    assert read(store, jobs[99].id).payload == payload


def test_a_field_that_is_none_is_removed(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A finished job has no ready_at and no lease, not empty ones."""
    (job,) = insert(store, job_factory(at=now))
    held = won(store.swap([Change(job, claimed(job, now))])[0])

    won(store.swap([Change(held, held.finish(result(now), retention=RETENTION))])[0])

    document = to_document(read(store, job.id))
    assert not {"ready_at", "lease_until", "error"} & document.keys()
    assert document["lease_token"] == "token"


def test_a_foreign_field_outlives_every_change(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Fields of other programs stay in the document."""
    (job,) = insert(store, replace(job_factory(at=now), extra={"team": {"name": "ops"}}))

    won(store.swap([Change(job, claimed(replace(job, extra={}), now))])[0])

    assert read(store, job.id).extra == {"team": {"name": "ops"}}


def test_a_deletion_is_conditional(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A job that changed since it was read is not deleted; nor is one that no longer exists."""
    (job,) = insert(store, job_factory(at=now))
    newer = won(store.swap([Change(job, job.pause(now=now))])[0])

    stale = store.swap([Change(job, None)])
    fresh = store.swap([Change(newer, None)])
    again = store.swap([Change(newer, None)])

    assert stale == [Lost()]
    assert fresh == [Won(None)]
    assert again == [Lost()]


def test_a_value_that_was_never_read_replaces_nothing(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Without a version there is nothing to compare, so nothing is written."""
    (stored,) = insert(store, job_factory(at=now))
    job = replace(stored, version=None)

    outcomes = store.swap([Change(job, claimed(job, now))])

    assert not isinstance(outcomes[0], Won)
    assert read(store, job.id) == stored


def test_an_id_made_again_has_no_old_version(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """The holder of a deleted job cannot write into a new one with the same id."""
    (old,) = insert(store, job_factory(at=now))
    store.swap([Change(old, None)])
    insert(store, job_factory(at=now))

    outcomes = store.swap([Change(old, claimed(old, now))])

    assert outcomes == [Lost()]
    assert read(store, old.id).status is Status.PENDING


# -- listing -----------------------------------------------------------------------------------------------------------


def test_a_listing_is_by_id_and_paged(store: Store, job_factory: JobFactory) -> None:
    """Pages follow each other without a gap or a repetition."""
    insert(store, *(job_factory(name) for name in ("b", "a", "C", "a.1", "d")))

    first = store.page(limit=3)
    second = store.page(after=first[-1].id, limit=3)

    assert [job.id for job in first + second] == ["C", "a", "a.1", "b", "d"]


def test_a_listing_can_be_of_one_status_or_space(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """Both filters can be combined, and paging works within them."""
    jobs = [job_factory(f"job-{n}", space=f"spaces/{n % 2}") for n in range(6)]
    insert(store, *(job.pause(now=now) if n < 4 else job for n, job in enumerate(jobs)))

    paused_here = store.page(status="paused", space="spaces/1", limit=1)
    the_rest = store.page(status="paused", space="spaces/1", after=paused_here[0].id)

    assert [job.id for job in paused_here + the_rest] == ["job-1", "job-3"]


def test_a_listing_can_be_of_several_statuses(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """In one query, ordered by id, of one space or of all."""
    jobs = [job_factory(f"job-{n}", space=f"spaces/{n % 2}") for n in range(6)]
    ended = jobs[5].cancel(now=now, retention=timedelta(days=1))
    insert(store, *(job.pause(now=now) for job in jobs[:2]), *jobs[2:5], ended)

    of_all = store.page(status=("pending", "paused"), limit=4)
    of_one = store.page(status=("paused", "cancelled"), space="spaces/1")

    assert [job.id for job in of_all] == ["job-0", "job-1", "job-2", "job-3"]
    assert [job.id for job in of_one] == ["job-1", "job-5"]


# -- what cannot be read -----------------------------------------------------------------------------------------------

BROKEN: dict[str, dict[str, Any]] = {
    "no job_type": {"job_type": None},
    "an unknown status": {"status": "sleeping"},
    "a time that is text": {"schedule_at": "tomorrow"},
    "a payload that is no JSON": {"payload": "{"},
    "a payload that is a list": {"payload": "[]"},
    "an unknown zone": {"cron": "* * * * *", "timezone": "Mars/Olympus"},
    "a cron expression of a stranger": {"cron": "every day"},
    "attempts that are no number": {"attempts": "3"},
    "a history that is no list": {"recent_runs": {"a": 1}},
    "a run without outcome": {"recent_runs": [{"schedule_at": datetime(2026, 1, 1, tzinfo=UTC)}]},
    "a run with an empty time": {"recent_runs": [{"schedule_at": None, "outcome": "failed"}]},
    "a run with an output that is no text": {
        "recent_runs": [{"schedule_at": datetime(2026, 1, 1, tzinfo=UTC), "outcome": "completed", "output": 7}]
    },
    "a run with an empty outcome": {
        "recent_runs": [{"schedule_at": datetime(2026, 1, 1, tzinfo=UTC), "outcome": None}]
    },
    "an extra run of a one-shot": {"regular_at": datetime(2026, 1, 1, tzinfo=UTC)},
}


@pytest.mark.parametrize("broken", [pytest.param(fields, id=name) for name, fields in BROKEN.items()])
def test_a_document_that_is_no_job_is_shown_and_set_aside(
    store: Store, job_factory: JobFactory, now: datetime, broken: dict[str, Any]
) -> None:
    """It is read as unreadable with a reason; a swap quarantines it and keeps all its other fields."""
    document = {**to_document(job_factory(at=now)), "team": "ops", **broken}
    write_raw(store, "bad", {name: value for name, value in document.items() if value is not None})
    (found,) = store.due(now)
    assert isinstance(found, Unreadable)

    outcomes = store.swap([Change(found, found.quarantined())])

    assert isinstance(outcomes[0], Won)
    assert store.due(now) == []
    (listed,) = store.page()
    assert isinstance(listed, Unreadable)
    kept = {name: value for name, value in found.document.items() if name != "ready_at"}
    assert listed.document == {**kept, "error": f"unreadable: {found.reason}"}


@pytest.mark.parametrize("ready_at", ["2026-11-21 at nine", ""], ids=["words", "empty"])
def test_a_ready_time_that_is_text_is_set_aside_by_the_next_tick_that_works(
    store: Store, job_factory: JobFactory, now: datetime, ready_at: str
) -> None:
    """No comparison with a time finds it; it is read after the due jobs and quarantined like others."""
    insert(store, job_factory("good", at=now))
    write_raw(store, "stray", {**to_document(job_factory("stray", at=now)), "ready_at": ready_at})

    first, stray = store.due(now)
    assert isinstance(stray, Unreadable)
    store.swap([Change(stray, stray.quarantined())])

    assert (first.id, stray.id) == ("good", "stray")
    assert "ready_at" in stray.reason
    assert [job.id for job in store.due(now)] == ["good"]


def test_looking_for_text_costs_an_idle_tick_nothing(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One query if nothing is due or the page is full, and one more at most every hour otherwise."""
    queries: list[object] = []
    query = FirestoreStore._query
    hour, counts = timedelta(hours=1), []

    def recorded(store: FirestoreStore, asked: object) -> list[Job | Unreadable]:
        queries.append(asked)
        return query(store, asked)

    def look(at: datetime, limit: int = 500) -> None:
        queries.clear()
        firestore_store.due(at, limit)
        counts.append(len(queries))

    monkeypatch.setattr(FirestoreStore, "_query", recorded)

    look(now)
    insert(firestore_store, job_factory(at=now))
    for at, limit in ((now, 1), (now, 2), (now + hour / 2, 2), (now + hour, 2)):
        look(at, limit)

    assert counts == [1, 1, 2, 1, 2]


def test_a_finished_job_that_is_ready_is_put_right(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """This contradiction would make it due for ever; quarantine removes the ready time."""
    write_raw(store, "odd", {**to_document(job_factory("odd", at=now)), "status": "completed"})
    (found,) = store.due(now)
    assert isinstance(found, Unreadable)

    store.swap([Change(found, found.quarantined())])

    assert store.due(now) == []
    assert read(store, "odd").status is Status.COMPLETED


def test_setting_aside_is_conditional(store: Store, job_factory: JobFactory, now: datetime) -> None:
    """A document that was repaired meanwhile is not touched."""
    write_raw(store, "bad", {**to_document(job_factory(at=now)), "status": "sleeping"})
    (found,) = store.due(now)
    assert isinstance(found, Unreadable)
    repaired = from_document("bad", {**found.document, "status": "pending"}, found.version)
    won(store.swap([Change(found, repaired)])[0])

    outcomes = store.swap([Change(found, found.quarantined())])

    assert outcomes == [Lost()]
    assert read(store, "bad").ready_at == now


def write_raw(store: Store, job_id: str, document: dict[str, Any]) -> None:
    """Write a document as another program, or a person, would."""
    if isinstance(store, FirestoreStore):
        store._jobs.document(job_id).set(document)
        return
    assert isinstance(store, JsonStore)
    path = store._path
    empty: dict[str, Any] = {"counter": 0, "jobs": {}, "versions": {}}
    content = json.loads(path.read_text()) if path.exists() else empty
    content["jobs"][job_id] = document
    path.write_text(json.dumps(content, default=lambda time: time.isoformat()))


# -- JSON only ---------------------------------------------------------------------------------------------------------


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
def test_a_file_that_is_no_job_file_is_never_overwritten(
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


# -- who can read the file ---------------------------------------------------------------------------------------------


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


# -- Firestore only ----------------------------------------------------------------------------------------------------


@pytest.mark.emulator
@pytest.mark.parametrize("extra", [[[1]], json.loads('{"a": [' * 30 + "]}" * 30)], ids=["list", "deep"])
def test_one_value_that_cannot_be_stored_does_not_fail_its_neighbours(
    firestore_store: FirestoreStore, job_factory: JobFactory, extra: object
) -> None:
    """Only this change is refused, with the store's reason; the rest of the call is stored."""
    jobs = [job_factory(f"job-{n}") for n in range(7)]
    jobs[3] = replace(jobs[3], extra={"nested": extra})

    outcomes = firestore_store.swap([Change(None, job) for job in jobs])

    assert [type(outcome) for outcome in outcomes] == [Won] * 3 + [Refused] + [Won] * 3
    assert isinstance(outcomes[3], Refused)
    assert outcomes[3].reason
    assert len(firestore_store.page()) == 6


class CutStore(FirestoreStore):
    """A store whose answers lack the last write."""

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        answer = super()._send(messages, together=together)
        del answer.status[-1]
        return answer


@pytest.mark.emulator
def test_an_answer_that_lacks_a_write_is_none(firestore_client: firestore.Client, job_factory: JobFactory) -> None:
    """Reading the documents shows what was written."""
    store = CutStore(firestore_client, f"jobs-{uuid4().hex}")

    outcomes = store.swap([Change(None, job_factory(name)) for name in "ab"])

    assert [type(outcome) for outcome in outcomes] == [Won, Won]


@pytest.mark.emulator
def test_times_are_timestamps_and_the_payload_is_text(
    firestore_store: FirestoreStore, firestore_client: firestore.Client, job_factory: JobFactory, now: datetime
) -> None:
    """Firestore can compare the times in queries, and a payload may have what a map may not."""
    insert(firestore_store, job_factory("a", at=now, payload={"rows": [[1], [2]]}))

    document = firestore_store._jobs.document("a").get().to_dict()

    assert document is not None
    assert document["ready_at"] == now
    assert json.loads(document["payload"]) == {"rows": [[1], [2]]}


@pytest.mark.emulator
def test_a_payload_that_is_a_map_is_read(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """Documents of the former system have it as a map."""
    write_raw(firestore_store, "a", {**to_document(job_factory("a", at=now)), "payload": {"message": "hi"}})

    assert read(firestore_store, "a").payload == {"message": "hi"}


@pytest.mark.emulator
def test_a_claim_writes_only_what_it_changes(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """A field that another program writes between read and claim makes the claim lose and is never overwritten."""
    (job,) = insert(firestore_store, job_factory(at=now))
    firestore_store._jobs.document(job.id).update({"team": "ops"})

    outcomes = firestore_store.swap([Change(job, claimed(job, now))])

    assert outcomes == [Lost()]
    assert read(firestore_store, job.id).extra == {"team": "ops"}


class Counts(FirestoreStore):
    """A store that counts the writes of each call."""

    def __init__(self, client: firestore.Client, collection: str) -> None:
        super().__init__(client, collection)
        self.sizes: list[int] = []

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        self.sizes.append(len(messages))
        return super()._send(messages, together=together)


@pytest.mark.slow
@pytest.mark.emulator
def test_no_call_holds_more_writes_than_firestore_takes(
    firestore_store: FirestoreStore, job_factory: JobFactory
) -> None:
    """500 a call: the emulator would take more, Firestore does not."""
    store = Counts(firestore_store._client, firestore_store._jobs.id)

    insert(store, *(job_factory(f"job-{n:04}") for n in range(1201)))

    assert store.sizes == [500, 500, 201]


class RefusesWrites(FirestoreStore):
    """A store that can be read but not written: a missing role, or an exhausted quota."""

    def _send(self, messages: list[Any], *, together: bool = False) -> Any:
        raise exceptions.PermissionDenied("no")  # type: ignore[no-untyped-call]  # the library's own


@pytest.mark.emulator
def test_writes_that_are_refused_while_reads_work_are_not_lost_to_anybody(
    firestore_store: FirestoreStore, job_factory: JobFactory, now: datetime
) -> None:
    """The documents did not change, so no other writer was faster: the outcome is unknown, with the reason."""
    (job,) = insert(firestore_store, job_factory(at=now))
    store = RefusesWrites(firestore_store._client, firestore_store._jobs.id)

    outcomes = store.swap([Change(job, claimed(job, now)), Change(None, job_factory("new"))])

    assert all(isinstance(outcome, Unknown) and "PermissionDenied" in outcome.reason for outcome in outcomes)


def test_an_unreachable_store_is_unheard_on_writes_and_unavailable_on_reads(
    unreachable_store: FirestoreStore, job_factory: JobFactory, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swap never raises but returns unknown outcomes with the reason, and reads give up in time."""
    monkeypatch.setattr("shared.store.firestore.READ_SECONDS", 0.2)

    outcomes = unreachable_store.swap([Change(None, job_factory())])

    assert isinstance(outcomes[0], Unknown)
    assert "Unavailable" in outcomes[0].reason
    with pytest.raises(StoreUnavailable, match="Firestore cannot be read"):
        unreachable_store.due(now)


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
