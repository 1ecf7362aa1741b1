"""The gmail_watch function over HTTP, under functions-framework, against the fakes of Google's OAuth and Gmail."""

import base64
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from google.auth.transport.requests import Request
from google.oauth2 import credentials as oauth2

import delegation
import gmail_watches
from gmail_settings import GmailSettings
from shared.errors import InvalidSettings, RenewalFailed
from shared.model.history import RunOutcome
from shared.model.value import Status
from shared.renewals import Renewals
from shared.settings import Settings
from tests.renewing import Answered, Storage, call, call_at_once, in_file, in_firestore, let_out, utc_now
from tests.running import RunningFunction, running_function, until
from watchkeeper.fakes.gmail import ActiveWatch, Gmail
from watchkeeper.fakes.google_oauth import (
    GOOGLE_TOKEN_URL,
    JWT_BEARER,
    METADATA_SCOPE,
    SERVICE_ACCOUNT,
    GoogleOAuth,
    oauth_error,
)

ADA = "ada@example.com"
GRACE = "grace@example.com"
RECORD = f"subscription:gmail:{ADA}"
TITLE = f"the Gmail watch of {ADA}"
TOPIC = "projects/watchkeeper-local/topics/gmail"
WATCH = "/gmail/v1/users/me/watch"
STOP = "/gmail/v1/users/me/stop"
SIGN_JWT = f"/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt"
DAY = timedelta(days=1)
UNSET = dict.fromkeys(
    (
        "GMAIL_USER_EMAIL",
        "GMAIL_WATCH_TOPIC",
        "GMAIL_WATCH_LABELS",
        "GCP_SERVICE_ACCOUNT_JSON_PATH",
        "GMAIL_DELEGATE",
        "GMAIL_API_ENDPOINT",
    ),
    "",
)


@dataclass(frozen=True)
class Google:
    """The fakes of Google, the key file that one of them wrote, and a store in a file."""

    oauth: GoogleOAuth
    gmail: Gmail
    folder: Path
    storage: Storage

    @property
    def key_path(self) -> Path:
        return self.folder / "key.json"

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a function that watches one mailbox with the key file."""
        return {
            **UNSET,
            "GMAIL_USER_EMAIL": ADA,
            "GMAIL_WATCH_TOPIC": TOPIC,
            "GCP_SERVICE_ACCOUNT_JSON_PATH": str(self.key_path),
            "GMAIL_API_ENDPOINT": self.gmail.url,
        }

    def running(
        self, env: Mapping[str, str] | None = None, *, storage: Storage | None = None
    ) -> AbstractContextManager[RunningFunction]:
        """Run the function, with these settings instead."""
        storage = storage or self.storage
        return running_function(
            "gmail_watch", self.folder, {"AUTH_MODE": "off", **self.settings, **storage.env, **(env or {})}
        )

    def reset(self) -> None:
        """Forget the test before."""
        self.oauth.clear_faults()
        self.oauth.requests.clear()
        self.oauth.users = None
        self.gmail.clear_faults()
        self.gmail.requests.clear()
        self.gmail.watches.clear()
        self.gmail.renewals.clear()
        self.gmail.delay = 0
        (self.folder / "jobs.json").unlink(missing_ok=True)

    def claims(self) -> list[dict[str, Any]]:
        """Return the claims of each token request."""
        return [claims_of(assertion) for assertion in self.assertions()]

    def assertions(self) -> list[str]:
        return [dict(parse_qsl(request.body.decode()))["assertion"] for request in self.oauth.requests]

    def asked(self) -> list[str]:
        """Return the paths of the requests to Gmail."""
        return [request.path for request in self.gmail.requests]

    def leaks(self, text: str) -> list[str]:
        """Return this test's secrets in the text: lines of the key, access tokens, assertions."""
        private_key = json.loads(self.key_path.read_text())["private_key"]
        key_lines = [line for line in private_key.splitlines() if line and not line.startswith("-----")]
        tokens = [request.bearer_token() for request in self.gmail.requests]
        signatures = [assertion.rpartition(".")[2] for assertion in self.assertions()]
        assert key_lines
        return [secret for secret in (*key_lines, *tokens, *signatures) if secret and secret in text]


def claims_of(assertion: str) -> dict[str, Any]:
    segment = assertion.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return claims


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    """Google on this machine, for all tests of this module."""
    folder = tmp_path_factory.mktemp("gmail_watch")
    with GoogleOAuth() as oauth, Gmail(oauth) as gmail:
        google = Google(oauth, gmail, folder, in_file(folder))
        oauth.write_key_file(google.key_path)
        yield google


@pytest.fixture(autouse=True)
def google(stand_ins: Google) -> Google:
    """Google at the beginning of a test: no requests, no watch, no record, no fault."""
    stand_ins.reset()
    return stand_ins


@pytest.fixture(scope="module")
def of_one(stand_ins: Google) -> Iterator[RunningFunction]:
    """The function for one mailbox."""
    with stand_ins.running() as function:
        yield function


@pytest.fixture(scope="module")
def of_two(stand_ins: Google) -> Iterator[RunningFunction]:
    """The function for two mailboxes and two labels."""
    env = {"GMAIL_USER_EMAIL": f"{ADA}, Grace@Example.com", "GMAIL_WATCH_LABELS": "INBOX, Label_7"}
    with stand_ins.running(env) as function:
        yield function


def millis(watch: ActiveWatch) -> str:
    return str(round(watch.expires_at.timestamp() * 1000))


def record_times(payload: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the last renewal and the expiry of a record."""
    return datetime.fromisoformat(payload["renewed_at"]), datetime.fromisoformat(payload["expires_at"])


# -- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/internal/scheduler/renew-gmail-watch"])
def test_the_answer_for_one_mailbox_is_that_of_the_seed(google: Google, of_one: RunningFunction, path: str) -> None:
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


def test_several_mailboxes_are_listed_beside_the_fields_of_the_first(google: Google, of_two: RunningFunction) -> None:
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


def test_one_token_and_one_watch_go_out_for_one_mailbox(google: Google, of_one: RunningFunction) -> None:
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


def test_each_mailbox_has_its_own_token_and_its_own_watch(google: Google, of_two: RunningFunction) -> None:
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


def test_the_log_tells_of_a_renewal_and_of_no_secret(google: Google, of_one: RunningFunction) -> None:
    """One line with the job's id; key, access token and assertion are neither in the log nor in the answer."""
    answered = call(of_one)

    (line,) = answered.lines_about(RECORD)
    assert line["message"].startswith(f"Renewed {TITLE}; it expires ")
    assert (line["severity"], line["action"]) == ("INFO", "renewed")
    assert google.leaks(let_out(of_one, answered)) == []


# -- a watch on another topic ------------------------------------------------------------------------------------------


def test_a_watch_on_another_topic_is_stopped_and_the_watch_asked_for_again(
    google: Google, of_one: RunningFunction
) -> None:
    """Gmail allows one watch per mailbox; it is stopped only if Gmail refuses the new one because of it."""
    other = f"{TOPIC}-other"
    google.gmail.watches[ADA] = ActiveWatch(topic=other, labels=(), expires_at=utc_now() + DAY)

    answered = call(of_one)

    assert answered.status == 200
    assert google.asked() == [WATCH, STOP, WATCH]
    assert google.gmail.watches[ADA].topic == TOPIC
    assert google.storage.record(RECORD).payload["history_id"] == answered.body["history_id"]


def test_a_watch_that_is_refused_after_the_stop_is_not_tried_for_ever(google: Google, of_one: RunningFunction) -> None:
    """Another client sets its own watch again and again; the reason says that it must stop."""
    google.gmail.fail("other-topic", times=9, path=WATCH)

    answered = call(of_one)

    reason = answered.body["failed"][0]["reason"]
    assert answered.status == 500
    assert google.asked() == [WATCH, STOP, WATCH]
    assert reason.startswith("Gmail said 400 Only one user push notification client allowed per developer")
    assert f"end the other client that watches this mailbox on another topic than {TOPIC}" in reason


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        pytest.param("not-a-publisher", WATCH, id="stopped-and-not-watched-again"),
        pytest.param("internal", STOP, id="perhaps-stopped"),
    ],
)
def test_a_watch_that_is_lost_by_the_stop_raises_the_alarm_at_once(
    google: Google, of_one: RunningFunction, fault: str, path: str
) -> None:
    """Nothing is watched any more, although the record named a later expiry."""
    call(of_one)
    google.gmail.fail("other-topic", path=WATCH)
    google.gmail.fail(fault, path=path)
    before = utc_now()

    answered = call(of_one)

    record = google.storage.record(RECORD)
    assert "the former watch is stopped, or may be" in answered.body["failed"][0]["reason"]
    assert before <= datetime.fromisoformat(record.payload["expires_at"]) <= utc_now()
    assert record.ready_at is not None
    assert record.ready_at <= utc_now()


# -- the record --------------------------------------------------------------------------------------------------------


def test_a_renewal_is_recorded_with_an_alarm_a_day_before_the_expiry(google: Google, of_one: RunningFunction) -> None:
    """The record is a job that the tick runs if nobody renews in time."""
    before = utc_now()

    answered = call(of_one)

    job = google.storage.record(RECORD)
    renewed_at, expires_at = record_times(job.payload)
    assert job.payload.keys() == {"subscription", "history_id", "renewed_at", "expires_at"}
    assert (job.payload["subscription"], job.payload["history_id"]) == (TITLE, answered.body["history_id"])
    assert before <= renewed_at <= utc_now()
    assert round(expires_at.timestamp() * 1000) == int(answered.body["expiration"])
    assert (job.job_type, job.status) == ("subscription_check", Status.PENDING)
    assert job.schedule_at == job.ready_at == expires_at - DAY
    assert (job.lease_until, job.error) == (None, None)
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.COMPLETED]


def test_the_first_history_id_is_kept_and_everything_else_is_new(google: Google, of_one: RunningFunction) -> None:
    """A reader of the mailbox begins where the first watch began; only the answer has the newest id."""
    first = call(of_one)
    was = google.storage.record(RECORD)

    second = call(of_one)

    job = google.storage.record(RECORD)
    assert int(second.body["history_id"]) == int(first.body["history_id"]) + 1
    assert job.payload["history_id"] == first.body["history_id"]
    assert all(new > old for new, old in zip(record_times(job.payload), record_times(was.payload), strict=True))
    assert job.schedule_at == record_times(job.payload)[1] - DAY
    assert round(record_times(job.payload)[1].timestamp() * 1000) == int(second.body["expiration"])


# -- what Google refuses -----------------------------------------------------------------------------------------------

TOKEN_SERVICE = "Google's token service said"
AUTHORISE = f"authorise the service account's client ID for {METADATA_SCOPE}"
AGAIN = "try again in some minutes"

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
    "cut": ("Gmail said nothing (RemoteDisconnected", AGAIN),
    "not-json": ("Gmail said an answer without historyId and expiration", AGAIN),
}
TOKEN_FAULTS = {
    "not-delegated": (f"{TOKEN_SERVICE} unauthorized_client: Client is unauthorized", AUTHORISE),
    "unknown-user": (
        f"{TOKEN_SERVICE} invalid_grant: Invalid email or User ID",
        "check that the mailbox in GMAIL_USER_EMAIL exists",
    ),
    "unavailable": (f"{TOKEN_SERVICE} temporarily_unavailable: The service is currently unavailable", AGAIN),
    "cut": (f"{TOKEN_SERVICE} ('Connection aborted.'", AGAIN),
    "not-json": (f"{TOKEN_SERVICE} no valid token in the answer (", AGAIN),
}


@pytest.mark.parametrize("fault", GMAIL_FAULTS)
def test_what_gmail_refuses_is_told_with_a_remedy(google: Google, of_one: RunningFunction, fault: str) -> None:
    """The record keeps the former expiry and its alarm, beside the error; nothing is stopped."""
    call(of_one)
    google.gmail.requests.clear()
    google.gmail.fail(fault, times=9)

    assert_failure_is_told_and_recorded(google, of_one, GMAIL_FAULTS[fault])

    # Google's client repeats a request whose connection was cut.
    assert google.asked() == ([WATCH, WATCH] if fault == "cut" else [WATCH])


@pytest.mark.parametrize("fault", TOKEN_FAULTS)
def test_what_the_token_service_refuses_is_told_with_a_remedy(
    google: Google, of_one: RunningFunction, fault: str
) -> None:
    """The same, and Gmail gets no request without a token."""
    call(of_one)
    google.gmail.requests.clear()
    google.oauth.fail(fault, times=9)

    assert_failure_is_told_and_recorded(google, of_one, TOKEN_FAULTS[fault])

    assert google.asked() == []


def assert_failure_is_told_and_recorded(google: Google, function: RunningFunction, words: tuple[str, str]) -> None:
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


def test_a_mailbox_that_was_never_renewed_raises_the_alarm_at_once(google: Google, of_one: RunningFunction) -> None:
    """Its expiry is unknown, so the next tick has to find the record."""
    google.gmail.fail("not-a-publisher")

    call(of_one)

    job = google.storage.record(RECORD)
    assert job.payload.keys() == {"subscription", "error"}
    assert job.ready_at is not None
    assert job.ready_at <= utc_now()


def test_a_renewal_that_succeeds_clears_the_error(google: Google, of_one: RunningFunction) -> None:
    """The history keeps the failure."""
    google.gmail.fail("internal")
    call(of_one)

    call(of_one)

    job = google.storage.record(RECORD)
    assert "error" not in job.payload
    assert job.error is None
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.FAILED, RunOutcome.COMPLETED]


@pytest.mark.parametrize(("fails", "renewed"), [(ADA, GRACE), (GRACE, ADA)])
def test_a_mailbox_that_fails_does_not_stop_the_other(
    google: Google, of_two: RunningFunction, fails: str, renewed: str
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


# -- settings ----------------------------------------------------------------------------------------------------------


def test_without_any_settings_it_is_up_and_says_what_is_missing(google: Google) -> None:
    """Health answers; a call names everything that is missing in one error and sends no request."""
    with google.running(UNSET) as function:
        health = function.call("/health", method="GET")
        answered = call(function)

    message = answered.body["error"]["message"]
    assert health == (200, {"status": "ok", "function": "gmail_watch", "storage": "json"})
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert "GMAIL_USER_EMAIL" in message
    assert "GMAIL_WATCH_TOPIC" in message
    assert "GMAIL_DELEGATE or GCP_SERVICE_ACCOUNT_JSON_PATH" in message
    assert (google.oauth.requests, google.gmail.requests) == ([], [])


def test_malformed_settings_are_named_together(google: Google) -> None:
    """The answer has the names, the log the faults; no request is sent."""
    malformed = {
        "GMAIL_USER_EMAIL": f"{ADA}, ada",
        "GMAIL_WATCH_TOPIC": "gmail",
        "GMAIL_DELEGATE": SERVICE_ACCOUNT,
        "GCP_SERVICE_ACCOUNT_JSON_PATH": str(google.folder / "nowhere.json"),
        "GMAIL_API_ENDPOINT": "gmail.googleapis.com",
    }
    with google.running(malformed) as function:
        answered = call(function)

    message = answered.body["error"]["message"]
    (logged,) = answered.errors()
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert all(name in message and name in logged for name in malformed)
    assert "'ada' is not an e-mail address" in logged
    assert "projects/PROJECT/topics/TOPIC" in logged
    assert "it cannot be read: No such file or directory" in logged
    assert "both of GMAIL_DELEGATE" in logged
    assert (google.oauth.requests, google.gmail.requests) == ([], [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("GMAIL_USER_EMAIL", "ada", id="no-address"),
        pytest.param("GMAIL_USER_EMAIL", "ada@example.com grace@example.com", id="no-comma"),
        pytest.param("GMAIL_USER_EMAIL", " , ", id="only-commas"),
        pytest.param("GMAIL_WATCH_TOPIC", "gmail", id="short-topic"),
        pytest.param("GMAIL_WATCH_TOPIC", "projects/watchkeeper-local/subscriptions/gmail", id="no-topic"),
        pytest.param("GMAIL_API_ENDPOINT", "gmail.googleapis.com", id="no-scheme"),
    ],
)
def test_a_malformed_setting_is_named(google: Google, name: str, value: str) -> None:
    """Alone, if all others are valid."""
    with pytest.raises(InvalidSettings) as refused:
        GmailSettings.from_env({**google.settings, name: value})

    assert refused.value.names == (name,)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----", id="no-json"),
        pytest.param(b'["key"]', id="a-list"),
        pytest.param(b'{"type": "authorized_user", "client_id": "1", "refresh_token": "s3cret"}', id="of-a-person"),
        pytest.param(
            b'{"client_email": "a@b.c", "token_uri": "https://a.b/t", "private_key": "s3cret"}', id="garbled-key"
        ),
    ],
)
def test_a_key_file_that_holds_no_key_is_named_and_not_quoted(google: Google, tmp_path: Path, content: bytes) -> None:
    """Its content may still be a secret."""
    path = tmp_path / "key.json"
    path.write_bytes(content)

    with pytest.raises(InvalidSettings, match="it must be the key file of a service account") as refused:
        GmailSettings.from_env({**google.settings, "GCP_SERVICE_ACCOUNT_JSON_PATH": str(path)})

    assert refused.value.names == ("GCP_SERVICE_ACCOUNT_JSON_PATH",)
    assert "s3cret" not in str(refused.value)


def test_a_key_file_that_cannot_be_read_is_named(google: Google, tmp_path: Path) -> None:
    """With the system's error."""
    with pytest.raises(InvalidSettings, match="it cannot be read: Is a directory") as refused:
        GmailSettings.from_env({**google.settings, "GCP_SERVICE_ACCOUNT_JSON_PATH": str(tmp_path)})

    assert refused.value.names == ("GCP_SERVICE_ACCOUNT_JSON_PATH",)


# -- two at once, and the end of a process -----------------------------------------------------------------------------


@pytest.fixture(params=["one process", "two processes", pytest.param("firestore", marks=pytest.mark.emulator)])
def two_callable(google: Google, request: pytest.FixtureRequest) -> Iterator[tuple[Storage, list[RunningFunction]]]:
    """The function twice, over one store: as one process, as two on a file, as two on the emulator."""
    if request.param == "one process":
        of_one = request.getfixturevalue("of_one")
        yield google.storage, [of_one, of_one]
        return
    on_emulator = request.param == "firestore"
    storage = in_firestore(request.getfixturevalue("firestore_client")) if on_emulator else google.storage
    with ExitStack() as stack:
        yield storage, [stack.enter_context(google.running(storage=storage)) for _ in range(2)]


def test_two_calls_at_once_make_one_renewal(
    google: Google, two_callable: tuple[Storage, list[RunningFunction]]
) -> None:
    """The later one reports that it was skipped, which is not an error."""
    storage, functions = two_callable
    google.gmail.delay = 0.3

    answers = call_at_once(*functions)

    renewed, skipped = sorted(answers, key=lambda answered: str(answered.body["status"]), reverse=True)
    assert (renewed.status, renewed.body["status"]) == (200, "success")
    assert (skipped.status, skipped.body) == (
        200,
        {
            "status": "skipped",
            "message": f"Skipped: another call renews the Gmail watch of {ADA}",
            "skipped": [ADA],
            "timestamp": skipped.body["timestamp"],
            "trace_id": skipped.trace,
        },
    )
    assert google.asked() == [WATCH]
    assert google.gmail.renewals == {ADA: 1}
    assert len(storage.record(RECORD).recent_runs) == 1


def test_a_mailbox_that_another_call_renews_does_not_keep_back_the_others(
    google: Google, of_one: RunningFunction, of_two: RunningFunction
) -> None:
    """It is named as skipped, beside what was renewed."""
    google.gmail.delay = 0.5

    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, of_one)
        until(lambda: google.asked() == [WATCH], 20)
        second = call(of_two)
        assert first.result(20).body["status"] == "success"

    assert (second.status, second.body["status"], second.body["skipped"]) == (200, "success", [ADA])
    assert [watch["mailbox"] for watch in second.body["watches"]] == [GRACE]
    assert google.gmail.renewals == {ADA: 1, GRACE: 1}


def test_a_renewal_whose_process_dies_is_taken_over_after_its_lease(google: Google) -> None:
    """Until then other calls are skipped; the history has the death, and the record is complete again."""
    lease = {"SCHEDULER_LEASE_SECONDS": "2"}
    with google.running(lease) as dying, google.running(lease) as other, ThreadPoolExecutor() as pool:
        first = call(other)
        google.gmail.fail("hang")
        hanging = pool.submit(dying.call)
        until(lambda: google.asked() == [WATCH, WATCH], 20)

        dying.signal(signal.SIGKILL)

        assert isinstance(hanging.exception(20), OSError | HTTPException)
        held = google.storage.record(RECORD)
        assert held.lease_until is not None
        answers: list[Answered] = []

        def is_renewed() -> bool:
            answers.append(call(other))
            return bool(answers[-1].body["status"] != "skipped")

        until(is_renewed, 20)

    job = google.storage.record(RECORD)
    assert answers[0].body["status"] == "skipped"
    assert {answered.status for answered in answers} == {200}
    assert job.recent_runs[-1].started_at is not None
    assert job.recent_runs[-1].started_at >= held.lease_until
    assert google.gmail.renewals == {ADA: 2}
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.COMPLETED, RunOutcome.DIED, RunOutcome.COMPLETED]
    assert (job.status, job.lease_until, job.payload["history_id"]) == (Status.PENDING, None, first.body["history_id"])
    assert "renewal_started_at" not in job.payload


# -- in this process: what no setting reaches --------------------------------------------------------------------------


@pytest.fixture
def renewals(google: Google) -> Renewals:
    """Renewals by the real clock."""
    settings = Settings.from_env({"AUTH_MODE": "off"})
    return Renewals(google.storage.store, settings, now=utc_now(), clock=utc_now, by="test")


def test_a_token_service_that_never_answers_is_given_up(
    google: Google, renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token has a deadline."""
    monkeypatch.setattr(delegation, "TOKEN_SECONDS", 0.2)  # nobody is to wait for the real one
    google.oauth.fail("hang")

    with pytest.raises(RenewalFailed) as refused:
        gmail_watches.renew_watches(GmailSettings.from_env(google.settings), renewals)

    assert "Google's token service said" in str(refused.value)
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
def test_the_clock_is_blamed_for_the_time_of_the_token_alone(
    google: Google, renewals: Renewals, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    """The name of that time, iat, is also a part of many words."""
    monkeypatch.setattr(GoogleOAuth, "documented_errors", {"odd": oauth_error(400, "invalid_grant", said)})
    google.oauth.fail("odd")

    with pytest.raises(RenewalFailed) as refused:
        gmail_watches.renew_watches(GmailSettings.from_env(google.settings), renewals)

    assert f"{said.rstrip('.')}; {remedy}" in str(refused.value)


def test_a_gmail_that_never_answers_is_given_up(
    google: Google, renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is made once, and not repeated."""
    monkeypatch.setattr(gmail_watches, "TIMEOUT_SECONDS", 0.2)  # nobody is to wait for the real one
    google.gmail.fail("hang")

    with pytest.raises(RenewalFailed) as refused:
        gmail_watches.renew_watches(GmailSettings.from_env(google.settings), renewals)

    assert f"Gmail said nothing (TimeoutError: timed out); {AGAIN}" in str(refused.value)
    assert google.asked() == [WATCH]


# -- without a key -----------------------------------------------------------------------------------------------------


def to_the_stand_in(google: Google) -> Callable[..., Any]:
    """Send requests for Google to the fake."""
    request = Request()

    def send(*, url: str, **given: Any) -> Any:
        for host in ("https://iamcredentials.googleapis.com", "https://oauth2.googleapis.com"):
            url = url.replace(host, google.oauth.url)
        assert url.startswith(google.oauth.url), url
        return request(url=url, **given)

    return send


@pytest.fixture
def renew_keyless(google: Google, renewals: Renewals) -> Callable[[str], dict[str, Any]]:
    """Renew with the signature of a service account that is asked for it, instead of a key."""

    def renew(delegate: str = SERVICE_ACCOUNT) -> dict[str, Any]:
        env = {**google.settings, "GCP_SERVICE_ACCOUNT_JSON_PATH": "", "GMAIL_DELEGATE": delegate}
        source = oauth2.Credentials(google.oauth.source_token)  # type: ignore[no-untyped-call]  # the library's own
        return gmail_watches.renew_watches(
            GmailSettings.from_env(env), renewals, source=source, fetch=to_the_stand_in(google)
        )

    return renew


def test_without_a_key_the_signature_is_asked_for(google: Google, renew_keyless: Callable[[], dict[str, Any]]) -> None:
    """A signature, a token, a watch: each is made of the one before, and nothing else goes out."""
    before = int(utc_now().timestamp())

    answer = renew_keyless()

    sign, token = google.oauth.requests
    claims = json.loads(sign.json()["payload"])
    form = dict(parse_qsl(token.body.decode()))
    assert (sign.method, sign.path, sign.bearer_token()) == ("POST", SIGN_JWT, google.oauth.source_token)
    assert (claims["iss"], claims["sub"], claims["scope"]) == (SERVICE_ACCOUNT, ADA, METADATA_SCOPE)
    assert claims["aud"] == GOOGLE_TOKEN_URL
    assert before <= claims["iat"] < claims["exp"] <= claims["iat"] + 3600
    assert (token.method, token.path, form["grant_type"]) == ("POST", "/token", JWT_BEARER)
    assert claims_of(form["assertion"]) == claims
    assert google.asked() == [WATCH]
    assert answer["expiration"] == millis(google.gmail.watches[ADA])
    assert google.storage.record(RECORD).payload["history_id"] == answer["history_id"]


def test_a_service_account_that_may_not_sign_is_told_the_role(
    google: Google, renew_keyless: Callable[[str], dict[str, Any]]
) -> None:
    """The role, and on which service account."""
    delegate = "other@watchkeeper-local.iam.gserviceaccount.com"

    with pytest.raises(RenewalFailed) as refused:
        renew_keyless(delegate)

    (failed,) = refused.value.answer["failed"]
    assert "Permission 'iam.serviceAccounts.signJwt' denied" in failed["reason"]
    assert f"grant roles/iam.serviceAccountTokenCreator on {delegate}" in failed["reason"]
    assert [request.path for request in google.oauth.requests] == [SIGN_JWT.replace(SERVICE_ACCOUNT, delegate)]
    assert google.asked() == []


def test_a_delegate_without_credentials_to_ask_for_it_is_named(google: Google, tmp_path: Path) -> None:
    """On a machine where nobody has signed in, the setting is named, and nobody is asked for anything."""
    nobody = {
        "GMAIL_DELEGATE": SERVICE_ACCOUNT,
        "GCP_SERVICE_ACCOUNT_JSON_PATH": "",
        "GOOGLE_APPLICATION_CREDENTIALS": "",
        "CLOUDSDK_CONFIG": "",
        "HOME": str(tmp_path),
        "NO_GCE_CHECK": "true",
    }
    with google.running(nobody) as function:
        answered = call(function)

    (logged,) = answered.errors()
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert "GMAIL_DELEGATE" in answered.body["error"]["message"]
    assert "gcloud auth application-default login" in logged
    assert (google.oauth.requests, google.gmail.requests) == ([], [])
