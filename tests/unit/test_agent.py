"""The example handlers, tested the way in which you may test your own: call it with a payload and a context."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.handlers import Context, InvalidPayload

# The file is its user's: where the example is gone, its tests are over.
greet: Any = getattr(pytest.importorskip("agent.handlers"), "greet", None)
research: Any = getattr(pytest.importorskip("agent.handlers"), "research", None)
pytestmark = pytest.mark.skipif(None in (greet, research), reason="the example handlers have been replaced")

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def context() -> Context:
    return Context(
        job_id="a",
        job_type="greet",
        execution_key="a@2026-11-21T09:00:00Z",
        attempt=1,
        schedule_at=NOW,
        started_at=NOW,
        deadline=NOW + timedelta(seconds=10),
    )


def test_greet_greets_by_name(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    """The greeting goes to the log."""
    caplog.set_level(logging.INFO, "watchkeeper.agent")

    greet({"name": "Ada"}, context)

    assert caplog.messages == ["Good morning, Ada"]


def test_greet_refuses_a_payload_without_a_name(context: Context) -> None:
    """There is no use in trying again, and the error says what is missing."""
    with pytest.raises(InvalidPayload, match='"name"'):
        greet({}, context)


def test_research_ends_when_asked_to_stop(context: Context) -> None:
    """It has failed then, and is tried again."""
    context.ask_to_stop("shutting down")

    with pytest.raises(RuntimeError, match="shutting down"):
        research({"seconds": 600}, context)


def test_research_takes_its_time(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    """As many seconds as the payload says."""
    caplog.set_level(logging.INFO, "watchkeeper.agent")

    research({"seconds": 0}, context)

    assert caplog.messages == ["Found nothing in 0 s"]


@pytest.mark.parametrize("payload", [{}, {"seconds": "120"}, {"seconds": -1}])
def test_research_refuses_a_payload_without_a_length(context: Context, payload: dict[str, object]) -> None:
    """The error says what is missing."""
    with pytest.raises(InvalidPayload, match='"seconds"'):
        research(payload, context)
