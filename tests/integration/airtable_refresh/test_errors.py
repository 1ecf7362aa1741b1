"""Airtable's errors: each is reported with a remedy, and stops nothing else."""

import json
from datetime import datetime

import pytest

import airtable_webhooks
from shared.errors import RenewalFailed
from shared.model.job import Job
from shared.model.value import Status
from shared.store.json_file import JsonStore
from tests.support.local_airtable import (
    AGAIN,
    DAY,
    LIST,
    LIST_OTHER,
    OTHER_BASE,
    OTHER_WEBHOOK,
    RECORD,
    REFRESH,
    TITLE,
    LocalAirtable,
    Refresh,
)
from tests.support.renewing import call, let_out
from tests.support.running import RunningFunction
from tests.support.subscribed import Clock
from watchkeeper.fakes.airtable import API_KEY, BASE, WEBHOOK, Airtable

# What the reason names: Airtable and what it said, then the remedy.
FAULTS = {
    "unauthorized": ("Airtable said 401 AUTHENTICATION_REQUIRED: Authentication required", "AIRTABLE_API_KEY"),
    "forbidden": ("Airtable said 403 INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND: ", "the scope webhook:manage"),
    "not-found": ("Airtable said 404 NOT_FOUND", "check that it exists"),
    "rate-limit": ("Airtable said 429 ", AGAIN),  # the lease leaves no time for the pause
    "internal": ("Airtable said 500 SERVER_ERROR: The server encountered an unexpected condition", AGAIN),
    "unavailable": ("Airtable said 503 SERVICE_UNAVAILABLE: The server could not process", AGAIN),
    "cut": ("no usable response from Airtable (ConnectionError", AGAIN),
    "not-json": ("no usable response from Airtable (JSONDecodeError", AGAIN),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_base_that_cannot_be_listed_is_reported_with_a_remedy(
    local: LocalAirtable, of_one: RunningFunction, fault: str
) -> None:
    """It is named without a webhook; there is one request for the list."""
    local.airtable.fail(fault, times=9)

    answered = call(of_one)

    (failed,) = answered.body["failed"]
    assert answered.status == 500
    assert answered.body == {
        "status": "error",
        "error": {
            "code": "renewal_failed",
            "message": f"Could not refresh all Airtable webhooks: {BASE} {failed['reason']}",
        },
        "trace_id": answered.trace,
        "webhooks_refreshed": 0,
        "webhooks": [],
        "failed": [{"base_id": BASE, "reason": failed["reason"]}],
    }
    assert_names_error_and_remedy(failed["reason"], FAULTS[fault])
    assert f"Could not read the webhooks of base {BASE}: {failed['reason']}" in answered.errors()
    assert local.asked() == [("GET", LIST)]
    assert API_KEY not in let_out(of_one, answered)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_webhook_that_cannot_be_refreshed_is_reported_with_a_remedy(
    local: LocalAirtable, of_one: RunningFunction, fault: str
) -> None:
    """It is named with its base, and refreshed once; its record has the error and Airtable's expiry."""
    local.airtable.fail(fault, times=9, path="/refresh")

    answered = call(of_one)

    (failed,) = answered.body["failed"]
    assert answered.status == 500
    assert answered.body == {
        "status": "error",
        "error": {
            "code": "renewal_failed",
            "message": f"Could not refresh all Airtable webhooks: {BASE} {WEBHOOK} {failed['reason']}",
        },
        "trace_id": answered.trace,
        "webhooks_refreshed": 0,
        "webhooks": [],
        "failed": [{"base_id": BASE, "webhook_id": WEBHOOK, "reason": failed["reason"]}],
    }
    assert_names_error_and_remedy(failed["reason"], FAULTS[fault])
    assert f"Could not renew {TITLE}: {failed['reason']}" in answered.errors()
    assert local.asked() == [("GET", LIST), ("POST", REFRESH)]
    job = local.storage.record(RECORD)
    listed = datetime.fromisoformat(local.expiration())
    assert job.payload.keys() == {"subscription", "expires_at", "error"}
    assert (job.payload["subscription"], job.payload["error"]) == (TITLE, failed["reason"])
    assert datetime.fromisoformat(job.payload["expires_at"]) == listed
    assert (job.schedule_at, job.ready_at, job.status) == (listed - DAY, listed - DAY, Status.PENDING)
    assert job.error == failed["reason"]
    assert API_KEY not in let_out(of_one, answered)


def assert_names_error_and_remedy(reason: str, words: tuple[str, str]) -> None:
    said, _, remedy = reason.partition("; ")
    assert said.startswith(words[0])
    assert words[1] in remedy


def test_the_message_of_a_429_is_reported(local: LocalAirtable, of_one: RunningFunction) -> None:
    """Airtable formats this error as a list of errors."""
    local.airtable.fail("rate-limit")

    answered = call(of_one)

    reason = answered.body["failed"][0]["reason"]
    assert "RATE_LIMIT_REACHED" in reason
    assert "Rate limit exceeded. Please try again later" in reason


@pytest.mark.parametrize(
    ("fails", "renewed"), [((BASE, LIST), OTHER_WEBHOOK), ((OTHER_BASE, LIST_OTHER), WEBHOOK)], ids=["first", "second"]
)
def test_a_base_that_fails_does_not_stop_the_other(
    local: LocalAirtable, of_two: RunningFunction, fails: tuple[str, str], renewed: str
) -> None:
    """The answer has both, and it is an error, so that Cloud Scheduler tries again."""
    base, path = fails
    local.airtable.fail("forbidden", path=path)

    answered = call(of_two)

    (failed,), (refreshed,) = answered.body["failed"], answered.body["webhooks"]
    assert (answered.status, answered.body["webhooks_refreshed"]) == (500, 1)
    assert (failed["base_id"], refreshed["webhook_id"]) == (base, renewed)
    assert len(local.refreshes()) == 1


def test_a_webhook_that_fails_does_not_stop_the_other(local: LocalAirtable, of_two: RunningFunction) -> None:
    """Each has its own record."""
    local.airtable.fail("internal", path=REFRESH)

    answered = call(of_two)

    assert answered.status == 500
    assert [failed["webhook_id"] for failed in answered.body["failed"]] == [WEBHOOK]
    assert [refreshed["webhook_id"] for refreshed in answered.body["webhooks"]] == [OTHER_WEBHOOK]
    assert local.storage.record(RECORD).error is not None
    assert local.storage.record(f"subscription:airtable:{OTHER_BASE}:{OTHER_WEBHOOK}").error is None


def test_the_records_of_a_base_that_cannot_be_listed_get_the_error(
    airtable: Airtable, refresh: Refresh, json_store: JsonStore, clock: Clock
) -> None:
    """So the alarm has the last error."""
    refresh()
    clock.sleep(60)
    airtable.fail("unauthorized", path=LIST)

    with pytest.raises(RenewalFailed, match="401"):
        refresh()

    job = json_store.get([RECORD])[RECORD]
    assert isinstance(job, Job)
    assert job.payload["error"].startswith("Airtable said 401")
    assert "expires_at" in job.payload


@pytest.mark.parametrize("path", [LIST, REFRESH], ids=["listing", "refresh"])
def test_a_request_without_a_response_times_out(
    airtable: Airtable, refresh: Refresh, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The request is not repeated."""
    monkeypatch.setattr(airtable_webhooks, "TIMEOUT_SECONDS", (0.2, 0.2))  # nobody is to wait for the real ones
    airtable.fail("hang", path=path)

    with pytest.raises(RenewalFailed) as refused:
        refresh()

    (failed,) = refused.value.answer["failed"]
    assert failed["reason"].startswith("no usable response from Airtable (ReadTimeout")
    assert AGAIN in failed["reason"]
    assert [request.path for request in airtable.requests].count(path) == 1
    assert API_KEY not in json.dumps(refused.value.answer)
