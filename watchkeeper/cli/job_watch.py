"""`watchkeeper jobs watch`: a live view of what runs, what is due next and what failed lately."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shared.model.entries import Entry
from shared.model.history import RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from watchkeeper.cli.display import Row
from watchkeeper.session import Session, is_billed
from watchkeeper.times import distance, shown, span, took

AHEAD, LATELY = timedelta(days=1), timedelta(hours=1)
SHOWN = 10  # of each kind
MOST_RUNS = 200  # read in one refresh
FREE, BILLED = 2.0, 30.0  # seconds between two refreshes
COLOURS: Mapping[str, str] = {
    RunOutcome.COMPLETED: "green",
    RunOutcome.RETRIED: "yellow",
    RunOutcome.LATER: "cyan",
    RunOutcome.MISSED: "yellow",
    RunOutcome.FAILED: "red",
    RunOutcome.DIED: "red",
}


@dataclass(frozen=True)
class Snapshot:
    """The jobs that run or wait in a queue, those due next, and the runs of the last hour."""

    now: datetime
    running: Sequence[Job]
    due: Sequence[Job]
    runs: Sequence[Entry]

    @property
    def failed(self) -> Sequence[Entry]:
        """Return the runs that did not succeed, the latest first."""
        return [entry for entry in self.runs if entry.run.outcome not in (RunOutcome.COMPLETED, RunOutcome.LATER)]


@click.command("watch")
@click.option("--every", "seconds", type=click.FloatRange(min=0.5), metavar="S", help="Seconds between two refreshes.")
@click.pass_obj
def watch_jobs(session: Session, seconds: float | None) -> None:
    """Watch jobs run, until Ctrl-C.

    It shows what is running, what is due next, and what failed in the last hour. It refreshes every 2 seconds; with the
    real Firestore every 30, since each refresh reads up to 220 documents. If the output is not a terminal, it prints a
    line for each job that starts and each run that ends.

    \b
    Example:
      watchkeeper jobs watch
    """
    pause = seconds or (BILLED if is_billed(session.settings, session.env) else FREE)

    def wait() -> bool:
        time.sleep(pause)
        return False

    try:
        if sys.stdout.isatty():
            show_live(session, Console(), wait)
        else:
            for line in news(session, wait):
                click.echo(line)
    except KeyboardInterrupt:
        return


def take_snapshot(session: Session) -> Snapshot:
    """Read the jobs once. Raises StoreUnavailable."""
    now, jobs = session.clock(), session.jobs
    running = [job for job in jobs.list(status=Status.RUNNING) if isinstance(job, Job)]
    ready = [job for job in jobs.upcoming(AHEAD, limit=SHOWN + len(running)) if isinstance(job, Job)]
    due = [job for job in ready if job.lease_until is None]
    runs = islice(jobs.history(since=now - LATELY, page_size=MOST_RUNS), MOST_RUNS)
    return Snapshot(now=now, running=running, due=due[:SHOWN], runs=list(runs))


def show_live(session: Session, console: Console, wait: Callable[[], bool]) -> None:
    """Show snapshot after snapshot in the same place, until `wait` says to stop."""
    zone = session.settings.timezone
    with Live(render(take_snapshot(session), zone), console=console, auto_refresh=False, screen=False) as live:
        while not wait():
            live.update(render(take_snapshot(session), zone), refresh=True)


def render(snapshot: Snapshot, zone: str) -> RenderableType:
    """Draw a snapshot as three tables."""
    failed = Text(f"  {len(snapshot.failed)} of {len(snapshot.runs)} runs of the last hour", style="dim")
    return Group(
        Text(shown(snapshot.now, zone), style="dim"),
        _table(
            f"Running ({len(snapshot.running)})", [_running_row(job, snapshot.now) for job in snapshot.running[:SHOWN]]
        ),
        _table("Due next", [_due_row(job, snapshot.now, zone) for job in snapshot.due]),
        _table("Failed lately", [_run_row(entry, snapshot.now) for entry in snapshot.failed[:SHOWN]]),
        failed,
    )


def news(session: Session, wait: Callable[[], bool]) -> Iterator[str]:
    """Yield a line for each job that starts to run, and for each run that ends, until `wait` says to stop."""
    zone, before = session.settings.timezone, take_snapshot(session)
    yield f"{shown(before.now, zone)}  {len(before.running)} running, {len(before.due)} due within a day"
    while not wait():
        after = take_snapshot(session)
        known = {entry.id for entry in before.runs}
        for entry in reversed([entry for entry in after.runs if entry.id not in known]):
            yield f"{shown(after.now, zone)}  {'  '.join(filter(None, _ended(entry)))}"
        held = {(job.id, job.started_at, job.queue) for job in before.running}
        for job in after.running:
            if (job.id, job.started_at, job.queue) not in held:
                yield f"{shown(after.now, zone)}  {job.id}  {_where(job)}"
        before = after


def _table(title: str, rows: Sequence[Row]) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=50)
    for row in rows or [("-",)]:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    return Group(Text(title, style="bold"), table)


def _running_row(job: Job, now: datetime) -> Row:
    since = job.handed_over.at if job.handed_over else job.started_at
    return job.id, job.job_type, f"for {span(now - since)}" if since else "", _where(job)


def _due_row(job: Job, now: datetime, zone: str) -> Row:
    assert job.ready_at is not None
    late = f"{span(now - job.ready_at)} late" if job.ready_at < now - timedelta(minutes=2) else ""
    return job.id, job.job_type, late or distance(job.ready_at, now), shown(job.ready_at, zone)


def _run_row(entry: Entry, now: datetime) -> Row:
    job_id, outcome, length, says = _ended(entry)
    return job_id, outcome, distance(entry.run.ended_at or entry.at, now), length, says


def _ended(entry: Entry) -> tuple[str, str, str, str]:
    run = entry.run
    length = took(run.ended_at - run.started_at) if run.started_at and run.ended_at else ""
    return entry.job_id, run.outcome.value, length, " ".join((run.error or "").split())[:100]


def _where(job: Job) -> str:
    return f"waits in queue {job.queue}" if job.queue else f"runs, attempt {job.attempts + 1}"
