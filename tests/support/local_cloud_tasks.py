"""The fake of Cloud Tasks with a queue and a worker, called by Google's own client library."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httplib2
import pytest
from google.oauth2 import service_account
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.support.google_client import Clock
from tests.support.running import until
from tests.support.servers import HttpServer
from watchkeeper.fakes.cloud_tasks import CloudTasks
from watchkeeper.fakes.google_oauth import GoogleOAuth
from watchkeeper.fakes.task_queue import RateLimits, RetryConfig, TaskQueue

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GOOGLE = "http://cloudtasks.invalid"
LOCATION = "projects/watchkeeper-local/locations/local"
QUEUE = f"{LOCATION}/queues/agents"
TASK = f"{QUEUE}/tasks/abc"
CALLER = "watchkeeper-tasks@watchkeeper-local.iam.gserviceaccount.com"
AUDIENCE = "https://example.com/run-job"
BODY = b'{"job": "j", "token": "t"}'
PATIENCE = 10  # seconds for what another thread is to do
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Rerouted:
    """The transport of clients that are built once: it sends to the fake of the current test."""

    def __init__(self) -> None:
        self.url = ""
        self._http = httplib2.Http(timeout=PATIENCE)

    def request(self, uri: str, *given: Any, **named: Any) -> Any:
        return self._http.request(uri.replace(GOOGLE, self.url), *given, **named)


@dataclass(frozen=True)
class Google:
    """Google's OAuth, a key file, and the real client's resource of queues, which takes long to build."""

    oauth: GoogleOAuth
    key: Path
    transport: Rerouted

    @cache  # noqa: B019  # there is one
    def queues(self, *, scope: str = SCOPE, subject: str | None = None) -> Any:
        credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]  # theirs
            self.key, scopes=[scope], subject=subject
        )
        http = AuthorizedHttp(credentials, http=self.transport)
        client = build("cloudtasks", "v2", http=http, static_discovery=True, client_options={"api_endpoint": GOOGLE})
        return client.projects().locations().queues()


class World:
    """The fake with one queue, a worker, and the real client's resource of queues."""

    def __init__(self, tasks: CloudTasks, worker: HttpServer, clock: Clock, google: Google) -> None:
        self.tasks, self.worker, self.clock, self.google = tasks, worker, clock, google
        self.queues = google.queues()

    @property
    def queue(self) -> TaskQueue:
        return self.tasks.queues[QUEUE]

    def create(self, name: str | None = TASK, queue: str = QUEUE, **task: Any) -> dict[str, Any]:
        """Create a task for the worker, once."""
        http = {
            "url": self.worker.url("/run"),
            "headers": {"Content-Type": "application/json"},
            "body": base64.b64encode(BODY).decode(),
            "oidcToken": {"serviceAccountEmail": CALLER, "audience": AUDIENCE},
            **task.pop("http", {}),
        }
        given = {"httpRequest": http, **({"name": name} if name else {}), **task}
        return dict(self.queues.tasks().create(parent=queue, body={"task": given}).execute())

    def get(self, name: str = TASK, view: str | None = None) -> dict[str, Any]:
        return dict(self.queues.tasks().get(name=name, responseView=view).execute())

    def pass_time(self, length: timedelta) -> None:
        self.clock.now += length
        self.tasks.wake()

    def wait_until_received(self, count: int) -> None:
        until(lambda: len(self.worker.received) >= count, PATIENCE)

    def wait_until_idle(self) -> None:
        """Wait until no attempt is under way."""
        until(lambda: not self.tasks.is_calling, PATIENCE)


@contextmanager
def playing(google: Google, **given: Any) -> Iterator[World]:
    """Fake Cloud Tasks with one queue, whose retries begin after ten seconds."""
    clock = Clock(datetime.now(UTC).replace(microsecond=0))  # the libraries use the real time
    with HttpServer() as worker, CloudTasks(google.oauth, clock=clock, **given) as tasks:
        tasks.add_queue(QUEUE, RateLimits(max_concurrent=2), RetryConfig(min_backoff=10 * SECOND))
        google.transport.url = tasks.url
        yield World(tasks, worker, clock, google)


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """Return code, status and message of the client's error."""
    with pytest.raises(HttpError) as raised:
        call()
    error = json.loads(raised.value.content)["error"]
    assert (raised.value.status_code, raised.value.reason) == (error["code"], error["message"])
    return error["code"], error["status"], error["message"]
