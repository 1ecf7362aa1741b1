"""The tick function: Cloud Scheduler calls it every minute, and it runs what is due, or hands it over."""

import logging
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from shared.handlers import Handlers, load_handlers
from shared.running.tick import check_limits, run_tick, where_it_runs
from shared.settings import Settings
from shared.store.opening import open_store
from shared.store.protocol import Store
from shared.web.endpoint import Call, end_process, endpoint, is_stopping

log = logging.getLogger("watchkeeper.tick")


def clock() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=1)
def set_up(settings: Settings) -> tuple[Store, Handlers]:
    """Open the store and import the handlers, once per instance."""
    handlers = load_handlers(settings.handler_modules)
    check_limits(settings, handlers)
    for handler in handlers.values():
        if place := where_it_runs(settings, handler):
            fields = {"action": "place", "job_type": handler.job_type}
            log.info("Jobs of type %s run %s", handler.job_type, place, extra={"fields": fields})
    return open_store(settings, clock), handlers


def answer(call: Call) -> Mapping[str, Any]:
    """Run one tick and report its metrics."""
    store, handlers = set_up(call.settings)
    report = run_tick(
        store,
        handlers,
        settings=call.settings,
        clock=clock,
        monotonic=time.monotonic,
        is_stopping=is_stopping,
        end_process=end_process,
    )
    return {"metrics": report.metrics()}


serve = endpoint("tick", answer, env=os.environ, clock=clock)


@functions_framework.http
def tick(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Handle a request from Cloud Scheduler."""
    return serve(request)
