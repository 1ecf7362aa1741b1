"""`tick` runs what is due, and `tick --dry-run` shows what would run."""

import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from shared.handlers import Context, Handler, Payload
from shared.model.value import Status
from tests.support.command_line import HELLO, JobFactory, Terminal, former


@pytest.fixture
def live(run: Terminal) -> Terminal:
    """The command line on the real clock, for ticks."""
    run.clock = partial(datetime.now, UTC)
    run.at = run.clock()
    return run


def test_a_tick_runs_what_is_due(live: Terminal) -> None:
    """It prints the metrics; the jobs' logs go to stderr."""
    live("jobs", "add", "log", "--id", "job", "--payload", HELLO)

    result = live("tick")

    assert result.exit_code == 0
    assert ["jobs_succeeded", "1"] in [line.split() for line in result.stdout.splitlines()]
    assert "INFO hello\n" in result.stderr
    assert live.job().status is Status.COMPLETED


def test_the_metrics_can_be_read_by_programs(live: Terminal) -> None:
    """--json prints them as one object."""
    metrics = json.loads(live("tick", "--json").stdout)

    assert (metrics["jobs_executed"], metrics["truncated"]) == (0, False)


def fake_handlers(run: Callable[[Payload, Context], object]) -> dict[str, Handler]:
    """Return handlers with the given function as `log`."""
    return {"log": Handler(job_type="log", run=run)}


def test_a_failed_job_does_not_fail_the_tick(live: Terminal) -> None:
    """The job's error is one line on stderr; the tick succeeds."""

    def fail(payload: Payload, context: Context) -> None:
        raise ValueError("boom")

    live("jobs", "add", "log", "--payload", HELLO, "--max-attempts", "1")
    live.fakes["handlers"] = fake_handlers(fail)

    result = live("tick")

    assert result.exit_code == 0
    assert "failed for good: ValueError: boom\n" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_tick_fails_if_the_store_is_unreachable(live: Terminal) -> None:
    """The file does not change."""
    live.path.write_text("{")

    result = live("tick")

    assert result.exit_code == 1
    assert "\nerror: the job file" in result.stderr
    assert live.path.read_text() == "{"


def test_ctrl_c_ends_a_tick_in_order(live: Terminal) -> None:
    """The handler is asked to stop, its result is stored, the metrics are printed; the exit code is 130."""
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


def test_a_dry_run_of_a_tick_only_reads(run: Terminal, job_factory: JobFactory, now: datetime) -> None:
    """It lists what is due now and within the hour, with lateness and notes, and runs nothing."""
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


def test_a_dry_run_of_a_tick_names_unreadable_documents(run: Terminal) -> None:
    """The next tick would quarantine them; programs get them unchanged."""
    run.put_raw(bad=former("bad", status="odd", ready_at="2026-11-20T09:00:00Z"))

    assert "cannot be read and will be quarantined" in run("tick", "--dry-run").stdout
    assert json.loads(run("tick", "--dry-run", "--json").stdout)[0]["id"] == "bad"


def test_a_dry_run_of_a_tick_says_that_nothing_is_due(run: Terminal) -> None:
    """An empty store is not an error."""
    assert run("tick", "--dry-run").stdout == "Nothing is due now, or within the next hour.\n"
