"""Google's default credentials: found once, shared by all threads, and refreshed within a deadline."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.web import google_credentials
from shared.web.google_credentials import NoToken, access_token
from tests.support.servers import ACCESS_PATH, HttpServer, raw, reply
from watchkeeper.fakes.google_oauth import GoogleOAuth

SCOPE = "https://www.googleapis.com/auth/chat.bot"
OTHER = "https://www.googleapis.com/auth/cloud-platform"
SECONDS = 5


@pytest.fixture
def oauth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleOAuth]:
    """Credentials as a kind of place provides them, in a process that has fetched no token yet."""
    with GoogleOAuth() as oauth:
        oauth.write_key_file(tmp_path / "key.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        google_credentials._known.clear()
        yield oauth
        google_credentials._known.clear()


def get(scope: str = SCOPE, *, seconds: float = SECONDS, refused: str = "") -> str:
    return access_token(scope, time.monotonic() + seconds, refused=refused)


def test_a_token_is_used_until_it_expires(oauth: GoogleOAuth) -> None:
    """Each scope has its own, fetched once."""
    tokens = {get(scope) for scope in (SCOPE, OTHER, SCOPE, OTHER)}

    assert len(tokens) == 2
    assert len(oauth.requests) == 2


def test_a_valid_token_starts_no_thread(oauth: GoogleOAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that hands over hundreds of jobs asks for it as often."""
    token = get()
    monkeypatch.setattr(google_credentials, "within", lambda *_: pytest.fail("a thread was started"))

    assert get() == token


def test_threads_share_a_token_and_its_replacement(oauth: GoogleOAuth) -> None:
    """Eight threads whose token is refused cost one new token, not eight."""
    start = threading.Barrier(8)

    def replace(_: int) -> tuple[str, str]:
        start.wait(SECONDS)
        first = get()
        start.wait(SECONDS)
        return first, get(refused=first)

    with ThreadPoolExecutor(8) as pool:
        first, second = map(set, zip(*pool.map(replace, range(8)), strict=True))

    assert (len(first), len(second), first & second) == (1, 1, set())
    assert len(oauth.requests) == 2


def test_a_hanging_token_service_delays_nobody_beyond_the_deadline(oauth: GoogleOAuth) -> None:
    """Neither the first caller nor those who wait for its answer; the next one asks again."""
    get()  # whatever is imported is imported
    oauth.fail("hang", times=2)
    began_at = time.monotonic()

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(get, OTHER, seconds=0.3) for _ in range(2)]
        errors = [result.exception(SECONDS) for result in results]

    assert time.monotonic() - began_at < 2
    assert [type(error) for error in errors] == [NoToken, NoToken]
    oauth.clear_faults()
    assert get(OTHER)


def test_a_search_for_credentials_ends_at_its_deadline(metadata: HttpServer) -> None:
    """Google's library would ask a silent metadata server again and again, when nobody waits for it any more."""
    metadata.answers["/"] = raw(b"")
    google_credentials._known.clear()
    before = set(threading.enumerate())

    with pytest.raises(NoToken):
        get(seconds=0.3)
    for thread in set(threading.enumerate()) - before:
        thread.join(SECONDS)

    assert [asked.path for asked in metadata.received] == ["/"]


def test_a_refusal_of_the_metadata_server_is_quoted(metadata: HttpServer) -> None:
    """In the cloud every token comes from there, and google-auth wraps the error twice."""
    metadata.answers[ACCESS_PATH] = reply(404, body=b"no such account")
    google_credentials._known.clear()

    with pytest.raises(NoToken) as raised:
        get()

    assert "Status: 404" in raised.value.said
    assert "no such account" in raised.value.said


def test_a_valid_token_is_returned_while_another_is_being_fetched(oauth: GoogleOAuth) -> None:
    """A scope whose token does not arrive does not delay the others."""
    token = get()
    oauth.fail("hang", path="/token")

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(get, OTHER, seconds=1)
        until = time.monotonic() + SECONDS
        while not google_credentials._refreshing.locked() and time.monotonic() < until:
            time.sleep(0.001)
        assert get(seconds=0.5) == token
        assert not hanging.done()
        assert isinstance(hanging.exception(SECONDS), NoToken)


def test_missing_credentials_are_looked_for_again(
    oauth: GoogleOAuth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They may be added; the error has the remedy of Google's library."""
    with monkeypatch.context() as away:
        away.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
        with pytest.raises(NoToken, match=r"^could not get an access token \(DefaultCredentialsError\)$") as raised:
            get()

    assert "missing.json was not found" in raised.value.said
    assert get()


@pytest.mark.parametrize("content", ["{}", '{"type": "service_account"}', "[]", "a secret"])
def test_an_invalid_key_file_gives_no_token(
    oauth: GoogleOAuth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    """For any error of the library, and without the file's content."""
    (tmp_path / "odd.json").write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "odd.json"))

    with pytest.raises(NoToken) as raised:
        get()

    assert "secret" not in f"{raised.value} {raised.value.said}"


def test_an_unreadable_key_file_gives_no_token(
    oauth: GoogleOAuth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For example, a folder."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))

    with pytest.raises(NoToken, match="IsADirectoryError"):
        get()


def test_an_answer_without_a_token_is_not_quoted(oauth: GoogleOAuth) -> None:
    """It could be a token after all."""
    oauth.fail("not-json")

    with pytest.raises(NoToken) as raised:
        get()

    assert raised.value.said.startswith("no valid token in the response (")
