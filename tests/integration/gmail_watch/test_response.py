"""The response of the function, its log, and the requests that it sends to Google."""

from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from tests.support.local_google import ADA, GRACE, RECORD, TITLE, TOPIC, WATCH, LocalGoogle, millis
from tests.support.renewing import call, let_out, utc_now
from tests.support.running import RunningFunction
from watchkeeper.fakes.google_oauth import JWT_BEARER, METADATA_SCOPE, SERVICE_ACCOUNT


@pytest.mark.parametrize("path", ["/", "/internal/scheduler/renew-gmail-watch"])
def test_the_response_for_one_mailbox_has_the_promised_fields_only(
    google: LocalGoogle, of_one: RunningFunction, path: str
) -> None:
    """History id and expiration are Gmail's, as text; beside them there are only the time and the trace."""
    answered = call(of_one, path)

    timestamp = answered.body.pop("timestamp")
    assert answered.status == 200
    assert answered.body == {
        "status": "success",
        "message": "Gmail watch renewed successfully",
        "history_id": google.storage.record(RECORD).payload["history_id"],
        "expiration": millis(google.gmail.watches[ADA]),
        "trace_id": answered.trace,
    }
    assert int(answered.body["history_id"]) > 1000
    assert timedelta() <= utc_now() - datetime.fromisoformat(timestamp) < timedelta(minutes=1)


def test_several_watches_are_listed_beside_the_fields_of_the_first(
    google: LocalGoogle, of_two: RunningFunction
) -> None:
    """In the order of GMAIL_USER_EMAIL, each with its own history id and expiration."""
    answered = call(of_two)

    watches = answered.body["watches"]
    assert answered.status == 200
    assert answered.body.keys() == {
        *("status", "message", "history_id", "expiration", "watches", "timestamp", "trace_id"),
    }
    assert [watch["mailbox"] for watch in watches] == [ADA, GRACE]
    assert [watch["expiration"] for watch in watches] == [millis(google.gmail.watches[box]) for box in (ADA, GRACE)]
    assert int(watches[1]["history_id"]) == int(watches[0]["history_id"]) + 1
    assert {**answered.body, "mailbox": ADA} == {**answered.body, **watches[0]}


def test_a_mailbox_costs_one_token_and_one_watch(google: LocalGoogle, of_one: RunningFunction) -> None:
    """The token is for the mailbox and the narrowest scope; the watch is for the inbox unless labels are set."""
    call(of_one)

    (token_request,) = google.oauth.requests
    (watch,) = google.gmail.requests
    (claims,) = google.claims()
    assert (token_request.method, token_request.path) == ("POST", "/token")
    assert dict(parse_qsl(token_request.body.decode())).keys() == {"grant_type", "assertion"}
    assert dict(parse_qsl(token_request.body.decode()))["grant_type"] == JWT_BEARER
    assert (claims["iss"], claims["sub"], claims["scope"]) == (SERVICE_ACCOUNT, ADA, METADATA_SCOPE)
    assert (watch.method, watch.path) == ("POST", WATCH)
    assert watch.json() == {"topicName": TOPIC, "labelIds": ["INBOX"], "labelFilterBehavior": "include"}


def test_each_mailbox_has_its_own_token_and_watch(google: LocalGoogle, of_two: RunningFunction) -> None:
    """Two mailboxes, two tokens, two watches, with the labels that are set."""
    call(of_two)

    watch = {"topicName": TOPIC, "labelIds": ["INBOX", "Label_7"], "labelFilterBehavior": "include"}
    assert [(claims["sub"], claims["scope"]) for claims in google.claims()] == [
        (ADA, METADATA_SCOPE),
        (GRACE, METADATA_SCOPE),
    ]
    assert google.asked() == [WATCH, WATCH]
    assert [request.json() for request in google.gmail.requests] == [watch, watch]
    assert google.gmail.renewals == {ADA: 1, GRACE: 1}
    assert len({request.bearer_token() for request in google.gmail.requests}) == 2


def test_the_log_reports_the_renewal_and_no_secret(google: LocalGoogle, of_one: RunningFunction) -> None:
    """One line with the job's id; key, access token and assertion are neither in the log nor in the answer."""
    answered = call(of_one)

    (line,) = answered.lines_about(RECORD)
    assert line["message"].startswith(f"Renewed {TITLE}; it expires ")
    assert (line["severity"], line["action"]) == ("INFO", "renewed")
    assert google.leaks(let_out(of_one, answered)) == []
