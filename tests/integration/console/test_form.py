"""The form that creates and edits jobs."""

import time
from datetime import UTC, datetime

from shared.jobs import Jobs
from tests.support.console_browser import ESCAPE, NEXT_TICK, ConsolePage


def test_a_job_of_the_form_runs_by_itself(page: ConsolePage) -> None:
    """A job that is due in a second runs with the next tick, and the table shows it without a click."""
    page.turn_to("jobs")
    page.click("New job", within="button")
    page.type("from-the-form", into="[name=id]")
    page.type("good morning", into="[name=message]")
    page.click("In", within="#maker .chips label")
    page.type("1s", into="[name=in]")

    page.click("Create job", within="button")

    page.see("from-the-form", within="#panel")
    time.sleep(1)  # the clock of another process
    page.request_tick()
    page.press(ESCAPE)
    page.wait_for(
        "return [...document.querySelectorAll('#rows tr')].some("
        "row => row.innerText.includes('from-the-form') && row.innerText.includes('completed'))",
        seconds=NEXT_TICK,
    )


def test_the_form_shows_the_next_runs_while_a_person_types(page: ConsolePage) -> None:
    """Five of them, and each error at its field."""
    page.turn_to("jobs")
    page.click("New job", within="button")
    page.click("Cron", within="#maker label")

    page.type("30 7 * * *", into="[name=cron]")
    page.see("At 07:30, every day", within="#preview")
    runs = page.run("return document.querySelectorAll('#preview span').length")
    page.type("30 77 * * *", into="[name=cron]")
    page.see("77", within="[data-for=cron] .problem")

    assert runs == 5
    assert page.run("return document.querySelector('[name=cron]').getAttribute('aria-invalid')") == "true"


def test_every_field_of_a_schedule_is_in_the_form(page: ConsolePage, jobs: Jobs) -> None:
    """An interval with a start, an end, days off and its limits, with a preview while typing, becomes that job."""
    page.turn_to("jobs")
    page.click("New job", within="button")
    page.type("bounded", into="[name=id]")
    page.click("Every", within="#maker .chips label")
    for name, value in {"start": "2030-12-01T09:00", "until": "2031-02-01T00:00", "misfire": "skip"}.items():
        page.run(f"document.querySelector('#maker [name={name}]').value = '{value}'")
    page.type("Europe/Berlin", into="[name=timezone]")
    page.type("2030-12-07, 2030-12-25", into="[name=except_dates]")
    page.type("3", into="[name=pause_after_failures]")
    page.see(
        "Every 6 days (Europe/Berlin), until Sat 1 Feb 2031, 00:00, except 7 Dec 2030, 25 Dec 2030", within="#preview"
    )
    page.type("soon", into="[name=grace]")
    page.see("not a duration", within="[data-for=grace] .problem")
    page.type("30m", into="[name=grace]")
    page.see("Fri 13 Dec 2030, 09:00", within="#preview")
    runs = page.run("return [...document.querySelectorAll('#preview span')].map(each => each.innerText)")

    page.click("Create job", within="button")
    page.see("skip, when over 30 min late", within="#panel")

    job = jobs.get("bounded")
    assert runs[:2] == ["Sun 1 Dec 2030, 09:00", "Fri 13 Dec 2030, 09:00"]
    assert (job.every, job.starts_at, job.until) == (
        "6d",
        datetime(2030, 12, 1, 8, tzinfo=UTC),
        datetime(2031, 1, 31, 23, tzinfo=UTC),
    )
    assert [day.isoformat() for day in job.except_dates] == ["2030-12-07", "2030-12-25"]
    assert (job.misfire, job.grace_seconds, job.pause_after_failures) == ("skip", 1800, 3)


def test_the_form_warns_if_both_day_fields_are_set(page: ConsolePage) -> None:
    """If both day fields are set, because other crons need both to match; otherwise the warning disappears."""
    page.turn_to("jobs")
    page.click("New job", within="button")
    page.click("Cron", within="#maker label")

    page.type("0 9 */2 * 1-5", into="[name=cron]")
    page.see("either is enough", within="#preview em")
    page.type("0 9 * * 1-5", into="[name=cron]")

    page.wait_for("return !document.querySelector('#preview em')")


def test_a_job_is_edited_and_its_cancel_is_undone(page: ConsolePage, jobs: Jobs) -> None:
    """The error in the payload is at its field with line and column; the panel shows what is saved."""
    jobs.schedule("http_request", {"url": "https://example.com"}, id="edit-me", cron="0 9 * * *")
    page.open(f"{page.run('return location.origin')}/#jobs/edit-me")
    page.click("Edit", within="#panel button")
    page.see("schedule stays as it is", within="#preview")

    page.type('{\n"url" "https://example.com/new"\n}', into="[name=payload]")
    page.see("in line 2, column 7", within="[data-for=payload] .problem")
    page.click("Go to the mistake", within="button")
    at = page.run("return document.activeElement.selectionStart")
    page.type('{"url": "https://example.com/new"}', into="[name=payload]")
    page.type("30 7 * * *", into="[name=cron]")
    page.see("At 07:30, every day", within="#preview")
    page.click("Save", within="#maker button")
    page.see("example.com/new", within="#panel pre")
    page.click("Cancel", within="#panel button")
    page.see("It was cancelled by console", within="#panel")
    page.click("Undo cancel", within="#panel button")
    page.see("It is not due until", within="#panel")

    assert at == len('{\n"url" ')
    assert (jobs.get("edit-me").cron, jobs.get("edit-me").status) == ("30 7 * * *", "pending")
