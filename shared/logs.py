"""Structured logs: one JSON object a line, as Cloud Logging reads it, with the trace of the request on every line."""

import hashlib
import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

trace_id: ContextVar[str] = ContextVar("trace_id", default="")


class JsonFormatter(logging.Formatter):
    """Writes `severity`, `message`, `time`, the trace and the fields given as `extra={"fields": {...}}`."""

    def __init__(self, project: str = "") -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        line = {
            **getattr(record, "fields", {}),
            "severity": record.levelname,
            "message": _message(record),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
        }
        if trace := trace_id.get():
            line["logging.googleapis.com/trace"] = (
                f"projects/{self._project}/traces/{trace}" if self._project else trace
            )
        if record.exc_info:
            line["stack_trace"] = self.formatException(record.exc_info)
        try:
            return json.dumps(line, default=str, allow_nan=False)
        except Exception:
            # A value that JSON cannot say (NaN, a loop, a key that is no text) must not cost the line.
            return json.dumps({str(name): _text(value) for name, value in line.items()})


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg} {_text(record.args)}"  # arguments that do not fit must not cost the line


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"a {type(value).__name__} that cannot be told"


class StdoutHandler(logging.Handler):
    """Writes to what `sys.stdout` is at that moment: functions-framework replaces it to add the execution id."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # One write a line, so that lines of different threads do not mix.
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)


def hashed(person: str) -> str:
    """Give the form in which a person appears in the log: always the same, and not the name."""
    return hashlib.sha256(person.lower().encode()).hexdigest()[:16]


def set_up_logs(level: str, project: str = "") -> None:
    """Send all logs to stdout as JSON lines, replacing whatever handlers the framework has put there."""
    output = StdoutHandler()
    output.setFormatter(JsonFormatter(project))
    root = logging.getLogger()
    root.handlers[:] = [output]
    # Other libraries may say what is worth knowing, but not every detail of every request.
    root.setLevel(max(logging.INFO, logging.getLevelName(level)))
    logging.getLogger("watchkeeper").setLevel(level)
