"""The log by job: the file of the local run, Cloud Logging through gcloud, and `watchkeeper jobs logs`."""

import json
import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner, Result

from shared.errors import WatchkeeperError
from shared.settings import Settings
from tests.support.recorder import Recorder, refused, shown
from watchkeeper import logbook
from watchkeeper.cli.job_logs import cloud_lines, new_cloud_lines
from watchkeeper.cli.main import watchkeeper
from watchkeeper.deploy.gcloud import Gcloud
from watchkeeper.logbook import Logbook, cloud_filter, cloud_url, follow, lines_of, log_path
from watchkeeper.session import Session

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs_log.jsonl"


def line(now: datetime, message: str, job_id: str = "report", **fields: object) -> str:
    """Return a line as a function writes it."""
    return json.dumps({"job_id": job_id, "time": now.isoformat(), "severity": "INFO", "message": message, **fields})


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_job_are_found(path: Path, now: datetime) -> None:
    """Not those of other jobs or of no job, and nothing that is not a log line."""
    book = Logbook(path)
    for text in (
        line(now, "one"),
        line(now, "other", "report-2"),
        line(now, "about report", "another", note="report"),
        json.dumps({"time": now.isoformat(), "message": "tick"}),
        'Traceback: "report"',
        "[1]",
        line(now + SECOND, "two", severity="ERROR", stack_trace="ValueError: no"),
    ):
        book.write("tick", text)

    one, two = lines_of(path, "report")

    assert (one.time, one.severity, one.source, one.message, one.trace) == (now, "INFO", "tick", "one", "")
    assert (two.severity, two.message, two.trace) == ("ERROR", "two", "ValueError: no")


def test_the_lines_of_a_run_are_found(path: Path, now: datetime) -> None:
    """By its occurrence and by its time."""
    book = Logbook(path)
    for number in range(4):
        book.write("tick", line(now + number * SECOND, f"{number}", execution_key=f"report@{number // 2}"))

    of_run = lines_of(path, "report", execution_key="report@1", since=now, until=now + 2 * SECOND)

    assert [each.message for each in of_run] == ["2"]


def test_without_a_file_there_are_no_lines(path: Path) -> None:
    """The console asks before anything ran."""
    assert lines_of(path, "report") == []


def test_the_log_is_private_and_bounded(path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full file replaces the former one."""
    monkeypatch.setattr(logbook, "MOST_BYTES", 1_000)
    book = Logbook(path)
    for number in range(40):
        book.write("tick", line(now, f"{number}"))

    found = [int(each.message) for each in lines_of(path, "report")]

    assert found == list(range(found[0], 40))
    assert len(found) >= 10
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size + Path(f"{path}.1").stat().st_size < 3_000


def test_new_lines_are_followed(path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither old lines nor half a line; none is lost when a full file is replaced."""
    book = Logbook(path)
    book.write("tick", line(now, "old"))
    steps = iter(["one", "half", "rest", "full", "end"])

    def wait() -> bool:
        step = next(steps)
        if step == "one":
            book.write("tick", line(now, "one"))
        elif step == "half":
            with path.open("a") as file:
                file.write(line(now, "two")[:30])
        elif step == "rest":
            with path.open("a") as file:
                file.write(line(now, "two")[30:] + "\n")
        elif step == "full":
            monkeypatch.setattr(logbook, "MOST_BYTES", 10)
            book.write("tick", line(now, "three"))
        return step == "end"

    assert [each.message for each in follow(path, "report", wait)] == ["one", "two", "three"]


def test_the_log_of_the_local_run_is_beside_the_jobs(tmp_path: Path) -> None:
    """So a project's jobs and their log are found together."""
    settings = Settings.from_env({"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json")})

    assert log_path(settings) == tmp_path / "jobs_log.jsonl"


# -- Cloud Logging -----------------------------------------------------------------------------------------------------


def entry(now: datetime, message: str, insert_id: str, **more: object) -> dict[str, object]:
    """Return an entry as gcloud shows it: time and severity are not in the payload."""
    return {
        "insertId": insert_id,
        "timestamp": now.isoformat().replace("+00:00", ".123456789Z"),
        "severity": "ERROR",
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": "watchkeeper-tick"}},
        "jsonPayload": {"job_id": "report", "message": message, **more},
    }


def test_the_lines_in_cloud_logging(now: datetime) -> None:
    """gcloud returns the newest, and they are shown oldest first."""
    answer = shown(json.dumps([entry(now + SECOND, "two", "b"), entry(now, "one", "a", attempt=2)]))
    gcloud = Recorder(answers={"logging read": answer})

    lines = cloud_lines(Gcloud("acme", execute=gcloud, is_dry_run=False), "report", since=now - HOUR, limit=7)

    assert [(each.source, each.severity, each.message) for each in lines] == [
        ("watchkeeper-tick", "ERROR", "one"),
        ("watchkeeper-tick", "ERROR", "two"),
    ]
    (command,) = gcloud.commands
    assert command[2] == (
        'resource.type="cloud_run_revision" AND resource.labels.service_name=~"^watchkeeper-" AND '
        'jsonPayload.job_id="report" AND timestamp>="2026-11-21T08:00:00Z"'
    )
    assert {"--order=desc", "--limit=7", "--format=json", "--project=acme"} <= set(command)


def test_new_lines_in_cloud_logging_come_once(now: datetime) -> None:
    """Also a late one with an earlier time than the last."""
    first, second, late = entry(now, "one", "a"), entry(now + SECOND, "two", "b"), entry(now, "late", "c")
    gcloud = Recorder(answers={"logging read": [shown(json.dumps(each)) for each in ([second, first], [second, late])]})
    looks = iter([False, False, True])

    lines = new_cloud_lines(Gcloud("acme", execute=gcloud, is_dry_run=False), "report", [], now, lambda: next(looks))

    assert [each.message for each in lines] == ["one", "two", "late"]


def test_missing_permission_in_gcloud_is_shown(now: datetime) -> None:
    """One line, with gcloud's own reason."""
    gcloud = Recorder(answers={"logging read": refused("(gcloud.logging.read) PERMISSION_DENIED: no")})

    with pytest.raises(WatchkeeperError, match=r"^Cloud Logging cannot be read: PERMISSION_DENIED: no$"):
        cloud_lines(Gcloud("acme", execute=gcloud, is_dry_run=False), "report", since=now, limit=1)


def test_the_page_of_a_run_in_cloud_logging(now: datetime) -> None:
    """Its query names job, occurrence and times, however the id is written."""
    url = urlsplit(cloud_url("acme", "it's@home", execution_key="it's@home@x", since=now, until=now + HOUR))

    assert (url.netloc, url.query) == ("console.cloud.google.com", "project=acme")
    assert unquote(url.path).removeprefix("/logs/query;query=").split("\n") == [
        'resource.type="cloud_run_revision"',
        'resource.labels.service_name=~"^watchkeeper-"',
        'jsonPayload.job_id="it\'s@home"',
        'jsonPayload.execution_key="it\'s@home@x"',
        'timestamp>="2026-11-21T09:00:00Z"',
        'timestamp<="2026-11-21T10:00:00Z"',
    ]


def test_an_id_cannot_leave_its_quotes() -> None:
    """Any typed id searches for that id and nothing else."""
    assert cloud_filter('x" OR severity="INFO').endswith('jsonPayload.job_id="x\\" OR severity=\\"INFO"')


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, now: datetime) -> Callable[..., Result]:
    """Call `watchkeeper jobs logs`."""

    def run(*args: str) -> Result:
        session = Session(env={"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json")}, clock=lambda: now, user="ada")
        return CliRunner().invoke(watchkeeper, ["jobs", "logs", *args], obj=session)

    return run


def test_the_log_of_a_job_is_shown(run: Callable[..., Result], path: Path, now: datetime) -> None:
    """Time, severity, function, attempt and message, with the traceback below; or the line unchanged."""
    book = Logbook(path)
    book.write("tick", line(now - HOUR, "early"))
    book.write("tick", line(now, "boom", severity="ERROR", attempt=2, stack_trace="Traceback:\n  no"))

    assert run("report", "--since", "5m").stdout == (
        "2026-11-21 09:00:00Z  ERROR    tick #2  boom\n    Traceback:\n      no\n"
    )
    assert len(run("report").stdout.splitlines()) == 4
    assert len(run("report", "--limit", "1").stdout.splitlines()) == 3
    assert json.loads(run("report", "--json", "--limit", "1").stdout)["attempt"] == 2
    assert run("nobody").stderr == "No lines found.\n"


def test_without_a_local_run_it_says_what_to_do(run: Callable[..., Result]) -> None:
    """There are two places to look."""
    result = run("report")

    assert result.exit_code == 1
    assert "`make run` writes it; for a deployed system use --project" in result.stderr


def test_the_address_of_the_lines_is_printed(run: Callable[..., Result]) -> None:
    """To open in a browser, without a call of gcloud."""
    assert run("report", "--project", "acme", "--url").stdout == f"{cloud_url('acme', 'report')}\n"
    assert run("report", "--url").exit_code == 2


def test_the_lines_are_those_of_this_environment(tmp_path: Path, now: datetime) -> None:
    """Another environment in the project may have a job of the same id."""
    session = Session(env={"DEPLOYMENT_PREFIX": "staging-"}, clock=lambda: now, user="ada")

    result = CliRunner().invoke(watchkeeper, ["jobs", "logs", "report", "--project", "acme", "--url"], obj=session)

    assert result.stdout == f"{cloud_url('acme', 'report', prefix='staging-')}\n"
    assert 'service_name=~"^staging-"' in unquote(result.stdout)


def test_a_missing_gcloud_is_named(run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not part of this package."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "gcloud is not installed" in run("report", "--project", "acme").stderr


def test_ctrl_c_ends_following_quietly(
    run: Callable[..., Result], path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the normal way out, not an error."""
    Logbook(path).write("tick", line(now, "one"))

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)

    result = run("report", "--follow")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("one\n")
