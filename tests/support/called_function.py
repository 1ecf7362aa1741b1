"""A function behind the endpoint, and requests to it."""

import io
import logging
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.test import TestResponse

from shared.web.endpoint import Call

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER_TRACE = "105445aa7843bc8bf206b12000100000"
TRACE_FIELD = "logging.googleapis.com/trace"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
log = logging.getLogger("watchkeeper.test")
Ask = Callable[..., TestResponse]
Lines = Callable[[], list[dict[str, Any]]]


class Unread(io.RawIOBase):
    """A body that never arrives."""

    def readinto(self, buffer: Any) -> int:
        raise AssertionError("the body is read")


class Answers:
    """A function behind the endpoint: it records its calls, and returns or raises what a test sets."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.outcome: Mapping[str, Any] | Exception = {"metrics": {"jobs_due": 0}}

    def __call__(self, call: Call) -> Mapping[str, Any]:
        self.calls.append(call)
        log.warning("Working")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def error_of(response: TestResponse) -> dict[str, Any]:
    """Return the error of an answer, after checking the form that every error has."""
    assert response.json is not None
    assert response.json.keys() == {"status", "error", "trace_id"}
    assert response.json["status"] == "error"
    assert response.json["error"].keys() == {"code", "message"}
    error: dict[str, Any] = response.json["error"]
    return error
