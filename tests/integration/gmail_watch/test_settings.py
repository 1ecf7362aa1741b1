"""The settings of gmail_watch."""

from pathlib import Path

import pytest

from gmail_settings import GmailSettings
from shared.errors import InvalidSettings
from tests.support.local_google import ADA, UNSET, LocalGoogle
from tests.support.renewing import call
from watchkeeper.fakes.google_oauth import SERVICE_ACCOUNT


def test_without_settings_health_answers_and_a_call_names_what_is_missing(google: LocalGoogle) -> None:
    """Health answers; a call names everything that is missing in one error and sends no request."""
    with google.running(UNSET) as function:
        health = function.call("/health", method="GET")
        answered = call(function)

    message = answered.body["error"]["message"]
    assert health == (200, {"status": "ok", "function": "gmail_watch", "storage": "json"})
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert "GMAIL_USER_EMAIL" in message
    assert "GMAIL_WATCH_TOPIC" in message
    assert "GMAIL_DELEGATE or GCP_SERVICE_ACCOUNT_JSON_PATH" in message
    assert (google.oauth.requests, google.gmail.requests) == ([], [])


def test_malformed_settings_are_named_together(google: LocalGoogle) -> None:
    """The answer has the names, the log the faults; no request is sent."""
    malformed = {
        "GMAIL_USER_EMAIL": f"{ADA}, ada",
        "GMAIL_WATCH_TOPIC": "gmail",
        "GMAIL_DELEGATE": SERVICE_ACCOUNT,
        "GCP_SERVICE_ACCOUNT_JSON_PATH": str(google.folder / "nowhere.json"),
        "GMAIL_API_ENDPOINT": "gmail.googleapis.com",
    }
    with google.running(malformed) as function:
        answered = call(function)

    message = answered.body["error"]["message"]
    (logged,) = answered.errors()
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert all(name in message and name in logged for name in malformed)
    assert "'ada' is not an e-mail address" in logged
    assert "projects/PROJECT/topics/TOPIC" in logged
    assert "it cannot be read: No such file or directory" in logged
    assert "both of GMAIL_DELEGATE" in logged
    assert (google.oauth.requests, google.gmail.requests) == ([], [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("GMAIL_USER_EMAIL", "ada", id="no-address"),
        pytest.param("GMAIL_USER_EMAIL", "ada@example.com grace@example.com", id="no-comma"),
        pytest.param("GMAIL_USER_EMAIL", " , ", id="only-commas"),
        pytest.param("GMAIL_WATCH_TOPIC", "gmail", id="short-topic"),
        pytest.param("GMAIL_WATCH_TOPIC", "projects/watchkeeper-local/subscriptions/gmail", id="no-topic"),
        pytest.param("GMAIL_API_ENDPOINT", "gmail.googleapis.com", id="no-scheme"),
    ],
)
def test_a_malformed_setting_is_named(google: LocalGoogle, name: str, value: str) -> None:
    """Alone, if all others are valid."""
    with pytest.raises(InvalidSettings) as refused:
        GmailSettings.from_env({**google.settings, name: value})

    assert refused.value.names == (name,)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----", id="no-json"),
        pytest.param(b'["key"]', id="a-list"),
        pytest.param(b'{"type": "authorized_user", "client_id": "1", "refresh_token": "s3cret"}', id="of-a-person"),
        pytest.param(
            b'{"client_email": "a@b.c", "token_uri": "https://a.b/t", "private_key": "s3cret"}', id="garbled-key"
        ),
    ],
)
def test_a_file_that_is_no_key_file_is_named_and_not_quoted(
    google: LocalGoogle, tmp_path: Path, content: bytes
) -> None:
    """Its content may still be a secret."""
    path = tmp_path / "key.json"
    path.write_bytes(content)

    with pytest.raises(InvalidSettings, match="it must be the key file of a service account") as refused:
        GmailSettings.from_env({**google.settings, "GCP_SERVICE_ACCOUNT_JSON_PATH": str(path)})

    assert refused.value.names == ("GCP_SERVICE_ACCOUNT_JSON_PATH",)
    assert "s3cret" not in str(refused.value)


def test_a_key_file_that_cannot_be_read_is_named(google: LocalGoogle, tmp_path: Path) -> None:
    """With the system's error."""
    with pytest.raises(InvalidSettings, match="it cannot be read: Is a directory") as refused:
        GmailSettings.from_env({**google.settings, "GCP_SERVICE_ACCOUNT_JSON_PATH": str(tmp_path)})

    assert refused.value.names == ("GCP_SERVICE_ACCOUNT_JSON_PATH",)
