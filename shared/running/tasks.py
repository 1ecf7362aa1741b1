"""Cloud Tasks: hand a job over to a queue, ask whether it still waits there, take it out again.

A task is named after the lease token of its job, so that repeating a hand-over creates only one task; a new lease has a
new name, since a name stays taken for up to a day. A task holds only the id and the token: changes that are made before
the job begins still count.

https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks
"""

import base64
import hashlib
import json
import logging
import time
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.model.job import Job
from shared.settings import TaskQueues

if TYPE_CHECKING:
    from urllib3 import PoolManager

log = logging.getLogger("watchkeeper.tasks")

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_SECONDS = 10  # for a token, and for each request
DISPATCH_DEADLINE = "1800s"  # the longest possible: the limit of a job ends it before that
CONNECTIONS = 16


class TaskState(Enum):
    """What Cloud Tasks says about the task of a job."""

    WAITING = auto()  # it is in its queue
    GONE = auto()  # it is not there, so nobody will begin the job
    UNKNOWN = auto()  # there was no answer


class TaskRefused(Exception):
    """Cloud Tasks does not accept the task; the message says why. Nothing was handed over."""


class Tasks:
    """The tasks of jobs that were handed over, one for each lease."""

    def __init__(self, queues: TaskQueues) -> None:
        self._queues = queues

    def create(self, job: Job) -> TaskState:
        """Hand the job over. Raises TaskRefused."""
        body = json.dumps({"job": job.id, "token": job.lease_token}).encode()
        request = {
            "url": self._queues.worker_url,
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"},
            "body": base64.b64encode(body).decode(),
            "oidcToken": {"serviceAccountEmail": self._queues.caller, "audience": self._queues.worker_url},
        }
        name = self._name(job)
        task = {"name": name, "httpRequest": request, "dispatchDeadline": DISPATCH_DEADLINE}
        status, said = self._call("POST", name.rpartition("/")[0], {"task": task})
        if status in (200, 409):  # 409: an earlier attempt, whose answer was lost, has created it
            return TaskState.WAITING
        if 400 <= status < 500:
            raise TaskRefused(f"Cloud Tasks said {status} {said}")
        return self._unknown(job, "hand-over", status, said)

    def find(self, job: Job) -> TaskState:
        """Look the task up. One that is running, or will be retried, counts as waiting."""
        status, said = self._call("GET", self._name(job))
        if status == 200:
            return TaskState.WAITING
        return TaskState.GONE if status == 404 else self._unknown(job, "task", status, said)

    def delete(self, job: Job) -> None:
        """Delete the task from its queue, if possible; a task that stays finds nothing to do."""
        status, said = self._call("DELETE", self._name(job))
        if status not in (200, 404):
            self._unknown(job, "deletion", status, said)

    def _name(self, job: Job) -> str:
        """Return the full name of the job's task: hashed, as Cloud Tasks recommends, so that no token is in any log."""
        queue = self._queues.full_name(job.queue)
        return f"{queue}/tasks/{hashlib.sha256(str(job.lease_token).encode()).hexdigest()}"

    def _call(self, method: str, resource: str, body: object = None) -> tuple[int, str]:
        """Return the status of the answer, 0 if there is none, and the text of an error."""
        # Not for a tick that hands nothing over.
        from urllib3.exceptions import HTTPError

        from shared.web.google_credentials import NoToken, access_token

        url, token, status, said = f"{self._queues.endpoint.rstrip('/')}/v2/{resource}", "", 0, ""
        for _ in range(2):  # once more with a new token, if the first one is refused
            try:
                token = access_token(SCOPE, time.monotonic() + TIMEOUT_SECONDS, refused=token)
                response = _pool().request(
                    method,
                    url,
                    body=None if body is None else json.dumps(body),
                    headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
                )
            except NoToken as exc:
                return 0, str(exc)
            except HTTPError as exc:
                return 0, f"no response ({type(exc).__name__})"
            status, said = response.status, _reason(response.data)
            if status != 401:
                break
        return status, said

    def _unknown(self, job: Job, what: str, status: int, said: str) -> TaskState:
        fields = {"action": "task_unheard", **job.log_context()}
        log.warning(
            "Job %s: its %s is uncertain: %s", job.id, what, f"{status or ''} {said}".strip(), extra={"fields": fields}
        )
        return TaskState.UNKNOWN


@lru_cache(maxsize=1)
def _pool() -> "PoolManager":
    from urllib3 import PoolManager, Timeout

    return PoolManager(maxsize=CONNECTIONS, retries=False, timeout=Timeout(total=TIMEOUT_SECONDS))


def _reason(body: bytes) -> str:
    """Return the message of an error as Google's APIs word it."""
    try:
        error: Any = json.loads(body).get("error", {})
        return " ".join(str(error.get("message", "")).split())[:300]
    except (ValueError, AttributeError, RecursionError):
        return ""
