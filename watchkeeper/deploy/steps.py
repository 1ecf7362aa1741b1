"""Each verb as a list of steps, in the order in which they are done. Every step may be done any number of times."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from watchkeeper.deploy import operating, queues
from watchkeeper.deploy.found import Removed
from watchkeeper.deploy.functions import deploy_function, schedule_function, stage_functions
from watchkeeper.deploy.functions_table import Caller, Function, Queue, SchedulerJob
from watchkeeper.deploy.monitoring import MONITORING
from watchkeeper.deploy.plan import show_plan
from watchkeeper.deploy.setup import SETUP
from watchkeeper.deploy.smoke import chat, queue, scheduler
from watchkeeper.deploy.work import Work

STAGING = "stage: functions"
ALL = ("setup", "functions", "schedules", "monitoring", "smoke")
# What each step of a verb is called, and what it does with a Scheduler job.
SCHEDULED: dict[str, tuple[str, Callable[[Work, Function, SchedulerJob], None]]] = {
    "schedules": ("schedule", schedule_function),
    "smoke": ("smoke", scheduler.call),
    "pause": ("pause", operating.pause),
    "resume": ("resume", operating.resume),
}
# The same with a queue.
QUEUED: dict[str, tuple[str, Callable[[Work, Queue], None]]] = {
    "schedules": ("queue", queues.keep_queue),
    "smoke": ("smoke", queue.deliver),
    "pause": ("pause", queues.pause),
    "resume": ("resume", queues.resume),
}
# The same with a function.
EACH: dict[str, tuple[str, Callable[[Work, Function], None]]] = {
    "functions": ("deploy", deploy_function),
    "status": ("status", queues.with_queues(operating.show_status, queues.show_queue)),
    "serving": ("serving", operating.show_serving),
    "rollback": ("rollback", operating.roll_back),
    "destroy": ("destroy", queues.with_queues(operating.destroy, queues.empty)),
}
VERBS = tuple(dict.fromkeys(("plan", *ALL, "all", *SCHEDULED, *EACH)))


class Step(NamedTuple):
    """One step of a verb, about one function or, with an empty name, about all."""

    verb: str
    title: str
    function: str
    do: Callable[[], None]


def steps_of(verb: str, work: Work) -> list[Step]:
    """Return the steps of a verb."""
    if verb == "plan":
        return [Step(verb, "plan: everything", "", partial(show_plan, work))]
    if verb == "all":
        # What cannot be imported is refused before the first change.
        staging = Step("setup", STAGING, "", partial(stage_functions, work))
        return [staging, *(step for each in ALL for step in steps_of(each, work) if step.title != STAGING)]
    if verb == "setup":
        return [Step(verb, f"setup: {name}", "", partial(do, work)) for name, do in SETUP.items()]
    if verb == "monitoring":
        return [Step(verb, f"apply: {name}", "", partial(do, work)) for name, do in MONITORING.items()]
    if verb in SCHEDULED:
        strangers = _on_chat(work) if verb == "smoke" else []
        return [*_on_jobs(verb, work), *_on_queues(verb, work), *strangers]
    first = [Step(verb, STAGING, "", partial(stage_functions, work))] if verb == "functions" else []
    last = [Step(verb, "status: removed", "", partial(operating.show_removed, work))] if verb == "status" else []
    return [*first, *_on_functions(verb, work), *(last if work.deployment.is_whole else [])]


def steps_of_removal(removed: Removed, work: Work) -> list[Step]:
    """Return the steps that destroy what the table no longer has."""
    return [
        Step("destroy", f"destroy: {found.name}", "", partial(operating.destroy_removed, work, found))
        for found in removed.all
    ]


def _on_functions(verb: str, work: Work) -> list[Step]:
    title, do = EACH[verb]
    return [
        Step(verb, f"{title}: {function.name}", function.name, partial(do, work, function))
        for function in work.deployment.functions
    ]


def _on_jobs(verb: str, work: Work) -> list[Step]:
    title, do = SCHEDULED[verb]
    return [
        Step(verb, f"{title}: {function.name}", function.name, partial(do, work, function, job))
        for function in work.deployment.functions
        if (job := function.scheduler_job)
    ]


def _on_queues(verb: str, work: Work) -> list[Step]:
    title, do = QUEUED[verb]
    return [
        Step(verb, f"{title}: queue {queue.name}", function.name, partial(do, work, queue))
        for function in work.deployment.functions
        if function.called_by is Caller.TASKS
        for queue in work.deployment.queues
    ]


def _on_chat(work: Work) -> list[Step]:
    return [
        Step("smoke", f"smoke: {function.name}", function.name, partial(chat.send_unsigned_event, work, function))
        for function in work.deployment.chat_functions
    ]
