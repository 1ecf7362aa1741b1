"""A one-shot job and a recurring one, both due now."""

from datetime import datetime

import pytest

from shared.model.job import Job
from tests.job_life import JobFactory


@pytest.fixture
def waiting(job_factory: JobFactory, now: datetime) -> Job:
    """A one-shot job that is due now."""
    return job_factory(at=now)


@pytest.fixture
def daily(job_factory: JobFactory, now: datetime) -> Job:
    """A job that runs every day at nine, due now."""
    return job_factory(cron="0 9 * * *", at=now)
