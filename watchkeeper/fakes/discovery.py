"""The check of a request against the discovery document of its API, for the fakes of Google's APIs.

The documents come with Google's client library, which follows them itself.

https://developers.google.com/discovery/v1/reference/apis
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from watchkeeper.fakes.server import Rejected, Request, Response

Schema = Mapping[str, Any]
# Returns an error in the API's form from its code, status, message and (for older APIs) reason.
MakeError = Callable[[int, str, str, str], Response]

INTEGERS = {
    "int32": range(-(2**31), 2**31),
    "uint32": range(2**32),
    "int64": range(-(2**63), 2**63),
    "uint64": range(2**64),
}
FORMATS = {
    "byte": re.compile(r"[A-Za-z0-9+/_-]*={0,2}"),
    "google-datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"),
    "google-duration": re.compile(r"-?\d+(\.\d{1,9})?s"),
}
TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}


@dataclass(frozen=True, kw_only=True)
class Method:
    """The method that a request calls. `path` has the parameters in its path, `body` the name of its body's schema."""

    id: str
    path: Mapping[str, str]
    parameters: Mapping[str, Schema]
    body: str | None
    scopes: frozenset[str]


class Discovery:
    """One API, as its discovery document describes it. A request that does not follow it is rejected with `error`."""

    def __init__(self, api: str, version: str, error: MakeError) -> None:
        self._document = _document(api, version)
        self._error = error

    def method_of(self, request: Request, *, faked: Collection[str]) -> Method:
        """Return the method that a request calls. Raises Rejected: 404 for an unknown one, 501 if not in `faked`."""
        for description in _methods(self._document):
            if description["httpMethod"] != request.method:
                continue
            if found := re.fullmatch(_path_pattern(description), request.path):
                if description["id"] not in faked:
                    message = f"The fake does not know {description['id']}"
                    raise Rejected(self._error(501, "UNIMPLEMENTED", message, "notImplemented"))
                return self._method(description, found.groupdict())
        raise Rejected(self._error(404, "NOT_FOUND", "Requested entity was not found.", "notFound"))

    def checked_body(self, request: Request, method: Method) -> dict[str, Any]:
        """Check the query and the body, and return the body without null fields. Raises Rejected."""
        self._check_query(request.query, method.parameters)
        try:
            body = request.json() if request.body else {}
        except ValueError as exc:
            raise self._malformed("Unexpected token.") from exc
        if not isinstance(body, dict):
            raise self._malformed('Unknown name "": Root element must be a message.')
        return self._message(body, self._document["schemas"][method.body] if method.body else {}, "")

    def _method(self, description: Mapping[str, Any], path: Mapping[str, str]) -> Method:
        return Method(
            id=description["id"],
            path=path,
            parameters={**self._document["parameters"], **description["parameters"]},
            body=description.get("request", {}).get("$ref"),
            scopes=frozenset(description["scopes"]),
        )

    def _check_query(self, query: Mapping[str, str], parameters: Mapping[str, Schema]) -> None:
        for name, value in query.items():
            parameter = parameters.get(name)
            if parameter is None or parameter["location"] != "query":
                raise self._malformed(
                    f'Unknown name "{name}": Cannot bind query parameter. '
                    f"Field '{name}' could not be found in request message."
                )
            if value not in parameter.get("enum", [value]):
                raise self._invalid(f"Invalid value at '{name}', \"{value}\"")

    # -- Values: each is checked and returned without null fields; `at` is its place in the body -----------------------

    def _message(self, value: Mapping[str, Any], schema: Schema, at: str) -> dict[str, Any]:
        fields = schema.get("properties", {})
        for name in value:
            if name not in fields:
                where = f" at '{at}'" if at else ""
                raise self._malformed(f'Unknown name "{name}"{where}: Cannot find field.')
        return {
            name: self._value(item, fields[name], f"{at}.{name}" if at else name)
            for name, item in value.items()
            if item is not None
        }

    def _value(self, value: Any, schema: Schema, at: str) -> Any:
        if "$ref" in schema:
            schema = self._document["schemas"][schema["$ref"]]
        kind = schema["type"]
        if kind == "array" and isinstance(value, list):
            return self._items(value, schema["items"], at)
        if kind == "object" and isinstance(value, dict):
            if (items := schema.get("additionalProperties")) is None:
                return self._message(value, schema, at)
            return {name: self._value(item, items, f"{at}[{name}]") for name, item in value.items()}
        if kind != "any" and not _fits(value, schema):
            raise self._invalid(f"Invalid value at '{at}' (TYPE_{kind.upper()}), {json.dumps(value)}")
        return value

    def _items(self, items: list[Any], schema: Schema, at: str) -> list[Any]:
        # An error quotes an invalid scalar; for a message it gives the number in the list.
        numbered = "$ref" in schema
        return [self._value(item, schema, f"{at}[{index}]" if numbered else at) for index, item in enumerate(items)]

    def _invalid(self, message: str) -> Rejected:
        return Rejected(self._error(400, "INVALID_ARGUMENT", message, "invalidArgument"))

    def _malformed(self, said: str) -> Rejected:
        return self._invalid(f"Invalid JSON payload received. {said}")


@cache
def _document(api: str, version: str) -> dict[str, Any]:
    document = files("googleapiclient.discovery_cache") / "documents" / f"{api}.{version}.json"
    parsed: dict[str, Any] = json.loads(document.read_text(encoding="utf-8"))
    return parsed


def _methods(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for child in resource.get("resources", {}).values():
        yield from _methods(child)


def _path_pattern(description: Mapping[str, Any]) -> str:
    """Return a pattern with a group for each parameter: one segment of the path, or the parameter's own pattern.

    A resource name, as in `v1/{+parent}/messages`, has several segments.
    """

    def group(found: re.Match[str]) -> str:
        pattern = description["parameters"][found[1]].get("pattern", "[^/]+")
        return f"(?P<{found[1]}>{pattern.removeprefix('^').removesuffix('$')})"

    return re.sub(r"\{\+?(\w+)\}", group, f"/{description['path']}")


def _fits(value: Any, schema: Schema) -> bool:
    """Return whether a scalar has the type, format and values of its schema."""
    kind, form = schema["type"], schema.get("format")
    if form in INTEGERS:
        # The JSON of Protocol Buffers allows a number or its digits as text.
        is_whole = type(value) in (int, str) and re.fullmatch("-?[0-9]{1,20}", str(value))
        return bool(is_whole) and int(value) in INTEGERS[form]
    if type(value) not in TYPES.get(kind, ()):
        return False
    if "enum" in schema:
        # Gmail's guide writes the values of an enumeration in capitals, its discovery document in lower case.
        return value in schema["enum"] or value.lower() in schema["enum"]
    return form not in FORMATS or bool(FORMATS[form].fullmatch(value))
