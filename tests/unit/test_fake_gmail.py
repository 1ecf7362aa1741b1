"""The fakes of Google's OAuth and Gmail, as Google's own client libraries use them."""

import json
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth import impersonated_credentials
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.tokens import encode, rs256, rsa_key
from watchkeeper.fakes.gmail import LIFETIME, Gmail, Watch
from watchkeeper.fakes.google_oauth import (
    GOOGLE_TOKEN_URL,
    JWT_BEARER,
    METADATA_SCOPE,
    SERVICE_ACCOUNT,
    GoogleOAuth,
    Grant,
)

ADA = "ada@example.com"
READONLY_SCOPE = "https://www.googleapis.com/auth/gmail.readonly"
CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar"
TOPIC = "projects/watchkeeper-local/topics/gmail"
OTHER_TOPIC = "projects/watchkeeper-local/topics/other"
ONLY_ONE = "Only one user push notification client allowed per developer (call /stop then try again)"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECOND = int(NOW.timestamp())
PATIENCE = 10  # seconds for what another thread is to do


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
def oauth() -> Iterator[GoogleOAuth]:
    """Google's libraries date their assertions by the real time, so this uses it, too."""
    with GoogleOAuth(users=[ADA], scopes=[METADATA_SCOPE, CALENDAR_SCOPE]) as oauth:
        yield oauth


@pytest.fixture
def oauth_at_nine(clock: Clock) -> Iterator[GoogleOAuth]:
    with GoogleOAuth(clock=clock) as oauth:
        yield oauth


@pytest.fixture
def gmail(oauth: GoogleOAuth, clock: Clock) -> Iterator[Gmail]:
    with Gmail(oauth, clock=clock) as gmail:
        yield gmail


def rerouted(oauth: GoogleOAuth) -> Callable[..., Any]:
    """Send requests for Google to the fake."""
    request = Request()

    def send(*, url: str, **given: Any) -> Any:
        for google in ("https://iamcredentials.googleapis.com", "https://oauth2.googleapis.com"):
            url = url.replace(google, oauth.url)
        return request(url=url, **given)

    return send


def key_credentials(oauth: GoogleOAuth, folder: Path, subject: str | None = ADA, scope: str = METADATA_SCOPE) -> Any:
    """Make credentials from the key file."""
    path = folder / "key.json"
    oauth.write_key_file(path)
    return service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]  # the library's own
        path, scopes=[scope], subject=subject
    )


def keyless_credentials(oauth: GoogleOAuth, principal: str = SERVICE_ACCOUNT, source_token: str | None = None) -> Any:
    """Make credentials whose assertions IAM signs."""
    source = oauth2.Credentials(source_token or oauth.source_token)  # type: ignore[no-untyped-call]  # the library's own
    return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]  # the library's own
        source, target_principal=principal, target_scopes=[METADATA_SCOPE], subject=ADA
    )


def client_of(
    oauth: GoogleOAuth, gmail: Gmail, folder: Path, *, subject: str = ADA, scope: str = METADATA_SCOPE
) -> Any:
    """Return the users resource of the real client."""
    credentials = key_credentials(oauth, folder, subject, scope)
    options = {"api_endpoint": gmail.url}
    return build("gmail", "v1", credentials=credentials, static_discovery=True, client_options=options).users()


Users = Callable[..., Any]


@pytest.fixture
def users(oauth: GoogleOAuth, gmail: Gmail, tmp_path: Path) -> Users:
    """Return the users resource of the real client, acting for a mailbox."""

    return partial(client_of, oauth, gmail, tmp_path)


def watch(users: Any, topic: str = TOPIC, user: str = "me", **body: Any) -> dict[str, str]:
    """Call watch, once."""
    return dict(users.watch(userId=user, body={"topicName": topic, **body}).execute())


def refusal(call: Callable[[], object]) -> tuple[int, str, str, str]:
    """Return code, status, reason and message of the client's error."""
    with pytest.raises(HttpError) as raised:
        call()
    error = json.loads(raised.value.content)["error"]
    (detail,) = error["errors"]
    assert raised.value.status_code == error["code"]
    assert raised.value.reason == error["message"]
    return error["code"], error["status"], detail["reason"], error["message"]


def assertion(oauth: GoogleOAuth | None = None, **changes: Any) -> str:
    """Make an assertion at NOW, signed by the fake or with another key."""
    claims = {
        "iss": SERVICE_ACCOUNT,
        "sub": ADA,
        "aud": GOOGLE_TOKEN_URL,
        "scope": METADATA_SCOPE,
        "iat": SECOND,
        "exp": SECOND + 3600,
        **changes,
    }
    if oauth is None:
        return encode({"alg": "RS256", "typ": "JWT"}, claims, rs256(rsa_key("stranger")))
    url = f"{oauth.url}/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt"
    headers = {"Authorization": f"Bearer {oauth.source_token}"}
    answer = requests.post(url, json={"payload": json.dumps(claims)}, headers=headers, timeout=PATIENCE)
    return str(answer.json()["signedJwt"])


def exchange(oauth: GoogleOAuth, token: str, grant_type: str = JWT_BEARER) -> tuple[int, dict[str, Any]]:
    """Ask for an access token without a library, which would not send such a request."""
    answer = requests.post(f"{oauth.url}/token", {"grant_type": grant_type, "assertion": token}, timeout=PATIENCE)
    return answer.status_code, answer.json()


# -- The token endpoint ------------------------------------------------------------------------------------------------


def test_a_key_file_acts_for_a_mailbox(oauth: GoogleOAuth, tmp_path: Path) -> None:
    """Credentials from the key file get a token for the subject, within the scope that was asked for."""
    credentials = key_credentials(oauth, tmp_path)

    credentials.refresh(Request())

    assert oauth.grant_of(credentials.token) == Grant(subject=ADA, scopes=frozenset({METADATA_SCOPE}))
    assert credentials.expiry.replace(tzinfo=UTC) > datetime.now(UTC) + timedelta(minutes=55)
    assert [request.path for request in oauth.requests] == ["/token"]


def test_a_key_file_is_for_the_owner_alone(oauth: GoogleOAuth, tmp_path: Path) -> None:
    """The file has Google's fields, and mode 0600 even if it existed before."""
    path = tmp_path / "key.json"
    path.touch(mode=0o644)

    oauth.write_key_file(path)

    key = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (key["type"], key["project_id"], key["client_email"], key["token_uri"]) == (
        "service_account",
        "watchkeeper-local",
        SERVICE_ACCOUNT,
        f"{oauth.url}/token",
    )
    assert key.keys() >= {"private_key_id", "private_key", "client_id"}


@pytest.mark.parametrize(
    ("seconds", "is_good"), [pytest.param(3598, True, id="last-second"), pytest.param(3599, False, id="over")]
)
def test_a_token_ends_with_its_hour(oauth_at_nine: GoogleOAuth, clock: Clock, seconds: int, is_good: bool) -> None:
    """An access token is valid for 3,599 seconds; an unknown one never is."""
    _, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine))

    clock.now += timedelta(seconds=seconds)

    assert (oauth_at_nine.grant_of(answer["access_token"]) is not None) is is_good
    assert oauth_at_nine.grant_of("ya29.unknown") is None


@pytest.mark.parametrize(
    ("subject", "scope", "said"),
    [
        pytest.param(ADA, READONLY_SCOPE, "unauthorized_client: Client is unauthorized to retrieve", id="scope"),
        pytest.param(ADA, f"{METADATA_SCOPE} {READONLY_SCOPE}", "unauthorized_client: Client is", id="one-of-two"),
        pytest.param("mallory@example.com", METADATA_SCOPE, "invalid_grant: Invalid email or User ID", id="user"),
        pytest.param(ADA, "", "invalid_scope: Invalid OAuth scope", id="no-scope"),
    ],
)
def test_delegation_is_refused(oauth: GoogleOAuth, tmp_path: Path, subject: str, scope: str, said: str) -> None:
    """A scope or a user that the administrator did not authorise gets Google's own error."""
    credentials = key_credentials(oauth, tmp_path, subject, scope)

    with pytest.raises(RefreshError, match=said):
        credentials.refresh(Request())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param("not-delegated", "unauthorized_client: Client is unauthorized", id="not-delegated"),
        pytest.param("unknown-user", "invalid_grant: Invalid email or User ID", id="unknown-user"),
    ],
)
def test_the_token_endpoint_fails_on_request(oauth: GoogleOAuth, tmp_path: Path, fault: str, said: str) -> None:
    """A request that would be granted can be made to fail."""
    credentials = key_credentials(oauth, tmp_path)
    oauth.fail(fault)

    with pytest.raises(RefreshError, match=said):
        credentials.refresh(Request())


def test_every_mailbox_exists_unless_told_otherwise(tmp_path: Path) -> None:
    """Without a list of users every one exists, in upper or lower case."""
    with GoogleOAuth() as oauth:
        credentials = key_credentials(oauth, tmp_path, "Grace@Example.com")
        credentials.refresh(Request())

        grant = oauth.grant_of(credentials.token)

    assert grant == Grant(subject="grace@example.com", scopes=frozenset({METADATA_SCOPE}))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="plain"),
        pytest.param({"iat": SECOND + 300, "exp": SECOND + 3900}, id="clock-ahead"),
        pytest.param({"iat": SECOND - 3599, "exp": SECOND + 1}, id="last-second"),
    ],
)
def test_a_good_assertion_is_granted(oauth_at_nine: GoogleOAuth, changes: dict[str, Any]) -> None:
    """The answer is as documented, up to the limits of an assertion's life."""
    status, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine, **changes))

    assert (status, answer.pop("access_token")[:5]) == (200, "ya29.")
    assert answer == {"expires_in": 3599, "token_type": "Bearer"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"iss": "stranger@example.com"}, "Invalid grant: account not found", id="issuer"),
        pytest.param({"aud": "https://example.com/token"}, "Invalid JWT: Failed audience check", id="audience"),
        pytest.param({"exp": SECOND}, "Invalid JWT: Token must be a short-lived token", id="expired"),
        pytest.param({"iat": SECOND + 301, "exp": SECOND + 3901}, "Invalid JWT: Token must be", id="future"),
        pytest.param({"exp": SECOND + 3601}, "Invalid JWT: Token must be", id="too-long"),
        pytest.param({"exp": None}, "Invalid JWT: Token must be", id="without-expiry"),
    ],
)
def test_a_bad_assertion_is_refused(oauth_at_nine: GoogleOAuth, changes: dict[str, Any], said: str) -> None:
    """Each claim is checked."""
    status, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine, **changes))

    assert (status, answer["error"]) == (400, "invalid_grant")
    assert answer["error_description"].startswith(said)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        pytest.param(assertion(), "Invalid JWT Signature.", id="another-key"),
        pytest.param("nonsense", "Bad Request", id="no-token"),
        pytest.param("e30.W10.c2ln", "Bad Request", id="no-claims"),
    ],
)
def test_a_forged_assertion_is_refused(oauth_at_nine: GoogleOAuth, token: str, said: str) -> None:
    """The signature is verified against the service account's key."""
    assert exchange(oauth_at_nine, token) == (400, {"error": "invalid_grant", "error_description": said})


def test_another_grant_type_is_refused(oauth_at_nine: GoogleOAuth) -> None:
    """The fake knows only the JWT bearer grant."""
    status, answer = exchange(oauth_at_nine, assertion(oauth=oauth_at_nine), "refresh_token")

    assert (status, answer["error"]) == (400, "unsupported_grant_type")


# -- IAM Credentials ---------------------------------------------------------------------------------------------------


def test_keyless_credentials_act_for_a_mailbox(oauth: GoogleOAuth) -> None:
    """A caller that may create tokens for the service account gets a signed assertion, and a token for it."""
    credentials = keyless_credentials(oauth)

    credentials.refresh(rerouted(oauth))

    assert oauth.grant_of(credentials.token) == Grant(subject=ADA, scopes=frozenset({METADATA_SCOPE}))
    assert [request.path for request in oauth.requests] == [
        f"/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt",
        "/token",
    ]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        pytest.param(
            {"principal": "stranger@example.iam.gserviceaccount.com"},
            "PERMISSION_DENIED",
            "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist).",
            id="another-account",
        ),
        pytest.param(
            {"source_token": "ya29.stranger"},
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token",
            id="another-token",
        ),
    ],
)
def test_a_signature_is_refused(oauth: GoogleOAuth, given: dict[str, str], status: str, said: str) -> None:
    """A caller without the right gets no signature."""
    credentials = keyless_credentials(oauth, **given)

    with pytest.raises(RefreshError) as raised:
        credentials.refresh(rerouted(oauth))

    error = json.loads(raised.value.args[1])["error"]
    assert error["status"] == status
    assert error["message"].startswith(said)
    assert len(oauth.requests) == 1


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        pytest.param("no-token-creator", 403, "PERMISSION_DENIED", id="no-token-creator"),
        pytest.param("unavailable", 503, "UNAVAILABLE", id="unavailable"),
        pytest.param("internal", 500, "INTERNAL", id="internal"),
        pytest.param("rate-limit", 429, "RESOURCE_EXHAUSTED", id="rate-limit"),
    ],
)
def test_iam_fails_on_request(oauth: GoogleOAuth, fault: str, code: int, status: str) -> None:
    """The errors of IAM Credentials come in the form of a Google API."""
    oauth.fail(fault)

    with pytest.raises(RefreshError) as raised:
        keyless_credentials(oauth).refresh(rerouted(oauth))

    error = json.loads(raised.value.args[1])["error"]
    assert (error["code"], error["status"]) == (code, status)


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        pytest.param("unavailable", 503, "temporarily_unavailable", id="unavailable"),
        pytest.param("internal", 500, "internal_failure", id="internal"),
        pytest.param("rate-limit", 429, "rate_limit_exceeded", id="rate-limit"),
    ],
)
def test_the_token_endpoint_words_failures_in_its_own_form(
    oauth: GoogleOAuth, fault: str, status: int, error: str
) -> None:
    """The same faults at /token have OAuth's format. The library would wait seconds to retry them."""
    oauth.fail(fault)

    answered, body = exchange(oauth, "anything")

    assert (answered, body["error"]) == (status, error)


@pytest.mark.parametrize(
    ("body", "token", "status", "said"),
    [
        pytest.param({"payload": "no claims"}, True, 400, "INVALID_ARGUMENT", id="payload"),
        pytest.param({}, True, 400, "INVALID_ARGUMENT", id="no-payload"),
        pytest.param({"payload": "{}"}, False, 401, "UNAUTHENTICATED", id="no-token"),
    ],
)
def test_a_bad_request_for_a_signature_is_refused(
    oauth: GoogleOAuth, body: dict[str, str], token: bool, status: int, said: str
) -> None:
    """Also requests that the library would not send."""
    url = f"{oauth.url}/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:signJwt"
    headers = {"Authorization": f"Bearer {oauth.source_token}"} if token else {}

    answer = requests.post(url, json=body, headers=headers, timeout=PATIENCE)

    assert (answer.status_code, answer.json()["error"]["status"]) == (status, said)


def test_oauth_has_no_other_paths(oauth: GoogleOAuth) -> None:
    """Another path or method is not found."""
    statuses = [requests.get(f"{oauth.url}{path}", timeout=PATIENCE).status_code for path in ("/token", "/v1/else")]

    assert statuses == [404, 404]


# -- Gmail -------------------------------------------------------------------------------------------------------------


def test_watch_answers_as_documented(gmail: Gmail, users: Users) -> None:
    """Both numbers are decimal strings, and the watch lasts seven days."""
    answer = watch(users(), labelIds=["INBOX"], labelFilterBehavior="include")

    assert answer == {"historyId": "1001", "expiration": str((SECOND + 7 * 24 * 3600) * 1000)}
    assert gmail.watches == {ADA: Watch(topic=TOPIC, labels=("INBOX",), expires_at=NOW + LIFETIME)}


def test_a_watch_is_renewed_on_the_same_topic(gmail: Gmail, users: Users) -> None:
    """Another call on the same topic succeeds, with a later history id, and is counted."""
    answers = [watch(users()), watch(users(), user=ADA)]

    assert int(answers[0]["historyId"]) < int(answers[1]["historyId"])
    assert gmail.renewals == {ADA: 2}
    assert gmail.state()["renewals"] == {ADA: 2}
    assert gmail.state()["watches"][ADA]["topic"] == TOPIC


def test_a_watch_on_another_topic_must_be_stopped_first(gmail: Gmail, users: Users) -> None:
    """There is one topic at a time; stop answers without a body."""
    client = users()
    watch(client)

    refused = refusal(lambda: watch(client, OTHER_TOPIC))
    stopped = client.stop(userId="me").execute()
    watch(client, OTHER_TOPIC)

    assert refused == (400, "INVALID_ARGUMENT", "invalidArgument", ONLY_ONE)
    assert not stopped
    assert gmail.watches[ADA].topic == OTHER_TOPIC


def test_stop_is_204(gmail: Gmail, users: Users) -> None:
    """Stopping is answered 204, whether there was a watch or not."""
    client = users()
    watch(client)
    http = client.stop(userId="me").http

    answers = [http.request(f"{gmail.url}/gmail/v1/users/me/stop", "POST") for _ in range(2)]

    assert [(answer.status, content) for answer, content in answers] == [(204, b""), (204, b"")]
    assert gmail.watches == {}


def test_an_expired_watch_is_in_nobodys_way(gmail: Gmail, users: Users, clock: Clock) -> None:
    """A watch on another topic can begin once the first one's seven days are over, and not before."""
    client = users()
    watch(client)

    clock.now += LIFETIME - timedelta(seconds=1)
    refused = refusal(lambda: watch(client, OTHER_TOPIC))
    clock.now += timedelta(seconds=1)
    watch(client, OTHER_TOPIC)

    assert refused[3] == ONLY_ONE
    assert gmail.watches[ADA].topic == OTHER_TOPIC


def test_two_watch_calls_must_not_overlap(gmail: Gmail, users: Users) -> None:
    """During one call for a mailbox another one is refused, on the same topic too."""
    gmail.delay = 0.3

    def attempt(client: Any) -> str:
        try:
            return watch(client)["historyId"]
        except HttpError as exc:
            return str(exc.reason)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(attempt, [users(), users()]))

    assert sorted(outcomes) == ["1001", ONLY_ONE]
    assert gmail.renewals == {ADA: 1}


def test_mailboxes_are_watched_independently(tmp_path: Path) -> None:
    """A watch on one mailbox does not affect another."""
    with GoogleOAuth() as oauth, Gmail(oauth) as gmail:
        for mailbox, topic in ((ADA, TOPIC), ("grace@example.com", OTHER_TOPIC)):
            watch(client_of(oauth, gmail, tmp_path, subject=mailbox), topic)

    assert {mailbox: watched.topic for mailbox, watched in gmail.watches.items()} == {
        ADA: TOPIC,
        "grace@example.com": OTHER_TOPIC,
    }


@pytest.mark.parametrize("topic", ["", "gmail", "projects/elsewhere/topics/gmail", f"{TOPIC}/more", f"{TOPIC}\n"])
def test_a_topic_must_be_of_the_project(users: Users, topic: str) -> None:
    """The topic's full name must be in the project of the calling client."""
    assert refusal(lambda: watch(users(), topic)) == (
        400,
        "INVALID_ARGUMENT",
        "invalidArgument",
        "Invalid topicName does not match projects/watchkeeper-local/topics/*",
    )


def test_a_topic_must_exist(gmail: Gmail, users: Users) -> None:
    """If topics are given, one that is missing cannot take the test notification."""
    gmail.topics = {TOPIC}
    client = users()
    watch(client)
    client.stop(userId="me").execute()

    refused = refusal(lambda: watch(client, OTHER_TOPIC))

    assert refused == (
        404,
        "NOT_FOUND",
        "notFound",
        f"Error sending test message to Cloud PubSub {OTHER_TOPIC} : Resource not found (resource=other).",
    )
    assert gmail.watches == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            {"labels": ["INBOX"]},
            'Invalid JSON payload received. Unknown name "labels": Cannot find field.',
            id="unknown-field",
        ),
        pytest.param({"topicName": 7}, "Invalid value at 'topicName' (TYPE_STRING), 7", id="number"),
        pytest.param({"labelIds": "INBOX"}, "Invalid value at 'labelIds' (TYPE_ARRAY), \"INBOX\"", id="no-list"),
        pytest.param({"labelIds": [7]}, "Invalid value at 'labelIds' (TYPE_STRING), 7", id="list-of-numbers"),
        pytest.param(
            {"labelFilterBehavior": "only"},
            "Invalid value at 'labelFilterBehavior' (TYPE_STRING), \"only\"",
            id="no-such-value",
        ),
    ],
)
def test_the_body_must_follow_the_schema(users: Users, body: dict[str, Any], said: str) -> None:
    """Fields, types and values are those of the discovery document."""
    refused = refusal(lambda: users().watch(userId="me", body={"topicName": TOPIC, **body}).execute())

    assert refused == (400, "INVALID_ARGUMENT", "invalidArgument", said)


@pytest.mark.parametrize("behavior", ["include", "EXCLUDE", None])
def test_values_are_taken_in_either_case(gmail: Gmail, users: Users, behavior: str | None) -> None:
    """Google's guide has INCLUDE, its discovery document include; null is not a value."""
    watch(users(), labelIds=["INBOX", "UNREAD"], labelFilterBehavior=behavior)

    assert gmail.watches[ADA].labels == ("INBOX", "UNREAD")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"{", "Invalid JSON payload received. Unexpected token.", id="no-json"),
        pytest.param(b"[]", "Invalid JSON payload received. Unknown name", id="no-object"),
        pytest.param(b"", "Invalid topicName does not match", id="nothing"),
    ],
)
def test_a_body_that_the_client_would_not_send_is_refused(gmail: Gmail, users: Users, body: bytes, said: str) -> None:
    """A body that is not a JSON object is malformed; a missing one lacks the topic."""
    http = users().watch(userId="me").http

    answer, content = http.request(f"{gmail.url}/gmail/v1/users/me/watch", "POST", body)

    assert answer.status == 400
    assert json.loads(content)["error"]["message"].startswith(said)


@pytest.mark.parametrize(
    ("method", "target", "status", "said"),
    [
        pytest.param("GET", "/gmail/v1/users/me/profile", 501, "gmail.users.getProfile", id="not-played"),
        pytest.param("GET", "/gmail/v1/users/me/watch", 404, "not found", id="method"),
        pytest.param("POST", "/gmail/v1/users/me/watches", 404, "not found", id="path"),
        pytest.param("POST", "/gmail/v1/users/me/stop?user=me", 400, 'Unknown name "user"', id="query"),
        pytest.param("POST", "/gmail/v1/users/me/stop?userId=me", 400, 'Unknown name "userId"', id="path-parameter"),
        pytest.param("POST", "/gmail/v1/users/me/stop?alt=xml", 400, "Invalid value at 'alt'", id="query-value"),
        pytest.param("POST", "/gmail/v1/users/me/stop?alt=json&prettyPrint=false", 204, "", id="good-query"),
    ],
)
def test_the_request_must_be_one_of_the_api(
    gmail: Gmail, users: Users, method: str, target: str, status: int, said: str
) -> None:
    """Paths, methods and parameters are those of the discovery document; other methods of it are not faked."""
    http = users().stop(userId="me").http

    answer, content = http.request(f"{gmail.url}{target}", method)

    assert answer.status == status
    assert said in (json.loads(content)["error"]["message"] if content else "")


def test_a_scope_of_the_method_is_needed(users: Users) -> None:
    """A token for something else is refused."""
    refused = refusal(lambda: watch(users(scope=CALENDAR_SCOPE)))

    assert refused == (
        403,
        "PERMISSION_DENIED",
        "insufficientPermissions",
        "Request had insufficient authentication scopes.",
    )


def test_only_the_own_mailbox_can_be_watched(users: Users) -> None:
    """A token for one mailbox is refused for another."""
    refused = refusal(lambda: watch(users(), user="grace@example.com"))

    assert refused == (403, "PERMISSION_DENIED", "forbidden", f"Delegation denied for {ADA}")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param({"Authorization": "Bearer ya29.unknown"}, "Request had invalid authentication", id="unknown"),
        pytest.param({}, "Request is missing required authentication credential.", id="none"),
    ],
)
def test_a_token_is_needed(gmail: Gmail, headers: dict[str, str], said: str) -> None:
    """A token from elsewhere is refused."""
    answer = requests.post(f"{gmail.url}/gmail/v1/users/me/stop", headers=headers, timeout=PATIENCE)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (401, "UNAUTHENTICATED")
    assert error["message"].startswith(said)


def test_a_service_account_has_no_mailbox(oauth: GoogleOAuth, gmail: Gmail, tmp_path: Path) -> None:
    """Credentials without a subject get a token that Gmail refuses."""
    credentials = key_credentials(oauth, tmp_path, subject=None)
    credentials.refresh(Request())

    answer = requests.post(
        f"{gmail.url}/gmail/v1/users/me/watch",
        json={"topicName": TOPIC},
        headers={"Authorization": f"Bearer {credentials.token}"},
        timeout=PATIENCE,
    )

    error = answer.json()["error"]
    assert (error["status"], error["message"]) == ("FAILED_PRECONDITION", "Precondition check failed.")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param("other-topic", (400, "INVALID_ARGUMENT", "invalidArgument", ONLY_ONE), id="other-topic"),
        pytest.param(
            "not-a-publisher",
            (
                403,
                "PERMISSION_DENIED",
                "forbidden",
                f"Error sending test message to Cloud PubSub {TOPIC} : User not authorized to perform this action.",
            ),
            id="not-a-publisher",
        ),
        pytest.param(
            "no-topic",
            (
                404,
                "NOT_FOUND",
                "notFound",
                f"Error sending test message to Cloud PubSub {TOPIC} : Resource not found (resource=gmail).",
            ),
            id="no-topic",
        ),
        pytest.param(
            "mail-off", (400, "FAILED_PRECONDITION", "failedPrecondition", "Mail service not enabled"), id="mail-off"
        ),
        pytest.param(
            "forbidden",
            (
                403,
                "PERMISSION_DENIED",
                "insufficientPermissions",
                "Request had insufficient authentication scopes.",
            ),
            id="forbidden",
        ),
        pytest.param("quota", (403, "PERMISSION_DENIED", "rateLimitExceeded", "Rate Limit Exceeded"), id="quota"),
        pytest.param(
            "rate-limit",
            (429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Too many concurrent requests for user"),
            id="rate-limit",
        ),
        pytest.param("internal", (500, "INTERNAL", "backendError", "Internal error encountered."), id="internal"),
        pytest.param(
            "unavailable",
            (503, "UNAVAILABLE", "backendError", "The service is currently unavailable."),
            id="unavailable",
        ),
    ],
)
def test_gmail_fails_on_request(gmail: Gmail, users: Users, fault: str, expected: tuple[int, str, str, str]) -> None:
    """Each documented error can be requested, once, and changes nothing."""
    client = users()
    gmail.fail(fault, path="/watch")

    refused = refusal(lambda: watch(client))

    assert refused == expected
    assert gmail.watches == {}
    assert watch(client)["historyId"] == "1001"


def test_the_client_answers_a_401_with_a_fresh_token(gmail: Gmail, users: Users) -> None:
    """The caller does not see a single 401, only a lasting one."""
    client = users()
    gmail.fail("unauthorized")
    watch(client)
    gmail.fail("unauthorized", times=3)

    refused = refusal(lambda: watch(client))

    tokens = [request.bearer_token() for request in gmail.requests]
    assert refused[:3] == (401, "UNAUTHENTICATED", "authError")
    assert len(set(tokens)) == len(tokens) - 1


def test_a_fault_without_a_topic_is_worded_too(gmail: Gmail) -> None:
    """A fault of watch can be requested for a call without a topic."""
    gmail.fail("no-topic")

    answer = requests.post(f"{gmail.url}/gmail/v1/users/me/stop", timeout=PATIENCE)

    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
