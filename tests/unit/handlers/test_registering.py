"""`@handler` registers a function under a name, once, and refuses what could never run."""

import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from shared.errors import InvalidSettings
from shared.handlers import Context, Handler, Payload, check_payload, handler, load_handlers
from tests.support.handled import MINUTE, nothing, refuse_all


def test_decorated_function_is_found_by_its_job_type() -> None:
    """It can be called as before, and has the limit and the check that were given."""
    greet = handler("greet", timeout=MINUTE, check=refuse_all)(nothing)

    assert greet is nothing
    assert load_handlers(())["greet"] == Handler(job_type="greet", run=nothing, timeout=MINUTE, check=refuse_all)


def test_handler_has_a_limit_by_default() -> None:
    """30 seconds, so that nothing runs for ever."""
    handler("greet")(nothing)

    assert load_handlers(())["greet"].timeout == timedelta(seconds=30)


def test_built_in_handlers_are_always_loaded() -> None:
    """`http_request` and `log` need no setting."""
    assert load_handlers(()).keys() >= {"http_request", "log"}


def test_code_of_each_built_in_handler_exists() -> None:
    """It is imported by name with the first job, so no type checker notices a wrong name."""
    for known in load_handlers(()).values():
        named = [function for function in (known.run, known.check, known.timeout_of) if function is not None]

        for function in named:
            assert function.__name__ == "<lambda>" or hasattr(
                import_module(function.__module__), function.__qualname__
            ), known.job_type


@pytest.mark.parametrize("job_type", ["http_request", "chat_message", "agent"])
def test_error_names_a_built_in_handler_that_cannot_be_imported(job_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed is no fault of the job: who makes or runs it reads what is missing."""
    known = load_handlers(())[job_type]
    monkeypatch.setitem(sys.modules, known.run.__module__, None)

    with pytest.raises(InvalidSettings) as caught:
        check_payload(load_handlers(()), job_type, {})

    assert str(caught.value).startswith(f"{known.run.__module__} cannot be imported: ModuleNotFoundError: ")


def test_loaded_handlers_cannot_be_changed() -> None:
    """Only `@handler` adds handlers."""
    handlers = load_handlers(())

    with pytest.raises(TypeError):
        handlers["log"] = handlers["http_request"]  # type: ignore[index]  # which is the point


def test_duplicate_name_names_both_functions() -> None:
    """Which one runs must not depend on the order of imports."""
    handler("greet")(nothing)

    with pytest.raises(InvalidSettings) as caught:
        handler("greet")(refuse_all)  # type: ignore[arg-type]  # it is never run

    assert "'greet'" in str(caught.value)
    assert f"{nothing.__module__}.nothing" in str(caught.value)
    assert f"{refuse_all.__module__}.refuse_all" in str(caught.value)
    assert load_handlers(())["greet"].run is nothing


def test_built_in_name_cannot_be_taken() -> None:
    """The job types that come with it are not replaced by accident."""
    with pytest.raises(InvalidSettings, match="http_request"):
        handler("http_request")(nothing)


def test_module_can_be_imported_again() -> None:
    """The same function under the same name is not a conflict, because a failed import is repeated."""
    handler("greet")(nothing)
    handler("greet", timeout=MINUTE)(nothing)

    assert load_handlers(())["greet"].timeout == MINUTE


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({"timeout": 30}, id="a-timeout-in-seconds"),
        pytest.param({"timeout": timedelta(0)}, id="no-time"),
        pytest.param({"timeout": timedelta(seconds=-1)}, id="less-than-no-time"),
    ],
)
def test_invalid_limit_is_refused(details: dict[str, Any]) -> None:
    """The error names the handler, long before a tick would fail."""
    with pytest.raises(InvalidSettings, match="greet"):
        handler("greet", **details)(nothing)


@pytest.mark.parametrize("job_type", ["", "two words", nothing], ids=["empty", "a-space", "decorator-without-a-name"])
def test_invalid_job_type_is_refused(job_type: Any) -> None:
    """It must be a typing error; `@handler` without a name would silently register nothing."""
    with pytest.raises(InvalidSettings):
        handler(job_type)(nothing)


async def waiting(payload: Payload, context: Context) -> None:
    """Never get here."""


async def waiting_for_more(payload: Payload, context: Context) -> AsyncIterator[int]:
    """Never get here."""
    yield 1


def yielding(payload: Payload, context: Context) -> Iterator[int]:
    """Never get here."""
    yield 1


class Waiting:
    """A handler that is an object."""

    async def __call__(self, payload: Payload, context: Context) -> None:
        """Never get here."""


@pytest.mark.parametrize("function", [waiting, waiting_for_more, yielding, Waiting(), partial(waiting, {})])
def test_async_or_generator_function_is_refused(function: Any) -> None:
    """Nothing would await or iterate it, and each of its jobs would count as done."""
    with pytest.raises(InvalidSettings, match="greet"):
        handler("greet")(function)
