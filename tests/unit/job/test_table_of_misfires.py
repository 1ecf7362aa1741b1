"""The table of misfires and resume in docs/JOBS.md, line by line."""

import re
from calendar import day_name
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.model.value import Status
from tests.support.job_life import HOUR, RETENTION, JobFactory, claim, missed

JOBS_PAGE = (Path(__file__).resolve().parents[3] / "docs/JOBS.md").read_text()
DAYS = {name: datetime(2026, 11, 22 + n, tzinfo=UTC) for n, name in enumerate(day_name, start=1)}
ROW = re.compile(
    r"\| (?P<kind>no tick|paused) until (?P<until>[A-Z]\w+ \d\d:\d\d)(?:, (?P<off>\w+) off)?"
    r"(?:, ended on (?P<end>\w+ 00:00))?(?P<catch_up>, `--catch-up`)?"
    r" \| `(?P<misfire>\w+)`(?:, `grace` (?P<grace>\d+) min)? \| (?P<runs>[^|]*) \|(?P<missed>[^|]*)\|"
)


def moment_of(text: str) -> datetime:
    day, clock = text.split()
    return DAYS[day] + timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ROW.finditer(JOBS_PAGE)])
def test_the_table_of_misfires_and_resume_is_true(job_factory: JobFactory, row: re.Match[str]) -> None:
    """Each line of the page, over a job of every day at 09:00 whose next occurrence is Monday's."""
    monday, then = DAYS["Monday"] + 9 * HOUR, moment_of(row["until"])
    job = job_factory(
        now=monday - HOUR,
        cron="0 9 * * *",
        misfire=row["misfire"],
        grace=timedelta(minutes=int(row["grace"])) if row["grace"] else None,
        until=moment_of(row["end"]) if row["end"] else None,
        except_dates=[DAYS[row["off"]].date()] if row["off"] else [],
    )

    if row["kind"] == "paused":
        job = job.pause(now=monday - HOUR).resume(now=then, retention=RETENTION, catch_up=bool(row["catch_up"]))
    after = claim(job, then) if job.is_due(then) else job

    days = [f"{after.schedule_at:%A}"] + ["at once"] * (after.status is Status.RUNNING)
    assert row["runs"] == ("never" if after.status is Status.COMPLETED else ", ".join(days))
    spans = [(f"{first:%A}", f"{last:%A}") for first, last in missed(after) if last]
    assert row["missed"].strip() == ", ".join(first if first == last else f"{first} to {last}" for first, last in spans)


def test_the_table_of_the_page_is_read_whole() -> None:
    """No line of it escapes the test above."""
    table = JOBS_PAGE.split("| what happened |")[1].split("\n\n")[0]

    assert len([*ROW.finditer(JOBS_PAGE)]) == len(table.splitlines()) - 2 > 15
