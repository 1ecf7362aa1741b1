"""A server on this machine, and its port."""

from collections.abc import Iterator

import pytest

from tests.support.servers import HttpServer


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture
def port(server: HttpServer) -> int:
    return int(server.address.rpartition(":")[2])
