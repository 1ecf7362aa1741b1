"""Parameter types that click does not have: times, durations and payloads."""

import json
import re
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from shared.model.schedule import FOREVER


class Moment(click.ParamType[datetime]):
    """An ISO 8601 time, which may be naive."""

    name = "ISO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the value. Raises a usage error."""
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not an ISO time such as 2026-11-21T09:00 or 2026-11-21T09:00+01:00", param, ctx)


class Duration(click.ParamType[timedelta]):
    """A duration such as 20m."""

    name = "duration"
    pattern = re.compile(r"(?=.)(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the value. Raises a usage error."""
        match = self.pattern.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} is not a duration such as 90s, 20m, 1h30m or 2d", param, ctx)
        days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


class End(Moment):
    """An ISO 8601 time, or `never`."""

    name = "ISO|never"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the value. Raises a usage error."""
        return FOREVER if value == "never" else super().convert(value, param, ctx)


class Dates(click.ParamType[tuple[date, ...]]):
    """Dates with commas between, or `none`."""

    name = "DATES|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[date, ...]:
        """Read the value. Raises a usage error."""
        texts = [] if value == "none" else [text.strip() for text in value.split(",")]
        for text in texts:
            try:
                date.fromisoformat(text)
            except ValueError:
                self.fail(f"{text!r} is not a date; write 2026-12-24,2026-12-25, or none", param, ctx)
        return tuple(date.fromisoformat(text) for text in texts)


class Payload(click.ParamType[dict[str, Any]]):
    """A JSON object, or @FILE (@- is standard input) that holds one."""

    name = "JSON|@FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Read the value. Raises a usage error."""
        try:
            payload = json.loads(_content(value.removeprefix("@")) if value.startswith("@") else value)
        except OSError as exc:
            self.fail(f"{value[1:]} cannot be read: {exc.strerror}", param, ctx)
        except (ValueError, RecursionError) as exc:
            self.fail(f"{value[:100]!r} is not JSON ({exc}); write an object such as '{{\"key\": 1}}'", param, ctx)
        if not isinstance(payload, dict):
            self.fail(f"{value[:100]!r} is JSON, but no object such as '{{\"key\": 1}}'", param, ctx)
        return payload


def _content(path: str) -> str:
    return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
