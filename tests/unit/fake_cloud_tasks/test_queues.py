"""Looking tasks up, deleting them, and making, changing and purging queues."""

from typing import Any

import pytest
import requests

from tests.support.local_cloud_tasks import LOCATION, PATIENCE, QUEUE, TASK, World, refusal


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


def test_a_page_size_must_be_a_number(world: World) -> None:
    """As the API would, which reads it as a number."""
    world.queues.get(name=QUEUE).execute()
    token = world.queues._http.credentials.token
    url, headers = f"{world.tasks.url}/v2/{QUEUE}/tasks?pageSize=all", {"Authorization": f"Bearer {token}"}

    assert requests.get(url, headers=headers, timeout=PATIENCE).status_code == 400


def test_a_purge_removes_the_waiting_tasks(paused: World) -> None:
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
def test_an_invalid_queue_is_refused(world: World, name: str, body: dict[str, Any], says: str) -> None:
    """Names and limits are those of Cloud Tasks."""
    code, _, message = refusal(lambda: world.queues.create(parent=LOCATION, body={"name": name, **body}).execute())

    assert code == 400
    assert says in message


def test_a_method_that_is_not_faked_is_refused(world: World) -> None:
    """A method that the fake does not have fails."""
    assert refusal(lambda: world.queues.delete(name=QUEUE).execute())[:2] == (501, "UNIMPLEMENTED")
