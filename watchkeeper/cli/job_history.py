"""`watchkeeper jobs history`: the runs of a job, or of all, for as long as they are kept."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import click

from shared.model.entries import Entry
from shared.store.documents import entry_to_document
from shared.store.protocol import PAGE
from watchkeeper.cli.completion import complete_ids
from watchkeeper.cli.display import Row, print_table, to_json, warn
from watchkeeper.cli.listing import EXPENDABLE_OF_RUN, RUN_HEADER, json_option, run_row
from watchkeeper.parameters import Duration
from watchkeeper.session import Session

DAY = timedelta(days=1)
HEADER = ("ID", *RUN_HEADER)


@click.command("history")
@click.argument("job_id", metavar="[ID]", required=False, shell_complete=complete_ids)
@click.option("--since", type=Duration(), metavar="DURATION", help="Only runs that began within, e.g. 24h or 7d.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most N runs.")
@click.option("--failed", is_flag=True, help="Only what failed or was missed; within 24h unless --since.")
@click.option("--all", "with_subscriptions", is_flag=True, help="Subscriptions too.")
@json_option
@click.pass_obj
def show_history(
    session: Session,
    /,
    job_id: str | None,
    since: timedelta | None,
    limit: int,
    failed: bool,
    with_subscriptions: bool,
    as_json: bool,
) -> None:
    """Show the runs of a job, or of all jobs, the latest first.

    Runs are kept for SCHEDULER_HISTORY_DAYS, also those of jobs that are deleted. On Firestore each run is one read.

    \b
    Examples:
      watchkeeper jobs history report --limit 200
      watchkeeper jobs history --since 24h --failed
    """
    if failed and since is None:
        since = DAY  # where nothing failed, all that is kept would be read
    start = session.clock() - since if since is not None else None
    found = session.jobs.history(job_id, since=start, page_size=min(limit, PAGE), with_subscriptions=with_subscriptions)
    entries = list(islice((entry for entry in found if not failed or entry.run.outcome != "completed"), limit))
    if as_json:
        click.echo(to_json([_as_object(entry) for entry in entries], indent=2))
    elif entries:
        print_table(HEADER, list(_rows(session, entries)), expendable=EXPENDABLE_OF_RUN)
    else:
        click.echo("No runs found.")
    if not session.settings.history:
        warn("SCHEDULER_HISTORY_DAYS is 0 here: of each job the last ten runs are kept, see `watchkeeper jobs show ID`")


def _rows(session: Session, entries: list[Entry]) -> Iterator[Row]:
    for entry in entries:
        yield entry.job_id, *run_row(entry.run, session.settings.timezone)


def _as_object(entry: Entry) -> dict[str, Any]:
    return {**entry_to_document(entry), "execution_key": entry.execution_key}
