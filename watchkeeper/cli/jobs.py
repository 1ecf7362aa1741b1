"""`watchkeeper jobs`: create, edit and manage jobs; `listing` shows them, `transfer` moves them in bulk."""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import click

from shared.errors import WatchkeeperError
from shared.jobs import UnknownJobType
from shared.model.definition import Misfire
from shared.model.job import Job
from shared.model.recurrence import load_timezone
from shared.model.schedule import FOREVER
from shared.model.value import Status
from shared.store.protocol import PAGE
from watchkeeper.cli.completion import complete_ids, complete_types
from watchkeeper.cli.display import tracked, warn
from watchkeeper.cli.job_history import show_history
from watchkeeper.cli.job_logs import show_logs
from watchkeeper.cli.job_watch import watch_jobs
from watchkeeper.cli.listing import list_jobs, next_run, show_job
from watchkeeper.cli.transfer import export_jobs, import_jobs, upgrade_jobs
from watchkeeper.parameters import Dates, Duration, End, Moment, Payload
from watchkeeper.session import Session
from watchkeeper.times import LATE_AFTER, place

Command = Callable[..., Any]
Name = Literal["pause", "resume", "cancel", "run", "retry"]
# The states in which a command has nothing left to do.
DONE_ALREADY: Mapping[Name, Collection[Status]] = {
    "cancel": (Status.CANCELLED,),
    "pause": (Status.PAUSED,),
    "resume": (Status.PENDING, Status.RUNNING),
}


@click.group()
def jobs() -> None:
    """Create, inspect and manage jobs."""


for part in (list_jobs, show_job, show_history, show_logs, watch_jobs, import_jobs, export_jobs, upgrade_jobs):
    jobs.add_command(part)

ids_argument = click.argument("job_ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_ids)


def definition_options(command: Command) -> Command:
    """Add the options that define a job to a command."""
    options = (
        click.option("--payload", type=Payload(), help="The input of its handler: a JSON object, @FILE or @-."),
        click.option("--at", type=Moment(), help="When it runs; without an offset, in --timezone."),
        click.option("--in", "delay", type=Duration(), help="When it runs, from now: 90s, 20m, 1h30m, 2d."),
        click.option("--cron", help='A recurring schedule: five fields such as "0 9 * * 1-5", or @daily.'),
        click.option(
            "--every",
            metavar="INTERVAL",
            help="A recurring interval: 90m, 13h (elapsed time), 6d, 2w (same clock time).",
        ),
        click.option(
            "--until",
            type=End(),
            metavar="ISO|never",
            help="Its end, for --cron and --every; exclusive. never: no end.",
        ),
        click.option(
            *("--except", "except_dates"),
            type=Dates(),
            metavar="DATES|none",
            help="Its days off: 2026-12-24,2026-12-25. none: no day off.",
        ),
        click.option("--timezone", help="IANA time zone of these.  [default: the job's, SCHEDULER_TIMEZONE]"),
        click.option(
            "--misfire",
            type=click.Choice([rule.value for rule in Misfire]),
            help="Of missed occurrences, run the newest (coalesce, the default), or none that is too late (skip).",
        ),
        click.option(
            "--grace",
            type=Duration(),
            help="How late is too late, at least 1m; implies --misfire skip.  [default: 10m]",
        ),
        click.option(
            "--pause-after-failures",
            type=click.IntRange(0, 1000),
            metavar="N",
            help="Pause it after N runs in a row that were given up. 0: never, the default.",
        ),
        click.option(
            "--max-attempts", type=click.IntRange(1, 100), help="How often a failing run is tried.  [default: 3]"
        ),
        click.option("--space", help='Its Chat space, which gets failure messages. "": none.'),
    )
    for option in reversed(options):
        command = option(command)
    return command


@jobs.command("add")
@click.argument("job_type", metavar="TYPE", shell_complete=complete_types)
@click.option("--id", help="Its id; repeated calls then create it once.  [default: a new id]")
@definition_options
@click.option("--replace", is_flag=True, help="Change the job with this id if its definition differs.")
@click.option("--allow-unknown", is_flag=True, help="Also add a job of a type that no handler is registered for here.")
@click.pass_obj
def add_job(session: Session, /, job_type: str, allow_unknown: bool, **options: Any) -> None:
    """Schedule a one-shot or a recurring job.

    Without a time it runs with the next tick, or at once while `make run` is up. With --cron or --every, --at or --in
    is the start; --every without one starts now. With --id you can repeat the call: the same definition changes
    nothing; a different one is refused, or with --replace applied, and the history is kept.

    \b
    Examples:
      watchkeeper jobs add log --payload '{"message": "hello"}' --in 20m
      watchkeeper jobs add http_request --id report --payload @report.json --cron "0 9 * * 1-5"
      watchkeeper jobs add log --every 6d --at 2026-12-01T09:00 --until 2027-02-01T00:00 --except 2026-12-24,2026-12-25
    """
    definition = _definition(session, options, session.settings.timezone)
    if job_type not in session.handlers and not allow_unknown:
        _ask_about_type(job_type, session.handlers)
    scheduled = session.checked_jobs.schedule(job_type, by=session.by, **definition)
    if not scheduled.job.is_recurring and definition.get("at", FOREVER) < session.clock() - LATE_AFTER:
        warn("that time has passed, so it runs with the next tick")
    click.echo(f"job {scheduled.job.id}: {scheduled.outcome}, {_state(session, scheduled.job)}")


def _ask_about_type(job_type: str, known: Collection[str]) -> None:
    """Ask whether to add a job that nothing here can run: a typing mistake, or its handler is elsewhere."""
    unknown = str(UnknownJobType(job_type, known))
    if not sys.stdin.isatty():
        raise WatchkeeperError(f"{unknown}; or add it anyway with --allow-unknown")
    if not click.confirm(f"{unknown}. Add it anyway?", err=True):
        raise WatchkeeperError("nothing was added")


@jobs.command("edit")
@click.argument("job_id", metavar="ID", shell_complete=complete_ids)
@definition_options
@click.pass_obj
def edit_job(session: Session, /, job_id: str, **options: Any) -> None:
    """Change what a job does, or when.

    Everything else stays, also the history. A new time starts a new occurrence, and makes a finished job pending again.
    A new --cron or --every takes the place of both, and starts from now, or from a start that is still to come, unless
    --at or --in is given; --at or --in alone turns a recurring job into a one-shot job. Remove the end with --until
    never, days off with --except none, the limit with --pause-after-failures 0, a grace with --misfire coalesce or
    --grace 10m.

    \b
    Examples:
      watchkeeper jobs edit report --cron "30 8 * * 1-5"
      watchkeeper jobs edit report --except 2026-12-24,2026-12-25
    """
    if all(value is None for value in options.values()):
        raise click.UsageError("Nothing to change: give at least one option.")
    zone = options["timezone"] or session.jobs.get(job_id).timezone or session.settings.timezone
    changes = _definition(session, options, zone)
    _report(session, session.checked_jobs.edit(job_id, by=session.by, **changes))


def _definition(session: Session, options: dict[str, Any], zone: str) -> dict[str, Any]:
    """Return the options that were set, under the names of the Python interface; naive times are in `zone`."""
    given = {name: value for name, value in options.items() if value is not None}
    if "at" in given and "delay" in given:
        raise click.UsageError("Give --at or --in, not both.")
    if "cron" in given and "every" in given:
        raise click.UsageError("Give --cron or --every, not both.")
    if "timezone" in given:
        load_timezone(given["timezone"])
    for name in ("at", "until"):
        if given.get(name, FOREVER) != FOREVER:
            given[name] = place(given[name], given.get("timezone") or zone)
    if "grace" in given:
        given.setdefault("misfire", Misfire.SKIP.value)
    if "delay" in given:
        given["at"] = session.clock() + given.pop("delay")
    return given


def _command(name: Name, says: str) -> None:
    @jobs.command(name, help=f"{says}\n\n\b\nExample:\n  watchkeeper jobs {name} report")
    @ids_argument
    @click.pass_obj
    def command(session: Session, job_ids: Sequence[str]) -> None:
        _command_all(session, name, job_ids)


def _command_all(session: Session, name: Name, job_ids: Sequence[str]) -> None:
    """Carry out a command on the jobs, many in one call, and report on each."""
    _in_chunks(job_ids, "Changing jobs", lambda chunk: _command_chunk(session, name, chunk))


def _in_chunks(job_ids: Sequence[str], what: str, act: Callable[[Sequence[str]], bool]) -> None:
    """Apply a function to some jobs at a time; continue after one that returns False, and end with exit code 1."""
    ids = list(dict.fromkeys(job_ids))
    chunks = [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]
    done = [act(chunk) for chunk in tracked(chunks, what)]
    if not all(done):
        raise SystemExit(1)


def _command_chunk(session: Session, name: Name, job_ids: Sequence[str]) -> bool:
    """Return whether all that was asked for is so: what a repeated command refuses is done already, and no error."""
    refused = session.jobs.command_all(name, job_ids, by=session.by)
    found = session.jobs.look_up(job_ids)
    is_well = True
    for job_id in job_ids:
        job, reason = found.get(job_id), refused.get(job_id)
        if isinstance(job, Job) and (reason is None or job.status in DONE_ALREADY.get(name, ())):
            click.echo(f"job {job_id}: {'already ' if reason else ''}{_state(session, job)}")
        else:
            is_well = False
            _report_refusal(job_id, reason or f"there is no job {job_id}")
    return is_well


_command("cancel", "Cancel jobs for good. A run in progress continues, and the history records it.")
_command("pause", "Pause jobs until they are resumed. A run in progress continues.")
_command("run", "Run jobs with the next tick, whatever their time. The regular occurrences are kept.")


@jobs.command("release")
@ids_argument
@click.pass_obj
def release_jobs(session: Session, job_ids: Sequence[str]) -> None:
    """End the lease of jobs whose run is stuck. A late result of that run is refused.

    \b
    Example:
      watchkeeper jobs release report
    """
    _each(job_ids, lambda job_id: _report(session, session.jobs.release(job_id, by=session.by)))


@jobs.command("retry")
@click.argument("job_ids", nargs=-1, metavar="ID...", shell_complete=complete_ids)
@click.option("--all", "every", is_flag=True, help="All failed jobs, instead of some IDs.")
@click.option("--type", "job_type", help="With --all: those of this type.", shell_complete=complete_types)
@click.pass_obj
def retry_jobs(session: Session, job_ids: Sequence[str], every: bool, job_type: str | None) -> None:
    """Retry failed jobs with the next tick, with all their attempts.

    \b
    Examples:
      watchkeeper jobs retry report
      watchkeeper jobs retry --all --type http_request
    """
    if bool(job_ids) == every or (job_type and not every):
        raise click.UsageError("Give the ids of jobs, or --all (optionally with --type).")
    if every:
        failed = session.jobs.list(status=Status.FAILED)
        job_ids = [job.id for job in failed if isinstance(job, Job) and job_type in (None, job.job_type)]
        if not job_ids:
            click.echo(f"No failed jobs{f' of type {job_type}' if job_type else ''} found.")
    _command_all(session, "retry", job_ids)


@jobs.command("resume")
@ids_argument
@click.option("--catch-up", is_flag=True, help="Also run the newest occurrence that fell due meanwhile.")
@click.pass_obj
def resume_jobs(session: Session, job_ids: Sequence[str], catch_up: bool) -> None:
    """Resume paused jobs.

    A recurring job continues with its next future occurrence, another with the occurrence that it had.

    \b
    Example:
      watchkeeper jobs resume report
    """
    if catch_up:
        resume = partial(session.jobs.resume, by=session.by, catch_up=True)
        _each(job_ids, lambda job_id: _report(session, resume(job_id)))
    else:
        _command_all(session, "resume", job_ids)


@jobs.command("delete")
@ids_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete_jobs(session: Session, job_ids: Sequence[str], yes: bool) -> None:
    """Delete jobs that are not running. Their runs stay in `jobs history` until they expire.

    \b
    Example:
      watchkeeper jobs delete report --yes
    """
    if not yes and not click.confirm(f"Delete {', '.join(job_ids)}?", err=True):
        raise WatchkeeperError("nothing was deleted")
    _in_chunks(job_ids, "Deleting jobs", lambda chunk: _delete_chunk(session, chunk))


def _delete_chunk(session: Session, job_ids: Sequence[str]) -> bool:
    """Return whether all were deleted."""
    refused = session.jobs.delete_all(job_ids)
    for job_id in job_ids:
        if job_id in refused:
            _report_refusal(job_id, refused[job_id])
        else:
            click.echo(f"job {job_id}: deleted")
    return not refused


def _report_refusal(job_id: str, reason: str) -> None:
    click.echo(f"error: {reason if f'job {job_id}' in reason else f'job {job_id}: {reason}'}", err=True)


def _each(job_ids: Sequence[str], act: Callable[[str], None]) -> None:
    """Apply a function to each job; continue after an error."""
    has_failed = False
    for job_id in job_ids:
        try:
            act(job_id)
        except WatchkeeperError as exc:
            has_failed = True
            click.echo(f"error: {exc}", err=True)
    if has_failed:
        raise SystemExit(1)


def _report(session: Session, job: Job) -> None:
    click.echo(f"job {job.id}: {_state(session, job)}")


def _state(session: Session, job: Job) -> str:
    return ", ".join(part for part in (job.status, next_run(session, job)) if part)
