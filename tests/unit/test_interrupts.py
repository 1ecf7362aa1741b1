"""Signals, as something to wait for."""

import signal
import threading
from collections.abc import Iterator

import pytest

from watchkeeper.dev.interrupts import SIGNALS, Wait, catch_interrupts

PATIENCE = 10  # seconds for what another thread is to do


@pytest.fixture
def wait() -> Iterator[Wait]:
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(-1)
    yield catch_interrupts()
    signal.set_wakeup_fd(wakeup)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_each_signal_is_returned_once(wait: Wait) -> None:
    """A signal that came before the wait counts, and then the next one is waited for."""
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)

    told = [wait(0.01) for _ in range(3)]

    assert told == [signal.SIGINT, signal.SIGTERM, 0]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_any_thread_ends_the_wait(wait: Wait, number: signal.Signals) -> None:
    """Any thread may catch two simultaneous signals, for example a Ctrl-C and a hang-up."""
    # The delay lets the main thread go to sleep first.
    threading.Timer(0.05, lambda: signal.pthread_kill(threading.get_ident(), number)).start()

    assert wait(PATIENCE) == number
