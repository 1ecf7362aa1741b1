"""Whether a server on this machine is up."""

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException


def answers(address: str, path: str) -> bool:
    """Return whether GET of the path at `address` (host:port) is answered with 200 within a second."""
    connection = HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
