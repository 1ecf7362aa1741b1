"""The HTTP border of every function: health, method, authentication, trace, errors, JSON.

The code below it knows nothing of HTTP. A function's `main.py` passes a name and an `answer`; an error that it raises
becomes a status code here, and nowhere else.
"""

import json
import logging
import os
import re
import signal
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

import flask

from shared import errors, search_for_garbage
from shared.logs import hashed, set_up_logs, trace_id
from shared.model.times import iso
from shared.settings import Settings
from shared.web.auth import Headers, authenticate
from shared.web.certificates import Certificates
from shared.web.loopback import refuse_foreign

log = logging.getLogger("watchkeeper.endpoint")

MOST_BYTES = 1024 * 1024

# The first class that an error is an instance of decides; anything else is 500 "internal".
STATUS = {
    errors.Unauthorized: (401, "unauthorized"),
    errors.Forbidden: (403, "forbidden"),
    errors.TooLarge: (413, "too_large"),
    errors.WrongMediaType: (415, "wrong_media_type"),
    errors.InvalidInput: (400, "invalid_request"),
    errors.InvalidSettings: (500, "invalid_settings"),
    errors.RenewalFailed: (500, "renewal_failed"),
    errors.StoreUnavailable: (503, "store_unavailable"),
    errors.NotBegun: (503, "not_begun"),
    errors.CertificatesUnavailable: (503, "certificates_unavailable"),
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One authenticated request, as a function's `answer` sees it. `body` reads its JSON."""

    settings: Settings
    caller: str
    now: datetime
    trace_id: str
    body: Callable[[], Any]


Operation = Callable[[Call], Mapping[str, Any]]
Respond = Callable[[flask.Request, Settings, datetime], Mapping[str, Any]]


def endpoint(
    function: str, answer: Operation, *, env: Mapping[str, str], clock: Callable[[], datetime]
) -> Callable[[flask.Request], flask.typing.ResponseReturnValue]:
    """Return the HTTP function that Cloud Scheduler or Cloud Tasks calls: `answer` handles an authenticated POST.

    Content type and body of the request are ignored, unless `answer` reads the body.
    """

    @lru_cache(maxsize=1)
    def certificates(url: str) -> Certificates:
        return Certificates(url)

    def respond(request: flask.Request, settings: Settings, now: datetime) -> Mapping[str, Any]:
        known = certificates(settings.certs_url)
        caller = authenticate(request.headers, settings.auth, certificates=known, now=now)
        call = Call(
            settings=settings, caller=caller, now=now, trace_id=trace_id.get(), body=partial(read_json, request)
        )
        log.info("%s called", function, extra={"fields": _request_fields(request, caller)})
        return {"status": "success", "timestamp": iso(now), "trace_id": call.trace_id, **answer(call)}

    return http_function(function, respond, env=env, clock=clock)


def http_function(
    function: str, respond: Respond, *, env: Mapping[str, str], clock: Callable[[], datetime]
) -> Callable[[flask.Request], flask.typing.ResponseReturnValue]:
    """Return an HTTP function: `respond` handles POST, and GET on a path that ends in /health returns the status.

    The settings are read on the first request, so that a mistake in them is an error response and not a crash. Valid
    ones are kept.
    """

    @lru_cache(maxsize=1)
    def set_up() -> Settings:
        settings = Settings.from_env(env)
        set_up_logs(settings.log_level, settings.project)
        return settings

    def serve(request: flask.Request) -> flask.typing.ResponseReturnValue:
        trace = trace_of(request.headers)
        token = trace_id.set(trace)
        try:
            refuse_foreign(request.headers, set_up().auth.mode)
            if request.method == "POST":
                return dict(respond(request, set_up(), clock())), 200
            if request.method == "GET" and request.path.endswith("/health"):
                return {"status": "ok", "function": function, "storage": set_up().storage}, 200
            return _error(405, "method_not_allowed", f"{request.method} is not allowed; use POST", trace)
        except Exception as exc:
            beside = exc.answer if isinstance(exc, errors.RenewalFailed) else {}
            return _error(*_status(exc), trace, beside)
        finally:
            trace_id.reset(token)
            search_for_garbage()

    set_up_logs("INFO", env.get("GOOGLE_CLOUD_PROJECT", ""))
    return serve


def read_json(request: flask.Request) -> Any:
    """Read the body, of at most 1 MiB. Raises TooLarge, WrongMediaType and InvalidInput."""
    body = request.stream.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise errors.TooLarge
    if request.mimetype != "application/json":
        raise errors.WrongMediaType
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise errors.InvalidInput("the body is not JSON") from None


def end_process() -> None:
    """End this process as soon as the present request is answered: a thread was left behind that may still act.

    Under functions-framework the process is a worker of gunicorn, which starts another one for the next request.
    """

    def end_when_sent(response: flask.Response) -> flask.Response:
        response.call_on_close(lambda: os.kill(os.getpid(), signal.SIGTERM))
        return response

    log.warning("This process ends after its answer", extra={"fields": {"action": "process_ends"}})
    flask.after_this_request(end_when_sent)


def is_stopping() -> bool:
    """Return whether this process has received SIGTERM.

    Under functions-framework the signal belongs to gunicorn's worker, which clears its `alive`; a signal handler of our
    own would be replaced when the worker starts, and cannot be set from the thread of a request.
    """
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return not getattr(worker, "alive", True)


def trace_of(headers: Headers) -> str:
    """Return the trace id (32 hex digits) from traceparent or X-Cloud-Trace-Context, or else a new one."""
    for header, pattern in (
        ("traceparent", r"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*"),
        ("X-Cloud-Trace-Context", r"((?!0{32})[0-9a-fA-F]{32})(?:/.*)?"),
    ):
        if found := re.fullmatch(pattern, headers.get(header) or ""):
            return found[1].lower()
    return uuid.uuid4().hex


def _request_fields(request: flask.Request, caller: str) -> dict[str, Any]:
    # Anybody can send these headers, so they are only logged.
    scheduler = {
        name: request.headers[header][:100]
        for name, header in (("job", "X-CloudScheduler-JobName"), ("scheduled", "X-CloudScheduler-ScheduleTime"))
        if header in request.headers
    }
    is_person = "@" in caller and not caller.endswith(".gserviceaccount.com")
    return {"action": "called", "caller": hashed(caller) if is_person else caller, **scheduler}


def _status(exc: Exception) -> tuple[int, str, str]:
    for kind, (status, code) in STATUS.items():
        if isinstance(exc, kind):
            if not isinstance(exc, errors.Unauthorized | errors.Forbidden):  # logged where they are raised
                # A bad request is the caller's mistake; that a process ends is nobody's.
                is_fault = status >= 500 and kind is not errors.NotBegun
                level = logging.ERROR if is_fault else logging.WARNING
                log.log(level, "%s", exc, extra={"fields": {"action": code}})
            return status, code, _answered(exc)
    log.error("Unexpected error", exc_info=exc, extra={"fields": {"action": "internal"}})
    return 500, "internal", "an unexpected error; see the log for the trace id"


def _answered(exc: Exception) -> str:
    # Settings are read before authentication: the answer may name them, but not show their values.
    if isinstance(exc, errors.InvalidSettings) and exc.names:
        return f"these settings cannot be used; see the log for the reason: {', '.join(exc.names)}"
    return str(exc)


def _error(
    status: int, code: str, message: str, trace: str, beside: Mapping[str, Any] = MappingProxyType({})
) -> flask.typing.ResponseReturnValue:
    body = {"status": "error", "error": {"code": code, "message": message}, "trace_id": trace}
    return {**beside, **body}, status, {"Allow": "POST"} if status == 405 else {}
