"""A mark on every button, for CHAT_AUTH=endpoint, where a click may come from anyone's app: it proves that we made it.

The key is stored beside the jobs, so that every instance has the same one and nobody has to manage it. Why, and what a
mark does not prove: docs/decisions/2026-11-28-chat-endpoint.md.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.model.value import Status
from shared.store.protocol import Change, Store

KEY_ID = "watchkeeper:chat-button-key"  # no job: see `shared.jobs.NOT_A_JOB`
NAME = "seal"  # of the parameter that holds the mark


class Seal:
    """Marks the buttons of one space. Reads the key when the first button needs it."""

    def __init__(self, key: Callable[[], bytes], space: str) -> None:
        self._key = key
        self._space = space

    def of(self, parameters: Mapping[str, str]) -> str:
        """Return the mark of a button with these parameters. Raises StoreUnavailable."""
        # Names that begin so are Chat's own: it adds them to a click.
        ours = {name: value for name, value in parameters.items() if name != NAME and not name.startswith("__")}
        signed = json.dumps([self._space, ours], sort_keys=True).encode()
        return hmac.digest(self._key(), signed, hashlib.sha256).hex()

    def holds(self, parameters: Mapping[str, str]) -> bool:
        """Return whether a click carries the mark of its button and parameters. Raises StoreUnavailable."""
        given = parameters.get(NAME, "")
        return bool(given) and hmac.compare_digest(given.encode(), self.of(parameters).encode())


def kept_key(store: Store, now: datetime) -> bytes:
    """Return the key of this installation; create it on first use. Raises StoreUnavailable."""
    found = store.get([KEY_ID]).get(KEY_ID)
    if found is None:
        store.swap([Change(None, _new_key(now))])
        found = store.get([KEY_ID]).get(KEY_ID)  # if several instances create one, one wins
    key = found.payload.get("key") if isinstance(found, Job) else None
    if not isinstance(key, str) or len(key) < 64:
        raise StoreUnavailable(
            f"the key for buttons cannot be read; to create a new one, run `watchkeeper jobs delete {KEY_ID}`"
        )
    return key.encode()


def _new_key(now: datetime) -> Job:
    """Make the document that holds a key: a job with nothing to do, which never expires."""
    return Job(
        id=KEY_ID,
        job_type="chat_button_key",
        payload={"key": secrets.token_hex(32)},
        status=Status.CANCELLED,
        schedule_at=now,
        created_at=now,
        created_by="chat_webhook",
    )
