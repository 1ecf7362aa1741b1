"""The queues of a local run, as the table of functions declares them."""

import re
from datetime import timedelta
from pathlib import Path

from watchkeeper.deploy.functions_table import FUNCTIONS_TABLE
from watchkeeper.dev.queues import read_queues
from watchkeeper.fakes.services import DEFAULT_QUEUES
from watchkeeper.fakes.task_queue import RateLimits, RetryConfig


def test_a_queue_has_the_limits_and_retry_of_the_table() -> None:
    """Those of the shipped table, so a local run delivers like a deployment."""
    retry = RetryConfig(
        max_attempts=100,
        max_duration=timedelta(days=1),
        min_backoff=timedelta(seconds=10),
        max_backoff=timedelta(minutes=10),
        max_doublings=6,
    )

    assert read_queues() == {"agents": (RateLimits(max_concurrent=2, max_per_second=1), retry)}


def test_a_table_without_queues_gets_a_default_queue(tmp_path: Path) -> None:
    """The one of the built-in agent."""
    table = tmp_path / "functions.toml"
    table.write_text(re.sub(r"\[queues\.(.|\n)*(?=# Settings that are secret)", "", FUNCTIONS_TABLE.read_text()))

    assert read_queues(table) == DEFAULT_QUEUES == {"agents": (RateLimits(max_concurrent=2), RetryConfig())}
