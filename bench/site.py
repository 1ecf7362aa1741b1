"""The environment of a run: a Firestore emulator, the slow proxy before it, and the measuring processes."""

import multiprocessing
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

from google.cloud import firestore

from bench.figure import ROUNDS
from bench.parts import profiled
from bench.slow_proxy import slow_proxy
from bench.worker import PROJECT, begin
from shared.model.job import Job
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change, Won
from watchkeeper.dev.firestore_emulator import running_emulator

DELAY = 0.020  # seconds, on every call to the emulator
WORKERS = 8
FILLS = 3  # attempts; on a busy machine an emulator that has just started does not answer in time

Given = ParamSpec("Given")
T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """Preparation and checks use the `emulator` directly; measurements use the `proxy`, in `rounds` rounds."""

    emulator: str
    proxy: str
    folder: Path
    client: firestore.Client
    workers: tuple[ProcessPoolExecutor, ...]
    rounds: int

    def measure(self, function: Callable[Given, T], *args: Given.args, **kwargs: Given.kwargs) -> T:
        """Run a function in the first of the measuring processes."""
        return self.workers[0].submit(function, *args, **kwargs).result()

    def start(self, worker: int, function: Callable[Given, T], *args: Given.args, **kwargs: Given.kwargs) -> Future[T]:
        """Start a function in one of the measuring processes."""
        return self.workers[worker].submit(function, *args, **kwargs)

    def parts(self, function: Callable[Given, T], *args: Given.args, **kwargs: Given.kwargs) -> dict[str, float]:
        """Run a function there once more, and return the seconds of each part of its work."""
        return self.measure(profiled, function, *args, **kwargs).parts

    def store(self, collection: str) -> FirestoreStore:
        """Open a store without the proxy."""
        return FirestoreStore(self.client, collection)

    def filled(self, jobs: Iterable[Job]) -> str:
        """Insert jobs into a new collection, and return its name."""
        changes = [Change(None, job) for job in jobs]
        for _ in range(FILLS):
            collection = f"jobs-{uuid.uuid4().hex[:8]}"
            failed = [each for each in self.store(collection).swap(changes) if not isinstance(each, Won)]
            if not failed:
                return collection
        raise RuntimeError(f"the emulator did not store {len(failed)} of {len(changes)} jobs: {failed[0]}")

    def clear(self) -> None:
        """Empty the emulator, so that the data of one figure do not slow down another."""
        connection = HTTPConnection(self.emulator)
        connection.request("DELETE", f"/emulator/v1/projects/{PROJECT}/databases/(default)/documents")
        connection.getresponse().read()
        connection.close()


@contextmanager
def open_site(rounds: int = ROUNDS) -> Iterator[Site]:
    """Start everything, and stop it afterwards. Raises EmulatorMissing or EmulatorFailed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        emulator = stack.enter_context(running_emulator())
        proxy = stack.enter_context(slow_proxy(emulator, seconds=DELAY))
        os.environ["FIRESTORE_EMULATOR_HOST"] = emulator
        workers = tuple(stack.enter_context(_worker(proxy)) for _ in range(WORKERS))
        yield Site(emulator, proxy, folder, firestore.Client(project=PROJECT), workers, rounds)


def _worker(address: str) -> ProcessPoolExecutor:
    # gRPC does not work in a forked process.
    spawned = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, spawned, initializer=begin, initargs=(address,))
