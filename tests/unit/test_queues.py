"""The queues of a local run, as the table of functions declares them."""

from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import InvalidSettings
from watchkeeper.dev.queues import read_queues
from watchkeeper.fakes.services import DEFAULT_QUEUES
from watchkeeper.fakes.task_queue import Limits, Retry


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "functions.toml"


def test_a_queue_has_the_limits_and_the_retry_of_the_table(table: Path) -> None:
    """Missing ones are Cloud Tasks' defaults; keys for the deployment only are left out."""
    table.write_text(
        '[queues.agents]\nmax_concurrent = 3\nmin_backoff = "5s"\nmax_attempts = -1\nname = "x"\n'
        "[queues.slow]\nmax_per_second = 0.5\n"
    )

    assert read_queues(table) == {
        "agents": (Limits(max_concurrent=3), Retry(min_backoff=timedelta(seconds=5), max_attempts=-1)),
        "slow": (Limits(max_per_second=0.5), Retry()),
    }


def test_a_table_without_queues_has_one(table: Path) -> None:
    """The one of the built-in agent."""
    table.write_text('prefix = "watchkeeper-"\n')

    assert read_queues(table) == DEFAULT_QUEUES == {"agents": (Limits(max_concurrent=2), Retry())}


@pytest.mark.parametrize(
    "line", ["max_concurrent = 6000", "max_per_second = 501", 'max_concurrent = "two"', "min_backoff = 5"]
)
def test_a_queue_that_cannot_be_is_named(table: Path, line: str) -> None:
    """One line has the queue and the fault."""
    table.write_text(f"[queues.agents]\n{line}\n")

    with pytest.raises(InvalidSettings, match="queues: agents cannot be a queue of Cloud Tasks"):
        read_queues(table)
