"""`watchkeeper renew` against the fakes: the same work as the functions', started by hand."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.jobs import Jobs
from shared.model.times import iso
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from watchkeeper.cli.main import watchkeeper
from watchkeeper.fakes.airtable import BASE, WEBHOOK, Airtable, webhook
from watchkeeper.fakes.services import FAKES, running_fakes
from watchkeeper.session import Session

GMAIL_ID = "subscription:gmail:agent@example.com"
AIRTABLE_ID = f"subscription:airtable:{BASE}:{WEBHOOK}"

LEASE = timedelta(minutes=5)


def clock() -> datetime:
    return datetime.now(UTC)  # the tokens are dated by the real time


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """The jobs that the commands work on."""
    return Jobs(JsonStore(tmp_path / "jobs.json", clock), clock=clock, handlers={}, retention=timedelta(days=1))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Call the command line in this process, with the given settings."""

    def call(*args: str, **env: str) -> Result:
        session = Session(env={"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json"), **env}, clock=clock, user="ada")
        return CliRunner().invoke(watchkeeper, ["renew", *args], obj=session)

    return call


@pytest.fixture
def services() -> Iterator[dict[str, str]]:
    """The settings that point to new fakes: one that served other tests may refuse a call as one too many."""
    with running_fakes({}, [0] * FAKES) as services:
        yield services.settings


def test_gmail_is_renewed_by_hand(run: Callable[..., Result], services: dict[str, str], jobs: Jobs) -> None:
    """The output says so, stderr has the log, and the record has the person."""
    result = run("gmail", **services)

    assert (result.exit_code, result.stdout) == (0, "Gmail watch renewed successfully\n")
    assert result.stderr.startswith("INFO Renewed the Gmail watch of agent@example.com; it expires ")
    assert jobs.get(GMAIL_ID).recent_runs[-1].by == "cli:ada"


def test_airtable_is_renewed_by_hand(run: Callable[..., Result], services: dict[str, str], jobs: Jobs) -> None:
    """The output is the function's answer."""
    result = run("airtable", "--json", **services)

    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (answer["message"], answer["webhooks"][0]["webhook_id"]) == ("Refreshed 1 Airtable webhooks", WEBHOOK)
    assert jobs.get(AIRTABLE_ID).recent_runs[-1].by == "cli:ada"


def test_a_failed_renewal_is_an_error(run: Callable[..., Result], services: dict[str, str]) -> None:
    """One line names it and the remedy; the JSON has both lists."""
    hooks = [webhook(WEBHOOK, expires_at=clock() - timedelta(hours=1))]
    with Airtable(bases={BASE: hooks}) as airtable:
        settings = {**services, "AIRTABLE_API_ENDPOINT": airtable.url}
        plain, as_json = run("airtable", **settings), run("airtable", "--json", **settings)

    assert (plain.exit_code, plain.stdout) == (1, "")
    last_line = plain.stderr.splitlines()[-1]
    assert last_line.startswith(f"error: Could not refresh all Airtable webhooks: {BASE} {WEBHOOK} it expired at ")
    assert "make a new webhook" in last_line
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["failed"][0]["webhook_id"] == WEBHOOK


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ("gmail", ["GMAIL_USER_EMAIL", "GMAIL_WATCH_TOPIC", "GMAIL_DELEGATE", "GCP_SERVICE_ACCOUNT_JSON_PATH"]),
        ("airtable", ["AIRTABLE_API_KEY", "AIRTABLE_BASE_ID"]),
    ],
)
def test_every_missing_setting_is_named(run: Callable[..., Result], service: str, says: list[str]) -> None:
    """In one line, and nothing is recorded."""
    result = run(service)

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert all(name in result.stderr for name in says)
    assert "No subscriptions yet" in run("--status").stdout


def test_the_status_shows_each_subscription(run: Callable[..., Result], services: dict[str, str], jobs: Jobs) -> None:
    """Its expiry, its last renewal and its last error; other jobs are left out."""
    run("gmail", **services)
    run("airtable", **services)
    run("gmail", **{**services, "GMAIL_USER_EMAIL": "lost@example.com", "GMAIL_API_ENDPOINT": "http://127.0.0.1:1"})
    jobs.pause(AIRTABLE_ID)
    jobs.schedule("log", {"message": "hello"}, id="tea")

    header, *rows = run("--status").stdout.splitlines()
    as_json = json.loads(run("--status", "--json").stdout)

    assert header.split() == ["SUBSCRIPTION", "EXPIRES", "RENEWED", "REMARK"]
    assert [row.split()[0] for row in rows] == [AIRTABLE_ID, GMAIL_ID, "subscription:gmail:lost@example.com"]
    assert rows[0].endswith("paused: no alarm")
    assert "(in 6 days)" in rows[1]
    assert "unknown" in rows[2]
    assert "last error: no response from Gmail (ConnectionRefusedError" in rows[2]
    assert [job["id"] for job in as_json] == [row.split()[0] for row in rows]


def test_the_status_can_be_of_one_service(run: Callable[..., Result], services: dict[str, str]) -> None:
    """Gmail's only, or Airtable's only."""
    run("gmail", **services)
    run("airtable", **services)

    assert [job["id"] for job in json.loads(run("gmail", "--status", "--json").stdout)] == [GMAIL_ID]
    assert [job["id"] for job in json.loads(run("airtable", "--status", "--json").stdout)] == [AIRTABLE_ID]


def test_a_renewal_in_progress_elsewhere_is_skipped(
    run: Callable[..., Result], services: dict[str, str], jobs: Jobs, tmp_path: Path
) -> None:
    """The output says so; that is not a failure."""
    run("gmail", **services)
    job = jobs.get(GMAIL_ID)
    now = clock()
    payload = {**job.payload, "renewal_started_at": iso(now)}
    held = job.claim(now=now, token="other", lease=LEASE, retention=LEASE, payload=payload)
    JsonStore(tmp_path / "jobs.json", clock).swap([Change(job, held)])

    result = run("gmail", **services)

    assert result.exit_code == 0
    assert result.stdout == "Skipped: another call renews the Gmail watch of agent@example.com\n"
    assert "renewal in progress" in run("--status").stdout
