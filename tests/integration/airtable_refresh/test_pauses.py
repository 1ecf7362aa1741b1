"""The pause after a 429, and the end of the time that a call has."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

import airtable_webhooks
from shared.errors import RenewalFailed
from tests.support.local_airtable import LIST, OTHER_BASE, REFRESH, LocalAirtable, Refresh
from tests.support.renewing import call
from tests.support.running import RunningFunction
from tests.support.subscribed import Clock
from watchkeeper.fakes.airtable import BASE, Airtable, airtable_error
from watchkeeper.fakes.server import Request, Response


@pytest.mark.parametrize("path", [LIST, REFRESH], ids=["listing", "refresh"])
def test_a_call_pauses_for_retry_after_and_asks_again(local: LocalAirtable, of_one: RunningFunction, path: str) -> None:
    """A 429 with Retry-After: 1, and then the answer."""
    local.airtable.fail("rate-limit-1s", path=path)

    answered = call(of_one)

    asked = [("GET", LIST), ("POST", REFRESH)]
    repeated = asked[[LIST, REFRESH].index(path)]
    assert (answered.status, answered.body["webhooks_refreshed"]) == (200, 1)
    assert local.asked() == sorted([*asked, repeated])


@pytest.mark.parametrize("path", [LIST, REFRESH], ids=["listing", "refresh"])
def test_a_429_without_retry_after_pauses_for_half_a_minute(
    airtable: Airtable, clock: Clock, refresh: Refresh, path: str
) -> None:
    """As Airtable documents it; the only other wait is the short pause before each refresh."""
    airtable.fail("rate-limit", path=path)

    answer = refresh()

    assert answer["webhooks_refreshed"] == 1
    assert [request.path for request in airtable.requests].count(path) == 2
    assert clock.waited == timedelta(seconds=30) + airtable_webhooks.SPACING


def test_a_429_is_retried_while_there_is_time(airtable: Airtable, clock: Clock, refresh: Refresh) -> None:
    """Within the 180 seconds of the function, less the reserve of 90: three pauses, and then it fails."""
    began_at = clock()
    airtable.fail("rate-limit", times=99)

    with pytest.raises(RenewalFailed, match=r"429 .*, and there is no time left to pause"):
        refresh()

    assert len(airtable.requests) == 4
    assert clock() == began_at + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("lease_seconds", "pauses"), [pytest.param(60, 1, id="just-enough"), pytest.param(59, 0, id="just-too-little")]
)
def test_a_pause_that_would_outlast_the_time_left_is_not_begun(
    airtable: Airtable, clock: Clock, refresh: Refresh, lease_seconds: int, pauses: int
) -> None:
    """Half of a short lease is left for pauses: the call fails at once instead of waiting for nothing."""
    airtable.fail("rate-limit", times=99)

    with pytest.raises(RenewalFailed, match="Airtable said 429") as refused:
        refresh(lease_seconds)

    assert refused.value.answer["failed"][0]["base_id"] == BASE
    assert len(airtable.requests) == 1 + pauses
    assert clock.waited == pauses * timedelta(seconds=30)


AskForPause = Callable[[str], None]


@pytest.fixture
def ask_for_pause(airtable: Airtable, monkeypatch: pytest.MonkeyPatch) -> AskForPause:
    """Answer the next request with a 429 that has this Retry-After."""

    def ask(retry_after: str) -> None:
        answer = airtable.documented_errors["rate-limit-1s"]
        assert isinstance(answer, Response)
        pause = {"pause": replace(answer, headers={**answer.headers, "Retry-After": retry_after})}
        monkeypatch.setattr(Airtable, "documented_errors", {**airtable.documented_errors, **pause})
        airtable.fail("pause", path=LIST)

    return ask


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        pytest.param("0", 1, id="none"),
        pytest.param("7", 7, id="seconds"),
        pytest.param("Sat, 21 Nov 2026 09:00:07 GMT", 7, id="a-date"),
        pytest.param("soon", 30, id="unreadable"),
        pytest.param("9" * 4500, 30, id="no-number"),
    ],
)
def test_a_429_pauses_as_long_as_its_retry_after_says(
    ask_for_pause: AskForPause, clock: Clock, refresh: Refresh, asked: str, seconds: int
) -> None:
    """At least a second, and half a minute if it cannot be read."""
    ask_for_pause(asked)

    refresh()

    assert clock.waited == timedelta(seconds=seconds) + airtable_webhooks.SPACING


def test_a_retry_after_date_counts_from_the_response(
    airtable: Airtable, ask_for_pause: AskForPause, clock: Clock, refresh: Refresh
) -> None:
    """And not from the beginning of the call, half a minute earlier."""
    airtable.fail("rate-limit", path=LIST)
    ask_for_pause("Sat, 21 Nov 2026 09:00:37 GMT")

    refresh()

    assert clock.waited == timedelta(seconds=30 + 7) + airtable_webhooks.SPACING


def test_a_pause_that_is_longer_than_any_call_is_not_begun(
    ask_for_pause: AskForPause, clock: Clock, refresh: Refresh
) -> None:
    """The call fails at once instead of waiting for nothing."""
    ask_for_pause("99999")

    with pytest.raises(RenewalFailed, match="no time left to pause"):
        refresh()

    assert clock.waited == timedelta()


def test_no_base_is_listed_when_no_time_is_left(
    airtable: Airtable, clock: Clock, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many bases at a silent Airtable would outlast the function, which could then report nothing."""

    def slow(request: Request) -> Response:
        clock.sleep(91)
        return airtable_error(503, "SERVICE_UNAVAILABLE", "The server could not process your request in time.")

    monkeypatch.setattr(Airtable, "documented_errors", {"slow": slow})
    airtable.fail("slow", path=LIST)

    with pytest.raises(RenewalFailed) as refused:
        refresh(bases=f"{BASE}, {OTHER_BASE}")

    first, second = refused.value.answer["failed"]
    assert first["reason"].startswith("Airtable said 503")
    assert second == {"base_id": OTHER_BASE, "reason": "there was no time left to list its webhooks; try again"}
    assert [request.path for request in airtable.requests] == [LIST]


def test_a_pause_ends_when_the_process_is_stopping(airtable: Airtable, clock: Clock, refresh: Refresh) -> None:
    """It may be killed after ten seconds."""
    airtable.fail("rate-limit", times=99)

    with pytest.raises(RenewalFailed, match="Airtable said 429"):
        refresh(is_stopping=lambda: clock.waited >= timedelta(seconds=5))

    assert clock.waited == timedelta(seconds=5)
