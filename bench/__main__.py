"""Measure everything, compare each figure with a bare limit of the same run, and report which budgets are met.

python -m bench --only idle --json figures.json
python -m bench --only full-page --base main
"""

import json
import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bench import ticks
from bench.base import compared
from bench.figure import Figure, exit_code
from bench.machine import load_average
from bench.measuring import GROUPS, measured
from bench.site import open_site
from bench.table import print_comparison, print_figures
from shared.errors import WatchkeeperError


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(GROUPS)), help="Only this group; can be repeated.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to FILE too.")
@click.option("--base", metavar="COMMIT", help="Compare with this commit, measured in turns with the working copy.")
def main(only: Sequence[str], file: Path | None, base: str | None) -> None:
    """Measure and print a table; exit with 1 if a budget is exceeded, or with a base if something is slower."""
    began, load = time.monotonic(), load_average()
    names = list(only or GROUPS)
    try:
        told, status = _compare(base, names) if base else _measure(names)
    except WatchkeeperError as exc:
        raise click.ClickException(str(exc)) from exc
    seconds, loads = time.monotonic() - began, (load, load_average())
    click.echo(
        f"Measured in {seconds:.0f} s; load average {loads[0]:.1f} at the beginning and {loads[1]:.1f} at the end."
    )
    if file:
        file.write_text(json.dumps({**_circumstances(seconds, loads), **told}, indent=1) + "\n")
    raise SystemExit(status)


def _measure(names: Sequence[str]) -> tuple[dict[str, Any], int]:
    with open_site() as site:
        ticks.warm_up(site)
        figures = measured(site, names)
    print_figures(figures)
    return {"figures": _objects(figures)}, exit_code(figures)


def _compare(base: str, names: Sequence[str]) -> tuple[dict[str, Any], int]:
    pairs = compared(base, names)
    print_comparison(pairs, base)
    here, there = zip(*pairs, strict=True)
    return {"figures": _objects(here), "base": base, "base_figures": _objects(there)}, any(
        pair.is_slower for pair in pairs
    )


def _objects(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    return [figure.as_object() for figure in figures]


def _circumstances(seconds: float, loads: tuple[float, float]) -> dict[str, object]:
    return {
        "measured_at": datetime.now(UTC).isoformat(),
        "seconds": round(seconds),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_average": loads,
    }


if __name__ == "__main__":
    main()
