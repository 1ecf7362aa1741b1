"""One delivery by Cloud Tasks: run the job that a tick has handed over, if it still waits for this delivery.

Cloud Tasks delivers at least once, and late. Of all deliveries of one hand-over the first begins the job, with a
conditional write that replaces the token that it came with; every other finds another token, or no lease, and does
nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.errors import NotBegun
from shared.handlers import Handlers
from shared.model.job import Job
from shared.running.backlog import Due
from shared.running.report import TickReport
from shared.running.runner import Runner
from shared.running.tasks import Tasks
from shared.running.write import log
from shared.settings import Settings
from shared.store.protocol import Store

MARGIN = timedelta(seconds=10)


class DeliveredJob:
    """The one job of a delivery as a source for a runner: it is handed out if it waits under this token."""

    def __init__(self, store: Store, job_id: str, token: str) -> None:
        self._store = store
        self._job_id = job_id
        self._token = token
        self.documents = 0
        self.jobs = 0
        self.has_waiting = False
        self.is_settled = False  # the job was begun, or no longer waits for this delivery

    def take(self, most: int, now: datetime, *, elapsed: timedelta, is_idle: bool) -> list[Due]:
        """Return the job, until the delivery is settled. Raises StoreUnavailable."""
        if self.is_settled:
            return []
        self.documents += 1
        found = self._store.get([self._job_id]).get(self._job_id)
        if not isinstance(found, Job) or not found.waits_for(self._token):
            self.is_settled = True
            return []
        self.jobs += 1
        return [found]

    def note(self, won: list[Due], lost: int) -> None:
        """Record the result of the claim. After a loss the job is read again.

        Another delivery has begun it, or it still waits: a person has edited it, or a tick has extended its lease.
        """
        self.is_settled |= bool(won)

    def is_exhausted(self, now: datetime) -> bool:
        """Return whether the delivery is settled."""
        return self.is_settled


def begin_rule(settings: Settings) -> Callable[[Job, datetime, str], Job]:
    """Return how a delivery claims its job: with a token of its own, so that no other delivery can begin it."""
    return lambda job, now, token: job.begin(now=now, token=token, lease=settings.lease)


def run_delivered(
    store: Store,
    handlers: Handlers,
    job_id: str,
    token: str,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
    is_stopping: Callable[[], bool] = lambda: False,
    end_process: Callable[[], None] = lambda: None,
) -> TickReport:
    """Run the job, and report the result; see `run_tick` for the arguments.

    Raises NotBegun if the call had to end before the job began, and StoreUnavailable. A later delivery can begin the
    job; if it has begun, that delivery finds nothing to do.
    """
    delivery = DeliveredJob(store, job_id, token)
    runner = Runner(
        store,
        handlers,
        delivery,
        claim=begin_rule(settings),
        longest=settings.function_timeout - MARGIN,
        tasks=Tasks(settings.queues),
        settings=settings,
        clock=clock,
        monotonic=monotonic,
        is_stopping=is_stopping,
    )
    try:
        runner.run()
    finally:
        outcome = runner.report.outcome if delivery.is_settled else "not begun"
        fields = {"action": "delivery_completed", "job_id": job_id, "outcome": outcome, **runner.report.metrics()}
        log.info("Delivery of job %s: %s", job_id, outcome, extra={"fields": fields})
        if runner.report.threads_left_behind:
            end_process()
    if not delivery.is_settled:
        raise NotBegun(f"job {job_id} was not begun before this call had to end; deliver its task again")
    return runner.report
