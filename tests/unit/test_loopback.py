"""Who may call a server that checks no identity: the rule, and every fake service."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from shared.errors import Forbidden
from shared.settings import AuthMode
from shared.web.loopback import foreign, is_loopback, refuse_foreign
from watchkeeper.fakes.airtable import Airtable
from watchkeeper.fakes.chat import Chat
from watchkeeper.fakes.cloud_tasks import CloudTasks
from watchkeeper.fakes.deliveries import Deliveries, bind_deliveries
from watchkeeper.fakes.gmail import Gmail
from watchkeeper.fakes.google_oauth import GoogleOAuth
from watchkeeper.fakes.server import Fake
from watchkeeper.serving import serving

HERE = "127.0.0.1:8080"
OWN_HOSTS = ["localhost", "localhost:8081", "LocalHost:8081", "127.0.0.1", "127.0.0.1:8081", "127.8.9.10:1", "[::1]:80"]
FOREIGN_HOSTS = [
    "",
    "evil.example",
    "evil.example:8081",
    "evil.example.:8081",
    "EVIL.EXAMPLE",
    "localhost.evil.example:8081",
    "127.0.0.1.evil.example",
    "127.0.0.1.evil.example.",
    "evil.example#localhost",
    "evil@localhost",
    "localhost:8081,evil.example",
    "localhost:8081\nevil.example",
    "localhost:",
    "128.0.0.1:8081",
    "0.0.0.0:8081",
    "10.0.0.1:8081",
    "169.254.169.254",
    "[::2]:8081",
    "[::ffff:10.0.0.1]:8081",
]
FOREIGN_PAGES = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:9090"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "https://127.0.0.1:8080"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]
OWN_PAGES = [
    {},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": f"http://{HERE}"},
    {"Origin": f"HTTP://{HERE}", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_this_machine_is_known_by_its_own_names(host: str) -> None:
    """Any loopback address and any port, in upper or lower case."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_another_name_is_foreign(host: str) -> None:
    """A name that only begins or ends like ours, or resolves to this machine (DNS rebinding), is not ours."""
    assert not is_loopback(host)
    assert "Host" in foreign({"Host": host})


@pytest.mark.parametrize("headers", FOREIGN_PAGES)
def test_a_page_of_another_origin_is_foreign(headers: Mapping[str, str]) -> None:
    """Another port or scheme is another origin; if two headers disagree, the worse one counts."""
    assert "another origin" in foreign({"Host": HERE, **headers})


@pytest.mark.parametrize("headers", OWN_PAGES)
def test_programs_and_the_own_page_are_not_foreign(headers: Mapping[str, str]) -> None:
    """No browser, a typed address, and a page of the same server."""
    assert foreign({"Host": HERE, **headers}) == ""


@pytest.mark.parametrize("mode", AuthMode)
def test_only_where_no_identity_is_checked(mode: AuthMode) -> None:
    """In the cloud the Host header is the function's own name, and the token decides."""
    if mode is AuthMode.OFF:
        with pytest.raises(Forbidden, match="Host header"):
            refuse_foreign({"Host": "watchkeeper-tick-abc.a.run.app"}, mode)
    else:
        refuse_foreign({"Host": "watchkeeper-tick-abc.a.run.app", "Origin": "https://evil.example"}, mode)


# -- the servers that play a service -----------------------------------------------------------------------------------

Send = Callable[..., int]


@pytest.fixture(params=["oauth", "gmail", "airtable", "chat", "tasks", "deliveries"])
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    """Send a request to one of the servers, and return the status of its answer."""
    with ExitStack() as stack:
        port = _port_of(request.param, stack)

        def send(method: str, path: str, **headers: str) -> int:
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            stack.callback(connection.close)
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            return connection.getresponse().status

        yield send


def _port_of(name: str, stack: ExitStack) -> int:
    if name == "deliveries":
        server = bind_deliveries(Deliveries(), 0)
        stack.enter_context(serving(server))
        return server.port
    oauth = stack.enter_context(GoogleOAuth())
    return int(_faked(name, oauth, stack).url.rpartition(":")[2])


def _faked(name: str, oauth: GoogleOAuth, stack: ExitStack) -> Fake:
    match name:
        case "gmail":
            return stack.enter_context(Gmail(oauth))
        case "airtable":
            return stack.enter_context(Airtable())
        case "chat":
            return stack.enter_context(Chat(oauth))
        case "tasks":
            return stack.enter_context(CloudTasks(oauth))
    return oauth


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.example"}, id="rebound-name"),
        pytest.param({"Origin": "https://evil.example"}, id="other-origin"),
        pytest.param({"Sec_Fetch_Site": "cross-site"}, id="other-site"),
    ],
)
def test_a_faked_service_refuses_what_is_foreign(send: Send, headers: Mapping[str, str]) -> None:
    """Neither the service nor its control pages answer a page of another website."""
    asked = [("GET", "/"), ("POST", "/"), ("GET", "/stand-in"), ("PUT", "/stand-in/faults/hang"), ("OPTIONS", "/")]

    assert {send(method, path, **headers) for method, path in asked} == {403}


def test_a_faked_service_answers_this_machine(send: Send) -> None:
    """A program, and a person who types the address."""
    answers = [send("GET", "/stand-in", Host="localhost:80"), send("GET", "/stand-in", Sec_Fetch_Site="none")]

    assert answers == [200, 200]
