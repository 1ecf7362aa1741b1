"""`jobs list`: which jobs, in which order and format."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.model.history import Result as RunResult
from shared.model.job import Job
from shared.store.protocol import PAGE
from tests.support.command_line import HOUR, JobFactory, Terminal, former


def test_a_list_in_a_pipe_is_plain_and_whole(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """One line per job, uncut, without colours or control characters, with times in the job's own zone."""
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
    """A list of objects with ISO times, the payload as an object, and foreign fields too."""
    run.put(replace(job_factory(), extra={"owner": "me"}))

    (job,) = json.loads(run("jobs", "list", "--json").stdout)

    assert list(job)[:2] == ["id", "job_type"]
    assert job == json.loads(run.path.read_text())["jobs"]["job"]
    assert (job["payload"], job["owner"]) == ({"message": "hello"}, "me")
    assert job["ready_at"] == "2026-11-21T09:00:00Z"


def test_an_empty_list_says_so(run: Terminal) -> None:
    """People get a sentence, programs an empty list."""
    assert run("jobs", "list").stdout == "No jobs found.\n"
    assert json.loads(run("jobs", "list", "--json").stdout) == []


def test_a_list_can_be_filtered(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """By status, space and number; subscriptions are listed on request."""
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
    """By type, by text in id, type or payload, and by the next run; jobs without one come last."""
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
    """By the settings of this command; those of the tick may differ."""
    run.put(job_factory("ask", "agent", payload={"prompt": "what is new?", "space": "spaces/A"}), job_factory("b"))

    place = "in the tick, for 120 s at most, since TASK_QUEUES does not name queue agents (by the settings here)"
    assert place in " ".join(run("jobs", "show", "ask").stdout.split())
    assert "TASK_QUEUES" not in run("jobs", "show", "b").stdout


def test_a_long_list_comes_in_pages(run: Terminal, job_factory: JobFactory) -> None:
    """Every job is listed once, under one header."""
    run.put(*(job_factory(f"job-{number:03}") for number in range(PAGE + 1)))

    lines = run("jobs", "list").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["ID", *(f"job-{number:03}" for number in range(PAGE + 1))]


def test_unreadable_documents_are_listed_with_the_reason(run: Terminal) -> None:
    """The table has them; JSON has them unchanged, with a note on stderr."""
    run.put_raw(bad=former("bad", status="odd", ready_at="2026-11-20T09:00:00Z"))

    table, as_json = run("jobs", "list"), run("jobs", "list", "--json")

    assert table.stdout.splitlines()[1].split()[:3] == ["bad", "log", "unreadable"]
    assert json.loads(as_json.stdout)[0]["status"] == "odd"
    assert "1 cannot be read" in as_json.stderr


@pytest.mark.parametrize(
    ("minutes", "when"),
    [pytest.param(-61, "in 61 min"), pytest.param(0, "due"), pytest.param(1, "due"), pytest.param(2, "2 min late")],
)
def test_a_list_shows_what_is_late(run: Terminal, job_factory: JobFactory, minutes: int, when: str) -> None:
    """A tick comes once a minute, so a minute is not late."""
    run.put(job_factory(at=run.at - timedelta(minutes=minutes)))

    assert f"  {when}  " in run("jobs", "list").stdout


def test_a_list_shows_how_long_a_job_has_been_running(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """Or has been waiting in a queue; the end of its lease is not its next run."""
    claim = partial(Job.claim, now=now, token="t", lease=HOUR, retention=HOUR)
    run.put(claim(job_factory("a")), claim(job_factory("b"), queue="agents"))
    run.at += timedelta(minutes=7)

    _, first, second = run("jobs", "list").stdout.splitlines()

    assert " ".join(first.split()) == "a log running running 7 min once"
    assert " ".join(second.split()) == "b log running queued 7 min once"


def test_a_job_that_paused_itself_is_listed_with_the_reason(run: Terminal, job_factory: JobFactory) -> None:
    """So that nobody looks for the person who paused it."""
    job = job_factory("job", cron="0 9 * * *", pause_after_failures=1)
    held = job.claim(now=run.at, token="t", lease=timedelta(minutes=5), retention=timedelta(days=1))
    failed = RunResult(started_at=run.at, ended_at=run.at, by="x", error="boom", final=True)
    run.put(held.finish(failed, retention=timedelta(days=1)))

    for command in (["jobs", "list"], ["jobs", "show", "job"]):
        assert "It is paused after 1 failure in a row, the last because: boom." in run(*command).stdout
