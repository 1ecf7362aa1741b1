"""The output of a local run on the terminal."""

import io
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from shared.jobs import Jobs
from shared.settings import Settings
from shared.store.json_file import JsonStore
from watchkeeper.console.banner import banner
from watchkeeper.console.system import FunctionCall, System
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.dev.terminal import Terminal
from watchkeeper.fakes.services import FAKES, Services, running_fakes
from watchkeeper.session import place_of_jobs

AT = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC)
LOCAL_TIME = f"{AT.astimezone():%H:%M:%S}"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def terminal(stream: io.StringIO) -> Terminal:
    return Terminal(stream, colour=False)


def introduced(env: Mapping[str, str], services: Services) -> str:
    """Return the banner of a run with the tick function alone."""
    settings = Settings.from_env(env)
    clock = partial(datetime.now, UTC)
    store = JsonStore(Path("nowhere.json"), clock)
    tick = read_functions(env)[0].scheduler_job
    assert tick is not None
    system = System(
        jobs=Jobs(store, clock=clock, handlers={}, retention=settings.retention),
        handlers={},
        clock=clock,
        timezone="UTC",
        place=place_of_jobs(settings, env),
        functions={"tick": "http://127.0.0.1:8081", "chat_webhook": "http://127.0.0.1:8084"},
        headers={},
        schedules={"tick": tick},
        services=services.told(),
        last_call=lambda function: None,
        call=lambda function: FunctionCall(began_at=AT, duration=timedelta(), status=200),
        is_read_only=False,
    )
    return banner(system, 8080, settings, env)


def log_line(**fields: object) -> str:
    return json.dumps({"severity": "INFO", "message": "Claimed job a", "time": AT.isoformat(), **fields})


def test_a_log_line_is_shown_in_short(terminal: Terminal, stream: io.StringIO) -> None:
    """Local time, severity, source and message, without the fields for machines."""
    terminal.show("tick", log_line(action="job_claimed", job_id="a"))

    assert stream.getvalue() == f"{LOCAL_TIME} INFO     tick             Claimed job a\n"


def test_a_traceback_is_kept(terminal: Terminal, stream: io.StringIO) -> None:
    """The traceback stands below its line, as Python writes it."""
    traceback = 'Traceback (most recent call last):\n  File "handlers.py", line 1\nValueError: no'

    terminal.show("tick", log_line(severity="ERROR", stack_trace=traceback))

    assert stream.getvalue() == f"{LOCAL_TIME} ERROR    tick             Claimed job a\n{traceback}\n"


def test_where_a_job_failed_is_shown(terminal: Terminal, stream: io.StringIO) -> None:
    """The place of a first failure stands below its line."""
    terminal.show("tick", log_line(trace="agent/handlers.py:41 in report"))

    assert stream.getvalue().splitlines()[1:] == ["agent/handlers.py:41 in report"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Traceback (most recent call last):", id="text"),
        pytest.param("", id="empty"),
        pytest.param("[1, 2]", id="list"),
        pytest.param("42", id="number"),
        pytest.param('{"answer": 42}', id="other-object"),
        pytest.param(log_line(time="yesterday"), id="no-time"),
        pytest.param(log_line(time="0001-01-01T00:00:00+14:00"), id="time-without-local-form"),
        pytest.param(log_line(severity=["INFO"]), id="no-severity"),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_other_output_is_shown_unchanged(terminal: Terminal, stream: io.StringIO, line: str) -> None:
    """No output of a process is lost or stops the display."""
    terminal.show("tick", line)

    assert stream.getvalue() == f"{line}\n"


def test_a_long_line_is_cut(terminal: Terminal, stream: io.StringIO) -> None:
    """Log lines of any process and prints: megabytes do not belong on a terminal."""
    long = "x" * 300_000

    terminal.show("tick", log_line(severity="ERROR", message=f"{long}end"))
    terminal.show("tick", f"{long}end")
    terminal.emit(logging.makeLogRecord({"msg": f"{long}end", "levelname": "INFO", "name": "watchkeeper.dev"}))

    lines = stream.getvalue().splitlines()
    assert [len(line) <= 100_000 and line.endswith("end") and "characters cut" in line for line in lines] == [True] * 3


def test_colour_is_for_terminals(stream: io.StringIO) -> None:
    """With colour, the severity stands out and the rest of the line reads the same."""
    terminal = Terminal(stream, colour=True)

    terminal.show("tick", log_line(severity="ERROR"))

    assert "\033[31mERROR   \033[0m" in stream.getvalue()
    assert stream.getvalue().endswith(" Claimed job a\n")


def test_own_log_lines_look_the_same(terminal: Terminal, stream: io.StringIO) -> None:
    """A line of this process stands between the others, under the last part of its logger's name."""
    record = logging.LogRecord("watchkeeper.dev", logging.WARNING, "", 0, "in %d s", (2,), None)

    terminal.handle(record)

    assert stream.getvalue()[8:] == " WARNING  dev              in 2 s\n"


def test_a_closed_terminal_is_not_an_error(terminal: Terminal, stream: io.StringIO) -> None:
    """The writer continues, because it has processes to stop."""
    stream.close()

    terminal.show("tick", log_line())


@pytest.mark.parametrize(
    ("env", "says"),
    [
        pytest.param({"SCHEDULER_JSON_PATH": "/srv/jobs.json"}, "in the file /srv/jobs.json", id="json"),
        pytest.param(
            {"SCHEDULER_STORAGE": "firestore", "FIRESTORE_EMULATOR_HOST": "127.0.0.1:8899"},
            "in the Firestore emulator at 127.0.0.1:8899",
            id="emulator",
        ),
        pytest.param(
            {"SCHEDULER_STORAGE": "firestore", "GOOGLE_CLOUD_PROJECT": "acme"},
            "in the REAL Firestore: project acme",
            id="real-firestore",
        ),
        pytest.param({"AUTH_MODE": "off"}, "AUTH_MODE=off", id="open"),
        pytest.param({"CRON_SECRET": "hush-hush-hush-hush"}, "with the CRON_SECRET", id="secret"),
    ],
)
def test_the_banner_shows_what_is_real(env: dict[str, str], says: str) -> None:
    """The banner says where the jobs are and who may call the functions, without secrets."""
    text = introduced(env, Services())

    assert says in text
    assert "hush" not in text


def test_the_banner_shows_which_services_are_real() -> None:
    """A service with any setting is real; for the others the banner shows where their fakes are."""
    env = {"AIRTABLE_API_KEY": "hush", "AUTH_MODE": "off"}

    with running_fakes(env, [0] * FAKES) as services:
        text = introduced(env, services)

    assert f"Gmail            a FAKE, {services.addresses['Gmail']}/stand-in" in text
    assert "Airtable         the REAL Airtable" in text
    assert "hush" not in text


def test_the_banner_shows_where_to_look() -> None:
    """The page comes first, then every function with its schedule."""
    text = introduced({"AUTH_MODE": "off"}, Services())

    assert "To see it, open http://127.0.0.1:8080\n" in text
    assert "the real function: http://127.0.0.1:8081, called now and on * * * * * (UTC)\n" in text
    assert "the real function: http://127.0.0.1:8084\n" in text


@pytest.mark.parametrize(
    ("env", "command"),
    [
        pytest.param({}, "", id="json"),
        pytest.param({"SCHEDULER_STORAGE": "firestore"}, "", id="real-firestore"),
        pytest.param(
            {
                "SCHEDULER_STORAGE": "firestore",
                "GOOGLE_CLOUD_PROJECT": "demo",
                "FIRESTORE_EMULATOR_HOST": "127.0.0.1:8899",
            },
            "SCHEDULER_STORAGE=firestore GOOGLE_CLOUD_PROJECT=demo FIRESTORE_EMULATOR_HOST=127.0.0.1:8899 ",
            id="emulator",
        ),
    ],
)
def test_the_commands_it_shows_reach_the_same_jobs(env: dict[str, str], command: str) -> None:
    """An emulator that the run started is in no settings file, so the command line has its address."""
    text = introduced(env, Services())

    [line] = [line for line in text.splitlines() if "jobs add" in line]
    assert line.startswith(f"  {command}")
    assert ("FIRESTORE" in line) == bool(command)
