"""A local run without jobs, and a deployment that the console may only read."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.handlers import load_handlers
from shared.jobs import Jobs
from shared.model.recurrence import Recurrence
from shared.store.json_file import JsonStore
from tests.support.console_page import RETENTION
from watchkeeper.console.system import FunctionCall, System
from watchkeeper.deploy.functions_table import SchedulerJob
from watchkeeper.fakes.services import Service


@pytest.fixture
def jobs(json_store: JsonStore, now: datetime) -> Jobs:
    """No jobs yet."""
    return Jobs(json_store, clock=lambda: now, handlers=load_handlers([]), retention=RETENTION)


@pytest.fixture
def system(jobs: Jobs, now: datetime) -> System:
    """A local run in which every function answers successfully."""
    every_minute = SchedulerJob(
        name="tick", recurrence=Recurrence("* * * * *", "UTC"), attempt_deadline=timedelta(minutes=3)
    )
    answered = FunctionCall(
        began_at=now, duration=timedelta(milliseconds=40), status=200, body={"metrics": {"jobs_executed": 2}}
    )
    return System(
        jobs=jobs,
        handlers=load_handlers([]),
        clock=lambda: now,
        timezone="Europe/Berlin",
        place="in a file",
        functions={"tick": "http://127.0.0.1:1", "chat_webhook": "http://127.0.0.1:1"},
        headers={},
        schedules={"tick": every_minute},
        services=[Service(name="Gmail", address="", is_fake=False)],
        last_call=lambda name: answered,
        call=lambda name: answered,
        is_read_only=False,
    )


@pytest.fixture
def read_only(system: System) -> System:
    """A deployment elsewhere."""
    return replace(system, functions={}, schedules={}, is_read_only=True, is_billed=True)
