"""Stored documents of every odd shape: none stops a tick, a listing, a command or another job.

Each starts as a good document. Every value at every depth is replaced by values of every other type, one at a time for
the reader and the commands, one or two at a time, drawn by hypothesis, for whole ticks and the command line.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from google.cloud import firestore
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.handlers import Cancel, Context, Handler, Payload, Snooze
from shared.model.definition import Misfire
from shared.model.history import Result
from shared.model.job import Job
from shared.running.report import TickReport
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.documents import Unreadable, from_document, to_document, with_times
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from tests.support.stored_jobs import write_raw
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LEASE = timedelta(minutes=5)
SETTINGS = Settings.from_env({"CALL_TIMEOUT_SECONDS": "600"})
GOOD = 5

Place = tuple[str | int, ...]
Document = dict[str, Any]


def good_documents() -> list[Document]:
    """Return documents in every state of a job, as other programs would write them."""
    once = Job.create("odd", "log", now=NOW, payload={"message": "hello"}, space="spaces/A")
    daily = Job.create(
        "odd", "log", now=NOW, cron="0 9 * * *", timezone="Europe/Berlin", misfire=Misfire.SKIP, by="ana"
    )
    interval = Job.create(
        "odd",
        "log",
        now=NOW,
        every="6d",
        timezone="Europe/Berlin",
        until=NOW + timedelta(days=60),
        except_dates=["2026-11-27", "2026-12-25"],
        misfire=Misfire.SKIP,
        grace=timedelta(minutes=30),
        pause_after_failures=1,
    )
    failing = interval.claim(now=NOW, token="t", lease=LEASE, retention=LEASE)
    failed = failing.finish(Result(started_at=NOW, ended_at=NOW, by="x", error="no", final=True), retention=LEASE)
    held = daily.claim(now=NOW + timedelta(days=1), token="t", lease=LEASE, retention=LEASE)
    later = Result(started_at=NOW, ended_at=NOW, by="schedule", error="busy", later=LEASE)
    put_off = held.finish(later, retention=LEASE)
    done = held.finish(Result(started_at=NOW, ended_at=NOW, by="schedule", output="[42]"), retention=LEASE)
    handed_over = daily.claim(now=NOW + timedelta(days=1), token="t", lease=LEASE, retention=LEASE, queue="agents")
    # The histories of `put_off` and `done` hold every field between them.
    jobs = (once, daily, interval, failed, held, put_off, done, handed_over, daily.run(now=NOW, by="ana"))
    return [to_document(job) for job in jobs]


def places(value: Any, at: Place = ()) -> list[Place]:
    """Return the paths to every value within."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, each in inner for place in places(each, (*at, name)))]


def replaced(document: Any, place: Place, by: Any) -> Any:
    """Return the document with another value at the place; the paths that a replacement removed stay as they are."""
    if not place:
        return by
    first, *rest = place
    if isinstance(document, Mapping):
        return {**document, first: replaced(document.get(first), tuple(rest), by)}
    if isinstance(document, list) and isinstance(first, int) and first < len(document):
        return [*document[:first], replaced(document[first], tuple(rest), by), *document[first + 1 :]]
    return document


SCALARS = st.one_of(
    st.none(),
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from(
        ["", "x", "failed", "\ud800", "9" * 5000, "0 9 * * *", "2026-11-21T09:00:00", "9999-12-31T23:59:59Z"]
    ),
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
)
NAMES = st.sampled_from(["schedule_at", "outcome", "message", "until", ""])
FLAT = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(NAMES, SCALARS, max_size=3)
VALUES = FLAT | st.lists(FLAT, max_size=2) | st.dictionaries(NAMES, FLAT, max_size=3)


@st.composite
def odd_documents(draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES) -> Document:
    document = draw(st.sampled_from(good_documents()))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.sampled_from(places(document)[1:]))
        document = replaced(document, at, draw(values))
    return document


FUZZ = settings(
    max_examples=400,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
NUMBERS = count()


# -- one document ------------------------------------------------------------------------------------------------------

ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    float("nan"),
    "",
    "x",
    "\ud800",
    "2026-11-21T09:00:00",
    "9999-12-31T23:59:59Z",
    NOW,
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    [],
    [None],
    [[]],
    {},
    {"x": None},
    b"x",
    object(),
]


def odd_ones() -> Iterator[tuple[Place, Any, Document]]:
    """Replace every value of every good document by every odd one."""
    for document in good_documents():
        for place in places(document)[1:]:
            for value in ODD_VALUES:
                yield place, value, replaced(document, place, value)


@pytest.mark.slow
def test_any_document_is_a_job_or_unreadable() -> None:
    """Reading never raises; an unreadable one names the field and can be quarantined."""
    read = 0
    for place, value, document in odd_ones():
        found = from_document("odd", with_times(document))
        read += isinstance(found, Job)
        if isinstance(found, Unreadable):
            assert not re.match("[A-Za-z]*Error: ", found.reason), (place, value, found.reason)
            assert "ready_at" not in to_document(found.quarantined())

    assert read > 300


@pytest.mark.slow
def test_what_can_be_read_obeys_every_command_or_refuses_it() -> None:
    """A job that the reader accepts breaks no transition: each returns a job or a reason."""
    retention = timedelta(days=1)
    for place, value, document in odd_ones():
        job = from_document("odd", with_times(document))
        if isinstance(job, Unreadable):
            continue
        held = job.claim(now=NOW, token="t", lease=LEASE, retention=LEASE, payload={})
        commands: dict[str, Callable[[], Job]] = {
            "pause": partial(job.pause, now=NOW),
            "resume": partial(job.resume, now=NOW, retention=retention),
            "cancel": partial(job.cancel, now=NOW, retention=retention),
            "restore": partial(job.restore, now=NOW),
            "run": partial(job.run, now=NOW),
            "retry": partial(job.retry, now=NOW),
            "release": partial(job.release, now=NOW),
            "edit": partial(job.edit, now=NOW, cron="0 9 * * *"),
            "every": partial(job.edit, now=NOW, every="6d"),
            "end": partial(job.edit, now=NOW, until=NOW + timedelta(days=9)),
            "days off": partial(job.edit, now=NOW, except_dates=["2026-11-22"]),
            "move": partial(job.edit, now=NOW, at=NOW),
            "claim": partial(job.claim, now=NOW + retention, token="t", lease=LEASE, retention=retention),
            "complete": partial(held.finish, Result(started_at=NOW, ended_at=NOW, by="x"), retention=retention),
        }
        for name, command in commands.items():
            try:
                after = command()
            except InvalidInput:
                continue
            except Exception as exc:
                raise AssertionError(f"{name} with {value!r} at {place}") from exc
            assert isinstance(from_document("odd", to_document(after)), Job), (name, place, value)


# -- whole ticks -------------------------------------------------------------------------------------------------------


def answer(payload: Payload, context: Context) -> None:
    """Do as the message says."""
    match payload.get("message"):
        case "later":
            raise Snooze(timedelta.max)
        case "never":
            raise Cancel("never")


def tick(store: Store) -> TickReport:
    handlers = {"log": Handler(job_type="log", run=answer)}
    clock = lambda: NOW + timedelta(days=2)  # noqa: E731  # one line, read once
    return run_tick(store, handlers, settings=SETTINGS, clock=clock, monotonic=time.monotonic)


def put_good_jobs(store: Store) -> None:
    for number in range(GOOD):
        write_raw(store, f"good-{number}", to_document(Job.create(f"good-{number}", "log", now=NOW)))


def check(store: Store) -> None:
    """Assert that the good jobs run once, and that nothing is left to do after one or two ticks."""
    ran = tick(store)
    again = tick(store)

    done = store.get([f"good-{number}" for number in range(GOOD)]).values()
    assert [isinstance(job, Job) and job.status for job in done] == ["completed"] * GOOD
    assert ran.jobs_succeeded >= GOOD
    assert again.jobs_checked <= 2


NO_RUN = {**good_documents()[0], "recent_runs": [{"schedule_at": None, "outcome": "failed"}]}
NO_OUTCOME = {**good_documents()[0], "recent_runs": [{"schedule_at": NOW, "outcome": None}]}


@pytest.mark.slow
@settings(FUZZ, max_examples=100)
@example(documents=[NO_RUN, NO_OUTCOME])
@given(documents=st.lists(odd_documents(), min_size=1, max_size=3))
def test_ticks_over_odd_documents_in_a_file(
    documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No document makes a tick fail or keeps another job from running."""
    store = JsonStore(tmp_path_factory.mktemp("odd") / "jobs.json", lambda: NOW)
    put_good_jobs(store)
    for number, document in enumerate(documents):
        write_raw(store, f"odd-{number}", document)

    check(store)


FIRESTORE_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=3),
    st.sampled_from(["", "x", "failed", "9" * 5000, "0 9 * * *", "2026-11-21T09:00:00"]),
    st.datetimes(timezones=st.just(UTC)),
    st.just(firestore.GeoPoint(1, 2)),
)


@pytest.mark.slow
@pytest.mark.emulator
@settings(FUZZ, max_examples=25)
@given(
    documents=st.lists(
        odd_documents(FIRESTORE_SCALARS | st.lists(FIRESTORE_SCALARS, max_size=2)), min_size=1, max_size=3
    )
)
def test_ticks_over_odd_documents_in_firestore(documents: list[Document], firestore_client: firestore.Client) -> None:
    """The same for types that only Firestore has: bytes, geo points, NaN."""
    store = FirestoreStore(firestore_client, f"odd-{next(NUMBERS)}")
    put_good_jobs(store)
    for number, document in enumerate(documents):
        write_raw(store, f"odd-{number}", document)

    check(store)


# -- what people call --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(FUZZ, max_examples=60)
@example(document=NO_RUN)
@given(document=odd_documents())
def test_the_command_line_over_odd_documents(document: Document, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every command ends with an answer or one clear error, never with a traceback."""
    path: Path = tmp_path_factory.mktemp("odd") / "jobs.json"
    write_raw(JsonStore(path, lambda: NOW), "odd", document)

    for command in (
        "list",
        "list --json",
        "show odd",
        "show odd --json",
        "upgrade",
        "export -",
        "run odd",
        "delete odd",
    ):
        session = Session(env={"SCHEDULER_JSON_PATH": str(path)}, clock=lambda: NOW, user="ada")
        result = CliRunner().invoke(watchkeeper, ["jobs", *command.split()], obj=session)
        assert result.exit_code in (0, 1), (command, result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exception)
