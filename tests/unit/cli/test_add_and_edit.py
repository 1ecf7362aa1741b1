"""`jobs add` and `jobs edit`."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.command_line import HELLO, JobFactory, Terminal


def test_a_job_is_added_for_now(run: Terminal, now: datetime) -> None:
    """Without a time it is due at once; the job records who added it."""
    result = run("jobs", "add", "log", "--id", "job", "--payload", HELLO)

    assert result.stdout == "job job: created, pending, 2026-11-21 09:00:00Z (now)\n"
    assert (run.job().ready_at, run.job().created_by) == (now, "cli:ada")


def test_a_time_that_has_passed_is_mentioned(run: Terminal) -> None:
    """The year may be a typing error; a recurring job may start in the past."""
    log = ("jobs", "add", "log", "--payload", HELLO, "--at", "2025-11-21T10:00")

    assert run(*log).stderr == "warning: that time has passed, so it runs with the next tick\n"
    assert run(*log, "--every", "1d").stderr == ""


def test_adding_twice_changes_nothing(run: Terminal) -> None:
    """The same id and definition change nothing; another definition is refused unless --replace is given."""
    add = ["jobs", "add", "log", "--id", "job", "--payload"]
    run(*add, HELLO)

    again = run(*add, HELLO)
    other = run(*add, '{"message": "other"}')
    replaced = run(*add, '{"message": "other"}', "--replace")

    assert again.stdout.startswith("job job: unchanged")
    assert (other.exit_code, "payload is" in other.stderr) == (1, True)
    assert replaced.stdout.startswith("job job: replaced")
    assert run.job().payload == {"message": "other"}


def test_every_option_reaches_the_job(run: Terminal, tmp_path: Path) -> None:
    """A recurring job with every option; the payload comes from a file."""
    (tmp_path / "payload.json").write_text(HELLO)
    payload = f"@{tmp_path / 'payload.json'}"

    run(
        *("jobs", "add", "log", "--id", "job", "--payload", payload, "--cron", "0 9 * * *"),
        *("--timezone", "Europe/Berlin", "--at", "2026-12-01T10:00", "--misfire", "skip"),
        *("--max-attempts", "7", "--space", "spaces/A"),
    )

    job = run.job()
    assert (job.payload, job.cron, job.timezone) == ({"message": "hello"}, "0 9 * * *", "Europe/Berlin")
    assert (job.misfire, job.max_attempts, job.space) == ("skip", 7, "spaces/A")
    assert job.schedule_at == datetime(2026, 12, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("args", "at"),
    [
        pytest.param(["--in", "20m"], "2026-11-21T09:20:00+00:00", id="minutes"),
        pytest.param(["--in", "1d2h3m4s"], "2026-11-22T11:03:04+00:00", id="all-units"),
        pytest.param(["--at", "2026-12-01T10:00+01:00"], "2026-12-01T09:00:00+00:00", id="offset"),
        pytest.param(["--at", "2026-12-01T10:00"], "2026-12-01T01:00:00+00:00", id="scheduler-timezone"),
        pytest.param(
            ["--at", "2026-12-01T10:00", "--timezone", "Europe/Berlin"], "2026-12-01T09:00:00+00:00", id="timezone"
        ),
        pytest.param(
            ["--at", "2026-10-25T02:30+01:00", "--timezone", "Europe/Berlin"], "2026-10-25T01:30:00+00:00", id="pass"
        ),
    ],
)
def test_a_time_is_read_on_the_right_clocks(run: Terminal, args: Sequence[str], at: str) -> None:
    """A naive time is in the zone of --timezone, or else of SCHEDULER_TIMEZONE; a duration counts from now."""
    run.env["SCHEDULER_TIMEZONE"] = "Asia/Tokyo"

    run("jobs", "add", "log", "--id", "job", "--payload", HELLO, *args)

    assert run.job().schedule_at == datetime.fromisoformat(at)


@pytest.mark.parametrize(
    ("at", "says"),
    [
        pytest.param("2026-03-29T02:30", "does not exist in Europe/Berlin", id="skipped"),
        pytest.param("2026-10-25T02:30", "write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00", id="repeated"),
    ],
)
def test_an_ambiguous_or_skipped_clock_time_is_refused(run: Terminal, at: str, says: str) -> None:
    """Where the clocks change, a naive time may exist twice or not at all; the error says so and what to write."""
    result = run("jobs", "add", "log", "--payload", HELLO, "--timezone", "Europe/Berlin", "--at", at)

    assert result.exit_code == 1
    assert says in result.stderr


@pytest.mark.parametrize("command", [("add", "log", "--payload", '{"message": "x"}'), ("edit", "job")])
def test_a_time_zone_is_checked_although_nothing_needs_it(
    run: Terminal, job_factory: JobFactory, command: Sequence[str]
) -> None:
    """A slip would otherwise be found by the next command that does need it."""
    run.put(job_factory("job", cron="0 9 * * *"))

    result = run("jobs", *command, "--timezone", "Mars/X")

    assert (result.exit_code, "Mars/X" in result.stderr) == (1, True)


def test_a_job_without_a_handler_is_added_with_allow_unknown(run: Terminal) -> None:
    """The handler may be deployed elsewhere, or the type may be a typing error; an option tells which."""
    refused = run("jobs", "add", "lgo", "--id", "job")
    added = run("jobs", "add", "digest", "--id", "job", "--allow-unknown")

    assert refused.exit_code == 1
    assert "no handler is registered for 'lgo' (did you mean log?)" in refused.stderr
    assert "--allow-unknown" in refused.stderr
    assert (added.exit_code, run.job().job_type) == (0, "digest")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_a_terminal_asks_about_a_job_without_a_handler(
    run: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    """A person can answer yes."""
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)

    result = run("jobs", "add", "digest", "--id", "job", answer=answer)

    assert result.exit_code == code
    assert "Add it anyway?" in result.stderr
    assert ("job" in json.loads(run.path.read_text())["jobs"] if run.path.exists() else False) == (code == 0)


def test_an_edit_changes_what_is_given(run: Terminal, job_factory: JobFactory) -> None:
    """Everything else stays; the change is recorded, and the output has the next run."""
    run.put(job_factory(cron="0 9 * * *", space="spaces/A"))

    result = run("jobs", "edit", "job", "--cron", "30 8 * * *")

    assert result.stdout == "job job: pending, 2026-11-22 08:30:00Z (in 23 h)\n"
    job = run.job()
    assert (job.cron, job.space, job.payload) == ("30 8 * * *", "spaces/A", {"message": "hello"})
    assert job.updated_by == "cli:ada"


def test_an_edit_moves_a_job_to_a_time(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """--in counts from now."""
    run.put(job_factory())

    run("jobs", "edit", "job", "--in", "90s")

    assert run.job().ready_at == now + timedelta(seconds=90)
