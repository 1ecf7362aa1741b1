"""`watchkeeper doctor`: checks an installation, or a deployment, and shows the remedy for each fault."""

import sysconfig
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import click

from shared.errors import InvalidSettings, StoreUnavailable
from shared.handlers import Handlers
from shared.handlers.agent import load_agent
from shared.jobs import NOT_A_JOB
from shared.model.job import Job
from shared.model.value import Status
from shared.running.tick import check_limits, where_it_runs
from shared.settings import PROJECT_FOLDER
from shared.store.documents import Unreadable
from shared.store.protocol import Change, Refused, Store, Unknown, Won
from shared.subscriptions import PREFIX as SUBSCRIPTIONS
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.findings import Finding, chat_findings
from watchkeeper.session import ADD_HANDLER, Session, place_of_jobs
from watchkeeper.times import span

SUSPECT_CLOCK = timedelta(seconds=5)
WRONG_CLOCK = timedelta(seconds=30)
PROBE = f"{NOT_A_JOB}doctor"  # the id of the document that is written and deleted
# What a function has: its code, which is staged, and packages; requirements.in names those.
PACKAGES = tuple(sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib"))
DEPLOYED = (PROJECT_FOLDER / "agent", PROJECT_FOLDER / "shared", *map(Path, PACKAGES))
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
    """Examine this installation, or a deployment.

    It checks settings, store, handlers, limits and clock. Each fault is shown with its remedy, and the exit code is
    then 1. doctor reads the whole store, to count its jobs, and writes and deletes a document of its own, to see that
    it can.

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
    yield Finding("ok", "settings", f"{source}jobs are kept {place_of_jobs(settings, session.env)}")
    yield from chat_findings(session.env.get("CHAT_AUTH", "").strip())
    try:
        documents = list(session.jobs.list(with_subscriptions=True))
    except StoreUnavailable as exc:
        yield Finding("wrong", "store", str(exc))
        yield from _handlers(session, [])
        return
    yield from _store(session, documents)
    yield from _handlers(session, documents)
    yield _clock(session)


def _store(session: Session, documents: Sequence[Job | Unreadable]) -> Iterator[Finding]:
    jobs = [job for job in documents if isinstance(job, Job)]
    subscriptions = sum(job.id.startswith(SUBSCRIPTIONS) for job in jobs)
    counts = Counter(job.status for job in jobs if not job.id.startswith(SUBSCRIPTIONS))
    by_status = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status]) or "no jobs"
    beside = f"; and {subscriptions} subscription{'s' * (subscriptions > 1)}" if subscriptions else ""
    if problem := _write_problem(session.store, session.clock(), session.settings.retention):
        yield Finding("wrong", "store", f"it can be read, but not written ({by_status}{beside}): {problem}")
    else:
        yield Finding("ok", "store", f"it can be read and written: {by_status}{beside}")
    if unreadable := [job for job in documents if isinstance(job, Unreadable)]:
        remedy = "repair them if need be, then run `watchkeeper jobs upgrade`"
        yield Finding("wrong", "store", f"{len(unreadable)} cannot be read ({_named(unreadable)}); {remedy}")


def _write_problem(store: Store, now: datetime, retention: timedelta) -> str:
    """Return why nothing can be written, or "": whether it can is seen by doing it, whatever the kind of store."""
    # Nobody runs it or lists it, and it expires, should this process die before it is deleted.
    probe = Job.create(PROBE, "log", now=now, payload={"message": "doctor"}).cancel(now=now, retention=retention)
    try:
        present = store.get([PROBE]).get(PROBE)
        outcome = store.swap([Change(present, probe if present is None else None)])[0]
        if isinstance(outcome, Won) and outcome.job is not None:
            outcome = store.swap([Change(outcome.job, None)])[0]
    except StoreUnavailable as exc:
        return str(exc)
    return outcome.reason if isinstance(outcome, Unknown | Refused) else ""


def _handlers(session: Session, documents: Sequence[Job | Unreadable]) -> Iterator[Finding]:
    yield from _agent(session.env.get("CHAT_AGENT", "").strip())
    try:
        handlers = session.handlers
    except InvalidSettings as exc:
        yield Finding("wrong", "handlers", str(exc))
        return
    yield Finding("ok", "handlers", f"registered: {', '.join(sorted(handlers))}")
    for module in session.settings.handler_modules:
        yield from _deployed(module, "handlers")
    waiting = (Status.PENDING, Status.RUNNING, Status.PAUSED)
    types = Counter(job.job_type for job in documents if isinstance(job, Job) and job.status in waiting)
    if unhandled := [f"{job_type} (jobs: {types[job_type]})" for job_type in sorted(types.keys() - handlers.keys())]:
        yield Finding("wrong", "handlers", f"no handler for {', '.join(unhandled)}; {ADD_HANDLER}")
    yield _limits(session, handlers)
    for handler in handlers.values():
        if place := where_it_runs(session.settings, handler):
            yield Finding("ok", "queues", f"by the settings here, {handler.job_type} jobs run {place}")


def _agent(name: str) -> Iterator[Finding]:
    try:
        if load_agent(name) is not None:
            yield Finding("ok", "agent", f"CHAT_AGENT is {name}")
            yield from _deployed(name.partition(":")[0], "agent")
    except InvalidSettings as exc:
        yield Finding("wrong", "agent", str(exc))


def _deployed(module: str, subject: str) -> Iterator[Finding]:
    """Warn of a module that is found here, but is none of those that are deployed."""
    spec = find_spec(module)
    path = Path(spec.origin) if spec is not None and spec.origin is not None else None
    if path is not None and not any(path.is_relative_to(folder) for folder in DEPLOYED):
        yield Finding(
            "warning", subject, f"{module} is {path}: a deployed function has not got it; move it into the folder agent"
        )


def _limits(session: Session, handlers: Handlers) -> Finding:
    """Judge the limits by the timeout of the tick in functions.toml, which it is deployed with, unless one is set."""
    try:
        settings = session.settings
        if not session.env.get("CALL_TIMEOUT_SECONDS"):
            tick = next(function for function in read_functions({}) if function.name == "tick")
            settings = replace(settings, function_timeout=tick.timeout)
        check_limits(settings, handlers)
    except InvalidSettings as exc:
        return Finding("wrong", "limits", str(exc))
    return Finding("ok", "limits", "budget and longest handler fit into the function's timeout")


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
