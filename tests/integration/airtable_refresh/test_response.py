"""The response of the function, and the requests that it sends to Airtable."""

from datetime import datetime, timedelta

import pytest

from tests.support.local_airtable import DAY, LIST, OTHER_BASE, OTHER_WEBHOOK, RECORD, REFRESH, TITLE, LocalAirtable
from tests.support.renewing import call, let_out, utc_now
from tests.support.running import RunningFunction
from watchkeeper.fakes.airtable import API_KEY, BASE, WEBHOOK, webhook


@pytest.mark.parametrize("path", ["/", "/internal/scheduler/refresh-airtable-webhooks"])
def test_the_response_for_one_webhook_has_the_promised_fields_only(
    local: LocalAirtable, of_one: RunningFunction, path: str
) -> None:
    """Both expirations have Airtable's format; beside them there are only the time and the trace."""
    old = local.expiration()

    answered = call(of_one, path)

    timestamp = answered.body.pop("timestamp")
    assert answered.status == 200
    assert answered.body == {
        "status": "success",
        "message": "Refreshed 1 Airtable webhooks",
        "webhooks_refreshed": 1,
        "webhooks": [{"webhook_id": WEBHOOK, "old_expiration": old, "new_expiration": local.expiration()}],
        "trace_id": answered.trace,
    }
    assert local.expiration() > old
    assert timedelta() <= utc_now() - datetime.fromisoformat(timestamp) < timedelta(minutes=1)


def test_expirations_have_milliseconds_even_when_they_are_zero(local: LocalAirtable, of_one: RunningFunction) -> None:
    """As Airtable writes a full second."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=(utc_now() + DAY).replace(microsecond=0)))

    answered = call(of_one)

    assert answered.body["webhooks"][0]["old_expiration"].endswith(".000Z")


def test_the_base_is_listed_and_its_webhook_refreshed_once(local: LocalAirtable, of_one: RunningFunction) -> None:
    """Two requests, with the key; neither the answer nor the log has the key, and the log names the job."""
    answered = call(of_one)

    (line,) = answered.lines_about(RECORD)
    assert local.asked() == [("GET", LIST), ("POST", REFRESH)]
    assert {request.bearer_token() for request in local.airtable.requests} == {API_KEY}
    assert line["message"].startswith(f"Renewed {TITLE}; it expires ")
    assert (line["severity"], line["action"]) == ("INFO", "renewed")
    assert API_KEY not in let_out(of_one, answered)


def test_the_webhooks_of_several_bases_are_refreshed(local: LocalAirtable, of_two: RunningFunction) -> None:
    """In the order of AIRTABLE_BASE_ID."""
    old = [local.expiration(), local.expiration(OTHER_BASE)]

    answered = call(of_two)

    new = [local.expiration(), local.expiration(OTHER_BASE)]
    assert (answered.status, answered.body["message"]) == (200, "Refreshed 2 Airtable webhooks")
    assert answered.body["webhooks_refreshed"] == 2
    assert answered.body["webhooks"] == [
        {"webhook_id": WEBHOOK, "old_expiration": old[0], "new_expiration": new[0]},
        {"webhook_id": OTHER_WEBHOOK, "old_expiration": old[1], "new_expiration": new[1]},
    ]


def test_a_base_without_webhooks_is_a_success(local: LocalAirtable, of_one: RunningFunction) -> None:
    """That is a success."""
    local.hold(BASE)

    answered = call(of_one)

    assert answered.status == 200
    assert answered.body == {
        "status": "success",
        "message": "Refreshed 0 Airtable webhooks",
        "webhooks_refreshed": 0,
        "webhooks": [],
        "timestamp": answered.body["timestamp"],
        "trace_id": answered.trace,
    }
    assert local.asked() == [("GET", LIST)]


def test_ten_webhooks_of_a_base_stay_within_the_rate_limit(local: LocalAirtable, of_one: RunningFunction) -> None:
    """Ten, at five requests a second; Airtable would block a faster caller for half a minute."""
    local.hold(BASE, *(webhook(f"ach{n:014}", expires_at=utc_now() + DAY) for n in range(10)))

    answered = call(of_one)

    assert (answered.status, answered.body["webhooks_refreshed"]) == (200, 10)
    assert len(local.refreshes()) == len(set(local.refreshes())) == 10
