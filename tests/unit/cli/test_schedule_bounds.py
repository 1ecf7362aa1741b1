"""Intervals, an end, days off and the misfire rule, from `jobs add` to an import."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.support.command_line import HELLO, Terminal


def test_a_grace_means_the_misfire_rule_skip(run: Terminal) -> None:
    """A grace with another rule is refused."""
    run("jobs", "add", "log", "--id", "job", "--payload", HELLO, "--every", "6d", "--grace", "30m")
    refused = run("jobs", "edit", "job", "--grace", "30m", "--misfire", "coalesce")

    job = run.job("job")
    assert (job.misfire, job.grace_seconds) == ("skip", 1800)
    assert refused.exit_code == 1


CHRISTMAS = (date(2026, 12, 24), date(2026, 12, 25))
INTERVAL = [
    *("jobs", "add", "log", "--id", "job", "--payload", HELLO, "--every", "6d", "--timezone", "Europe/Berlin"),
    *("--at", "2026-12-01T09:00", "--until", "2027-02-01T00:00", "--except", "2026-12-24, 2026-12-25"),
    *("--misfire", "skip", "--grace", "30m", "--pause-after-failures", "3"),
]


def test_a_schedule_with_all_its_bounds(run: Terminal) -> None:
    """Naive times are in its zone; `show` has every field, `list` the schedule; adding it again changes nothing."""
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
    """A naive end is in the job's own zone; each bound has a word that removes it."""
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


def test_an_exported_schedule_is_imported_whole(run: Terminal, tmp_path: Path) -> None:
    """From one store through a file into another."""
    run(*INTERVAL)
    made = run.job()

    run("jobs", "export", str(tmp_path / "backup.json"))
    run("jobs", "delete", "job", "--yes")
    run("jobs", "import", str(tmp_path / "backup.json"))

    assert run.job() == made
