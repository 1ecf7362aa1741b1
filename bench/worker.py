"""The set-up of a measuring process: the client of the slow store, and a log like a function's.

Everything here runs in a process of its own, so that neither the preparation nor the proxy takes part in a figure.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial

from google.cloud import firestore

from shared.handlers import Handlers, load_handlers
from shared.logs import set_up_logs
from shared.model.entries import KEPT
from shared.settings import Settings
from shared.store.firestore import FirestoreStore

PROJECT = "bench"
HANDLERS = "bench.work"

clock = partial(datetime.now, UTC)


def begin(address: str) -> None:
    """Set this process up for the store at `address`. The log is written as in a function, and discarded."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["FIRESTORE_EMULATOR_HOST"] = address
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for the life of the process
    set_up_logs("INFO")
    open_store("warm").due(clock())


@lru_cache(maxsize=1)
def client() -> firestore.Client:
    """Return the client of this process."""
    return firestore.Client(project=PROJECT)


def open_store(collection: str, kept: timedelta = KEPT) -> FirestoreStore:
    """Open the project's own store on it, with a history that is kept for this long."""
    return FirestoreStore(client(), collection, kept=kept)


@lru_cache(maxsize=1)
def handlers() -> Handlers:
    """Import the handlers, including those for measuring."""
    return load_handlers([HANDLERS])


def settings(given: Mapping[str, str]) -> Settings:
    """Return the settings of a tick: the defaults, changed by `given`."""
    return Settings.from_env(given)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
