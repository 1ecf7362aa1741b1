"""Signals that end a run: it is cleaned up and reported, and then the signal takes effect."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# The last one is that of a reader who has gone, such as `head`; Python itself ignores it.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


class Interrupted(BaseException):
    """A signal came; a second one ends the process at once."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def raised() -> Iterator[None]:
    """Have signals raise Interrupted, but for those that are to be ignored, as by nohup. Call it in the main thread."""
    heard = [each for each in SIGNALS if each == signal.SIGPIPE or signal.getsignal(each) != signal.SIG_IGN]
    previous = {number: signal.signal(number, _interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise Interrupted(number)


def end_by(number: int) -> None:
    """End this process as the signal would have ended it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
