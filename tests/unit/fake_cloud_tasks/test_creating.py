"""Creating a task: its name, its size, its token, and who may."""

import base64
from typing import Any

import pytest
import requests

from tests.support.local_cloud_tasks import (
    AUDIENCE,
    BODY,
    CALLER,
    PATIENCE,
    QUEUE,
    TASK,
    Google,
    World,
    playing,
    refusal,
)
from watchkeeper.fakes.task_queue import RESERVED


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
        pytest.param({"http": {"oauthToken": {}}}, 501, "only HTTP tasks", id="oauth-token"),
    ],
)
def test_an_invalid_task_is_refused(paused: World, given: dict[str, Any], status: int, says: str) -> None:
    """Each rule of create has its error, and nothing is kept."""
    code, _, message = refusal(lambda: paused.create(**given))

    assert code == status
    assert says in message
    assert paused.queue.tasks == {}


def test_the_largest_task_and_the_longest_name_are_accepted(paused: World) -> None:
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
def test_a_missing_or_unknown_token_is_refused(world: World, token: str, says: str) -> None:
    """A missing token and an unknown one have different errors."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.get(f"{world.tasks.url}/v2/{QUEUE}", headers=headers, timeout=PATIENCE)

    assert answer.status_code == 401
    assert says in answer.json()["error"]["message"]


def test_a_fake_can_accept_any_token(google: Google) -> None:
    """Real credentials are unknown to the fake; without a token it still answers 401."""
    with playing(google, takes_any_token=True) as world:
        url = f"{world.tasks.url}/v2/{QUEUE}"
        with_token = requests.get(url, headers={"Authorization": "Bearer ya29.real"}, timeout=PATIENCE)
        without = requests.get(url, timeout=PATIENCE)

    assert (with_token.status_code, without.status_code) == (200, 401)
