"""What keeps a local run from starting is one line, and nothing is started."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.local_run import PROCESSES, free_port
from watchkeeper.dev.run import run
from watchkeeper.fakes.services import FAKES

Failing = Callable[..., str]


@pytest.fixture
def failing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Failing:
    """Try to start a local run with some settings, and return the line that says why it cannot."""

    def failing(storage: str | None = None, **settings: str) -> str:
        code = run({"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json"), **settings}, storage)
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (1, "", 1)
        return err

    return failing


@pytest.mark.parametrize("offset", [pytest.param(0, id="console"), pytest.param(PROCESSES + FAKES, id="last")])
def test_a_port_that_is_taken_is_named(failing: Failing, offset: int) -> None:
    """With the setting that chooses another."""
    port = (first := free_port()) + offset

    with socket.create_server(("127.0.0.1", port)):
        error = failing(DEV_PORT=str(first))

    assert error.startswith(f"error: port {port} cannot be used (Address already in use)")
    assert "DEV_PORT" in error


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param({"AUTH_MODE": "verify"}, "cannot sign Google's tokens: set CRON_SECRET", id="no-way-in"),
        pytest.param({"DEV_PORT": "http"}, "DEV_PORT is 'http'", id="bad-port"),
        pytest.param({"SCHEDULER_CADENCE": "often"}, "SCHEDULER_CADENCE", id="bad-cadence"),
    ],
)
def test_an_invalid_setting_is_named(failing: Failing, settings: dict[str, str], says: str) -> None:
    """With what is wrong with it."""
    error = failing(**settings)

    assert error.startswith("error: ")
    assert says in error


def test_an_unreadable_job_file_is_left_unchanged(failing: Failing, tmp_path: Path) -> None:
    """Somebody's jobs are in it."""
    (tmp_path / "jobs.json").write_text('{"counter": 1, "jo')

    assert "jobs.json is not JSON" in failing(DEV_PORT=str(free_port()))
    assert (tmp_path / "jobs.json").read_text() == '{"counter": 1, "jo'


def test_an_emulator_that_is_not_installed_is_an_error(
    failing: Failing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is missing and where to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    error = failing("firestore", DEV_PORT=str(free_port()))

    assert error.startswith("error: the Firestore emulator needs gcloud: https://")
