"""Requests to the console as its page sends them, and jobs in the states that it shows."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from werkzeug.test import TestResponse

from shared.model.history import Result
from shared.model.job import Job
from watchkeeper.console import views
from watchkeeper.console.app import create_console
from watchkeeper.console.system import System

HERE = "http://127.0.0.1:8080"
OURS = {"Origin": HERE}
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'
RETENTION = timedelta(days=30)
MINUTE = timedelta(minutes=1)


def get(system: System, path: str, **headers: str) -> TestResponse:
    """Send a GET request as the page does."""
    sent = {"Sec-Fetch-Site": "same-origin", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return create_console(system).test_client().get(path, base_url=HERE, headers=sent, buffered=True)


def post(
    system: System, path: str, body: Any = None, headers: Mapping[str, str] = OURS, mimetype: str = "application/json"
) -> TestResponse:
    """Send a POST request as the page does; bytes are sent as they are."""
    client = create_console(system).test_client()
    content = body if isinstance(body, bytes) else json.dumps({} if body is None else body)
    return client.post(path, base_url=HERE, data=content, content_type=mimetype, headers=headers)


def held(job: Job, now: datetime) -> Job:
    return job.claim(now=now, token="t", lease=5 * MINUTE, retention=RETENTION)


def failed(job: Job, now: datetime) -> Job:
    return held(job, now).finish(
        Result(started_at=now, ended_at=now, by="schedule", error="no luck", final=True), retention=RETENTION
    )


ALL = {
    "when": "every",
    "every": "6d",
    "start": "2026-12-01T09:00",
    "until": "2027-02-01T00:00",
    "except_dates": "2026-12-25, 2026-12-07",
    "misfire": "skip",
    "grace": "30m",
    "pause_after_failures": "3",
}


def marks(job: Job, now: datetime) -> list[tuple[str, str, str]]:
    """Return the lane of a job: outcome, time due, time started."""
    lanes = views.timeline([job], now, "UTC")["lanes"]
    return [(mark["outcome"], mark["due"][11:16], mark["at"][11:16]) for lane in lanes for mark in lane["marks"]]
