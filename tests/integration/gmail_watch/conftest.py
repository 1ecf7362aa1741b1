"""The function over HTTP for all tests of this folder, and the renewals of one call in this process."""

import time
from collections.abc import Iterator

import pytest

from shared.renewals import Renewals
from shared.settings import Settings
from tests.support.local_google import ADA, LocalGoogle
from tests.support.renewing import in_file, utc_now
from tests.support.running import RunningFunction
from watchkeeper.fakes.gmail import Gmail
from watchkeeper.fakes.google_oauth import GoogleOAuth


@pytest.fixture(scope="session")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGoogle]:
    """Google on this machine, for all tests of this folder."""
    folder = tmp_path_factory.mktemp("gmail_watch")
    with GoogleOAuth() as oauth, Gmail(oauth) as gmail:
        google = LocalGoogle(oauth=oauth, gmail=gmail, folder=folder, storage=in_file(folder))
        oauth.write_key_file(google.key_path)
        yield google


@pytest.fixture(autouse=True)
def google(fakes: LocalGoogle) -> LocalGoogle:
    """Google at the beginning of a test: no requests, no watch, no record, no fault."""
    fakes.reset()
    return fakes


@pytest.fixture(scope="session")
def of_one(fakes: LocalGoogle) -> Iterator[RunningFunction]:
    """The function for one mailbox."""
    with fakes.running() as function:
        yield function


@pytest.fixture(scope="session")
def of_two(fakes: LocalGoogle) -> Iterator[RunningFunction]:
    """The function for two mailboxes and two labels."""
    env = {"GMAIL_USER_EMAIL": f"{ADA}, Grace@Example.com", "GMAIL_WATCH_LABELS": "INBOX, Label_7"}
    with fakes.running(env) as function:
        yield function


@pytest.fixture
def renewals(google: LocalGoogle) -> Renewals:
    """Renewals by the real clock."""
    settings = Settings.from_env({"AUTH_MODE": "off"})
    return Renewals(google.storage.store, settings, now=utc_now(), clock=utc_now, monotonic=time.monotonic, by="test")
