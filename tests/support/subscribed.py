"""Renewals of two subscriptions, on a clock that moves only when somebody sleeps."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.model.job import Job
from shared.renewals import NotRenewed, Renewed
from shared.settings import Settings
from shared.store.protocol import Change, Store, Won
from shared.subscriptions import Subscription

AGENT = Subscription(id="subscription:gmail:agent@example.com", title="the Gmail watch of agent@example.com")
SALES = Subscription(id="subscription:gmail:sales_o'neill@example.com", title="the Gmail watch of sales")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LEASE = timedelta(seconds=300)
SETTINGS = Settings.from_env({"CALL_TIMEOUT_SECONDS": "300"})


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.put = timedelta()
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - self.put).timestamp()

    @property
    def waited(self) -> timedelta:
        """Return how long anybody has slept."""
        return timedelta(seconds=sum(self.slept))

    def put_forward(self, by: timedelta) -> None:
        """Put the wall clock forward or back, without time passing."""
        self.put += by
        self.now += by

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def for_a_week(clock: Clock, **first: Any) -> Callable[[Subscription], Renewed]:
    """Renew as a service that grants seven days."""
    return lambda subscription: Renewed(expires_at=clock() + WEEK, first=first)


def refused(subscription: Subscription) -> Renewed:
    raise NotRenewed("Gmail said 403 no; do something")


def unexpected(subscription: Subscription) -> Renewed:
    raise ZeroDivisionError


def never(subscription: Subscription) -> Renewed:
    raise AssertionError(f"{subscription.id} is renewed")


def record(store: Store, subscription: Subscription = AGENT) -> Job:
    job = store.get([subscription.id])[subscription.id]
    assert isinstance(job, Job)
    return job


def changed(store: Store, job: Job, after: Job) -> Job:
    outcome = store.swap([Change(job, after)])[0]
    assert isinstance(outcome, Won)
    assert isinstance(outcome.job, Job)
    return outcome.job


def error_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR]
