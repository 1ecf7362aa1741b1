"""Structured logs: one JSON object a line, as Cloud Logging reads it, with the trace of the request on every line.

Everything that is logged or printed while a handler runs, also by a library, names the job, its occurrence and the
attempt. A thread that a handler starts itself must run in a copy of the context for that.
"""

import builtins
import hashlib
import json
import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Any

# Cloud Logging drops an entry of more than 256 KB, and its alert with it. The framework adds to a line, too. All sizes
# are in bytes as JSON; the parts together fit into a line.
LONGEST_LINE = 100_000
LONGEST_MESSAGE = 16_000
LONGEST_TRACEBACK = 40_000
LONGEST_FIELD = 2_000
LONGEST_NAME = 100
MOST_FIELDS = 16

_WIDEST = 12  # bytes as JSON of one character

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
_NO_JOB: Mapping[str, Any] = MappingProxyType({})
job_fields: ContextVar[Mapping[str, Any]] = ContextVar("job_fields", default=_NO_JOB)  # of the job whose handler runs

print_log = logging.getLogger("watchkeeper.print")
chat_log = logging.getLogger("watchkeeper.chat")
_print = builtins.print


class JsonFormatter(logging.Formatter):
    """Writes `severity`, `message`, `time`, the trace and the fields given as `extra={"fields": {...}}`."""

    def __init__(self, project: str = "") -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        fields, own = getattr(record, "fields", {}), self._own(record)
        if not isinstance(fields, Mapping):
            fields = {"fields": fields}
        of_job = job_fields.get()
        line = _written({**of_job, **fields, **own})
        return line if len(line) <= LONGEST_LINE else _written({**_shortened({**of_job, **fields}), **own})

    def _own(self, record: logging.LogRecord) -> dict[str, str]:
        own = {
            "severity": record.levelname,
            "message": cut(_message(record), LONGEST_MESSAGE),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
        }
        if trace := trace_id.get():
            own["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace}" if self._project else trace
        if record.exc_info:
            own["stack_trace"] = cut(self._traceback(record.exc_info), LONGEST_TRACEBACK)
        return own

    def _traceback(self, exc_info: Any) -> str:
        try:
            return self.formatException(exc_info)
        except Exception:
            return f"{exc_info[0].__name__}, whose traceback cannot be printed"


def cut(text: str, most: int) -> str:
    """Return a text that takes at most `most` bytes as JSON: a longer one keeps its head and its tail."""
    # The first test is cheaper, and nearly every text passes it.
    if len(text) * _WIDEST <= most or (len(text) <= most and _size(text) <= most):
        return text
    room = (most - 60) // 2
    head, tail = text[:room], text[-room:]
    while (size := _size(head)) > room:
        head = head[: len(head) * room // size]
    while (size := _size(tail)) > room:
        tail = tail[len(tail) - len(tail) * room // size :]
    return f"{head} ... [{len(text) - len(head) - len(tail)} characters cut] ... {tail}"


def _size(text: str) -> int:
    return len(json.dumps(text)) - 2  # without the quotation marks


def _shortened(fields: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields of a line that is too long: the first ones, each cut, and how many were left out."""
    first = {name: fields[name] for name in ("action", *islice(fields, MOST_FIELDS)) if name in fields}
    left_out = {"fields_left_out": len(fields) - len(first)} if len(first) < len(fields) else {}
    return {cut(_text(name), LONGEST_NAME): _short(value) for name, value in first.items()} | left_out


def _short(value: object) -> Any:
    written = _written({"": value})
    # The value as JSON is short enough; its text need not be.
    return json.loads(written)[""] if len(written) <= LONGEST_FIELD else cut(_text(value), LONGEST_FIELD)


def _written(line: Mapping[Any, Any]) -> str:
    try:
        return json.dumps(line, default=str, allow_nan=False)
    except Exception:
        # A value that JSON cannot represent (NaN, a cycle, a key that is not text) must not lose the line.
        return json.dumps({_text(name): _text(value) for name, value in line.items()})


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        return f"{_text(record.msg)} {_text(record.args)}"  # arguments that do not fit must not lose the line


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"a {type(value).__name__} that cannot be printed"


class StdoutHandler(logging.Handler):
    """Writes to the current `sys.stdout`, which functions-framework replaces to add the execution id."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # One write a line, so that lines of different threads do not mix.
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)


def hashed(person: str) -> str:
    """Return the pseudonym of a person in the log: always the same, and not the name."""
    return hashlib.sha256(person.lower().encode()).hexdigest()[:16]


def log_chat_failure(who: str, exc: BaseException) -> None:
    """Log where something failed, without the text of the error, which may quote what a person wrote."""
    fields = {"action": "chat_failed", "stack": "".join(traceback.format_tb(exc.__traceback__))}
    chat_log.error("%s raised %s", who, type(exc).__name__, extra={"fields": fields})


def print_as_log(*values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, **how: Any) -> None:
    """Print, or while a handler runs log what it prints: as a line that names its job."""
    if not job_fields.get() or file is not None or end not in ("\n", None):
        _print(*values, sep=sep, end=end, file=file, **how)
    elif text := (" " if sep is None else sep).join(map(_text, values)).strip():
        print_log.info("%s", text)


def set_up_logs(level: str, project: str = "") -> None:
    """Send all logs to stdout as JSON lines, replacing the handlers of the framework.

    `print` is replaced for the whole process: the framework replaces `sys.stdout` for every request, so there is no
    other way to catch all that is printed.
    """
    builtins.print = print_as_log
    output = StdoutHandler()
    output.setFormatter(JsonFormatter(project))
    root = logging.getLogger()
    root.handlers[:] = [output]
    # Not DEBUG for other libraries: they would log every detail of every request.
    root.setLevel(max(logging.INFO, logging.getLevelName(level)))
    logging.getLogger("watchkeeper").setLevel(level)
