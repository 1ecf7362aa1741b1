"""The dry run of a tick: what is due now and within the next hour, in our store or in that of the former system.

Over the former system's jobs it is the shadow run of a roll-out: they are converted in memory, and nothing is written.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from shared.errors import InvalidInput
from shared.model.job import Job
from shared.model.value import Status
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Won
from watchkeeper.cli.display import Row, print_json_list, print_table, warn
from watchkeeper.cli.import_report import ImportReport
from watchkeeper.cli.importing import Conversion, ImportItem
from watchkeeper.cli.transfer import conversion_of, read_objects
from watchkeeper.session import ADD_HANDLER, Session
from watchkeeper.times import distance_to_start, shown

OUTLOOK = timedelta(hours=1)


def print_outlook(session: Session, *, as_json: bool) -> None:
    """Print what ticks would run within the hour, sorted by time.

    A job file that is a list is the former system's. Its documents in a collection have no `ready_at`, so the query of
    a tick does not find them. They are searched only if that query finds nothing, because the search reads every
    waiting job.
    """
    objects = _former_file(session.settings)
    if objects is not None:
        conversion = conversion_of(session)
        _print_former(session, conversion, conversion.from_file(objects), command="import", as_json=as_json)
        return
    now = session.clock()
    if found := session.store.due(now + OUTLOOK, limit=PAGE):
        _print_found(session, found, now, as_json=as_json)
    elif documents := _former_documents(session):
        conversion = conversion_of(session)
        items = [conversion.from_store(document) for document in documents]
        _print_former(session, conversion, items, command="upgrade", as_json=as_json)
    else:
        _print_due(session, [], now, as_json=as_json)
        if session.settings.storage == "json" and not session.settings.json_path.exists():
            warn(f"there is no job file {session.settings.json_path}")


def _former_file(settings: Settings) -> list[Any] | None:
    """Return the objects of a job file that is a list; None for any other file, which the store then reads."""
    if settings.storage != "json":
        return None
    try:
        return read_objects(str(settings.json_path))
    except (InvalidInput, OSError):
        return None


def _former_documents(session: Session) -> list[Unreadable]:
    """Return the unreadable documents that are pending or running: only these could be due."""
    return [
        document
        for status in (Status.PENDING, Status.RUNNING)
        for document in session.jobs.list(status=status, with_subscriptions=True)
        if isinstance(document, Unreadable)
    ]


def _print_found(session: Session, found: Sequence[Job | Unreadable], now: datetime, *, as_json: bool) -> None:
    due = [job for job in found if isinstance(job, Unreadable) or _is_to_run(job, now)]
    _print_due(session, due, now, as_json=as_json)
    if len(found) == PAGE:
        warn(f"there may be more: these are the first {PAGE}")
    unhandled = {job.job_type for job in due if isinstance(job, Job)} - session.handlers.keys()
    if unhandled:
        warn(f"no handler for {', '.join(sorted(unhandled))} is registered here; {ADD_HANDLER}")


def _print_former(
    session: Session, conversion: Conversion, items: Sequence[ImportItem], *, command: str, as_json: bool
) -> None:
    """Print what would be due after `command`, and on stderr its remarks."""
    now = conversion.now
    report = ImportReport(now=now, job_types=conversion.job_types)
    due: list[Job] = []
    for item in report.importable(items):
        report.count(item, Won(item.after))
        if isinstance(item.after, Job) and item.after.is_due(now + OUTLOOK):
            due.append(item.after)
    for refused in report.refused:
        click.echo(f"not imported: {refused}", err=True)
    due.sort(key=lambda job: (job.ready_at or now, job.id))
    _print_due(session, due, now, as_json=as_json)
    for remark in report.unhandled_remarks():
        click.echo(remark, err=True)
    click.echo(
        f"Checked: {len(items)}, as `watchkeeper jobs {command}` would convert them; until then no tick runs them.",
        err=True,
    )


def _print_due(session: Session, due: Sequence[Job | Unreadable], now: datetime, *, as_json: bool) -> None:
    if as_json:
        print_json_list(due)
    elif due:
        rows = [_row(session, job, now) for job in due]
        print_table(("ID", "TYPE", "WHEN", "DUE", "REMARK"), rows, expendable=("DUE", "TYPE"))
    else:
        click.echo("Nothing is due now, or within the next hour.")


def _is_to_run(job: Job, now: datetime) -> bool:
    """Return whether a job runs within the hour; one that is running now returns only if its holder dies."""
    return job.is_due(now) or job.lease_until is None


def _row(session: Session, job: Job | Unreadable, now: datetime) -> Row:
    if isinstance(job, Unreadable):
        return job.id, "", "", "", f"cannot be read and will be quarantined: {job.reason}"
    at = job.ready_at or now
    return job.id, job.job_type, distance_to_start(at, now), shown(at, session.settings.timezone), _remark(job)


def _remark(job: Job) -> str:
    if job.lease_until is not None:
        return "its holder died"
    return f"attempt {job.attempts + 1} of {job.max_attempts}" if job.attempts else ""
