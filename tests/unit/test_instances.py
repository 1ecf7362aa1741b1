"""Cloud Run's front end for run_job, as a local run fakes it."""

import threading
from collections.abc import Iterator

import pytest

from tests.support.running import until
from watchkeeper.dev.instances import Instances, NoInstance

ADDRESSES = ("127.0.0.1:1", "127.0.0.1:2")
URL = "http://127.0.0.1:1/"
PATIENCE = 10  # seconds for what another thread is to do


class Caller(threading.Thread):
    """A call that holds its instance until `end`; `address` is its target, and `refused` says that it has none."""

    def __init__(self, instances: Instances) -> None:
        super().__init__(daemon=True)
        self.address = ""
        self.refused = ""
        self._instances = instances
        self._may_end = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with self._instances.address_of(URL) as self.address:
                self._may_end.wait(PATIENCE)
        except NoInstance as exc:
            self.refused = str(exc)

    def end(self) -> None:
        self._may_end.set()
        self.join(PATIENCE)


@pytest.fixture
def instances() -> Iterator[Instances]:
    instances = Instances(ADDRESSES, is_up=lambda address: True)
    yield instances
    instances.close()


def test_an_instance_takes_one_call_at_a_time(instances: Instances) -> None:
    """A third call waits for the end of one of two, and goes to the same address."""
    first, second = Caller(instances), Caller(instances)
    until(lambda: bool(first.address and second.address), PATIENCE)
    third = Caller(instances)

    second.end()
    until(lambda: bool(third.address), PATIENCE)

    assert {first.address, second.address} == set(ADDRESSES)
    assert third.address == second.address


def test_a_call_waits_for_a_restarting_instance() -> None:
    """A process that ended after its answer is not called before it is up again."""
    is_up = threading.Event()
    instances = Instances(ADDRESSES[:1], is_up=lambda address: is_up.is_set())
    caller = Caller(instances)

    address_before = caller.address
    is_up.set()
    until(lambda: bool(caller.address), PATIENCE)
    caller.end()

    assert address_before == ""


@pytest.mark.parametrize("is_up", [True, False], ids=["busy", "down"])
def test_a_call_that_waits_at_the_end_is_refused(is_up: bool) -> None:
    """Neither a busy instance nor one that does not answer delays the end of the run."""
    instances = Instances(ADDRESSES[:1], is_up=lambda address: is_up)
    first, waiting = Caller(instances), Caller(instances)

    instances.close()
    waiting.end()
    first.end()

    assert "ending" in f"{waiting.refused} {first.refused}"
    assert not waiting.is_alive()
