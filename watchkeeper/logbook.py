"""The log by job: a file beside the jobs, which the local run writes, and the same lines in Cloud Logging.

`lines_of` and `cloud_url` are what the console links a run to; `watchkeeper jobs logs` prints the lines.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from shared.model.times import iso
from shared.settings import DEFAULT_PREFIX, Settings
from shared.store.private_files import open_private

MOST_BYTES = 10 * 1024 * 1024  # of each of two files


class LogLine(NamedTuple):
    """A line of the log: when, how grave, from which function, what; and all of its fields."""

    time: datetime
    severity: str
    source: str
    message: str
    fields: Mapping[str, Any]

    @property
    def trace(self) -> str:
        """Return the traceback, or where a handler failed; empty for a line without."""
        return str(self.fields.get("stack_trace") or self.fields.get("trace") or "")


def log_path(settings: Settings) -> Path:
    """Return where the local run writes its log: beside the job file, also when jobs are in the emulator."""
    return settings.json_path.with_name(f"{settings.json_path.stem}_log.jsonl")


class Logbook:
    """Writes the log lines of functions to a file, for its owner alone. A full one becomes `PATH.1`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, source: str, line: str) -> None:
        """Append a line that the function `source` wrote; what is no JSON object stays out."""
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(entry, dict):
            return
        text = json.dumps({"source": source, **entry})
        # A log that cannot be written is no reason to stop what it is about.
        with self._lock, suppress(OSError):
            self._append(f"{text}\n".encode())

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if self._path.stat().st_size > MOST_BYTES:
                self._path.replace(f"{self._path}.1")
        with open_private(self._path, append=True) as file:
            file.write(line)


def lines_of(
    path: Path,
    job_id: str,
    *,
    execution_key: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[LogLine]:
    """Return the lines of the local log about a job, or about one occurrence, oldest first; none without a file."""
    found = []
    for file in (Path(f"{path}.1"), path):
        with suppress(FileNotFoundError), file.open("rb") as stream:
            found += list(_lines(stream, job_id))
    return [
        line
        for line in found
        if (execution_key is None or line.fields.get("execution_key") == execution_key)
        and (since is None or line.time >= since)
        and (until is None or line.time <= until)
    ]


def follow(path: Path, job_id: str, wait: Callable[[], bool]) -> Iterator[LogLine]:
    """Yield the lines about a job that are written from now on; `wait` waits a moment, and says whether to stop."""
    stream = path.open("rb")
    try:
        stream.seek(0, 2)
        while not wait():
            yield from _lines(stream, job_id)
            if _is_replaced(path, stream):
                stream.close()
                stream = path.open("rb")
                yield from _lines(stream, job_id)
    finally:
        stream.close()


def _is_replaced(path: Path, stream: BinaryIO) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_ino != os.fstat(stream.fileno()).st_ino
    return False


def _lines(stream: BinaryIO, job_id: str) -> Iterator[LogLine]:
    """Read the whole lines from here on, and yield those about the job."""
    named = json.dumps(job_id).encode()
    while True:
        position = stream.tell()
        text = stream.readline()
        if not text.endswith(b"\n"):  # its writer is not done
            stream.seek(position)
            return
        if named in text and (line := _line(text)) is not None and line.fields.get("job_id") == job_id:
            yield line


def _line(text: bytes) -> LogLine | None:
    try:
        return log_line(json.loads(text))
    except (ValueError, RecursionError):
        return None


def log_line(fields: Mapping[str, Any]) -> LogLine:
    """Read the fields of a line that a function wrote. Raises ValueError for a line without a time."""
    time = datetime.fromisoformat(str(fields.get("time")))
    severity, source, message = (str(fields.get(name, "")) for name in ("severity", "source", "message"))
    return LogLine(time, severity, source, message, fields)


# -- Cloud Logging -----------------------------------------------------------------------------------------------------


def cloud_filter(
    job_id: str,
    *,
    prefix: str = DEFAULT_PREFIX,
    execution_key: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """Return the filter of Cloud Logging for the lines about a job, or about one occurrence.

    Another deployment of the project may have a job of this id, so the functions have the `prefix` of this one.
    """
    parts = [
        'resource.type="cloud_run_revision"',
        f'resource.labels.service_name=~"^{prefix}"',
        f"jsonPayload.job_id={json.dumps(job_id)}",
    ]
    if execution_key is not None:
        parts.append(f"jsonPayload.execution_key={json.dumps(execution_key)}")
    if since is not None:
        parts.append(f'timestamp>="{iso(since)}"')
    if until is not None:
        parts.append(f'timestamp<="{iso(until)}"')
    return " AND ".join(parts)


def cloud_url(
    project: str,
    job_id: str,
    *,
    prefix: str = DEFAULT_PREFIX,
    execution_key: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """Return the page of Cloud Logging with these lines; times in the filter take the place of its own range."""
    lines = cloud_filter(job_id, prefix=prefix, execution_key=execution_key, since=since, until=until)
    query = lines.replace(" AND ", "\n")
    return (
        f"https://console.cloud.google.com/logs/query;query={quote(query, safe='')}?project={quote(project, safe='')}"
    )
