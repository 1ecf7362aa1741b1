"""The fakes of OAuth and Gmail, with a clock that is set by hand."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.google_client import ADA, CALENDAR_SCOPE, NOW, Clock, Users, client_of
from watchkeeper.fakes.gmail import Gmail
from watchkeeper.fakes.google_oauth import METADATA_SCOPE, GoogleOAuth


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def oauth() -> Iterator[GoogleOAuth]:
    """Google's libraries date their assertions by the real time, so this uses it, too."""
    with GoogleOAuth(users=[ADA], scopes=[METADATA_SCOPE, CALENDAR_SCOPE]) as oauth:
        yield oauth


@pytest.fixture
def oauth_at_nine(clock: Clock) -> Iterator[GoogleOAuth]:
    with GoogleOAuth(clock=clock) as oauth:
        yield oauth


@pytest.fixture
def gmail(oauth: GoogleOAuth, clock: Clock) -> Iterator[Gmail]:
    with Gmail(oauth, clock=clock) as gmail:
        yield gmail


@pytest.fixture
def users(oauth: GoogleOAuth, gmail: Gmail, tmp_path: Path) -> Users:
    """Return the users resource of the real client, acting for a mailbox."""

    return partial(client_of, oauth, gmail, tmp_path)
