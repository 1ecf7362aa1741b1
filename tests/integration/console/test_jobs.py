"""The table of jobs, and the panel of one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.jobs import Jobs
from shared.model.job import Job
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.support.console_browser import ConsolePage

DAY = timedelta(days=1)


def test_a_job_is_cancelled_by_its_button(page: ConsolePage, jobs: Jobs) -> None:
    """The panel shows it at once and offers no other command."""
    jobs.schedule("log", {"message": "to be cancelled"}, id="cancel-me", at=datetime.now(UTC) + timedelta(days=1))
    page.turn_to("jobs")
    page.click("to be cancelled", within="#rows button")

    page.click("Cancel", within="#panel button")
    page.see("It was cancelled by console", within="#panel")

    assert jobs.get("cancel-me").status == "cancelled"
    assert page.run("return document.querySelector('#panel').contains(document.activeElement)")
    assert "Cancel" not in page.text("#panel .actions")


def test_a_reload_and_back_show_what_the_address_says(page: ConsolePage, jobs: Jobs) -> None:
    """The search, the status, the open job: a reload shows them again, and Back undoes one step."""
    for number in range(3):
        jobs.schedule("log", {"message": f"harvest {number}"}, id=f"harvest-{number}", at=datetime.now(UTC) + DAY)
    jobs.pause("harvest-1")
    page.turn_to("jobs")

    page.type("HARVEST", into="#search")
    page.wait_for("return document.querySelectorAll('#rows tr').length == 3")
    page.click("paused", within="#filters label")
    page.wait_for("return document.querySelectorAll('#rows tr').length == 1")
    page.click("harvest 1", within="#rows button")
    page.see("It was paused", within="#panel")
    page.reload()
    page.see("It was paused", within="#panel")
    address = page.run("return location.hash")
    page.run("history.back()")
    page.wait_for("return !document.querySelector('#panel').open")
    rows = page.run("return document.querySelector('#rows').innerText")
    counts = page.text("#filters-of")

    assert address == "#jobs/harvest-1?q=HARVEST&status=paused"
    assert "harvest 1" in rows
    assert "harvest 2" not in rows
    assert "all 3" in counts


def test_many_jobs_are_changed_at_once(page: ConsolePage, jobs: Jobs) -> None:
    """Selected by clicks; the page says what was done, and refused jobs stay selected."""
    for number in range(3):
        jobs.schedule("log", {"message": "mow"}, id=f"mow-{number}", at=datetime.now(UTC) + DAY)
    page.turn_to("jobs")
    page.type("mow", into="#search")
    page.wait_for("return document.querySelectorAll('#rows tr').length == 3")

    page.click(within="#pick-all")
    page.see("3 selected")
    page.click("Pause", within="#commands button")
    page.see("Pause: 3 of 3 done.")
    page.click(within="#pick-all")
    page.click("Retry", within="#commands button")
    page.see("Retry: 0 of 3 done. 3 refused it")
    page.see("3 selected")

    assert {jobs.get(f"mow-{number}").status for number in range(3)} == {"paused"}


def test_all_jobs_that_match_are_changed_at_once(page: ConsolePage, jobs: Jobs) -> None:
    """Also those on other pages."""
    names = [f"rake-{number}" for number in range(51)]
    for name in names:
        jobs.schedule("log", {"message": "rake"}, id=name, at=datetime.now(UTC) + DAY)
    page.turn_to("jobs")
    page.type("rake", into="#search")
    page.see("1 to 50 of 51")

    page.click(within="#pick-all")
    page.click("Select all 51 that match", within="#many button")
    page.click("Pause", within="#commands button")
    page.see("Pause: 51 of 51 done.")

    assert {jobs.get(name).status for name in names} == {"paused"}


def test_a_job_in_a_queue_is_shown_as_waiting(page: ConsolePage, jobs: Jobs, folder: Path) -> None:
    """In the table and in the panel, with its queue and without a lease."""
    now = datetime.now(UTC)
    job = Job.create("handed-over", "log", payload={"message": "later"}, now=now)
    lease = timedelta(minutes=5)
    handed_over = job.claim(now=now, token="t", lease=lease, retention=lease, queue="agents")
    JsonStore(folder / "jobs.json", lambda: now).swap([Change(None, handed_over)])
    page.turn_to("jobs")

    page.see("waiting in queue agents")
    page.click("later", within="#rows button")
    page.see("It was handed over, and has been waiting in queue agents since")

    jobs.cancel("handed-over")
