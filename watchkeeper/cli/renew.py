"""`watchkeeper renew`: renew subscriptions in this process as the functions do, or show their state."""

import time
from datetime import datetime
from itertools import takewhile
from typing import Any

import click

from shared.errors import RenewalFailed
from shared.model.job import Job
from shared.model.value import Status
from shared.renewals import Renewals
from shared.store.documents import Unreadable
from shared.subscriptions import PREFIX, recorded_time
from watchkeeper.cli.display import Row, print_json_list, print_table, to_json, warn
from watchkeeper.cli.running import interrupts, logs_on_stderr
from watchkeeper.session import Session
from watchkeeper.times import shown, shown_with_distance

HEADER = ("SUBSCRIPTION", "EXPIRES", "RENEWED", "REMARK")


@click.command()
@click.argument("service", type=click.Choice(["gmail", "airtable"]), required=False)
@click.option("--status", "only_status", is_flag=True, help="Renew nothing; show the state of each subscription.")
@click.option("--json", "as_json", is_flag=True, help="Write the answer, or with --status a list of jobs, as JSON.")
@click.pass_context
def renew(ctx: click.Context, service: str | None, only_status: bool, as_json: bool) -> None:
    """Renew Gmail's push watches or Airtable's webhooks once.

    It does the same as the function, in this process and with the settings of this machine. The exit code is 1 if a
    renewal failed.

    \b
    Examples:
      watchkeeper renew gmail
      watchkeeper renew --status
    """
    if only_status:
        _show(ctx.obj, service, as_json=as_json)
    elif service is None:
        raise click.UsageError("choose gmail or airtable, or --status")
    elif interrupted := _renew(ctx.obj, service, as_json=as_json):
        ctx.exit(128 + interrupted)


def _renew(session: Session, service: str, *, as_json: bool) -> int:
    """Renew and print the answer; return the number of the signal that ended it early, or 0. Raises RenewalFailed."""
    with logs_on_stderr(session.settings.log_level), interrupts() as caught:
        try:
            answer = _answer(session, service, caught)
        except RenewalFailed as exc:
            if as_json:
                click.echo(to_json(exc.answer, indent=2))
            if not caught:
                raise
            warn(str(exc))
            return caught[0]
    click.echo(to_json(answer, indent=2) if as_json else answer["message"])
    return caught[0] if caught else 0


def _answer(session: Session, service: str, caught: list[int]) -> dict[str, Any]:
    renewals = Renewals(
        session.store,
        session.settings,
        now=session.clock(),
        clock=session.clock,
        monotonic=time.monotonic,
        by=session.by,
        is_stopping=lambda: bool(caught),
    )
    # The modules of the functions, each with an SDK that nothing else here needs.
    if service == "gmail":
        from gmail_settings import GmailSettings
        from gmail_watches import renew_watches

        return renew_watches(GmailSettings.from_env(session.env), renewals)
    from airtable_settings import AirtableSettings
    from airtable_webhooks import renew_webhooks

    return renew_webhooks(AirtableSettings.from_env(session.env), renewals)


def _show(session: Session, service: str | None, *, as_json: bool) -> None:
    prefix = PREFIX + (f"{service}:" if service else "")
    following = session.jobs.list(after=prefix, with_subscriptions=True)  # ids are in order
    found = list(takewhile(lambda job: job.id.startswith(prefix), following))
    if as_json:
        print_json_list(found)
    elif found:
        print_table(HEADER, [_row(session, job) for job in found], expendable=("RENEWED",))
    else:
        click.echo("No subscriptions yet; `watchkeeper renew gmail` or `renew airtable` creates the first.")


def _row(session: Session, job: Job | Unreadable) -> Row:
    if isinstance(job, Unreadable):
        return job.id, "", "", f"cannot be read: {job.reason}"
    timezone, now = session.settings.timezone, session.clock()
    expires_at, renewed_at = (recorded_time(job.payload, name) for name in ("expires_at", "renewed_at"))
    return (
        job.id,
        shown_with_distance(expires_at, timezone, now) if expires_at else _unknown_or_never(job),
        shown(renewed_at, timezone) if renewed_at else "never",
        _remark(job, timezone, now),
    )


def _unknown_or_never(job: Job) -> str:
    return "never" if job.payload.get("expires_at", "") is None else "unknown"


def _remark(job: Job, timezone: str, now: datetime) -> str:
    if job.lease_until is not None and job.lease_until > now:
        until = shown(job.lease_until, timezone)
        return f"renewal in progress, until {until} at the latest; if it has died, run `jobs release`"
    if job.lease_until is not None:
        return "its renewal has died; renew it again"
    if job.status in (Status.PAUSED, Status.CANCELLED):
        return f"{job.status}: no alarm"
    return f"last error: {job.payload['error']}" if "error" in job.payload else ""
