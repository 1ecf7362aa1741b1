"""The function over HTTP for all tests of this folder, and its work in this process, on a clock of its own."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

import airtable_webhooks
from airtable_settings import AirtableSettings
from shared.renewals import Renewals
from shared.settings import Settings
from shared.store.json_file import JsonStore
from tests.support.local_airtable import OTHER_BASE, ClockAhead, LocalAirtable, Refresh
from tests.support.renewing import in_file
from tests.support.running import RunningFunction
from tests.support.subscribed import Clock
from watchkeeper.fakes.airtable import API_KEY, BASE, Airtable


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirtable]:
    """Airtable, for all tests of this folder."""
    folder = tmp_path_factory.mktemp("airtable_refresh")
    clock = ClockAhead()
    with Airtable(clock=clock) as airtable:
        yield LocalAirtable(airtable=airtable, clock=clock, folder=folder, storage=in_file(folder))


@pytest.fixture(autouse=True)
def local(fake: LocalAirtable) -> LocalAirtable:
    """Airtable at the beginning of a test: two bases with a healthy webhook each, no requests, no fault."""
    fake.reset()
    return fake


@pytest.fixture(scope="session")
def of_one(fake: LocalAirtable) -> Iterator[RunningFunction]:
    """The function for one base."""
    with fake.running() as function:
        yield function


@pytest.fixture(scope="session")
def of_two(fake: LocalAirtable) -> Iterator[RunningFunction]:
    """The function for two bases."""
    with fake.running({"AIRTABLE_BASE_ID": f"{BASE}, {OTHER_BASE}"}) as function:
        yield function


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def airtable(clock: Clock) -> Iterator[Airtable]:
    """An Airtable with that clock."""
    with Airtable(clock=clock) as airtable:
        yield airtable


@pytest.fixture
def refresh(airtable: Airtable, clock: Clock, json_store: JsonStore) -> Refresh:
    """Refresh the webhooks of these bases, with a lease of this many seconds."""

    def run(
        lease_seconds: int = 300, *, bases: str = BASE, is_stopping: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        env = {"AIRTABLE_API_KEY": API_KEY, "AIRTABLE_BASE_ID": bases, "AIRTABLE_API_ENDPOINT": airtable.url}
        settings = Settings.from_env({"AUTH_MODE": "off", "SCHEDULER_LEASE_SECONDS": str(lease_seconds)})
        renewals = Renewals(
            json_store,
            settings,
            now=clock(),
            clock=clock,
            monotonic=lambda: clock().timestamp(),
            by="test",
            is_stopping=is_stopping,
            sleep=clock.sleep,
        )
        return airtable_webhooks.renew_webhooks(AirtableSettings.from_env(env), renewals)

    return run
