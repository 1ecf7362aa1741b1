"""Output to a terminal or a pipe: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.model.job import Job
from shared.model.times import iso
from shared.store.documents import FIELDS, Unreadable, to_document
from watchkeeper.times import shown

GAP = "  "
SHORTEST_FOLD = 20
PIECES = 2000  # written at once
LATE = " late"  # the end of a time that needs attention
FAILED = {"failed", "died", "unreadable"}  # a status, or the outcome of a run

Row = Sequence[str]
T = TypeVar("T")


def print_table(header: Row, rows: Sequence[Row], *, expendable: Row = (), is_continued: bool = False) -> None:
    """Print a table, or more of one. On a terminal it fits: `expendable` columns go, in this order, then cells fold.

    Into a pipe each row is one line, however long, without colours; rich would take 9 s for 20,000 of them.
    """
    clean = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(header, *clean, strict=True)]
    if sys.stdout.isatty():
        _print_fitted(header, clean, widths, expendable)
    else:
        _print_lines(clean if is_continued or not any(header) else [header, *clean], widths)


def _print_fitted(header: Row, rows: Sequence[Row], widths: Sequence[int], expendable: Row) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold", show_header=any(header))
    columns = columns_that_fit(header, widths, expendable, console.width)
    # Where not even the least fits, the first column, ids, folds as well: nothing is lost.
    folded = {columns[-1]} if _least_width(columns, widths) <= console.width else {columns[0], columns[-1]}
    for index in columns:
        least = None if index in folded else widths[index]
        table.add_column(header[index], min_width=least, no_wrap=index not in folded, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[index], style=_style(row[index]) if index else "") for index in columns))
    console.print(table)


def columns_that_fit(header: Row, widths: Sequence[int], expendable: Row, width: int) -> list[int]:
    """Return the columns that fit into so much width, without those of `expendable` that have to go."""
    columns = list(range(len(header)))
    for name in expendable:
        if _least_width(columns, widths) <= width:
            break
        columns.remove(header.index(name))
    return columns


def _least_width(columns: Sequence[int], widths: Sequence[int]) -> int:
    *whole, last = columns
    return sum(widths[index] + len(GAP) for index in whole) + min(widths[last], SHORTEST_FOLD) + len(GAP)


def _style(cell: str) -> str:
    """Return the colour of a state; rich leaves colours out with NO_COLOR and on a terminal that has none."""
    if cell in FAILED:
        return "red"
    return "yellow" if cell.endswith(LATE) else ""


def _print_lines(rows: Sequence[Row], widths: Sequence[int]) -> None:
    for row in rows:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo(GAP.join(padded).rstrip())


def _printable(text: str) -> str:
    """Replace what would break the line, or steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def tracked(chunks: Sequence[T], what: str) -> Iterable[T]:
    """Return the chunks, with a progress bar on stderr if it is a terminal and there are several."""
    if len(chunks) < 2 or not sys.stderr.isatty():
        return chunks
    from rich.progress import track

    return track(chunks, what, console=Console(stderr=True), transient=True)


def as_object(job: Job | Unreadable) -> dict[str, Any]:
    """Return a job with the fields of the JSON file, but for the holder's token; an unreadable document unchanged."""
    fields = as_stored(job)
    if isinstance(job, Job):
        fields.pop("lease_token", None)
    return fields


def as_stored(job: Job | Unreadable) -> dict[str, Any]:
    """Return a job with all fields of the JSON file; an unreadable document unchanged."""
    document = {**to_document(job), "id": job.id}
    return {name: document[name] for name in ("id", *FIELDS, *document) if name in document}


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Write JSON in ASCII, which every terminal, pipe and file takes."""
    return _encode(value) if indent is None else json.dumps(value, default=_plain, indent=indent)


def json_lines(objects: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Write a JSON list of jobs in pieces, one job a line."""
    separator = "[\n"
    for each in objects:
        yield separator + to_json(each)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def print_json_list(jobs: Sequence[Job | Unreadable]) -> None:
    """Print a JSON list of jobs."""
    write_pieces(json_lines(map(as_object, jobs)))
    warn_of_unreadable(jobs)


def write_pieces(pieces: Iterator[str]) -> None:
    """Write to standard output, some thousand pieces at a time."""
    while some := "".join(islice(pieces, PIECES)):
        click.echo(some, nl=False)


def text_of(value: Any, timezone: str) -> str:
    """Return the value of a field as text for people."""
    if isinstance(value, datetime) and value.tzinfo:
        return shown(value, timezone)
    return value if isinstance(value, str) else json.dumps(value, default=_plain, ensure_ascii=False)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    click.echo(f"warning: {text}", err=True)


def warn_of_unreadable(jobs: Sequence[Job | Unreadable]) -> None:
    """Warn about unreadable documents in the output."""
    if count := sum(isinstance(job, Unreadable) for job in jobs):
        warn(f"{count} cannot be read as jobs and are written unchanged; `watchkeeper jobs list` shows why")


def _plain(value: Any) -> str:
    # An unreadable document may contain a naive time, or a Firestore value that JSON does not have.
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat()
    return str(value)


_encode = json.JSONEncoder(default=_plain).encode
