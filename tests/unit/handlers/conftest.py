"""The built-in handlers alone, a job of type `greet`, and a function that runs it as a tick does."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.handlers import DEFAULT_TIMEOUT, Context, Handlers, load_handlers, registry
from shared.model.history import Result
from shared.running.running_job import RunningJob
from shared.running.tasks import Tasks
from shared.running.workers import Workers
from shared.settings import TaskQueues
from tests.support.handled import MINUTE, RETENTION, JobFactory, Run, WriteModule


@pytest.fixture(autouse=True)
def own_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the built-in handlers alone, and forget after each test what it registered."""
    built_in = {name: known for name, known in load_handlers(()).items() if known.run.__module__.startswith("shared.")}
    monkeypatch.setattr(registry, "_registered", built_in)


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WriteModule]:
    """Return a function that writes an importable module; it is forgotten after the test.

    The user's own `agent` package is out of sight meanwhile.
    """
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("agent", "agent.handlers"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "__init__.py").touch()
    written = ["agent", "agent.handlers"]

    def write(name: str, text: str) -> None:
        (tmp_path / name.replace(".", "/")).with_suffix(".py").write_text(text)
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def context(now: datetime) -> Context:
    return Context(
        job_id="job",
        job_type="log",
        execution_key="job@2026-11-21T09:00:00Z",
        attempt=1,
        schedule_at=now,
        started_at=now,
        deadline=now + DEFAULT_TIMEOUT,
    )


@pytest.fixture
def held(job_factory: JobFactory, now: datetime) -> RunningJob:
    """A claimed job of type `greet`."""
    found = job_factory(job_type="greet", space="spaces/A", by="ada")
    job = found.claim(now=now, token="token", lease=5 * MINUTE, retention=RETENTION)
    return RunningJob(found=found, job=job, limit=MINUTE)


@pytest.fixture
def run(held: RunningJob, now: datetime) -> Run:
    """Return a function that runs `held` with these handlers, as a tick does, and returns the result."""

    def run(handlers: Handlers) -> Result:
        workers = Workers(1, handlers, Tasks(TaskQueues()), lambda: now, timedelta)
        workers.start(held)
        workers.close()
        _, result = workers.results.get(timeout=1)
        assert isinstance(result, Result)
        return result

    return run
