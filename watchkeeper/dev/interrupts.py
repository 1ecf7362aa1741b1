"""Ctrl-C and its kin, as something to wait for instead of something that breaks in."""

import os
import select
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


# Waits so many seconds (None: for ever) for a signal, and gives its number, or 0 when none came.
Wait = Callable[[float | None], int]


def catch_interrupts() -> Wait:
    """Catch what asks this process to end, from now on, and return the way to wait for it; call it in the main thread.

    A signal that came before the wait counts. Each is told once, so the next wait is for a second Ctrl-C.
    """
    # The system may hand a signal to any thread, and Python's handler, an Event or a queue would then not wake the
    # main one from its wait. What the wakeup descriptor is for does.
    caught, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: None)

    def wait(seconds: float | None) -> int:
        is_caught, _, _ = select.select([caught], [], [], seconds)
        return os.read(caught, 1)[0] if is_caught else 0

    return wait
