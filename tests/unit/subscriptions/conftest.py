"""Renewals over each store, on the clock of the test."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from shared.renewals import Renewals
from shared.store.protocol import Store
from tests.support.subscribed import SETTINGS, Clock


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def renewals(store: Store, clock: Clock) -> Callable[..., Renewals]:
    """Start a call at the present time of the clock."""

    def begin(store: Store = store, **given: Any) -> Renewals:
        clocks = {"now": clock(), "clock": clock, "monotonic": clock.monotonic, "sleep": clock.sleep}
        return Renewals(store, **{"settings": SETTINGS, "by": "scheduler", **clocks, **given})

    return begin
