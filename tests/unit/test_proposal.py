"""A job that an agent proposes: what can be proposed, and how it travels in a button."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.handlers.agent import AgentContext
from shared.handlers.agent_tools import proposer, schema_of
from shared.handlers.proposal import Proposal, first_run, packed, unpacked

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
TEA: dict[str, Any] = {"kind": "message", "text": "tea", "cron": "0 9 * * *"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"kind": "http_request"}, "a reminder, a message, a question, not 'http_request'", id="kind"),
        pytest.param({"text": " "}, "1 to 1,000 characters", id="blank"),
        pytest.param({"text": "x" * 1001}, "1 to 1,000 characters", id="long"),
        pytest.param({"text": 7}, "1 to 1,000 characters", id="no-text"),
        pytest.param({"cron": None}, "say when", id="no-time"),
        pytest.param({"cron": None, "at": NOW, "until": NOW + timedelta(days=1)}, "say when", id="an-end-of-once"),
        pytest.param({"at": datetime(2026, 12, 1)}, "has no time zone", id="naive"),
        pytest.param({"until": "2026-12-01"}, "until is .* must be a datetime", id="no-datetime"),
        pytest.param({"cron": "61 9 * * *"}, "minute", id="cron"),
        pytest.param({"cron": None, "every": "2x"}, "2x", id="interval"),
        pytest.param({"every": "1d"}, "exclude each other", id="both"),
        pytest.param({"timezone": "Mars/Olympus"}, "Mars/Olympus", id="zone"),
        pytest.param({"except_dates": ["soon"]}, "except_dates", id="day-off"),
    ],
)
def test_invalid_proposal_is_refused(given: dict[str, Any], says: str) -> None:
    """So the agent hears of it, rather than the person."""
    with pytest.raises(InvalidInput, match=says):
        Proposal(**{**TEA, **given})


@pytest.mark.parametrize(
    "proposal",
    [
        pytest.param(Proposal(kind="reminder", text="tea", at=NOW, timezone="Asia/Tokyo", everybody=True), id="once"),
        pytest.param(
            Proposal(kind="question", text="ok?", every="2w", at=NOW, until=NOW, except_dates=(date(2026, 12, 24),)),
            id="again",
        ),
    ],
)
def test_proposal_survives_its_button(proposal: Proposal) -> None:
    """With every field."""
    assert unpacked(packed(proposal)) == proposal


def test_proposed_interval_starts_one_interval_later() -> None:
    """One interval later, unless it has a start."""
    assert first_run(Proposal(kind="message", text="tea", every="90m"), "UTC", NOW) == NOW + timedelta(minutes=90)


def test_model_can_propose_with_texts() -> None:
    """Times are on the clocks of who asks, and the tool has a schema like every other."""
    context = AgentContext(
        space="spaces/A", thread=None, user="ada@example.com", timezone="Europe/Berlin", idempotency_key="k", now=NOW
    )
    propose = proposer(context)

    proposal = propose("reminder", "tea", at="2026-12-01T09:00", every="1w", except_dates=["2026-12-08"])

    assert proposal == Proposal(
        kind="reminder",
        text="tea",
        at=datetime(2026, 12, 1, 8, tzinfo=UTC),
        every="1w",
        timezone="Europe/Berlin",
        except_dates=(date(2026, 12, 8),),
    )
    schema = schema_of(propose)
    assert schema["name"] == "propose_job"
    assert schema["parameters"]["required"] == ["kind", "text"]
    assert schema["parameters"]["properties"]["kind"]["enum"] == ["reminder", "message", "question"]
