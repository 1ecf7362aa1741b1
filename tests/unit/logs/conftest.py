"""The log of this process as our lines, read back as strict JSON."""

import builtins
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shared.logs import set_up_logs, trace_id
from tests.support.log_lines import TRACE, Lines, parsed


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the logging of this process."""
    monkeypatch.setattr(builtins, "print", builtins.print)
    root, own = logging.getLogger(), logging.getLogger("watchkeeper")
    handlers, levels = root.handlers[:], (root.level, own.level)
    set_up_logs("INFO")
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


@pytest.fixture
def request_with_trace() -> Iterator[None]:
    """A request with a trace, while it is answered."""
    token = trace_id.set(TRACE)
    yield
    trace_id.reset(token)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Return a function that returns the log so far, each line parsed as strict JSON; stderr must be empty."""

    def lines() -> list[dict[str, Any]]:
        written = capsys.readouterr()
        assert written.err == ""
        assert written.out.endswith("\n")
        return [parsed(line) for line in written.out.split("\n")[:-1]]

    return lines
