"""`watchkeeper jobs list` and `show`: jobs as people and programs see them."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

import click

from shared.errors import InvalidSettings
from shared.jobs import UnknownJob
from shared.model.definition import InvalidJob
from shared.model.history import Run, RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from shared.model.wording import when, why
from shared.running.tick import where_it_runs
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE
from watchkeeper.cli.completion import complete_ids, complete_types
from watchkeeper.cli.display import Row, as_object, print_json_list, print_table, text_of, to_json
from watchkeeper.session import Session
from watchkeeper.times import distance_to_start, shown, shown_with_distance, span, took

HEADER = ("ID", "TYPE", "STATUS", "WHEN", "NEXT RUN", "SCHEDULE", "REMARK")
EXPENDABLE = ("SCHEDULE", "NEXT RUN", "TYPE", "REMARK")
RUN_HEADER = ("OCCURRENCE", "OUTCOME", "STARTED", "TOOK", "BY", "RESULT")
EXPENDABLE_OF_RUN = ("STARTED", "BY", "TOOK")

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, with the fields of the job file.")


@click.command("list")
@click.option(
    *("--status", "statuses"),
    type=click.Choice([status.value for status in Status]),
    multiple=True,
    help="Only jobs of this status; can be given several times.",
)
@click.option("--type", "job_type", help="Only jobs of this type.", shell_complete=complete_types)
@click.option("--search", metavar="TEXT", help="Only jobs that have this text in their id, type or payload.")
@click.option("--space", help="Only jobs of this Chat space.")
@click.option(
    "--sort", type=click.Choice(["id", "next"]), default="id", help="By id (the default), or by the next run."
)
@click.option("--all", "with_subscriptions", is_flag=True, help="Subscriptions too.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N jobs.")
@json_option
@click.pass_obj
def list_jobs(
    session: Session,
    /,
    statuses: Sequence[str],
    job_type: str | None,
    search: str | None,
    space: str | None,
    sort: str,
    with_subscriptions: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List jobs by id. Unreadable documents are listed with the reason.

    \b
    Examples:
      watchkeeper jobs list --status failed --status paused
      watchkeeper jobs list --type http_request --search example.com --sort next
    """
    found = session.jobs.list(status=statuses or None, space=space, with_subscriptions=with_subscriptions)
    if job_type is not None or search is not None:
        found = (job for job in found if _is_meant(job, job_type, search))
    if sort == "next":
        found = iter(sorted(found, key=_next_time))
    found = islice(found, limit)
    if as_json:
        print_json_list(list(found))
    else:
        _print_pages(session, found)


def _is_meant(job: Job | Unreadable, job_type: str | None, search: str | None) -> bool:
    document = as_object(job)
    payload = json.dumps(document.get("payload"), ensure_ascii=False, default=str)
    text = f"{job.id} {document.get('job_type')} {payload}"
    is_found = search is None or search.casefold() in text.casefold()
    return is_found and job_type in (None, document.get("job_type"))


def _next_time(job: Job | Unreadable) -> tuple[datetime, str]:
    ready_at = job.ready_at if isinstance(job, Job) else None
    return ready_at or datetime.max.replace(tzinfo=UTC), job.id


@click.command("show")
@click.argument("job_id", metavar="ID", shell_complete=complete_ids)
@json_option
@click.pass_obj
def show_job(session: Session, job_id: str, as_json: bool) -> None:
    """Show everything about a job, including its last runs.

    \b
    Example:
      watchkeeper jobs show report
    """
    job = session.store.get([job_id]).get(job_id)
    if job is None:
        raise UnknownJob(f"there is no job {job_id}")
    if as_json:
        click.echo(to_json(as_object(job), indent=2))
    else:
        _print_job(session, job)
    if isinstance(job, Unreadable):
        raise InvalidJob(f"job {job_id} cannot be read: {job.reason}; repair it, then run `watchkeeper jobs upgrade`")


def next_run(session: Session, job: Job) -> str:
    """Return when a job runs next, or since when it runs; "" for neither."""
    zone, now = job.timezone or session.settings.timezone, session.clock()
    if job.handed_over is not None:
        return f"waiting in queue {job.queue} since {shown(job.handed_over.at, zone)}"
    if job.started_at and _is_held(job, now):
        return f"running since {shown(job.started_at, zone)}"
    return shown_with_distance(job.ready_at, zone, now) if job.ready_at else ""


def _print_pages(session: Session, found: Iterator[Job | Unreadable]) -> None:
    """Print page by page, so that the first lines of a long list come at once."""
    is_first = True
    while page := list(islice(found, PAGE)):
        rows = [_row(session, job) for job in page]
        print_table(HEADER, rows, expendable=EXPENDABLE, is_continued=not is_first)
        is_first = False
    if is_first:
        click.echo("No jobs found.")


def _row(session: Session, job: Job | Unreadable) -> Row:
    if isinstance(job, Unreadable):
        job_type = text_of(job.document.get("job_type") or "", session.settings.timezone)
        return job.id, job_type, "unreadable", "", "", "", job.reason
    now, zone = session.clock(), job.timezone or session.settings.timezone
    at = shown(job.ready_at, zone) if job.ready_at and not _is_held(job, now) else ""
    remark = why(job, now, session.settings.timezone) if job.has_paused_itself else job.error or ""
    return job.id, job.job_type, job.status, _when(job, now), at, _schedule(job), remark


def _is_held(job: Job, now: datetime) -> bool:
    return job.lease_until is not None and job.lease_until > now


def _when(job: Job, now: datetime) -> str:
    """Return how far away the next run is, or how long it has been running or waiting."""
    if job.handed_over is not None:
        return f"queued {span(now - job.handed_over.at)}"
    if job.started_at and _is_held(job, now):
        return f"running {span(now - job.started_at)}"
    return distance_to_start(job.ready_at, now) if job.ready_at else ""


def _schedule(job: Job) -> str:
    """Return a recurring job's schedule as it was typed, and what bounds it."""
    if not job.is_recurring:
        return "once"
    zone = job.timezone or "UTC"
    until = f" until {shown(job.until, zone)}" if job.until else ""
    days_off = f" except {len(job.except_dates)} date{'s' * (len(job.except_dates) > 1)}" if job.except_dates else ""
    return f"{job.cron or f'every {job.every}'} {zone}{until}{days_off}"


def _print_job(session: Session, job: Job | Unreadable) -> None:
    fields = as_object(job)
    zone = session.settings.timezone
    runs: Sequence[Run] = ()
    if isinstance(job, Job):
        zone = job.timezone or zone
        runs = job.recent_runs
        del fields["recent_runs"]
    if isinstance(job, Job):
        if place := _place(session, job):
            fields["runs"] = f"{place} (by the settings here)"
        if job.is_recurring:
            fields["when"] = when(job.schedule)
        fields["why"] = why(job, session.clock(), zone)
    print_table(("", ""), [(name, text_of(value, zone)) for name, value in fields.items()])
    if runs:
        click.echo()
        print_table(RUN_HEADER, [run_row(run, zone) for run in runs], expendable=EXPENDABLE_OF_RUN)


def _place(session: Session, job: Job) -> str:
    """Return where the job runs, if its handler has a queue; a job is shown even if no handler can be imported."""
    try:
        handler = session.handlers.get(job.job_type)
    except InvalidSettings:
        return ""
    return "" if handler is None else where_it_runs(session.settings, handler)


def run_row(run: Run, zone: str) -> Row:
    """Return a run as a row below RUN_HEADER."""
    is_gap = run.outcome is RunOutcome.MISSED and run.until is not None and run.until != run.schedule_at
    occurrence = shown(run.schedule_at, zone) + (f" to {shown(run.until, zone)}" if is_gap and run.until else "")
    started = shown(run.started_at, zone) if run.started_at else ""
    length = took(run.ended_at - run.started_at) if run.started_at and run.ended_at else ""
    where = f" ({run.trace.splitlines()[-1]})" if run.trace else ""
    return occurrence, run.outcome, started, length, run.by or "", f"{run.error or run.output or ''}{where}"
