"""Without a store, requests that need none work, invalid ones are refused, and the others get an apology."""

import json
import socket
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from tests.support.chatting import AddOn, Classic, checked, message_of, words_of
from tests.support.renewing import in_file
from tests.support.serving_chat import (
    APOLOGY,
    JSON,
    MEBIBYTE,
    SECRET,
    App,
    ServedChat,
    both,
    running_chat,
)


@pytest.fixture(scope="module")
def adrift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    """The function with an agent, whose store refuses every connection."""
    folder = tmp_path_factory.mktemp("adrift")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    firestore = {"SCHEDULER_STORAGE": "firestore", "GOOGLE_CLOUD_PROJECT": "test"}
    env = {
        **firestore,
        "FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{port}",
        "CHAT_AGENT": "tests.support.serving_chat:agent",
    }
    with running_chat(folder, in_file(folder), **env) as chat:
        yield chat


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(f'{{"type": "{SECRET}'.encode(), id="cut"),
        pytest.param(b"\xff\xfe{}", id="not-utf-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"1" * 5_000, id="long-number"),
        pytest.param(f'["{SECRET}"]'.encode(), id="no-object"),
        pytest.param(b"null", id="null"),
    ],
)
def test_body_that_is_not_a_json_object_is_refused(adrift: ServedChat, body: bytes) -> None:
    """With 400, and a trace id."""
    status, answer = adrift.function.call(headers=JSON, body=body)

    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert len(answer["trace_id"]) == 32
    assert SECRET not in json.dumps(answer)
    assert adrift.leaks() == []


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/jsonp"}])
def test_other_content_type_is_refused(adrift: ServedChat, headers: dict[str, str]) -> None:
    """With 415, even if the body is an event."""
    body = json.dumps(Classic.message("help")).encode()

    status, answer = adrift.function.call(headers=headers, body=body)

    assert (status, answer["error"]["code"]) == (415, "wrong_media_type")


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with-length", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(MEBIBYTE, 200), (MEBIBYTE + 1, 413), (12 * MEBIBYTE, 413)])
def test_body_over_a_mebibyte_is_refused(adrift: ServedChat, size: int, status: int, is_chunked: bool) -> None:
    """With 413; the sender gets it before it has sent everything."""
    event = Classic.message("help")
    event["padding"] = "x" * (size - len(json.dumps({**event, "padding": ""})))
    body = json.dumps(event).encode()
    connection = HTTPConnection("127.0.0.1", adrift.function.port, timeout=20)

    connection.request("POST", "/", iter([body]) if is_chunked else body, JSON, encode_chunked=is_chunked)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()

    assert len(body) == size
    assert response.status == status
    assert status == 200 or answer["error"]["code"] == "too_large"


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_only_post_is_accepted(adrift: ServedChat, method: str) -> None:
    """Other methods are refused."""
    status, answer = adrift.function.call(method=method, headers=JSON, body=b"{}")

    assert (status, answer["error"]["code"]) == (405, "method_not_allowed")


@both
def test_agent_answers_other_messages(adrift: ServedChat, app: App) -> None:
    """Neither it nor `help` needs the store."""
    assert message_of(adrift.ask(app.message(f"what is {SECRET}?")))["text"] == f"You said: what is {SECRET}?"
    assert "This is what I can do" in words_of(adrift.ask(app.message("help")))
    assert adrift.leaks() == []


@both
def test_apology_is_shown_if_the_agent_raises(adrift: ServedChat, app: App) -> None:
    """With the trace id, under which the log has the place and nothing of what was said."""
    trace = uuid.uuid4().hex

    status, reply = adrift.send(app.message(f"fail with {SECRET}"), {"X-Cloud-Trace-Context": f"{trace}/1;o=1"})

    line = adrift.logged("chat_failed")[-1]
    assert status == 200
    assert checked(reply)["text"].startswith(APOLOGY)
    assert trace in message_of(reply)["text"]
    assert SECRET not in message_of(reply)["text"]
    assert (line["severity"], line["message"]) == ("ERROR", "The agent raised RuntimeError")
    assert trace in line["logging.googleapis.com/trace"]
    assert adrift.leaks() == []


def test_unreachable_store_is_reported(adrift: ServedChat) -> None:
    """The person gets a short reply with the trace id, and the log an error."""
    trace = uuid.uuid4().hex

    status, reply = adrift.send(AddOn.message("jobs"), {"X-Cloud-Trace-Context": f"{trace}/1;o=1"})

    line = adrift.logged("chat_failed")[-1]
    assert status == 200
    assert checked(reply)["text"].startswith("I cannot do that at the moment")
    assert trace in message_of(reply)["text"]
    assert message_of(reply)["privateMessageViewer"] == {"name": "users/104"}
    assert line["severity"] == "ERROR"
    assert trace in line["logging.googleapis.com/trace"]
    assert adrift.leaks() == []
