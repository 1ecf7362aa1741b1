"""Takes the pictures of the console that the documentation shows: `make screenshots`.

A real local run is started over jobs of which the last day has been played in quick motion, by real ticks.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.handlers import load_handlers
from shared.jobs import Jobs
from shared.model.job import Job
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.support.browser import Browser
from tests.support.local_run import local_run
from tests.support.servers import HttpServer, reply

IMAGES = Path(__file__).parent.parent / "docs" / "images"
ZONE = "Europe/Berlin"
DOWN = range(8, 23)  # the minutes of the last hour in which a service that is called fails
PAUSE = range(26, 39)  # those in which nobody ticks
REMINDERS = 1200  # that wait for their day
EARLIER = timedelta(hours=23)  # played with a tick every two minutes
LANES = 7
ESCAPE = "\ue00c"


def main() -> None:
    """Take the pictures."""
    logging.disable()
    with tempfile.TemporaryDirectory() as name, HttpServer({"/invoices": reply(404)}) as service:
        folder = Path(name).resolve()
        (path := folder / ".data" / "scheduler_jobs.json").parent.mkdir()
        play_a_day(path, service)
        with local_run(folder, SCHEDULER_JSON_PATH=str(path), SCHEDULER_TIMEZONE=ZONE) as address, Browser() as browser:
            for picture in take_pictures(browser, address):
                (IMAGES / picture).parent.mkdir(exist_ok=True)
                (IMAGES / picture).write_bytes(browser.screenshot())
                sys.stdout.write(f"docs/images/{picture}\n")


def take_pictures(browser: Browser, address: str) -> Iterator[str]:
    """Turn to one view after the other, and name the picture to take of it."""
    browser.size(1280, 860)
    browser.prefer("light")
    browser.open(f"{address}#now")
    browser.wait_for("return document.querySelectorAll('.lane').length >= arguments[0]", LANES)
    browser.see("renewed", within=".subscription")
    browser.see("runs succeeded", within="#day-note")
    browser.see("took", within="#tick-state")
    yield "console.png"
    browser.prefer("dark")
    browser.click("Jobs", within="nav a")
    browser.see("inventory", within="#rows")
    yield "console-dark.png"
    browser.prefer("light")
    browser.open(f"{address}#jobs/inventory")
    browser.see("503", within="#panel .runs")
    yield "console-job.png"
    browser.press(ESCAPE)
    browser.size(390, 844)
    browser.prefer("light")
    browser.click("Chat", within="nav a")
    browser.type("every weekday at 9:00 post *Good morning!*", into="#words")
    browser.click("Send", within="button")
    browser.see("Shall I do this?")
    yield "console-phone.png"


def play_a_day(path: Path, service: HttpServer) -> None:
    """Fill a job file with jobs that ran in the day before now: on time, late, and without success."""
    begin = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    moment = begin - EARLIER

    def clock() -> datetime:
        return moment

    settings = Settings.from_env({"SCHEDULER_JSON_PATH": str(path), "SCHEDULER_TIMEZONE": ZONE})
    store, handlers = JsonStore(path, clock), load_handlers([])
    jobs = Jobs(store, clock=clock, handlers=handlers, retention=settings.retention, timezone=ZONE)
    for job_id, job_type, payload, when in _definitions(begin, service):
        jobs.schedule(job_type, payload, id=job_id, by="cli:ada", **when)
    while moment < begin:
        service.answers["/inventory"] = reply(503 if moment.hour % 7 == 0 else 200)
        run_tick(store, handlers, settings=settings, clock=clock, monotonic=time.monotonic)
        moment += timedelta(minutes=2)
    for minute in range(60):
        moment = begin + timedelta(minutes=minute, seconds=2)
        service.answers["/inventory"] = reply(503 if minute in DOWN else 200)
        if minute not in PAUSE:
            run_tick(store, handlers, settings=settings, clock=clock, monotonic=time.monotonic)
    jobs.pause("newsletter", by="cli:ada")
    store.swap([Change(None, reminder) for reminder in _reminders(moment)])


def _reminders(now: datetime) -> Iterator[Job]:
    for number in range(REMINDERS):
        text = {"space": "spaces/sales", "text": f"Call customer {number + 1} about the renewal"}
        at = now + timedelta(days=1 + number % 90, minutes=number)
        yield Job.create(f"reminder-{number + 1:04}", "chat_message", payload=text, at=at, now=now, by="chat:ada")


def _definitions(begin: datetime, service: HttpServer) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    def every(minutes: str, **more: str) -> dict[str, Any]:
        return {"cron": f"{minutes} * * * *", **more}

    def at(minute: int) -> dict[str, Any]:
        return {"at": begin + timedelta(minutes=minute)}

    yield "backup-check", "log", {"message": "Was the backup written?"}, every("7,37")
    yield "greeting", "greet", {"name": "Grace"}, every("3,33")
    yield "heartbeat", "log", {"message": "All is well"}, every("*/6")
    yield "inbox", "log", {"message": "Look through the inbox"}, every("*/10", misfire="skip")
    yield "inventory", "http_request", {"url": service.url("/inventory"), "method": "POST"}, every("*/15")
    yield "invoices", "http_request", {"url": service.url("/invoices"), "method": "POST"}, at(44)
    yield "newsletter", "log", {"message": "Draft the newsletter"}, every("20")
    yield "stand-up", "log", {"message": "Stand-up begins in ten minutes"}, {"cron": "50 8 * * 1-5"}
    yield "tidy-up", "log", {"message": "Tidy up the shared drive"}, at(60)
    yield "thank-you", "log", {"message": "Thank Grace for the review"}, at(95)


if __name__ == "__main__":
    main()
