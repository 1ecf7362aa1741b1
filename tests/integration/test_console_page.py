"""The console as a person uses it: a real local run in a headless Chromium."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import requests
from google.cloud import firestore

from shared.handlers import load_handlers
from shared.jobs import Jobs
from shared.model.job import Job
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.browser import Browser, BrowserMissing, find_browser
from tests.local_run import local_run

DAY = timedelta(days=1)
NEXT_TICK = 90  # seconds: the fake of Cloud Scheduler ticks every minute
ENTER, ESCAPE = "\ue007", "\ue00c"
HOSTILE = '<img src="x" onerror="window.wasRun = true"><script>window.wasRun = true</script>'
TABS = {"now": "Latest tick", "jobs": "New job", "chat": "Send"}
VIEWS = {
    "#now": "Latest tick",
    "#jobs?q=axe": "axe-fails",
    "#jobs/axe-fails": "no handler is registered",
    "#jobs/axe-paused": "It was paused",
    "#chat": "Send",
}
AXE = Path(__file__).parent.parent / "vendored" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run has its job file."""
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def jobs(folder: Path) -> Jobs:
    """The jobs of the run."""
    clock = partial(datetime.now, UTC)
    store = JsonStore(folder / "jobs.json", clock)
    return Jobs(store, clock=clock, handlers=load_handlers([]), retention=timedelta(days=1))


@pytest.fixture(scope="module")
def console(folder: Path) -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of the console. Without a browser the test is skipped; in CI that is a failure."""
    try:
        find_browser()
    except BrowserMissing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    with local_run(folder) as address, Browser() as browser:
        yield browser, address


@pytest.fixture
def page(console: tuple[Browser, str]) -> Iterator[Browser]:
    """The console, just opened at the size of a desktop. After every test, the browser has logged no error."""
    browser, address = console
    browser.size(1280, 900)
    browser.prefer("light")
    browser.open("about:blank")
    browser.open(address)
    browser.see("Latest tick")
    yield browser
    assert browser.errors() == []


def turn_to(page: Browser, view: str) -> None:
    """Go to a view by its tab."""
    page.click(view.title(), within="nav a")
    page.see(TABS[view])


def tick(console: tuple[Browser, str]) -> None:
    """Request a tick, instead of waiting for the next minute."""
    _, address = console
    requests.post(f"{address}api/call/tick", json={}, headers={"Origin": address.rstrip("/")}, timeout=30)


def test_a_job_of_the_form_runs_by_itself(page: Browser, console: tuple[Browser, str]) -> None:
    """A job that is due in a second runs with the next tick, and the table shows it without a click."""
    turn_to(page, "jobs")
    page.click("New job", within="button")
    page.type("from-the-form", into="[name=id]")
    page.type("good morning", into="[name=message]")
    page.click("In", within="#maker .chips label")
    page.type("1s", into="[name=in]")

    page.click("Create job", within="button")

    page.see("from-the-form", within="#panel")
    time.sleep(1)  # the clock of another process
    tick(console)
    page.press(ESCAPE)
    page.wait_for(
        "return [...document.querySelectorAll('#rows tr')].some("
        "row => row.innerText.includes('from-the-form') && row.innerText.includes('completed'))",
        seconds=NEXT_TICK,
    )


def test_the_form_shows_the_next_runs_as_one_types(page: Browser) -> None:
    """Five of them, and each error at its field."""
    turn_to(page, "jobs")
    page.click("New job", within="button")
    page.click("Cron", within="#maker label")

    page.type("30 7 * * *", into="[name=cron]")
    page.see("At 07:30, every day", within="#preview")
    runs = page.run("return document.querySelectorAll('#preview span').length")
    page.type("30 77 * * *", into="[name=cron]")
    page.see("77", within="[data-for=cron] .problem")

    assert runs == 5
    assert page.run("return document.querySelector('[name=cron]').getAttribute('aria-invalid')") == "true"


def test_every_field_of_a_schedule_is_in_the_form(page: Browser, jobs: Jobs) -> None:
    """An interval with a start, an end, days off and its limits, with a preview while typing, becomes that job."""
    turn_to(page, "jobs")
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


def test_the_form_warns_of_either_day(page: Browser) -> None:
    """If both day fields are set, because other crons need both to match; otherwise the warning disappears."""
    turn_to(page, "jobs")
    page.click("New job", within="button")
    page.click("Cron", within="#maker label")

    page.type("0 9 */2 * 1-5", into="[name=cron]")
    page.see("either is enough", within="#preview em")
    page.type("0 9 * * 1-5", into="[name=cron]")

    page.wait_for("return !document.querySelector('#preview em')")


def test_a_job_is_cancelled_by_its_button(page: Browser, jobs: Jobs) -> None:
    """The panel shows it at once and offers no other command."""
    jobs.schedule("log", {"message": "to be cancelled"}, id="cancel-me", at=datetime.now(UTC) + timedelta(days=1))
    turn_to(page, "jobs")
    page.click("to be cancelled", within="#rows button")

    page.click("Cancel", within="#panel button")
    page.see("It was cancelled by console", within="#panel")

    assert jobs.get("cancel-me").status == "cancelled"
    assert page.run("return document.querySelector('#panel').contains(document.activeElement)")
    assert "Cancel" not in page.text("#panel .actions")


def test_the_address_has_what_is_shown(page: Browser, jobs: Jobs) -> None:
    """The search, the status, the open job: a reload shows them again, and Back undoes one step."""
    for number in range(3):
        jobs.schedule("log", {"message": f"harvest {number}"}, id=f"harvest-{number}", at=datetime.now(UTC) + DAY)
    jobs.pause("harvest-1")
    turn_to(page, "jobs")

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


def test_many_jobs_are_changed_at_once(page: Browser, jobs: Jobs) -> None:
    """Selected by clicks; the page says what was done, and refused jobs stay selected."""
    for number in range(3):
        jobs.schedule("log", {"message": "mow"}, id=f"mow-{number}", at=datetime.now(UTC) + DAY)
    turn_to(page, "jobs")
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


def test_a_job_is_edited_and_its_cancel_is_undone(page: Browser, jobs: Jobs) -> None:
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


def test_a_mark_leads_to_its_run_and_to_its_log(page: Browser, jobs: Jobs, console: tuple[Browser, str]) -> None:
    """A click in the timeline marks the run in the panel and shows its log there."""
    jobs.schedule("log", {"message": "to be found in the log"}, id="mark-me", at=datetime.now(UTC))
    tick(console)
    mark = "[data-focus^='mark mark-me']"
    page.click(within=mark)

    page.see("completed", within="#panel .chosen")
    page.click("Log", within="#panel .chosen button")
    page.see("to be found in the log", within="#panel .log")

    assert "run=" in page.run("return location.hash")


def test_a_server_that_is_away_is_said(page: Browser) -> None:
    """The figures stay, grey, with their time; nothing turns to zero, and the page recovers by itself."""
    page.see("failed", within="#health")
    before = page.text("#health")
    page.run("window.real = window.fetch; window.fetch = () => Promise.reject(new Error('away'))")

    page.see("The console does not respond", within="#trouble")
    said, figures = page.text("#trouble"), page.text("#health")
    is_old = page.run("return document.querySelector('main').classList.contains('old')")
    faults = axe(page)
    page.run("window.fetch = window.real")
    page.wait_for("return document.querySelector('#trouble').hidden")

    assert "What you see is from" in said
    assert (figures, is_old, faults) == (before, True, [])


def test_a_job_that_is_opened_while_the_server_is_away_says_so(page: Browser) -> None:
    """The panel may cover the whole page, so it has the message too, and a way out."""
    page.run("window.fetch = () => Promise.reject(new Error('away')); location.hash = '#jobs/any'")

    page.wait_for("return document.querySelector('#panel').dataset.trouble?.includes('does not respond')")
    page.click(within="#panel .close")

    page.wait_for("return !document.querySelector('#panel').open")


def test_a_slow_load_says_so(page: Browser) -> None:
    """Within a third of a second, and only while it lasts."""
    page.run("window.real = fetch; window.fetch = (...a) => new Promise(r => (window.go = r)).then(() => real(...a))")

    page.wait_for("return !document.querySelector('#loading').hidden")
    page.run("window.fetch = window.real; window.go()")

    page.wait_for("return document.querySelector('#loading').hidden")


def test_a_job_that_was_handed_over_is_shown_as_waiting(page: Browser, jobs: Jobs, folder: Path) -> None:
    """In the table and in the panel, with its queue and without a lease."""
    now = datetime.now(UTC)
    job = Job.create("handed-over", "log", payload={"message": "later"}, now=now)
    lease = timedelta(minutes=5)
    handed_over = job.claim(now=now, token="t", lease=lease, retention=lease, queue="agents")
    JsonStore(folder / "jobs.json", lambda: now).swap([Change(None, handed_over)])
    turn_to(page, "jobs")

    page.see("waiting in queue agents")
    page.click("later", within="#rows button")
    page.see("It was handed over, and has been waiting in queue agents since")

    jobs.cancel("handed-over")


def test_the_keyboard_alone_opens_and_closes_a_job(page: Browser, jobs: Jobs) -> None:
    """Enter opens, Escape closes, and the focus returns."""
    jobs.schedule("log", {"message": "by keyboard"}, id="keys", at=datetime.now(UTC) + timedelta(minutes=9))
    names = "[...document.querySelectorAll('.lane .name')]"
    page.wait_for(f"const name = {names}.find(e => e.innerText == 'by keyboard'); name?.focus(); return name")

    page.press(ENTER)
    page.see("It is not due until", within="#panel")
    page.press(ESCAPE)
    page.wait_for("return !document.querySelector('#panel').open")

    assert page.run("return document.activeElement.innerText") == "by keyboard"


@pytest.mark.parametrize("generation", ["Classic", "Add-on"])
def test_a_reminder_is_confirmed_and_comes(page: Browser, generation: str) -> None:
    """The confirmed card changes in its place, and the chat shows what the job posts."""
    turn_to(page, "chat")
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
    turn_to(page, "now")
    page.click("Tick now", within="button")
    turn_to(page, "chat")

    page.see(f"@Ada try {generation} twice", seconds=NEXT_TICK)
    assert "Shall I do this?" not in page.text("#threads")


def test_a_subscription_is_renewed(page: Browser) -> None:
    """The time of its last renewal changes."""
    renewed = "return document.querySelectorAll('.subscription time')[1]?.dateTime"
    before = page.wait_for(renewed)

    page.click("Renew now", within=".subscription:first-child button")

    page.wait_for(f"const now = (() => {{{renewed}}})(); return now && now != arguments[0]", before)


def test_what_jobs_and_messages_contain_is_never_run(page: Browser, jobs: Jobs) -> None:
    """Every view shows it as it was written."""
    jobs.schedule("log", {"message": HOSTILE}, id="hostile", at=datetime.now(UTC) + timedelta(minutes=5))

    page.see(HOSTILE[:30], within=".lane")
    turn_to(page, "jobs")
    page.click(HOSTILE[:30], within="#rows button")
    page.see("onerror", within="#panel pre")
    page.press(ESCAPE)
    turn_to(page, "chat")
    page.type(f"{HOSTILE} <javascript:alert(1)|tap>", into="#words")
    page.click("Send", within="button")
    page.see(f"You said: {HOSTILE}")

    assert page.run("return [window.wasRun, document.scripts.length, document.images.length]") == [None, 1, 1]
    assert page.run("return [...document.links].every(link => link.protocol == 'http:')")


def test_a_word_that_is_too_long_is_broken(page: Browser, jobs: Jobs) -> None:
    """In a card it moves nothing else out of sight, and an error in the table has three lines."""
    long = "W" * 500
    card = {"header": {"title": long, "subtitle": long}, "sections": [{"header": long, "widgets": []}]}
    jobs.schedule("chat_message", {"space": "spaces/console", "cardsV2": [{"cardId": "long", "card": card}]})
    jobs.schedule(long[:100], id="long-error", max_attempts=1)
    page.click("Tick now", within="button")

    turn_to(page, "jobs")
    page.see("no handler is registered", within="#rows .problem")
    lines = page.run(
        "const e = document.querySelector('#rows .problem');"
        "return e.offsetHeight / parseFloat(getComputedStyle(e).lineHeight)"
    )
    turn_to(page, "chat")
    page.see(long, within=".chat-card", seconds=NEXT_TICK)

    assert lines <= 3.1
    assert page.run("const e = document.querySelector('#threads'); return e.scrollWidth <= e.clientWidth")


def test_every_view_fits_and_can_be_read_by_everybody(page: Browser, jobs: Jobs, console: tuple[Browser, str]) -> None:
    """On a desktop and a phone, in light and dark: nothing scrolls sideways, and axe finds nothing."""
    jobs.schedule("nobody", id="axe-fails", max_attempts=1)
    jobs.schedule("log", {"message": "again"}, id="axe-paused", cron="0 9 * * *")
    jobs.pause("axe-paused")
    tick(console)
    found = {}

    for scheme in ("light", "dark"):
        page.prefer(scheme)
        for view, sign in VIEWS.items():
            page.run("document.querySelector('#maker').close(); location.hash = arguments[0]", view)
            page.see(sign)
            if view == "#jobs/axe-paused":
                page.click("Edit", within="#panel button")
                page.see("schedule stays as it is", within="#preview")
            for width in (1280, 390):
                page.size(width, 844)
                found[view, scheme, width] = [*axe(page), *overflow(page)]
        red, *_ = page.run("return getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number)")
        assert (red > 128) == (scheme == "light")

    assert {where: faults for where, faults in found.items() if faults} == {}


def axe(page: Browser) -> list[str]:
    """Return what axe finds in the current page: rule, element, and fault."""
    if not page.run("return Boolean(window.axe)"):
        page.run(AXE.read_text(encoding="utf-8"))
    script = """
        const { violations } = await axe.run();
        const said = (id, { html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary}`;
        return violations.flatMap(({ id, nodes }) => nodes.map(node => said(id, node)));
    """
    faults: list[str] = page.run(f"return (async () => {{{script}}})()")
    return faults


def overflow(page: Browser) -> list[str]:
    """Return how much wider the page is than the window, if it is."""
    width = page.run("return document.documentElement.scrollWidth - innerWidth")
    return [f"{width} pixels too wide"] if width > 0 else []


@pytest.mark.emulator
def test_the_command_line_shows_a_deployed_system(firestore_client: firestore.Client, tmp_path: Path) -> None:
    """`watchkeeper console` reads the jobs of a project, changes none, and ends with Ctrl-C."""
    collection = f"jobs-{uuid.uuid4().hex}"
    clock = partial(datetime.now, UTC)
    store = FirestoreStore(firestore_client, collection)
    Jobs(store, clock=clock, handlers={}, retention=timedelta(days=1)).schedule("log", {"message": "hello"}, id="job")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    arguments = ["--project", "test", "--collection", collection, "--port", str(port)]
    command = [sys.executable, "-c", "from watchkeeper.cli.main import main; main()", "console", *arguments]
    console = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert console.stdout is not None
        said = console.stdout.readline()
        page = f"http://127.0.0.1:{port}"
        shown = {"Origin": page, "X-Watchkeeper-Token": said.strip().partition("token=")[2]}
        listed = requests.get(f"{page}/api/jobs", headers=shown, timeout=30).json()
        refused = requests.post(f"{page}/api/jobs/job/cancel", json={}, headers=shown, timeout=30)
        unknown = requests.get(f"{page}/api/jobs", timeout=30)
        now, runs = (requests.get(f"{page}/api/{path}", headers=shown, timeout=30) for path in ("now", "jobs/job/runs"))
        console.send_signal(signal.SIGINT)
        code = console.wait(30)
    finally:
        console.kill()
        console.communicate()

    assert page in said
    assert [job["id"] for job in listed["jobs"]] == ["job"]
    assert (refused.status_code, unknown.status_code) == (403, 401)
    assert [figure["name"] for figure in now.json()["health"] if figure["count"]] == []
    assert runs.json() == {"runs": [], "has_more": False}
    assert code == 0


@pytest.mark.emulator
def test_a_taken_port_is_said_in_one_line(firestore_emulator: str, tmp_path: Path) -> None:
    """With the way out."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = ["--project", "test", "--port", str(server.getsockname()[1])]
        command = [sys.executable, "-c", "from watchkeeper.cli.main import main; main()", "console", *arguments]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: port ")
    assert ended.stderr.count("\n") == 1
    assert "--port" in ended.stderr
