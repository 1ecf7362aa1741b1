"""The form of a job: its fields become a definition or changes, or an error message at each invalid field."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import click

from shared.errors import InvalidInput
from shared.handlers import Handlers, check_payload
from shared.jobs import refuse_reserved
from shared.model.definition import Definition, Misfire
from shared.model.interval import read_every
from shared.model.job import Job
from shared.model.recurrence import Recurrence, load_timezone, oddities
from shared.model.schedule import FOREVER
from shared.model.value import DEFAULT_GRACE, Status
from shared.model.wording import clock_change, local_time, occurrences, when
from shared.subscriptions import CHECK
from watchkeeper.parameters import Dates, Duration
from watchkeeper.times import place

SHOWN = 5  # of the runs to come
TIME = {"when", "cron", "every", "at", "in", "start"}
EMPTY: Mapping[str, Any] = {  # what an empty field of a recurring job means to `Jobs.edit`
    "until": FOREVER,
    "except_dates": (),
    "misfire": Misfire.COALESCE,
    "grace": DEFAULT_GRACE,
    "pause_after_failures": 0,
}
ALWAYS: Mapping[str, Any] = {"max_attempts": Definition.max_attempts, "space": ""}  # the same, of any job
T = TypeVar("T")


class InvalidForm(InvalidInput):
    """Some fields of the form are invalid; `errors` has the reason by field name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


class JobForm:
    """The fields as a person typed them. Each is read when it is asked for; `errors` collects what is invalid."""

    def __init__(self, fields: Mapping[str, Any], *, now: datetime, timezone: str) -> None:
        self.errors: dict[str, str] = {}
        self._fields = fields
        self._now = now
        zone = self.text("timezone") or timezone
        self.timezone = self._read("timezone", lambda: load_timezone(zone).key) or timezone

    def text(self, name: str) -> str:
        """Return a field without surrounding space; "" if it is absent or not a string."""
        value = self._fields.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def time(self) -> dict[str, Any]:
        """Return when the job runs, under the names of a `Definition`; {} means now."""
        match self.text("when"):
            case "cron":
                return {"cron": self._read("cron", self._cron), **self._bounds()}
            case "every":
                return {"every": self._read("every", self._every), **self._bounds()}
            case "at":
                return {"at": self._read("at", lambda: self._placed(self._needed("at")))}
            case "in":
                return {"at": self._read("in", lambda: self._now + Duration().convert(self._needed("in"), None, None))}
        return {}

    def _bounds(self) -> dict[str, Any]:
        """Return the bounds of a recurring job; empty fields are left out."""
        readers: dict[str, tuple[str, Callable[[str], Any]]] = {
            "start": ("at", self._placed),
            "until": ("until", self._placed),
            "except_dates": ("except_dates", lambda text: Dates().convert(text, None, None)),
            "misfire": ("misfire", Misfire),
            "grace": ("grace", lambda text: Duration().convert(text, None, None)),
            "pause_after_failures": ("pause_after_failures", _whole_number),
        }
        if self.text("misfire") != Misfire.SKIP:
            del readers["grace"]
        return {
            name: self._read(field, partial(read, text))
            for field, (name, read) in readers.items()
            if (text := self.text(field))
        }

    def always(self) -> dict[str, Any]:
        """Return the fields of any job; empty ones are left out."""
        readers: dict[str, Callable[[str], Any]] = {"max_attempts": _attempts, "space": str}
        return {
            name: self._read(name, partial(read, text)) for name, read in readers.items() if (text := self.text(name))
        }

    def definition(self, handlers: Handlers) -> dict[str, Any]:
        """Return the arguments of `Jobs.schedule`. Raises InvalidForm."""
        job_type = self.text("type")
        if job_type not in handlers or job_type == CHECK:
            self.errors["type"] = "choose one of the types; a handler in agent/handlers.py adds one"
        field = "payload" if self._fields.get("message") is None else "message"
        payload = self._read(field, lambda: self._payload(handlers, job_type))
        given = {"id": self._read("id", self._id), "timezone": self.timezone, **self.time(), **self.always()}
        self.refuse_errors()
        return {"job_type": job_type, "payload": payload, **given}

    def changes(self, job: Job, handlers: Handlers) -> dict[str, Any]:
        """Return the arguments of `Jobs.edit` for the fields that differ from the job. Raises InvalidForm.

        Unchanged fields are left out, because giving a time again starts a new occurrence.
        """
        before = fields_of(job, self.timezone)
        changed = {name for name, text in before.items() if name in self._fields and self.text(name) != text}
        time, given = self.time(), {}
        is_recurring = bool(time.keys() & {"cron", "every"})
        if changed & TIME or ("timezone" in changed and not is_recurring):
            given = self._new_time(time, changed)
        if is_recurring:
            given |= {name: time.get(name, empty) for name, empty in EMPTY.items() if name in changed}
            given |= {"timezone": self.timezone} if "timezone" in changed else {}
        if time.get("misfire") != Misfire.SKIP:
            given.pop("grace", None)
        always = self.always()
        given |= {name: always.get(name, empty) for name, empty in ALWAYS.items() if name in changed}
        payload = "message" if self._fields.get("message") is not None else "payload"
        if payload in changed or payload not in before:
            given["payload"] = self._read(payload, lambda: self._payload(handlers, job.job_type))
        self.refuse_errors()
        return given

    def _new_time(self, time: Mapping[str, Any], changed: Collection[str]) -> dict[str, Any]:
        """Return the new time: from the start of the job, unless it is over and unchanged. An emptied start is now."""
        rhythm = {name: time[name] for name in ("cron", "every") if name in time}
        at = time.get("at")
        if not rhythm:
            return {"at": at or self._now}
        if "start" in changed:
            return {**rhythm, "at": at or self._now}
        return {**rhythm, "at": at} if at and at > self._now else rhythm

    def payload_errors(self, handlers: Handlers) -> dict[str, str]:
        """Return the error of the payload, if any, by the name of its field."""
        field = "message" if self._fields.get("message") is not None else "payload"
        self._read(field, lambda: self._payload(handlers, self.text("type")))
        return {name: says for name, says in self.errors.items() if name == field}

    def refuse_errors(self) -> None:
        """Raise InvalidForm if there are errors."""
        if self.errors:
            raise InvalidForm(self.errors)

    def _id(self) -> str | None:
        refuse_reserved(job_id := self.text("id"))
        return job_id or None

    def _payload(self, handlers: Handlers, job_type: str) -> dict[str, Any]:
        if self._fields.get("message") is not None:
            payload: Any = {"message": self.text("message")}
        else:
            payload = json.loads(self.text("payload") or "{}")
        if not isinstance(payload, dict):
            raise InvalidInput('write a JSON object such as {"key": 1}')
        check_payload(handlers, job_type, payload)
        return payload

    def _needed(self, name: str) -> str:
        if not (text := self.text(name)):
            raise InvalidInput("this field is required")
        return text

    def _cron(self) -> str:
        return Recurrence(self._needed("cron"), self.timezone).cron

    def _every(self) -> str:
        read_every(every := self._needed("every"))
        return every

    def _placed(self, text: str) -> datetime:
        return place(datetime.fromisoformat(text), self.timezone)

    def _read(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except json.JSONDecodeError as exc:
            self.errors[name] = f"this is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}"
        except (InvalidInput, ValueError, RecursionError, OverflowError) as exc:
            self.errors[name] = str(exc)
        except click.BadParameter as exc:
            self.errors[name] = exc.message
        return None


def fields_of(job: Job, timezone: str) -> dict[str, str]:
    """Return the fields of the form for a job."""
    zone = load_timezone(job.timezone or timezone)

    def local(moment: datetime | None) -> str:
        return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds") if moment else ""

    is_plain = job.job_type == "log" and job.payload.keys() == {"message"} and isinstance(job.payload["message"], str)
    payload = {"message": job.payload["message"]} if is_plain else {"payload": pretty(job.payload)}
    is_skipped = job.misfire is Misfire.SKIP
    return {
        "type": job.job_type,
        "id": job.id,
        **payload,
        "when": "cron" if job.cron else "every" if job.every else "at",
        "cron": job.cron or "",
        "every": job.every or "",
        "in": "",
        "at": "" if job.is_recurring else local(job.schedule_at),
        "timezone": zone.key,
        "start": local(job.starts_at),
        "until": local(job.until),
        "except_dates": ", ".join(day.isoformat() for day in job.except_dates),
        "misfire": job.misfire.value,
        "grace": f"{job.grace_seconds}s" if job.grace_seconds is not None and is_skipped else "",
        "pause_after_failures": str(job.pause_after_failures or ""),
        "max_attempts": str(job.max_attempts),
        "space": job.space or "",
    }


def pretty(payload: Mapping[str, Any]) -> str:
    """Write a payload for people to read and edit."""
    return json.dumps(payload, indent=2, ensure_ascii=False, default=str)


def _whole_number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text, re.ASCII):
        raise InvalidInput("write a whole number such as 3")
    return int(text)


def _attempts(text: str) -> int:
    if (attempts := _whole_number(text)) not in range(1, 101):
        raise InvalidInput("write a whole number from 1 to 100")
    return attempts


def preview(form: JobForm, now: datetime) -> dict[str, Any]:
    """Return when the job of a form would run: in words, its next runs with any change of the clocks, and warnings."""
    time = form.time()
    form.always()
    nothing = {"words": "", "runs": [], "warnings": []}
    if form.errors:
        return {**nothing, "errors": form.errors}
    try:
        job = Job.create("preview", "preview", now=now, timezone=form.timezone, **time)
    except InvalidInput as exc:
        return {**nothing, "errors": {"until" if form.text("until") else form.text("when"): str(exc)}}
    zone = load_timezone(form.timezone)
    runs = [
        {"says": local_time(moment, form.timezone), "change": clock_change(moment.astimezone(zone))}
        for moment in _next_runs(job, now)
    ]
    if job.is_recurring:
        return {
            "words": when(job.schedule),
            "runs": runs,
            "warnings": oddities(job.cron) if job.cron else [],
            "errors": {},
        }
    words = "With the next tick, within a minute" if job.is_due(now) else ""
    return {**nothing, "words": words, "runs": runs, "errors": {}}


def _next_runs(job: Job, now: datetime) -> Sequence[datetime]:
    """Return the next runs. If the schedule began in the past, the misfire rule decides which is the first."""
    if not job.is_recurring:
        return [job.schedule_at]
    if job.is_due(now):
        job = job.claim(now=now, token="preview", lease=timedelta(1), retention=timedelta(1))
    return [] if job.status is Status.COMPLETED else list(occurrences(job.schedule, job.schedule_at, SHOWN))
