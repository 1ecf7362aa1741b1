"""Ctrl-C and other signals to end, as something to wait for instead of an exception anywhere."""

import os
import select
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Waits for a signal, at most so many seconds (None: for ever), and returns its number, or 0 if none came.
Wait = Callable[[float | None], int]


def catch_interrupts() -> Wait:
    """Catch the signals that ask this process to end, and return the function that waits for one.

    Call it in the main thread. A signal that came before the wait counts. Each is returned once, so the next wait is
    for a second Ctrl-C.
    """
    # The system may deliver a signal to any thread, and then neither Python's handler nor an Event wakes the main
    # thread from its wait. The wakeup descriptor does.
    caught, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: None)

    def wait(seconds: float | None) -> int:
        is_caught, _, _ = select.select([caught], [], [], seconds)
        return os.read(caught, 1)[0] if is_caught else 0

    return wait
