"""The latest call of each function, and the time that a subscription has left."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from shared.model.job import Job
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from shared.subscriptions import CHECK
from tests.support.console_page import HOSTILE, MINUTE, get
from watchkeeper.console import views
from watchkeeper.console.system import FunctionCall, System


def test_the_latest_tick_is_shown(system: System) -> None:
    """With its metrics and the time of the next tick."""
    shown = get(system, "/api/now").get_json()["tick"]

    assert shown["next"] == "2026-11-21T09:01:00Z"
    assert shown["last"]["took"] == "40 ms"
    assert shown["last"]["metrics"] == {"jobs_executed": 2}


@pytest.mark.parametrize(
    ("status", "body", "failure", "problem"),
    [
        pytest.param(503, {"error": {"message": "no store"}}, "", "HTTP 503: no store", id="error"),
        pytest.param(500, "oops", "", "HTTP 500: see its log", id="no-json"),
        pytest.param(None, None, "refused", "no answer: refused", id="no-answer"),
    ],
)
def test_a_call_that_failed_says_why(now: datetime, status: int | None, body: Any, failure: str, problem: str) -> None:
    """Even if the function did not answer."""
    call = FunctionCall(began_at=now, duration=MINUTE, status=status, body=body, failure=failure)

    assert views.called(call)["problem"] == problem


def test_a_subscription_shows_the_time_that_is_left(system: System, json_store: JsonStore, now: datetime) -> None:
    """As a share of its seven days; other jobs are not listed here."""
    payload = {
        "subscription": "the Gmail watch of a@example.com",
        "renewed_at": "2026-11-21T08:00:00Z",
        "expires_at": "2026-11-25T21:00:00Z",
        "error": HOSTILE,
    }
    record = Job.create("subscription:gmail:a@example.com", CHECK, now=now, payload=payload)
    json_store.swap([Change(None, record)])
    system.jobs.schedule("log", {"message": "hello"}, id="z")

    (shown,) = get(system, "/api/now").get_json()["subscriptions"]

    assert shown["left"] == pytest.approx(4.5 / 7)
    assert (shown["function"], shown["error"]) == ("gmail_watch", HOSTILE)


def test_a_function_without_recorded_subscriptions_is_listed_itself(system: System) -> None:
    """With the error of its last call: it can be called from the page, and wrong settings are seen there."""
    failed = replace(system.call("tick"), status=500, body={"error": {"message": "no such setting"}})
    renewals = {"tick": system.schedules["tick"], "gmail_watch": system.schedules["tick"]}

    views = get(replace(system, schedules=renewals, last_call=lambda name: failed), "/api/now").get_json()

    assert [(view["function"], view["error"]) for view in views["subscriptions"]] == [
        ("gmail_watch", "HTTP 500: no such setting")
    ]
