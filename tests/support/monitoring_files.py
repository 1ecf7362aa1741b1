"""The files of monitoring/, with their placeholders filled in, and their filters.

A filter is comparisons that are joined by AND, which is all that is used here.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.settings import PROJECT_FOLDER
from watchkeeper.deploy.deployment import Deployment
from watchkeeper.deploy.functions_table import FUNCTIONS_TABLE, read_table
from watchkeeper.deploy.monitoring import fill, placeholders

FOLDER = PROJECT_FOLDER / "monitoring"
TABLE = tomllib.loads(FUNCTIONS_TABLE.read_text(encoding="utf-8"))


def deployment(**settings: str) -> Deployment:
    """Return a deployment of the whole table."""
    table = read_table(settings)
    return Deployment(
        table=table, settings=settings, project="demo", region="europe-west1", number="", functions=table.functions
    )


GIVEN = placeholders(deployment())
SERVICES = {deployment().service(function) for function in deployment().functions}
QUEUES = {deployment().queue(queue) for queue in deployment().table.queues}
SCHEDULER_JOBS = {function.scheduler_job.name for function in deployment().functions if function.scheduler_job}

Entry = dict[str, Any]


def read(path: Path) -> Any:
    """Read a file as it is applied, with the placeholders filled in."""
    return json.loads(fill(path.read_text(encoding="utf-8"), GIVEN))


def contents(kind: str) -> dict[str, Any]:
    return {path.stem.removeprefix(f"{kind}-"): read(path) for path in sorted(FOLDER.glob(f"{kind}*.json"))}


FILES = sorted(FOLDER.glob("*.json"))
METRICS, ALERTS, DASHBOARD = contents("metric"), contents("alert"), contents("dashboard")["dashboard"]
TEXTS = {
    "README.md": (FOLDER / "README.md").read_text(encoding="utf-8"),
    **{name: alert["documentation"]["content"] for name, alert in ALERTS.items()},
}


def found(content: Any, key: str) -> Iterator[Any]:
    """Find the values of a key at any depth."""
    if isinstance(content, dict):
        if key in content:
            yield content[key]
        for value in content.values():
            yield from found(value, key)
    if isinstance(content, list):
        for value in content:
            yield from found(value, key)


TERM = re.compile(r'(?P<field>[\w.]+)(?P<sign>=~|>=|!=|=)(?P<value>"[^"]*"|\w+|\w+\(.*\))')
SEVERITIES = ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]


def terms(filter_text: str) -> list[tuple[str, str, str]]:
    """Parse a filter into field, operator and value."""
    parts = [(part, TERM.fullmatch(part)) for part in filter_text.split(" AND ")]
    assert all(term for _, term in parts), [part for part, term in parts if not term]
    return [(term["field"], term["sign"], term["value"].strip('"')) for _, term in parts if term]


def value_of(entry: Entry, field: str) -> Any:
    value: Any = entry
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def matches(filter_text: str, entry: Entry) -> bool:
    """Return whether Cloud Logging would find this entry."""
    return all(_holds(value_of(entry, field), sign, value) for field, sign, value in terms(filter_text))


def _holds(present: Any, sign: str, value: str) -> bool:
    if not isinstance(present, str):
        return False
    if sign == ">=":
        return SEVERITIES.index(present) >= SEVERITIES.index(value)
    return present == value if sign == "=" else re.search(value, present) is not None


def log_filters() -> list[tuple[str, str]]:
    """Return every filter over log entries with its place, including those of the commands in the texts."""
    return [
        *((name, metric["filter"]) for name, metric in METRICS.items()),
        *((name, match["filter"]) for name, alert in ALERTS.items() for match in found(alert, "conditionMatchedLog")),
        *(("dashboard", panel["filter"]) for panel in found(DASHBOARD, "logsPanel")),
        *((name, told) for name, text in TEXTS.items() for told in re.findall(r"gcloud logging read '([^']*)'", text)),
    ]
