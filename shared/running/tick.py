"""One tick: find what is due, and run it or hand it over, until nothing is due or the time is spent."""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.errors import InvalidSettings
from shared.handlers import Handler, Handlers
from shared.model.job import Job
from shared.running.backlog import Backlog
from shared.running.report import TickReport
from shared.running.runner import Runner
from shared.running.tasks import Tasks
from shared.running.write import log
from shared.settings import Settings
from shared.store.protocol import Store

MARGIN = timedelta(seconds=10)


def longest_in_tick(settings: Settings) -> timedelta:
    """Return how long a handler may run in a tick: one that begins at the end of the budget must still be stored."""
    return settings.function_timeout - settings.budget - MARGIN


def check_limits(settings: Settings, handlers: Handlers) -> None:
    """Refuse limits that do not fit into one call: budget + longest handler + 10 s <= the function's timeout.

    Handlers with a queue are left out: see `where_it_runs`. Raises InvalidSettings, naming the handler and the figures.
    """
    most = longest_in_tick(settings)
    own = [handler for handler in handlers.values() if handler.queue is None]
    longest = max(own, key=lambda handler: handler.timeout)
    if longest.timeout > most:
        raise InvalidSettings(
            f"SCHEDULER_TICK_BUDGET_SECONDS ({settings.budget.total_seconds():.0f}) + the limit of {longest.job_type}, "
            f"the longest handler ({longest.timeout.total_seconds():.0f}) + {MARGIN.total_seconds():.0f} s exceed the "
            f"function's timeout of {settings.function_timeout.total_seconds():.0f} s: lower one, raise the timeout, "
            "or register the handler with a queue"
        )


def where_it_runs(settings: Settings, handler: Handler) -> str:
    """Return where the jobs of a handler with a queue run, and for how long; "" for any other handler."""
    if handler.queue is None:
        return ""
    if settings.queues.full_name(handler.queue) is not None:
        return f"off the tick, in queue {handler.queue}, for {handler.timeout.total_seconds():.0f} s at most"
    most = min(handler.timeout, longest_in_tick(settings)).total_seconds()
    return f"in the tick, for {most:.0f} s at most, since TASK_QUEUES does not name queue {handler.queue}"


def claim_rule(handlers: Handlers, settings: Settings) -> Callable[[Job, datetime, str], Job]:
    """Return how a tick claims a due job: to run it, to hand it over, or to ask for the task that it waits for."""

    def claim(job: Job, now: datetime, token: str) -> Job:
        handler = handlers.get(job.job_type)
        queue = handler.queue if handler is not None and settings.queues.full_name(handler.queue) else None
        if queue is not None and job.queue == queue:
            # It has not begun. Its task may still wait in a long queue, so it is not lost: keep the token.
            return job.renew(now=now, lease=settings.lease)
        return job.claim(now=now, token=token, lease=settings.lease, retention=settings.retention, queue=queue)

    return claim


def run_tick(
    store: Store,
    handlers: Handlers,
    *,
    settings: Settings,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
    tasks: Tasks | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    end_process: Callable[[], None] = lambda: None,
) -> TickReport:
    """Run what is due and report what was done; see `Runner` for the clocks.

    `end_process` is called when a thread was left behind that may still act. A failing job never fails the tick. Raises
    StoreUnavailable when the store could not be read, or results could not be stored.
    """
    log.info("Running scheduler tick", extra={"fields": {"action": "tick_started"}})

    runner = Runner(
        store,
        handlers,
        Backlog(store, clock() + min(settings.lookahead, settings.budget)),
        claim=claim_rule(handlers, settings),
        longest=longest_in_tick(settings),
        tasks=tasks or Tasks(settings.queues),
        settings=settings,
        clock=clock,
        monotonic=monotonic,
        is_stopping=is_stopping,
    )
    try:
        runner.run()
    finally:
        fields = {"action": "tick_completed", **runner.report.metrics()}
        log.info("Scheduler tick completed", extra={"fields": fields})
        if runner.report.threads_left_behind:
            end_process()
    return runner.report
