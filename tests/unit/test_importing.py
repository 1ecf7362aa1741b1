"""The conversion of documents of other origins into jobs, on the values alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.model.history import Result
from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable
from watchkeeper.cli.display import as_stored, to_json
from watchkeeper.cli.importing import Conversion

RETENTION = timedelta(days=30)
MICROSECOND = timedelta(microseconds=1)
JobFactory = Callable[..., Job]


@pytest.fixture
def conversion(now: datetime) -> Conversion:
    """A conversion as of now, where only `log` has a handler."""
    return Conversion(now=now, retention=RETENTION, job_types={"log"})


def former(**fields: Any) -> dict[str, Any]:
    """Return an object as the former system wrote it."""
    return {
        "id": "job",
        "job_type": "log",
        "schedule_at": "2026-11-20T09:00:00",
        "payload": {"message": "hello"},
        "status": "pending",
        "created_at": "2026-10-01T08:30:00.123456",
        "attempts": 1,
        "max_attempts": 5,
        **fields,
    }


def taken(result: Job | Unreadable) -> Job:
    assert isinstance(result, Job), result
    return result


def reason(result: Job | Unreadable) -> str:
    assert isinstance(result, Unreadable), result
    return result.reason


def test_an_interval_without_a_start_counts_from_its_occurrence(conversion: Conversion) -> None:
    """A hand-written object need not have the same time twice; dates and the end are ISO text."""
    job = taken(conversion.convert("job", former(every="6d", until="2027-01-01T00:00:00", except_dates=["2026-12-24"])))

    assert (job.every, job.starts_at) == ("6d", datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert (job.until, job.except_dates) == (datetime(2027, 1, 1, tzinfo=UTC), (date(2026, 12, 24),))


def test_an_exported_interval_is_imported_as_it_was(conversion: Conversion, job_factory: JobFactory) -> None:
    """Every field of a schedule survives JSON, and foreign fields stay."""
    given = {"misfire": "skip", "grace": timedelta(minutes=30), "pause_after_failures": 3}
    dates = ["2026-12-24", "2026-12-25"]
    until = conversion.now + timedelta(days=90)
    job = replace(job_factory(every="6d", until=until, except_dates=dates, **given), extra={"team": "ops"})

    assert conversion.convert(job.id, json.loads(to_json(as_stored(job)))) == job


# -- jobs of the former system -----------------------------------------------------------------------------------------


def test_a_waiting_job_is_ready_at_its_time(conversion: Conversion) -> None:
    """Naive times mean UTC; the former system's counts are kept; every field of its form arrives."""
    job = taken(conversion.convert("job", former()))

    assert job.status is Status.PENDING
    assert job.schedule_at == job.ready_at == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert job.created_at == datetime(2026, 10, 1, 8, 30, 0, 123456, tzinfo=UTC)
    assert (job.job_type, job.payload) == ("log", {"message": "hello"})
    assert (job.attempts, job.max_attempts) == (1, 5)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2026-11-20T09:00:00Z", id="zulu"),
        pytest.param("2026-11-20T10:00:00+01:00", id="offset"),
        pytest.param("2026-11-20 09:00", id="short"),
        pytest.param(datetime(2026, 11, 20, 9, tzinfo=UTC), id="timestamp"),
    ],
)
def test_every_form_of_a_time_is_read(conversion: Conversion, text: Any) -> None:
    """ISO text with and without an offset, and Firestore's own timestamps, are the same moment."""
    job = taken(conversion.convert("job", former(schedule_at=text)))

    assert job.ready_at == datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_finished_job_is_kept_for_a_while(conversion: Conversion, now: datetime, status: str) -> None:
    """It does not change, and expires one retention from now."""
    job = taken(conversion.convert("job", former(status=status)))

    assert (job.status, job.ready_at, job.expire_at) == (status, None, now + RETENTION)


def test_a_failed_job_never_expires(conversion: Conversion) -> None:
    """A failed job keeps its error and does not expire."""
    job = taken(conversion.convert("job", former(status="failed", error="boom")))

    assert (job.status, job.error, job.ready_at, job.expire_at) == (Status.FAILED, "boom", None, None)


@pytest.mark.parametrize(
    "lease",
    [
        pytest.param({}, id="without-lease"),
        pytest.param({"lease_until": "2026-11-20T09:05:00", "lease_token": "theirs"}, id="long-over"),
        pytest.param({"lease_until": "2026-11-21T09:00:00"}, id="over-this-moment"),
    ],
)
def test_a_running_job_whose_holder_is_gone_waits_again(conversion: Conversion, lease: dict[str, str]) -> None:
    """It is ready at its time, without any field of the lease."""
    job = taken(conversion.convert("job", former(status="running", **lease)))

    assert (job.status, job.ready_at) == (Status.PENDING, job.schedule_at)
    assert (job.lease_until, job.lease_token) == (None, None)


@pytest.mark.parametrize("status", ["pending", "running", "paused", "cancelled"])
def test_a_job_under_a_lease_in_force_is_refused(conversion: Conversion, now: datetime, status: str) -> None:
    """A job that may still be running is not imported, in any status; the reason says until when."""
    until = (now + MICROSECOND).replace(tzinfo=None).isoformat()

    result = conversion.convert("job", former(status=status, lease_until=until))

    assert "still running, under a lease until 2026-11-21T09:00:00.000001Z" in reason(result)


def test_a_finished_job_needs_no_lease(conversion: Conversion) -> None:
    """Lease fields that the former system forgot to remove do no harm."""
    job = taken(conversion.convert("job", former(status="completed", lease_until="2099-01-01T00:00:00")))

    assert (job.status, job.lease_until) == (Status.COMPLETED, None)


def test_foreign_fields_are_kept(conversion: Conversion) -> None:
    """They are imported unchanged."""
    job = taken(conversion.convert("job", former(owner={"team": ["a"]}, priority=7)))

    assert job.extra == {"owner": {"team": ["a"]}, "priority": 7}


def test_missing_fields_are_filled_in(conversion: Conversion, now: datetime) -> None:
    """A job needs its type, status and time; everything else has a default."""
    document = {"id": "job", "job_type": "log", "status": "pending", "schedule_at": "2026-11-20T09:00:00"}

    job = taken(conversion.convert("job", document))

    assert (job.created_at, job.attempts, job.max_attempts, job.payload) == (now, 0, 3, {})


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_job_without_a_handler_is_imported_paused(conversion: Conversion, status: str) -> None:
    """Nothing would run it; its reason and last error stay readable, and it can be resumed once there is a handler."""
    job = taken(conversion.convert("job", former(job_type="digest", status=status, error="boom")))

    assert (job.status, job.ready_at) == (Status.PAUSED, None)
    assert job.error is not None
    assert "no handler for 'digest'" in job.error
    assert job.error.endswith("its last error: boom")


def test_a_finished_job_needs_no_handler(conversion: Conversion) -> None:
    """A job of any type that will not run again does not change."""
    job = taken(conversion.convert("job", former(job_type="digest", status="failed", error="boom")))

    assert (job.status, job.error) == (Status.FAILED, "boom")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param({"schedule_at": "soon"}, "schedule_at is 'soon'", id="time"),
        pytest.param({"schedule_at": None}, "schedule_at missing", id="no-time"),
        pytest.param({"schedule_at": 1700000000}, "schedule_at is '1700000000'", id="number-as-time"),
        pytest.param({"schedule_at": "0001-01-01T00:00:00+14:00"}, "out of range", id="before-all-time"),
        pytest.param({"status": "waiting"}, "status is 'waiting'", id="status"),
        pytest.param({"status": None}, "status missing", id="no-status"),
        pytest.param({"job_type": ["log"]}, "job_type is", id="type"),
        pytest.param({"payload": [1]}, "payload is 'list'", id="payload"),
        pytest.param({"max_attempts": 0}, "max_attempts is '0'", id="attempts"),
        pytest.param({"status": "running", "lease_until": "soon"}, "lease_until is 'soon'", id="lease"),
        pytest.param({"recent_runs": ["x"]}, "recent_runs", id="history"),
    ],
)
def test_an_invalid_document_is_refused_with_the_reason(
    conversion: Conversion, fields: dict[str, Any], says: str
) -> None:
    """The reason names the field; the document does not change, so nothing is lost."""
    document = former(**fields)

    result = conversion.convert("job", document)

    assert says in reason(result)
    assert isinstance(result, Unreadable)
    assert result.document == document


# -- what `jobs export` wrote ------------------------------------------------------------------------------------------


def every_kind(job_factory: JobFactory, now: datetime) -> dict[str, Job]:
    """Return a job in each possible state, with history and an unknown field."""
    past = now - timedelta(days=1)
    done = Result(started_at=past, ended_at=past, by="schedule", output="42 rows")
    failed = replace(done, error="boom")
    waiting = replace(job_factory(at=past, space="spaces/A", by="ada"), extra={"owner": [1]})
    daily = job_factory(cron="0 9 * * *", timezone="Europe/Berlin", misfire="skip", at=past)
    held = waiting.claim(now=past, token="token", lease=timedelta(minutes=5), retention=RETENTION)
    return {
        "pending": waiting,
        "recurring": replace(daily, status=Status.RUNNING).finish(done, retention=RETENTION),
        "retried": held.finish(failed, retention=RETENTION),
        "running": held,
        "paused": waiting.pause(now=past, by="bob"),
        "paused-while-running": held.pause(now=past),
        "completed": held.finish(done, retention=RETENTION),
        "failed": held.finish(replace(failed, final=True), retention=RETENTION),
        "cancelled": waiting.cancel(now=past, retention=RETENTION),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "pending",
        "recurring",
        "retried",
        "running",
        "paused",
        "paused-while-running",
        "completed",
        "failed",
        "cancelled",
    ],
)
def test_a_round_trip_keeps_every_field(
    conversion: Conversion, job_factory: JobFactory, now: datetime, kind: str
) -> None:
    """An exported job is imported as the very same job."""
    job = every_kind(job_factory, now)[kind]

    read_back = conversion.convert(job.id, json.loads(to_json(as_stored(job))))

    assert read_back == job


def test_a_job_that_has_expired_is_kept_once_more(conversion: Conversion, job_factory: JobFactory) -> None:
    """The first write after its import does not drop an old backup."""
    job = job_factory().cancel(now=conversion.now - 2 * RETENTION, retention=RETENTION)

    read_back = taken(conversion.convert(job.id, as_stored(job)))

    assert read_back == replace(job, expire_at=conversion.now + RETENTION)


# -- quarantined documents ---------------------------------------------------------------------------------------------


def test_a_repaired_document_is_converted(conversion: Conversion, job_factory: JobFactory, now: datetime) -> None:
    """The tick removed `ready_at` and recorded why; after repair the job is ready at its time, without the note."""
    job = job_factory(at=now)
    document = {**as_stored(job), "error": "unreadable: payload is no object"}
    del document["ready_at"]

    assert conversion.convert(job.id, document) == job


def test_an_exported_document_that_was_unreadable_is_judged_again(conversion: Conversion) -> None:
    """Raw documents of the former system are exported unchanged, and can be imported elsewhere."""
    exported = as_stored(Unreadable(id="job", reason="no ready_at", document=former()))

    assert taken(conversion.convert("job", exported)).ready_at == datetime(2026, 11, 20, 9, tzinfo=UTC)


# -- a whole file ------------------------------------------------------------------------------------------------------


def test_a_file_is_converted_object_by_object(conversion: Conversion) -> None:
    """Each object is named by position and id; a bad one is refused and does not affect the others."""
    objects = [former(id="a"), former(id="b", status="odd"), 7, former(id=3), former(id="c d"), former(id="e")]

    items = conversion.from_file(objects)

    assert [item.name for item in items] == [
        "object 1, job 'a'",
        "object 2, job 'b'",
        "object 3",
        "object 4, job 3",
        "object 5, job 'c d'",
        "object 6, job 'e'",
    ]
    assert [isinstance(item.after, Job) for item in items] == [True, False, False, False, False, True]


def test_the_first_of_two_equal_ids_counts(conversion: Conversion) -> None:
    """The second one is refused, with the position of the first."""
    first, second = conversion.from_file([former(), former(payload={"message": "other"})])

    assert taken(first.after).payload == {"message": "hello"}
    assert reason(second.after) == "its id is that of object 1"
