"""A job as a stored document, and back: the one place that knows the field names.

A document is a plain mapping with aware datetimes, `payload` as an object and `recent_runs` as a list of mappings;
absent fields are left out. Each store turns that into what it keeps.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from typing import Any, TypeVar

from shared.errors import InvalidInput
from shared.model.definition import InvalidJob, Misfire, parse_dates
from shared.model.entries import Entry, time_of
from shared.model.history import HandOver, Run, RunOutcome
from shared.model.job import Job
from shared.model.life import MAX_ERROR_CHARACTERS
from shared.model.value import MAX_RECENT_RUNS, Status

Document = Mapping[str, Any]
Choice = TypeVar("Choice", bound=StrEnum)

FIELDS = tuple(f.name for f in fields(Job) if f.name not in ("id", "extra", "version"))
OWN = frozenset((*FIELDS, "id"))
NOT_PLAIN = ("status", "except_dates", "misfire", "handed_over", "recent_runs")  # as values, and not in a document
TIMES = frozenset(name for name in FIELDS if name == "until" or name.endswith(("_at", "_until")))
RUN_FIELDS = tuple(f.name for f in fields(Run))
RUN_TIMES = ("schedule_at", "started_at", "ended_at", "until")
ENTRY_FIELDS = tuple(f.name for f in fields(Entry) if f.name != "run")
ENTRY_TIMES = (*RUN_TIMES, "at", "expire_at")
HAND_OVER_FIELDS = tuple(f.name for f in fields(HandOver))
HAND_OVER_TIMES = ("at", "due_at")


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A stored document that is not a valid job: its id, the reason, and its content. No content is ever lost."""

    id: str
    reason: str
    document: Document = field(repr=False)
    version: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def broken_by(cls, job: Job, exc: Exception) -> "Unreadable":
        """Return a job that was read, but breaks a rule when it is processed, as unreadable."""
        return cls(id=job.id, reason=_reason(exc), document=to_document(job), version=job.version)

    def quarantined(self) -> "Unreadable":
        """Return it removed from the due jobs: without `ready_at`, with the reason in `error`, all else kept."""
        kept = {name: value for name, value in self.document.items() if name != "ready_at"}
        return replace(self, document={**kept, "error": f"unreadable: {self.reason}"[:MAX_ERROR_CHARACTERS]})


def to_document(job: Job | Unreadable) -> dict[str, Any]:
    """Return the whole document, foreign fields included."""
    if isinstance(job, Unreadable):
        return dict(job.document)
    fields = vars(job)
    own = {name: value for name in FIELDS if (value := fields[name]) is not None}
    own |= {name: _plain(name, own[name]) for name in NOT_PLAIN if name in own}
    if own["except_dates"] is None:
        del own["except_dates"]
    return {**job.extra, "id": job.id, **own}


def changed_fields(before: Job | Unreadable, after: Job | Unreadable) -> dict[str, Any]:
    """Return the fields to write, each with its new value, or None to remove it."""
    if isinstance(before, Job) and isinstance(after, Job):
        return {name: _plain(name, new) for name in FIELDS if (new := getattr(after, name)) != getattr(before, name)}
    old, new_document = to_document(before), to_document(after)
    names = (name for name in {**old, **new_document} if old.get(name) != new_document.get(name))
    return {name: new_document.get(name) for name in names}


def from_document(job_id: str, document: Document, version: Any = None) -> Job | Unreadable:
    """Read a stored document; one that breaks a rule is returned as Unreadable with the reason."""
    try:
        job = _read(job_id, document, version)
        job.check()
    except Exception as exc:
        # InvalidInput names the fault. Any other error is a case that no rule foresaw: it must not hide the other
        # documents.
        return Unreadable(id=job_id, reason=_reason(exc), document=document, version=version)
    return job


def entry_to_document(entry: Entry) -> dict[str, Any]:
    """Return an entry of the history as one flat document."""
    own = {name: getattr(entry, name) for name in ENTRY_FIELDS}
    return {**own, **_plain_run(entry.run)}


def entry_from_document(entry_id: str, document: Document) -> Entry | None:
    """Read an entry of the history; None for a document that is not one."""
    try:
        job_id = str(document["job_id"])
        return Entry(
            id=entry_id,
            job_id=job_id,
            job_type=str(document["job_type"]),
            at=time_of(entry_id),
            attempt=int(document["attempt"]),
            run=_run(job_id, document),
            expire_at=_time(job_id, "expire_at", document["expire_at"]),
        )
    except (KeyError, ValueError, TypeError, InvalidInput):
        return None


def _reason(exc: Exception) -> str:
    return str(exc) if isinstance(exc, InvalidInput) else f"{type(exc).__name__}: {exc}"


def with_times(document: Document, *, naive: tzinfo | None = None) -> dict[str, Any]:
    """Turn the ISO text of time fields into times; a naive one is taken in the zone `naive`.

    Anything else, or a naive time without such a zone, is left for `from_document` to refuse.
    """
    nested: dict[str, Any] = {}
    if isinstance(runs := document.get("recent_runs"), list):
        nested["recent_runs"] = [_times_in(run, RUN_TIMES, naive) if isinstance(run, Mapping) else run for run in runs]
    if isinstance(handed_over := document.get("handed_over"), Mapping):
        nested["handed_over"] = _times_in(handed_over, HAND_OVER_TIMES, naive)
    return {**_times_in(document, TIMES, naive), **nested}


def entry_with_times(document: Document) -> dict[str, Any]:
    """Turn the ISO text of time fields into times, in the document of an entry of the history."""
    return _times_in(document, ENTRY_TIMES, None)


def read_time(value: Any, naive: tzinfo | None = None) -> Any:
    """Read one time as `with_times` does."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value
    if not isinstance(time, datetime):
        return value
    zone = time.tzinfo or naive
    return time.replace(tzinfo=zone) if zone else value


def _times_in(document: Document, names: Collection[str], naive: tzinfo | None) -> dict[str, Any]:
    return {name: read_time(value, naive) if name in names else value for name, value in document.items()}


def _plain(name: str, value: Any) -> Any:
    if name == "recent_runs":
        return [_plain_run(run) for run in value]
    if name == "except_dates":
        return [day.isoformat() for day in value] or None
    if isinstance(value, HandOver):
        return dict(vars(value))
    return value.value if isinstance(value, StrEnum) else value


def _plain_run(run: Run) -> dict[str, Any]:
    entries = {name: getattr(run, name) for name in RUN_FIELDS if getattr(run, name) is not None}
    return {**entries, "outcome": run.outcome.value}


def _read(job_id: str, document: Document, version: Any) -> Job:
    own = {name: value for name, value in document.items() if value is not None and name in OWN and name != "id"}
    if missing := {"job_type", "status", "schedule_at", "created_at"} - own.keys():
        raise InvalidJob(f"job {job_id!r}: {', '.join(sorted(missing))} missing")
    for name in TIMES & own.keys():
        own[name] = _time(job_id, name, own[name])
    for name in ("cron", "every", "timezone", "lease_token", "error"):
        if not isinstance(own.get(name, ""), str):
            raise InvalidJob(f"job {job_id!r}: {name} is {str(own[name])[:100]!r}; it must be text")
    own["status"] = _choice(job_id, "status", own["status"], Status)
    own["misfire"] = _choice(job_id, "misfire", own.get("misfire", Misfire.COALESCE), Misfire)
    own["except_dates"] = _dates(job_id, own.get("except_dates", ()))
    own["payload"] = _payload(job_id, own.get("payload", {}))
    own["recent_runs"] = _runs(job_id, own.get("recent_runs", []))
    if "handed_over" in own:
        own["handed_over"] = _hand_over(job_id, own["handed_over"])
    own["error"] = own["error"][:MAX_ERROR_CHARACTERS] if "error" in own else None
    extra = {name: value for name, value in document.items() if name not in OWN}
    return Job(id=job_id, extra=extra, version=version, **own)


def _time(job_id: str, name: str, value: Any) -> datetime:
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidJob(f"job {job_id!r}: {name} is {str(value)[:100]!r}, not a time with its zone")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise InvalidJob(f"job {job_id!r}: {name} is {value}, out of range") from None
    # Convert Firestore's own datetime type: its `replace` does not behave as `Job` expects of a datetime.
    return datetime(*utc.timetuple()[:6], utc.microsecond, UTC)


def _choice(job_id: str, name: str, value: Any, kind: type[Choice]) -> Choice:
    try:
        return kind(value)
    except ValueError:
        raise InvalidJob(f"job {job_id!r}: {name} is {str(value)[:100]!r}, not one of {', '.join(kind)}") from None


def _dates(job_id: str, value: Any) -> tuple[date, ...]:
    try:
        return parse_dates(value)
    except InvalidJob as exc:
        raise InvalidJob(f"job {job_id!r}: {exc}") from None


def _payload(job_id: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as exc:
        raise InvalidJob(f"job {job_id!r}: payload is not JSON ({exc})") from None


def _hand_over(job_id: str, value: Any) -> HandOver:
    own = value if isinstance(value, Mapping) else {}
    if own.keys() != set(HAND_OVER_FIELDS) or not all(isinstance(own[name], str) for name in ("queue", "by")):
        raise InvalidJob(f"job {job_id!r}: handed_over is not an object of {', '.join(HAND_OVER_FIELDS)}")
    return HandOver(**{**own, **{name: _time(job_id, f"handed_over.{name}", own[name]) for name in HAND_OVER_TIMES}})


def _runs(job_id: str, value: Any) -> tuple[Run, ...]:
    if not isinstance(value, list):
        raise InvalidJob(f"job {job_id!r}: recent_runs is not a list")
    return tuple(_run(job_id, entry) for entry in value[-MAX_RECENT_RUNS:])


def _run(job_id: str, entry: Any) -> Run:
    names = RUN_FIELDS if isinstance(entry, Mapping) else ()
    own = {name: entry[name] for name in names if entry.get(name) is not None}
    if not {"schedule_at", "outcome"} <= own.keys():
        raise InvalidJob(f"job {job_id!r}: recent_runs has an entry that is not a run")
    if not all(isinstance(own.get(name, ""), str) for name in ("by", "error", "trace", "output")):
        raise InvalidJob(
            f"job {job_id!r}: recent_runs has an entry whose `by`, `error`, `trace` or `output` is not text"
        )
    times = {name: _time(job_id, f"recent_runs.{name}", own[name]) for name in RUN_TIMES if name in own}
    return Run(**{**own, **times, "outcome": _choice(job_id, "recent_runs.outcome", own["outcome"], RunOutcome)})
