"""Webhooks that deliver nothing: disabled, switched off, failing, expired, deleted."""

from datetime import timedelta
from typing import Any

import pytest

from shared.errors import RenewalFailed
from shared.model.job import Job
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.support.local_airtable import DAY, LIST, OTHER_WEBHOOK, RECORD, REPLACE, LocalAirtable, Refresh
from tests.support.renewing import call, utc_now
from tests.support.running import RunningFunction
from tests.support.subscribed import Clock
from watchkeeper.fakes.airtable import BASE, WEBHOOK, Airtable, webhook


@pytest.mark.parametrize(
    ("given", "reasons", "refreshed"),
    [
        pytest.param(
            {"notifies": False},
            ["its notifications are switched off: switch them on with Airtable's enableNotifications"],
            1,
            id="notifications-off",
        ),
        pytest.param(
            {"failing": "The receiver\nanswered 503"},
            ["its last notification, at 2026-11-20T08:00:00Z, failed: The receiver answered 503; check its receiver"],
            1,
            id="failing-to-deliver",
        ),
        pytest.param(
            {"expires_at": None}, ["it has no expiration, so there is nothing to renew"], 0, id="without-expiration"
        ),
        pytest.param(
            {"expires_at": None, "is_enabled": False, "notifies": False},
            ["it has no expiration", "it is disabled and delivers nothing", "its notifications are switched off"],
            0,
            id="several",
        ),
    ],
)
def test_a_webhook_that_delivers_nothing_is_a_problem_and_no_failure(
    local: LocalAirtable, of_one: RunningFunction, given: dict[str, Any], reasons: list[str], refreshed: int
) -> None:
    """It is renewed if possible, named with each reason, and logged as ERROR, so that somebody notices."""
    local.hold(BASE, webhook(WEBHOOK, **{"expires_at": utc_now() + DAY, **given}))

    answered = call(of_one)

    problems = answered.body["problems"]
    assert (answered.status, answered.body["webhooks_refreshed"]) == (200, refreshed)
    assert len(local.refreshes()) == refreshed
    assert len(problems) == len(reasons)
    for problem, reason in zip(problems, reasons, strict=True):
        assert problem == {"base_id": BASE, "webhook_id": WEBHOOK, "reason": problem["reason"]}
        assert problem["reason"].startswith(reason)
        assert f"The Airtable webhook {WEBHOOK} of {BASE}: {problem['reason']}" in answered.errors()


def test_a_disabled_webhook_is_a_problem_besides_its_failure(local: LocalAirtable, of_one: RunningFunction) -> None:
    """Airtable refuses to refresh it; both reasons say that it must be replaced."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=utc_now() + DAY, is_enabled=False))

    answered = call(of_one)

    (failed,), (problem,) = answered.body["failed"], answered.body["problems"]
    assert answered.status == 500
    assert (failed["base_id"], failed["webhook_id"]) == (problem["base_id"], problem["webhook_id"]) == (BASE, WEBHOOK)
    assert failed["reason"].startswith("Airtable said 422 INVALID_REQUEST_UNKNOWN: The webhook is not active")
    assert problem["reason"].startswith("it is disabled and delivers nothing")
    assert REPLACE in failed["reason"]
    assert REPLACE in problem["reason"]


def test_an_expired_webhook_cannot_be_refreshed_and_does_not_stop_the_others(
    local: LocalAirtable, of_one: RunningFunction
) -> None:
    """No refresh is sent for it; the answer has both lists and the remedy."""
    expired_at = utc_now() - timedelta(hours=1)
    local.hold(
        BASE,
        webhook(WEBHOOK, expires_at=expired_at),
        webhook(OTHER_WEBHOOK, expires_at=utc_now() + DAY),
    )
    old = local.expiration(place=1)

    answered = call(of_one)

    (failed,) = answered.body["failed"]
    assert answered.status == 500
    assert answered.body.keys() == {"status", "error", "trace_id", "webhooks_refreshed", "webhooks", "failed"}
    assert (answered.body["status"], answered.body["error"]["code"]) == ("error", "renewal_failed")
    assert (failed["base_id"], failed["webhook_id"]) == (BASE, WEBHOOK)
    assert failed["reason"].startswith(f"it expired at {expired_at:%Y-%m-%dT%H:%M:%SZ}, and")
    assert REPLACE in failed["reason"]
    assert answered.body["webhooks_refreshed"] == 1
    assert answered.body["webhooks"] == [
        {"webhook_id": OTHER_WEBHOOK, "old_expiration": old, "new_expiration": local.expiration(place=1)}
    ]
    assert local.refreshes() == [f"{LIST}/{OTHER_WEBHOOK}/refresh"]


def test_a_webhook_that_airtable_no_longer_lists_fails_until_a_person_cancels_its_record(
    airtable: Airtable, refresh: Refresh, json_store: JsonStore, clock: Clock
) -> None:
    """It may be lost, and its record says so; a cancelled one is ignored."""
    refresh()
    clock.sleep(60)
    airtable.bases[BASE].clear()

    with pytest.raises(RenewalFailed, match="Airtable no longer lists it") as refused:
        refresh()

    job = json_store.get([RECORD])[RECORD]
    assert isinstance(job, Job)
    assert refused.value.answer["failed"][0]["webhook_id"] == WEBHOOK
    assert "no longer lists it" in job.payload["error"]
    json_store.swap([Change(job, job.cancel(now=clock(), retention=timedelta(days=1)))])
    assert refresh()["webhooks_refreshed"] == 0
