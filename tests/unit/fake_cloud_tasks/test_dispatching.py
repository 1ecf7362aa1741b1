"""Dispatching a task to its worker."""

import base64
import json
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

import pytest

from shared.errors import Unauthorized
from shared.settings import AuthPolicy
from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.support.local_cloud_tasks import (
    AUDIENCE,
    BODY,
    CALLER,
    MINUTE,
    PATIENCE,
    QUEUE,
    SECOND,
    Google,
    World,
    playing,
)
from tests.support.running import until
from tests.support.servers import Exchange, HttpServer, hang, reply


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


def test_a_function_accepts_the_id_token_of_a_task(world: World) -> None:
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


def test_the_default_audience_is_the_url_and_no_account_means_no_token(world: World) -> None:
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


def test_a_queue_dispatches_no_more_than_its_limit_at_once(world: World) -> None:
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


def test_an_unreachable_worker_is_called_again(world: World) -> None:
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


def test_only_this_machine_is_called(world: World) -> None:
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


def test_closing_the_fake_waits_for_no_worker(google: Google) -> None:
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
