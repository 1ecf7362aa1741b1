"""A local run and a browser, which all tests of the console share."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from shared.handlers import load_handlers
from shared.jobs import Jobs
from shared.store.json_file import JsonStore
from tests.support.browser import BrowserMissing, find_browser
from tests.support.console_browser import ConsolePage
from tests.support.local_run import local_run


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run has its job file."""
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="session")
def jobs(folder: Path) -> Jobs:
    """The jobs of the run."""
    clock = partial(datetime.now, UTC)
    store = JsonStore(folder / "jobs.json", clock)
    return Jobs(store, clock=clock, handlers=load_handlers([]), retention=timedelta(days=1))


@pytest.fixture(scope="session")
def browser(folder: Path) -> Iterator[ConsolePage]:
    """A browser. Without one the test is skipped; in CI that is a failure."""
    try:
        find_browser()
    except BrowserMissing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    with local_run(folder) as address, ConsolePage(address) as browser:
        yield browser


@pytest.fixture
def page(browser: ConsolePage) -> Iterator[ConsolePage]:
    """The console, just opened at the size of a desktop. After every test, the browser has logged no error."""
    browser.size(1280, 900)
    browser.prefer("light")
    browser.open("about:blank")
    browser.open(browser.address)
    browser.see("Latest tick")
    yield browser
    assert browser.errors() == []
