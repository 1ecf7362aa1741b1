"""The key that marks buttons: stored beside the jobs, so every instance has the same one and nobody manages it."""

import secrets
from datetime import datetime

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.model.value import Status
from shared.store.protocol import Change, Store

KEY_ID = "watchkeeper:chat-button-key"  # not a job: see `shared.jobs.NOT_A_JOB`


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
    """Return the document that holds a key: a job with nothing to do, which never expires."""
    return Job(
        id=KEY_ID,
        job_type="chat_button_key",
        payload={"key": secrets.token_hex(32)},
        status=Status.CANCELLED,
        schedule_at=now,
        created_at=now,
        created_by="chat_webhook",
    )
