"""The queues of functions.toml, as the fake of Cloud Tasks takes them."""

import tomllib
from pathlib import Path
from typing import Any

from shared.errors import InvalidSettings
from watchkeeper.deploy.functions_table import FUNCTIONS_TABLE
from watchkeeper.fakes.services import DEFAULT_QUEUES, Queues
from watchkeeper.fakes.task_queue import InvalidQueue, Limits, Retry

# What the API calls the keys of [queues.NAME].
LIMITS = {"max_concurrent": "maxConcurrentDispatches", "max_per_second": "maxDispatchesPerSecond"}
RETRY = {
    "max_attempts": "maxAttempts",
    "max_retry_duration": "maxRetryDuration",
    "min_backoff": "minBackoff",
    "max_backoff": "maxBackoff",
    "max_doublings": "maxDoublings",
}


def read_queues(path: Path = FUNCTIONS_TABLE) -> Queues:
    """Return limits and retry of each queue by the name that handlers use; a default queue if the table has none.

    The table has been read before, so it can be read. Raises InvalidSettings, naming the queue.
    """
    tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("queues", {})
    return {name: _queue(f"{path}: queues: {name}", table) for name, table in tables.items()} or DEFAULT_QUEUES


def _queue(name: str, table: dict[str, Any]) -> tuple[Limits, Retry]:
    try:
        return Limits.of(_renamed(table, LIMITS)), Retry.of(_renamed(table, RETRY))
    except (InvalidQueue, TypeError, ValueError, AttributeError) as exc:
        raise InvalidSettings(f"{name} cannot be a queue of Cloud Tasks: {exc}") from exc


def _renamed(table: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names[key]: value for key, value in table.items() if key in names}
