"""What is stored of a handler's result."""

import json
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.history import CUT, MAX_OUTPUT_BYTES, output_of


class Hostile(dict[str, Any]):
    """A mapping that raises when it is read."""

    def items(self) -> NoReturn:
        raise RuntimeError("no")


class Lying(str):
    """A text that claims to be another one."""

    def __str__(self) -> str:
        return "another"

    def strip(self, *chars: Any) -> NoReturn:
        raise RuntimeError("no")


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    ("returned", "kept"),
    [
        pytest.param("42 rows", "42 rows", id="text"),
        pytest.param({"rows": [[1], None]}, '{"rows": [[1], null]}', id="json"),
        pytest.param(0, "0", id="zero"),
        pytest.param(False, "false", id="false"),
        pytest.param([], "[]", id="empty-list"),
        pytest.param("half \ud800", "half ?", id="half-a-character"),
        pytest.param(Lying("true"), "true", id="a-kind-of-text"),
        pytest.param(None, None, id="nothing"),
        pytest.param("", None, id="empty"),
        pytest.param(" \n", None, id="blank"),
        pytest.param(b"bytes", None, id="bytes"),
        pytest.param(datetime(2026, 11, 21, tzinfo=UTC), None, id="time"),
        pytest.param(float("nan"), None, id="no-number"),
        pytest.param(Hostile(a=1), None, id="raises"),
        pytest.param([10**5000], None, id="a-number-too-long-to-write"),
    ],
)
def test_a_text_is_kept_as_it_is_and_anything_else_as_json(returned: object, kept: str | None) -> None:
    """A result that cannot be written as JSON is ignored: the run has still succeeded."""
    assert output_of(returned) == kept


def test_an_output_nested_too_deep_is_ignored() -> None:
    """No result can exhaust the stack."""
    endless: list[Any] = []
    endless.append(endless)

    assert output_of(endless) is None
    assert output_of(nested(500)) == "[" * 501 + "]" * 501


@pytest.mark.parametrize("character", ["x", "é", "世", "👩", '"', "\x00"])
def test_a_long_output_is_cut_to_the_limit(character: str) -> None:
    """At the limit it is complete; above, it is as long as the limit allows and ends with an ellipsis."""
    size = len(json.dumps(character, ensure_ascii=False).encode()) - 2
    most = (MAX_OUTPUT_BYTES - 2) // size

    kept = output_of(character * (most + 1)) or ""

    assert output_of(character * most) == character * most
    assert kept == character * ((MAX_OUTPUT_BYTES - 2 - len(CUT)) // size) + CUT
    assert (output_of([character * 10**5]) or "").endswith(CUT)


@pytest.mark.slow
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)) | st.binary())
def test_any_output_fits_the_limit(returned: object) -> None:
    """It is always text that can be stored."""
    kept = output_of(returned)

    assert kept is None or len(json.dumps(kept, ensure_ascii=False).encode()) <= MAX_OUTPUT_BYTES
