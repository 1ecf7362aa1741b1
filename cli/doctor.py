"""`watchkeeper doctor`: whether settings, store, handlers, limits and clock are well, and what to do if not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import click

from cli.session import ADD_HANDLER, Session
from cli.times import span
from shared.document import Unreadable
from shared.errors import InvalidSettings, StoreUnavailable
from shared.job import Job, Status
from shared.settings import Settings
from shared.tick import check_limits

SUSPECT_CLOCK = timedelta(seconds=5)
WRONG_CLOCK = timedelta(seconds=30)
NAMED = 5  # so many of a kind are named in a line

STYLES = {"ok": "green", "warning": "yellow", "wrong": "red"}


class Finding(NamedTuple):
    """One line: `state` is ok, warning or wrong; `says` is what was found, and the remedy."""

    state: str
    subject: str
    says: str


@click.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Examine settings, store, handlers, limits and clock.

    What is wrong is shown with its remedy, and the exit code is then 1. The store is read from end to end, to count
    its jobs.

    \b
    Example:
      watchkeeper doctor
    """
    is_well = True
    for finding in examine(ctx.obj):
        is_well = is_well and finding.state != "wrong"
        click.echo(
            f"{click.style(f'{finding.state:<8}', fg=STYLES[finding.state])} {finding.subject:<9} {finding.says}"
        )
    ctx.exit(0 if is_well else 1)


def examine(session: Session) -> Iterator[Finding]:
    """Give what is found, one thing after the other; what cannot be examined any more is left out."""
    try:
        settings = session.settings
    except InvalidSettings as exc:
        yield Finding("wrong", "settings", str(exc))
        return
    yield Finding("ok", "settings", _place(settings, session.env.get("FIRESTORE_EMULATOR_HOST", "")))
    try:
        documents = list(session.jobs.list(with_subscriptions=True))
    except StoreUnavailable as exc:
        yield Finding("wrong", "store", str(exc))
        yield from _handlers(session, [])
        return
    yield from _store(documents)
    yield from _handlers(session, documents)
    yield _clock(session)


def _place(settings: Settings, emulator: str) -> str:
    if settings.storage == "json":
        return f"jobs are kept in {settings.json_path}"
    where = f"the emulator at {emulator}" if emulator else f"project {settings.project or 'of the credentials'}"
    return f"jobs are kept in Firestore, {where}, database {settings.database}, collection {settings.collection}"


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
    yield Finding("ok", "handlers", f"there are {', '.join(sorted(handlers))}")
    waiting = (Status.PENDING, Status.RUNNING, Status.PAUSED)
    types = Counter(job.job_type for job in documents if isinstance(job, Job) and job.status in waiting)
    if unhandled := [f"{job_type} (jobs: {types[job_type]})" for job_type in sorted(types.keys() - handlers.keys())]:
        yield Finding("wrong", "handlers", f"there is none for {', '.join(unhandled)}; {ADD_HANDLER}")
    try:
        check_limits(session.settings, handlers)
    except InvalidSettings as exc:
        yield Finding("wrong", "limits", str(exc))
    else:
        yield Finding("ok", "limits", "budget and longest handler fit into the function's timeout")


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
