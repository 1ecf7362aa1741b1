"""`watchkeeper tick`: one tick in this process, or a look at what it would run."""

from datetime import datetime, timedelta

import click

from cli.display import Row, print_json_list, print_table, to_json, warn
from cli.running import interrupts, logs_on_stderr
from cli.session import ADD_HANDLER, Session
from cli.times import shown, span
from shared.document import Unreadable
from shared.job import Job
from shared.store import PAGE
from shared.tick import check_limits, run_tick

OUTLOOK = timedelta(hours=1)


@click.command()
@click.option("--dry-run", is_flag=True, help="Run nothing; list what is due now and within the next hour.")
@click.option("--json", "as_json", is_flag=True, help="Write the metrics, or with --dry-run a list of jobs, as JSON.")
@click.pass_context
def tick(ctx: click.Context, dry_run: bool, as_json: bool) -> None:
    """Run what is due, once, in this process.

    It works on the configured store and prints the metrics. Ctrl-C ends it as the cloud would: nothing more is
    started, and what was not begun is given back. The exit code is 1 when the store cannot be used; jobs that fail
    do not make the tick fail.

    \b
    Example:
      watchkeeper tick --dry-run
    """
    if dry_run:
        _print_due(ctx.obj, as_json=as_json)
    elif interrupted := _run(ctx.obj, as_json=as_json):
        ctx.exit(128 + interrupted)


def _run(session: Session, *, as_json: bool) -> int:
    """Run the tick; give the number of the signal that ended it early, or 0."""
    settings, handlers = session.settings, session.handlers
    check_limits(settings, handlers)
    with logs_on_stderr(settings.log_level), interrupts() as caught:
        report = run_tick(
            session.store, handlers, settings=settings, clock=session.clock, is_stopping=lambda: bool(caught)
        )
    if as_json:
        click.echo(to_json(report.metrics(), indent=2))
    else:
        print_table(("", ""), [(name, to_json(value)) for name, value in report.metrics().items()])
    return caught[0] if caught else 0


def _print_due(session: Session, *, as_json: bool) -> None:
    now = session.clock()
    found = session.store.due(now + OUTLOOK, limit=PAGE)
    due = [job for job in found if isinstance(job, Unreadable) or _is_to_run(job, now)]
    if as_json:
        print_json_list(due)
    elif due:
        print_table(("ID", "TYPE", "DUE", "", "REMARK"), [_row(session, job, now) for job in due])
    else:
        click.echo("Nothing is due now, or within the next hour.")
    if len(found) == PAGE:
        warn(f"there may be more: these are the first {PAGE}")
    unhandled = {job.job_type for job in due if isinstance(job, Job)} - session.handlers.keys()
    if unhandled:
        warn(f"no handler for {', '.join(sorted(unhandled))} can be found here; {ADD_HANDLER}")


def _is_to_run(job: Job, now: datetime) -> bool:
    """Leave out what runs at present: it comes back only if its holder dies."""
    return job.is_due(now) or job.lease_until is None


def _row(session: Session, job: Job | Unreadable, now: datetime) -> Row:
    if isinstance(job, Unreadable):
        return job.id, "", "", "", f"cannot be read and will be set aside: {job.reason}"
    at = job.ready_at or now
    lateness = f"{span(now - at)} late" if at <= now else f"in {span(at - now)}"
    return job.id, job.job_type, shown(at, session.settings.timezone), lateness, _remark(job)


def _remark(job: Job) -> str:
    if job.lease_until is not None:
        return "its holder died"
    return f"attempt {job.attempts + 1} of {job.max_attempts}" if job.attempts else ""
