"""The modules of JOB_HANDLERS and the agent's own are imported; errors name the module."""

import sys

import pytest

from shared.errors import InvalidSettings
from shared.handlers import load_handlers
from tests.support.handled import WriteModule

GREET = "from shared.handlers import handler\n@handler('greet')\ndef greet(payload, context): ...\n"


def test_named_modules_are_imported(write_module: WriteModule) -> None:
    """Modules in JOB_HANDLERS may register handlers."""
    write_module("greetings", GREET)

    handlers = load_handlers(["greetings"])

    assert handlers["greet"].run.__module__ == "greetings"


def test_agents_handlers_are_imported_by_default(write_module: WriteModule) -> None:
    """`agent/handlers.py` is where the user's code is expected."""
    write_module("agent.handlers", GREET)

    handlers = load_handlers(())

    assert handlers["greet"].run.__module__ == "agent.handlers"


@pytest.mark.usefixtures("write_module")
def test_agents_handlers_may_be_absent() -> None:
    """A package `agent` without handlers is fine."""
    assert "log" in load_handlers(())


def test_whole_agent_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that was deployed without the user's code still works."""
    monkeypatch.setattr(sys, "path", [])
    for name in ("agent", "agent.handlers"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    assert "log" in load_handlers(())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("import no_such_package", "No module named 'no_such_package'", id="something-missing"),
        pytest.param("from shared.handlers import nobody", "cannot import name 'nobody'", id="a-name-missing"),
        pytest.param("def greet(", "SyntaxError", id="broken-syntax"),
        pytest.param("1 / 0", "ZeroDivisionError: division by zero", id="an-error"),
        pytest.param(GREET.replace("greet", "log"), "two handlers are registered for 'log'", id="a-name-taken-twice"),
        pytest.param("raise SystemExit('no key')", "no key", id="an-exit"),
    ],
)
@pytest.mark.parametrize("module", ["agent.handlers", "greetings"])
def test_error_names_a_module_that_cannot_be_imported(
    write_module: WriteModule, module: str, text: str, reason: str
) -> None:
    """The error has the module and the import's own error."""
    write_module(module, text)

    with pytest.raises(InvalidSettings) as caught:
        load_handlers(["greetings"] if module == "greetings" else [])

    assert f"{module} cannot be imported" in str(caught.value)
    assert ("JOB_HANDLERS" in str(caught.value)) is (module == "greetings")
    assert reason in str(caught.value)


@pytest.mark.parametrize("module", ["no_such_module", "agent.nobody", "two words", ".relative"])
@pytest.mark.usefixtures("write_module")
def test_error_names_a_module_that_does_not_exist(module: str) -> None:
    """A typing error in JOB_HANDLERS is an error now, not a missing job type later."""
    with pytest.raises(InvalidSettings, match=f"JOB_HANDLERS.*{module}"):
        load_handlers([module])


def test_error_names_a_module_that_needs_absent_handlers(write_module: WriteModule) -> None:
    """They may be absent, but not for a module that imports them."""
    write_module("greetings", "import agent.handlers")

    with pytest.raises(InvalidSettings, match=r"greetings .*agent\.handlers"):
        load_handlers(["greetings"])


@pytest.mark.usefixtures("write_module")
def test_agents_handlers_must_exist_if_they_are_named() -> None:
    """Only modules that are not named may be absent."""
    with pytest.raises(InvalidSettings, match=r"JOB_HANDLERS.*agent\.handlers"):
        load_handlers(["agent.handlers"])


def test_corrected_module_is_imported(write_module: WriteModule) -> None:
    """A failed import leaves nothing that prevents the next one."""
    write_module("greetings", f"{GREET}1 / 0")
    with pytest.raises(InvalidSettings):
        load_handlers(["greetings"])
    write_module("greetings", f"{GREET}# mended, and of another length")

    handlers = load_handlers(["greetings"])

    assert "greet" in handlers
