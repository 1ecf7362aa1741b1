"""`watchkeeper jobs import`, `upgrade` and `export`: jobs in bulk, into the store, within it, and out of it."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import click

from shared.errors import InvalidInput, StoreUnavailable, WatchkeeperError
from shared.store.documents import Unreadable
from shared.store.private_files import create_private
from shared.store.protocol import PAGE, Change, Lost, Outcome, Store, Unknown, Won
from watchkeeper.cli.display import as_stored, json_lines, print_table, tracked, warn_of_unreadable, write_pieces
from watchkeeper.cli.import_report import ImportReport
from watchkeeper.cli.importing import Conversion, ImportItem
from watchkeeper.session import Session

# How many jobs are stored at a time, and how many times at once: a call to Firestore takes 500 and waits for the
# network; the JSON store writes its whole file each time.
CHUNKS = {"json": (20_000, 1), "firestore": (PAGE, 4)}

dry_run_option = click.option("--dry-run", is_flag=True, help="Report what would be done, and write nothing.")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@dry_run_option
@click.pass_obj
def import_jobs(session: Session, file: str, dry_run: bool) -> None:
    """Import the jobs of FILE (- is standard input).

    FILE is a JSON list: the jobs.json of the former system (times without a zone are UTC), or the output of
    `jobs export`. A job whose id already exists is not changed, so you can repeat an import. Jobs without a handler are
    imported paused. If a job cannot be imported, its reason is shown, the others are imported, and the exit code
    is 1.

    \b
    Example:
      watchkeeper jobs import jobs.json --dry-run
    """
    objects = read_objects(file)
    if not objects:
        click.echo(f"{file} holds no jobs; nothing was done.")
        return
    conversion = conversion_of(session)
    _import(session, conversion, conversion.from_file(objects), dry_run=dry_run)


@click.command("upgrade")
@dry_run_option
@click.pass_obj
def upgrade_jobs(session: Session, dry_run: bool) -> None:
    """Convert stored documents that cannot be read as jobs.

    These are documents of the former system, and documents that a tick quarantined and a person repaired since. They
    are changed in place; unknown fields stay. You can repeat it, also while ticks run. If a document cannot be
    converted, its reason is shown, it stays as it is, and the exit code is 1.

    \b
    Example:
      watchkeeper jobs upgrade --dry-run
    """
    found = session.jobs.list(with_subscriptions=True)
    unreadable = [document for document in found if isinstance(document, Unreadable)]
    if not unreadable:
        click.echo("Every job can be read; there is nothing to upgrade.")
        return
    conversion = conversion_of(session)
    _import(session, conversion, [conversion.from_store(document) for document in unreadable], dry_run=dry_run)


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.pass_obj
def export_jobs(session: Session, file: Path | None, force: bool) -> None:
    """Write all jobs as a JSON list to FILE.

    Without FILE, or with "-", it writes to standard output. Unreadable documents are written unchanged, so that nothing
    is lost; `jobs import` imports those that it can convert, and lists the others.

    \b
    Example:
      watchkeeper jobs export backup.json
    """
    if str(file) == "-":
        file = None
    if file is not None and file.exists() and not force:
        raise InvalidInput(f"{file} exists; choose another file, or overwrite it with --force")
    jobs = list(session.jobs.list(with_subscriptions=True))
    lines = json_lines(map(as_stored, jobs))
    if file is None:
        write_pieces(lines)
    else:
        _write_atomically(file, lines)
        click.echo(f"{file} holds {len(jobs)} jobs.")
    warn_of_unreadable(jobs)


def read_objects(file: str) -> list[Any]:
    """Read a JSON list (- is standard input). Raises InvalidInput for anything else, and OSError."""
    try:
        with click.open_file(file, "rb") as stream:
            objects = json.loads(stream.read())
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"{file} is not JSON ({exc})") from exc
    if not isinstance(objects, list):
        raise InvalidInput(
            f"{file} is JSON, but not a list of jobs such as the former jobs.json or the output of `jobs export`"
        )
    return objects


def conversion_of(session: Session) -> Conversion:
    """Return the conversion as of now, with the handlers that are registered here."""
    return Conversion(now=session.clock(), retention=session.settings.retention, job_types=session.handlers.keys())


def _import(session: Session, conversion: Conversion, items: Sequence[ImportItem], *, dry_run: bool) -> None:
    """Store all that can be imported, and report. Raises WatchkeeperError if anything was not, and StoreUnavailable."""
    report = ImportReport(now=conversion.now, job_types=conversion.job_types)
    try:
        _store(session, report.importable(items), report, dry_run=dry_run)
    finally:
        _print(report, dry_run=dry_run)
    if report.refused:
        raise WatchkeeperError(f"{len(report.refused)} of {len(items)} were not imported; see the reasons above")


def _store(session: Session, items: Sequence[ImportItem], report: ImportReport, *, dry_run: bool) -> None:
    size, at_once = CHUNKS[session.settings.storage]
    swap = partial(_foreseen, session.store) if dry_run else session.store.swap
    # An unreachable store fails a read in half the time of a write, which is asked about afterwards.
    session.store.get([item.after.id for item in items[:1]])
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    changes = [[Change(item.before, item.after) for item in chunk] for chunk in chunks]
    with ThreadPoolExecutor(at_once) as pool:
        calls = [pool.submit(swap, each) for each in changes]
        try:
            for call in tracked(calls, "Storing jobs"):
                _refuse_unknown(call.result())
        finally:
            # After a failure, or Ctrl-C, what has not begun is left out; what has is waited for, and counted.
            pool.shutdown(cancel_futures=True)
            for chunk, call in zip(chunks, calls, strict=True):
                if not call.cancelled() and call.exception() is None:
                    for item, outcome in zip(chunk, call.result(), strict=True):
                        report.count(item, outcome)


def _refuse_unknown(outcomes: Sequence[Outcome]) -> None:
    if unknown := [outcome.reason for outcome in outcomes if isinstance(outcome, Unknown)]:
        raise StoreUnavailable(f"could not store everything; repeat this for the rest: {unknown[0]}")


def _foreseen(store: Store, changes: Sequence[Change]) -> list[Outcome]:
    """Return the outcomes that a swap would have, by reading only."""
    present = store.get([change.job_id for change in changes if change.before is None])
    return [Lost() if change.job_id in present else Won(change.after) for change in changes]


def _print(report: ImportReport, *, dry_run: bool) -> None:
    for refused in report.refused:
        click.echo(f"not imported: {refused}", err=True)
    if rows := report.rows():
        print_table(("WAS", "IS NOW", "JOBS"), rows)
    for remark in report.remarks():
        click.echo(remark)
    if dry_run:
        click.echo("This was a dry run: nothing was written.")


def _write_atomically(file: Path, pieces: Iterable[str]) -> None:
    temporary = file.with_name(f".{file.name}.{token_hex(8)}")
    try:
        try:
            create_private(temporary, pieces)  # payloads may hold secrets
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise WatchkeeperError(f"{file} cannot be written ({exc.strerror})") from exc
