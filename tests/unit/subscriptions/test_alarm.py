"""A subscription that is not renewed raises an alarm until it is."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.handlers import Context, Snooze, load_handlers
from shared.model.value import Status
from shared.renewals import Renewals
from shared.running.tick import run_tick
from shared.store.protocol import Store
from shared.subscriptions import ALARM_EVERY, CHECK, check
from tests.support.subscribed import AGENT, SETTINGS, Clock, error_lines, for_a_week, record


@pytest.fixture
def context(now: datetime) -> Context:
    return Context(
        job_id=AGENT.id,
        job_type=CHECK,
        execution_key="",
        attempt=1,
        schedule_at=now,
        started_at=now,
        deadline=now + timedelta(seconds=30),
    )


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        pytest.param({"expires_at": "2026-11-22T09:00:00Z"}, "expires in 24.0 hours", id="at-the-deadline"),
        pytest.param({"expires_at": "2026-11-21T09:30:00Z"}, "expires in 0.5 hours", id="soon"),
        pytest.param({"expires_at": "2026-11-21T09:00:00Z"}, "expired 0.0 hours ago", id="now"),
        pytest.param({"expires_at": "2026-11-20T09:00:00Z"}, "expired 24.0 hours ago", id="over"),
        pytest.param({}, "has never been renewed", id="unknown"),
        pytest.param({"expires_at": "soon"}, "has never been renewed", id="not-a-time"),
        pytest.param({"renewed_at": "2026-11-14T09:00:00Z"}, "Last renewal: 2026-11-14T09:00:00Z", id="last-renewal"),
        pytest.param({"error": "Gmail said 403"}, "Last error: Gmail said 403", id="last-error"),
        pytest.param({}, "Run `watchkeeper renew gmail`", id="remedy"),
        pytest.param({}, f"`watchkeeper jobs cancel {AGENT.id}`", id="not-wanted"),
    ],
)
def test_the_alarm_names_the_subscription(
    context: Context, caplog: pytest.LogCaptureFixture, payload: dict[str, Any], says: str
) -> None:
    """One ERROR line has its state and the remedy; an hour later it is examined again."""
    with pytest.raises(Snooze) as raised:
        check({"subscription": AGENT.title, **payload}, context)

    (line,) = error_lines(caplog)
    assert line.startswith(AGENT.title)
    assert says in line
    assert raised.value.delay == ALARM_EVERY


def test_there_is_no_alarm_while_there_is_time(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    """Until a day before the expiry; a renewal whose process died is a warning."""
    for payload, lines in (({}, []), ({"renewal_started_at": "2026-11-21T08:55:00Z"}, ["WARNING"])):
        caplog.clear()
        with pytest.raises(Snooze) as raised:
            check({"expires_at": "2026-11-22T09:00:01Z", **payload}, context)

        assert raised.value.delay == timedelta(seconds=1)
        assert [line.levelname for line in caplog.records] == lines


def test_the_tick_raises_the_alarm_every_hour_until_somebody_renews(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The check is a built-in handler and never gives up."""
    renewals().renew_all([AGENT], for_a_week(clock))
    handlers = load_handlers(())

    def alarms() -> int:
        caplog.clear()
        run_tick(store, handlers, settings=SETTINGS, clock=clock, monotonic=time.monotonic)
        return len(error_lines(caplog))

    counts = []
    for later in (timedelta(days=6), timedelta(minutes=59), timedelta(minutes=1), *[timedelta(hours=1)] * 4):
        clock.now += later
        counts.append(alarms())
    renewals().renew_all([AGENT], for_a_week(clock))
    clock.now += ALARM_EVERY

    assert counts == [1, 0, 1, 1, 1, 1, 1]
    assert alarms() == 0
    assert record(store).status is Status.PENDING
