"""In the cloud: no internal address is reached, and a token goes only over https to its own host."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidSettings
from shared.handlers import Cancel
from shared.handlers.http_request import http_request
from tests.support import servers
from tests.support.requesting import AUDIENCE, SCOPE, Send, new_context, trusted_https
from tests.support.servers import HttpServer, redirect

# Every way to write an address of this machine, of its network or of a metadata server, and one name.
INTERNAL_HOSTS = [
    *("localhost", "LOCALHOST", "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "017700000001"),
    *("0x7f000001", "0x7F.0x0.0x0.0x1", "0177.0.0.1", "127.0x0.1", "0", "0.0.0.0", "0x0", "00", "[::]", "[::1]"),
    *("[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::]", "[::ffff:0:127.0.0.1]", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"),
    *("169.254.43518", "169.16689662", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]"),
    *("[2002:a9fe:a9fe::]", "[fe80::1]", "[fe80::1%25lo]", "[fd00:ec2::254]", "[fd20:ce::254]", "100.100.100.200"),
    *("224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "[ff02::1]", "[fec0::1]"),
]
PRIVATE_HOSTS = [
    *("10.0.0.1", "10.1", "167772161", "0xa000001", "012.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("[fc00::1]", "[fd12:3456::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"),
]


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("host", INTERNAL_HOSTS)
def test_in_the_cloud_an_internal_address_is_refused_in_every_form(server: HttpServer, host: str) -> None:
    """For good, before anything is sent; the error names the setting that would allow it."""
    port = server.address.rpartition(":")[2]

    with pytest.raises(Cancel, match="HTTP_REQUEST_HOSTS"):
        http_request({"url": f"http://{host}:{port}/"}, new_context())

    assert server.received == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_in_the_cloud_a_private_address_is_refused_in_every_form(host: str) -> None:
    """The error names the settings that would allow it."""
    with pytest.raises(Cancel, match=r"HTTP_REQUEST_PRIVATE=on .* HTTP_REQUEST_HOSTS"):
        http_request({"url": f"http://{host}/", "timeout_seconds": 1}, new_context())


def test_in_the_cloud_a_named_host_is_reached(send: Send, cloud: Callable[..., None]) -> None:
    """The setting allows exactly that host."""
    cloud(HTTP_REQUEST_HOSTS="127.0.0.1")

    assert send("/inside").path == "/inside"


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_in_the_cloud_no_redirect_leads_inside(
    server: HttpServer, other: HttpServer, cloud: Callable[..., None], host: str
) -> None:
    """Each address on the way is checked, not only the first."""
    cloud(HTTP_REQUEST_HOSTS="127.0.0.1", HTTP_REQUEST_PRIVATE="on")
    port = other.address.rpartition(":")[2]
    server.answers |= {"/start": redirect("/hop"), "/hop": redirect(f"http://{host}:{port}/end")}

    with pytest.raises(Cancel, match=r"loopback.*HTTP_REQUEST_HOSTS"):
        http_request({"url": server.url("/start")}, new_context())

    assert [received.path for received in server.received] == ["/start", "/hop"]
    assert other.received == []


def test_invalid_setting_prevents_the_request(server: HttpServer, cloud: Callable[..., None]) -> None:
    """The error names it; a later attempt may find it corrected."""
    cloud(HTTP_REQUEST_HOSTS=server.url())

    with pytest.raises(InvalidSettings, match="HTTP_REQUEST_HOSTS"):
        http_request({"url": server.url()}, new_context())

    assert server.received == []


@pytest.mark.parametrize("payload", [{"oidc_audience": AUDIENCE}, {"oauth_scope": SCOPE}], ids=["identity", "access"])
def test_in_the_cloud_no_token_is_sent_in_clear_text(
    server: HttpServer, metadata: HttpServer, cloud: Callable[..., None], payload: dict[str, Any]
) -> None:
    """No other setting allows it; the token is not even requested."""
    cloud(HTTP_REQUEST_HOSTS="127.0.0.1", HTTP_REQUEST_AUDIENCES=AUDIENCE)

    with pytest.raises(Cancel, match="https"):
        http_request({"url": server.url(), **payload}, new_context())

    assert server.received == []
    assert metadata.received == []


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """A trusted https server with the host name that the cloud's settings allow."""
    with trusted_https("localhost", tmp_path, monkeypatch) as server:
        server.address = server.address.replace("127.0.0.1", "localhost")
        yield server


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize(
    ("audience", "listed"),
    [("https://localhost", ""), ("https://localhost/path", ""), ("localhost", ""), (AUDIENCE, AUDIENCE)],
)
def test_in_the_cloud_an_identity_token_goes_to_its_own_host(
    https: HttpServer, cloud: Callable[..., None], audience: str, listed: str
) -> None:
    """Over https, for the host of the URL or a listed audience."""
    cloud(HTTP_REQUEST_HOSTS="localhost", HTTP_REQUEST_AUDIENCES=listed)

    http_request({"url": https.url(), "oidc_audience": audience}, new_context())

    assert https.received[0].headers["Authorization"] == f"Bearer {servers.identity_token(audience)}"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        pytest.param({"oidc_audience": AUDIENCE}, "HTTP_REQUEST_AUDIENCES", id="an-audience-of-another-host"),
        pytest.param({"oauth_scope": SCOPE}, "googleapis", id="an-access-token"),
    ],
)
def test_in_the_cloud_no_token_goes_to_another_host(
    https: HttpServer, metadata: HttpServer, cloud: Callable[..., None], payload: dict[str, Any], said: str
) -> None:
    """The error names the remedy; the token is not even requested."""
    cloud(HTTP_REQUEST_HOSTS="localhost", HTTP_REQUEST_AUDIENCES="https://another.example")

    with pytest.raises(Cancel, match=said):
        http_request({"url": https.url(), **payload}, new_context())

    assert https.received == []
    assert metadata.received == []


@pytest.mark.usefixtures("metadata")
def test_in_the_cloud_no_redirect_takes_a_token_out_of_https(
    https: HttpServer, server: HttpServer, cloud: Callable[..., None]
) -> None:
    """The same host without encryption is another server."""
    cloud(HTTP_REQUEST_HOSTS="localhost,127.0.0.1")
    https.answers["/"] = redirect(server.url().replace("127.0.0.1", "localhost"), 307)

    with pytest.raises(Cancel, match="must not get the credentials"):
        http_request({"url": https.url(), "oidc_audience": "localhost"}, new_context())

    assert server.received == []
