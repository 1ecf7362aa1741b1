"""The steps on queues of Cloud Tasks: make them, pause, resume and empty them, and show them."""

from collections.abc import Callable

import click

from watchkeeper.deploy.flags import queue_flags
from watchkeeper.deploy.functions_table import Caller, Function, Queue
from watchkeeper.deploy.operating import show
from watchkeeper.deploy.work import Work

OnFunction = Callable[[Work, Function], None]


def keep_queue(work: Work, queue: Queue) -> None:
    """Create or update a queue; whether it is paused stays as it is."""
    name, flags = work.deployment.queue(queue), (work.location, *queue_flags(queue), "--format=none")
    if work.describe_queue(queue, "(state)") is not None:
        work.gcloud.run("tasks", "queues", "update", name, *flags)
        return
    work.note("or, if the queue is there: gcloud tasks queues update, with the same flags")
    work.gcloud.run("tasks", "queues", "create", name, *flags)


def pause(work: Work, queue: Queue) -> None:
    """Pause a queue: what waits in it stays there, and what runs goes on."""
    _turn(work, queue, "pause", "PAUSED")


def resume(work: Work, queue: Queue) -> None:
    """Let a queue deliver again."""
    _turn(work, queue, "resume", "RUNNING")


def _turn(work: Work, queue: Queue, verb: str, state: str) -> None:
    name, found = work.deployment.queue(queue), work.describe_queue(queue, "(state)")
    if found is None and not work.is_dry_run:
        click.echo(f"there is no queue {name}")
    elif found != state:
        work.gcloud.run("tasks", "queues", verb, name, work.location, "--quiet", "--format=none")


def empty(work: Work, queue: Queue) -> None:
    """Delete what waits in a queue. The queue itself stays: Google would keep its name for up to a week."""
    name = work.deployment.queue(queue)
    if work.describe_queue(queue, "(state)") is None and not work.is_dry_run:
        return
    work.gcloud.run("tasks", "queues", "purge", name, work.location, "--quiet", "--format=none")
    if not work.is_dry_run:
        click.echo(f"the queue {name} is emptied, and stays: the name of a deleted one is free only after a week")


def show_queue(work: Work, queue: Queue) -> None:
    """Print the state of a queue and its limits."""
    fields = '[separator="  "](state,rateLimits.maxConcurrentDispatches,rateLimits.maxDispatchesPerSecond)'
    shown = work.describe_queue(queue, fields)
    show(work, "queue", work.deployment.queue(queue), "not there" if shown is None else shown)


def with_queues(do: OnFunction, also: Callable[[Work, Queue], None]) -> OnFunction:
    """Have a step on a function do something with each queue, too, if it is the function that Cloud Tasks calls."""

    def both(work: Work, function: Function) -> None:
        do(work, function)
        for queue in work.deployment.queues if function.called_by is Caller.TASKS else ():
            also(work, queue)

    return both
