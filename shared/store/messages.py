"""Firestore's messages: documents, values and writes as they travel.

The client's own reading and writing takes seven times as long as that of the bare messages, since it wraps each value
of each field into objects of its own: over a page of jobs that was half of a tick. Values that a job has no field for,
such as a place on earth in a field that is not ours, are left to the client.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from google.cloud.firestore_v1 import _helpers
from google.cloud.firestore_v1.field_path import FieldPath
from google.cloud.firestore_v1.types import BatchWriteRequest, CommitRequest, Value, Write

EPOCH = datetime.fromtimestamp(0, UTC)
DAY = 24 * 60 * 60  # seconds
MAX_DEPTH = 20  # of maps and lists in a field: https://firebase.google.com/docs/firestore/quotas

_Batch = type(BatchWriteRequest.pb(BatchWriteRequest()))
_Commit = type(CommitRequest.pb(CommitRequest()))
_Write = type(Write.pb(Write()))
_Value = type(Value.pb(Value()))


class Version(NamedTuple):
    """When a document was last written, as exactly as Firestore knows it."""

    seconds: int
    nanos: int


def version_of(time: Any) -> Version:
    """Return the message of a time as a version."""
    # A part of a message would keep all of it in memory.
    return Version(time.seconds, time.nanos)


def fields_of(document: Any, client: Any) -> dict[str, Any]:
    """Return the fields of a document."""
    return {name: _read(value, client) for name, value in document.fields.items()}


def creation(name: str, fields: Mapping[str, Any]) -> Any:
    """Return the write of a document that must not exist yet. Raises ValueError or TypeError, as `put` does."""
    write = setting(name, fields)
    write.current_document.exists = False
    return write


def setting(name: str, fields: Mapping[str, Any]) -> Any:
    """Return the write of a document, no matter what is stored."""
    write = _Write()
    write.update.name = name
    for field, value in fields.items():
        put(value, write.update.fields[field])
    return write


def update(name: str, fields: Mapping[str, Any], version: Version) -> Any:
    """Return the write of some fields of a document, if it still has that version; None removes a field."""
    write = setting(name, {field: value for field, value in fields.items() if value is not None})
    write.update_mask.SetInParent()  # without a mask the write would empty the document
    write.update_mask.field_paths.extend(map(_path_of, fields))
    return _only_if(write, version)


def deletion(name: str, version: Version) -> Any:
    """Return the write that deletes a document, if it still has that version."""
    return _only_if(_Write(delete=name), version)


def batch_of(database: str, writes: list[Any]) -> Any:
    """Return the request that applies the writes, each by itself."""
    return BatchWriteRequest.wrap(_Batch(database=database, writes=writes))


def commit_of(database: str, writes: list[Any]) -> Any:
    """Return the request that applies all of the writes, or none of them."""
    return CommitRequest.wrap(_Commit(database=database, writes=writes))


def put(value: Any, to: Any, depth: int = 0) -> None:
    """Write a value into a message. Raises ValueError or TypeError for a value that Firestore cannot hold."""
    if depth > MAX_DEPTH:  # a little deeper the whole request could not be made
        raise ValueError(f"a field is nested deeper than {MAX_DEPTH} levels")
    match value:
        case str():
            to.string_value = value
        case datetime() if type(value) is datetime and value.tzinfo is not None:
            _put_time(value - EPOCH, to.timestamp_value)
        case bool():
            to.boolean_value = value
        case int():
            to.integer_value = value
        case list() | tuple():
            to.array_value.SetInParent()
            for each in value:
                put(each, to.array_value.values.add(), depth + 1)
        case dict():
            to.map_value.SetInParent()
            for name, each in value.items():
                put(each, to.map_value.fields[name], depth + 1)
        case _Value():  # as it was read
            to.CopyFrom(value)
        case _:
            to.CopyFrom(_helpers.encode_value(value)._pb)


def _put_time(since_epoch: timedelta, to: Any) -> None:
    to.SetInParent()
    to.seconds = since_epoch.days * DAY + since_epoch.seconds
    to.nanos = since_epoch.microseconds * 1000


def _only_if(write: Any, version: Version) -> Any:
    write.current_document.update_time.seconds = version.seconds
    write.current_document.update_time.nanos = version.nanos
    return write


def _path_of(field: str) -> str:
    """Return the field as a mask names it."""
    return field if field.isascii() and field.isidentifier() else FieldPath(field).to_api_repr()


def _read(value: Any, client: Any) -> Any:
    match value.WhichOneof("value_type"):
        case "string_value":
            return value.string_value
        case "timestamp_value":
            # Cut to microseconds: a field that is not ours is never written back.
            time = value.timestamp_value
            return EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1000)
        case "integer_value":
            return value.integer_value
        case "array_value":
            return [_read(each, client) for each in value.array_value.values]
        case "map_value" if "__type__" not in value.map_value.fields:
            return {name: _read(each, client) for name, each in value.map_value.fields.items()}
        case _:
            try:
                return _helpers.decode_value(value, client)
            except (ValueError, KeyError):  # such as a reference into another project: it must not hide the document
                copy = _Value()
                copy.CopyFrom(value)
                return copy
