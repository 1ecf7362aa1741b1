"""Two calls at once."""

from collections.abc import Iterator

import pytest

from tests.support.local_airtable import DAY, LIST, OTHER_WEBHOOK, REFRESH, LocalAirtable
from tests.support.renewing import TWO_FUNCTIONS, TwoFunctions, call_at_once, two_functions, utc_now
from watchkeeper.fakes.airtable import BASE, WEBHOOK, webhook


@pytest.fixture(params=TWO_FUNCTIONS)
def two_callable(local: LocalAirtable, request: pytest.FixtureRequest) -> Iterator[TwoFunctions]:
    """The function twice, over one store: as one process, as two on a file, as two on the emulator."""
    with two_functions(local, request) as callable_twice:
        yield callable_twice


def test_two_calls_at_once_refresh_each_webhook_once(local: LocalAirtable, two_callable: TwoFunctions) -> None:
    """The other call names a webhook as skipped, which is not an error."""
    storage, functions = two_callable
    ids = {WEBHOOK, OTHER_WEBHOOK}
    local.hold(BASE, *(webhook(webhook_id, expires_at=utc_now() + DAY) for webhook_id in sorted(ids)))

    answers = call_at_once(*functions)

    refreshed = [{hook["webhook_id"] for hook in answered.body["webhooks"]} for answered in answers]
    skipped = [set(answered.body.get("skipped", [])) for answered in answers]
    assert [answered.status for answered in answers] == [200, 200]
    assert refreshed[0] | refreshed[1] == ids
    assert skipped == [refreshed[1], refreshed[0]]
    assert sorted(local.refreshes()) == [f"{LIST}/{webhook_id}/refresh" for webhook_id in sorted(ids)]
    for webhook_id in ids:
        assert len(storage.record(f"subscription:airtable:{BASE}:{webhook_id}").recent_runs) == 1


def test_a_call_with_nothing_left_to_refresh_is_skipped(local: LocalAirtable, two_callable: TwoFunctions) -> None:
    """With one webhook, one of two calls has nothing to do."""
    _, functions = two_callable

    answers = call_at_once(*functions)

    (skipped,) = (answered for answered in answers if answered.body["status"] == "skipped")
    assert [answered.status for answered in answers] == [200, 200]
    assert skipped.body == {
        "status": "skipped",
        "message": "Skipped: another call refreshes the Airtable webhooks",
        "webhooks_refreshed": 0,
        "webhooks": [],
        "skipped": [WEBHOOK],
        "timestamp": skipped.body["timestamp"],
        "trace_id": skipped.trace,
    }
    assert local.refreshes() == [REFRESH]
