"""The figures as people read them."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.figure import Figure

HEADER = ("FIGURE", "MEASURED", "LEAST .. MOST", "BARE LIMIT", "RATIO", "BUDGET", "HELD")
WIDTH = 150


def print_figures(figures: Sequence[Figure]) -> None:
    """Print the figures, a line each whatever the width, and their notes below."""
    console = Console(width=WIDTH, highlight=False)
    console.print(table_of(figures))
    console.print(*(f"\n{figure.name}: {figure.note}" for figure in figures if figure.note), sep="")


def table_of(figures: Sequence[Figure]) -> Table:
    """Lay the figures out."""
    table = Table(*HEADER, box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:6]:
        column.justify = "right"
    for figure in figures:
        table.add_row(*row_of(figure), style="bold red" if not figure.is_held else "")
    return table


def row_of(figure: Figure) -> tuple[str, ...]:
    """Return the cells of one figure."""
    return (
        figure.name,
        f"{_number(figure.value)} {figure.unit}".rstrip(),
        "" if len(figure.runs) == 1 else " .. ".join(map(_number, figure.spread)),
        "" if figure.limit is None else _number(figure.limit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        "" if figure.budget is None else _number(figure.budget) + (" x" if figure.bare else ""),
        "" if figure.budget is None else "yes" if figure.is_held else "NO",
    )


def _number(value: float) -> str:
    """Return the number with three significant digits."""
    decimals = (
        0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    )
    return f"{value:,.{decimals}f}"
