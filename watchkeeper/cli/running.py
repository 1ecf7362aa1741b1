"""Shared by commands that do the work of a function: its log lines on stderr, and Ctrl-C as its SIGTERM."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Yield the list of signals to terminate; the second one terminates the process."""
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        signal.signal(number, previous[number])

    previous = {int(number): signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def logs_on_stderr(level: str) -> Iterator[None]:
    """Print log records on stderr, one plain line each; with LOG_LEVEL=DEBUG also the tracebacks of handlers."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(logging.Formatter("%(levelname)s %(message)s") if level == "DEBUG" else _LineFormatter())
    root, own = logging.getLogger(), logging.getLogger("watchkeeper")
    level_before = own.level
    root.addHandler(output)
    own.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(output)
        own.setLevel(level_before)


class _LineFormatter(logging.Formatter):
    """Leaves out tracebacks: the message of a failed job contains its error."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        return f"{record.levelname} {record.getMessage()}"
