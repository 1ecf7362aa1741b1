"""The queues of functions.toml, as the fake of Cloud Tasks takes them."""

from pathlib import Path

from watchkeeper.deploy.functions_table import FUNCTIONS_TABLE, Queue, read_table
from watchkeeper.fakes.services import DEFAULT_QUEUES, Queues
from watchkeeper.fakes.task_queue import RateLimits, RetryConfig


def read_queues(path: Path = FUNCTIONS_TABLE) -> Queues:
    """Return limits and retry of each queue by the name that handlers use; a default queue if the table has none.

    Raises InvalidSettings.
    """
    return {queue.name: (_limits(queue), _retry(queue)) for queue in read_table({}, path).queues} or DEFAULT_QUEUES


def _limits(queue: Queue) -> RateLimits:
    return RateLimits(max_concurrent=queue.max_concurrent, max_per_second=queue.max_per_second)


def _retry(queue: Queue) -> RetryConfig:
    return RetryConfig(
        max_attempts=queue.retry.count,
        max_duration=queue.retry.max_duration,
        min_backoff=queue.retry.min_backoff,
        max_backoff=queue.retry.max_backoff,
        max_doublings=queue.retry.max_doublings,
    )
