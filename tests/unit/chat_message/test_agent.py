"""The handler `agent` asks the user's agent and posts its answer."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from shared.errors import InvalidSettings
from shared.handlers import Cancel, Payload, Snooze, check_payload, load_handlers
from shared.handlers.agent import AgentContext, Proposal
from shared.handlers.asking import Action, unrouted
from shared.handlers.chat_message import AgentFailed, agent
from shared.handlers.proposal import unpacked
from shared.jobs import open_jobs
from tests.support.chatting import buttons_of
from tests.support.posting import KEY, NOW, SPACE, THREAD, Google, context_of, failure

QUESTION = {"space": SPACE, "thread": THREAD, "prompt": "What is new?"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, AgentContext]]]:
    """The questions that reach an agent named in CHAT_AGENT. It answers with what it is asked."""
    asked = []

    def answer(text: str, context: AgentContext) -> str:
        asked.append((text, context))
        return f"You said: {text}"

    def fail(text: str, context: AgentContext) -> str:
        raise RuntimeError("boom")

    def say_nothing(text: str, context: AgentContext) -> None:
        """Return nothing."""

    def fall_ill(text: str, context: AgentContext) -> int:
        return 7

    sys.modules["my_agent"] = module = ModuleType("my_agent")
    vars(module).update(answer=answer, fail=fail, say_nothing=say_nothing, fall_ill=fall_ill)
    monkeypatch.setenv("CHAT_AGENT", "my_agent:answer")
    yield asked
    del sys.modules["my_agent"]


def test_answer_of_the_agent_is_posted(google: Google, asked: list[tuple[str, AgentContext]]) -> None:
    """The agent gets the whole context; its answer is posted where the job was made."""
    agent(QUESTION, context_of())

    assert asked == [
        (
            "What is new?",
            AgentContext(
                space=SPACE, thread=THREAD, user="ada@example.com", timezone="UTC", idempotency_key=KEY, now=NOW
            ),
        )
    ]
    (message,) = google.chat.messages
    assert (message.text, message.thread, message.request_id) == ("You said: What is new?", THREAD, KEY)


@pytest.mark.parametrize(
    ("payload", "schedule", "told"),
    [
        pytest.param({"timezone": "Asia/Tokyo"}, "America/Lima", "Asia/Tokyo", id="of-who-asked"),
        pytest.param({}, "America/Lima", "America/Lima", id="of-the-schedule"),
        pytest.param({}, None, "Europe/Berlin", id="of-the-settings"),
    ],
)
def test_agent_gets_the_time_zone(
    google: Google,
    asked: list[tuple[str, AgentContext]],
    monkeypatch: pytest.MonkeyPatch,
    payload: Payload,
    schedule: str | None,
    told: str,
) -> None:
    """That of the person who asked, or of the schedule, or of SCHEDULER_TIMEZONE."""
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Europe/Berlin")

    agent({**QUESTION, **payload}, context_of(timezone=schedule))

    assert asked[0][1].timezone == told


def test_agent_gets_the_asker_and_the_conversation(google: Google, asked: list[tuple[str, AgentContext]]) -> None:
    """The job stores it, so a scheduled run continues the same session."""
    agent({**QUESTION, "space_kind": "space", "session_key": "s", "display_name": "Ada"}, context_of())
    agent({**QUESTION, "space_kind": "direct"}, context_of("other"))

    first, second = (context for _, context in asked)
    assert (first.space_kind, first.session_key, first.display_name) == ("space", "s", "Ada")
    assert (second.space_kind, second.session_key, second.user) == ("direct", SPACE, "ada@example.com")


def test_agent_gets_the_click(google: Google, asked: list[tuple[str, AgentContext]]) -> None:
    """As Chat would have passed it; there need be no text."""
    action = {"kind": "click", "name": "approve", "inputs": {"why": ["x"]}}
    payload = {**QUESTION, "prompt": "", "locale": "de", "asked": {"formatted_text": "*x*", "action": action}}
    check_payload(load_handlers(()), "agent", payload)

    agent(payload, context_of())

    ((_, context),) = asked
    assert context.action == Action(kind="click", name="approve", inputs={"why": ("x",)})
    assert (context.formatted_text, context.locale) == ("*x*", "de")


def test_agent_has_the_jobs_of_its_space(
    google: Google, asked: list[tuple[str, AgentContext]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Jobs that it schedules during a run are stored with all jobs, in the name of the person who made its job."""
    monkeypatch.setenv("SCHEDULER_STORAGE", "json")
    monkeypatch.setenv("SCHEDULER_JSON_PATH", str(tmp_path / "jobs.json"))
    open_jobs.cache_clear()

    agent(QUESTION, context_of())

    jobs = asked[0][1].jobs
    assert jobs is not None
    made = jobs.schedule("message", "Tea!", every="1d")
    assert open_jobs().get(made.id) == made
    assert (made.space, made.payload["thread"], made.created_by) == (SPACE, THREAD, "agent:ada@example.com")
    open_jobs.cache_clear()


@pytest.mark.usefixtures("asked")
def test_job_succeeds_if_the_agent_returns_nothing(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is posted, and the job is completed."""
    monkeypatch.setenv("CHAT_AGENT", "my_agent:say_nothing")

    agent(QUESTION, context_of())

    assert google.chat.requests == []


PROPOSED = Proposal(kind="message", text="tea", at=NOW + timedelta(days=1))


@pytest.mark.parametrize("url", ["https://example.com/chat", ""])
@pytest.mark.parametrize(
    ("told", "created_by", "asker"),
    [
        pytest.param(
            {"display_name": "Ada", "user_name": "users/104"},
            "chat:ada@example.com",
            {"user": "users/104", "by": "ada@example.com", "name": "Ada"},
            id="in-chat",
        ),
        pytest.param(
            {"space_kind": "direct", "display_name": "Ada"},
            "agent:ada@example.com",
            {"user": "", "by": "ada@example.com"},
            id="direct",
        ),
        pytest.param({}, "cli:ada", {}, id="by-an-operator"),
    ],
)
def test_proposal_is_posted_with_a_button(
    google: Google,
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, str],
    created_by: str,
    asker: dict[str, str],
    url: str,
) -> None:
    """A tap shows the card to confirm; the job belongs to the creator of this one, or to who confirms it."""
    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    agents.propose = lambda text, context: PROPOSED  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:propose")
    monkeypatch.setenv("PUBLIC_URL", url)

    agent({**QUESTION, **told}, context_of(created_by=created_by))

    (posted,) = google.chat.messages
    (found,) = buttons_of(posted.body)
    action = found["onClick"]["action"]
    assert action["function"] == (url or "watchkeeper")
    parameters = {pair["key"]: pair["value"] for pair in action["parameters"]}
    assert unpacked(parameters.pop("proposal")) == PROPOSED
    assert parameters == {"action": "proposed", "timezone": "UTC", **asker}


def test_button_that_calls_a_url_is_not_changed(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent has a service of its own there."""
    action = {"function": "https://example.com/own", "parameters": [{"key": "id", "value": "7"}]}
    button = {"text": "Yes", "onClick": {"action": action}}
    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    card = {"sections": [{"widgets": [{"buttonList": {"buttons": [button]}}]}]}
    agents.ask = lambda text, context: card  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:ask")

    agent(QUESTION, context_of())

    assert buttons_of(google.chat.messages[0].body) == [button]


@pytest.mark.parametrize("error", [Cancel("never"), Snooze(timedelta(hours=1), "later")])
def test_agent_decides_what_follows_its_failure(
    google: Google, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Cancel and Snooze work as in every handler."""

    def ask(text: str, context: AgentContext) -> str:
        raise error

    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    agents.ask = ask  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:ask")

    assert failure(agent, QUESTION) is error


def test_buttons_of_a_posted_card_call_our_function(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """They call the Chat function, which finds the agent's name for the action in their parameters."""
    button = {
        "text": "Yes",
        "onClick": {"action": {"function": "approve", "parameters": [{"key": "id", "value": "7"}]}},
    }
    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    card = {"sections": [{"widgets": [{"buttonList": {"buttons": [button]}}]}]}
    agents.ask = lambda text, context: card  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:ask")
    monkeypatch.setenv("PUBLIC_URL", "https://example.com/chat")

    agent(QUESTION, context_of())

    (found,) = buttons_of(google.chat.messages[0].body)
    action = found["onClick"]["action"]
    assert action["function"] == "https://example.com/chat"
    assert unrouted({pair["key"]: pair["value"] for pair in action["parameters"]}, "x") == ("approve", {"id": "7"})


def test_proposal_whose_time_has_passed_fails_the_job(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is posted; the agent is asked again."""
    sys.modules["my_agent"] = agents = ModuleType("my_agent")
    agents.propose = lambda text, context: replace(PROPOSED, at=NOW - timedelta(days=1))  # type: ignore[attr-defined]
    monkeypatch.setenv("CHAT_AGENT", "my_agent:propose")

    assert "cannot be scheduled: Fri 20 Nov 2026, 09:00 (UTC) has passed" in str(failure(agent, QUESTION))
    assert google.texts() == []


def test_job_without_an_agent_fails_for_good(google: Google) -> None:
    """The failure is final and names the setting."""
    failed = failure(agent, QUESTION)

    assert isinstance(failed, Cancel)
    assert "CHAT_AGENT is not set" in str(failed)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        pytest.param(
            "my_agent:fail", AgentFailed, "^the agent raised RuntimeError; see the log for the location$", id="raises"
        ),
        pytest.param("my_agent:fall_ill", AgentFailed, "^the agent must return a text, .*, not int$", id="no-answer"),
        pytest.param("my_agent:other", InvalidSettings, "my_agent has no other", id="not-there"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_failing_agent_fails_its_job(
    google: Google, monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception], says: str
) -> None:
    """Nothing is posted, and the job is retried; no error or log quotes the person's words."""
    monkeypatch.setenv("CHAT_AGENT", name)

    with pytest.raises(error, match=says):
        agent(QUESTION, context_of())

    assert google.chat.requests == []
