"""What the tests of log lines share."""

import json
import logging
from collections.abc import Callable
from typing import Any, NoReturn

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACE_FIELD = "logging.googleapis.com/trace"

log = logging.getLogger("watchkeeper.test")

Lines = Callable[[], list[dict[str, Any]]]


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def parsed(line: str) -> Any:
    """Read a line as strict JSON, which has no NaN."""
    return json.loads(line, parse_constant=refuse_constant)


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
