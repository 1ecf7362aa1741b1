"""Shell completion of job ids and job types. It runs with every press of the tab key."""

from collections.abc import Callable, Sequence
from itertools import islice, takewhile

import click

from shared.errors import WatchkeeperError
from shared.subscriptions import CHECK
from watchkeeper.session import Session, open_session

MOST_OFFERED = 50  # also the number of documents that are read


def complete_ids(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the ids of jobs that begin like this."""

    def ids(session: Session) -> Sequence[str]:
        following = session.jobs.list(after=begun, page_size=MOST_OFFERED, with_subscriptions=True)  # ids are in order
        found = takewhile(lambda job: job.id.startswith(begun), following)
        return [job.id for job in islice(found, MOST_OFFERED)]

    return _offered(ctx, ids)


def complete_types(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """Return the job types that begin like this, of those that have a handler here."""
    return _offered(
        ctx, lambda session: sorted(name for name in session.handlers.keys() - {CHECK} if name.startswith(begun))
    )


def _offered(ctx: click.Context, find: Callable[[Session], Sequence[str]]) -> list[str]:
    try:
        # A shell that completes does not run the group, which opens the session.
        return list(find(ctx.find_object(Session) or open_session()))
    except (WatchkeeperError, OSError):
        return []  # the command itself will say what is wrong
