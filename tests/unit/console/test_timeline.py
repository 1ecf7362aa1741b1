"""The timeline: past, current and coming runs of an hour."""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.model.history import Result
from shared.model.job import Job
from tests.support.console_page import MINUTE, RETENTION, get, held, marks
from watchkeeper.console import views
from watchkeeper.console.system import System


def test_a_retry_is_not_shown_as_lateness(job_factory: Callable[..., Job], now: datetime) -> None:
    """A run is late against its due time, a retry against the time set for the retry."""
    job = job_factory(at=now - 20 * MINUTE)
    began = now - 15 * MINUTE
    job = held(job, began).finish(
        Result(started_at=began, ended_at=began, by="schedule", error="no luck"), retention=RETENTION
    )
    again = began + 4 * MINUTE
    job = held(job, again).finish(Result(started_at=again, ended_at=again, by="schedule"), retention=RETENTION)

    assert marks(job, now) == [("retried", "08:40", "08:45"), ("completed", "08:46", "08:49")]


def test_what_was_missed_and_what_comes_are_marked(job_factory: Callable[..., Job], now: datetime) -> None:
    """A pause leaves one mark for all missed occurrences; the coming runs end with the hour."""
    job = job_factory(now=now - 40 * MINUTE, cron="*/20 * * * *")
    job = held(job, now).finish(Result(started_at=now, ended_at=now, by="schedule"), retention=RETENTION)

    assert marks(job, now) == [
        ("missed", "08:20", "08:20"),
        ("completed", "09:00", "09:00"),
        ("upcoming", "09:20", "09:20"),
        ("upcoming", "09:40", "09:40"),
        ("upcoming", "10:00", "10:00"),
    ]


def test_a_running_run_has_no_end_on_the_timeline(job_factory: Callable[..., Job], now: datetime) -> None:
    """It is drawn up to now; the end of its lease is not a coming run."""
    assert marks(held(job_factory(), now), now + MINUTE) == [("running", "09:00", "09:00")]


def test_the_timeline_leaves_out_jobs_without_marks(job_factory: Callable[..., Job], now: datetime) -> None:
    """Of the others, only as many as there are lanes; the rest is counted."""
    idle = [job_factory(f"idle-{number}", at=now + timedelta(days=1)) for number in range(5)]
    busy = [job_factory(f"busy-{number:02}") for number in range(views.LANES + 3)]

    shown = views.timeline([*idle, *busy], now, "UTC")

    assert [lane["id"] for lane in shown["lanes"]] == [f"busy-{number:02}" for number in range(views.LANES)]
    assert shown["left_out"] == 3


def test_with_many_jobs_the_next_to_run_are_still_shown(system: System, now: datetime) -> None:
    """They come first, whatever their id is."""
    for number in range(views.LANES):
        system.jobs.schedule("log", {"message": "hi"}, id=f"a-{number:03}", at=now + timedelta(days=1))
    for minutes in (50, 20, 70):
        system.jobs.schedule("log", {"message": "hi"}, id=f"z-{minutes}", at=now + minutes * MINUTE)

    shown = get(system, "/api/now").get_json()

    assert [lane["id"] for lane in shown["lanes"]] == ["z-20", "z-50"]
    assert shown["left_out"] == 0
