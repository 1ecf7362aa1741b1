"""The cost of SDKs at the start of a functions-framework process: their import, and their first use.

    python -P bench/bare_start.py google.cloud.firestore pyairtable

writes the seconds of both. What functions-framework imports itself counts for hello world, so it is imported before.
The first use is what connecting to Firestore, and making a client of Gmail's API, take longer than they do once more.
"""

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module

import functions_framework  # noqa: F401

began = time.perf_counter()
for module in sys.argv[1:]:
    import_module(module)
imported = time.perf_counter()

from google.cloud import firestore  # noqa: E402  # it is imported already


def seconds(use: Callable[[], object]) -> float:
    """Time one use."""
    before = time.perf_counter()
    use()
    return time.perf_counter() - before


def connect() -> firestore.Client:
    """Read a document with a new client."""
    client = firestore.Client()
    client.document("bench/nothing").get()
    return client


def load_key() -> None:
    """Read the key file, and make a client with it."""
    from google.oauth2.service_account import Credentials

    make_client(Credentials.from_service_account_file(os.environ["GCP_SERVICE_ACCOUNT_JSON_PATH"]))  # type: ignore[no-untyped-call]


def make_client(credentials: object = None) -> None:
    """Make a client of Gmail's API, without a call."""
    import httplib2
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient.discovery import build

    build("gmail", "v1", http=AuthorizedHttp(credentials, http=httplib2.Http()))


first = seconds(connect)
client = connect()
use = first - seconds(lambda: client.document("bench/nothing").get())
if "googleapiclient.discovery" in sys.argv:
    use += seconds(load_key) - seconds(make_client)

sys.stdout.write(f"{imported - began} {use}")
