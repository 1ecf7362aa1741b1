"""The fake of Cloud Tasks, as Google's own client library and a worker use it."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httplib2
import pytest
import requests
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from shared.errors import Unauthorized
from shared.settings import AuthPolicy
from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.running import until
from tests.servers import Exchange, HttpServer, hang, reply
from watchkeeper.fakes.cloud_tasks import CloudTasks
from watchkeeper.fakes.google_oauth import GoogleOAuth
from watchkeeper.fakes.task_queue import RESERVED, RateLimits, RetryConfig, TaskQueue

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
REFUSALS = [
    pytest.param("forbidden", 403, "PERMISSION_DENIED", id="forbidden"),
    pytest.param("unauthorized", 401, "UNAUTHENTICATED", id="unauthorized"),
    pytest.param("no-queue", 400, "FAILED_PRECONDITION", id="no-queue"),
    pytest.param("rate-limit", 429, "RESOURCE_EXHAUSTED", id="rate-limit"),
    pytest.param("internal", 500, "INTERNAL", id="internal"),
    pytest.param("unavailable", 503, "UNAVAILABLE", id="unavailable"),
]


class Clock:
    """A clock that is set by hand. It starts with the real time, which the libraries use."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now


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

    @cache  # noqa: B019  # there is one for each module
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


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    path = tmp_path_factory.mktemp("google") / "key.json"
    with GoogleOAuth(scopes=[SCOPE]) as oauth:
        oauth.write_key_file(path)
        yield Google(oauth, path, Rerouted())


@contextmanager
def playing(google: Google, **given: Any) -> Iterator[World]:
    """Fake Cloud Tasks with one queue, whose retries begin after ten seconds."""
    clock = Clock()
    with HttpServer() as worker, CloudTasks(google.oauth, clock=clock, **given) as tasks:
        tasks.add_queue(QUEUE, RateLimits(max_concurrent=2), RetryConfig(min_backoff=10 * SECOND))
        google.transport.url = tasks.url
        yield World(tasks, worker, clock, google)


@pytest.fixture
def world(google: Google) -> Iterator[World]:
    with playing(google) as world:
        yield world


@pytest.fixture
def paused(world: World) -> World:
    """The world with its queue paused, so that tasks can be read."""
    world.queues.pause(name=QUEUE, body={}).execute()
    return world


def post_task(world: World) -> requests.Response:
    """Create a task without the client library, which repeats requests that were cut or answered with 401."""
    token = world.queues._http.credentials
    token.refresh(Request())
    url, headers = f"{world.tasks.url}/v2/{QUEUE}/tasks", {"Authorization": f"Bearer {token.token}"}
    task: Any = {"name": TASK, "httpRequest": {"url": world.worker.url("/run")}}
    return requests.post(url, json={"task": task}, headers=headers, timeout=PATIENCE)


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """Return code, status and message of the client's error."""
    with pytest.raises(HttpError) as raised:
        call()
    error = json.loads(raised.value.content)["error"]
    assert (raised.value.status_code, raised.value.reason) == (error["code"], error["message"])
    return error["code"], error["status"], error["message"]


# -- Creating ----------------------------------------------------------------------------------------------------------


def test_a_task_is_answered_and_kept_as_cloud_tasks_shows_it(paused: World) -> None:
    """The defaults are filled in; only the full view has the body."""
    now = paused.clock.now.isoformat().replace("+00:00", "Z")

    created = paused.create()

    assert created == {
        "name": TASK,
        "httpRequest": {
            "url": paused.worker.url("/run"),
            "httpMethod": "POST",
            "headers": {"User-Agent": "Google-Cloud-Tasks", "Content-Type": "application/json"},
            "oidcToken": {"serviceAccountEmail": CALLER, "audience": AUDIENCE},
        },
        "scheduleTime": now,
        "createTime": now,
        "dispatchDeadline": "600s",
        "view": "BASIC",
    }
    assert paused.get() == created
    assert base64.b64decode(paused.get(view="FULL")["httpRequest"]["body"]) == BODY


def test_a_task_without_a_name_gets_one(paused: World) -> None:
    """Two requests create two tasks."""
    names = {paused.create(name=None)["name"] for _ in range(2)}

    assert len(names) == 2
    assert all(name.startswith(f"{QUEUE}/tasks/") for name in names)


def test_a_name_is_taken_while_its_task_is_there_and_for_a_day_after(world: World) -> None:
    """A retry of create meets 409 in both cases; the messages differ."""
    world.queues.pause(name=QUEUE, body={}).execute()
    world.create()
    while_there = refusal(world.create)
    world.queues.resume(name=QUEUE, body={}).execute()
    world.wait_until_received(1)
    world.wait_until_idle()
    soon_after = refusal(world.create)

    world.clock.now += RESERVED

    assert while_there == (409, "ALREADY_EXISTS", "Requested entity already exists")
    assert soon_after[:2] == (409, "ALREADY_EXISTS")
    assert "existed too recently" in soon_after[2]
    assert world.create()["name"] == TASK


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        pytest.param({"name": f"{QUEUE}/tasks/a.b"}, 400, "Task name must be formatted", id="name"),
        pytest.param({"name": f"{QUEUE}/tasks/{'a' * 501}"}, 400, "Task name must be formatted", id="long-name"),
        pytest.param({"name": "abc"}, 400, "Task name must be formatted", id="short-name"),
        pytest.param({"name": f"{QUEUE}s/tasks/abc"}, 400, "must be the same as in the task", id="other-queue"),
        pytest.param({"queue": f"{QUEUE}s", "name": f"{QUEUE}s/tasks/abc"}, 400, "Queue does not exist", id="no-queue"),
        pytest.param({"dispatchDeadline": "14.9s"}, 400, "must be between [15s, 30m]", id="short-deadline"),
        pytest.param({"dispatchDeadline": "1801s"}, 400, "must be between [15s, 30m]", id="long-deadline"),
        pytest.param({"dispatchDeadline": f"{'9' * 30}s"}, 400, "must be between [15s, 30m]", id="endless-deadline"),
        pytest.param({"dispatchDeadline": "ten"}, 400, "Invalid value at 'task.dispatchDeadline'", id="no-duration"),
        pytest.param({"scheduleTime": "2026-13-01T00:00:00Z"}, 400, "task.schedule_time", id="no-time"),
        pytest.param({"http": {"url": "ftp://127.0.0.1/"}}, 400, "HttpRequest.url", id="scheme"),
        pytest.param({"http": {"url": f"http://127.0.0.1/{'a' * 2083}"}}, 400, "HttpRequest.url", id="long-url"),
        pytest.param({"http": {"url": "http://127.0.0.1:99999/"}}, 400, "HttpRequest.url", id="port"),
        pytest.param({"http": {"url": "http://"}}, 400, "HttpRequest.url", id="no-host"),
        pytest.param({"http": {"body": "a"}}, 400, "Base64 decoding failed", id="no-base64"),
        pytest.param({"http": {"body": "A" * 140_000}}, 400, "Task size too large", id="size"),
        pytest.param({"http": {"httpMethod": "GET"}}, 400, "HttpRequest.body is only allowed", id="body-of-a-get"),
        pytest.param({"http": {"httpMethod": "SEND"}}, 400, "task.httpRequest.httpMethod", id="method"),
        pytest.param({"http": {"verb": "POST"}}, 400, 'Unknown name "verb"', id="unknown-field"),
        pytest.param(
            {"http": {"oidcToken": {"serviceAccountEmail": "a@other.iam.gserviceaccount.com"}}},
            403,
            "iam.serviceAccounts.actAs",
            id="account-of-another-project",
        ),
        pytest.param({"http": {"oauthToken": {}}}, 501, "HTTP tasks alone", id="oauth-token"),
    ],
)
def test_a_task_that_cannot_be_is_refused(paused: World, given: dict[str, Any], status: int, says: str) -> None:
    """Each rule of create has its error, and nothing is kept."""
    code, _, message = refusal(lambda: paused.create(**given))

    assert code == status
    assert says in message
    assert paused.queue.tasks == {}


def test_a_task_of_exactly_the_largest_size_and_longest_name_is_taken(paused: World) -> None:
    """The limits are included."""
    url, name = "http://127.0.0.1/", f"{QUEUE}/tasks/{'a-_Z' * 125}"
    body = base64.urlsafe_b64encode(b"\xff" * (100 * 1024 - len(url))).decode()
    http = {"url": url, "headers": {}, "body": body}

    assert paused.create(name, dispatchDeadline="1800s", http=http)["dispatchDeadline"] == "1800s"
    http["body"] = base64.b64encode(b"\xff" * (100 * 1024 - len(url) + 1)).decode()
    assert "too large" in refusal(lambda: paused.create(None, http=http))[2]


def test_only_a_named_account_can_be_acted_as(google: Google) -> None:
    """A caller without actAs on the token's account is refused when the task is made."""
    with playing(google, accounts=["someone@watchkeeper-local.iam.gserviceaccount.com"]) as world:
        code, status, message = refusal(world.create)

    assert (code, status) == (403, "PERMISSION_DENIED")
    assert CALLER in message


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        pytest.param({"scope": "https://www.googleapis.com/auth/chat.bot"}, 403, "scopes", id="scope"),
        pytest.param({"subject": "ada@example.com"}, 403, "does not have permission", id="person"),
    ],
)
def test_the_callers_token_is_checked(world: World, given: dict[str, str], code: int, says: str) -> None:
    """A token for something or somebody else is refused."""
    queues = world.google.queues(**given)

    refused = refusal(lambda: queues.get(name=QUEUE).execute())

    assert refused[0] == code
    assert says in refused[2]


@pytest.mark.parametrize(("token", "says"), [("", "is missing"), ("ya29.stranger", "had invalid")])
def test_a_stranger_gets_nothing(world: World, token: str, says: str) -> None:
    """A missing token and an unknown one have different errors."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.get(f"{world.tasks.url}/v2/{QUEUE}", headers=headers, timeout=PATIENCE)

    assert answer.status_code == 401
    assert says in answer.json()["error"]["message"]


def test_any_token_opens_a_fake_that_takes_any(google: Google) -> None:
    """Real credentials are unknown to the fake; without a token it still answers 401."""
    with playing(google, takes_any_token=True) as world:
        url = f"{world.tasks.url}/v2/{QUEUE}"
        with_token = requests.get(url, headers={"Authorization": "Bearer ya29.real"}, timeout=PATIENCE)
        without = requests.get(url, timeout=PATIENCE)

    assert (with_token.status_code, without.status_code) == (200, 401)


# -- Looking, deleting, queues -----------------------------------------------------------------------------------------


def test_a_task_that_ended_or_never_was_is_not_found(world: World) -> None:
    """`get` and `delete` answer 404, with another text for a name that was used."""
    world.create()
    world.wait_until_received(1)
    world.wait_until_idle()

    gone = refusal(world.get)
    deleted = refusal(lambda: world.queues.tasks().delete(name=TASK).execute())
    unknown = refusal(lambda: world.get(f"{QUEUE}/tasks/unknown"))

    assert gone == deleted
    assert (gone[0], unknown) == (404, (404, "NOT_FOUND", "Requested entity was not found."))
    assert "no longer exists" in gone[2]


def test_a_deleted_task_is_never_delivered(paused: World) -> None:
    """Its name stays blocked."""
    paused.create()
    paused.queues.tasks().delete(name=TASK).execute()

    paused.queues.resume(name=QUEUE, body={}).execute()
    paused.create(f"{QUEUE}/tasks/another")
    paused.wait_until_received(1)

    assert [request.headers["X-CloudTasks-TaskName"] for request in paused.worker.received] == ["another"]
    assert refusal(paused.create)[0] == 409


def test_tasks_are_listed_page_by_page(paused: World) -> None:
    """Each page has the token of the next one, except the last."""
    for number in range(5):
        paused.create(f"{QUEUE}/tasks/task-{number}")
    tasks, names = paused.queues.tasks(), []

    request = tasks.list(parent=QUEUE, pageSize=2)
    while request is not None:
        page = request.execute()
        names.append([task["name"].rpartition("/")[2] for task in page["tasks"]])
        request = tasks.list_next(request, page)

    assert names == [["task-0", "task-1"], ["task-2", "task-3"], ["task-4"]]


def test_a_page_size_that_is_no_number_is_refused(world: World) -> None:
    """As the API would, which reads it as a number."""
    world.queues.get(name=QUEUE).execute()
    token = world.queues._http.credentials.token
    url, headers = f"{world.tasks.url}/v2/{QUEUE}/tasks?pageSize=all", {"Authorization": f"Bearer {token}"}

    assert requests.get(url, headers=headers, timeout=PATIENCE).status_code == 400


def test_a_purge_removes_what_waits(paused: World) -> None:
    """The queue has the time of it."""
    paused.create()

    purged = paused.queues.purge(name=QUEUE, body={}).execute()

    assert purged["purgeTime"] == paused.clock.now.isoformat().replace("+00:00", "Z")
    assert refusal(paused.get)[0] == 404


def test_a_queue_is_made_and_shown(world: World) -> None:
    """Missing fields are Cloud Tasks' defaults; a second queue of the name is refused."""
    name = f"{LOCATION}/queues/limited"
    body = {"name": name, "rateLimits": {"maxConcurrentDispatches": 3}, "retryConfig": {"maxAttempts": 7}}

    world.queues.create(parent=LOCATION, body=body).execute()
    again = refusal(lambda: world.queues.create(parent=LOCATION, body=body).execute())

    assert again[:2] == (409, "ALREADY_EXISTS")
    assert world.queues.get(name=name).execute() == {
        "name": name,
        "state": "RUNNING",
        "rateLimits": {"maxDispatchesPerSecond": 500, "maxBurstSize": 500, "maxConcurrentDispatches": 3},
        "retryConfig": {"maxAttempts": 7, "minBackoff": "0.1s", "maxBackoff": "3600s", "maxDoublings": 16},
    }


def test_a_patch_changes_what_its_mask_names(world: World) -> None:
    """Other fields stay; without a mask they are reset, and a missing queue is created."""
    body = {"rateLimits": {"maxConcurrentDispatches": 5}, "retryConfig": {"maxAttempts": 9}}
    missing = f"{LOCATION}/queues/missing"

    one = world.queues.patch(name=QUEUE, body=body, updateMask="rateLimits.maxConcurrentDispatches").execute()
    part = world.queues.patch(name=QUEUE, body=body, updateMask="retryConfig").execute()
    whole = world.queues.patch(name=QUEUE, body={}).execute()
    made = world.queues.patch(name=missing, body=body).execute()

    assert (one["rateLimits"]["maxConcurrentDispatches"], one["retryConfig"]["minBackoff"]) == (5, "10s")
    assert (part["rateLimits"]["maxConcurrentDispatches"], part["retryConfig"]["minBackoff"]) == (5, "0.1s")
    assert (whole["rateLimits"]["maxConcurrentDispatches"], whole["retryConfig"]["maxAttempts"]) == (1000, 100)
    assert (made["name"], made["retryConfig"]["maxAttempts"]) == (missing, 9)


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        pytest.param(f"{LOCATION}/queues/a_b", {}, "Invalid resource name", id="name"),
        pytest.param(f"{LOCATION}/queues/{'a' * 101}", {}, "Invalid resource name", id="long-name"),
        pytest.param(
            f"{LOCATION}/queues/a", {"rateLimits": {"maxDispatchesPerSecond": 501}}, "maxDispatchesPerSecond", id="rate"
        ),
    ],
)
def test_a_queue_that_cannot_be_is_refused(world: World, name: str, body: dict[str, Any], says: str) -> None:
    """Names and limits are those of Cloud Tasks."""
    code, _, message = refusal(lambda: world.queues.create(parent=LOCATION, body={"name": name, **body}).execute())

    assert code == 400
    assert says in message


def test_what_is_not_played_is_said(world: World) -> None:
    """A method that the fake does not have fails."""
    assert refusal(lambda: world.queues.delete(name=QUEUE).execute())[:2] == (501, "UNIMPLEMENTED")


# -- Dispatching -------------------------------------------------------------------------------------------------------


def test_a_worker_gets_the_request_with_the_headers_of_cloud_tasks(world: World) -> None:
    """Method, target, body and own headers are as asked for; nobody can forge those of the platform."""
    http = {"url": world.worker.url("/run?fast=1"), "httpMethod": "PUT"}
    world.create(http={**http, "headers": {"X-Mine": "yes", "User-Agent": "me", "x-cloudtasks-taskretrycount": "9"}})
    world.wait_until_received(1)

    (request,) = world.worker.received

    assert (request.method, request.target, request.body) == ("PUT", "/run?fast=1", BODY)
    assert {name: text for name, text in request.headers.items() if name != "Authorization"} == {
        "Host": world.worker.address,
        "Accept-Encoding": "identity",
        "Content-Length": str(len(BODY)),
        "Content-Type": "application/octet-stream",
        "X-Mine": "yes",
        "User-Agent": "Google-Cloud-Tasks",
        "X-CloudTasks-QueueName": "agents",
        "X-CloudTasks-TaskName": "abc",
        "X-CloudTasks-TaskRetryCount": "0",
        "X-CloudTasks-TaskExecutionCount": "0",
        "X-CloudTasks-TaskETA": f"{world.clock.now.timestamp():.6f}",
    }


def test_the_id_token_is_one_that_a_function_lets_in(world: World) -> None:
    """It is signed by the key whose certificate is served, for the audience, by the account that was named."""
    world.create()
    world.wait_until_received(1)
    (request,) = world.worker.received

    caller, stranger = (
        AuthPolicy(audiences=(audience,), callers=frozenset({CALLER})) for audience in (AUDIENCE, "https://other")
    )
    certificates = Certificates(world.google.oauth.certs_url)

    assert authenticate(request.headers, caller, certificates=certificates, now=datetime.now(UTC)) == CALLER
    with pytest.raises(Unauthorized):
        authenticate(request.headers, stranger, certificates=certificates, now=datetime.now(UTC))


def test_the_audience_is_the_url_unless_named_and_no_account_is_no_token(world: World) -> None:
    """As documented."""
    world.create(http={"oidcToken": {"serviceAccountEmail": CALLER}})
    world.wait_until_received(1)
    world.create(name=None, http={"oidcToken": {}})
    world.wait_until_received(2)

    with_token, without = world.worker.received
    claims = with_token.headers["Authorization"].split(".")[1]

    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"] == world.worker.url("/run")
    assert "Authorization" not in without.headers


def test_a_task_waits_for_its_schedule_time(world: World) -> None:
    """To the second; a time in the past is now."""
    at = (world.clock.now + MINUTE).astimezone(UTC).isoformat().replace("+00:00", "Z")
    world.create(scheduleTime=at)
    world.create(f"{QUEUE}/tasks/past", scheduleTime="2020-01-01T00:00:00.123456789Z")
    world.wait_until_received(1)

    world.pass_time(MINUTE)
    world.wait_until_received(2)

    assert [request.headers["X-CloudTasks-TaskName"] for request in world.worker.received] == ["past", "abc"]


def test_a_failed_attempt_is_repeated_after_its_pause(world: World) -> None:
    """The next request says what came before; a success ends the task."""
    world.worker.answers["/run"] = reply(503)
    world.create()
    world.wait_until_received(1)
    world.wait_until_idle()
    between = world.get()
    world.worker.answers["/run"] = reply(400)

    world.pass_time(10 * SECOND)
    world.wait_until_received(2)
    world.wait_until_idle()
    world.worker.answers["/run"] = reply(204)
    world.pass_time(20 * SECOND)
    world.wait_until_received(3)
    world.wait_until_idle()

    names = ("TaskRetryCount", "TaskExecutionCount", "TaskPreviousResponse")
    seen = [tuple(request.headers[f"X-CloudTasks-{name}"] for name in names) for request in world.worker.received]
    assert seen == [("0", "0", None), ("1", "0", "503"), ("2", "1", "400")]
    assert (between["dispatchCount"], between["responseCount"]) == (1, 1)
    assert between["lastAttempt"]["responseStatus"] == {"code": 14, "message": "HTTP status code 503"}
    assert world.queue.tasks == {}


def test_never_more_at_once_than_the_queue_allows(world: World) -> None:
    """40 tasks over a queue of two, whose worker takes its time."""
    at_once, most, lock, go_on = 0, 0, threading.Lock(), threading.Event()

    def work(exchange: Exchange) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        go_on.wait(PATIENCE)
        with lock:
            at_once -= 1
        reply()(exchange)

    world.worker.answers["/run"] = work
    for number in range(40):
        world.create(f"{QUEUE}/tasks/task-{number}")
    world.wait_until_received(2)
    go_on.set()
    until(lambda: not world.queue.tasks, PATIENCE)

    assert (most, len(world.worker.received), world.queue.done) == (2, 40, 40)


def test_a_paused_queue_takes_tasks_and_delivers_them_once_resumed(paused: World) -> None:
    """A pause is no refusal."""
    paused.create()
    state = paused.queues.get(name=QUEUE).execute()["state"]

    paused.queues.resume(name=QUEUE, body={}).execute()
    paused.wait_until_received(1)

    assert state == "PAUSED"


def test_a_worker_that_is_away_is_called_again(world: World) -> None:
    """A refused connection is a failed attempt."""
    with HttpServer() as gone:
        url = gone.url("/run")
    world.create(http={"url": url})
    until(lambda: world.queue.tasks["abc"].last is not None, PATIENCE)

    assert world.get()["lastAttempt"]["responseStatus"] == {
        "code": 14,
        "message": "UNAVAILABLE: ConnectionRefusedError",
    }


def test_a_request_that_cannot_be_written_is_a_failed_attempt(world: World) -> None:
    """The queue continues with the next task."""
    world.create(http={"headers": {"X-Mine": "a\r\nX-Yours: b"}})
    until(lambda: world.queue.tasks["abc"].last is not None, PATIENCE)

    world.create(f"{QUEUE}/tasks/next")
    world.wait_until_received(1)

    assert "cannot be written" in world.get()["lastAttempt"]["responseStatus"]["message"]


def test_nothing_is_called_but_this_machine(world: World) -> None:
    """A task for another host fails without a DNS query."""
    world.create(http={"url": "http://example.com/run"})
    until(lambda: world.queue.tasks["abc"].last is not None, PATIENCE)

    assert "this machine" in world.get()["lastAttempt"]["responseStatus"]["message"]


def test_the_instance_that_serves_a_url_is_chosen_for_each_call(google: Google) -> None:
    """As by the platform's own front end; without an instance the attempt fails."""
    addresses: list[str] = []

    def address_of(url: str) -> AbstractContextManager[str]:
        if not addresses:
            raise ConnectionError("there is no instance")
        return nullcontext(addresses[0])

    with playing(google, address_of=address_of) as world:
        http = {"url": "http://127.0.0.1:1/run"}
        world.create(http=http)
        until(lambda: world.queue.tasks["abc"].last is not None, PATIENCE)
        refused = world.get()["lastAttempt"]["responseStatus"]["message"]
        addresses.append(world.worker.address)
        world.pass_time(10 * SECOND)
        world.wait_until_received(1)

    assert refused == "UNAVAILABLE: there is no instance"
    assert world.worker.received[0].headers["Host"] == world.worker.address


def test_the_end_comes_at_once_and_waits_for_no_worker(google: Google) -> None:
    """Open calls are cut, and no thread is left."""
    before = set(threading.enumerate())
    with playing(google) as world:
        world.worker.answers["/run"] = hang
        for number in range(5):
            world.create(f"{QUEUE}/tasks/task-{number}", dispatchDeadline="1800s")
        world.wait_until_received(2)
        began = time.monotonic()

    until(lambda: not {each for each in threading.enumerate() if each.is_alive()} - before, PATIENCE)
    assert time.monotonic() - began < 2


# -- Faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "code", "status"), REFUSALS)
def test_create_is_refused_on_request(paused: World, fault: str, code: int, status: str) -> None:
    """A fault can be for creates only: the method precedes the path. Nothing is kept."""
    paused.tasks.fail(fault, path="POST /v2")
    paused.queues.get(name=QUEUE).execute()

    refused = post_task(paused)

    assert (refused.status_code, refused.json()["error"]["status"]) == (code, status)
    assert paused.queue.tasks == {}
    assert paused.create()["name"] == TASK


def test_a_create_can_be_applied_and_its_answer_lost(paused: World) -> None:
    """The next request with the same name gets 409."""
    paused.tasks.fail("applied-but-cut", path="POST /v2")

    with pytest.raises(requests.ConnectionError):
        post_task(paused)

    assert refusal(paused.create)[0] == 409
    assert [*paused.queue.tasks] == ["abc"]


def test_a_task_can_be_delivered_twice_at_once(world: World) -> None:
    """Both requests are open at the same time; one success ends the task, and the other answer does not count."""
    both = threading.Barrier(2)

    def work(exchange: Exchange) -> None:
        both.wait(PATIENCE)
        reply(200 if exchange.request is world.worker.received[0] else 503)(exchange)

    world.worker.answers["/run"] = work
    world.tasks.fail("deliver-twice", path="/tasks/abc")

    world.create()
    world.wait_until_received(2)
    world.wait_until_idle()

    assert len(world.worker.received) == 2
    assert {request.headers["X-CloudTasks-TaskRetryCount"] for request in world.worker.received} == {"0"}
    assert world.queue.tasks == {}


def test_a_task_can_be_delivered_late(world: World) -> None:
    """It stays in the queue meanwhile."""
    world.tasks.lateness = 5 * MINUTE
    world.tasks.fail("deliver-late")
    world.create()
    until(lambda: world.queue.tasks["abc"].due_at > world.clock.now, PATIENCE)
    early = len(world.worker.received)

    world.pass_time(5 * MINUTE)
    world.wait_until_received(1)

    assert early == 0


def test_a_task_can_be_lost(world: World) -> None:
    """It is gone as if it had been executed, without a delivery."""
    world.tasks.fail("deliver-never")

    world.create()
    until(lambda: not world.queue.tasks, PATIENCE)

    assert refusal(world.get)[0] == 404
    assert world.worker.received == []


def test_the_deadline_can_pass_while_the_worker_goes_on(world: World) -> None:
    """The worker is not stopped, and gets the task once more after the pause."""
    go_on, ended = threading.Event(), threading.Event()

    def work(exchange: Exchange) -> None:
        go_on.wait(PATIENCE)
        ended.set()
        reply()(exchange)

    world.worker.answers["/run"] = work
    world.tasks.fail("deadline")
    world.create()
    world.wait_until_received(1)
    world.wait_until_idle()
    attempt = world.get()["lastAttempt"]["responseStatus"]
    world.pass_time(10 * SECOND)
    world.wait_until_received(2)
    was_at_work = not ended.is_set()
    go_on.set()
    until(lambda: not world.queue.tasks, PATIENCE)

    assert attempt == {"code": 4, "message": "DEADLINE_EXCEEDED"}
    assert was_at_work


def test_a_person_sees_the_queues_and_the_faults(paused: World) -> None:
    """The page has no token and no part of a body."""
    paused.create()

    shown = requests.get(f"{paused.tasks.url}/stand-in", timeout=PATIENCE).json()

    queue = shown["state"]["queues"][QUEUE]
    assert (queue["state"], queue["maxConcurrentDispatches"], queue["done"]) == ("PAUSED", 2, 0)
    assert [task["id"] for task in queue["tasks"]] == ["abc"]
    assert {"deliver-twice", "deliver-late", "deliver-never", "deadline", "applied-but-cut"} <= set(shown["faults"])
    assert "token" not in json.dumps(shown["state"])
