"""The fake of Airtable's webhooks, as pyairtable uses it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from watchkeeper.fakes.airtable import API_KEY, BASE, WEBHOOK, Airtable, webhook

if TYPE_CHECKING:
    # Half a second for each process that only collects the tests.
    from pyairtable import Api
    from pyairtable.models.webhook import Webhook

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OTHER_BASE = "appOtherStandIn01"
TIMEOUT = (10, 10)


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def airtable(clock: Clock) -> Iterator[Airtable]:
    with Airtable(clock=clock) as airtable:
        yield airtable


@pytest.fixture
def api(airtable: Airtable) -> "Api":
    """The real client, without retries."""
    return client_of(airtable)


def client_of(airtable: Airtable, api_key: str = API_KEY) -> "Api":
    from pyairtable import Api

    return Api(api_key, endpoint_url=airtable.url, timeout=TIMEOUT, retry_strategy=None)


def refusal(call: Callable[[], object]) -> tuple[int, Any]:
    """Return the status and the JSON of the client's error."""
    with pytest.raises(requests.HTTPError) as raised:
        call()
    response = raised.value.response
    assert response is not None
    return response.status_code, response.json()


def listed(api: "Api", webhook_id: str = WEBHOOK) -> "Webhook":
    """Find a webhook as pyairtable does: by listing all."""
    return api.base(BASE).webhook(webhook_id)


def test_a_base_lists_its_webhooks(api: "Api") -> None:
    """The default is one healthy webhook, in the shape that the client parses in full."""
    (found,) = api.base(BASE).webhooks()

    assert (found.id, found.is_hook_enabled, found.are_notifications_enabled) == (WEBHOOK, True, True)
    assert found.expiration_time == NOW + timedelta(days=3)
    assert found.cursor_for_next_payload == 7
    assert found.notification_url == "https://example.com/airtable"
    assert found.last_notification_result is not None
    assert (found.last_notification_result.success, found.last_notification_result.error) == (True, None)
    assert found.last_successful_notification_time == found.last_notification_result.completion_timestamp
    assert found.specification.options.filters.data_types == ["tableData"]


def test_a_webhook_can_have_problems(clock: Clock) -> None:
    """Each sign of trouble is where the client looks for it."""
    ill = webhook(WEBHOOK, expires_at=None, is_enabled=False, notifies=False, failing="Endpoint answered 500")
    with Airtable(bases={BASE: [ill]}, clock=clock) as airtable:
        found = listed(client_of(airtable))

    result = found.last_notification_result
    assert (found.is_hook_enabled, found.are_notifications_enabled, found.expiration_time) == (False, False, None)
    assert result is not None
    assert result.error is not None
    assert (result.success, result.will_be_retried, result.error.message) == (False, True, "Endpoint answered 500")
    assert found.last_successful_notification_time is None


def test_a_refresh_gives_seven_days(airtable: Airtable, api: "Api") -> None:
    """The new expiry is seven days after the refresh, with milliseconds, and is listed from then on."""
    found = listed(api)

    found.extend_expiration()

    # The client leaves the text as it came.
    assert found.expiration_time == "2026-11-28T09:00:00.000Z"
    assert listed(api).expiration_time == NOW + timedelta(days=7)
    assert airtable.state()["bases"][BASE][0]["expirationTime"] == "2026-11-28T09:00:00.000Z"


def test_a_webhook_without_expiry_keeps_none(clock: Clock) -> None:
    """The refresh of one that never expires returns null."""
    with Airtable(bases={BASE: [webhook(WEBHOOK, expires_at=None)]}, clock=clock) as airtable:
        found = listed(client_of(airtable))

        found.extend_expiration()

    assert found.expiration_time is None
    assert airtable.requests[-1].path == f"/v0/bases/{BASE}/webhooks/{WEBHOOK}/refresh"


@pytest.mark.parametrize(
    ("given", "is_refused"),
    [
        pytest.param({"expires_at": NOW + SECOND}, False, id="last-second"),
        pytest.param({"expires_at": NOW}, True, id="expired"),
        pytest.param({"expires_at": NOW + SECOND, "is_enabled": False}, True, id="disabled"),
        pytest.param({"expires_at": None, "is_enabled": False}, True, id="disabled-without-expiry"),
        pytest.param({"expires_at": NOW + SECOND, "notifies": False}, False, id="silent"),
    ],
)
def test_only_an_active_webhook_can_be_refreshed(clock: Clock, given: dict[str, Any], is_refused: bool) -> None:
    """An expired or disabled webhook is listed, but its refresh is a 422; a silent one is active."""
    with Airtable(bases={BASE: [webhook(WEBHOOK, **given)]}, clock=clock) as airtable:
        found = listed(client_of(airtable))
        before = airtable.bases[BASE][0]["expirationTime"]

        if is_refused:
            status, answer = refusal(found.extend_expiration)

            assert (status, answer["error"].keys()) == (422, {"type", "message"})
            assert airtable.bases[BASE][0]["expirationTime"] == before
        else:
            found.extend_expiration()

            assert airtable.bases[BASE][0]["expirationTime"] == "2026-11-28T09:00:00.000Z"


@pytest.mark.parametrize("api_key", ["patLocal.other", "", API_KEY.upper()])
def test_another_key_is_refused(airtable: Airtable, api_key: str) -> None:
    """Any key but the right one is a 401."""
    refused = refusal(client_of(airtable, api_key).base(BASE).webhooks)

    assert refused == (401, {"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}})


def test_a_request_without_a_key_is_refused(airtable: Airtable) -> None:
    """No key is a 401 too."""
    answer = requests.get(f"{airtable.url}/v0/bases/{BASE}/webhooks", timeout=TIMEOUT)

    assert answer.status_code == 401


def test_an_unknown_base_is_not_found(api: "Api") -> None:
    """A base that the key cannot see is a 404."""
    assert refusal(api.base(OTHER_BASE).webhooks) == (404, {"error": "NOT_FOUND"})


def test_an_unknown_webhook_is_not_found(airtable: Airtable, api: "Api") -> None:
    """A webhook that was deleted since it was listed is a 404."""
    found = listed(api)
    airtable.bases[BASE].clear()

    assert refusal(found.extend_expiration) == (404, {"error": "NOT_FOUND"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", f"/v0/bases/{BASE}/webhooks/{WEBHOOK}/refresh", id="refresh-is-post"),
        pytest.param("POST", f"/v0/bases/{BASE}/webhooks", id="list-is-get"),
        pytest.param("GET", f"/v0/bases/{BASE}/tables", id="another-path"),
    ],
)
def test_there_are_no_other_paths(airtable: Airtable, api: "Api", method: str, path: str) -> None:
    """Other paths are not found."""
    assert refusal(lambda: api.request(method, airtable.url + path)) == (404, {"error": "NOT_FOUND"})


RATE_LIMIT = {"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}]}


def test_five_requests_a_second_are_allowed(airtable: Airtable, api: "Api", clock: Clock) -> None:
    """The sixth within a second is refused, and all that follow for 30 seconds; another base is not affected."""
    airtable.bases[OTHER_BASE] = []
    base = api.base(BASE)
    for _ in range(5):
        base.webhooks()

    clock.now += SECOND - timedelta(milliseconds=1)
    sixth = refusal(base.webhooks)
    other = api.base(OTHER_BASE).webhooks()
    clock.now += timedelta(seconds=30) - timedelta(milliseconds=1)
    still = refusal(base.webhooks)
    clock.now += timedelta(milliseconds=1)
    later = base.webhooks()

    assert sixth == still == (429, RATE_LIMIT)
    assert (len(other), len(later)) == (0, 1)


def test_a_second_later_five_more_are_allowed(api: "Api", clock: Clock) -> None:
    """The limit looks back one second."""
    base = api.base(BASE)
    for _ in range(5):
        base.webhooks()

    clock.now += SECOND

    assert [len(base.webhooks()) for _ in range(5)] == [1] * 5


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        pytest.param("unauthorized", 401, "AUTHENTICATION_REQUIRED", id="unauthorized"),
        pytest.param("forbidden", 403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", id="forbidden"),
        pytest.param("internal", 500, "SERVER_ERROR", id="internal"),
        pytest.param("unavailable", 503, "SERVICE_UNAVAILABLE", id="unavailable"),
    ],
)
def test_airtable_fails_on_request(airtable: Airtable, api: "Api", fault: str, status: int, error: str) -> None:
    """Each documented error can be requested, once."""
    airtable.fail(fault, path=BASE)

    answered, body = refusal(api.base(BASE).webhooks)

    assert (answered, body["error"]["type"]) == (status, error)
    assert len(api.base(BASE).webhooks()) == 1


def test_not_found_on_request(airtable: Airtable, api: "Api") -> None:
    """A refresh alone can fail, between two listings that succeed."""
    airtable.fail("not-found", path="/refresh")
    found = listed(api)

    assert refusal(found.extend_expiration) == (404, {"error": "NOT_FOUND"})
    assert listed(api).expiration_time == NOW + timedelta(days=3)


@pytest.mark.parametrize(
    ("fault", "retry_after"),
    [pytest.param("rate-limit", None, id="plain"), pytest.param("rate-limit-1s", "1", id="retry-after")],
)
def test_rate_limits_on_request(airtable: Airtable, api: "Api", fault: str, retry_after: str | None) -> None:
    """Airtable's own 429 does not say how long to wait; a fault with Retry-After can be requested."""
    airtable.fail(fault)

    with pytest.raises(requests.HTTPError) as raised:
        api.base(BASE).webhooks()

    response = raised.value.response
    assert response is not None
    assert (response.status_code, response.json()) == (429, RATE_LIMIT)
    assert response.headers.get("Retry-After") == retry_after


def test_the_given_bases_are_not_modified(clock: Clock) -> None:
    """A refresh changes the fake's own copy."""
    given = webhook(WEBHOOK, expires_at=NOW + SECOND)
    with Airtable(bases={BASE: [given]}, clock=clock) as airtable:
        listed(client_of(airtable)).extend_expiration()

    assert given == webhook(WEBHOOK, expires_at=NOW + SECOND)
