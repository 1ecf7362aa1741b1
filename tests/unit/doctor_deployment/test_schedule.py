"""The Scheduler jobs."""

from typing import Any

import pytest

from tests.support.examined import TICK_AUDIENCE, judged, run, schedule

TARGET = schedule()["httpTarget"]
FAILED = "the last attempt of watchkeeper-tick, at 2026-11-21T09:00:00Z, failed with status"
LOG = "the log of watchkeeper-tick says why, docs/OPERATIONS.md what to do"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, ("wrong", f"watchkeeper-tick is not there; {run('schedules', 'tick')}"), id="missing"),
        pytest.param(
            schedule(state="UPDATE_FAILED"),
            ("wrong", f"watchkeeper-tick is UPDATE_FAILED; {run('schedules', 'tick')}"),
            id="state",
        ),
        pytest.param(
            schedule(state="PAUSED"), ("warning", f"watchkeeper-tick is paused; {run('resume', 'tick')}"), id="paused"
        ),
        pytest.param(
            schedule(schedule="*/5 * * * *", timeZone="Asia/Tokyo", attemptDeadline="15s"),
            (
                "wrong",
                f"watchkeeper-tick has a different schedule, time-zone, attempt-deadline; {run('schedules', 'tick')}",
            ),
            id="when",
        ),
        pytest.param(
            schedule(httpTarget={**TARGET, "httpMethod": "PUT"}),
            ("wrong", f"watchkeeper-tick has a different http-method; {run('schedules', 'tick')}"),
            id="method",
        ),
        pytest.param(
            schedule(httpTarget={**TARGET, "uri": "https://old"}, state="PAUSED", schedule="@daily"),
            ("wrong", f"watchkeeper-tick calls https://old, which is not ours; {run('schedules', 'tick')}"),
            id="not-ours",
        ),
        pytest.param(
            schedule(httpTarget={}),
            ("wrong", f"watchkeeper-tick calls no URL, which is not ours; {run('schedules', 'tick')}"),
            id="no-url",
        ),
        pytest.param(
            schedule(httpTarget={**TARGET, "oidcToken": {"serviceAccountEmail": "x", "audience": "https://old"}}),
            (
                "wrong",
                "watchkeeper-tick has a different oidc-service-account-email, oidc-token-audience; "
                + run("schedules", "tick"),
            ),
            id="token",
        ),
        pytest.param(
            schedule(httpTarget={"uri": TICK_AUDIENCE, "httpMethod": "POST"}),
            (
                "wrong",
                "watchkeeper-tick has a different oidc-service-account-email, oidc-token-audience; "
                + run("schedules", "tick"),
            ),
            id="no-token",
        ),
        pytest.param(
            schedule(status={"code": 7}), ("wrong", f"{FAILED} 7 (403); {LOG}; then {run('smoke', 'tick')}"), id="403"
        ),
        pytest.param(
            schedule(status={"code": 2}), ("wrong", f"{FAILED} 2; {LOG}; then {run('smoke', 'tick')}"), id="other-code"
        ),
        pytest.param(
            {name: value for name, value in schedule().items() if name != "lastAttemptTime"},
            ("warning", f"watchkeeper-tick has never run; {run('smoke', 'tick')}"),
            id="never-run",
        ),
    ],
)
def test_a_scheduler_job_that_is_not_right_is_named(found: Any, expected: tuple[str, str]) -> None:
    """Each finding has the command that corrects it."""
    assert judged("schedule", "watchkeeper-tick", found) == [expected]


def test_a_scheduler_job_can_have_several_faults() -> None:
    """Each has its own remedy, so it is its own finding."""
    found = schedule(state="PAUSED", schedule="@daily", status={"code": 13})

    states = [state for state, _ in judged("schedule", "watchkeeper-tick", found)]

    assert states == ["warning", "wrong", "wrong"]


def test_a_scheduler_job_that_is_right_is_well() -> None:
    """The finding has its schedule and its deployment."""
    assert judged("schedule", "watchkeeper-tick", schedule()) == [
        ("ok", "watchkeeper-tick calls watchkeeper-tick: * * * * * (UTC)")
    ]
