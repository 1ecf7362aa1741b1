"""`watchkeeper tick`: one tick in this process, or a list of what it would run."""

import time

import click

from shared.running.tick import check_limits, run_tick
from watchkeeper.cli.display import print_table, to_json
from watchkeeper.cli.outlook import print_outlook
from watchkeeper.cli.running import interrupts, logs_on_stderr
from watchkeeper.session import Session


@click.command()
@click.option("--dry-run", is_flag=True, help="Run nothing; list what is due now and within the next hour.")
@click.option("--json", "as_json", is_flag=True, help="Write the metrics, or with --dry-run a list of jobs, as JSON.")
@click.pass_context
def tick(ctx: click.Context, dry_run: bool, as_json: bool) -> None:
    """Run what is due, once, in this process.

    It works on the configured store and prints the metrics. Ctrl-C stops it as the cloud does: nothing more
    starts, and claimed jobs that have not started are released. The exit code is 1 if the store is unreachable; a
    failed job does not fail the tick.

    --dry-run writes nothing. It also shows jobs of the former system as they would be after an import: in its
    jobs.json, named by SCHEDULER_JSON_PATH, or in its Firestore collection.

    \b
    Example:
      watchkeeper tick --dry-run
    """
    if dry_run:
        print_outlook(ctx.obj, as_json=as_json)
    elif interrupted := _run(ctx.obj, as_json=as_json):
        ctx.exit(128 + interrupted)


def _run(session: Session, *, as_json: bool) -> int:
    """Run the tick; return the number of the signal that ended it early, or 0."""
    settings, handlers = session.settings, session.handlers
    check_limits(settings, handlers)
    with logs_on_stderr(settings.log_level), interrupts() as caught:
        report = run_tick(
            session.store,
            handlers,
            settings=settings,
            clock=session.clock,
            monotonic=time.monotonic,
            is_stopping=lambda: bool(caught),
        )
    if as_json:
        click.echo(to_json(report.metrics(), indent=2))
    else:
        print_table(("", ""), [(name, to_json(value)) for name, value in report.metrics().items()])
    return caught[0] if caught else 0
