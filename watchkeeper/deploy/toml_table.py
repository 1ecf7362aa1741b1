"""Reading functions.toml key by key: a value that cannot be used is one error that names the file and the key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from shared.errors import InvalidSettings
from shared.settings import DEFAULT_PREFIX

_SETTING = re.compile(r"\$\{([A-Z][A-Z0-9_]*):-([^}]*)\}")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_DURATION = re.compile(rf"({_PART.pattern})+", re.ASCII)
_LONGEST = timedelta(days=10_000)  # Google takes less
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

T = TypeVar("T", str, int, list[Any], dict[Any, Any])


def own_name(name: str, prefix: str) -> str:
    """Return what a deployment with this prefix calls that which has this name with the default prefix."""
    return name if prefix == DEFAULT_PREFIX else prefix + name.removeprefix(DEFAULT_PREFIX)


@dataclass(frozen=True)
class TomlTable:
    """A table; `name` is for errors: the file, and the keys that lead here."""

    content: Mapping[str, Any]
    name: str
    env: Mapping[str, str]
    prefix: str = ""  # of this deployment

    def table(self, key: str) -> "TomlTable":
        return TomlTable(self._value(key, dict, "a table"), f"{self.name}: {key}", self.env, self.prefix)

    def refuse_all_but(self, *known: str) -> None:
        for key, value in self.content.items():
            if key not in known:
                kind = "table" if isinstance(value, dict) else "key"
                raise InvalidSettings(f"{self.name}: unknown {kind} {key}; choose one of {', '.join(known)}")

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and key not in self.content:
            return default
        return _SETTING.sub(self._setting, self._value(key, str, "text"))

    def own_name(self, key: str) -> str:
        return own_name(self.text(key), self.prefix)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if default is not None and key not in self.content:
            return default
        values = self._value(key, list, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise InvalidSettings(f"{self.name}: {key} must be a list of texts")
        return tuple(values)

    def number(self, key: str, default: int | None = None, *, least: int = 0, most: int | None = None) -> int:
        if default is not None and key not in self.content:
            return default
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        number = self._value(key, int, f"a whole number {limits}")
        if number < least or (most is not None and number > most):
            raise InvalidSettings(f"{self.name}: {key} must be a whole number {limits}")
        return number

    def duration(self, key: str, default: timedelta | None = None) -> timedelta:
        """Read a duration as gcloud does."""
        if default is not None and key not in self.content:
            return default
        text = self.text(key)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        if not _DURATION.fullmatch(text) or seconds > _LONGEST.total_seconds():
            raise InvalidSettings(f"{self.name}: {key} must be a duration such as 60s, 10m or 1h30m")
        return timedelta(seconds=seconds)

    def is_true(self, key: str) -> bool:
        value = self.content.get(key, False)
        if not isinstance(value, bool):
            raise InvalidSettings(f"{self.name}: {key} must be true or false")
        return value

    def _value(self, key: str, kind: type[T], expected: str) -> T:
        value = self.content.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidSettings(f"{self.name}: {key} must be {expected}")
        return value

    def _setting(self, match: re.Match[str]) -> str:
        name, default = match.groups()
        return self.env.get(name, "").strip() or default
