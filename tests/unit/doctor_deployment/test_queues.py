"""Task queues, their limits and who may use them."""

from typing import Any

import pytest

from tests.support.examined import SETUP, email, judged, own, policy, remedies, run
from watchkeeper.deploy.checks import checks

QUEUE = {
    "state": "RUNNING",
    "rateLimits": {"maxConcurrentDispatches": 2, "maxDispatchesPerSecond": 1},
    "retryConfig": {
        **{"maxAttempts": 100, "maxRetryDuration": "86400s", "minBackoff": "10s", "maxBackoff": "600s"},
        "maxDoublings": 6,
    },
}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(QUEUE, ("ok", "watchkeeper-agents delivers 2 at once"), id="well"),
        pytest.param(
            {**QUEUE, "retryConfig": {**QUEUE["retryConfig"], "minBackoff": "10.000s"}},  # type: ignore[dict-item]
            ("ok", "watchkeeper-agents delivers 2 at once"),
            id="the-same-duration",
        ),
        pytest.param(None, ("wrong", f"there is no queue watchkeeper-agents; {SETUP}"), id="missing"),
        pytest.param(
            {**QUEUE, "state": "PAUSED"},
            ("warning", f"watchkeeper-agents is paused; {run('resume', 'run_job')}"),
            id="paused",
        ),
        pytest.param(
            {**QUEUE, "rateLimits": {"maxConcurrentDispatches": 1000, "maxDispatchesPerSecond": 1}},
            ("wrong", f"watchkeeper-agents has a different max-concurrent-dispatches; {run('schedules', 'run_job')}"),
            id="more-at-once",
        ),
        pytest.param(
            {**QUEUE, "retryConfig": {"maxAttempts": -1}},
            (
                "wrong",
                "watchkeeper-agents has a different max-attempts, max-retry-duration, min-backoff, max-backoff, "
                f"max-doublings; {run('schedules', 'run_job')}",
            ),
            id="tried-for-ever",
        ),
    ],
)
def test_a_queue_must_be_there_with_its_limits(found: Any, expected: tuple[str, str]) -> None:
    """A paused queue is a warning, like a paused Scheduler job; Google may format a duration in several ways."""
    assert judged("queue", "watchkeeper-agents", found) == [expected]


def test_a_function_that_hands_jobs_over_needs_its_roles() -> None:
    """A missing role on the queue is named, and so is a tick that may not act as the account of the tasks."""
    tick, chat = own("tick"), own("chat-webhook")
    roles = [("enqueuer", [tick]), ("viewer", [tick]), ("taskDeleter", [tick, chat])]
    bindings = [{"role": f"roles/cloudtasks.{role}", "members": members} for role, members in roles]
    users, makers = "who may use watchkeeper-agents", f"who may act as {email('watchkeeper-tasks')}"

    assert judged("queue", users, {"bindings": bindings})[0][0] == "ok"
    assert judged("queue", users, {"bindings": bindings[1:]}) == [
        ("wrong", f"on watchkeeper-agents watchkeeper-tick lacks roles/cloudtasks.enqueuer; {SETUP}")
    ]
    assert judged("queue", makers, policy("roles/iam.serviceAccountUser", tick))[0][0] == "ok"
    assert judged("queue", makers, policy("roles/iam.serviceAccountUser", chat)) == [
        ("wrong", f"watchkeeper-tick may not create tasks that act as {email('watchkeeper-tasks')}; {SETUP}")
    ]


def test_a_missing_queue_is_reported_once() -> None:
    """The check of its users does not report it again."""
    assert judged("queue", "who may use watchkeeper-agents", None)[0][0] == "ok"


def test_queues_are_not_examined_for_functions_without_one() -> None:
    """For example, an agent that only renews subscriptions."""
    assert not [each for each in checks(remedies("gmail_watch")) if each.subject == "queue"]
