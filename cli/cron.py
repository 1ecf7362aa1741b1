"""`watchkeeper cron`: when an expression comes, before a job is made of it."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta

import click

from cli.display import print_table, to_json
from cli.parameters import Moment
from cli.session import Session
from cli.times import place, shown
from shared.job import iso
from shared.recurrence import Recurrence, load_timezone


@click.command("cron")
@click.argument("expression", metavar="EXPR")
@click.option("--timezone", help="IANA name of the clocks that it is read on.  [default: SCHEDULER_TIMEZONE]")
@click.option("--from", "start", type=Moment(), help="Begin at this time, on the same clocks.  [default: now]")
@click.option("--count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many to list.")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON list of UTC times.")
@click.pass_obj
def show_cron(
    session: Session, expression: str, timezone: str | None, start: datetime | None, count: int, as_json: bool
) -> None:
    """Say in words when EXPR comes, and list its next occurrences.

    EXPR has five fields (minute, hour, day of month, month, day of week) or is a name such as @daily. Days on which
    the clocks change are marked.

    \b
    Example:
      watchkeeper cron "30 2 * * *" --timezone Europe/Berlin --from 2026-03-28 --count 3
    """
    timezone = timezone or session.settings.timezone
    begin = session.clock() if start is None else place(start, timezone)
    moments = list(_occurrences(Recurrence(expression, timezone), begin, count))
    if as_json:
        click.echo(to_json([iso(moment) for moment in moments]))
        return
    if words := in_words(expression):
        click.echo(f"{words} ({timezone})")
    print_table(("", "", ""), [_row(moment, timezone) for moment in moments])


def _occurrences(recurrence: Recurrence, begin: datetime, count: int) -> Iterator[datetime]:
    moment = begin - timedelta(microseconds=1)
    for _ in range(count):
        moment = recurrence.after(moment)
        yield moment


def _row(moment: datetime, timezone: str) -> tuple[str, str, str]:
    local = moment.astimezone(load_timezone(timezone))
    return shown(moment, timezone), f"{local:%A}", clock_change(local)


def clock_change(local: datetime) -> str:
    """Say how the clocks change on the day of a local time; empty on other days."""
    first = datetime.combine(local.date(), time.min, local.tzinfo)
    last = datetime.combine(local.date(), time.max, local.tzinfo).replace(fold=1)
    if first.utcoffset() == last.utcoffset():
        return ""
    return f"the clocks change on this day, from {_offset(first)} to {_offset(last)}"


def _offset(local: datetime) -> str:
    return local.isoformat(timespec="seconds")[len("2026-11-21T09:00:00") :]


def in_words(expression: str) -> str:
    """Describe a cron expression that has been checked; empty where that needs more words than there are."""
    from cron_descriptor import FormatException, Options, get_description

    if expression.strip().startswith("@"):
        return expression.strip()[1:].capitalize()
    try:
        return get_description(expression.upper(), Options(locale_code="en_GB", use_24hour_time_format=True))
    except FormatException:
        return ""
