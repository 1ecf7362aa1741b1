"""The instances of run_job, as Cloud Run has them: each call goes to a free one, and an instance takes one at a time.

Deployed, the function has concurrency 1: a process with a thread left behind ends after its answer, and would end other
calls with it. So here it has a process for each job that may run at once.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from watchkeeper.dev.probe import answers

RUN_JOB = "run_job"
MOST_INSTANCES = 4  # a process takes 70 MB; beyond that tasks wait for their turn
START_SECONDS = 30
LOOK_SECONDS = 0.1


class NoInstance(ConnectionError):
    """No instance can take the call."""


class Instances:
    """The addresses of the processes of one function; each takes one call at a time."""

    def __init__(self, addresses: Sequence[str], is_up: Callable[[str], bool] = lambda each: answers(each, "/health")):
        self._free = list(addresses)
        self._is_up = is_up
        self._is_closed = False
        self._changed = threading.Condition()

    @contextmanager
    def address_of(self, url: str) -> Iterator[str]:
        """Wait for an instance that is free and up, hold it, and yield its address. Raises NoInstance."""
        address = self._taken()
        try:
            self._wait_until_up(address)
            yield address
        finally:
            with self._changed:
                self._free.append(address)
                self._changed.notify()

    def close(self) -> None:
        """Hand out no more instances: the run is ending."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _taken(self) -> str:
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._is_closed)
            if self._is_closed:
                raise NoInstance("the local run is ending")
            return self._free.pop(0)

    def _wait_until_up(self, address: str) -> None:
        """Wait for a process that is starting."""
        deadline = monotonic() + START_SECONDS
        while not self._is_up(address):
            with self._changed:
                self._changed.wait(LOOK_SECONDS)
                if self._is_closed or monotonic() > deadline:
                    raise NoInstance(f"{address} does not answer")
