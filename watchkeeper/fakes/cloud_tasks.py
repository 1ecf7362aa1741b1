"""A fake of Cloud Tasks: queues that call a URL for each task, checked against Google's own discovery document.

It fakes HTTP tasks, and calls only this machine. `task_queue` has the rules of a queue, `task_request` makes a call.

https://cloud.google.com/tasks/docs/reference/rest
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from watchkeeper.fakes.discovery import Discovery, Method
from watchkeeper.fakes.google_oauth import GoogleOAuth, unauthenticated
from watchkeeper.fakes.server import Clock, Fake, Fault, Rejected, Request, Response, json_response, utc_now
from watchkeeper.fakes.task_queue import AttemptResult, RateLimits, RetryConfig, Task, TaskQueue
from watchkeeper.fakes.task_request import TaskRequest
from watchkeeper.fakes.task_wire import (
    NO_QUEUE,
    NOT_FOUND,
    TASK_EXISTED,
    TASK_EXISTS,
    TASK_IS_GONE,
    config_of,
    error,
    invalid,
    masked,
    may_not,
    page_of,
    queue_resource,
    state_of,
    task_of,
    task_resource,
)

QUEUES = "cloudtasks.projects.locations.queues"
LONGEST_WAIT = timedelta(seconds=10)  # timers stop while a laptop sleeps, the clock does not
SHORTEST_WAIT = timedelta(milliseconds=1)
JOIN_SECONDS = 2
DELIVERY_FAULTS = ("deliver-twice", "deliver-late", "deliver-never", "deadline")


@contextmanager
def as_it_stands(url: str) -> Iterator[str]:
    """Yield the host and port of the URL."""
    yield urlsplit(url).netloc


class CloudTasks(Fake):
    """Dispatches the tasks of its queues to their workers while it is entered.

    The service account of `oauth` may do everything; with `takes_any_token` so may every caller with a token.
    `accounts` are the service accounts that a task's token may name (None: every one of the queue's project).
    `address_of` yields the host and port that serve a URL until the call has ended; it may raise ConnectionError. A
    test that moves its clock calls `wake()`. `queues` are by their full names.

    A delivery fault applies to the next dispatch, whose path is the full name of the task. `deliver-twice` sends two
    requests at once, `deliver-late` waits for `lateness`, `deliver-never` removes the task, and `deadline` lets the
    deadline pass while the worker still works.
    """

    name = "Cloud Tasks"
    documented_errors: ClassVar[Mapping[str, Fault]] = {
        "forbidden": may_not("cloudtasks.tasks.create", "the queue"),
        "unauthorized": unauthenticated("token"),
        "no-queue": NO_QUEUE,
        "rate-limit": error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'API requests'."),
        "internal": error(500, "INTERNAL", "Internal error encountered."),
        "unavailable": error(503, "UNAVAILABLE", "The service is currently unavailable."),
    }

    def __init__(
        self,
        oauth: GoogleOAuth,
        *,
        port: int = 0,
        accounts: Collection[str] | None = None,
        takes_any_token: bool = False,
        address_of: Callable[[str], AbstractContextManager[str]] = as_it_stands,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(port=port, clock=clock)
        self.queues: dict[str, TaskQueue] = {}
        self.lateness = timedelta(seconds=5)
        self._accounts = accounts
        self._address_of = address_of
        self._api = Discovery("cloudtasks", "v2", error)
        self._changed = threading.Condition(self._lock)
        self._deliveries: dict[TaskRequest, threading.Thread] = {}
        self._dispatcher = threading.Thread(target=self._dispatch_when_due, daemon=True)
        self._oauth = oauth
        self._takes_any_token = takes_any_token
        self._faked: dict[str, Callable[[Request, Method, dict[str, Any]], Response]] = {
            f"{QUEUES}.create": self._create_queue,
            f"{QUEUES}.get": lambda request, method, body: self._shown_queue(method.path["name"]),
            f"{QUEUES}.patch": self._patch_queue,
            f"{QUEUES}.pause": self._pause_queue,
            f"{QUEUES}.resume": self._pause_queue,
            f"{QUEUES}.purge": self._purge_queue,
            f"{QUEUES}.tasks.create": self._create_task,
            f"{QUEUES}.tasks.get": self._get_task,
            f"{QUEUES}.tasks.list": self._list_tasks,
            f"{QUEUES}.tasks.delete": self._delete_task,
        }

    def __enter__(self) -> Self:
        super().__enter__()
        self._dispatcher.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        self.wake()
        self._dispatcher.join(JOIN_SECONDS)
        with self._lock:
            deliveries = dict(self._deliveries)
        for delivery in deliveries:
            delivery.cut()
        for thread in deliveries.values():
            thread.join(JOIN_SECONDS)
        super().__exit__(*exc_info)

    def add_queue(self, name: str, limits: RateLimits = RateLimits(), retry: RetryConfig = RetryConfig()) -> TaskQueue:  # noqa: B008  # frozen
        """Create a queue, or configure the existing one."""
        with self._lock:
            if name in self.queues:
                self.queues[name].configure(limits, retry)
            return self.queues.setdefault(name, TaskQueue(limits, retry))

    def wake(self) -> None:
        """Let the dispatcher read the clock again."""
        with self._changed:
            self._changed.notify_all()

    @property
    def is_calling(self) -> bool:
        """Return whether an attempt is in progress."""
        with self._lock:
            return bool(self._deliveries)

    def answer(self, request: Request) -> Response:
        """Check the request against the discovery document and the token, then do what it asks."""
        method = self._api.method_of(request, faked=self._faked)
        self._check_access(request.bearer_token(), method.scopes)
        body = self._api.checked_body(request, method)
        with self._changed:
            response = self._faked[method.id](request, method, body)
            self._changed.notify_all()
        return response

    def state(self) -> dict[str, Any]:
        """Return the queues and their tasks, without bodies and tokens."""
        with self._lock:
            return {"queues": {name: state_of(queue) for name, queue in self.queues.items()}}

    def _faults(self) -> dict[str, Fault]:
        return {**super()._faults(), "applied-but-cut": self._applied_but_cut}

    def _fault_names(self) -> list[str]:
        return [*super()._fault_names(), *DELIVERY_FAULTS]

    def _applied_but_cut(self, request: Request) -> None:
        """Apply the request, and cut the connection instead of answering."""
        self.answer(request)

    def _check_access(self, token: str, scopes: Collection[str]) -> None:
        if token and self._takes_any_token:
            return
        grant = self._oauth.grant_of(token)
        if grant is None:
            raise Rejected(unauthenticated(token))
        if grant.scopes.isdisjoint(scopes):
            raise Rejected(error(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes."))
        if grant.subject != self._oauth.service_account:
            raise Rejected(error(403, "PERMISSION_DENIED", "The caller does not have permission"))

    # -- Queues --------------------------------------------------------------------------------------------------------

    def _queue(self, name: str, missing: Response = NOT_FOUND) -> TaskQueue:
        if (queue := self.queues.get(name)) is None:
            raise Rejected(missing)
        return queue

    def _shown_queue(self, name: str) -> Response:
        return json_response(queue_resource(name, self._queue(name)))

    def _create_queue(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        name = body.get("name", "")
        if not name.startswith(f"{method.path['parent']}/queues/"):
            raise invalid("Queue name must be in the location that is the parent.")
        if name in self.queues:
            raise Rejected(error(409, "ALREADY_EXISTS", "Queue already exists"))
        return self._configured(name, body)

    def _patch_queue(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        """Replace the fields of the mask, or all fields; create a missing queue."""
        name, mask = method.path["name"], request.query.get("updateMask", "")
        if name in self.queues and mask:
            body = masked(queue_resource(name, self.queues[name]), body, mask.split(","))
        return self._configured(name, body)

    def _configured(self, name: str, body: Mapping[str, Any]) -> Response:
        limits, retry = config_of(name, body)
        self.queues.setdefault(name, TaskQueue(limits, retry)).configure(limits, retry)
        return self._shown_queue(name)

    def _pause_queue(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        self._queue(method.path["name"]).is_paused = method.id.endswith(".pause")
        return self._shown_queue(method.path["name"])

    def _purge_queue(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        self._queue(method.path["name"]).purge(self._clock())
        return self._shown_queue(method.path["name"])

    # -- Tasks ---------------------------------------------------------------------------------------------------------

    def _create_task(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        parent = method.path["parent"]
        task = task_of(parent, body.get("task", {}), now=self._clock(), accounts=self._accounts)
        queue = self._queue(parent, NO_QUEUE)
        if task.id in queue.tasks:
            raise Rejected(TASK_EXISTS)
        if queue.has_had(task.id, task.created_at):
            raise Rejected(TASK_EXISTED)
        queue.add(task)
        return json_response(task_resource(parent, task, body.get("responseView")))

    def _found(self, name: str) -> tuple[TaskQueue, Task]:
        parent, _, task_id = name.rpartition("/tasks/")
        queue = self._queue(parent)
        if task_id in queue.tasks:
            return queue, queue.tasks[task_id]
        raise Rejected(TASK_IS_GONE if queue.has_had(task_id, self._clock()) else NOT_FOUND)

    def _get_task(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        name = method.path["name"]
        _, task = self._found(name)
        return json_response(task_resource(name.rpartition("/tasks/")[0], task, request.query.get("responseView")))

    def _delete_task(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        queue, task = self._found(method.path["name"])
        queue.remove(task.id, self._clock())
        return json_response({})

    def _list_tasks(self, request: Request, method: Method, body: dict[str, Any]) -> Response:
        parent, view = method.path["parent"], request.query.get("responseView")
        queue = self._queue(parent)
        ids, more = page_of(sorted(queue.tasks), request.query)
        tasks = [task_resource(parent, queue.tasks[task_id], view) for task_id in ids]
        return json_response({"tasks": tasks, **more} if tasks else {})

    # -- Dispatching ---------------------------------------------------------------------------------------------------

    def _dispatch_when_due(self) -> None:
        with self._changed:
            while not self._closing.is_set():
                self._changed.wait(self._dispatch_due().total_seconds())

    def _dispatch_due(self) -> timedelta:
        """Dispatch the due tasks, and return the time until the next check."""
        now, pauses = self._clock(), [LONGEST_WAIT]
        for name, queue in self.queues.items():
            while task := queue.next_task(now):
                self._dispatch(name, queue, task, now)
            if (pause := queue.pause(now)) is not None:
                pauses.append(max(pause, SHORTEST_WAIT))
        return min(pauses)

    def _dispatch(self, name: str, queue: TaskQueue, task: Task, now: datetime) -> None:
        match fault := self._next_fault(f"{name}/tasks/{task.id}", DELIVERY_FAULTS):
            case "deliver-late":
                task.due_at = now + self.lateness
                return
            case "deliver-never":
                queue.remove(task.id, now)
                return
        headers = self._headers(name, task)
        for _ in range(2 if fault == "deliver-twice" else 1):
            queue.begin(task, now)
            delivery = TaskRequest(task.method, task.url, headers=headers, body=task.body, deadline=task.deadline)
            given = (delivery, queue, task, fault != "deadline")
            thread = self._deliveries[delivery] = threading.Thread(target=self._deliver, args=given, daemon=True)
            thread.start()

    def _deliver(self, delivery: TaskRequest, queue: TaskQueue, task: Task, waits: bool) -> None:
        try:
            with self._address_of(task.url) as address:
                answer = delivery.send(address, waits=waits)
        except ConnectionError as exc:
            answer = AttemptResult(failure=f"UNAVAILABLE: {exc}")
        with self._changed:
            queue.end(task, answer, self._clock())
            del self._deliveries[delivery]
            self._changed.notify_all()

    def _headers(self, name: str, task: Task) -> dict[str, str]:
        """Return the headers of a request; a worker can trust only the token."""
        token = {"Authorization": f"Bearer {self._oauth.id_token(task.account, task.audience)}"} if task.account else {}
        previous = (
            {"X-CloudTasks-TaskPreviousResponse": str(task.last.status)} if task.last and task.last.status else {}
        )
        return {
            "Content-Type": "application/octet-stream",
            **task.headers,
            **token,
            **previous,
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": name.rpartition("/")[2],
            "X-CloudTasks-TaskName": task.id,
            "X-CloudTasks-TaskRetryCount": str(task.dispatches),
            "X-CloudTasks-TaskExecutionCount": str(task.executions),
            "X-CloudTasks-TaskETA": f"{task.due_at.timestamp():.6f}",
        }
