"""What a tick stores: one conditional write, and what follows from the store's answer.

Claims, results, renewals and messages about failures are all writes of this kind, so they travel in the same call.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from shared.model.job import Job
from shared.store.protocol import Change, Outcome

log = logging.getLogger("watchkeeper.tick")


class Write(NamedTuple):
    """A change to store, and what to do with the store's answer."""

    change: Change
    settle: Callable[[Outcome], None]


def log_job(
    level: int,
    action: str,
    job: Job,
    says: str,
    exception: BaseException | None = None,
    *,
    trace: str | None = None,
) -> None:
    """Log a line about the job: `Job ID`, then the text; `trace` is where its handler failed."""
    fields = {"action": action, **job.log_context(), **({"trace": trace} if trace else {})}
    log.log(level, "Job %s %s", job.id, says, exc_info=exception, extra={"fields": fields})
