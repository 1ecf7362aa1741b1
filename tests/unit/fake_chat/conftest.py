"""Chat on this machine, and the real client of the app."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import google.auth
import pytest
from google.oauth2 import service_account
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build

from tests.support.chat_client import ADA, ELSEWHERE, NOW, SPACE, THREAD, Connect, Post, Rerouted, create
from watchkeeper.fakes.chat import BOT_SCOPE, Chat
from watchkeeper.fakes.google_oauth import GoogleOAuth


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleOAuth]:
    """Google's tokens, with the service account's key where the library looks for it."""
    path = tmp_path_factory.mktemp("google") / "key.json"
    with GoogleOAuth(users=[ADA], scopes=[BOT_SCOPE]) as oauth, pytest.MonkeyPatch.context() as patch:
        oauth.write_key_file(path)
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        yield oauth


@pytest.fixture(scope="module")
def served(oauth: GoogleOAuth) -> Iterator[Chat]:
    """One fake for all tests, since the real client takes long to build."""
    with Chat(oauth, clock=lambda: NOW) as chat:
        yield chat


@pytest.fixture
def chat(served: Chat) -> Chat:
    """The fake in its first state, with two spaces and a thread."""
    served.spaces, served.threads = {SPACE, ELSEWHERE}, {THREAD}
    served.messages.clear()
    served.requests.clear()
    served.clear_faults()
    return served


@pytest.fixture(scope="module")
def connect(oauth: GoogleOAuth, served: Chat) -> Connect:
    """Return the real client's messages resource, with the machine's default credentials."""

    def messages(*, scope: str = BOT_SCOPE, subject: str | None = None) -> Any:
        credentials, _ = google.auth.default(scopes=[scope])
        assert isinstance(credentials, service_account.Credentials)
        if subject:
            credentials = credentials.with_subject(subject)  # type: ignore[no-untyped-call]  # the library's own
        http = AuthorizedHttp(credentials, http=Rerouted(oauth))
        options = {"api_endpoint": served.url}
        client = build("chat", "v1", http=http, static_discovery=True, cache_discovery=False, client_options=options)
        return client.spaces().messages()

    return messages


@pytest.fixture(scope="module")
def messages(connect: Connect) -> Any:
    """The messages resource of the app."""
    return connect()


@pytest.fixture
def post(chat: Chat, messages: Any) -> Post:
    """Post a message as the app."""
    return partial(create, messages)
