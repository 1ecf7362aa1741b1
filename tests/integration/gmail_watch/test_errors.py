"""Errors of Gmail and of Google's token service: each is reported with a remedy, and stops nothing else."""

import pytest

import delegation
import gmail_watches
from gmail_settings import GmailSettings
from shared.errors import RenewalFailed
from shared.model.value import Status
from shared.renewals import Renewals
from tests.support.local_google import ADA, AGAIN, AUTHORISE, GRACE, RECORD, TITLE, TOPIC, WATCH, LocalGoogle, millis
from tests.support.renewing import call, let_out
from tests.support.running import RunningFunction
from watchkeeper.fakes.google_oauth import GoogleOAuth, oauth_error

TOKEN_SERVICE = "could not get a token from Google:"
# What the reason names: the service and what it said, then the remedy.
GMAIL_FAULTS = {
    "unauthorized": ("Gmail said 401 Request had invalid authentication credentials", AUTHORISE),
    "forbidden": ("Gmail said 403 Request had insufficient authentication scopes", AUTHORISE),
    "not-a-publisher": ("Gmail said 403 Error sending test message to Cloud PubSub", "roles/pubsub.publisher"),
    "quota": ("Gmail said 403 Rate Limit Exceeded", AGAIN),
    "no-topic": ("Gmail said 404 Error sending test message to Cloud PubSub", f"check that {TOPIC} exists"),
    "mail-off": ("Gmail said 400 Mail service not enabled", "check that Gmail is switched on for the mailbox"),
    "rate-limit": ("Gmail said 429 Too many concurrent requests for user", AGAIN),
    "internal": ("Gmail said 500 Internal error encountered", AGAIN),
    "unavailable": ("Gmail said 503 The service is currently unavailable", AGAIN),
    "cut": ("no response from Gmail (RemoteDisconnected", AGAIN),
    "not-json": ("no historyId and expiration in the response of Gmail", AGAIN),
}
TOKEN_FAULTS = {
    "not-delegated": (f"{TOKEN_SERVICE} unauthorized_client: Client is unauthorized", AUTHORISE),
    "unknown-user": (
        f"{TOKEN_SERVICE} invalid_grant: Invalid email or User ID",
        "check that the mailbox in GMAIL_USER_EMAIL exists",
    ),
    "unavailable": (f"{TOKEN_SERVICE} temporarily_unavailable: The service is currently unavailable", AGAIN),
    "cut": (f"{TOKEN_SERVICE} no response (ProtocolError)", AGAIN),
    "not-json": (f"{TOKEN_SERVICE} no valid token in the response (", AGAIN),
}


@pytest.mark.parametrize("fault", GMAIL_FAULTS)
def test_an_error_of_gmail_is_reported_with_a_remedy(google: LocalGoogle, of_one: RunningFunction, fault: str) -> None:
    """The record keeps the former expiry and its alarm, beside the error; nothing is stopped."""
    call(of_one)
    google.gmail.requests.clear()
    google.gmail.fail(fault, times=9)

    assert_failure_is_reported_and_recorded(google, of_one, GMAIL_FAULTS[fault])

    # Google's client repeats a request whose connection was cut.
    assert google.asked() == ([WATCH, WATCH] if fault == "cut" else [WATCH])


@pytest.mark.parametrize("fault", TOKEN_FAULTS)
def test_an_error_of_the_token_service_is_reported_with_a_remedy(
    google: LocalGoogle, of_one: RunningFunction, fault: str
) -> None:
    """The same, and Gmail gets no request without a token."""
    call(of_one)
    google.gmail.requests.clear()
    google.oauth.fail(fault, times=9)

    assert_failure_is_reported_and_recorded(google, of_one, TOKEN_FAULTS[fault])

    assert google.asked() == []


def assert_failure_is_reported_and_recorded(
    google: LocalGoogle, function: RunningFunction, words: tuple[str, str]
) -> None:
    """Call the function, which succeeded before and now fails; check its answer, its log and the record."""
    former = google.storage.record(RECORD)

    answered = call(function)

    (failed,) = answered.body["failed"]
    said, _, remedy = failed["reason"].partition("; ")
    assert answered.status == 500
    assert answered.body == {
        "status": "error",
        "error": {
            "code": "renewal_failed",
            "message": f"1 of 1 Gmail watches could not be renewed: {ADA}: {failed['reason']}",
        },
        "trace_id": answered.trace,
        "watches": [],
        "failed": [{"mailbox": ADA, "reason": failed["reason"]}],
    }
    assert said.startswith(words[0])
    assert words[1] in remedy
    assert f"Could not renew {TITLE}: {failed['reason']}" in answered.errors()
    job = google.storage.record(RECORD)
    assert job.payload == {**former.payload, "error": failed["reason"]}
    assert (job.schedule_at, job.ready_at, job.status) == (former.schedule_at, former.ready_at, Status.PENDING)
    assert job.error == failed["reason"]
    assert google.leaks(let_out(function, answered)) == []


@pytest.mark.parametrize(("fails", "renewed"), [(ADA, GRACE), (GRACE, ADA)])
def test_a_mailbox_that_fails_does_not_stop_the_other(
    google: LocalGoogle, of_two: RunningFunction, fails: str, renewed: str
) -> None:
    """The answer has both, and it is an error, so that Cloud Scheduler tries again."""
    google.oauth.users = {renewed}

    answered = call(of_two)

    (watch,), (failed,) = answered.body["watches"], answered.body["failed"]
    assert answered.status == 500
    assert answered.body.keys() == {"status", "error", "trace_id", "watches", "failed"}
    assert answered.body["error"]["message"].startswith(f"1 of 2 Gmail watches could not be renewed: {fails}: ")
    assert (watch["mailbox"], watch["expiration"]) == (renewed, millis(google.gmail.watches[renewed]))
    assert (failed["mailbox"], "Invalid email or User ID" in failed["reason"]) == (fails, True)
    assert google.storage.record(f"subscription:gmail:{fails}").error == failed["reason"]
    assert google.storage.record(f"subscription:gmail:{renewed}").error is None


def test_a_token_request_without_a_response_times_out(
    google: LocalGoogle, renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token has a deadline."""
    monkeypatch.setattr(delegation, "TOKEN_SECONDS", 0.2)  # nobody is to wait for the real one
    google.oauth.fail("hang")

    with pytest.raises(RenewalFailed) as refused:
        gmail_watches.renew_watches(GmailSettings.from_env(google.settings), renewals)

    assert "could not get a token from Google:" in str(refused.value)
    assert "timed out" in str(refused.value)
    assert AGAIN in str(refused.value)
    assert google.asked() == []


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        pytest.param("Check your iat and exp values in the JWT claim.", "correct the clock", id="clock"),
        pytest.param("The account is associated with another client.", "check that the mailbox", id="another-word"),
    ],
)
def test_only_a_refused_issue_time_blames_the_clock(
    google: LocalGoogle, renewals: Renewals, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    """The name of that time, iat, is also a part of many words."""
    monkeypatch.setattr(GoogleOAuth, "documented_errors", {"odd": oauth_error(400, "invalid_grant", said)})
    google.oauth.fail("odd")

    with pytest.raises(RenewalFailed) as refused:
        gmail_watches.renew_watches(GmailSettings.from_env(google.settings), renewals)

    assert f"{said.rstrip('.')}; {remedy}" in str(refused.value)


def test_a_watch_request_without_a_response_times_out(
    google: LocalGoogle, renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is made once, and not repeated."""
    monkeypatch.setattr(gmail_watches, "TIMEOUT_SECONDS", 0.2)  # nobody is to wait for the real one
    google.gmail.fail("hang")

    with pytest.raises(RenewalFailed) as refused:
        gmail_watches.renew_watches(GmailSettings.from_env(google.settings), renewals)

    assert f"no response from Gmail (TimeoutError: timed out); {AGAIN}" in str(refused.value)
    assert google.asked() == [WATCH]
