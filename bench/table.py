"""The figures as a table for people."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.base import Pair
from bench.figure import Figure

HEADER = ("FIGURE", "MEASURED", "LEAST .. MOST", "BARE LIMIT", "RATIO", "MIDDLE HALF", "BUDGET", "HELD", "OTHERS")
COMPARISON = ("FIGURE", "HERE", "BASE", "RATIO", "MIDDLE HALF", "OF THE BASE", "MIDDLE HALF", "CHANGE", "IT IS")
WIDTH = 190
LEAST_PART = 0.01  # of the whole


def print_figures(figures: Sequence[Figure]) -> None:
    """Print the figures, one line each at any width, and their notes below."""
    console = Console(width=WIDTH, highlight=False)
    console.print(_table(HEADER, ((row_of(figure), not figure.is_held) for figure in figures)))
    console.print("\nOTHERS: the number of cores that other processes used meanwhile.")
    console.print(*(f"\n{line}" for figure in figures for line in notes_of(figure)), sep="")


def print_comparison(pairs: Sequence[Pair], base: str) -> None:
    """Print the figures and those of the base."""
    console = Console(width=WIDTH, highlight=False)
    console.print(_table(COMPARISON, ((comparison_of(pair), pair.is_slower) for pair in pairs)))
    console.print(f"\nThe base is {base}. Figures with a bare limit are compared by their ratios to it.")


def _table(header: Sequence[str], rows: Iterable[tuple[Sequence[str], bool]]) -> Table:
    table = Table(*header, box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:-1]:
        column.justify = "right"
    for cells, is_bad in rows:
        table.add_row(*cells, style="bold red" if is_bad else "")
    return table


def row_of(figure: Figure) -> tuple[str, ...]:
    """Return the cells of one figure."""
    return (
        figure.name,
        _valued(figure),
        "" if len(figure.runs) == 1 else _range(figure.spread),
        "" if figure.limit is None else _number(figure.limit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        "" if figure.ratio is None else _range(figure.judged_spread),
        "" if figure.budget is None else _number(figure.budget) + (" x" if figure.bare else ""),
        "" if figure.budget is None else "yes" if figure.is_held else "NO",
        "" if figure.others is None else f"{figure.others:.1f}",
    )


def comparison_of(pair: Pair) -> tuple[str, ...]:
    """Return the cells of one figure and of the same figure of the base."""
    here, there = pair
    ratios = [
        cell
        for figure in pair
        for cell in ("" if figure.ratio is None else f"{figure.ratio:.2f}", _range(figure.judged_spread))
    ]
    verdict = "slower" if pair.is_slower else "faster" if pair.is_faster else "as fast"
    return here.name, _valued(here), _valued(there), *ratios, f"{pair.change:.2f}", verdict


def notes_of(figure: Figure) -> list[str]:
    """Return the lines below the table: the note, and the parts of the time here and of the bare limit."""
    notes = [f"{figure.name}: {figure.note}"] if figure.note else []
    if not figure.parts:
        return notes
    bare = f"; the bare limit: {_shares(figure.bare_parts)}" if figure.bare_parts else ""
    return [*notes, f"{figure.name}, one run in seconds: {_shares(figure.parts)}{bare}"]


def _shares(parts: Mapping[str, float]) -> str:
    least = sum(parts.values()) * LEAST_PART
    return ", ".join(f"{name} {_number(seconds)}" for name, seconds in parts.items() if seconds >= least)


def _valued(figure: Figure) -> str:
    return f"{_number(figure.value)} {figure.unit}".rstrip()


def _range(ends: tuple[float, float]) -> str:
    return " .. ".join(map(_number, ends))


def _number(value: float) -> str:
    """Return the number with three significant digits."""
    decimals = (
        0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    )
    return f"{value:,.{decimals}f}"
