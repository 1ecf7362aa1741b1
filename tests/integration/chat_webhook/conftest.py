"""A space for each test."""

import uuid

import pytest


@pytest.fixture
def space() -> str:
    """A space of this test's own."""
    return f"spaces/{uuid.uuid4().hex[:11]}"
