"""The fake of Google Chat, as Google's own client library uses it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import Message as Headers
from functools import partial
from typing import Any

import google.auth
import httplib2
import pytest
import requests
from google.oauth2 import service_account
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from watchkeeper.fakes.chat import BOT_SCOPE, REPLY_OR_FAIL, REPLY_OR_NEW_THREAD, Chat
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.google_oauth import SERVICE_ACCOUNT, GoogleOAuth, Grant, api_error
from watchkeeper.fakes.server import Rejected, Request

ADA = "ada@example.com"
PEOPLES_SCOPE = "https://www.googleapis.com/auth/chat.messages"
SPACE = "spaces/AAA"
ELSEWHERE = "spaces/BBB"
THREAD = f"{SPACE}/threads/people"
IAM = "https://iamcredentials.googleapis.com"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PATIENCE = 10  # seconds
CARD = {
    "cardId": "jobs",
    "card": {
        "header": {"title": "Jobs"},
        "sections": [
            {
                "collapsible": True,
                "uncollapsibleWidgetsCount": 1,
                "widgets": [
                    {"decoratedText": {"text": "report", "wrapText": True}},
                    {"dateTimePicker": {"name": "at", "type": "DATE_AND_TIME", "valueMsEpoch": "1795251600000"}},
                    {
                        "buttonList": {
                            "buttons": [
                                {
                                    "text": "Pause",
                                    "color": {"red": 0.5, "green": 1},
                                    "onClick": {
                                        "action": {
                                            "function": "pause",
                                            "parameters": [{"key": "job", "value": "report"}],
                                        }
                                    },
                                }
                            ]
                        }
                    },
                ],
            }
        ],
    },
}


class Rerouted:
    """A transport that sends the library's requests to IAM, made on another thread, to the fake."""

    def __init__(self, oauth: GoogleOAuth) -> None:
        self._http = httplib2.Http(timeout=PATIENCE)
        self._url = oauth.url

    def request(self, uri: str, *given: Any, **named: Any) -> Any:
        return self._http.request(uri.replace(IAM, self._url), *given, **named)


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleOAuth]:
    """Google's tokens, with the service account's key where the library looks for it."""
    path = tmp_path_factory.mktemp("google") / "key.json"
    with GoogleOAuth(users=[ADA], scopes=[BOT_SCOPE]) as oauth, pytest.MonkeyPatch.context() as patch:
        oauth.write_key_file(path)
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        yield oauth


@pytest.fixture(scope="module")
def served(oauth: GoogleOAuth) -> Iterator[Chat]:
    """One fake for all tests, since the real client takes long to build."""
    with Chat(oauth, clock=lambda: NOW) as chat:
        yield chat


@pytest.fixture
def chat(served: Chat) -> Chat:
    """The fake in its first state, with two spaces and a thread."""
    served.spaces, served.threads = {SPACE, ELSEWHERE}, {THREAD}
    served.messages.clear()
    served.requests.clear()
    served.clear_faults()
    return served


Connect = Callable[..., Any]


@pytest.fixture(scope="module")
def connect(oauth: GoogleOAuth, served: Chat) -> Connect:
    """Return the real client's messages resource, with the machine's default credentials."""

    def messages(*, scope: str = BOT_SCOPE, subject: str | None = None) -> Any:
        credentials, _ = google.auth.default(scopes=[scope])
        assert isinstance(credentials, service_account.Credentials)
        if subject:
            credentials = credentials.with_subject(subject)  # type: ignore[no-untyped-call]  # the library's own
        http = AuthorizedHttp(credentials, http=Rerouted(oauth))
        options = {"api_endpoint": served.url}
        client = build("chat", "v1", http=http, static_discovery=True, cache_discovery=False, client_options=options)
        return client.spaces().messages()

    return messages


@pytest.fixture(scope="module")
def messages(connect: Connect) -> Any:
    """The messages resource of the app."""
    return connect()


def create(
    messages: Any, text: str | None = "hello", /, *, space: str = SPACE, query: Any = None, **body: Any
) -> dict[str, Any]:
    """Post a message, once."""
    body = body if text is None else {"text": text, **body}
    return dict(messages.create(parent=space, body=body, **(query or {})).execute())


Post = Callable[..., dict[str, Any]]


@pytest.fixture
def post(chat: Chat, messages: Any) -> Post:
    """Post a message as the app."""
    return partial(create, messages)


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """Return code, status and message of the client's error."""
    with pytest.raises(HttpError) as raised:
        call()
    error = json.loads(raised.value.content)["error"]
    assert (raised.value.status_code, raised.value.reason) == (error["code"], error["message"])
    return error["code"], error["status"], error["message"]


# -- Posting -----------------------------------------------------------------------------------------------------------


def test_message_is_posted_and_returned(chat: Chat, post: Post) -> None:
    """The answer is the message with Chat's names; the fake keeps it."""
    answer = post()

    assert answer == {
        "name": "spaces/AAA/messages/M1",
        "text": "hello",
        "createTime": "2026-11-21T09:00:00Z",
        "thread": {"name": "spaces/AAA/threads/T1"},
        "space": {"name": SPACE},
        "sender": {"name": "users/100000000000000000000", "type": "BOT"},
    }
    (message,) = chat.messages
    assert (message.name, message.space, message.thread) == (answer["name"], SPACE, "spaces/AAA/threads/T1")
    assert (message.text, message.cards, message.request_id) == ("hello", [], "")
    assert chat.state() == {"spaces": [SPACE, ELSEWHERE], "messages": [answer]}


def test_default_credentials_are_the_service_account(
    oauth: GoogleOAuth, chat: Chat, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key file's own token is fetched, once, and needs no delegation."""
    monkeypatch.setattr(oauth, "scopes", set())
    oauth.requests.clear()
    messages = connect()

    create(messages)
    create(messages)

    asked = [request.path for request in oauth.requests if request.method == "POST"]
    (token,) = {request.bearer_token() for request in chat.requests}
    assert asked == ["/token"]
    assert oauth.grant_of(token) == Grant(subject=SERVICE_ACCOUNT, scopes=frozenset({BOT_SCOPE}))


def test_cards_are_accepted_unchanged(chat: Chat, post: Post) -> None:
    """A card without a text is a message; null is left out."""
    answer = post(None, cardsV2=[{**CARD, "ownerUser": None}], fallbackText=None)

    assert chat.messages[0].cards == answer["cardsV2"] == [CARD]
    assert "fallbackText" not in answer


def test_app_is_in_every_space_by_default(chat: Chat, post: Post) -> None:
    """Without a list the app is in every space."""
    chat.spaces = None

    assert post(space="spaces/CCC")["space"] == {"name": "spaces/CCC"}


# -- Once only ---------------------------------------------------------------------------------------------------------


def test_repeated_request_posts_nothing(chat: Chat, post: Post) -> None:
    """The same request id in the same space returns the first message, for any second text."""
    query = {"requestId": "report@2026-11-21T09:00:00Z"}
    first = post("first", query=query)

    again = post("second", query=query)
    elsewhere = post("third", query=query, space=ELSEWHERE)

    assert again == first
    assert elsewhere["name"] != first["name"]
    assert [message.text for message in chat.messages] == ["first", "third"]


@pytest.mark.parametrize(
    ("query", "posted"), [pytest.param({"requestId": "r"}, 1, id="with-id"), pytest.param({}, 2, id="without")]
)
def test_message_whose_response_is_lost_is_posted(chat: Chat, post: Post, query: dict[str, str], posted: int) -> None:
    """A message can be posted without an answer. The client then sends it again; only an id keeps it from two posts."""
    chat.fail("applied-but-cut")

    post(query=query)

    assert len(chat.requests) == 2
    assert [message.text for message in chat.messages] == ["hello"] * posted


def test_cut_connection_raises_for_the_caller(chat: Chat, post: Post) -> None:
    """If the client's own retry is cut too, the caller gets an error for a message that was posted."""
    chat.fail("applied-but-cut", times=2)

    with pytest.raises(ConnectionError):
        post(query={"requestId": "r"})

    assert len(chat.messages) == 1


def test_message_can_have_its_own_id(chat: Chat, post: Post) -> None:
    """The app's own id stands beside the name, and is unique within the space."""
    query = {"messageId": "client-report-1"}

    answer = post(query=query)
    taken = refusal(lambda: post(query=query))

    assert (answer["name"], answer["clientAssignedMessageId"]) == ("spaces/AAA/messages/M1", "client-report-1")
    assert taken == (409, "ALREADY_EXISTS", "Requested entity already exists")
    assert post(query=query, space=ELSEWHERE)["clientAssignedMessageId"] == "client-report-1"


@pytest.mark.parametrize("message_id", ["report", "client-", "client-Report", f"client-{'r' * 57}"])
def test_message_id_must_have_the_right_form(post: Post, message_id: str) -> None:
    """It begins with `client-` and has at most 63 lower-case letters, digits and hyphens."""
    refused = refusal(lambda: post(query={"messageId": message_id}))

    assert refused == (400, "INVALID_ARGUMENT", f"Invalid message_id: {message_id}")


# -- Threads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "thread", "expected"),
    [
        pytest.param(REPLY_OR_NEW_THREAD, {"name": THREAD}, THREAD, id="reply"),
        pytest.param(REPLY_OR_FAIL, {"name": THREAD}, THREAD, id="reply-or-fail"),
        pytest.param(REPLY_OR_NEW_THREAD, {"name": f"{SPACE}/threads/gone"}, f"{SPACE}/threads/T1", id="unknown"),
        pytest.param(REPLY_OR_NEW_THREAD, {}, f"{SPACE}/threads/T1", id="no-thread"),
        pytest.param(REPLY_OR_FAIL, {"threadKey": "report"}, f"{SPACE}/threads/T1", id="new-key"),
        pytest.param("MESSAGE_REPLY_OPTION_UNSPECIFIED", {"name": THREAD}, f"{SPACE}/threads/T1", id="unspecified"),
        pytest.param(None, {"name": THREAD}, f"{SPACE}/threads/T1", id="no-option"),
    ],
)
def test_thread_depends_on_the_reply_option(
    chat: Chat, post: Post, option: str | None, thread: dict[str, str], expected: str
) -> None:
    """A reply goes to the given thread; without the option the thread is ignored and a new one starts."""
    answer = post(query={"messageReplyOption": option} if option else {}, thread=thread)

    assert answer["thread"]["name"] == chat.messages[0].thread == expected


@pytest.mark.parametrize("name", [f"{SPACE}/threads/gone", f"{ELSEWHERE}/threads/people", "people"])
def test_reply_can_require_its_thread(chat: Chat, post: Post, name: str) -> None:
    """A thread that is not in the space is not found, and nothing is posted."""
    refused = refusal(lambda: post(query={"messageReplyOption": REPLY_OR_FAIL}, thread={"name": name}))

    assert refused == (404, "NOT_FOUND", "Thread not found.")
    assert chat.messages == []


def test_every_thread_exists_by_default(chat: Chat, post: Post) -> None:
    """Without a list every thread of the space exists, and none of another space."""
    chat.threads = None
    query = {"messageReplyOption": REPLY_OR_NEW_THREAD}

    names = [post(query=query, thread={"name": f"{space}/threads/X"})["thread"]["name"] for space in (SPACE, ELSEWHERE)]

    assert names == [f"{SPACE}/threads/X", f"{SPACE}/threads/T2"]


def test_apps_own_thread_is_found_by_its_name(post: Post) -> None:
    """A thread exists once a message has started it."""
    begun = post()["thread"]

    assert post(query={"messageReplyOption": REPLY_OR_FAIL}, thread=begun)["thread"] == begun


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"thread": {"threadKey": "report"}}, id="in-the-body"),
        pytest.param({"query": {"threadKey": "report"}}, id="deprecated"),
    ],
)
def test_messages_with_one_thread_key_share_a_thread(post: Post, given: dict[str, dict[str, str]]) -> None:
    """Messages with one key are in one thread of their space."""
    query = {"messageReplyOption": REPLY_OR_NEW_THREAD, **given.get("query", {})}
    threads = [
        post(**{**given, "query": query}, space=space)["thread"] for space in (SPACE, ELSEWHERE, SPACE, ELSEWHERE)
    ]

    here = {"name": f"{SPACE}/threads/T1", "threadKey": "report"}
    there = {"name": f"{ELSEWHERE}/threads/T2", "threadKey": "report"}
    assert threads == [here, there, here, there]


# -- Refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"cardsV2": []}, {"thread": {"threadKey": "report"}}])
def test_empty_message_is_refused(chat: Chat, post: Post, body: dict[str, Any]) -> None:
    """A message needs a text or a card."""
    refused = refusal(lambda: post(None, **body))

    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused[2].startswith("Message cannot be empty.")
    assert chat.messages == []


def test_message_over_32000_bytes_is_refused(chat: Chat, post: Post) -> None:
    """Bytes are counted, not characters, and cards count too."""
    post("é" * 16_000)

    too_long = refusal(lambda: post("é" * 16_000 + "e"))
    with_cards = refusal(lambda: post("é" * 16_000, cardsV2=[CARD]))

    assert too_long == with_cards == (400, "INVALID_ARGUMENT", "Message is longer than 32000 bytes")
    assert len(chat.messages) == 1


def card_with(widget: Any) -> dict[str, Any]:
    """Return a body with a card that holds one widget."""
    return {"cardsV2": [{"card": {"sections": [{}, {"widgets": [widget]}]}}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            {"cards_v2": []}, 'Invalid JSON payload received. Unknown name "cards_v2": Cannot find field.', id="field"
        ),
        pytest.param(
            card_with({"textParagraf": {"text": "hello"}}),
            'Invalid JSON payload received. Unknown name "textParagraf" at '
            "'cardsV2[0].card.sections[1].widgets[0]': Cannot find field.",
            id="widget",
        ),
        pytest.param(
            card_with({"textParagraph": {"text": 7}}),
            "Invalid value at 'cardsV2[0].card.sections[1].widgets[0].textParagraph.text' (TYPE_STRING), 7",
            id="number",
        ),
        pytest.param(
            card_with("hello"),
            "Invalid value at 'cardsV2[0].card.sections[1].widgets[0]' (TYPE_OBJECT), \"hello\"",
            id="no-object",
        ),
        pytest.param({"cardsV2": CARD}, "Invalid value at 'cardsV2' (TYPE_ARRAY), {", id="no-list"),
        pytest.param(
            card_with({"horizontalAlignment": "center"}),
            "Invalid value at 'cardsV2[0].card.sections[1].widgets[0].horizontalAlignment' (TYPE_STRING), \"center\"",
            id="no-such-value",
        ),
        pytest.param(
            {"cardsV2": [{"card": {"sections": [{"uncollapsibleWidgetsCount": 2**31}]}}]},
            "Invalid value at 'cardsV2[0].card.sections[0].uncollapsibleWidgetsCount' (TYPE_INTEGER), 2147483648",
            id="out-of-range",
        ),
        pytest.param(
            {"cardsV2": [{"card": {"sections": [{"collapsible": "yes"}]}}]},
            "Invalid value at 'cardsV2[0].card.sections[0].collapsible' (TYPE_BOOLEAN), \"yes\"",
            id="no-boolean",
        ),
        pytest.param({"createTime": "today"}, "Invalid value at 'createTime' (TYPE_STRING), \"today\"", id="no-time"),
    ],
)
def test_body_must_match_the_schema(chat: Chat, post: Post, body: dict[str, Any], said: str) -> None:
    """Fields, types, formats and values are those of the discovery document, at any depth."""
    refused = refusal(lambda: post(**body))

    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused[2].startswith(said)
    assert chat.messages == []


def test_query_must_match_the_document(chat: Chat, messages: Any) -> None:
    """A parameter that the method does not have, or a value that it does not know, is refused."""
    http = messages.create(parent=SPACE, body={}).http

    answers = [
        http.request(f"{chat.url}/v1/{SPACE}/messages?{query}", "POST", '{"text": "hello"}')[0].status
        for query in ("requestID=r", "messageReplyOption=REPLY", "requestId=r&alt=json")
    ]

    assert answers == [400, 400, 200]


@pytest.mark.parametrize(
    ("space", "method", "expected"),
    [
        pytest.param("spaces/CCC", "create", (403, "PERMISSION_DENIED", "not a member of this space"), id="space"),
        pytest.param(SPACE, "list", (501, "UNIMPLEMENTED", "does not know chat.spaces.messages.list"), id="not-played"),
    ],
)
def test_unavailable_space_or_method_is_refused(
    chat: Chat, messages: Any, space: str, method: str, expected: tuple[int, str, str]
) -> None:
    """A space without the app, and a method that is not faked, with its reason."""
    given: dict[str, Any] = {"body": {"text": "hello"}} if method == "create" else {}

    code, status, message = refusal(lambda: getattr(messages, method)(parent=space, **given).execute())

    assert (code, status) == expected[:2]
    assert expected[2] in message


def test_unknown_path_is_not_found(chat: Chat, messages: Any) -> None:
    """A resource name has the document's format."""
    http = messages.create(parent=SPACE, body={}).http

    answer, _ = http.request(f"{chat.url}/v1/rooms/AAA/messages", "POST", '{"text": "hello"}')

    assert answer.status == 404


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"scope": PEOPLES_SCOPE}, "Request had insufficient authentication scopes.", id="scope-for-people"
        ),
        pytest.param({"subject": ADA}, "The caller does not have permission", id="person"),
    ],
)
def test_only_the_app_can_post(chat: Chat, connect: Connect, given: dict[str, str], message: str) -> None:
    """The app speaks for itself, with the scope that is meant for it."""
    refused = refusal(lambda: create(connect(**given)))

    assert refused == (403, "PERMISSION_DENIED", message)
    assert chat.messages == []


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param({"Authorization": "Bearer ya29.unknown"}, "Request had invalid authentication", id="unknown"),
        pytest.param({}, "Request is missing required authentication credential.", id="none"),
    ],
)
def test_token_is_required(chat: Chat, headers: dict[str, str], said: str) -> None:
    """A token from elsewhere is refused."""
    answer = requests.post(f"{chat.url}/v1/{SPACE}/messages", json={"text": "hello"}, headers=headers, timeout=PATIENCE)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (401, "UNAUTHENTICATED")
    assert error["message"].startswith(said)


def checked_topic(**body: Any) -> dict[str, Any]:
    """Check a body against a schema with kinds of fields that no message has."""
    pubsub = Discovery("pubsub", "v1", lambda code, status, message, reason: api_error(code, status, message))
    content = json.dumps(body).encode()
    request = Request(method="PUT", path="/v1/projects/p/topics/t", query={}, headers=Headers(), body=content)
    return pubsub.checked_body(request, pubsub.method_of(request, played=["pubsub.projects.topics.create"]))


def test_maps_and_durations_are_checked() -> None:
    """A map has any names, but values of its type; a duration is a number of seconds."""
    topic = {"labels": {"team": "red"}, "messageRetentionDuration": "600.5s"}

    assert checked_topic(**topic) == topic
    with pytest.raises(Rejected, match=r"Invalid value at 'labels\[team\]' \(TYPE_STRING\), 7"):
        checked_topic(labels={"team": 7})
    with pytest.raises(Rejected, match="Invalid value at 'messageRetentionDuration'"):
        checked_topic(messageRetentionDuration="10m")


# -- Faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        pytest.param("not-a-member", 403, "PERMISSION_DENIED", id="not-a-member"),
        pytest.param("no-space", 404, "NOT_FOUND", id="no-space"),
        pytest.param("rate-limit", 429, "RESOURCE_EXHAUSTED", id="rate-limit"),
        pytest.param("rate-limit-1s", 429, "RESOURCE_EXHAUSTED", id="rate-limit-1s"),
        pytest.param("internal", 500, "INTERNAL", id="internal"),
        pytest.param("unavailable", 503, "UNAVAILABLE", id="unavailable"),
    ],
)
def test_chat_fails_on_request(chat: Chat, post: Post, fault: str, code: int, status: str) -> None:
    """Each documented error can be requested, once, and posts nothing."""
    chat.fail(fault)

    refused = refusal(post)

    assert refused[:2] == (code, status)
    assert chat.messages == []
    assert post()["text"] == "hello"


def test_rate_limit_can_have_a_retry_after(chat: Chat, post: Post) -> None:
    """One of the two faults has Retry-After, in seconds."""
    chat.fail("rate-limit")
    chat.fail("rate-limit-1s")
    waits = []

    for _ in range(2):
        with pytest.raises(HttpError) as raised:
            post()
        waits.append(raised.value.resp.get("retry-after"))

    assert waits == [None, "1"]


def test_client_gets_a_new_token_after_a_401(chat: Chat, post: Post) -> None:
    """A single 401 is no error to the caller."""
    chat.fail("unauthorized")

    post()

    assert len({request.bearer_token() for request in chat.requests}) == 2
    assert len(chat.messages) == 1


def test_lost_response_still_checks_the_request(chat: Chat, post: Post) -> None:
    """A request that would be refused is answered, not cut."""
    chat.fail("applied-but-cut")

    assert refusal(lambda: post(""))[0] == 400
