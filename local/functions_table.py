"""The table of functions, `functions.toml`, as far as it matters on this machine."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import InvalidInput, InvalidSettings
from shared.recurrence import Recurrence
from shared.settings import PROJECT_FOLDER

FUNCTIONS_TABLE = PROJECT_FOLDER / "functions.toml"

_SETTING = re.compile(r"\$\{([A-Z][A-Z0-9_]*):-([^}]*)\}")

T = TypeVar("T", str, int, dict[Any, Any])


@dataclass(frozen=True, kw_only=True)
class SchedulerJob:
    """The Cloud Scheduler job that calls a function. After its attempt deadline it waits for no answer any more."""

    name: str
    recurrence: Recurrence
    attempt_deadline: timedelta


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function. `timeout` bounds a call; without a `scheduler_job` nobody but its users calls it."""

    name: str
    entry_point: str
    timeout: timedelta
    scheduler_job: SchedulerJob | None


def read_functions(env: Mapping[str, str], path: Path = FUNCTIONS_TABLE) -> list[Function]:
    """Read the table, with each `${NAME:-default}` in it taken from `env`.

    Raises InvalidSettings, naming the file and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidSettings(f"{path} cannot be read: {exc}") from exc
    functions = _Table(content, str(path), env).table("functions")
    return [_function(name, functions.table(name)) for name in functions.content]


def _function(name: str, table: "_Table") -> Function:
    table.refuse_tables_but("scheduler")
    timeout = timedelta(seconds=table.number("timeout_seconds"))
    return Function(
        name=name,
        entry_point=table.text("entry_point"),
        timeout=timeout,
        scheduler_job=_scheduler_job(table.table("scheduler"), timeout) if "scheduler" in table.content else None,
    )


def _scheduler_job(table: "_Table", timeout: timedelta) -> SchedulerJob:
    name, schedule, time_zone = (table.text(key) for key in ("name", "schedule", "time_zone"))
    try:
        recurrence = Recurrence(schedule, time_zone)
    except InvalidInput as exc:
        raise InvalidSettings(f"{table.name}: schedule or time_zone cannot be used: {exc}") from exc
    return SchedulerJob(name=name, recurrence=recurrence, attempt_deadline=timeout)


@dataclass(frozen=True)
class _Table:
    content: Mapping[str, Any]
    name: str  # for errors: the file, and the keys that lead here
    env: Mapping[str, str]

    def table(self, key: str) -> "_Table":
        return _Table(self._value(key, dict, "a table"), f"{self.name}: {key}", self.env)

    def refuse_tables_but(self, known: str) -> None:
        for key, value in self.content.items():
            if isinstance(value, dict) and key != known:
                raise InvalidSettings(f"{self.name}: there is no table {key}; is {known} meant?")

    def text(self, key: str) -> str:
        return _SETTING.sub(self._setting, self._value(key, str, "text"))

    def number(self, key: str) -> int:
        return self._value(key, int, "a whole number")

    def _value(self, key: str, kind: type[T], expected: str) -> T:
        value = self.content.get(key)
        if not isinstance(value, kind):
            raise InvalidSettings(f"{self.name}: {key} must be {expected}")
        return value

    def _setting(self, match: re.Match[str]) -> str:
        name, default = match.groups()
        return self.env.get(name, "").strip() or default
