"""Fixtures that every kind of test may use."""

import gc
import importlib
import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from shared.model.job import Job
from shared.settings import SETTINGS_FILE
from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from watchkeeper.dev.firestore_emulator import EmulatorMissing, find_emulator, running_emulator

if TYPE_CHECKING:
    # Two seconds that the process which only hands out the tests need not wait for.
    from google.cloud import firestore

    from shared.store.firestore import FirestoreStore
    from tests.support.servers import HttpServer

# A busy machine is no failure; a test whose examples must not hang says so itself.
settings.register_profile("watchkeeper", deadline=None)
settings.load_profile("watchkeeper")

# A test run is too short for what the JVM's second compiler and its parallel collector cost: half of its time.
SHORT_LIVED_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

# A request that was given up ends after its present wait.
JOIN_SECONDS = 5

# The address of the emulator that all processes of a run share.
SHARED_EMULATOR = "WATCHKEEPER_TESTS_EMULATOR"

# Files whose tests are independent of each other and would keep one worker busy after the others are done.
SPREAD = {
    "tests/faults/test_rounds.py",
    "tests/integration/test_cron_tick.py",
    "tests/integration/dev/test_ending.py",
    "tests/integration/dev/test_jobs.py",
    "tests/integration/dev/test_reloading.py",
    "tests/integration/dev/test_starting.py",
}
# Files whose tests share what takes long to make: the first deployment, or a local run and a browser.
TOGETHER = {
    "tests/integration/test_build_steps.py": "the first deployment",
    "tests/integration/test_deploy.py": "the first deployment",
    "tests/integration/test_deploy_monitoring.py": "the first deployment",
    "tests/integration/test_doctor.py": "the first deployment",
    "tests/integration/console/test_any_view.py": "the console",
    "tests/integration/console/test_form.py": "the console",
    "tests/integration/console/test_jobs.py": "the console",
    "tests/integration/console/test_now_and_chat.py": "the console",
    "tests/integration/console/test_token.py": "the console",
}


def pytest_configure(config: pytest.Config) -> None:
    """Start one emulator for all processes of a parallel run; each test uses a collection of its own.

    No test reads a developer's `.env`, or looks for the metadata server of the machine that it runs on.
    """
    os.environ[SETTINGS_FILE] = os.devnull
    os.environ["NO_GCE_CHECK"] = "true"
    os.environ.setdefault("JAVA_TOOL_OPTIONS", SHORT_LIVED_JAVA)
    is_worker, is_left_out = hasattr(config, "workerinput"), "not emulator" in config.getoption("markexpr")
    is_parallel = config.getoption("numprocesses", None)
    if is_worker or is_left_out or not is_parallel or os.environ.get("FIRESTORE_EMULATOR_HOST"):
        return
    stack = ExitStack()
    config.add_cleanup(stack.close)
    with suppress(EmulatorMissing):  # a test that needs it says so
        os.environ[SHARED_EMULATOR] = stack.enter_context(running_emulator())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without the garbage collector, and let it never look at them: a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are processors: some tests wait most of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread the tests of files that share no fixture and take long, and keep those together that share a long one.

    Every other file stays with one worker.
    """
    from xdist.scheduler import LoadFileScheduling

    class Spreading(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return nodeid if file in SPREAD else TOGETHER.get(file, file)

    return Spreading(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test wrote pass from process to process: half of a surrogate pair would end the run."""
    report = yield
    report.sections = [(name, text.encode(errors="replace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def no_lookups_beside_a_test() -> Iterator[None]:
    """Keep google-auth from asking Google where credentials may be used, in a thread that outlives the test.

    It would leave this machine, and it draws random numbers, which a Hypothesis test in the same process notices.
    """
    from google.auth.credentials import CredentialsWithRegionalAccessBoundary

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            CredentialsWithRegionalAccessBoundary, "_is_regional_access_boundary_lookup_required", lambda self: False
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Flush no file to the disk in this process: only a loss of power would tell, and it is much of a test's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def each_key_is_checked_once() -> Iterator[None]:
    """Load each private key once in a process: that its primes are prime takes 50 ms to check."""
    from cryptography.hazmat.primitives import serialization

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serialization, "load_pem_private_key", cache(serialization.load_pem_private_key))
        yield


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[str]:
    """The `host:port` of a Firestore emulator, in FIRESTORE_EMULATOR_HOST too, so that clients find it by themselves.

    A test that uses it is marked `emulator`. Where there is no emulator it is skipped; in CI that is a failure.
    """
    with ExitStack() as stack:
        address = os.environ.get("FIRESTORE_EMULATOR_HOST") or os.environ.get(SHARED_EMULATOR)
        if not address:
            _require_emulator()
            address = stack.enter_context(running_emulator())
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("FIRESTORE_EMULATOR_HOST", address)
        yield address


def _require_emulator() -> None:
    try:
        find_emulator()
    except EmulatorMissing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))


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
def firestore_client(firestore_emulator: str) -> Iterator["firestore.Client"]:
    """A client of the emulator."""
    from google.cloud import firestore

    client = firestore.Client(project="test")
    yield client
    client.close()  # type: ignore[no-untyped-call]  # the library's own


@pytest.fixture
def firestore_store(firestore_client: "firestore.Client") -> "FirestoreStore":
    """An empty store on the emulator."""
    from shared.store.firestore import FirestoreStore

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
def unreachable_store(monkeypatch: pytest.MonkeyPatch) -> Iterator["FirestoreStore"]:
    """A Firestore store whose server refuses every connection."""
    from google.cloud import firestore

    from shared.store.firestore import FirestoreStore

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    client = firestore.Client(project="test")
    yield FirestoreStore(client, "jobs")
    client.close()  # type: ignore[no-untyped-call]  # the library's own


@pytest.fixture
def metadata() -> Iterator["HttpServer"]:
    """A metadata server that google-auth takes for the one of the machine that it runs on."""
    from google.auth.compute_engine import _metadata

    from tests.support.servers import HttpServer, metadata_answers

    before = set(threading.enumerate())
    with HttpServer(metadata_answers()) as server, pytest.MonkeyPatch.context() as patch:
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        patch.delenv("NO_GCE_CHECK")
        patch.setenv("GCE_METADATA_HOST", server.address)
        patch.setenv("GCE_METADATA_IP", server.address)
        patch.setenv("CLOUDSDK_CONFIG", os.devnull)  # no credentials of a developer
        importlib.reload(_metadata)  # it reads the environment when it is imported
        yield server
    for thread in set(threading.enumerate()) - before:
        thread.join(JOIN_SECONDS)  # a request for a token that was given up must not go on in another test
    importlib.reload(_metadata)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write each reason for a skip once, since pytest's own list repeats it for every test."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")
