"""The gmail_watch function: Cloud Scheduler calls it to renew Gmail's push watches before they lapse."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from gmail_settings import GmailSettings
from gmail_watches import renew_watches
from shared.renewals import Renewals
from shared.settings import Settings
from shared.store.opening import open_store
from shared.store.protocol import Store
from shared.web.endpoint import Call, endpoint, is_stopping


def clock() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=1)
def set_up(settings: Settings) -> tuple[GmailSettings, Store]:
    """Read this function's own settings and open the store, once for the life of the instance."""
    return GmailSettings.from_env(os.environ), open_store(settings, clock)


def answer(call: Call) -> Mapping[str, Any]:
    """Renew every mailbox's watch."""
    gmail, store = set_up(call.settings)
    renewals = Renewals(
        store,
        call.settings,
        now=call.now,
        clock=clock,
        monotonic=time.monotonic,
        by=call.caller,
        is_stopping=is_stopping,
    )
    return renew_watches(gmail, renewals)


serve = endpoint("gmail_watch", answer, env=os.environ, clock=clock)


@functions_framework.http
def gmail_watch(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Answer Cloud Scheduler."""
    return serve(request)
