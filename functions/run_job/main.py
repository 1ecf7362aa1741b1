"""The run_job function: Cloud Tasks calls it for each job that a tick has handed over, and it runs that job."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import flask
import functions_framework

from shared.errors import InvalidInput
from shared.handlers import Handlers, load_handlers
from shared.running.delivery import run_delivered
from shared.settings import Settings
from shared.store.opening import open_store
from shared.store.protocol import Store
from shared.web.endpoint import Call, end_process, endpoint, is_stopping


def clock() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=1)
def set_up(settings: Settings) -> tuple[Store, Handlers]:
    """Open the store and import the handlers, once per instance."""
    handlers = load_handlers(settings.handler_modules)
    return open_store(settings, clock), handlers


def answer(call: Call) -> Mapping[str, Any]:
    """Run the job of one delivery, and report the result."""
    body = call.body()
    job_id, token = (body.get("job"), body.get("token")) if isinstance(body, Mapping) else (None, None)
    if not isinstance(job_id, str) or not isinstance(token, str) or not job_id or not token:
        raise InvalidInput('the body must be {"job": ID, "token": TOKEN}, as the tick hands it over')
    store, handlers = set_up(call.settings)
    report = run_delivered(
        store,
        handlers,
        job_id,
        token,
        settings=call.settings,
        clock=clock,
        monotonic=time.monotonic,
        is_stopping=is_stopping,
        end_process=end_process,
    )
    return {"outcome": report.outcome}


serve = endpoint("run_job", answer, env=os.environ, clock=clock)


@functions_framework.http
def run_job(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Handle a request from Cloud Tasks."""
    return serve(request)
