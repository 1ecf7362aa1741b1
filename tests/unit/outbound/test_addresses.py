"""An exchange reaches only addresses that were checked."""

from ipaddress import ip_address

import pytest

from shared.handlers import Cancel
from shared.handlers.reachable import Reach
from shared.web.outbound import (
    read_target,
)
from tests.support.exchanging import get, resolver
from tests.support.servers import HttpServer


def only_loopback_2(host: str, address: str) -> None:
    """Rules like those of the cloud, with 127.0.0.2 as the only public address."""
    if ip_address(address) != ip_address("127.0.0.2"):
        raise Cancel(f"{host} must not be reached")


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::ffff:127.0.0.1"]],
    ids=["alone", "second", "first", "mapped"],
)
def test_each_address_of_a_name_is_checked_before_anything_is_sent(server: HttpServer, addresses: list[str]) -> None:
    """One forbidden address is enough: otherwise a failing first address would lead to it."""
    target = read_target(server.url())._replace(host="rebind.example")

    with pytest.raises(Cancel, match=r"rebind\.example"):
        get(target, check=only_loopback_2, resolve=resolver(addresses))

    assert server.received == []


def test_a_host_name_is_not_resolved_again_after_the_check(server: HttpServer, port: int) -> None:
    """DNS rebinding: the request connects to the checked address and does not resolve the name again."""
    target = read_target(f"http://rebind.example:{port}/")

    with pytest.raises(ConnectionRefusedError):  # nobody listens on 127.0.0.2
        get(target, check=only_loopback_2, resolve=resolver(["127.0.0.2"], ["127.0.0.1"]))

    assert server.received == []


def test_the_rules_of_the_cloud_check_the_resolved_address(server: HttpServer, port: int) -> None:
    """A public name that resolves to this machine is refused, and so is the metadata server's."""
    check = Reach(in_cloud=True).check_address

    for addresses in (["127.0.0.1"], ["169.254.169.254"], ["fd20:ce::254"], ["93.184.215.14", "127.0.0.1"]):
        with pytest.raises(Cancel, match="HTTP_REQUEST_HOSTS"):
            get(read_target(f"http://metadata.google.internal:{port}/"), check=check, resolve=resolver(addresses))

    assert server.received == []


def test_the_next_address_is_tried_when_one_does_not_answer(server: HttpServer, port: int) -> None:
    """A name with several addresses works as long as one of them does."""
    resolve = resolver(["127.0.0.3", "::1", "127.0.0.1"])

    assert get(read_target(f"http://reports.example:{port}/"), resolve=resolve).status == 200
    assert server.received[0].headers["Host"] == f"reports.example:{port}"
