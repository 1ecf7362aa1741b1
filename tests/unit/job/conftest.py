"""A one-shot job, a recurring one, and one with every field of a schedule."""

from datetime import datetime

import pytest

from shared.model.job import Job
from tests.support.job_life import DAY, MINUTE, JobFactory, ran


@pytest.fixture
def waiting(job_factory: JobFactory, now: datetime) -> Job:
    """A one-shot job that is due now."""
    return job_factory(at=now)


@pytest.fixture
def daily(job_factory: JobFactory, now: datetime) -> Job:
    """A job that runs every day at nine, due now."""
    return job_factory(cron="0 9 * * *", at=now)


@pytest.fixture
def rich(job_factory: JobFactory, now: datetime) -> Job:
    """A job with every field of a schedule: every sixth day; the first was just run."""
    job = job_factory(
        every="6d",
        timezone="Europe/Berlin",
        until=now + 60 * DAY,
        except_dates=["2026-12-03"],
        misfire="skip",
        grace=30 * MINUTE,
        pause_after_failures=4,
    )
    return ran(job, now)
