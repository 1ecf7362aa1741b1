"""The command line over a JSON store: what it prints, what it changes, how it ends."""

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from shared.handlers import Context, Handler, Payload
from shared.model.history import Result as RunResult
from shared.model.job import Job
from shared.model.value import Status
from shared.settings import SETTINGS_FILE
from shared.store.documents import Unreadable, to_document
from shared.store.json_file import JsonStore
from shared.store.protocol import PAGE, Change, Lost, Outcome, Unknown, Won
from watchkeeper.cli.completion import MOST_OFFERED
from watchkeeper.cli.display import print_table
from watchkeeper.cli.main import watchkeeper
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.session import Session
from watchkeeper.times import span

PROJECT = Path(__file__).resolve().parents[2]
HELLO = '{"message": "hello"}'
HOUR = timedelta(hours=1)
JobFactory = Callable[..., Job]


@dataclass
class Terminal:
    """Calls the command line in this process, as Ada, on one job file; `at` is the time."""

    path: Path
    at: datetime
    env: dict[str, str] = field(default_factory=dict)
    fakes: dict[str, object] = field(default_factory=dict)
    clock: Callable[[], datetime] | None = None

    def __call__(self, *args: str, answer: str | None = None, color: bool = False) -> Result:
        """Call `watchkeeper` with the arguments; `answer` is its standard input, `color` a terminal that has it."""
        session = Session(
            env={"SCHEDULER_JSON_PATH": str(self.path), **self.env}, clock=self.clock or (lambda: self.at), user="ada"
        )
        vars(session).update(self.fakes)
        return CliRunner().invoke(watchkeeper, args, obj=session, input=answer, color=color)

    @property
    def store(self) -> JsonStore:
        """The store behind the commands."""
        return JsonStore(self.path, lambda: self.at)

    def put(self, *jobs: Job) -> None:
        """Store jobs."""
        assert all(isinstance(outcome, Won) for outcome in self.store.swap([Change(None, job) for job in jobs]))

    def put_raw(self, **documents: Mapping[str, Any]) -> None:
        """Write documents into the file as they stand, in the place of all jobs."""
        self.path.write_text(json.dumps({"counter": 1, "jobs": documents, "versions": {}}))

    def job(self, job_id: str = "job") -> Job:
        """Read a job."""
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job), job
        return job


@pytest.fixture
def run(tmp_path: Path, now: datetime) -> Terminal:
    """The command line, on an empty store."""
    return Terminal(path=tmp_path / "jobs.json", at=now)


def former(job_id: str = "job", **fields: Any) -> dict[str, Any]:
    """Return an object of the former system's jobs.json."""
    return {
        "id": job_id,
        "job_type": "log",
        "schedule_at": "2026-11-20T09:00:00",
        "payload": {"message": "hello"},
        "status": "pending",
        "created_at": "2026-10-01T08:30:00",
        "attempts": 0,
        "max_attempts": 3,
        **fields,
    }


@pytest.fixture
def jobs_json(tmp_path: Path) -> Callable[..., str]:
    """Write objects to a jobs.json and give its path."""

    def write(*objects: Any) -> str:
        path = tmp_path / "former.json"
        path.write_text(json.dumps(objects))
        return str(path)

    return write


# -- help and usage ----------------------------------------------------------------------------------------------------


def commands(group: click.Group, *path: str) -> Iterator[Sequence[str]]:
    """Return the path of every command below a group."""
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("path", [pytest.param(path, id=" ".join(path)) for path in commands(watchkeeper)])
def test_every_command_explains_itself(run: Terminal, path: Sequence[str]) -> None:
    """The help says what it does, and every command gives an example of itself."""
    result = run(*path, "--help")

    assert result.exit_code == 0
    assert path == ("jobs",) or f"  watchkeeper {' '.join(path)}" in result.stdout


def test_the_version_is_that_of_the_package(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--version` tells which release is installed."""
    monkeypatch.setattr("importlib.metadata.version", {"watchkeeper": "1.2.3"}.get)

    assert run("--version").stdout == "watchkeeper 1.2.3\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["jobs", "add", "log", "--payload", "{"], "'{' is not JSON", id="broken-json"),
        pytest.param(["jobs", "add", "log", "--payload", "[1]"], "no object", id="no-object"),
        pytest.param(["jobs", "add", "log", "--payload", "@nowhere"], "nowhere cannot be read", id="no-payload-file"),
        pytest.param(["jobs", "add", "log", "--at", "tomorrow"], "'tomorrow' is not an ISO time", id="time"),
        pytest.param(["jobs", "add", "log", "--in", "5x"], "'5x' is not a duration", id="duration"),
        pytest.param(["jobs", "add", "log", "--in", ""], "'' is not a duration", id="empty-duration"),
        pytest.param(["jobs", "add", "log", "--in", "5m", "--at", "2026-11-22"], "not both", id="two-times"),
        pytest.param(["jobs", "add", "log", "--cron", "@daily", "--every", "1d"], "not both", id="two-rhythms"),
        pytest.param(["jobs", "add", "log", "--every", "1d", "--until", "soon"], "'soon' is not an ISO", id="until"),
        pytest.param(["jobs", "edit", "job", "--except", "2026-02-30"], "'2026-02-30' is not a date", id="no-date"),
        pytest.param(["jobs", "edit", "job", "--except", ""], "'' is not a date", id="empty-date"),
        pytest.param(["jobs", "edit", "job", "--grace", "soon"], "'soon' is not a duration", id="grace"),
        pytest.param(["jobs", "edit", "job", "--pause-after-failures", "-1"], "-1 is not in the range", id="failures"),
        pytest.param(["jobs", "add", "log", "--misfire", "panic"], "'panic'", id="misfire"),
        pytest.param(["jobs", "edit", "job"], "Nothing to change", id="empty-edit"),
        pytest.param(["jobs", "list", "--status", "odd"], "'odd'", id="status"),
        pytest.param(["jobs", "cancel"], "Missing argument 'ID...'", id="no-id"),
        pytest.param(["jobs", "import", "nowhere.json"], "nowhere.json", id="no-file"),
        pytest.param(["cron", "@daily", "--count", "0"], "0 is not in the range", id="count"),
        pytest.param(["renew"], "choose gmail or airtable", id="nothing-to-renew"),
        pytest.param(["renew", "slack"], "'slack' is not one of 'gmail', 'airtable'", id="no-service"),
        pytest.param(["remind"], "No such command", id="no-command"),
    ],
)
def test_a_usage_error_names_what_is_wrong(run: Terminal, args: Sequence[str], says: str) -> None:
    """Wrong usage ends with 2, and nothing is stored."""
    result = run(*args)

    assert result.exit_code == 2
    assert says in result.stderr
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["jobs", "add", "log", "--payload", "{}"], "a log job needs", id="payload"),
        pytest.param(["jobs", "add", "no type"], "'no type", id="type"),
        pytest.param(["jobs", "add", "log", "--id", "no id", "--payload", HELLO], "the id 'no id'", id="id"),
        pytest.param(["jobs", "add", "log", "--cron", "61 * * * *"], "'61'", id="cron"),
        pytest.param(["jobs", "add", "log", "--every", "1 day"], "every '1 day' cannot be read", id="every"),
        pytest.param(["jobs", "add", "log", "--every", "1d", "--until", "2020-01-01"], "never comes", id="never"),
        pytest.param(["jobs", "add", "log", "--until", "2027-01-01"], "give cron or every", id="end-of-a-one-shot"),
        pytest.param(["jobs", "add", "log", "--every", "1d", "--grace", "9s"], "from 60", id="grace"),
        pytest.param(["jobs", "add", "log", "--cron", "@daily", "--timezone", "Mars"], "'Mars'", id="timezone"),
        pytest.param(["jobs", "add", "log", "--at", "2027-01-01", "--timezone", "Mars"], "'Mars'", id="zone-of-at"),
        pytest.param(["jobs", "add", "log", "--at", "0001-01-01T00:00+14:00"], "too far away", id="before-all-time"),
        pytest.param(["jobs", "show", "job"], "there is no job job", id="unknown"),
        pytest.param(["jobs", "edit", "job", "--cron", "@daily"], "there is no job job", id="edit-unknown"),
        pytest.param(["cron", "* * *"], "'* * *'", id="cron-fields"),
        pytest.param(["cron", "@daily", "--from", "2026-03-29T02:30", "--timezone", "Europe/Berlin"], "skip", id="gap"),
    ],
)
def test_an_error_is_one_line(run: Terminal, args: Sequence[str], says: str) -> None:
    """What cannot be done ends with 1 and one line on stderr that names it."""
    result = run(*args)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_settings_are_needed_only_where_they_are_used(run: Terminal) -> None:
    """A mistake in the settings is an error that names it; `cron` on a given timezone does without them."""
    run.env["SCHEDULER_STORAGE"] = "paper"

    assert "SCHEDULER_STORAGE is 'paper'" in run("jobs", "list").stderr
    assert run("cron", "@daily", "--timezone", "UTC").exit_code == 0


# -- add and edit ------------------------------------------------------------------------------------------------------


def test_a_job_is_added_for_now(run: Terminal, now: datetime) -> None:
    """Without a time it is due at once; who added it is recorded."""
    result = run("jobs", "add", "log", "--id", "job", "--payload", HELLO)

    assert result.stdout == "job job: created, pending, 2026-11-21 09:00:00Z (now)\n"
    assert (run.job().ready_at, run.job().created_by) == (now, "cli:ada")


def test_a_time_that_has_passed_is_mentioned(run: Terminal) -> None:
    """It may be a slip in the year; the start of a recurring job may well have passed."""
    log = ("jobs", "add", "log", "--payload", HELLO, "--at", "2025-11-21T10:00")

    assert run(*log).stderr == "warning: that time has passed, so it runs with the next tick\n"
    assert run(*log, "--every", "1d").stderr == ""


def test_adding_twice_changes_nothing(run: Terminal) -> None:
    """The same id and definition is found as it was, another one is refused, --replace applies it."""
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
    """A recurring job with all that can be said of one; the payload comes from a file."""
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
    """A naive time is on the clocks of --timezone, else of SCHEDULER_TIMEZONE; a duration counts from now."""
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
def test_a_clock_time_that_is_no_one_moment_is_refused(run: Terminal, at: str, says: str) -> None:
    """Where the clocks change, a naive time may exist not at all, or twice; the error says so and what to write."""
    result = run("jobs", "add", "log", "--payload", HELLO, "--timezone", "Europe/Berlin", "--at", at)

    assert result.exit_code == 1
    assert says in result.stderr


def test_a_job_without_a_handler_is_added_when_it_is_meant(run: Terminal) -> None:
    """The handler may be deployed elsewhere, or the type be a slip; a script says which."""
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
    """A person can say yes."""
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)

    result = run("jobs", "add", "digest", "--id", "job", answer=answer)

    assert result.exit_code == code
    assert "Add it all the same?" in result.stderr
    assert ("job" in json.loads(run.path.read_text())["jobs"] if run.path.exists() else False) == (code == 0)


def test_an_edit_changes_what_is_given(run: Terminal, job_factory: JobFactory) -> None:
    """The rest stays; the change is recorded; the answer says when it runs next."""
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


# -- list and show -----------------------------------------------------------------------------------------------------


def test_a_list_in_a_pipe_is_plain_and_whole(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """One line a job, nothing cut off, no colours, control characters gone; times on the job's own clocks."""
    long = "x" * 200
    run.put(
        replace(job_factory(long, at=now), error="bold \x1b[1m\nline " + "y" * 300),
        job_factory("daily", cron="0 9 * * *", timezone="Europe/Berlin"),
    )

    header, daily, first = run("jobs", "list").stdout.splitlines()

    assert header.split() == ["ID", "TYPE", "STATUS", "WHEN", "NEXT", "RUN", "SCHEDULE", "REMARK"]
    assert " ".join(daily.split()) == "daily log pending in 23 h 2026-11-22 09:00:00+01:00 0 9 * * * Europe/Berlin"
    assert first.startswith(f"{long}  log")
    assert first.endswith("bold  [1m line " + "y" * 300)


def test_a_list_as_json_holds_the_fields_of_the_file(run: Terminal, job_factory: JobFactory) -> None:
    """A list of objects, the times as ISO text, the payload as an object, fields that are not ours too."""
    run.put(replace(job_factory(), extra={"owner": "me"}))

    (job,) = json.loads(run("jobs", "list", "--json").stdout)

    assert list(job)[:2] == ["id", "job_type"]
    assert job == json.loads(run.path.read_text())["jobs"]["job"]
    assert (job["payload"], job["owner"]) == ({"message": "hello"}, "me")
    assert job["ready_at"] == "2026-11-21T09:00:00Z"


def test_an_empty_list_says_so(run: Terminal) -> None:
    """People read a sentence, programs an empty list."""
    assert run("jobs", "list").stdout == "No jobs found.\n"
    assert json.loads(run("jobs", "list", "--json").stdout) == []


def test_a_list_can_be_narrowed(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """By status, space and number; subscriptions are listed when asked for."""
    run.put(
        job_factory("a"),
        job_factory("b", space="spaces/B"),
        job_factory("c").pause(now=now),
        job_factory("subscription:gmail:ada@example.com"),
    )

    def ids(*options: str) -> list[str]:
        return [job["id"] for job in json.loads(run("jobs", "list", "--json", *options).stdout)]

    assert ids() == ["a", "b", "c"]
    assert ids("--status", "paused") == ["c"]
    assert ids("--space", "spaces/B") == ["b"]
    assert ids("--limit", "2") == ["a", "b"]
    assert ids("--all")[-1] == "subscription:gmail:ada@example.com"
    assert ids("--status", "paused", "--status", "pending") == ["a", "b", "c"]
    assert ids("--space", "spaces/B", "--status", "paused") == []


def test_a_list_can_be_searched_and_sorted(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """By type, by a text in id, type or payload, and by the next run; what has none comes last."""
    run.put(
        job_factory("a", at=now + 2 * HOUR, payload={"message": "Grüße an Ada"}),
        job_factory("b", at=now + HOUR, job_type="digest"),
        job_factory("c").pause(now=now),
    )

    def ids(*options: str) -> list[str]:
        return [job["id"] for job in json.loads(run("jobs", "list", "--json", *options).stdout)]

    assert ids("--type", "digest") == ["b"]
    assert ids("--search", "GRÜSSE") == ids("--search", "grüße") == ["a"]
    assert ids("--search", "dige") == ["b"]
    assert ids("--sort", "next") == ["b", "a", "c"]
    assert ids("--sort", "next", "--limit", "1") == ["b"]


def test_a_job_with_a_queue_shows_where_it_runs(run: Terminal, job_factory: JobFactory) -> None:
    """By the settings of this command: those of the tick may be others."""
    run.put(job_factory("ask", "agent", payload={"prompt": "what is new?", "space": "spaces/A"}), job_factory("b"))

    place = "in the tick, for 120 s at most, since TASK_QUEUES does not name queue agents (by the settings here)"
    assert place in " ".join(run("jobs", "show", "ask").stdout.split())
    assert "TASK_QUEUES" not in run("jobs", "show", "b").stdout


def test_all_failed_jobs_of_a_type_are_retried(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """Without an id, so that a repaired service is one command away; other types and states are left alone."""
    failed = RunResult(started_at=now, ended_at=now, by="schedule", error="boom", final=True)
    run.put(
        *(
            job_factory(job_id, job_type)
            .claim(now=now, token="t", lease=HOUR, retention=HOUR)
            .finish(failed, retention=HOUR)
            for job_id, job_type in [("a", "digest"), ("b", "log"), ("c", "digest")]
        ),
        job_factory("d", "digest"),
    )

    result = run("jobs", "retry", "--all", "--type", "digest")

    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["job a: pending", "job c: pending"]
    assert run.job("b").status is Status.FAILED
    assert run("jobs", "retry", "--all", "--type", "digest").stdout == "No failed jobs of type digest found.\n"
    assert run("jobs", "retry").exit_code == run("jobs", "retry", "--type", "log").exit_code == 2
    assert run("jobs", "retry", "b", "--all").exit_code == 2


def test_a_long_list_comes_in_pages(run: Terminal, job_factory: JobFactory) -> None:
    """Every job is listed once, under one header."""
    run.put(*(job_factory(f"job-{number:03}") for number in range(PAGE + 1)))

    lines = run("jobs", "list").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["ID", *(f"job-{number:03}" for number in range(PAGE + 1))]


def test_unreadable_documents_are_listed_with_the_reason(run: Terminal) -> None:
    """For people in the table; for programs as they stand, with a word on stderr."""
    run.put_raw(bad=former("bad", status="odd", ready_at="2026-11-20T09:00:00Z"))

    table, as_json = run("jobs", "list"), run("jobs", "list", "--json")

    assert table.stdout.splitlines()[1].split()[:3] == ["bad", "log", "unreadable"]
    assert json.loads(as_json.stdout)[0]["status"] == "odd"
    assert "1 cannot be read" in as_json.stderr


def test_a_job_is_shown_with_its_runs(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """All fields, and the history as a table of its own."""
    held = job_factory().claim(now=now, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1))
    run.put(held.claim(now=now + timedelta(minutes=5), token="u", lease=timedelta(minutes=5), retention=timedelta(1)))

    lines = run("jobs", "show", "job").stdout.splitlines()

    assert ["status", "running"] in [line.split() for line in lines]
    assert lines[-2].split() == ["OCCURRENCE", "OUTCOME", "STARTED", "TOOK", "BY", "RESULT"]
    assert lines[-1].split()[:6] == ["2026-11-21", "09:00:00Z", "died", "2026-11-21", "09:00:00Z", "5"]


def test_a_job_is_shown_with_what_its_runs_returned(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """The table of runs ends with the error of a run, or with its output; as JSON each run has its own."""
    held = job_factory().claim(now=now, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1))
    run.put(held.finish(RunResult(started_at=now, ended_at=now, by="x", output="42 rows"), retention=timedelta(1)))

    assert run("jobs", "show", "job").stdout.splitlines()[-1].endswith("42 rows")
    assert json.loads(run("jobs", "show", "job", "--json").stdout)["recent_runs"][0]["output"] == "42 rows"


def test_a_job_as_json_is_one_object(run: Terminal, job_factory: JobFactory) -> None:
    """The same fields as in the list."""
    run.put(job_factory())

    assert json.loads(run("jobs", "show", "job", "--json").stdout)["id"] == "job"


def test_an_unreadable_document_is_shown_and_fails(run: Terminal) -> None:
    """What stands there is shown; the error says why it is no job."""
    run.put_raw(bad=former("bad", status="odd"))

    result = run("jobs", "show", "bad")

    assert result.exit_code == 1
    assert ["status", "odd"] in [line.split() for line in result.stdout.splitlines()]
    assert "schedule_at" in result.stderr or "status is 'odd'" in result.stderr or "created_at" in result.stderr


class Tty(io.StringIO):
    """A terminal's stdout."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Print a table on a terminal of a width and return its lines."""

    def lines(width: int, header: Sequence[str], *rows: Sequence[str], expendable: Sequence[str] = ()) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"COLUMNS": str(width), "TERM": "xterm"}.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdout", output := Tty())
            print_table(header, rows, expendable=expendable)
        return output.getvalue().splitlines()

    monkeypatch.delenv("NO_COLOR", raising=False)
    return lines


WIDE = ("an-id-of-twenty-letters", "http_request", "failed", "2026-11-21 10:00:00+01:00", "word " * 20)
COLUMNS = ("ID", "TYPE", "STATUS", "NEXT RUN", "REMARK")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        pytest.param(60, ["ID", "STATUS", "REMARK"], id="60"),
        pytest.param(80, ["ID", "TYPE", "STATUS", "REMARK"], id="80"),
        pytest.param(120, list(COLUMNS), id="120"),
        pytest.param(200, list(COLUMNS), id="200"),
    ],
)
def test_a_table_fits_the_terminal(on_terminal: Callable[..., list[str]], width: int, shown: list[str]) -> None:
    """Whole columns go, the least important first; ids stay whole, and nothing of the last column is lost."""
    header, *rows = on_terminal(width, COLUMNS, WIDE, expendable=("NEXT RUN", "TYPE"))

    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in (header, *rows)]
    assert [name for name in COLUMNS if name in lines[0]] == shown
    assert lines[1].startswith("an-id-of-twenty-letters  ")
    assert max(map(len, lines)) <= width
    assert " ".join(lines).count("word") == 20


def test_an_id_that_is_wider_than_the_terminal_is_folded(on_terminal: Callable[..., list[str]]) -> None:
    """Nothing of it is lost."""
    lines = on_terminal(60, COLUMNS, ("x" * 100, *WIDE[1:]), expendable=("NEXT RUN", "TYPE", "REMARK"))

    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 60
    assert "".join(lines).count("x") == 100


@pytest.mark.parametrize(
    ("env", "colours"), [({}, {"failed": "31", "9 min late": "33"}), ({"NO_COLOR": "1"}, {})], ids=["colour", "without"]
)
def test_failed_and_late_have_a_colour(
    on_terminal: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, env: dict[str, str], colours: dict[str, str]
) -> None:
    """Unless NO_COLOR is set; an id that happens to be such a word has none."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    _, *lines = on_terminal(80, ("ID", "STATUS", "WHEN"), ("failed", "failed", ""), ("b", "pending", "9 min late"))

    found = {text: code for line in lines for code, text in re.findall(r"\x1b\[(3\d)m([^\x1b]*?) *\x1b", line)}
    assert found == colours
    assert lines[0].startswith("failed")


def test_doctor_has_no_colour_where_none_is_wanted(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR counts, even on a terminal."""
    coloured = run("doctor", color=True)
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[" in coloured.stdout
    assert "\x1b[" not in run("doctor", color=True).stdout


@pytest.mark.parametrize(
    ("minutes", "when"),
    [pytest.param(-61, "in 61 min"), pytest.param(0, "due"), pytest.param(1, "due"), pytest.param(2, "2 min late")],
)
def test_a_list_says_what_is_late(run: Terminal, job_factory: JobFactory, minutes: int, when: str) -> None:
    """A tick comes once a minute, so a minute is not late."""
    run.put(job_factory(at=run.at - timedelta(minutes=minutes)))

    assert f"  {when}  " in run("jobs", "list").stdout


def test_a_list_says_how_long_a_job_has_been_at_work(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """Where it waits in a queue, too."""
    claim = partial(Job.claim, now=now, token="t", lease=HOUR, retention=HOUR)
    run.put(claim(job_factory("a")), claim(job_factory("b"), queue="agents"))
    run.at += timedelta(minutes=7)

    _, first, second = run("jobs", "list").stdout.splitlines()

    assert ("running 7 min" in first, "queued 7 min" in second) == (True, True)


# -- commands ----------------------------------------------------------------------------------------------------------


def test_commands_change_jobs_and_say_what_is_now(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """Pause, resume, run and cancel, each recorded under the caller's name."""
    run.put(job_factory(at=now + timedelta(hours=2)))

    answers = [run("jobs", verb, "job").stdout for verb in ("pause", "resume", "run", "cancel")]

    assert answers == [
        "job job: paused\n",
        "job job: pending, 2026-11-21 11:00:00Z (in 2 h)\n",
        "job job: pending, 2026-11-21 09:00:00Z (now)\n",
        "job job: cancelled\n",
    ]
    assert run.job().updated_by == "cli:ada"


@pytest.mark.parametrize(
    ("verb", "says"), [("pause", "already paused"), ("resume", "already pending, "), ("cancel", "already cancelled")]
)
def test_a_command_that_is_repeated_is_no_error(run: Terminal, job_factory: JobFactory, verb: str, says: str) -> None:
    """What was asked for is so, and the job says when it was first asked for."""
    run.put(job_factory(at=run.at + HOUR))
    run("jobs", "pause", "job")
    run("jobs", verb, "job")
    before = run.job()
    run.at += timedelta(minutes=1)

    result = run("jobs", verb, "job")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"job job: {says}")
    assert run.job() == before


def test_a_stuck_lease_is_released(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """While it runs a job can be cancelled and not deleted; release makes it ready again."""
    run.put(job_factory().claim(now=now, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1)))

    refused = run("jobs", "delete", "job", "--yes")
    released = run("jobs", "release", "job")

    assert "has been running since 2026-11-21T09:00:00Z" in refused.stderr
    assert released.stdout == "job job: pending, 2026-11-21 09:00:00Z (now)\n"


def test_a_failed_job_is_tried_again(run: Terminal, job_factory: JobFactory) -> None:
    """Retry makes it ready, with its attempts counted anew."""
    run.put(replace(job_factory(), status=Status.FAILED, ready_at=None, attempts=3))

    run("jobs", "retry", "job")

    assert (run.job().status, run.job().attempts) == (Status.PENDING, 0)


class CountingStore(JsonStore):
    """A store that counts its writes."""

    writes = 0

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.writes += 1
        return super().swap(changes)


@pytest.mark.parametrize("verb", ["pause", "run", "cancel", "delete"])
def test_many_jobs_are_changed_in_one_write(run: Terminal, job_factory: JobFactory, verb: str) -> None:
    """A file of 5,000 jobs that is written for each of 200 took minutes."""
    run.put(*(job_factory(f"job-{number}", at=run.at + HOUR) for number in range(20)))
    run.fakes["store"] = store = CountingStore(run.path, lambda: run.at)

    result = run("jobs", verb, *(f"job-{number}" for number in range(20)), *["--yes"] * (verb == "delete"))

    assert len(result.stdout.splitlines()) == 20
    assert store.writes == 1


def test_one_refusal_does_not_keep_the_others_from_it(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """Each id is reported; the exit code says that something failed."""
    run.put(job_factory("a"), job_factory("b").cancel(now=now, retention=timedelta(days=1)), job_factory("c"))

    result = run("jobs", "pause", "a", "b", "nowhere", "c")

    assert result.exit_code == 1
    assert result.stdout == "job a: paused\njob c: paused\n"
    assert "job b is cancelled" in result.stderr
    assert "there is no job nowhere" in result.stderr


@pytest.mark.parametrize(
    ("args", "answer", "code", "is_deleted"),
    [
        pytest.param(["--yes"], None, 0, True, id="not-asked"),
        pytest.param([], "y\n", 0, True, id="yes"),
        pytest.param([], "n\n", 1, False, id="no"),
        pytest.param([], "", 1, False, id="nobody-there"),
    ],
)
def test_a_delete_asks_first(
    run: Terminal, job_factory: JobFactory, args: Sequence[str], answer: str | None, code: int, is_deleted: bool
) -> None:
    """Nothing is deleted without a yes."""
    run.put(job_factory())

    result = run("jobs", "delete", "job", *args, answer=answer)

    assert result.exit_code == code
    assert (run.store.get(["job"]) == {}) is is_deleted


def test_a_job_can_be_stopped_where_its_handler_cannot_be_imported(run: Terminal, job_factory: JobFactory) -> None:
    """Seeing and stopping jobs needs no handlers; adding one does, and says which module is broken."""
    run.env["JOB_HANDLERS"] = "no_such_module"
    run.put(job_factory())

    assert run("jobs", "cancel", "job").exit_code == 0
    assert run("jobs", "list").exit_code == 0
    assert "no_such_module" in run("jobs", "add", "log", "--payload", HELLO).stderr


# -- import ------------------------------------------------------------------------------------------------------------


def test_an_import_reports_by_status(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """What became of each status, how many are overdue and by how much, and what has no handler."""
    path = jobs_json(
        former("a"),
        former("b", schedule_at="2026-11-21T06:00:00"),
        former("c", status="running"),
        former("d", status="completed"),
        former("e", job_type="digest"),
        former("f", schedule_at="2026-12-01T00:00:00"),
    )

    result = run("jobs", "import", path)

    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[:5]] == [
        ["WAS", "IS", "NOW", "JOBS"],
        ["completed", "completed", "1"],
        ["pending", "paused", "1"],
        ["pending", "pending", "3"],
        ["running", "pending", "1"],
    ]
    assert "Overdue: 3, by 3 h to 24 h" in result.stdout
    assert "No handler for digest: 1 paused" in result.stdout
    assert run.job("e").status is Status.PAUSED


def test_an_import_can_be_repeated(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """The second time everything exists already; what happened to a job in between is not undone."""
    path = jobs_json(former("a"), former("b"))
    run("jobs", "import", path)
    run("jobs", "cancel", "a")

    result = run("jobs", "import", path)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == ["exists", "already,", "left", "alone", "2"]
    assert run.job("a").status is Status.CANCELLED


def test_what_cannot_be_imported_is_named_and_the_rest_taken(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """Position, id and reason of each; a lease in force counts as one; the exit code is 1."""
    path = jobs_json(
        former("a"),
        former("a"),
        former("b", status="odd"),
        former("c", status="running", lease_until="2026-11-21T09:01:00"),
        "d",
        former("e"),
    )

    result = run("jobs", "import", path)

    assert result.exit_code == 1
    assert [line.partition(": ")[2] for line in result.stderr.splitlines()] == [
        "object 2, job 'a': its id is that of object 1",
        "object 3, job 'b': status is 'odd', not one of pending, running, paused, completed, failed, cancelled",
        "object 4, job 'c': it is still running, under a lease until 2026-11-21T09:01:00Z; repeat this after that run",
        "object 5: it is not an object, but 'd'",
        "4 of 6 were not imported; see the reasons above",
    ]
    assert sorted(run.store.get(["a", "b", "c", "e"])) == ["a", "e"]


def test_text_that_no_store_can_hold_does_not_stop_an_import(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """Half a character in one object: whatever becomes of it, the others are imported and no traceback is shown."""
    path = jobs_json(former("bad", note="\ud800"), former("good"))

    result = run("jobs", "import", path)

    assert isinstance(result.exception, SystemExit | None)
    assert run.job("good").status is Status.PENDING


def test_a_dry_run_reads_only(run: Terminal, jobs_json: Callable[..., str], job_factory: JobFactory) -> None:
    """It says the same as the import that would follow, and writes nothing."""
    run.put(job_factory("a"))
    before = run.path.read_bytes()
    path = jobs_json(former("a"), former("b"), former("c", status="odd"))

    rehearsed = run("jobs", "import", path, "--dry-run")
    after = run.path.read_bytes()
    done = run("jobs", "import", path)

    assert before == after
    assert rehearsed.stdout == done.stdout + "This was a dry run: nothing was written.\n"
    assert (rehearsed.stderr, rehearsed.exit_code) == (done.stderr, done.exit_code)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        pytest.param("", 1, "error: - is not JSON", id="empty"),
        pytest.param("{", 1, "error: - is not JSON", id="broken"),
        pytest.param("[" * 100_000, 1, "error: - is not JSON", id="too-deep"),
        pytest.param('{"counter": 0}', 1, "error: - is JSON, but not a list of jobs", id="no-list"),
        pytest.param("[]", 0, "- holds no jobs", id="no-jobs"),
        pytest.param("\ufeff[]", 0, "- holds no jobs", id="byte-order-mark"),
    ],
)
def test_what_is_no_list_of_jobs_is_said_once(run: Terminal, text: str, code: int, says: str) -> None:
    """One line, and nothing is stored."""
    result = run("jobs", "import", "-", answer=text)

    assert result.exit_code == code
    assert result.output.startswith(says)
    assert result.output.count("\n") == 1
    assert not run.path.exists()


@dataclass
class ScriptedStore:
    """A store that holds nothing readable and answers swaps as it is told."""

    answer: Outcome
    documents: Sequence[Job | Unreadable] = ()
    swapped: list[Change] = field(default_factory=list)

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        return {}

    def page(self, **_: Any) -> list[Job | Unreadable]:
        return list(self.documents)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.swapped += changes
        return [self.answer] * len(changes)


class MeetingStore(ScriptedStore):
    """A store that answers a swap only while another one is under way."""

    meeting = Barrier(2, timeout=10)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.meeting.wait()
        return super().swap(changes)


def test_an_import_into_firestore_has_several_calls_under_way(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """Each takes 500 jobs, and none waits for the answer to the one before."""
    run.env["SCHEDULER_STORAGE"] = "firestore"
    run.fakes["store"] = store = MeetingStore(Lost())

    result = run("jobs", "import", jobs_json(*(former(f"job-{number}") for number in range(2 * PAGE))))

    assert result.exit_code == 0, result.output
    assert len(store.swapped) == 2 * PAGE


def test_an_import_ends_when_the_store_goes_away(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """What was done is reported, and the error says that the rest is to be repeated."""
    run.fakes["store"] = ScriptedStore(Unknown("connection refused"))

    result = run("jobs", "import", jobs_json(former("a")))

    assert result.exit_code == 1
    assert result.stderr.startswith("error: could not store everything; repeat this for the rest: connection")


class LeavingStore(ScriptedStore):
    """A store that answers nothing to the first call, once the second is done."""

    is_stored = Event()

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        if changes[0].job_id == "job-0":
            assert self.is_stored.wait(10)
            return super().swap(changes)
        self.is_stored.set()
        return [Won(change.after) for change in changes]


def test_an_import_that_ends_early_reports_all_that_was_stored(run: Terminal, jobs_json: Callable[..., str]) -> None:
    """Whichever of the calls under way came to nothing."""
    run.env["SCHEDULER_STORAGE"] = "firestore"
    run.fakes["store"] = LeavingStore(Unknown("connection refused"))

    result = run("jobs", "import", jobs_json(*(former(f"job-{number}") for number in range(2 * PAGE))))

    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].split()[-1] == str(PAGE)
    assert result.stderr.startswith("error: could not store everything; repeat this for the rest: connection")


# -- upgrade -----------------------------------------------------------------------------------------------------------


def test_an_upgrade_takes_up_what_cannot_be_read(run: Terminal, job_factory: JobFactory) -> None:
    """Former documents and repaired ones become jobs in place, with their own fields; readable jobs are not touched."""
    repaired = json.loads(json.dumps(to_document(job_factory("repaired")), default=datetime.isoformat))
    del repaired["ready_at"]
    run.put_raw(former=former("former", owner="me"), repaired={**repaired, "error": "unreadable: it was"})
    run.put(job_factory("readable"))
    readable = run.job("readable").version

    result = run("jobs", "upgrade")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == ["pending", "pending", "2"]
    assert run.job("former").extra == {"owner": "me"}
    assert run.job("repaired").error is None
    assert run.job("readable").version == readable


def test_an_upgrade_leaves_alone_what_it_cannot_take(run: Terminal) -> None:
    """The document stays as it is and is named; the exit code is 1; the dry run says the same."""
    run.put_raw(bad=former("bad", status="odd"), held=former("held", lease_until="2026-11-21T09:01:00"))
    before = run.path.read_bytes()

    rehearsed, result = run("jobs", "upgrade", "--dry-run"), run("jobs", "upgrade")

    assert result.exit_code == rehearsed.exit_code == 1
    assert result.stderr == rehearsed.stderr
    assert "job bad: status is 'odd'" in result.stderr
    assert "job held: it is still running" in result.stderr
    assert run.path.read_bytes() == before


def test_an_upgrade_can_be_repeated(run: Terminal) -> None:
    """Once everything can be read there is nothing to do."""
    run.put_raw(former=former("former"))
    run("jobs", "upgrade")

    assert run("jobs", "upgrade").stdout == "Every job can be read; there is nothing to upgrade.\n"


def test_an_upgrade_loses_to_whoever_was_faster(run: Terminal) -> None:
    """A document that changed meanwhile is named, to be looked at again; the change was conditional."""
    document = Unreadable(id="job", reason="no ready_at", document=former())
    store = ScriptedStore(Lost(), [document])
    run.fakes["store"] = store

    result = run("jobs", "upgrade")

    assert result.exit_code == 1
    assert "job job: it was changed at the same time" in result.stderr
    assert [change.before for change in store.swapped] == [document]


# -- export ------------------------------------------------------------------------------------------------------------


def test_an_export_can_be_imported_again(run: Terminal, job_factory: JobFactory, now: datetime, tmp_path: Path) -> None:
    """Jobs, subscriptions, history and fields that are not ours make the round trip; so do quarantined documents."""
    run.put(
        replace(job_factory("a", cron="@daily", by="ada"), extra={"owner": [1]}),
        job_factory("b").pause(now=now),
        job_factory("subscription:gmail:ada@example.com"),
    )
    exported = run("jobs", "export", str(tmp_path / "backup.json"))
    elsewhere = Terminal(path=tmp_path / "elsewhere.json", at=now)

    imported = elsewhere("jobs", "import", str(tmp_path / "backup.json"))

    assert exported.stdout == f"{tmp_path / 'backup.json'} holds 3 jobs.\n"
    assert imported.exit_code == 0
    assert elsewhere.store.page() == run.store.page()


def test_an_export_holds_what_cannot_be_read_too(run: Terminal) -> None:
    """It is written as it stands, under the id that it is stored under, with a word on stderr."""
    document = former("other", status="odd")
    run.put_raw(bad=document)

    result = run("jobs", "export")

    assert json.loads(result.stdout) == [{**document, "id": "bad"}]
    assert "1 cannot be read" in result.stderr


def test_a_grace_means_the_misfire_rule_skip(run: Terminal) -> None:
    """Unless another rule is named, which is refused."""
    run("jobs", "add", "log", "--id", "job", "--payload", HELLO, "--every", "6d", "--grace", "30m")
    refused = run("jobs", "edit", "job", "--grace", "30m", "--misfire", "coalesce")

    job = run.job("job")
    assert (job.misfire, job.grace_seconds) == ("skip", 1800)
    assert refused.exit_code == 1


def test_a_hyphen_exports_to_standard_output(run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it means standard input for an import; no file of that name is made."""
    monkeypatch.chdir(tmp_path)

    result = run("jobs", "export", "-")

    assert json.loads(result.stdout) == []
    assert not (tmp_path / "-").exists()


def test_an_export_holds_all_of_a_job(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """The token of its holder too: a backup that is put back while it runs must still know who finishes it."""
    job = job_factory().claim(now=now, token="t0ken", lease=HOUR, retention=HOUR)
    run.put(job)

    (exported,) = json.loads(run("jobs", "export", "-").stdout)

    assert exported["lease_token"] == "t0ken"


def test_an_export_overwrites_only_when_told(run: Terminal, job_factory: JobFactory, tmp_path: Path) -> None:
    """Without --force a file that exists is left alone; with it the file is replaced, and nothing is left beside it."""
    run.put(job_factory())
    backup = tmp_path / "backup.json"
    backup.write_text("precious")

    refused, kept = run("jobs", "export", str(backup)), backup.read_text()
    forced = run("jobs", "export", str(backup), "--force")

    assert (refused.exit_code, kept, forced.exit_code) == (1, "precious", 0)
    assert json.loads(backup.read_text())[0]["id"] == "job"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.json", "jobs.json", "jobs.json.lock"]


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_an_export_is_for_its_owner_alone(run: Terminal, job_factory: JobFactory, tmp_path: Path, mask: int) -> None:
    """Payloads may hold secrets: a file that others could read is closed too, and no planted link is followed."""
    run.put(job_factory("a"))
    backup, precious = tmp_path / "backup.json", tmp_path / "precious"
    precious.write_text("precious")
    backup.write_text("old")
    backup.chmod(0o666)
    (tmp_path / f".backup.json.{os.getpid()}").symlink_to(precious)
    before = os.umask(mask)

    run("jobs", "export", str(backup), "--force")
    os.umask(before)

    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [job["id"] for job in json.loads(backup.read_text())] == ["a"]
    assert precious.read_text() == "precious"


def test_an_export_to_nowhere_is_an_error(run: Terminal, tmp_path: Path) -> None:
    """A folder that does not exist is named in one line."""
    result = run("jobs", "export", str(tmp_path / "nowhere" / "backup.json"))

    assert result.exit_code == 1
    assert "cannot be written (No such file or directory)" in result.stderr


# -- tick --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def live(run: Terminal) -> Terminal:
    """The command line on the real clock, for ticks."""
    run.clock = partial(datetime.now, UTC)
    run.at = run.clock()
    return run


def test_a_tick_runs_what_is_due(live: Terminal) -> None:
    """It prints the metrics; what the jobs log goes to stderr."""
    live("jobs", "add", "log", "--id", "job", "--payload", HELLO)

    result = live("tick")

    assert result.exit_code == 0
    assert ["jobs_succeeded", "1"] in [line.split() for line in result.stdout.splitlines()]
    assert "INFO hello\n" in result.stderr
    assert live.job().status is Status.COMPLETED


def test_the_metrics_can_be_read_by_programs(live: Terminal) -> None:
    """--json gives them as one object."""
    metrics = json.loads(live("tick", "--json").stdout)

    assert (metrics["jobs_executed"], metrics["truncated"]) == (0, False)


def fake_handlers(run: Callable[[Payload, Context], object]) -> dict[str, Handler]:
    """Return handlers with the given function as `log`."""
    return {"log": Handler(job_type="log", run=run)}


def test_a_failed_job_is_no_failed_tick(live: Terminal) -> None:
    """The job's error is one line on stderr, the tick ends well."""

    def fail(payload: Payload, context: Context) -> None:
        raise ValueError("boom")

    live("jobs", "add", "log", "--payload", HELLO, "--max-attempts", "1")
    live.fakes["handlers"] = fake_handlers(fail)

    result = live("tick")

    assert result.exit_code == 0
    assert "failed for good: ValueError: boom\n" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_tick_fails_when_the_store_cannot_be_read(live: Terminal) -> None:
    """The file is left as it is."""
    live.path.write_text("{")

    result = live("tick")

    assert result.exit_code == 1
    assert "\nerror: the job file" in result.stderr
    assert live.path.read_text() == "{"


def test_ctrl_c_ends_a_tick_in_order(live: Terminal) -> None:
    """The handler is asked to stop, what came of it is stored, the metrics are printed; the exit code is 130."""
    asked: list[str | None] = []

    def interrupted(payload: Payload, context: Context) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        context.stop.wait(10)
        asked.append(context.stop_reason)

    live("jobs", "add", "log", "--id", "job", "--payload", HELLO)
    live.fakes["handlers"] = fake_handlers(interrupted)
    handler_before = signal.getsignal(signal.SIGINT)

    result = live("tick")

    assert result.exit_code == 130
    assert asked == ["shutting down"]
    assert "jobs_succeeded" in result.stdout
    assert live.job().status is Status.COMPLETED
    assert signal.getsignal(signal.SIGINT) is handler_before


def test_a_look_ahead_reads_only(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """It lists what is due now and within the hour, with lateness and what is odd about it, and runs nothing."""
    lease = timedelta(minutes=5)
    held = job_factory("held").claim(now=now, token="t", lease=lease, retention=lease)
    run.put(
        job_factory("late", at=now - timedelta(minutes=3)),
        job_factory("now", at=now),
        replace(job_factory("retried", "digest", at=now), ready_at=now + timedelta(minutes=20), attempts=1),
        job_factory("edge", at=now + timedelta(hours=1)),
        job_factory("later", at=now + timedelta(hours=1, microseconds=1)),
        held,
        replace(held, id="dead", ready_at=now, lease_until=now),
    )
    before = run.path.read_bytes()

    result = run("tick", "--dry-run")

    rows = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert list(rows) == ["late", "dead", "now", "retried", "edge"]
    assert "3 min late" in rows["late"]
    assert rows["dead"].endswith("its holder died")
    assert re.search("in 20 min .*attempt 2 of 3$", rows["retried"])
    assert "in 60 min" in rows["edge"]
    assert "no handler for digest" in result.stderr
    assert run.path.read_bytes() == before


def test_a_look_ahead_names_unreadable_documents(run: Terminal) -> None:
    """The next tick would set them aside; programs get them as they stand."""
    run.put_raw(bad=former("bad", status="odd", ready_at="2026-11-20T09:00:00Z"))

    assert "cannot be read and will be quarantined" in run("tick", "--dry-run").stdout
    assert json.loads(run("tick", "--dry-run", "--json").stdout)[0]["id"] == "bad"


def test_a_look_ahead_at_nothing_says_so(run: Terminal) -> None:
    """An empty store is no error."""
    assert run("tick", "--dry-run").stdout == "Nothing is due now, or within the next hour.\n"


# -- cron --------------------------------------------------------------------------------------------------------------


def test_occurrences_are_local_times(run: Terminal) -> None:
    """In words first; each with its offset and weekday; the day on which the clocks change is marked."""
    result = run("cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-03-28T02:30", "--count", "3")

    assert result.stdout.splitlines() == [
        "At 02:30, every day (Europe/Berlin)",
        "2026-03-28 02:30:00+01:00  Saturday",
        "2026-03-29 03:00:00+02:00  Sunday    the clocks change on this day, from +01:00 to +02:00",
        "2026-03-30 02:30:00+02:00  Monday",
    ]


def test_occurrences_for_programs_are_utc(run: Terminal) -> None:
    """A list of ISO times, from now on, on the clocks of SCHEDULER_TIMEZONE."""
    run.env["SCHEDULER_TIMEZONE"] = "Asia/Tokyo"

    result = run("cron", "0 9 * * *", "--count", "2", "--json")

    assert json.loads(result.stdout) == ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"]


def test_what_may_not_be_meant_by_an_expression_is_mentioned(run: Terminal) -> None:
    """Beside the next runs, on stderr; a script that reads JSON is not disturbed."""
    result = run("cron", "0 9 */2 * 1-5")

    assert "either is enough" in result.stderr
    assert len(result.stdout.splitlines()) == 5
    assert json.loads(run("cron", "0 9 */2 * 1-5", "--json").stdout)


def test_an_expression_that_begins_with_a_hyphen_is_no_option(run: Terminal) -> None:
    """The error is about the expression."""
    result = run("cron", "-5 * * * *")

    assert result.exit_code == 1
    assert "Cron expression '-5 * * * *', minute '-5'" in result.stderr


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        pytest.param("@daily", "Daily (UTC)", id="name"),
        pytest.param("0 9 * * l5", "At 09:00, on the last Friday of the month (UTC)", id="last-friday"),
        pytest.param("0 9 * * mon#2", "At 09:00, on the second Monday of the month (UTC)", id="second-monday"),
        pytest.param("*/15 * * * *", "Every 15 minutes (UTC)", id="step"),
    ],
)
def test_a_schedule_is_put_in_words(run: Terminal, expression: str, words: str) -> None:
    """The first line says what the expression means."""
    assert run("cron", expression).stdout.splitlines()[0] == words


def test_a_schedule_without_words_is_listed_all_the_same(run: Terminal) -> None:
    """What the describing library cannot put in words still has occurrences."""
    result = run("cron", "1 2,*/7 * * *", "--count", "1")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith("Saturday")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        pytest.param(timedelta(seconds=119), "119 s", id="seconds"),
        pytest.param(timedelta(minutes=2), "2 min", id="minutes"),
        pytest.param(timedelta(hours=34), "34 h", id="hours"),
        pytest.param(timedelta(days=41, hours=5), "41 days", id="days"),
    ],
)
def test_a_length_is_written_in_its_largest_unit(length: timedelta, text: str) -> None:
    """The largest unit that fits at least twice, so that rounding down loses little."""
    assert span(length) == text


# -- doctor ------------------------------------------------------------------------------------------------------------


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
    """With what to do; it is no reason to fail."""
    run.env["CHAT_AUTH"] = "endpoint"

    result = run("doctor")

    (line,) = [line for line in result.stdout.splitlines() if line.startswith("warning")]
    assert result.exit_code == 0
    assert "chat      CHAT_AUTH=endpoint is legacy" in line
    assert line.endswith("set it to addon or project_number, as docs/CHAT.md says")


def test_what_is_wrong_is_found_at_once(run: Terminal, job_factory: JobFactory) -> None:
    """Unreadable documents, waiting jobs without a handler and limits that do not fit, each with its remedy."""
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
    """Neither its own document nor that of a doctor that was killed, which is not counted either."""
    run.put(job_factory(), job_factory("watchkeeper:doctor"))

    first, second = run("doctor"), run("doctor")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "it can be read and written: 1 pending" in first.stdout
    assert list(json.loads(run.path.read_text())["jobs"]) == ["job"]


def test_the_doctor_counts_what_the_list_shows(run: Terminal, job_factory: JobFactory) -> None:
    """Subscriptions are no jobs of people; they are counted apart."""
    run.put(job_factory("a"), job_factory("subscription:gmail:ada@example.com", "subscription_check"))

    assert "1 pending; and 1 subscription\n" in run("doctor").stdout
    assert len(run("jobs", "list").stdout.splitlines()) == 2


def test_limits_are_those_that_are_deployed(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout in functions.toml counts, unless another one is set here."""
    tick = next(function for function in read_functions({}) if function.name == "tick")
    monkeypatch.setattr("watchkeeper.cli.doctor.read_functions", lambda env: [replace(tick, timeout=HOUR)])
    run.fakes["handlers"] = {"long": Handler(job_type="long", run=print, timeout=timedelta(minutes=58))}

    deployed = run("doctor")
    run.env["CALL_TIMEOUT_SECONDS"] = "180"

    assert ("ok", "limits") in findings(deployed)
    assert ("wrong", "limits") in findings(run("doctor"))


def test_code_that_is_not_deployed_is_warned_of(run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works on this machine, and only there."""
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
    """What cannot be opened is a finding, not a crash."""
    run.env |= env

    result = run("doctor")

    assert result.exit_code == 1
    assert ("wrong", wrong) in findings(result)


def test_a_broken_store_is_a_finding(run: Terminal) -> None:
    """The rest is examined all the same."""
    run.path.write_text("{")

    result = run("doctor")

    assert result.exit_code == 1
    examined = [("ok", "settings"), ("wrong", "store"), ("ok", "handlers"), ("ok", "limits"), ("ok", "queues")]
    assert list(dict.fromkeys(findings(result))) == examined


class ShiftedStore(ScriptedStore):
    """A store whose clock is not ours."""

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


# -- completion --------------------------------------------------------------------------------------------------------


def completed(run: Terminal, *words: str) -> list[str]:
    """Return what the shell offers for the last word."""
    session = Session(env={"SCHEDULER_JSON_PATH": str(run.path)}, clock=lambda: run.at, user="ada")
    offers = ShellComplete(watchkeeper, {"obj": session}, "watchkeeper", "_COMPLETE")
    return [offer.value for offer in offers.get_completions(list(words[:-1]), words[-1])]


def test_ids_and_job_types_are_completed(run: Terminal, job_factory: JobFactory) -> None:
    """Wherever a command takes one."""
    run.put(*(job_factory(name) for name in ("invoice", "report-a", "report-b", "sync")))

    for verb in ("show", "edit", "cancel", "pause", "resume", "run", "retry", "release", "delete"):
        assert completed(run, "jobs", verb, "rep") == ["report-a", "report-b"]
    assert completed(run, "jobs", "pause", "sync", "in") == ["invoice"]
    assert completed(run, "jobs", "add", "http") == ["http_request"]
    assert completed(run, "jobs", "list", "--type", "lo") == ["log"]


def test_a_completion_reads_little_and_fails_in_silence(run: Terminal, job_factory: JobFactory) -> None:
    """It runs with every press of a key."""
    run.put(*(job_factory(f"job-{number}") for number in range(3 * MOST_OFFERED)))

    assert len(completed(run, "jobs", "show", "")) == MOST_OFFERED
    run.path.write_text("no JSON")
    assert completed(run, "jobs", "show", "") == []


# -- dev ---------------------------------------------------------------------------------------------------------------


def test_dev_hands_over_the_environment(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the local run returns is the exit code."""
    given: list[tuple[Mapping[str, str], str | None]] = []

    def local_run(env: Mapping[str, str], storage: str | None) -> int:
        given.append((env, storage))
        return 3

    monkeypatch.setattr("watchkeeper.dev.run.run", local_run)

    assert run("dev").exit_code == 3
    assert run("dev", "--storage", "firestore").exit_code == 3
    assert given == [({"SCHEDULER_JSON_PATH": str(run.path)}, storage) for storage in (None, "firestore")]


# -- as a process ------------------------------------------------------------------------------------------------------


def process(folder: Path, *args: str, code: str = "", **options: Any) -> subprocess.Popen[str]:
    """Start `watchkeeper` in a folder, with an environment of its own."""
    program = f"{code}\nfrom watchkeeper.cli.main import main; main()"
    store = folder / "jobs.env"
    store.write_text(f"SCHEDULER_JSON_PATH={folder / 'jobs.json'}\n")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *args],
        cwd=folder,
        env={**env, SETTINGS_FILE: str(store), **options.pop("env", {})},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True, **options},
    )


@pytest.mark.slow
def test_commands_and_code_read_the_same_settings_file(tmp_path: Path) -> None:
    """So what a program schedules is what the command lists, from whichever folder."""
    (tmp_path / "my.env").write_text(f"SCHEDULER_JSON_PATH={tmp_path / 'mine.json'}\n")
    (tmp_path / "sub").mkdir()
    env = {SETTINGS_FILE: str(tmp_path / "my.env")}
    code = "from shared.jobs import open_jobs; open_jobs().schedule('log', {'message': 'hello'}, id='mine')"

    made = process(tmp_path / "sub", code=f"{code}; raise SystemExit", env=env)
    made.communicate()
    out, _ = process(tmp_path, "jobs", "list", env=env).communicate()
    told, _ = process(tmp_path, "doctor", env=env).communicate()

    assert made.returncode == 0
    assert out.splitlines()[1].startswith("mine")
    assert f"from {tmp_path / 'my.env'}; jobs are kept in {tmp_path / 'mine.json'}" in told


@pytest.mark.slow
def test_a_settings_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """One line, no traceback."""
    (tmp_path / ".env").write_bytes(b"\xff\xfe")

    _, err = process(tmp_path, "jobs", "list", env={SETTINGS_FILE: str(tmp_path / ".env")}).communicate()

    assert err.startswith("error: the settings file ")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_help_needs_no_settings(tmp_path: Path) -> None:
    """It may say what is wrong with them."""
    out, err = process(tmp_path, "jobs", "--help", env={SETTINGS_FILE: str(tmp_path / "nowhere.env")}).communicate()

    assert out.startswith("Usage: watchkeeper jobs")
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("args", [["--help"], ["cron", "@daily"], ["jobs", "list"]])
def test_commands_import_no_slow_library(tmp_path: Path, args: Sequence[str]) -> None:
    """Firestore's library, on the JSON store, and that of `watchkeeper mcp`: half a second and two of every start."""
    watch = "import atexit, sys; atexit.register(lambda: print({'google.cloud.firestore', 'mcp'} & {*sys.modules}))"

    out, _ = process(tmp_path, *args, code=watch).communicate()

    assert out.splitlines()[-1] == "set()"


@pytest.mark.slow
def test_ctrl_c_is_no_error(tmp_path: Path) -> None:
    """A command that is interrupted ends with 130 and without a traceback."""
    ready = "import click; opened = click.open_file\n"
    ready += "click.open_file = lambda *args: (print('ready', flush=True), opened(*args))[1]"
    interrupted = process(tmp_path, "jobs", "import", "-", code=ready, stdin=subprocess.PIPE)
    assert interrupted.stdout is not None
    interrupted.stdout.readline()

    interrupted.send_signal(signal.SIGINT)
    _, err = interrupted.communicate()

    assert interrupted.returncode == 130
    assert err.strip() == ""


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """`watchkeeper jobs export | head -1` ends quietly."""
    Terminal(path=tmp_path / "jobs.json", at=now).put(*(job_factory(f"job-{number}") for number in range(2000)))
    export = process(tmp_path, "jobs", "export")
    assert export.stdout is not None
    assert export.stderr is not None

    first = export.stdout.readline()
    export.stdout.close()
    err = export.stderr.read()
    export.wait()
    export.stderr.close()

    assert (first, err) == ("[\n", "")


@pytest.mark.slow
def test_a_full_disk_is_one_line(tmp_path: Path, job_factory: JobFactory, now: datetime) -> None:
    """Output that cannot be written is an error without a traceback."""
    Terminal(path=tmp_path / "jobs.json", at=now).put(job_factory())

    with Path("/dev/full").open("w") as full:
        _, err = process(tmp_path, "jobs", "list", stdout=full).communicate()

    assert err.startswith("error: [Errno 28] No space left on device\n")
    assert "Traceback" not in err


# -- intervals, an end, days off ---------------------------------------------------------------------------------------

CHRISTMAS = (date(2026, 12, 24), date(2026, 12, 25))
INTERVAL = [
    *("jobs", "add", "log", "--id", "job", "--payload", HELLO, "--every", "6d", "--timezone", "Europe/Berlin"),
    *("--at", "2026-12-01T09:00", "--until", "2027-02-01T00:00", "--except", "2026-12-24, 2026-12-25"),
    *("--misfire", "skip", "--grace", "30m", "--pause-after-failures", "3"),
]


def test_a_schedule_with_all_its_bounds(run: Terminal) -> None:
    """Naive times are in its zone; `show` has every field, `list` the schedule, and both calls repeat."""
    first, again = run(*INTERVAL), run(*INTERVAL)

    job = run.job()
    assert "created, pending, 2026-12-01 09:00:00+01:00" in first.stdout
    assert "unchanged" in again.stdout
    assert (job.every, job.grace, job.pause_after_failures) == ("6d", timedelta(minutes=30), 3)
    assert (job.until, job.except_dates) == (datetime(2027, 1, 31, 23, tzinfo=UTC), CHRISTMAS)
    shown = run("jobs", "show", "job").stdout
    assert "Every 6 days (Europe/Berlin), until Mon 1 Feb 2027, 00:00, except 24 Dec 2026, 25 Dec 2026" in shown
    assert "It is not due until Tue 1 Dec 2026, 09:00." in shown
    assert "every 6d Europe/Berlin until 2027-02-01 00:00:00+01:00 except 2 dates" in run("jobs", "list").stdout
    assert json.loads(run("jobs", "show", "job", "--json").stdout)["except_dates"] == ["2026-12-24", "2026-12-25"]


def test_each_bound_is_changed_and_removed(run: Terminal) -> None:
    """A naive end is in the job's own zone; each has its word for none."""
    run(*INTERVAL)

    run("jobs", "edit", "job", "--until", "2027-03-01T00:00", "--except", "2026-12-31")
    moved = run.job()
    result = run(
        *("jobs", "edit", "job", "--until", "never", "--except", "none"),
        *("--misfire", "coalesce", "--pause-after-failures", "0"),
    )
    bare = run.job()

    assert (moved.until, moved.except_dates) == (datetime(2027, 2, 28, 23, tzinfo=UTC), (date(2026, 12, 31),))
    assert result.exit_code == 0, result.output
    assert (bare.until, bare.except_dates, bare.grace_seconds, bare.pause_after_failures) == (None, (), None, None)
    assert (bare.every, bare.starts_at, bare.schedule_at) == (moved.every, moved.starts_at, moved.schedule_at)


def test_a_job_that_paused_itself_is_listed_with_the_reason(run: Terminal, job_factory: JobFactory) -> None:
    """So nobody wonders who did it."""
    job = job_factory("job", cron="0 9 * * *", pause_after_failures=1)
    held = job.claim(now=run.at, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1))
    failed = RunResult(started_at=run.at, ended_at=run.at, by="x", error="boom", final=True)
    run.put(held.finish(failed, retention=timedelta(days=1)))

    for command in (["jobs", "list"], ["jobs", "show", "job"]):
        assert "It is paused after 1 failure in a row, the last because: boom." in run(*command).stdout


def test_an_exported_schedule_is_imported_whole(run: Terminal, tmp_path: Path) -> None:
    """Through a file, and into another store."""
    run(*INTERVAL)
    made = run.job()

    run("jobs", "export", str(tmp_path / "backup.json"))
    run("jobs", "delete", "job", "--yes")
    run("jobs", "import", str(tmp_path / "backup.json"))

    assert run.job() == made
