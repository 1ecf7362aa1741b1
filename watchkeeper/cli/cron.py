"""`watchkeeper cron`: when an expression matches, before you make a job of it."""

from datetime import datetime

import click

from shared.model.recurrence import Recurrence, load_timezone, oddities
from shared.model.times import iso
from shared.model.wording import clock_change, in_words, occurrences
from watchkeeper.cli.display import print_table, to_json, warn
from watchkeeper.parameters import Moment
from watchkeeper.session import Session
from watchkeeper.times import place, shown


# An expression may begin with a hyphen: what is wrong with it is for the expression to say, not for the options.
@click.command("cron", context_settings={"ignore_unknown_options": True})
@click.argument("expression", metavar="EXPR")
@click.option("--timezone", help="IANA time zone of the expression.  [default: SCHEDULER_TIMEZONE]")
@click.option("--from", "start", type=Moment(), help="Start at this time, in the same time zone.  [default: now]")
@click.option("--count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many to list.")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON list of UTC times.")
@click.pass_obj
def show_cron(
    session: Session, expression: str, timezone: str | None, start: datetime | None, count: int, as_json: bool
) -> None:
    """Show EXPR in words, and list its next occurrences.

    EXPR has five fields (minute, hour, day of month, month, day of week) or is a name such as @daily. Days on which
    the clocks change are marked.

    \b
    Example:
      watchkeeper cron "30 2 * * *" --timezone Europe/Berlin --from 2026-03-28 --count 3
    """
    timezone = timezone or session.settings.timezone
    begin = session.clock() if start is None else place(start, timezone)
    moments = list(occurrences(Recurrence(expression, timezone), begin, count))
    if as_json:
        click.echo(to_json([iso(moment) for moment in moments]))
        return
    if words := in_words(expression):
        click.echo(f"{words} ({timezone})")
    for oddity in oddities(expression):
        warn(oddity)
    print_table(("", "", ""), [_row(moment, timezone) for moment in moments])


def _row(moment: datetime, timezone: str) -> tuple[str, str, str]:
    local = moment.astimezone(load_timezone(timezone))
    return shown(moment, timezone), f"{local:%A}", clock_change(local)
