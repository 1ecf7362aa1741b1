"""`watchkeeper doctor`: checks an installation, or a deployment, and shows the remedy for each fault."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import click

from shared.errors import InvalidSettings, StoreUnavailable
from shared.model.job import Job
from shared.model.value import Status
from shared.running.tick import check_limits, where_it_runs
from shared.store.documents import Unreadable
from watchkeeper.findings import Finding, chat_findings, place_of_jobs
from watchkeeper.session import ADD_HANDLER, Session
from watchkeeper.times import span

SUSPECT_CLOCK = timedelta(seconds=5)
WRONG_CLOCK = timedelta(seconds=30)
NAMED = 5  # so many of a kind are named in a line

STYLES = {"ok": "green", "warning": "yellow", "wrong": "red"}


@click.command()
@click.option("--project", help="Examine the deployment in this Google Cloud project.")
@click.option("--region", help="The region of the deployment.")
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="The settings file of the deployment.  [default: .env in the project's folder, if it exists]",
)
@click.option("--only", multiple=True, help="A function of the deployment; can be repeated.  [default: all]")
@click.pass_context
def doctor(
    ctx: click.Context, project: str | None, region: str | None, file: Path | None, only: tuple[str, ...]
) -> None:
    """Examine this installation: settings, store, handlers, limits and clock; or a deployment.

    Each fault is shown with its remedy, and the exit code is then 1. doctor reads the whole store, to count its jobs.

    With --project it examines a deployment instead, and changes nothing. It uses gcloud, with the account that is
    signed in there, to check APIs, service accounts, roles, the Firestore database, secrets, functions and their
    settings, who may call them, Gmail's topic and the Scheduler jobs. It uses application default credentials to check
    the subscriptions of the mailboxes and bases in the settings file.

    \b
    Examples:
      watchkeeper doctor
      watchkeeper doctor --project my-project --region us-central1 --settings ../prod.env
    """
    if project and region:
        from watchkeeper.deploy.examination import examine_deployment

        findings = examine_deployment(ctx.obj, project=project, region=region, file=file, only=only)
    elif project or region or file or only:
        raise click.UsageError("to examine a deployment, give both --project and --region")
    else:
        findings = examine(ctx.obj)
    is_well = True
    for finding in findings:
        is_well = is_well and finding.state != "wrong"
        click.echo(
            f"{click.style(f'{finding.state:<8}', fg=STYLES[finding.state])} {finding.subject:<9} {finding.says}"
        )
    ctx.exit(0 if is_well else 1)


def examine(session: Session) -> Iterator[Finding]:
    """Yield the findings one by one; skip the checks that are not possible after a fault."""
    try:
        settings = session.settings
    except InvalidSettings as exc:
        yield Finding("wrong", "settings", str(exc))
        return
    source = f"from {session.settings_file}; " if session.settings_file else ""
    place = place_of_jobs(settings, session.env.get("FIRESTORE_EMULATOR_HOST", ""))
    yield Finding("ok", "settings", f"{source}{place}")
    yield from chat_findings(session.env.get("CHAT_AUTH", "").strip())
    try:
        documents = list(session.jobs.list(with_subscriptions=True))
    except StoreUnavailable as exc:
        yield Finding("wrong", "store", str(exc))
        yield from _handlers(session, [])
        return
    yield from _store(documents)
    yield from _handlers(session, documents)
    yield _clock(session)


def _store(documents: Sequence[Job | Unreadable]) -> Iterator[Finding]:
    counts = Counter(job.status for job in documents if isinstance(job, Job))
    by_status = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
    yield Finding("ok", "store", f"it can be read: {by_status or 'no jobs'}")
    if unreadable := [job for job in documents if isinstance(job, Unreadable)]:
        remedy = "repair them if need be, then run `watchkeeper jobs upgrade`"
        yield Finding("wrong", "store", f"{len(unreadable)} cannot be read ({_named(unreadable)}); {remedy}")


def _handlers(session: Session, documents: Sequence[Job | Unreadable]) -> Iterator[Finding]:
    try:
        handlers = session.handlers
    except InvalidSettings as exc:
        yield Finding("wrong", "handlers", str(exc))
        return
    yield Finding("ok", "handlers", f"registered: {', '.join(sorted(handlers))}")
    waiting = (Status.PENDING, Status.RUNNING, Status.PAUSED)
    types = Counter(job.job_type for job in documents if isinstance(job, Job) and job.status in waiting)
    if unhandled := [f"{job_type} (jobs: {types[job_type]})" for job_type in sorted(types.keys() - handlers.keys())]:
        yield Finding("wrong", "handlers", f"no handler for {', '.join(unhandled)}; {ADD_HANDLER}")
    try:
        check_limits(session.settings, handlers)
    except InvalidSettings as exc:
        yield Finding("wrong", "limits", str(exc))
    else:
        yield Finding("ok", "limits", "budget and longest handler fit into the function's timeout")
    for handler in handlers.values():
        if place := where_it_runs(session.settings, handler):
            yield Finding("ok", "queues", f"by the settings here, {handler.job_type} jobs run {place}")


def _clock(session: Session) -> Finding:
    before = session.clock()
    try:
        there = session.store.now()
    except StoreUnavailable as exc:
        return Finding("wrong", "clock", str(exc))
    after = session.clock()
    # The store looked at its clock at some moment between the two.
    off = max(there - after, before - there, timedelta())
    if off <= SUSPECT_CLOCK:
        return Finding("ok", "clock", "it agrees with the store's")
    state = "wrong" if off > WRONG_CLOCK else "warning"
    return Finding(state, "clock", f"it is {span(off)} away from the store's; synchronise it (NTP)")


def _named(documents: Sequence[Unreadable]) -> str:
    names = [document.id for document in documents[:NAMED]]
    return ", ".join(names if len(documents) <= NAMED else [*names, "..."])
