"""Queues and tasks of Cloud Tasks as JSON: requests are checked, and resources written as the API does."""

import base64
import re
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from shared.model.times import iso
from watchkeeper.fakes.google_oauth import api_error
from watchkeeper.fakes.server import Rejected, Response
from watchkeeper.fakes.task_queue import InvalidQueue, RateLimits, RetryConfig, Task, TaskQueue, duration, seconds

PROJECT = "[A-Za-z0-9.:-]+"
QUEUE_NAME = re.compile(f"projects/{PROJECT}/locations/[a-z0-9-]+/queues/[A-Za-z0-9-]{{1,100}}")
TASK_ID = re.compile("[A-Za-z0-9_-]{1,500}")
LARGEST_PAGE = 1000
LARGEST_TASK = 100 * 1024  # bytes
LONGEST_URL = 2083  # characters
SHORTEST_DEADLINE, USUAL_DEADLINE, LONGEST_DEADLINE = (
    timedelta(seconds=15),
    timedelta(minutes=10),
    timedelta(minutes=30),
)
# The headers that a task cannot set.
PLATFORM_HEADERS = re.compile(
    "host|content-length|user-agent|authorization|x-(cloudtasks|google|appengine)-.*", re.IGNORECASE
)
# The google.rpc.Code of a status; any other status is 2, unknown.
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 500: 13, 503: 14}


def error(code: int, status: str, message: str, reason: str = "") -> Response:
    """Return an error. Cloud Tasks is a newer API: its errors have no list with a reason."""
    return api_error(code, status, message)


def invalid(message: str) -> Rejected:
    return Rejected(error(400, "INVALID_ARGUMENT", message))


def may_not(permission: str, resource: str) -> Response:
    message = f'The principal lacks IAM permission "{permission}" for the resource "{resource}" (or it may not exist).'
    return error(403, "PERMISSION_DENIED", message)


NOT_FOUND = error(404, "NOT_FOUND", "Requested entity was not found.")
NO_QUEUE = error(400, "FAILED_PRECONDITION", "Queue does not exist.")
TASK_IS_GONE = error(
    404,
    "NOT_FOUND",
    "The task no longer exists, though a task with this name existed recently. "
    "The task either successfully completed or was deleted.",
)
TASK_EXISTS = error(409, "ALREADY_EXISTS", "Requested entity already exists")
TASK_EXISTED = error(
    409, "ALREADY_EXISTS", "The task cannot be created because a task with this name existed too recently."
)


def task_of(parent: str, asked: Mapping[str, Any], *, now: datetime, accounts: Collection[str] | None) -> Task:
    """Read the task of a create request. Raises Rejected.

    `accounts` are the service accounts that its token may name (None: every one of the project).
    """
    if (http := asked.get("httpRequest")) is None or "oauthToken" in http:
        raise Rejected(error(501, "UNIMPLEMENTED", "The fake knows only HTTP tasks, without OAuth tokens"))
    url, body, token = http.get("url", ""), _decoded(http.get("body", "")), http.get("oidcToken", {})
    headers = {name: text for name, text in http.get("headers", {}).items() if not PLATFORM_HEADERS.fullmatch(name)}
    method = http.get("httpMethod", "POST")
    _check_request(method, url, headers, body)
    return Task(
        id=_task_id(parent, asked.get("name")),
        url=url,
        method=method,
        headers=headers,
        body=body,
        account=_account(parent, token["serviceAccountEmail"], accounts) if "serviceAccountEmail" in token else "",
        audience=token.get("audience") or url,
        deadline=_deadline(asked.get("dispatchDeadline")),
        created_at=now,
        due_at=max(_moment(asked["scheduleTime"]), now) if "scheduleTime" in asked else now,
    )


def _check_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
    if not _is_url(url):
        message = f"must start with 'http://' or 'https://', and have at most {LONGEST_URL} characters."
        raise invalid(f"HttpRequest.url {message}")
    if len(body) + len(url) + sum(len(name) + len(text) for name, text in headers.items()) > LARGEST_TASK:
        raise invalid("Task size too large")
    if body and method not in ("POST", "PUT", "PATCH"):
        raise invalid("HttpRequest.body is only allowed with the methods POST, PUT and PATCH.")


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and len(text) <= LONGEST_URL
    except ValueError:
        return False


def _account(parent: str, email: str, accounts: Collection[str] | None) -> str:
    project = parent.split("/")[1]
    is_allowed = accounts is None or email in accounts
    if not is_allowed or not email.endswith(f"@{project}.iam.gserviceaccount.com"):
        raise Rejected(may_not("iam.serviceAccounts.actAs", email))
    return email


def _task_id(parent: str, name: str | None) -> str:
    if name is None:
        return str(secrets.randbelow(10**19))
    given, _, task_id = name.rpartition("/tasks/")
    if not QUEUE_NAME.fullmatch(given) or not TASK_ID.fullmatch(task_id):
        raise invalid(
            'Task name must be formatted: "projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>/tasks/'
            '<TASK_ID>", and TASK_ID have letters, digits, hyphens and underscores, at most 500.'
        )
    if given != parent:
        raise invalid(f"The queue name from request ('{parent}') must be the same as in the task ('{given}').")
    return task_id


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except ValueError as exc:
        raise invalid("Invalid value at 'task.http_request.body' (TYPE_BYTES), Base64 decoding failed") from exc


def _deadline(text: str | None) -> timedelta:
    deadline = duration(text, USUAL_DEADLINE)
    if not SHORTEST_DEADLINE <= deadline <= LONGEST_DEADLINE:
        raise invalid("Task.dispatchDeadline must be between [15s, 30m].")
    return deadline


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError as exc:
        raise invalid(f"Invalid value at 'task.schedule_time' (TYPE_TIMESTAMP), \"{text}\"") from exc


def page_of(ids: list[str], query: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the ids of the requested page, and the token of the next one. Raises Rejected."""
    asked = query.get("pageSize") or str(LARGEST_PAGE)
    if not re.fullmatch("[0-9]{1,9}", asked):
        raise invalid(f"Invalid value at 'page_size' (TYPE_INT32), \"{asked}\"")
    size = min(int(asked), LARGEST_PAGE) or LARGEST_PAGE
    rest = [each for each in ids if each >= query.get("pageToken", "")]
    return rest[:size], {"nextPageToken": rest[size]} if len(rest) > size else {}


def config_of(name: str, resource: Mapping[str, Any]) -> tuple[RateLimits, RetryConfig]:
    """Read the configuration of a queue. Raises Rejected."""
    if not QUEUE_NAME.fullmatch(name):
        raise invalid(f'Invalid resource name: "{name}"')
    try:
        return RateLimits.of(resource.get("rateLimits", {})), RetryConfig.of(resource.get("retryConfig", {}))
    except InvalidQueue as exc:
        raise invalid(str(exc)) from exc


def masked(present: dict[str, Any], given: Mapping[str, Any], mask: list[str]) -> dict[str, Any]:
    """Return the queue with the fields of the mask replaced."""
    changed = {name: dict(value) if isinstance(value, dict) else value for name, value in present.items()}
    for path in mask:
        name, _, part = path.partition(".")
        if part:
            changed.setdefault(name, {})[part] = given.get(name, {}).get(part)
        else:
            changed[name] = given.get(name, {})
    return {
        name: {part: text for part, text in value.items() if text is not None} if isinstance(value, dict) else value
        for name, value in changed.items()
    }


def queue_resource(name: str, queue: TaskQueue) -> dict[str, Any]:
    """Return a queue in Cloud Tasks' format."""
    return {
        "name": name,
        "rateLimits": queue.limits.resource(),
        "retryConfig": queue.retry.resource(),
        "state": "PAUSED" if queue.is_paused else "RUNNING",
        **({"purgeTime": iso(queue.purged_at)} if queue.purged_at else {}),
    }


def task_resource(parent: str, task: Task, view: str | None) -> dict[str, Any]:
    """Return a task in Cloud Tasks' format. Only the view FULL has the body."""
    is_full = view == "FULL"
    token = {"serviceAccountEmail": task.account, "audience": task.audience}
    http = {
        "url": task.url,
        "httpMethod": task.method,
        "headers": {"User-Agent": "Google-Cloud-Tasks", **task.headers},
        **({"body": base64.b64encode(task.body).decode()} if is_full and task.body else {}),
        **({"oidcToken": token} if task.account else {}),
    }
    return {
        "name": f"{parent}/tasks/{task.id}",
        "httpRequest": http,
        "scheduleTime": iso(task.due_at),
        "createTime": iso(task.created_at),
        "dispatchDeadline": seconds(task.deadline),
        **({"dispatchCount": task.dispatches} if task.dispatches else {}),
        **({"responseCount": task.responses} if task.responses else {}),
        **({"firstAttempt": {"dispatchTime": iso(task.first_at)}} if task.first_at else {}),
        **({"lastAttempt": _last_attempt(task, task.last_at)} if task.last_at else {}),
        "view": "FULL" if is_full else "BASIC",
    }


def _last_attempt(task: Task, began_at: datetime) -> dict[str, Any]:
    attempt = {"scheduleTime": iso(began_at), "dispatchTime": iso(began_at)}
    if task.last is None or task.last_ended_at is None:
        return attempt
    code = CODES.get(task.last.status, 2) if task.last.status else 14 if "UNAVAILABLE" in task.last.failure else 4
    status = {"code": code, "message": task.last.failure or f"HTTP status code {task.last.status}"}
    return {**attempt, "responseTime": iso(task.last_ended_at), "responseStatus": status}


def state_of(queue: TaskQueue) -> dict[str, Any]:
    """Return a queue and its tasks for a person, without bodies and tokens."""
    tasks = [
        {
            "id": task.id,
            "created_at": iso(task.created_at),
            "due_at": iso(task.due_at),
            "dispatches": task.dispatches,
            "running": task.running,
            "last_answer": (task.last.failure or task.last.status) if task.last else None,
        }
        for task in queue.tasks.values()
    ]
    limits = {**queue.limits.resource(), "state": "PAUSED" if queue.is_paused else "RUNNING"}
    return {**limits, "done": queue.done, "tasks": tasks}
