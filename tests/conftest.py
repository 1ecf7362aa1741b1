"""Fixtures that every kind of test may use."""

import os
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore

from shared.model.job import Job
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from watchkeeper.dev.firestore_emulator import EmulatorMissing, find_emulator, running_emulator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test wrote pass from process to process: half of a surrogate pair would end the run."""
    report = yield
    report.sections = [(name, text.encode(errors="replace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[str]:
    """The `host:port` of a Firestore emulator, in FIRESTORE_EMULATOR_HOST too, so that clients find it by themselves.

    A test that uses it is marked `emulator`. Where there is no emulator it is skipped; in CI that is a failure.
    """
    if address := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield address
        return
    try:
        find_emulator()
    except EmulatorMissing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    with running_emulator() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", address)
        yield address


@pytest.fixture
def now() -> datetime:
    """A Saturday morning."""
    return datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def job_factory(now: datetime) -> Callable[..., Job]:
    """Make a job of type `log`; every argument of `Job.create` can be given."""

    def make(job_id: str = "job", job_type: str = "log", **given: Any) -> Job:
        return Job.create(job_id, job_type, **{"now": now, "payload": {"message": "hello"}, **given})

    return make


@pytest.fixture(scope="session")
def firestore_client(firestore_emulator: str) -> Iterator[firestore.Client]:
    """A client of the emulator."""
    client = firestore.Client(project="test")
    yield client
    client.close()  # type: ignore[no-untyped-call]  # the library's own


@pytest.fixture
def firestore_store(firestore_client: firestore.Client) -> FirestoreStore:
    """An empty store on the emulator."""
    return FirestoreStore(firestore_client, f"jobs-{uuid.uuid4().hex}")


@pytest.fixture
def json_store(tmp_path: Path, now: datetime) -> JsonStore:
    """An empty store in a file."""
    return JsonStore(tmp_path / "jobs.json", lambda: now)


@pytest.fixture(params=["json", pytest.param("firestore", marks=pytest.mark.emulator)])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store, of each kind."""
    store: Store = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture
def unreachable_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FirestoreStore]:
    """A Firestore store whose server refuses every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    client = firestore.Client(project="test")
    yield FirestoreStore(client, "jobs")
    client.close()  # type: ignore[no-untyped-call]  # the library's own


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Give each reason for a skip once, since pytest's own list repeats it for every test."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")
