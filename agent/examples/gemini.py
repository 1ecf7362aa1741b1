"""An agent on Gemini: it answers people, and schedules and manages jobs with the tools of their space.

    CHAT_AGENT=agent.examples.gemini:answer

Add `google-genai` to agent/requirements.in and run `make lock`. It calls Vertex AI as the function's own account, which
needs the role `roles/aiplatform.user`; there is no key. It remembers nothing between messages.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo

from google import genai
from google.genai import types

from shared.handlers.agent import AgentContext
from shared.handlers.agent_tools import Tool, agent_tools, schema_of

MODEL = "gemini-3.8-flash"
MOST_ROUNDS = 10  # of tool calls, for one answer
MILLISECONDS = 60_000  # for one call of the model
TOO_MUCH = "I did not get that done. Please ask again, in smaller steps."
INSTRUCTION = """
You are the assistant of a team in Google Chat. Answer briefly, in the language of the question.
{name} asks; there it is {time}. Call a tool only for what {name} asks for, and then say what you did.
"""


def answer(text: str, context: AgentContext) -> str:
    """Return what the model says, after it has called the tools that it wants."""
    tools = {tool.__name__: tool for tool in agent_tools(context)}
    chat = _client().chats.create(model=MODEL, config=_config(context, tools))
    response = chat.send_message(text)
    for _ in range(MOST_ROUNDS):
        if not response.function_calls:
            return response.text or ""
        response = chat.send_message([_called(tools, call) for call in response.function_calls])
    return TOO_MUCH


def _config(context: AgentContext, tools: Mapping[str, Tool]) -> types.GenerateContentConfig:
    schemas = [schema_of(tool) for tool in tools.values()]
    # The SDK could call the functions itself, but not those with a Literal parameter.
    functions = [
        types.FunctionDeclaration(
            name=schema["name"], description=schema["description"], parameters_json_schema=schema["parameters"]
        )
        for schema in schemas
    ]
    return types.GenerateContentConfig(
        system_instruction=_instruction(context), tools=[types.Tool(function_declarations=functions)]
    )


def _called(tools: Mapping[str, Tool], call: types.FunctionCall) -> types.Part:
    """Return what the tool returns. A model may invent a tool; it reads the error and corrects its call."""
    name = call.name or ""
    said = tools[name](**(call.args or {})) if name in tools else {"error": f"there is no tool {name}"}
    return types.Part.from_function_response(name=name, response=said)


def _instruction(context: AgentContext) -> str:
    time = context.now.astimezone(ZoneInfo(context.timezone))
    return INSTRUCTION.format(
        name=context.display_name or context.user, time=f"{time:%A, %Y-%m-%d %H:%M} ({context.timezone})"
    )


@lru_cache(maxsize=1)
def _client() -> genai.Client:
    # Without a project in the environment it is that of the credentials.
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or None
    options = types.HttpOptions(timeout=MILLISECONDS)
    return genai.Client(vertexai=True, project=project, location="global", http_options=options)
