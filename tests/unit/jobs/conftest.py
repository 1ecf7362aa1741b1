"""The Python interface to the jobs of an empty store."""

from datetime import datetime

import pytest

from shared.jobs import Jobs
from shared.store.protocol import Store
from tests.support.calling_jobs import DAY, HANDLERS


@pytest.fixture
def jobs(store: Store, now: datetime) -> Jobs:
    """The jobs of an empty store, with Tokyo as the time zone."""
    return Jobs(store, clock=lambda: now, handlers=HANDLERS, retention=30 * DAY, timezone="Asia/Tokyo")
