"""What an agent knows about a message, a click or a command: how it travels in a job, and how its cards come back.

Every button calls a function of our own, no matter which function the agent names; the name and the parameters that the
agent gave travel in the button's parameters, and so come back alike in both generations of Chat.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from shared.errors import InvalidInput

ActionKind = Literal["click", "command", "message_action"]
TEXTS = ("message_name", "formatted_text", "matched_url")
MOST_BYTES = 20_000  # of what a job keeps of a message beside its text
ROUTE = "agent"  # the value of `action` in a button that is for the agent


@dataclass(frozen=True, kw_only=True)
class Action:
    """What a person did instead of writing.

    A `click` on a card of the agent: `name` is the function that the button names, with its `parameters` and the values
    of the fields of the card (`inputs`, a tuple of texts each). A `command` that is not ours, or a `message_action` on
    somebody's message: `name` is its id in the app's configuration. `message` is the one with the card, or the one that
    was acted on, as Chat has it.
    """

    kind: ActionKind
    name: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    message: Mapping[str, Any] = field(default_factory=dict, repr=False)


def pack_asked(context: Any) -> dict[str, Any]:
    """Return the message or action of a context, as `asked` in the payload of a job; what is too long is left out."""
    known = {name: getattr(context, name) for name in TEXTS}
    known |= {"attachments": list(context.attachments), "quoted": context.quoted}
    if context.action is not None:
        known["action"] = {name: value for name, value in vars(context.action).items() if value}
    known = {name: value for name, value in known.items() if value}
    if len(json.dumps(known)) <= MOST_BYTES:
        return known
    action = {name: value for name, value in known.get("action", {}).items() if name != "message"}
    return {"action": action} if action and len(json.dumps(action)) <= MOST_BYTES else {}


def unpack_asked(value: Any) -> dict[str, Any]:
    """Return the fields of a context from `asked` in a payload. Raises InvalidInput if they are invalid."""
    if not isinstance(value, Mapping) or value.keys() - {*TEXTS, "attachments", "quoted", "action"}:
        raise InvalidInput(f"asked knows {', '.join(TEXTS)}, attachments, quoted and action")
    fields: dict[str, Any] = {name: value[name] for name in TEXTS if name in value}
    attachments, quoted = value.get("attachments", []), value.get("quoted", {})
    is_list = isinstance(attachments, list) and all(isinstance(each, Mapping) for each in attachments)
    if not is_list or not isinstance(quoted, Mapping) or not all(isinstance(text, str) for text in fields.values()):
        raise InvalidInput("asked has texts, attachments in a list of objects, and what is quoted as an object")
    action = {"action": _action(value["action"])} if "action" in value else {}
    return {**fields, "attachments": tuple(attachments), "quoted": quoted or None, **action}


def _action(value: Any) -> Action:
    given = dict(value) if isinstance(value, Mapping) else {}
    objects = [given.get(name, {}) for name in ("parameters", "inputs", "message")]
    is_sound = given.get("kind") in get_args(ActionKind) and isinstance(given.get("name", ""), str)
    if not is_sound or not all(isinstance(each, Mapping) for each in objects):
        raise InvalidInput(f"the action that was asked for has a kind ({', '.join(get_args(ActionKind))}) and a name")
    inputs = {name: tuple(texts) for name, texts in objects[1].items()}
    return Action(
        kind=given["kind"], name=given.get("name", ""), parameters=objects[0], inputs=inputs, message=objects[2]
    )


Mark = Callable[[Mapping[str, str]], Mapping[str, str]]


def routed(message: Mapping[str, Any], function: str, mark: Mark = lambda parameters: parameters) -> dict[str, Any]:
    """Return an agent's message with each button calling `function`; `mark` adds to its parameters.

    A button that calls a URL, or opens a link, is not changed.
    """
    result: dict[str, Any] = _routed(message, function, mark)
    return result


def _routed(value: Any, function: str, mark: Mark) -> Any:
    if isinstance(value, list):
        return [_routed(each, function, mark) for each in value]
    if not isinstance(value, Mapping):
        return value
    changed = {name: _routed(each, function, mark) for name, each in value.items()}
    for name in ("action", "onChangeAction"):
        if _calls_by_name(value.get(name)):
            changed[name] = _addressed(value[name], function, mark)
    return changed


def _calls_by_name(action: Any) -> bool:
    called = action.get("function") if isinstance(action, Mapping) else None
    return isinstance(called, str) and not called.startswith("https://")


def _addressed(action: Mapping[str, Any], function: str, mark: Mark) -> dict[str, Any]:
    pairs = action.get("parameters")
    pairs = [pair for pair in pairs if isinstance(pair, Mapping)] if isinstance(pairs, list) else []
    given = {str(pair.get("key")): str(pair.get("value")) for pair in pairs}
    named = mark({"action": ROUTE, "function": action["function"], "parameters": json.dumps(given)})
    return {**action, "function": function, "parameters": [{"key": key, "value": at} for key, at in named.items()]}


def unrouted(parameters: Mapping[str, str], function: str) -> tuple[str, dict[str, str]]:
    """Return the name and the parameters that an agent gave a button, from those of a click.

    Those of a card that the agent has posted by itself are returned as they are.
    """
    if parameters.get("action") != ROUTE:
        name = parameters.get("__action_method_name__") or function
        return name, {key: value for key, value in parameters.items() if not key.startswith("__")}
    try:
        given = json.loads(parameters.get("parameters", ""))
    except (ValueError, RecursionError):
        given = {}
    return parameters.get("function", ""), given if isinstance(given, dict) else {}
