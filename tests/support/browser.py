"""A headless Chromium, driven over WebDriver's own JSON protocol.

    with Browser() as browser:
        browser.open("http://127.0.0.1:8080/")
        browser.click("Jobs", within="nav")
        browser.wait_for("return document.querySelectorAll('tr').length > 1")

https://www.w3.org/TR/webdriver2/
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection
from tempfile import TemporaryDirectory
from typing import Any, Self

DRIVER, BROWSER = "chromedriver", "chromium"
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--hide-scrollbars",
    # One process for all pages: starting another for each page that is opened takes a third of the time.
    "--disable-site-isolation-trials",
    "--disable-features=BackForwardCache,SpareRendererForSitePerProcess",
)
PATIENCE = 30.0  # seconds, for any wait
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that the protocol gives to a reference
VISIBLE = "const shown = [...document.querySelectorAll(arguments[0])].filter(each => each.checkVisibility());"


class BrowserMissing(Exception):
    """No browser to test with; on Debian: apt-get install chromium chromium-driver."""


def find_browser() -> None:
    """Look for a browser. Raises BrowserMissing."""
    if not (shutil.which(DRIVER) and shutil.which(BROWSER)):
        raise BrowserMissing(BrowserMissing.__doc__)


class Browser:
    """One browser with one page, for as long as it is entered. An element is named by a selector and its text."""

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._port = server.getsockname()[1]
        # The browser leaves files behind.
        self._folder = TemporaryDirectory(ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(
            [DRIVER, f"--port={self._port}"],
            env={**os.environ, "TMPDIR": self._folder.name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._session = ""
        try:
            self._wait_for_driver()
            options = {"binary": shutil.which(BROWSER), "args": ARGUMENTS}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{session['sessionId']}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            if self._session:
                self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(PATIENCE)
            self._folder.cleanup()

    def open(self, url: str) -> None:
        """Open an address, and wait until it is loaded."""
        self._ask("POST", "/url", {"url": url})

    def reload(self) -> None:
        """Reload the page, and wait until it is loaded."""
        self._ask("POST", "/refresh", {})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def wait_for(self, script: str, *arguments: Any, seconds: float = PATIENCE) -> Any:
        """Wait until a function in the page returns a true value, and return it."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            assert time.monotonic() < deadline, f"not within {seconds} s: {script} {arguments}\n{self.text('body')}"
            time.sleep(0.1)
        return value

    def see(self, text: str, *, within: str = "body", seconds: float = PATIENCE) -> None:
        """Wait until this text is visible."""
        self.wait_for(
            VISIBLE + "return shown.some(e => e.innerText.includes(arguments[1]))", within, text, seconds=seconds
        )

    def text(self, selector: str) -> str:
        """Return the text of the first such element that is visible."""
        return str(self.run(VISIBLE + "return shown[0]?.innerText ?? ''", selector))

    def click(self, text: str = "", *, within: str) -> None:
        """Click the last element with this text; `within` selects the element itself, or what it is in."""
        find = "return shown.filter(e => e.innerText.includes(arguments[1]) && !e.disabled).at(-1)"
        self._act(lambda element: self._ask("POST", f"/element/{element}/click", {}), find, within, text)

    def type(self, text: str, *, into: str) -> None:
        """Replace the text of a field."""

        def replace(element: str) -> None:
            self._ask("POST", f"/element/{element}/clear", {})
            self._ask("POST", f"/element/{element}/value", {"text": text})

        self._act(replace, "return shown[0]", into)

    def _act(self, act: Callable[[str], None], find: str, *arguments: str) -> None:
        """Find an element and act on it; again if the page has replaced or hidden it in between."""
        for is_last in (False, False, True):
            element = self.wait_for(VISIBLE + find, *arguments)[ELEMENT]
            try:
                act(element)
                return
            except AssertionError as exc:
                if is_last or not any(says in str(exc) for says in ("stale element", "not interactable")):
                    raise
                time.sleep(0.1)

    def press(self, key: str) -> None:
        """Press a key where the focus is, by its code in the protocol: \ue007 is Enter, \ue00c is Escape."""
        strokes = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def size(self, width: int, height: int) -> None:
        """Show the page at this size; a window of a desktop could not be as narrow as a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def prefer(self, scheme: str) -> None:
        """Prefer the `light` or the `dark` colours."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": media})

    def errors(self) -> list[str]:
        """Return the errors that the browser has logged since the last call."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def screenshot(self) -> bytes:
        """Return a picture of the visible page, as PNG."""
        return base64.b64decode(self._ask("GET", "/screenshot"))

    def _wait_for_driver(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._ask("GET", "/status")
                return
            except OSError:
                assert self._driver.poll() is None, f"{DRIVER} ended"
                assert time.monotonic() < deadline, f"{DRIVER} does not answer"
                time.sleep(0.05)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=2 * PATIENCE)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, self._session + path, content, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        assert not (isinstance(value, dict) and "error" in value), f"{path}: {value['error']}: {value['message'][:500]}"
        return value
