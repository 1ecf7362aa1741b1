"""The airtable_refresh function: Cloud Scheduler calls it to extend Airtable's webhooks before they lapse."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from airtable_settings import AirtableSettings
from airtable_webhooks import renew_webhooks
from shared.renewals import Renewals
from shared.settings import Settings
from shared.store.opening import open_store
from shared.store.protocol import Store
from shared.web.endpoint import Call, endpoint, is_stopping


def clock() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=1)
def set_up(settings: Settings) -> tuple[AirtableSettings, Store]:
    """Read this function's own settings and open the store, once for the life of the instance."""
    return AirtableSettings.from_env(os.environ), open_store(settings, clock)


def answer(call: Call) -> Mapping[str, Any]:
    """Extend every webhook of every base."""
    airtable, store = set_up(call.settings)
    renewals = Renewals(
        store,
        call.settings,
        now=call.now,
        clock=clock,
        monotonic=time.monotonic,
        by=call.caller,
        is_stopping=is_stopping,
    )
    return renew_webhooks(airtable, renewals)


serve = endpoint("airtable_refresh", answer, env=os.environ, clock=clock)


@functions_framework.http
def airtable_refresh(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Answer Cloud Scheduler."""
    return serve(request)
