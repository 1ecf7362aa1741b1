"""What each setting means, its default, and the error for a value that cannot be used."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidSettings
from shared.settings import (
    GOOGLE_CERTS_URL,
    AuthMode,
    AuthPolicy,
    Settings,
    TaskQueues,
)

PROJECT = Path(__file__).resolve().parent.parent.parent
NAMES = [
    "AUTH_AUDIENCE",
    "AUTH_CALLERS",
    "AUTH_CERTS_URL",
    "AUTH_MODE",
    "CALL_TIMEOUT_SECONDS",
    "CRON_SECRET",
    "FIRESTORE_DATABASE",
    "GOOGLE_CLOUD_PROJECT",
    "JOB_HANDLERS",
    "K_SERVICE",
    "LOG_LEVEL",
    "SCHEDULER_CADENCE",
    "SCHEDULER_COLLECTION",
    "SCHEDULER_CONCURRENCY",
    "SCHEDULER_JSON_PATH",
    "SCHEDULER_LEASE_SECONDS",
    "SCHEDULER_LOOKAHEAD_SECONDS",
    "SCHEDULER_RETENTION_DAYS",
    "SCHEDULER_HISTORY_DAYS",
    "SCHEDULER_STORAGE",
    "SCHEDULER_TICK_BUDGET_SECONDS",
    "SCHEDULER_TIMEZONE",
]


def problem(**env: str) -> str:
    """Read settings that cannot be used, and return the error's text."""
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_env(env)
    return str(caught.value)


def test_nothing_has_to_be_set() -> None:
    """On a developer's machine the defaults are enough; no caller is allowed, because none is named."""
    settings = Settings.from_env({})

    assert settings == Settings(
        storage="json",
        json_path=PROJECT / ".data" / "scheduler_jobs.json",
        collection="scheduler_jobs",
        database="(default)",
        project="",
        cadence="* * * * *",
        timezone="UTC",
        lease=timedelta(seconds=300),
        concurrency=16,
        budget=timedelta(seconds=50),
        lookahead=timedelta(),
        retention=timedelta(days=30),
        history=timedelta(days=30),
        queues=TaskQueues(),
        function_timeout=timedelta(seconds=180),
        handler_modules=(),
        log_level="INFO",
        certs_url=GOOGLE_CERTS_URL,
        public_url="",
        auth=AuthPolicy(mode=AuthMode.VERIFY, audiences=(), callers=frozenset(), cron_secret=""),
    )


@pytest.mark.parametrize("empty", ["", " ", "\t\n"], ids=["empty", "a-space", "tab-and-newline"])
def test_a_setting_that_is_empty_counts_as_not_set(empty: str) -> None:
    """An empty line in .env changes nothing, and an empty secret gives no access."""
    assert Settings.from_env(dict.fromkeys(NAMES, empty)) == Settings.from_env({})


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("SCHEDULER_STORAGE", "firestore", "storage", "firestore"),
        ("SCHEDULER_STORAGE", " json ", "storage", "json"),
        ("SCHEDULER_JSON_PATH", "/tmp/jobs.json", "json_path", Path("/tmp/jobs.json")),
        ("SCHEDULER_COLLECTION", "jobs", "collection", "jobs"),
        ("SCHEDULER_COLLECTION", "__jobs", "collection", "__jobs"),
        ("FIRESTORE_DATABASE", "watch", "database", "watch"),
        ("GOOGLE_CLOUD_PROJECT", "acme", "project", "acme"),
        ("SCHEDULER_CADENCE", "*/5 * * * *", "cadence", "*/5 * * * *"),
        ("SCHEDULER_TIMEZONE", "Europe/Berlin", "timezone", "Europe/Berlin"),
        ("SCHEDULER_LEASE_SECONDS", "1", "lease", timedelta(seconds=1)),
        ("SCHEDULER_LEASE_SECONDS", "86400", "lease", timedelta(days=1)),
        ("SCHEDULER_CONCURRENCY", "1", "concurrency", 1),
        ("SCHEDULER_CONCURRENCY", "500", "concurrency", 500),
        ("SCHEDULER_TICK_BUDGET_SECONDS", "1", "budget", timedelta(seconds=1)),
        ("SCHEDULER_TICK_BUDGET_SECONDS", "3000", "budget", timedelta(seconds=3000)),
        ("SCHEDULER_LOOKAHEAD_SECONDS", "0", "lookahead", timedelta()),
        ("SCHEDULER_LOOKAHEAD_SECONDS", "3000", "lookahead", timedelta(seconds=3000)),
        ("SCHEDULER_RETENTION_DAYS", "1", "retention", timedelta(days=1)),
        ("SCHEDULER_RETENTION_DAYS", "3650", "retention", timedelta(days=3650)),
        ("SCHEDULER_HISTORY_DAYS", "0", "history", timedelta()),
        ("SCHEDULER_HISTORY_DAYS", "3650", "history", timedelta(days=3650)),
        ("CALL_TIMEOUT_SECONDS", "3600", "function_timeout", timedelta(hours=1)),
        ("JOB_HANDLERS", "agent.reports, agent.mails,,", "handler_modules", ("agent.reports", "agent.mails")),
        ("LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
        ("AUTH_CERTS_URL", "http://127.0.0.1:8081/certs", "certs_url", "http://127.0.0.1:8081/certs"),
    ],
)
def test_a_setting_is_read(name: str, text: str, attribute: str, value: Any) -> None:
    """Each setting reaches its field with the right type."""
    settings = Settings.from_env({name: text})

    assert getattr(settings, attribute) == value


def test_the_settings_of_authentication_are_read() -> None:
    """They make one policy; lists are separated by commas."""
    settings = Settings.from_env(
        {
            "AUTH_MODE": "platform",
            "AUTH_AUDIENCE": "https://a.example, https://b.example",
            "AUTH_CALLERS": "tick@acme.iam.gserviceaccount.com,ops@acme.iam.gserviceaccount.com",
            "CRON_SECRET": "open-sesame-open-sesame",
        }
    )

    assert settings.auth == AuthPolicy(
        mode=AuthMode.PLATFORM,
        audiences=("https://a.example", "https://b.example"),
        callers=frozenset({"tick@acme.iam.gserviceaccount.com", "ops@acme.iam.gserviceaccount.com"}),
        cron_secret="open-sesame-open-sesame",
    )


def test_a_relative_path_is_relative_to_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The function and the command line find the same file in any folder."""
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_env({"SCHEDULER_JSON_PATH": ".data/other.json"})

    assert settings.json_path.absolute() == PROJECT / ".data" / "other.json"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("SCHEDULER_STORAGE", "sqlite", "json, firestore"),
        ("SCHEDULER_STORAGE", "JSON", "json, firestore"),
        ("SCHEDULER_COLLECTION", "a/b", "without a slash"),
        ("SCHEDULER_COLLECTION", ".", "collection name"),
        ("SCHEDULER_COLLECTION", "..", "collection name"),
        ("SCHEDULER_COLLECTION", "__jobs__", "collection name"),
        ("SCHEDULER_CADENCE", "* * * *", "five"),
        ("SCHEDULER_CADENCE", "every minute", "every minute"),
        ("SCHEDULER_CADENCE", "61 * * * *", "61"),
        ("SCHEDULER_TIMEZONE", "Mars/Olympus", "Mars/Olympus"),
        ("SCHEDULER_LEASE_SECONDS", "0", "from 1 to 86400"),
        ("SCHEDULER_LEASE_SECONDS", "86401", "from 1 to 86400"),
        ("SCHEDULER_CONCURRENCY", "0", "from 1 to 500"),
        ("SCHEDULER_CONCURRENCY", "501", "from 1 to 500"),
        ("SCHEDULER_TICK_BUDGET_SECONDS", "0", "from 1 to 3000"),
        ("SCHEDULER_TICK_BUDGET_SECONDS", "3001", "from 1 to 3000"),
        ("SCHEDULER_LOOKAHEAD_SECONDS", "-1", "from 0 to 3000"),
        ("SCHEDULER_LOOKAHEAD_SECONDS", "3001", "from 0 to 3000"),
        ("SCHEDULER_RETENTION_DAYS", "0", "from 1 to 3650"),
        ("SCHEDULER_RETENTION_DAYS", "3651", "from 1 to 3650"),
        ("CALL_TIMEOUT_SECONDS", "3601", "to 3600"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("LOG_LEVEL", "info", "DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("AUTH_MODE", "none", "verify, platform, off"),
        ("AUTH_CERTS_URL", "googleapis.com/certs", "http"),
        ("AUTH_CERTS_URL", "file:///etc/certs.json", "http"),
    ],
)
def test_a_malformed_setting_is_named_with_what_it_must_be(name: str, text: str, expected: str) -> None:
    """The error has the setting, its value, and what is valid."""
    said = problem(**{name: text})

    assert name in said
    assert expected in said


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "1e2", "0x10", "1_0", "٣", "²", "1 0", "9" * 10, "9" * 5000])
@pytest.mark.parametrize(
    "name",
    ["SCHEDULER_LEASE_SECONDS", "SCHEDULER_CONCURRENCY", "SCHEDULER_TICK_BUDGET_SECONDS", "SCHEDULER_RETENTION_DAYS"],
)
def test_text_in_place_of_a_number_is_named(name: str, text: str) -> None:
    """Only plain digits are a number; a very long text is not repeated in full."""
    said = problem(**{name: text})

    assert f"{name} is '{text[:100]}': it must be a whole number" in said
    assert len(said) < 300


def test_every_problem_is_in_one_error() -> None:
    """The operator can correct all of them at once."""
    malformed = {
        "SCHEDULER_STORAGE": "sqlite",
        "SCHEDULER_COLLECTION": "a/b",
        "SCHEDULER_LEASE_SECONDS": "long",
        "SCHEDULER_CONCURRENCY": "many",
        "SCHEDULER_TICK_BUDGET_SECONDS": "50s",
        "SCHEDULER_RETENTION_DAYS": "month",
        "SCHEDULER_CADENCE": "often",
        "CALL_TIMEOUT_SECONDS": "late",
        "LOG_LEVEL": "LOUD",
        "AUTH_MODE": "none",
    }

    said = problem(**malformed)

    assert [name for name in malformed if name not in said] == []


# -- in the cloud ------------------------------------------------------------------------------------------------------


def test_in_the_cloud_jobs_are_kept_in_firestore() -> None:
    """By default, because the files of an instance are lost with it."""
    assert Settings.from_env({"K_SERVICE": "watchkeeper-tick"}).storage == "firestore"


def test_json_in_the_cloud_is_refused() -> None:
    """The error says what to set instead."""
    said = problem(K_SERVICE="watchkeeper-tick", SCHEDULER_STORAGE="json")

    assert "SCHEDULER_STORAGE" in said
    assert "SCHEDULER_JSON_PATH" in said


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_does_not_allow_json_in_the_cloud(path: str) -> None:
    """It names no file."""
    said = problem(K_SERVICE="watchkeeper-tick", SCHEDULER_STORAGE="json", SCHEDULER_JSON_PATH=path)

    assert "SCHEDULER_JSON_PATH" in said


def test_json_in_the_cloud_is_possible_with_a_path() -> None:
    """An operator who names a file knows that it lasts."""
    settings = Settings.from_env(
        {"K_SERVICE": "watchkeeper-tick", "SCHEDULER_STORAGE": "json", "SCHEDULER_JSON_PATH": "/mnt/jobs.json"}
    )

    assert (settings.storage, settings.json_path) == ("json", Path("/mnt/jobs.json"))


def test_no_authentication_in_the_cloud_is_refused() -> None:
    """`off` is for a developer's machine."""
    said = problem(K_SERVICE="watchkeeper-tick", AUTH_MODE="off")

    assert "AUTH_MODE" in said
    assert Settings.from_env({"AUTH_MODE": "off"}).auth.mode is AuthMode.OFF


def test_the_rules_of_the_cloud_are_reported_with_the_other_problems() -> None:
    """In the same error."""
    said = problem(K_SERVICE="watchkeeper-tick", SCHEDULER_STORAGE="json", AUTH_MODE="off", LOG_LEVEL="LOUD")

    assert [name for name in ("SCHEDULER_STORAGE", "AUTH_MODE", "LOG_LEVEL") if name not in said] == []


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_repr() -> None:
    """Settings may be logged."""
    settings = Settings.from_env({"CRON_SECRET": "open-sesame-open-sesame"})

    assert "open-sesame" not in repr(settings)
    assert "open-sesame" not in repr(settings.auth)
    assert settings.auth.cron_secret == "open-sesame-open-sesame"


@pytest.mark.parametrize(
    "secret",
    ["open sesame open sesame", "öffne-sesame-öffne-sesame", "open sesame"],
    ids=["good", "malformed", "short"],
)
def test_no_secret_is_in_an_error(secret: str) -> None:
    """Errors are answered and logged."""
    assert "sesame" not in problem(CRON_SECRET=secret, LOG_LEVEL="LOUD")


@pytest.mark.parametrize(
    "secret", ["öffne-sesame-öffne-sesame", "open\nsesame-open-sesame", "open\x00sesame-open-sesame"]
)
def test_a_secret_that_no_header_can_carry_is_named(secret: str) -> None:
    """It would never match, or not everywhere."""
    assert "CRON_SECRET is malformed" in problem(CRON_SECRET=secret)


@pytest.mark.parametrize("secret", ["a", "open-sesame", "fifteen-letters"])
def test_a_secret_that_can_be_guessed_is_refused(secret: str) -> None:
    """With the length and a command that creates one."""
    told = problem(CRON_SECRET=secret)

    assert "CRON_SECRET is malformed: it must be one line of ASCII, at least 16 characters" in told
    assert "openssl rand -hex 24" in told


def test_a_secret_of_sixteen_characters_is_long_enough() -> None:
    """The limit itself is allowed; surrounding space does not count."""
    assert Settings.from_env({"CRON_SECRET": " sixteen-letters! "}).auth.cron_secret == "sixteen-letters!"


@pytest.mark.parametrize("text", ["", " ", "secret:latest", "secret:3"])
def test_the_name_of_a_stored_secret_is_not_accepted_as_one(text: str) -> None:
    """A settings file for the cloud may have the name of a version in Secret Manager, which is not a secret."""
    assert Settings.from_env({"CRON_SECRET": text}).auth.cron_secret == ""


def test_settings_can_be_a_cache_key() -> None:
    """A function caches what it set up for them."""
    assert hash(Settings.from_env({"CRON_SECRET": "a" * 16})) == hash(Settings.from_env({"CRON_SECRET": "a" * 16}))
    assert Settings.from_env({"CRON_SECRET": "a" * 16}) != Settings.from_env({"CRON_SECRET": "b" * 16})
