"""The subscriptions on record, and how long they last."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.store.documents import Unreadable
from tests.support.examined import remedies, run
from watchkeeper.deploy.examination import Subscribed, judge_subscription
from watchkeeper.findings import Finding

WATCH = "subscription:gmail:agent@example.com"
RENEW = run("smoke", "gmail_watch")
MAILBOX = Subscribed("gmail", "agent@example.com", RENEW)
JOBS = (
    "env SCHEDULER_STORAGE=firestore GOOGLE_CLOUD_PROJECT=demo 'FIRESTORE_DATABASE=(default)' "
    "SCHEDULER_COLLECTION=scheduler_jobs watchkeeper jobs"
)
Record = Callable[..., Job]


@pytest.fixture
def record(job_factory: Callable[..., Job], now: datetime) -> Record:
    """Make a record of a subscription with this time left and these fields in its payload."""

    def make(left: timedelta | None = None, *, id: str = WATCH, status: Status = Status.PENDING, **payload: Any) -> Job:
        expiry = {} if left is None else {"expires_at": iso(now + left)}
        job = job_factory(id, "subscription_check", payload={**expiry, **payload})
        return replace(job, status=status)

    return make


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("left", "payload", "expected"),
    [
        pytest.param(DAY + timedelta(seconds=1), {}, ("ok", "expires in 24 h"), id="time-left"),
        pytest.param(DAY, {}, ("wrong", f"expires in 24 h; {RENEW}"), id="at-the-edge"),
        pytest.param(timedelta(hours=-3), {}, ("wrong", f"lapsed 3 h ago; {RENEW}"), id="lapsed"),
        pytest.param(None, {}, ("wrong", f"has never been renewed; {RENEW}"), id="never-renewed"),
        pytest.param(None, {"expires_at": None}, ("ok", "never expires"), id="never-expires"),
        pytest.param(
            timedelta(hours=3), {"error": "no"}, ("wrong", f"expires in 3 h; last error: no; {RENEW}"), id="last-error"
        ),
    ],
)
def test_a_subscription_needs_more_than_a_day(
    record: Record, now: datetime, left: timedelta | None, payload: dict[str, Any], expected: tuple[str, str]
) -> None:
    """With less, the renewals have failed for days, or nothing calls them."""
    found = list(judge_subscription(MAILBOX, [record(left, **payload)], remedies=remedies(), now=now))

    assert found == [Finding(expected[0], "gmail", f"{WATCH} {expected[1]}")]


@pytest.mark.parametrize(
    ("status", "days", "expected"),
    [
        pytest.param(
            Status.PAUSED,
            6,
            ("warning", f"{WATCH} is paused: there is no alarm; run `{JOBS} resume {WATCH}`"),
            id="paused",
        ),
        pytest.param(Status.PAUSED, -2, ("wrong", f"{WATCH} lapsed 2 days ago; {RENEW}"), id="paused-and-lapsed"),
        pytest.param(
            Status.CANCELLED,
            6,
            (
                "warning",
                f"{WATCH} is cancelled: there is no alarm; run `{JOBS} delete {WATCH}`, then {RENEW}",
            ),
            id="cancelled",
        ),
    ],
)
def test_a_subscription_without_an_alarm_is_a_warning(
    record: Record, now: datetime, status: Status, days: int, expected: tuple[str, str]
) -> None:
    """It is renewed, but nobody would notice if it were not."""
    records = [record(timedelta(days=days), status=status)]

    found = list(judge_subscription(MAILBOX, records, remedies=remedies(), now=now))

    assert found == [Finding(expected[0], "gmail", expected[1])]


def test_a_subscription_without_a_record_is_wrong(record: Record, now: datetime) -> None:
    """The record of a mailbox whose address only begins with the same text does not count."""
    records = [record(DAY * 6, id=f"{WATCH}.au")]

    found = list(judge_subscription(MAILBOX, records, remedies=remedies(), now=now))

    assert found == [Finding("wrong", "gmail", f"there is no subscription of agent@example.com; {RENEW}")]


def test_a_record_that_cannot_be_read_is_wrong(now: datetime) -> None:
    """The remedy repairs it first."""
    unreadable = Unreadable(id=WATCH, version=1, reason="no status", document={})

    (found,) = judge_subscription(MAILBOX, [unreadable], remedies=remedies(), now=now)

    assert found.state == "wrong"
    assert found.says.endswith(f"cannot be read (no status); repair it, then run `{JOBS} upgrade`")


def test_every_webhook_of_a_base_is_judged(record: Record, now: datetime) -> None:
    """Except one whose alarm a person has cancelled, because another one replaced it."""
    base = "subscription:airtable:appA"
    records = [
        record(DAY * 6, id=f"{base}:ach1"),
        record(DAY / 2, id=f"{base}:ach2"),
        record(-DAY, id=f"{base}:ach3", status=Status.CANCELLED),
        record(-DAY, id="subscription:airtable:appB:ach4"),
    ]

    found = list(judge_subscription(Subscribed("airtable", "appA", "renew it"), records, remedies=remedies(), now=now))

    assert found == [
        Finding("ok", "airtable", f"{base}:ach1 expires in 6 days"),
        Finding("wrong", "airtable", f"{base}:ach2 expires in 12 h; renew it"),
    ]
