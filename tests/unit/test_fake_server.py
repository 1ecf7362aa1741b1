"""What all fakes have in common, shown by a service that only says hello."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
import requests

from watchkeeper.fakes.server import Fake, Fault, Rejected, Request, Response, json_response

PATIENCE = 10  # seconds for what must come; nothing waits that long unless it fails


class Greeter(Fake):
    """Greets the caller of a path, and refuses an empty name."""

    name = "Greeter"
    documented_errors: ClassVar[Mapping[str, Fault]] = {
        "asleep": json_response({"error": "asleep"}, 503, headers={"Retry-After": "7"}),
        "mistaken": lambda request: json_response({"error": f"not {request.path}"}, 404),
    }

    def answer(self, request: Request) -> Response:
        if request.path == "/":
            raise Rejected(json_response({"error": "nobody"}, 404))
        return json_response({"hello": request.path})

    def state(self) -> dict[str, Any]:
        return {"greeted": len(self.requests)}


Ask = Callable[..., requests.Response]


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    with Greeter() as greeter:
        yield greeter


@pytest.fixture
def ask(greeter: Greeter) -> Ask:
    """Make a request of the greeter."""

    def send(path: str, method: str = "GET", **given: Any) -> requests.Response:
        return requests.request(method, greeter.url + path, timeout=PATIENCE, **given)

    return send


def test_requests_are_recorded_in_order(greeter: Greeter, ask: Ask) -> None:
    """A request is kept with everything that was sent, whatever its answer was."""
    ask("/ada%40example.com?page=1&mark=", "POST", json={"a": 1}, headers={"Authorization": "Bearer s3cret"})
    ask("/")

    first, second = greeter.requests
    assert (first.method, first.path, first.query) == ("POST", "/ada@example.com", {"page": "1", "mark": ""})
    assert (first.headers["content-type"], first.bearer_token()) == ("application/json", "s3cret")
    assert (first.body, first.json()) == (b'{"a": 1}', {"a": 1})
    assert (second.method, second.path, second.bearer_token(), second.body) == ("GET", "/", "", b"")


def test_a_rejected_request_gets_its_error(ask: Ask) -> None:
    """An error of the service raised as Rejected becomes its answer."""
    answer = ask("/")

    assert (answer.status_code, answer.json()) == (404, {"error": "nobody"})


def test_a_fault_replaces_so_many_answers(greeter: Greeter, ask: Ask) -> None:
    """The next requests get the fault, with its headers, and later ones the normal answer."""
    greeter.fail("asleep", times=2)

    answers = [ask("/ada") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert len(greeter.requests) == 3


def test_a_fault_can_be_for_one_path(greeter: Greeter, ask: Ask) -> None:
    """Only requests whose path contains the text use the fault up; faults may have their own text."""
    greeter.fail("mistaken", path="grace@")

    statuses = [
        ask("/ada").status_code,
        ask("/grace%40example.com").status_code,
        ask("/grace%40example.com").status_code,
    ]

    assert statuses == [200, 404, 200]


def test_a_fault_can_be_for_one_method(greeter: Greeter, ask: Ask) -> None:
    """The method precedes the path."""
    greeter.fail("asleep", path="POST /ada")

    statuses = [ask("/ada").status_code, ask("/ada", "POST").status_code, ask("/ada", "POST").status_code]

    assert statuses == [200, 503, 200]


def test_faults_are_used_up_in_order(greeter: Greeter, ask: Ask) -> None:
    """The fault that was requested first comes first."""
    greeter.fail("asleep")
    greeter.fail("mistaken")

    assert [ask("/ada").status_code for _ in range(3)] == [503, 404, 200]


@pytest.mark.parametrize(
    ("name", "times", "said"),
    [
        pytest.param("tired", 1, "'tired' of .*; choose one of asleep, mistaken, hang, cut, not-json", id="unknown"),
        pytest.param("asleep", 0, "times is 0", id="never"),
    ],
)
def test_an_invalid_fault_is_refused(greeter: Greeter, name: str, times: int, said: str) -> None:
    """A wrong name is answered with the right ones, and zero times with the minimum."""
    with pytest.raises(ValueError, match=said):
        greeter.fail(name, times=times)


def test_a_cut_connection_has_no_answer(greeter: Greeter, ask: Ask) -> None:
    """`cut` closes the connection once the request is in."""
    greeter.fail("cut")

    with pytest.raises(requests.ConnectionError):
        ask("/ada")
    assert len(greeter.requests) == 1


def test_not_json_answers_with_a_web_page(greeter: Greeter, ask: Ask) -> None:
    """`not-json` is what a proxy or a sign-in page answers: 200 with HTML."""
    greeter.fail("not-json")

    answer = ask("/ada")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.text.startswith("<html>")


def test_a_hanging_request_is_never_answered(greeter: Greeter) -> None:
    """`hang` lasts until the client's own time limit; other requests are answered meanwhile."""
    greeter.fail("hang", path="/ada")

    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{greeter.url}/ada", timeout=0.05)
    assert requests.get(f"{greeter.url}/grace", timeout=PATIENCE).json() == {"hello": "/grace"}


def test_closing_the_server_does_not_wait_for_a_hanging_request() -> None:
    """The server ends at once and cuts hanging connections."""
    outcome: list[str] = []

    def call(url: str) -> None:
        try:
            requests.get(url, timeout=PATIENCE)
        except requests.ConnectionError:
            outcome.append("cut")

    with Greeter() as greeter:
        greeter.fail("hang")
        client = threading.Thread(target=call, args=(greeter.url,))
        client.start()
        give_up_at = time.monotonic() + PATIENCE
        while not greeter.requests and time.monotonic() < give_up_at:
            time.sleep(0.001)
        began = time.monotonic()
    took = time.monotonic() - began
    client.join(PATIENCE)

    assert took < 1
    assert outcome == ["cut"]


def test_a_port_in_use_raises_an_os_error(greeter: Greeter) -> None:
    """It is raised when the fake is created, so that the caller can explain it."""
    port = int(greeter.url.rpartition(":")[2])

    with pytest.raises(OSError, match="in use"):
        Greeter(port=port)


def test_the_control_page_shows_the_state(greeter: Greeter, ask: Ask) -> None:
    """GET /stand-in returns name, state and faults, and is not recorded."""
    greeter.fail("asleep", times=2, path="/ada")

    answer = ask("/stand-in")

    assert answer.json() == {
        "name": "Greeter",
        "state": {"greeted": 0},
        "faults": ["asleep", "mistaken", "hang", "cut", "not-json"],
        "armed": [{"name": "asleep", "times": 2, "path": "/ada"}],
    }
    assert greeter.requests == []


def test_faults_can_be_set_over_http(greeter: Greeter, ask: Ask) -> None:
    """PUT sets a fault, for one request and any path by default; DELETE clears them all."""
    armed = ask("/stand-in/faults/asleep?times=3&path=/ada", "PUT")
    ask("/stand-in/faults/mistaken", "PUT")
    while_armed = [ask("/grace").status_code, ask("/ada").status_code]
    cleared = ask("/stand-in/faults", "DELETE")

    assert armed.json()["armed"] == [{"name": "asleep", "times": 3, "path": "/ada"}]
    assert while_armed == [404, 503]
    assert cleared.json()["armed"] == []
    assert ask("/ada").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        pytest.param("PUT", "/stand-in/faults/tired", 400, "asleep, mistaken", id="unknown-fault"),
        pytest.param("PUT", "/stand-in/faults/asleep?times=twice", 400, "must be a whole number", id="not-a-number"),
        pytest.param("PUT", "/stand-in/faults", 404, "PUT /stand-in/faults/NAME", id="no-name"),
        pytest.param("POST", "/stand-in", 404, "GET /stand-in", id="other-method"),
        pytest.param("GET", "/stand-in/else", 404, "GET /stand-in", id="other-path"),
    ],
)
def test_an_invalid_control_request_is_explained(ask: Ask, method: str, path: str, status: int, said: str) -> None:
    """The error has the valid commands."""
    answer = ask(path, method)

    assert answer.status_code == status
    assert said in json.loads(answer.text)["error"]


def test_many_requests_at_once_are_all_recorded(greeter: Greeter, ask: Ask) -> None:
    """Each of several clients gets its own answer, and exactly the requested number gets the fault."""
    greeter.fail("asleep", times=3)
    statuses: list[int] = []
    clients = [threading.Thread(target=lambda: statuses.append(ask("/ada").status_code)) for _ in range(12)]

    for client in clients:
        client.start()
    for client in clients:
        client.join(PATIENCE)

    assert sorted(statuses) == [200] * 9 + [503] * 3
    assert len(greeter.requests) == 12
