"""The gmail_watch function on this machine, against the fakes of Google's OAuth and Gmail."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.support.renewing import LocalFunction
from watchkeeper.fakes.gmail import ActiveWatch, Gmail
from watchkeeper.fakes.google_oauth import METADATA_SCOPE, GoogleOAuth

ADA = "ada@example.com"
GRACE = "grace@example.com"
RECORD = f"subscription:gmail:{ADA}"
TITLE = f"the Gmail watch of {ADA}"
TOPIC = "projects/watchkeeper-local/topics/gmail"
WATCH = "/gmail/v1/users/me/watch"
STOP = "/gmail/v1/users/me/stop"
DAY = timedelta(days=1)
UNSET = dict.fromkeys(
    (
        "GMAIL_USER_EMAIL",
        "GMAIL_WATCH_TOPIC",
        "GMAIL_WATCH_LABELS",
        "GCP_SERVICE_ACCOUNT_JSON_PATH",
        "GMAIL_DELEGATE",
        "GMAIL_API_ENDPOINT",
    ),
    "",
)


@dataclass(frozen=True, kw_only=True)
class LocalGoogle(LocalFunction):
    """The fakes of Google. The key file is written by one of them."""

    name = "gmail_watch"
    oauth: GoogleOAuth
    gmail: Gmail

    @property
    def key_path(self) -> Path:
        return self.folder / "key.json"

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a function that watches one mailbox with the key file."""
        return {
            **UNSET,
            "GMAIL_USER_EMAIL": ADA,
            "GMAIL_WATCH_TOPIC": TOPIC,
            "GCP_SERVICE_ACCOUNT_JSON_PATH": str(self.key_path),
            "GMAIL_API_ENDPOINT": self.gmail.url,
        }

    def reset(self) -> None:
        """Forget the test before."""
        self.oauth.clear_faults()
        self.oauth.requests.clear()
        self.oauth.users = None
        self.gmail.clear_faults()
        self.gmail.requests.clear()
        self.gmail.watches.clear()
        self.gmail.renewals.clear()
        self.gmail.delay = 0
        (self.folder / "jobs.json").unlink(missing_ok=True)

    def claims(self) -> list[dict[str, Any]]:
        """Return the claims of each token request."""
        return [claims_of(assertion) for assertion in self.assertions()]

    def assertions(self) -> list[str]:
        return [dict(parse_qsl(request.body.decode()))["assertion"] for request in self.oauth.requests]

    def asked(self) -> list[str]:
        """Return the paths of the requests to Gmail."""
        return [request.path for request in self.gmail.requests]

    def leaks(self, text: str) -> list[str]:
        """Return this test's secrets in the text: lines of the key, access tokens, assertions."""
        private_key = json.loads(self.key_path.read_text())["private_key"]
        key_lines = [line for line in private_key.splitlines() if line and not line.startswith("-----")]
        tokens = [request.bearer_token() for request in self.gmail.requests]
        signatures = [assertion.rpartition(".")[2] for assertion in self.assertions()]
        assert key_lines
        return [secret for secret in (*key_lines, *tokens, *signatures) if secret and secret in text]


def claims_of(assertion: str) -> dict[str, Any]:
    segment = assertion.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return claims


def millis(watch: ActiveWatch) -> str:
    return str(round(watch.expires_at.timestamp() * 1000))


def record_times(payload: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the last renewal and the expiry of a record."""
    return datetime.fromisoformat(payload["renewed_at"]), datetime.fromisoformat(payload["expires_at"])


AUTHORISE = f"authorise the service account's client ID for {METADATA_SCOPE}"
AGAIN = "try again in some minutes"
