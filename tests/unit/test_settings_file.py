"""The settings file: which one is read, and how it completes the environment."""

from pathlib import Path

import pytest

from shared.errors import InvalidSettings
from shared.settings import (
    SETTINGS_FILE,
    complete_environment,
    find_settings_file,
    read_settings,
)


def test_values_of_a_settings_file_are_taken_literally(tmp_path: Path) -> None:
    """No command and no variable in a settings file is ever expanded; a name without a value counts as not set."""
    (tmp_path / "settings").write_text('A="$(id) $HOME ${HOME}"\nB=\nC\nexport D=d # comment\n')

    settings = read_settings(tmp_path / "settings")

    assert settings == {"A": "$(id) $HOME ${HOME}", "B": "", "D": "d"}


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    """A misspelt name never means the defaults."""
    with pytest.raises(InvalidSettings, match=r"the settings file .*staging.env cannot be read"):
        read_settings(tmp_path / "staging.env")


def test_a_line_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A setting with an unclosed quote is never silently dropped; the error does not show the line."""
    (tmp_path / "settings").write_text('A=a\nNO SETTING\nCRON_SECRET="s3cret\nB=b\n')

    with pytest.raises(InvalidSettings, match=r"the settings file .*settings cannot be read: look at line 2, 3$"):
        read_settings(tmp_path / "settings")


def test_a_file_completes_the_environment_and_never_overrides_it(tmp_path: Path) -> None:
    """A variable that is set stays, even if it is empty."""
    (tmp_path / ".env").write_text("SCHEDULER_TIMEZONE=Asia/Tokyo\nLOG_LEVEL=DEBUG\nCRON_SECRET=0123456789abcdef\n")
    env = {"LOG_LEVEL": "ERROR", "CRON_SECRET": ""}

    path = complete_environment(env, tmp_path)

    assert env == {"SCHEDULER_TIMEZONE": "Asia/Tokyo", "LOG_LEVEL": "ERROR", "CRON_SECRET": ""}
    assert path == tmp_path / ".env"


def test_the_file_is_that_of_the_project_wherever_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in another folder, which may have its own .env, finds the same jobs."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project, elsewhere):
        folder.mkdir()
        (folder / ".env").write_text(f"SCHEDULER_COLLECTION={folder.name}\n")
    monkeypatch.chdir(elsewhere)

    assert find_settings_file({}, project) == project / ".env"
    assert find_settings_file({}, tmp_path) is None


def test_another_file_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the current folder, as on every command line; a missing file is an error."""
    (tmp_path / "prod.env").write_text("LOG_LEVEL=DEBUG\n")
    monkeypatch.chdir(tmp_path)
    env = {SETTINGS_FILE: "prod.env"}

    complete_environment(env, tmp_path)

    assert env["LOG_LEVEL"] == "DEBUG"
    with pytest.raises(InvalidSettings, match=r"the settings file .*missing.env cannot be read"):
        complete_environment({SETTINGS_FILE: "missing.env"}, tmp_path)


def test_a_deployed_function_reads_no_file(tmp_path: Path) -> None:
    """All its settings are in its environment."""
    (tmp_path / ".env").write_text("SCHEDULER_STORAGE=json\n")
    env = {"K_SERVICE": "watchkeeper-tick", SETTINGS_FILE: str(tmp_path / ".env")}

    assert complete_environment(env, tmp_path) is None
    assert "SCHEDULER_STORAGE" not in env


def test_a_settings_file_written_on_windows_is_read(tmp_path: Path) -> None:
    """With its byte order mark and its line ends."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfLOG_LEVEL=DEBUG\r\nSCHEDULER_TIMEZONE=Asia/Tokyo\r\n")

    assert read_settings(tmp_path / ".env") == {"LOG_LEVEL": "DEBUG", "SCHEDULER_TIMEZONE": "Asia/Tokyo"}
