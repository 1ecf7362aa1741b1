"""Faults on request: of the API, and of deliveries."""

import json
import threading
from typing import Any

import pytest
import requests
from google.auth.transport.requests import Request

from tests.support.local_cloud_tasks import (
    MINUTE,
    PATIENCE,
    QUEUE,
    SECOND,
    TASK,
    World,
    refusal,
)
from tests.support.running import until
from tests.support.servers import Exchange, reply

REFUSALS = [
    pytest.param("forbidden", 403, "PERMISSION_DENIED", id="forbidden"),
    pytest.param("unauthorized", 401, "UNAUTHENTICATED", id="unauthorized"),
    pytest.param("no-queue", 400, "FAILED_PRECONDITION", id="no-queue"),
    pytest.param("rate-limit", 429, "RESOURCE_EXHAUSTED", id="rate-limit"),
    pytest.param("internal", 500, "INTERNAL", id="internal"),
    pytest.param("unavailable", 503, "UNAVAILABLE", id="unavailable"),
]


def post_task(world: World) -> requests.Response:
    """Create a task without the client library, which repeats requests that were cut or answered with 401."""
    token = world.queues._http.credentials
    token.refresh(Request())
    url, headers = f"{world.tasks.url}/v2/{QUEUE}/tasks", {"Authorization": f"Bearer {token.token}"}
    task: Any = {"name": TASK, "httpRequest": {"url": world.worker.url("/run")}}
    return requests.post(url, json={"task": task}, headers=headers, timeout=PATIENCE)


@pytest.mark.parametrize(("fault", "code", "status"), REFUSALS)
def test_create_fails_on_request(paused: World, fault: str, code: int, status: str) -> None:
    """A fault can be for creates only: the method precedes the path. Nothing is kept."""
    paused.tasks.fail(fault, path="POST /v2")
    paused.queues.get(name=QUEUE).execute()

    refused = post_task(paused)

    assert (refused.status_code, refused.json()["error"]["status"]) == (code, status)
    assert paused.queue.tasks == {}
    assert paused.create()["name"] == TASK


def test_a_create_can_be_applied_although_its_response_is_lost(paused: World) -> None:
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


def test_the_control_page_shows_queues_and_faults(paused: World) -> None:
    """The page has no token and no part of a body."""
    paused.create()

    shown = requests.get(f"{paused.tasks.url}/stand-in", timeout=PATIENCE).json()

    queue = shown["state"]["queues"][QUEUE]
    assert (queue["state"], queue["maxConcurrentDispatches"], queue["done"]) == ("PAUSED", 2, 0)
    assert [task["id"] for task in queue["tasks"]] == ["abc"]
    assert {"deliver-twice", "deliver-late", "deliver-never", "deadline", "applied-but-cut"} <= set(shown["faults"])
    assert "token" not in json.dumps(shown["state"])
