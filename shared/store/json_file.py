"""The JSON store: one file, for one machine. The default where no cloud is configured.

Every write replaces the whole file: a temporary file, flushed to disk and renamed over the old one, under a lock file
that covers processes. So a reader needs no lock, and a kill at any moment leaves the old file or the new one.

The history is a second file beside it, to which lines are appended before the jobs are written; the job file holds its
length. Lines after that length do not count: their writer was killed before its change was made.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from shared.errors import StoreUnavailable
from shared.model.entries import ENTRY_ID, KEPT, Entry, entries, ids_of, time_of
from shared.model.job import Job
from shared.model.times import iso
from shared.store.documents import (
    Unreadable,
    changed_fields,
    entry_from_document,
    entry_to_document,
    entry_with_times,
    from_document,
    read_time,
    to_document,
    with_times,
)
from shared.store.private_files import create_private, make_private_folder, open_private
from shared.store.protocol import PAGE, Change, Lost, Outcome, Statuses, Unknown, Won

LOCK_SECONDS = 10
MOST_HISTORY_BYTES = 8 * 1024 * 1024  # about 25,000 runs
_ID = '{"id": "'  # begins each line of the history


class JsonStore:
    """Jobs in one JSON file: `{"counter": n, "history": bytes, "jobs": {id: fields}, "versions": {id: n}}`.

    A version is drawn from one counter for the whole file, so an id that is deleted and created again never has an old
    version. `clock` tells which jobs have expired; they are dropped whenever the file is written. The history keeps
    entries for `kept`, up to some megabytes; if `kept` is zero, there is none.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime], *, kept: timedelta = KEPT) -> None:
        self._path = path
        self._history = path.with_name(f"{path.stem}_runs.jsonl")
        self._kept = kept
        self._clock = clock
        self._known: dict[str, tuple[Any, Job | Unreadable]] = {}
        self._latest: tuple[Any, dict[str, Any]] = (None, {})
        self._lock = FileLock(f"{path}.lock", timeout=LOCK_SECONDS, mode=0o600)

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        content = self._read()
        return {job_id: self._job(content, job_id) for job_id in job_ids if job_id in content["jobs"]}

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        content = self._read()
        ready = {job_id: read_time(document.get("ready_at")) for job_id, document in content["jobs"].items()}
        due = sorted((at, job_id) for job_id, at in ready.items() if isinstance(at, datetime) and at <= now)
        stray = [job_id for job_id, at in ready.items() if at is not None and not isinstance(at, datetime)]
        return [self._job(content, job_id) for job_id in [*(job_id for _, job_id in due), *stray][:limit]]

    def page(
        self, *, after: str = "", limit: int = PAGE, status: Statuses = None, space: str | None = None
    ) -> list[Job | Unreadable]:
        content = self._read_anew()
        statuses = (status,) if isinstance(status, str) else status and tuple(status)
        ids = (
            job_id
            for job_id, document in sorted(content["jobs"].items())
            if job_id > after
            and (statuses is None or document.get("status") in statuses)
            and space in (None, document.get("space"))
        )
        return [self._listed(content, job_id) for job_id, _ in zip(ids, range(limit), strict=False)]

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        try:
            make_private_folder(self._path.parent)
            with self._lock:
                content = self._read()
                outcomes = [self._apply(content, change) for change in changes]
                if any(isinstance(outcome, Won) for outcome in outcomes):
                    self._enter(content, changes, outcomes)
                    self._write(content)
                return outcomes
        except Timeout:
            return [Unknown(f"the job file {self._path} has been locked for {LOCK_SECONDS} s")] * len(changes)
        except OSError as exc:
            return [Unknown(f"the job file {self._path} cannot be written ({exc})")] * len(changes)
        except StoreUnavailable as exc:
            return [Unknown(str(exc))] * len(changes)

    def history(
        self, *, job_id: str | None = None, since: datetime | None = None, after: str = "", limit: int = PAGE
    ) -> list[Entry]:
        lines = self._history_lines(self._read())
        if job_id is not None:
            first, end = ids_of(job_id, since)
            wanted = sorted(entry_id for entry_id in lines if max(first, after) < entry_id < end)
        else:
            latest = sorted(((time_of(entry_id), entry_id) for entry_id in lines), reverse=True)
            wanted = [
                entry_id
                for at, entry_id in latest
                if (since is None or at >= since) and (not after or (at, entry_id) < (time_of(after), after))
            ]
        found = (_entry(entry_id, lines[entry_id]) for entry_id in wanted[:limit])
        return [entry for entry in found if entry is not None]

    def now(self) -> datetime:
        return self._clock()

    def _history_lines(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Return the lines of the history by the ids of their entries."""
        try:
            with self._history.open("rb") as file:
                text = file.read(content.get("history", 0)).decode(errors="replace")
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise StoreUnavailable(f"the history {self._history} cannot be read ({exc})") from exc
        # A line without an entry was damaged, or written by somebody else.
        named = ((line.removeprefix(_ID).partition('"')[0], line) for line in text.splitlines() if line.startswith(_ID))
        return {entry_id: line for entry_id, line in named if ENTRY_ID.fullmatch(entry_id)}

    def _enter(self, content: dict[str, Any], changes: Sequence[Change], outcomes: Sequence[Outcome]) -> None:
        """Append the entries of the won changes to the history, in place of any lines after its end."""
        new = [
            json.dumps(entry_to_document(entry), default=iso)
            for (before, after), outcome in zip(changes, outcomes, strict=True)
            if isinstance(outcome, Won) and isinstance(before, Job) and isinstance(after, Job)
            for entry in entries(before, after, kept=self._kept)
        ]
        if not new:
            return
        if content.get("history", 0) > MOST_HISTORY_BYTES:
            self._shorten_history(content)
        with open_private(self._history) as file:
            end = min(content.get("history", 0), file.seek(0, os.SEEK_END))
            file.truncate(end)
            file.seek(end)
            file.write("".join(f"{line}\n" for line in new).encode())
            content["history"] = file.tell()

    def _shorten_history(self, content: dict[str, Any]) -> None:
        """Keep the entries that have not expired, and of these the latest, up to half of the limit."""
        now, size = self._clock(), 0
        kept: list[str] = []
        for entry_id, line in reversed(self._history_lines(content).items()):
            size += len(line.encode()) + 1
            if size > MOST_HISTORY_BYTES // 2:
                break
            entry = _entry(entry_id, line)
            if entry is not None and entry.expire_at > now:
                kept.append(f"{line}\n")
        temporary = Path(f"{self._history}.tmp")
        temporary.unlink(missing_ok=True)
        create_private(temporary, reversed(kept))
        content["history"] = temporary.stat().st_size
        temporary.replace(self._history)

    def _apply(self, content: dict[str, Any], change: Change) -> Outcome:
        before, after, job_id = change.before, change.after, change.job_id
        if _version(content, job_id) != (None if before is None else before.version):
            return Lost()
        if after is None:
            _drop(content, job_id)
            return Won(None)
        stored = content["jobs"].setdefault(job_id, {})
        if before is None:
            stored.update(to_document(after))
        else:
            changed = changed_fields(before, after)
            stored.update(changed)
            for name in [name for name, value in changed.items() if value is None]:
                del stored[name]
        content["counter"] += 1
        content["versions"][job_id] = content["counter"]
        return Won(replace(after, version=content["counter"]))

    def _listed(self, content: Mapping[str, Any], job_id: str) -> Job | Unreadable:
        """Return a job for a listing. Repeated listings find most jobs unchanged, and parsing is slow."""
        stored = (content["jobs"][job_id], _version(content, job_id))
        if job_id not in self._known or self._known[job_id][0] != stored:
            self._known[job_id] = (stored, self._job(content, job_id))
        return self._known[job_id][1]

    def _job(self, content: Mapping[str, Any], job_id: str) -> Job | Unreadable:
        return from_document(job_id, with_times(content["jobs"][job_id]), _version(content, job_id))

    def _read_anew(self) -> Mapping[str, Any]:
        """Return the content for a listing, which does not change it; an unreplaced file is not read again."""
        stamp = stamp_of(self._path)  # taken before the file is read: a later write has another
        if stamp is None or stamp != self._latest[0]:
            self._latest = (stamp, self._read())
        return self._latest[1]

    def _read(self) -> dict[str, Any]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            # The history of a job file that was moved away stays.
            return {"counter": 0, "history": _size(self._history), "jobs": {}, "versions": {}}
        except (OSError, UnicodeDecodeError) as exc:
            raise StoreUnavailable(f"the job file {self._path} cannot be read ({exc}); it is left as it is") from exc
        return self._checked(text)

    def _checked(self, text: str) -> dict[str, Any]:
        mend = "it is left as it is: repair it, put a copy back, or move it away"
        try:
            content: Any = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise StoreUnavailable(f"the job file {self._path} is not JSON ({exc}); {mend}") from exc
        if isinstance(content, list):
            raise StoreUnavailable(
                f"the job file {self._path} is a list of jobs; {mend}, and import its jobs with `jobs import`"
            )
        if not _is_job_file(content):
            raise StoreUnavailable(f"the job file {self._path} is not a file of this store; {mend}")
        checked: dict[str, Any] = content
        return checked

    def _write(self, content: dict[str, Any]) -> None:
        now = self._clock()
        for job_id, document in list(content["jobs"].items()):
            expire_at = read_time(document.get("expire_at"))
            if isinstance(expire_at, datetime) and expire_at <= now:
                _drop(content, job_id)
        temporary = Path(f"{self._path}.tmp")
        temporary.unlink(missing_ok=True)  # what a killed process left behind, or a link that somebody planted
        create_private(temporary, [_text(content)])
        temporary.replace(self._path)
        _sync_folder(self._path.parent)


def stamp_of(path: Path) -> tuple[int, ...] | None:
    """Return a value that differs after each write of the file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _size(path: Path) -> int:
    """Return the size of the file, or 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _text(content: Mapping[str, Any]) -> str:
    """Write one job a line: easy to search and compare, and without an indent the fast encoder does it."""
    jobs = ",\n".join(
        f"{json.dumps(job_id)}: {json.dumps(job, default=iso)}" for job_id, job in content["jobs"].items()
    )
    versions = json.dumps(content["versions"])
    history = content.get("history", 0)
    return (
        f'{{"counter": {content["counter"]},\n"history": {history},\n'
        f'"jobs": {{\n{jobs}\n}},\n"versions": {versions}}}\n'
    )


def _entry(entry_id: str, line: str) -> Entry | None:
    try:
        return entry_from_document(entry_id, entry_with_times(json.loads(line)))
    except (ValueError, RecursionError):
        return None


def _sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop(content: dict[str, Any], job_id: str) -> None:
    content["jobs"].pop(job_id)
    content["versions"].pop(job_id, None)


def _version(content: Mapping[str, Any], job_id: str) -> int | None:
    # A document that a person wrote into the file has no version yet.
    return content["versions"].get(job_id, 0) if job_id in content["jobs"] else None


def _is_job_file(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("counter"), int)
        and isinstance(content.get("versions"), dict)
        and isinstance(content.get("jobs"), dict)
        and isinstance(content.get("history", 0), int)
        and content.get("history", 0) >= 0
        and all(isinstance(document, dict) for document in content["jobs"].values())
    )
