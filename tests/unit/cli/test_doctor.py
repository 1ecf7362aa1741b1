"""`doctor` examines settings, store, handlers, limits and clock."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from shared.handlers import Handler
from shared.store.protocol import Lost, Outcome, Unknown
from tests.support.command_line import HOUR, JobFactory, ScriptedStore, Terminal, former
from watchkeeper.deploy.functions_table import read_functions


def findings(result: Result) -> list[tuple[str, str]]:
    return [(state, subject) for state, subject, *_ in (line.split() for line in result.stdout.splitlines())]


def test_a_healthy_installation_has_good_lines_only(run: Terminal, job_factory: JobFactory) -> None:
    """Settings, store with its jobs by status, handlers, limits and clock."""
    run.put(job_factory("a"), job_factory("b"))

    result = run("doctor")

    assert result.exit_code == 0
    assert list(dict.fromkeys(findings(result))) == [
        ("ok", "settings"),
        ("ok", "store"),
        ("ok", "handlers"),
        ("ok", "limits"),
        ("ok", "queues"),  # one for each job type that has one
        ("ok", "clock"),
    ]
    assert "2 pending" in result.stdout


def test_a_token_that_proves_chat_and_not_the_app_is_warned_of(run: Terminal) -> None:
    """The warning has the remedy; the exit code stays 0."""
    run.env["CHAT_AUTH"] = "endpoint"

    result = run("doctor")

    (line,) = [line for line in result.stdout.splitlines() if line.startswith("warning")]
    assert result.exit_code == 0
    assert "chat      CHAT_AUTH=endpoint is legacy" in line
    assert line.endswith("set it to addon or project_number, as docs/CHAT.md says")


def test_a_kind_of_token_that_does_not_exist_is_wrong(run: Terminal) -> None:
    """A local run of the Chat function would refuse every event."""
    run.env["CHAT_AUTH"] = "oauth"

    result = run("doctor")

    assert result.exit_code == 1
    says = "CHAT_AUTH is 'oauth': it must be one of addon, endpoint, project_number"
    assert [line for line in result.stdout.splitlines() if "chat  " in line] == [f"wrong    chat      {says}"]


def test_what_is_wrong_is_found_at_once(run: Terminal, job_factory: JobFactory) -> None:
    """Unreadable documents, waiting jobs without a handler and inconsistent limits, each with its remedy."""
    run.env["CALL_TIMEOUT_SECONDS"] = "60"
    run.put_raw(bad=former("bad"))
    run.put(job_factory("a", "digest"), job_factory("b", "digest"))

    result = run("doctor")

    assert result.exit_code == 1
    assert [finding for finding in findings(result) if finding[0] == "wrong"] == [
        ("wrong", "store"),
        ("wrong", "handlers"),
        ("wrong", "limits"),
    ]
    assert "1 cannot be read (bad)" in result.stdout
    assert "jobs upgrade" in result.stdout
    assert "no handler for digest (jobs: 2)" in result.stdout


def test_a_store_that_cannot_be_written_is_wrong(run: Terminal) -> None:
    """Reading is not enough: the next job could not be added."""
    run.fakes["store"] = ShiftedStore(run.at, Unknown("the disk is full"))

    result = run("doctor")

    assert result.exit_code == 1
    assert "wrong    store     it can be read, but not written (no jobs): the disk is full" in result.stdout


def test_the_doctor_leaves_nothing_in_the_store(run: Terminal, job_factory: JobFactory) -> None:
    """It deletes its own document and that of a doctor that was killed, which it does not count."""
    run.put(job_factory(), job_factory("watchkeeper:doctor"))

    first, second = run("doctor"), run("doctor")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "it can be read and written: 1 pending" in first.stdout
    assert list(json.loads(run.path.read_text())["jobs"]) == ["job"]


def test_the_doctor_counts_what_the_list_shows(run: Terminal, job_factory: JobFactory) -> None:
    """Subscriptions are counted separately."""
    run.put(job_factory("a"), job_factory("subscription:gmail:ada@example.com", "subscription_check"))

    assert "1 pending; and 1 subscription\n" in run("doctor").stdout
    assert len(run("jobs", "list").stdout.splitlines()) == 2


def test_limits_are_those_that_are_deployed(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout of functions.toml applies unless another one is set here."""
    tick = next(function for function in read_functions({}) if function.name == "tick")
    monkeypatch.setattr("watchkeeper.cli.doctor.read_functions", lambda env: [replace(tick, timeout=HOUR)])
    run.fakes["handlers"] = {"long": Handler(job_type="long", run=print, timeout=timedelta(minutes=58))}

    deployed = run("doctor")
    run.env["CALL_TIMEOUT_SECONDS"] = "180"

    assert ("ok", "limits") in findings(deployed)
    assert ("wrong", "limits") in findings(run("doctor"))


def test_code_that_is_not_deployed_is_warned_of(run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works on this machine only."""
    (tmp_path / "beside_the_project.py").write_text("def answer(text, context): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    run.env |= {"JOB_HANDLERS": "beside_the_project", "CHAT_AGENT": "beside_the_project:answer"}

    result = run("doctor")

    assert result.exit_code == 0
    assert {("warning", "handlers"), ("warning", "agent")} <= set(findings(result))


@pytest.mark.parametrize(
    ("env", "wrong"),
    [
        pytest.param({"SCHEDULER_STORAGE": "paper"}, "settings", id="settings"),
        pytest.param({"JOB_HANDLERS": "no_such_module"}, "handlers", id="handlers"),
        pytest.param({"CHAT_AGENT": "agent.chat:nobody"}, "agent", id="agent"),
    ],
)
def test_the_doctor_survives_what_it_examines(run: Terminal, env: dict[str, str], wrong: str) -> None:
    """Something that cannot be opened is a finding, not a crash."""
    run.env |= env

    result = run("doctor")

    assert result.exit_code == 1
    assert ("wrong", wrong) in findings(result)


def test_a_broken_store_is_a_finding(run: Terminal) -> None:
    """Everything else is still examined."""
    run.path.write_text("{")

    result = run("doctor")

    assert result.exit_code == 1
    examined = [("ok", "settings"), ("wrong", "store"), ("ok", "handlers"), ("ok", "limits"), ("ok", "queues")]
    assert list(dict.fromkeys(findings(result))) == examined


class ShiftedStore(ScriptedStore):
    """A store whose clock differs from ours."""

    def __init__(self, time: datetime, answer: Outcome | None = None) -> None:
        super().__init__(answer or Lost())
        self.time = time

    def now(self) -> datetime:
        return self.time


@pytest.mark.parametrize(
    ("seconds", "state", "code"),
    [
        pytest.param(5, "ok", 0, id="within"),
        pytest.param(6, "warning", 0, id="ahead"),
        pytest.param(-30, "warning", 0, id="behind"),
        pytest.param(31, "wrong", 1, id="far-ahead"),
        pytest.param(-31, "wrong", 1, id="far-behind"),
    ],
)
def test_the_clock_is_compared_with_the_stores(
    run: Terminal, now: datetime, seconds: int, state: str, code: int
) -> None:
    """More than 5 s apart is a warning, more than 30 s is wrong."""
    run.fakes["store"] = ShiftedStore(now + timedelta(seconds=seconds))

    result = run("doctor")

    assert result.exit_code == code
    assert findings(result)[-1] == (state, "clock")
