"""Firestore's messages: we write and read what the official client would write and read."""

import json
from datetime import UTC, timedelta
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1 import GeoPoint, _helpers
from google.cloud.firestore_v1.types import Document, Value
from hypothesis import example, given
from hypothesis import strategies as st

from shared.store.messages import EPOCH, Version, creation, deletion, fields_of, put, setting, update

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=3),
    st.datetimes(timezones=st.just(UTC)),
    st.just(GeoPoint(1, 2)),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2)
)


@given(value=VALUES)
@example(value=EPOCH)
@example(value=EPOCH - timedelta(microseconds=1))
@example(value={"none": [], "nothing": {}, "__type__": "__vector__", "value": [1.0]})
def test_a_value_is_what_the_client_makes_of_it(value: Any) -> None:
    """In both directions, for every type."""
    message = Value.pb(Value())
    put(value, message)
    document = Document(fields={"x": _helpers.encode_value(value)})

    read = fields_of(Document.pb(document), None)

    assert message == _helpers.encode_value(value)._pb
    assert read == _helpers.decode_dict(document.fields, None)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(Value(reference_value="projects/other/databases/d/documents/a/b"), id="other-project"),
        pytest.param(Value(reference_value="nowhere"), id="no-reference"),
        pytest.param(Value(map_value={"fields": {"__type__": {"string_value": "__vector__"}}}), id="no-vector"),
    ],
)
def test_what_the_client_cannot_read_is_kept_as_it_is(odd: Value) -> None:
    """It is in a foreign field, which must not make the document unreadable."""
    document, again = Document(fields={"x": odd}), Value.pb(Value())

    read = fields_of(Document.pb(document), firestore.Client("p", credentials=AnonymousCredentials()))  # type: ignore[no-untyped-call]
    put(read["x"], again)

    assert again == Value.pb(odd)


def test_an_exact_time_of_the_client_stays_exact() -> None:
    """A foreign field may have nanoseconds."""
    message = Value.pb(Value())
    message.timestamp_value.nanos = 123_456_789
    exact, again = _helpers.decode_value(message, None), Value.pb(Value())

    put(exact, again)

    assert again == message


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("\ud800", id="half-a-character"),
        pytest.param(2**63, id="too-large"),
        pytest.param(object(), id="no-value"),
        pytest.param({1: 2}, id="key-that-is-no-text"),
        pytest.param(json.loads('{"a": [' * 11 + "]}" * 11), id="too-deep"),
    ],
)
def test_what_no_message_can_hold_is_refused(value: Any) -> None:
    """With an error that the store reports as a refusal."""
    with pytest.raises((ValueError, TypeError)):
        put(value, Value.pb(Value()))


def test_writes_have_their_conditions() -> None:
    """A creation requires that there is no document, an update or deletion the version read, a set nothing."""
    version = Version(1, 2)

    assert creation("a", {"x": 1}).current_document.exists is False
    assert creation("a", {"x": 1}).current_document.HasField("exists")
    assert update("a", {}, version).HasField("update_mask")
    for write in (update("a", {}, version), deletion("a", version)):
        assert (write.current_document.update_time.seconds, write.current_document.update_time.nanos) == version
    assert not setting("a", {"x": 1}).HasField("current_document")


def test_an_update_names_what_it_changes_and_what_it_removes() -> None:
    """A name with a dot is one field, not a path into another."""
    write = update("a", {"x": 1, "gone": None, "two.parts": "t"}, Version(1, 2))

    assert list(write.update_mask.field_paths) == ["x", "gone", "`two.parts`"]
    assert set(write.update.fields) == {"x", "two.parts"}
