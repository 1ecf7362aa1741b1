"""The page of `watchkeeper console`, which asks for a token."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.jobs import Jobs
from shared.store.json_file import JsonStore
from tests.support.console_browser import ConsolePage
from watchkeeper.console.app import create_console
from watchkeeper.console.system import FunctionCall, System
from watchkeeper.serving import bind, serving


def never(function: str) -> FunctionCall:
    """Call nothing: it is read-only."""
    raise AssertionError


def test_an_address_with_a_token_works_in_an_open_tab(browser: ConsolePage, tmp_path: Path) -> None:
    """The tab may show the page without a token, or with that of an earlier run."""
    now = datetime.now(UTC)
    store = JsonStore(tmp_path / "jobs.json", lambda: now)
    system = System(
        jobs=Jobs(store, clock=lambda: now, handlers={}, retention=timedelta(days=1)),
        handlers={},
        clock=lambda: now,
        timezone="UTC",
        place="in a file",
        functions={},
        headers={},
        schedules={},
        services=[],
        last_call=lambda name: None,
        call=never,
        is_read_only=True,
    )
    server = bind(create_console(system, token="new"))
    with serving(server):
        address = f"http://127.0.0.1:{server.port}/"
        browser.open(f"{address}#now?token=old")
        browser.see("each run has a new token. Nothing could be read yet.", within="#trouble")

        browser.open(f"{address}#now?token=new")
        browser.see("failed", within="#health")

        assert browser.run("return location.hash") == "#now"
        browser.open("about:blank")
    assert all("401" in error for error in browser.errors())
