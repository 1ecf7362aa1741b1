"""Every view: an unreachable or slow server, hostile and long texts, small windows, accessibility."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.jobs import Jobs
from tests.support.console_browser import ESCAPE, NEXT_TICK, ConsolePage

HOSTILE = '<img src="x" onerror="window.wasRun = true"><script>window.wasRun = true</script>'
VIEWS = {
    "#now": "Latest tick",
    "#jobs?q=axe": "axe-fails",
    "#jobs/axe-fails": "no handler is registered",
    "#jobs/axe-paused": "It was paused",
    "#chat": "Send",
}
AXE = Path(__file__).parents[2] / "vendored" / "axe-core" / "axe.min.js"


def test_an_unreachable_server_is_shown(page: ConsolePage) -> None:
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


def test_a_job_opened_while_the_server_is_unreachable_says_so(page: ConsolePage) -> None:
    """The panel may cover the whole page, so it has the message too, and a way out."""
    page.run("window.fetch = () => Promise.reject(new Error('away')); location.hash = '#jobs/any'")

    page.wait_for("return document.querySelector('#panel').dataset.trouble?.includes('does not respond')")
    page.click(within="#panel .close")

    page.wait_for("return !document.querySelector('#panel').open")


def test_a_slow_load_is_shown(page: ConsolePage) -> None:
    """Within a third of a second, and only while it lasts."""
    page.run("window.real = fetch; window.fetch = (...a) => new Promise(r => (window.go = r)).then(() => real(...a))")

    page.wait_for("return !document.querySelector('#loading').hidden")
    page.run("window.fetch = window.real; window.go()")

    page.wait_for("return document.querySelector('#loading').hidden")


def test_content_of_jobs_and_messages_is_never_run(page: ConsolePage, jobs: Jobs) -> None:
    """Every view shows it as it was written."""
    jobs.schedule("log", {"message": HOSTILE}, id="hostile", at=datetime.now(UTC) + timedelta(minutes=5))

    page.see(HOSTILE[:30], within=".lane")
    page.turn_to("jobs")
    page.click(HOSTILE[:30], within="#rows button")
    page.see("onerror", within="#panel pre")
    page.press(ESCAPE)
    page.turn_to("chat")
    page.type(f"{HOSTILE} <javascript:alert(1)|tap>", into="#words")
    page.click("Send", within="button")
    page.see(f"You said: {HOSTILE}")

    assert page.run("return [window.wasRun, document.scripts.length, document.images.length]") == [None, 1, 1]
    assert page.run("return [...document.links].every(link => link.protocol == 'http:')")


def test_a_long_word_is_broken(page: ConsolePage, jobs: Jobs) -> None:
    """In a card it moves nothing else out of sight, and an error in the table has three lines."""
    long = "W" * 500
    card = {"header": {"title": long, "subtitle": long}, "sections": [{"header": long, "widgets": []}]}
    jobs.schedule("chat_message", {"space": "spaces/console", "cardsV2": [{"cardId": "long", "card": card}]})
    jobs.schedule(long[:100], id="long-error", max_attempts=1)
    page.click("Tick now", within="button")

    page.turn_to("jobs")
    page.see("no handler is registered", within="#rows .problem")
    lines = page.run(
        "const e = document.querySelector('#rows .problem');"
        "return e.offsetHeight / parseFloat(getComputedStyle(e).lineHeight)"
    )
    page.turn_to("chat")
    page.see(long, within=".chat-card", seconds=NEXT_TICK)

    assert lines <= 3.1
    assert page.run("const e = document.querySelector('#threads'); return e.scrollWidth <= e.clientWidth")


def test_every_view_fits_and_is_accessible(page: ConsolePage, jobs: Jobs) -> None:
    """On a desktop and a phone, in light and dark: nothing scrolls sideways, and axe finds nothing."""
    jobs.schedule("nobody", id="axe-fails", max_attempts=1)
    jobs.schedule("log", {"message": "again"}, id="axe-paused", cron="0 9 * * *")
    jobs.pause("axe-paused")
    page.request_tick()
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


def axe(page: ConsolePage) -> list[str]:
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


def overflow(page: ConsolePage) -> list[str]:
    """Return how much wider the page is than the window, if it is."""
    width = page.run("return document.documentElement.scrollWidth - innerWidth")
    return [f"{width} pixels too wide"] if width > 0 else []
