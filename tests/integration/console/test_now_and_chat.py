"""The views Now and Chat."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.jobs import Jobs
from tests.support.console_browser import ENTER, ESCAPE, NEXT_TICK, ConsolePage


def test_a_mark_opens_its_run_and_its_log(page: ConsolePage, jobs: Jobs) -> None:
    """A click in the timeline marks the run in the panel and shows its log there."""
    jobs.schedule("log", {"message": "to be found in the log"}, id="mark-me", at=datetime.now(UTC))
    page.request_tick()
    mark = "[data-focus^='mark mark-me']"
    page.click(within=mark)

    page.see("completed", within="#panel .chosen")
    page.click("Log", within="#panel .chosen button")
    page.see("to be found in the log", within="#panel .log")

    assert "run=" in page.run("return location.hash")


def test_the_keyboard_alone_opens_and_closes_a_job(page: ConsolePage, jobs: Jobs) -> None:
    """Enter opens, Escape closes, and the focus returns."""
    jobs.schedule("log", {"message": "by keyboard"}, id="keys", at=datetime.now(UTC) + timedelta(minutes=9))
    names = "[...document.querySelectorAll('.lane .name')]"
    page.wait_for(f"const name = {names}.find(e => e.innerText == 'by keyboard'); name?.focus(); return name")

    page.press(ENTER)
    page.see("It is not due until", within="#panel")
    page.press(ESCAPE)
    page.wait_for("return !document.querySelector('#panel').open")

    assert page.run("return document.activeElement.innerText") == "by keyboard"


def test_a_subscription_is_renewed(page: ConsolePage) -> None:
    """The time of its last renewal changes."""
    renewed = "return document.querySelectorAll('.subscription time')[1]?.dateTime"
    before = page.wait_for(renewed)

    page.click("Renew now", within=".subscription:first-child button")

    page.wait_for(f"const now = (() => {{{renewed}}})(); return now && now != arguments[0]", before)


@pytest.mark.parametrize("generation", ["Classic", "Add-on"])
def test_a_reminder_is_confirmed_edited_and_posted(page: ConsolePage, generation: str) -> None:
    """The confirmed card changes in its place, and the chat shows what the job posts."""
    page.turn_to("chat")
    page.click(generation, within="#generation label")
    page.type(f"remind me in 20 minutes to try {generation}", into="#words")
    page.click("Send", within="button")
    page.click("Confirm", within=".chat-card button")
    page.see(f"Scheduled: try {generation}")

    page.click("Edit", within=".chat-card button")
    page.see("Time zone", within=".chat-dialog")
    page.type("25:00", into=".chat-dialog [name=when]")
    page.click("Save", within=".chat-dialog button")
    page.see("Nothing is changed yet", within=".chat-dialog")
    page.type("tomorrow at 9", into=".chat-dialog [name=when]")
    page.type(f"try {generation} twice", into=".chat-dialog [name=text]")
    page.click("Save", within=".chat-dialog button")
    page.see("It is changed.", within="#threads")
    page.wait_for("return !document.querySelector('.chat-dialog').open")

    page.click("Run now", within=".chat-card button")
    page.see("It runs within a minute.")
    page.turn_to("now")
    page.click("Tick now", within="button")
    page.turn_to("chat")

    page.see(f"@Ada try {generation} twice", seconds=NEXT_TICK)
    assert "Shall I do this?" not in page.text("#threads")
