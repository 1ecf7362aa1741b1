"""The form for a new job: its fields become a definition, or an error message beside each invalid field."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import click

from shared.errors import InvalidInput
from shared.handlers import Handlers, check_payload
from shared.model.recurrence import Recurrence, load_timezone
from shared.model.wording import clock_change, in_words, local_time, occurrences
from shared.subscriptions import CHECK, PREFIX
from watchkeeper.parameters import Duration
from watchkeeper.times import place

SHOWN = 5  # of the runs to come
T = TypeVar("T")


class InvalidForm(InvalidInput):
    """Some fields of the form are invalid; `errors` has the reason by field name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


class Form:
    """Reads the fields one by one, and collects their errors."""

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
        """Return `cron` or `at`, as the field `when` selects; neither means now."""
        match self.text("when"):
            case "cron":
                recurrence = self._read("cron", lambda: Recurrence(self._needed("cron"), self.timezone))
                return {"cron": recurrence.cron} if recurrence else {}
            case "at":
                return {"at": self._read("at", lambda: place(self._clock_time(), self.timezone))}
            case "in":
                return {"at": self._read("in", lambda: self._now + Duration().convert(self._needed("in"), None, None))}
        return {}

    def definition(self, handlers: Handlers) -> dict[str, Any]:
        """Return the arguments of `Jobs.schedule`. Raises InvalidForm."""
        job_type = self.text("type")
        if job_type not in handlers or job_type == CHECK:
            self.errors["type"] = "choose one of the types; a handler in agent/handlers.py adds one"
        field = "payload" if self._fields.get("message") is None else "message"
        payload = self._read(field, lambda: self._payload(handlers, job_type))
        given = {"id": self._read("id", self._id), "timezone": self.timezone, **self.time()}
        self.refuse_errors()
        return {"job_type": job_type, "payload": payload, **given}

    def refuse_errors(self) -> None:
        """Raise InvalidForm if there are errors."""
        if self.errors:
            raise InvalidForm(self.errors)

    def _id(self) -> str | None:
        if (job_id := self.text("id")).startswith(PREFIX):
            raise InvalidInput(f"an id that begins with {PREFIX} is reserved for subscriptions")
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

    def _clock_time(self) -> datetime:
        return datetime.fromisoformat(self._needed("at"))

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


def preview(form: Form, now: datetime) -> dict[str, Any]:
    """Return when the job of a form would run: in words, and its next runs with any change of the clocks."""
    time = form.time()
    if form.errors:
        return {"words": "", "runs": [], "errors": form.errors}
    cron, zone = time.get("cron"), load_timezone(form.timezone)
    moments = list(occurrences(Recurrence(cron, form.timezone), now, SHOWN)) if cron else [time.get("at") or now]
    runs = [
        {"says": local_time(moment, form.timezone), "change": clock_change(moment.astimezone(zone))}
        for moment in moments
    ]
    is_due = not cron and moments[0] <= now
    words = in_words(cron) if cron else "With the next tick, within a minute" if is_due else ""
    return {"words": words, "runs": runs, "errors": {}}
