"""`watchkeeper jobs watch`: its tables, its drawing, and the lines that it writes without a terminal."""

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from shared.model.history import Result
from shared.model.job import Job
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Won
from watchkeeper.cli.job_watch import news, render, show_live, take_snapshot
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
JobFactory = Callable[..., Job]


class World:
    """A job file at a time that is moved by hand."""

    def __init__(self, path: Path, now: datetime) -> None:
        self.now = now
        self.store = JsonStore(path, lambda: self.now)
        env = {"SCHEDULER_JSON_PATH": str(path)}
        self.session = Session(env=env, clock=lambda: self.now, user="ada")

    def put(self, before: Job | None, after: Job) -> Job:
        (outcome,) = self.store.swap([Change(before, after)])
        assert isinstance(outcome, Won)
        assert isinstance(outcome.job, Job)
        return outcome.job

    def begin(self, job: Job, queue: str | None = None) -> Job:
        held = job.claim(now=self.now, token=f"{self.now}", lease=HOUR, retention=DAY, queue=queue)
        return self.put(self.put(None, job), held)

    def end(self, held: Job, error: str | None = None) -> Job:
        result = Result(
            started_at=held.started_at or self.now, ended_at=self.now, by="schedule", error=error, final=True
        )
        return self.put(held, held.finish(result, retention=DAY))


@pytest.fixture
def world(tmp_path: Path, now: datetime) -> World:
    return World(tmp_path / "jobs.json", now)


def drawn(world: World) -> list[str]:
    """Return the view as a terminal of 100 columns shows it."""
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(render(take_snapshot(world.session), "UTC"))
    assert isinstance(console.file, io.StringIO)
    return [line.strip() for line in console.file.getvalue().splitlines()]


def test_a_snapshot_shows_what_runs_what_is_due_and_what_failed(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """Each is a table; a success is only counted, and one more than an hour ago is left out."""
    world.now = now - 2 * HOUR
    world.end(world.begin(job_factory("yesterday", at=world.now)), error="old")
    world.now = now - 5 * MINUTE
    world.end(world.begin(job_factory("bad", at=world.now)), error="boom\nand more")
    world.end(world.begin(job_factory("good", at=world.now)))
    world.begin(job_factory("busy", at=world.now))
    world.begin(job_factory("queued", at=world.now), queue="agents")
    world.put(None, job_factory("soon", at=now + 3 * MINUTE))
    world.put(None, job_factory("late", at=now - 4 * MINUTE))
    world.now = now

    lines = [" ".join(line.split()) for line in drawn(world)]

    assert lines == [
        "2026-11-21 09:00:00Z",
        "Running (2)",
        "busy log for 5 min runs, attempt 1",
        "queued log for 5 min waits in queue agents",
        "Due next",
        "late log 4 min late 2026-11-21 08:56:00Z",
        "soon log in 3 min 2026-11-21 09:03:00Z",
        "Failed lately",
        "bad failed 5 min ago 0 ms boom and more",
        "1 of 2 runs of the last hour",
    ]


def test_an_empty_store_is_drawn(world: World) -> None:
    """Nothing is shown as nothing."""
    assert drawn(world)[1:] == [
        "Running (0)",
        "-",
        "Due next",
        "-",
        "Failed lately",
        "-",
        "0 of 0 runs of the last hour",
    ]


def test_without_a_terminal_each_start_and_end_is_a_line(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Once, in the order in which it was seen."""
    held: list[Job] = []
    steps = iter(["begin", "nothing", "end", "stop"])

    def wait() -> bool:
        step = next(steps)
        world.now += MINUTE
        if step == "begin":
            held.append(world.begin(job_factory("report", at=world.now)))
        elif step == "end":
            world.end(held[0], error="boom")
        return step == "stop"

    lines = list(news(world.session, wait))

    assert lines == [
        "2026-11-21 09:00:00Z  0 running, 0 due within a day",
        "2026-11-21 09:01:00Z  report  runs, attempt 1",
        "2026-11-21 09:03:00Z  report  failed  2 min  boom",
    ]


def test_a_terminal_shows_each_snapshot_in_place(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A terminal shows it again with every refresh."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    steps = iter([False, True])

    def wait() -> bool:
        world.put(None, job_factory(f"job-{world.now:%M}", at=now + HOUR))
        world.now += MINUTE
        return next(steps)

    show_live(world.session, console, wait)

    assert isinstance(console.file, io.StringIO)
    assert "job-00" in console.file.getvalue()


def test_ctrl_c_ends_watching_quietly(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the normal way out, not an error."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)

    result = CliRunner().invoke(watchkeeper, ["jobs", "watch"], obj=world.session)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "2026-11-21 09:00:00Z  0 running, 0 due within a day\n"
