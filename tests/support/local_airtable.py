"""The airtable_refresh function on this machine, against the fake of Airtable."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support.renewing import LocalFunction, utc_now
from watchkeeper.fakes.airtable import API_KEY, BASE, WEBHOOK, Airtable, webhook

OTHER_BASE = "appLocalStandIn02"
OTHER_WEBHOOK = "achLocalStandIn02"
LIST = f"/v0/bases/{BASE}/webhooks"
LIST_OTHER = f"/v0/bases/{OTHER_BASE}/webhooks"
REFRESH = f"{LIST}/{WEBHOOK}/refresh"
RECORD = f"subscription:airtable:{BASE}:{WEBHOOK}"
TITLE = f"the Airtable webhook {WEBHOOK} of {BASE}"
DAY = timedelta(days=1)
REPLACE = "make a new webhook"
AGAIN = "try again in some minutes"
UNSET = dict.fromkeys(("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID", "AIRTABLE_API_ENDPOINT"), "")


class ClockAhead:
    """The real time, put forward as far as a test needs."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass(frozen=True, kw_only=True)
class LocalAirtable(LocalFunction):
    """Airtable on this machine."""

    name = "airtable_refresh"
    airtable: Airtable
    clock: ClockAhead

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a function that refreshes the webhooks of one base."""
        return {
            "AIRTABLE_API_KEY": API_KEY,
            "AIRTABLE_BASE_ID": BASE,
            "AIRTABLE_API_ENDPOINT": self.airtable.url,
            # Too short for the pause of 30 seconds after a 429, long enough for one of a second.
            "SCHEDULER_LEASE_SECONDS": "20",
        }

    def reset(self) -> None:
        """Forget the test before."""
        self.clock.ahead += timedelta(minutes=1)  # so that its requests do not count against the rate limit
        self.airtable.clear_faults()
        self.airtable.requests.clear()
        self.airtable.bases.clear()
        self.hold(BASE, webhook(WEBHOOK, expires_at=utc_now() + 3 * DAY))
        self.hold(OTHER_BASE, webhook(OTHER_WEBHOOK, expires_at=utc_now() + 2 * DAY))
        (self.folder / "jobs.json").unlink(missing_ok=True)

    def hold(self, base: str, *webhooks: dict[str, Any]) -> None:
        """Give a base these webhooks."""
        self.airtable.bases[base] = list(webhooks)

    def expiration(self, base: str = BASE, place: int = 0) -> str:
        """Return the expiration of a webhook as Airtable writes it."""
        written: str = self.airtable.bases[base][place]["expirationTime"]
        return written

    def asked(self) -> list[tuple[str, str]]:
        """Return the requests to Airtable."""
        return [(request.method, request.path) for request in self.airtable.requests]

    def refreshes(self) -> list[str]:
        """Return the paths of the refresh requests to Airtable."""
        return [path for method, path in self.asked() if method == "POST"]


Refresh = Callable[..., dict[str, Any]]
