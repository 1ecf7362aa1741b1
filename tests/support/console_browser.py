"""The console of a local run in a headless browser."""

import requests

from tests.support.browser import Browser

ENTER, ESCAPE = "\ue007", "\ue00c"
NEXT_TICK = 90  # seconds: the fake of Cloud Scheduler ticks every minute
TABS = {"now": "Latest tick", "jobs": "New job", "chat": "Send"}


class ConsolePage(Browser):
    """A browser that shows the console at `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def turn_to(self, view: str) -> None:
        """Go to a view by its tab."""
        self.click(view.title(), within="nav a")
        self.see(TABS[view])

    def request_tick(self) -> None:
        """Request a tick, instead of waiting for the next minute."""
        origin = {"Origin": self.address.rstrip("/")}
        requests.post(f"{self.address}api/call/tick", json={}, headers=origin, timeout=30)
