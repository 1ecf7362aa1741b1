"""The example of an agent on Gemini, against a fake of Vertex AI whose answers are scripted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from shared.handlers import load_handlers
from shared.handlers.agent import AgentContext, load_agent
from shared.handlers.agent_tools import with_jobs
from shared.jobs import Jobs
from shared.store.json_file import JsonStore
from tests.support.servers import ACCESS_TOKEN, Exchange, HttpServer, Received, reply

pytestmark = pytest.mark.slow  # to import the SDK

MODEL = "gemini-3.8-flash"
PATH = f"/v1beta1/projects/demo/locations/global/publishers/google/models/{MODEL}:generateContent"
SIGNATURE = "c2lnbmF0dXJl"  # of a thought, in base64: what a model was thinking when it asked for a call
Part = dict[str, Any]


class FakeGemini:
    """Vertex AI's generateContent: the model says one of `turns` a request, the last one again and again.

    Like the API it refuses a request without a token, and a call of a function that comes back without its signature.
    """

    def __init__(self, *turns: Sequence[Part]) -> None:
        self._turns = list(turns)
        self.requests: list[Any] = []

    def __call__(self, exchange: Exchange) -> None:
        """Answer a request."""
        status, body = self._answer(exchange.request)
        reply(status, json.dumps(body).encode(), headers={"Content-Type": "application/json"})(exchange)

    def _answer(self, request: Received) -> tuple[int, Mapping[str, Any]]:
        if request.headers["Authorization"] != f"Bearer {ACCESS_TOKEN}":
            return _refusal(401, "UNAUTHENTICATED", "Request is missing required authentication credential.")
        body = json.loads(request.body)
        parts = [part for content in body["contents"] for part in content["parts"]]
        if any("functionCall" in part and part.get("thoughtSignature") != SIGNATURE for part in parts):
            return _refusal(400, "INVALID_ARGUMENT", "Function call is missing a thought_signature.")
        self.requests.append(body)
        said = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
        content = {"role": "model", "parts": list(said)}
        return 200, {"candidates": [{"content": content, "finishReason": "STOP"}], "modelVersion": MODEL}


def _refusal(code: int, status: str, message: str) -> tuple[int, Mapping[str, Any]]:
    return code, {"error": {"code": code, "message": message, "status": status}}


def text(said: str) -> list[Part]:
    """Return a turn in which the model answers."""
    return [{"text": said}]


def call(name: str, **arguments: Any) -> list[Part]:
    """Return a turn in which the model asks for a call."""
    return [{"functionCall": {"name": name, "args": arguments}, "thoughtSignature": SIGNATURE}]


@pytest.fixture
def gemini() -> ModuleType:
    """The example. Its library is imported only here, because that takes a second."""
    from agent.examples import gemini

    return gemini


@pytest.fixture
def vertex(metadata: HttpServer, gemini: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """A server for both the token of the function's account and the model."""
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", metadata.url(""))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo")
    gemini._client.cache_clear()
    yield metadata
    gemini._client.cache_clear()


@pytest.fixture
def jobs(json_store: JsonStore, now: datetime) -> Jobs:
    """All jobs."""
    return Jobs(json_store, clock=lambda: now, handlers=load_handlers(()), retention=timedelta(days=30))


@pytest.fixture
def context(jobs: Jobs, now: datetime) -> AgentContext:
    """Ada asks, in Berlin."""
    asked = AgentContext(
        space="spaces/A",
        thread=None,
        user="ada@example.com",
        timezone="Europe/Berlin",
        idempotency_key="key",
        now=now,
        display_name="Ada",
    )
    return with_jobs(asked, lambda: jobs)


def test_question_is_answered(gemini: ModuleType, vertex: HttpServer, context: AgentContext) -> None:
    """The model gets the person and the local time, and is called without a key."""
    vertex.answers[PATH] = model = FakeGemini(text("Saturday."))

    assert gemini.answer("What day is it?", context) == "Saturday."
    [asked] = model.requests
    assert asked["contents"] == [{"role": "user", "parts": [{"text": "What day is it?"}]}]
    told = asked["systemInstruction"]["parts"][0]["text"]
    assert "Ada asks; there it is Saturday, 2026-11-21 10:00 (Europe/Berlin)." in told


def test_model_schedules_a_job(gemini: ModuleType, vertex: HttpServer, context: AgentContext, jobs: Jobs) -> None:
    """It requests a call and gets the result; each request has the conversation so far."""
    order = {"kind": "message", "text": "Tea!", "at": "2026-11-21T16:00"}
    vertex.answers[PATH] = model = FakeGemini(call("schedule_job", **order), text("I will."))

    said = gemini.answer("Remind us of tea at four.", context)

    [job] = jobs.list()
    assert (said, job.payload["text"], job.created_by) == ("I will.", "Tea!", "agent:ada@example.com")  # type: ignore[union-attr]
    assert job.schedule_at == datetime(2026, 11, 21, 15, tzinfo=UTC)  # type: ignore[union-attr]
    _, asked_for, heard = model.requests[1]["contents"]
    assert asked_for["parts"][0]["functionCall"]["name"] == "schedule_job"
    assert heard["parts"][0]["functionResponse"]["response"]["job"]["id"] == job.id


def test_model_gets_the_error_of_a_tool(gemini: ModuleType, vertex: HttpServer, context: AgentContext) -> None:
    """A refusal is an answer, so the model can correct its call or explain it."""
    vertex.answers[PATH] = model = FakeGemini(call("cancel_job", job_id="lunch"), text("There is no such job."))

    assert gemini.answer("Cancel lunch.", context) == "There is no such job."
    heard = model.requests[1]["contents"][-1]["parts"][0]["functionResponse"]["response"]
    assert "there is no job 'lunch'" in heard["error"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (call("make_coffee"), "there is no tool make_coffee"),
        (call("cancel_job"), "cancel_job: missing a required argument: 'job_id'"),
        (call("cancel_job", id="lunch"), "cancel_job: missing a required argument: 'job_id'"),
    ],
)
def test_invalid_call_is_answered(
    gemini: ModuleType, vertex: HttpServer, context: AgentContext, wrong: list[Part], says: str
) -> None:
    """Models invent tools and parameters."""
    vertex.answers[PATH] = model = FakeGemini(wrong, text("I cannot."))

    assert gemini.answer("Coffee!", context) == "I cannot."
    heard = model.requests[1]["contents"][-1]["parts"][0]["functionResponse"]["response"]
    assert heard["error"] == says


def test_endless_calls_are_stopped(gemini: ModuleType, vertex: HttpServer, context: AgentContext) -> None:
    """Each call of the model costs money; the person gets an answer that says so."""
    vertex.answers[PATH] = model = FakeGemini(call("list_jobs"))

    assert gemini.answer("Go on.", context) == gemini.TOO_MUCH
    assert len(model.requests) <= gemini.MOST_ROUNDS + 1


def test_refusal_of_the_model_is_an_error(gemini: ModuleType, vertex: HttpServer, context: AgentContext) -> None:
    """Chat then apologises, and a job is retried."""
    from google.genai import errors

    status, body = _refusal(429, "RESOURCE_EXHAUSTED", "Resource exhausted.")
    vertex.answers[PATH] = reply(status, json.dumps(body).encode())

    with pytest.raises(errors.APIError, match="RESOURCE_EXHAUSTED"):
        gemini.answer("Hello", context)


def test_example_can_be_named_as_the_agent(gemini: ModuleType) -> None:
    """In CHAT_AGENT."""
    assert load_agent("agent.examples.gemini:answer") is gemini.answer
