"""A table on a terminal: what fits its width, and what is coloured."""

import io
import re
from collections.abc import Callable, Sequence

import pytest

from tests.support.command_line import Terminal
from watchkeeper.cli.display import print_table


class Tty(io.StringIO):
    """The stdout of a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Print a table on a terminal of a given width and return its lines."""

    def lines(width: int, header: Sequence[str], *rows: Sequence[str], expendable: Sequence[str] = ()) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"COLUMNS": str(width), "TERM": "xterm"}.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdout", output := Tty())
            print_table(header, rows, expendable=expendable)
        return output.getvalue().splitlines()

    monkeypatch.delenv("NO_COLOR", raising=False)
    return lines


WIDE = ("an-id-of-twenty-letters", "http_request", "failed", "2026-11-21 10:00:00+01:00", "word " * 20)
COLUMNS = ("ID", "TYPE", "STATUS", "NEXT RUN", "REMARK")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        pytest.param(60, ["ID", "STATUS", "REMARK"], id="60"),
        pytest.param(80, ["ID", "TYPE", "STATUS", "REMARK"], id="80"),
        pytest.param(120, list(COLUMNS), id="120"),
        pytest.param(200, list(COLUMNS), id="200"),
    ],
)
def test_a_table_fits_the_terminal(on_terminal: Callable[..., list[str]], width: int, shown: list[str]) -> None:
    """Whole columns are dropped, the least important first; ids stay complete, and so does the last column."""
    header, *rows = on_terminal(width, COLUMNS, WIDE, expendable=("NEXT RUN", "TYPE"))

    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in (header, *rows)]
    assert [name for name in COLUMNS if name in lines[0]] == shown
    assert lines[1].startswith("an-id-of-twenty-letters  ")
    assert max(map(len, lines)) <= width
    assert " ".join(lines).count("word") == 20


def test_an_id_that_is_wider_than_the_terminal_is_folded(on_terminal: Callable[..., list[str]]) -> None:
    """The lines together hold all of it."""
    lines = on_terminal(60, COLUMNS, ("x" * 100, *WIDE[1:]), expendable=("NEXT RUN", "TYPE", "REMARK"))

    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 60
    assert "".join(lines).count("x") == 100


@pytest.mark.parametrize(
    ("env", "colours"), [({}, {"failed": "31", "9 min late": "33"}), ({"NO_COLOR": "1"}, {})], ids=["colour", "without"]
)
def test_failed_and_late_have_a_colour(
    on_terminal: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, env: dict[str, str], colours: dict[str, str]
) -> None:
    """Unless NO_COLOR is set; an id that equals such a word has none."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    _, *lines = on_terminal(80, ("ID", "STATUS", "WHEN"), ("failed", "failed", ""), ("b", "pending", "9 min late"))

    found = {text: code for line in lines for code, text in re.findall(r"\x1b\[(3\d)m([^\x1b]*?) *\x1b", line)}
    assert found == colours
    assert lines[0].startswith("failed")


def test_doctor_has_no_colour_where_none_is_wanted(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR applies on a terminal, too."""
    coloured = run("doctor", color=True)
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[" in coloured.stdout
    assert "\x1b[" not in run("doctor", color=True).stdout
