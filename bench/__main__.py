"""Measure everything, each figure beside a bare limit of the same run, and report which budgets are met.

python -m bench --only idle --json figures.json
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from bench import billing, catalogue, functions, hand_over, lateness, ticks
from bench.figure import Figure, exit_code
from bench.site import Site, open_site
from bench.table import print_figures
from shared.errors import WatchkeeperError

# The emulator becomes slower with all that was ever stored in it, so what stores much comes last.
GROUPS: Mapping[str, Callable[[Site], Iterator[Figure]]] = {
    "delay": ticks.delay,
    "cold-start": functions.cold_starts,
    "chat": functions.chat,
    "lateness": lateness.lateness,
    "billing": billing.billing,
    "memory": functions.memory,
    "full-page": ticks.full_page,
    "hand-over": hand_over.hand_over,
    "idle": ticks.idle,
    "at-once": ticks.at_once,
    "backlog": ticks.backlog,
    "catalogue": catalogue.catalogue,
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(GROUPS)), help="Only these; can be given several times.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here too.")
def main(only: Sequence[str], file: Path | None) -> None:
    """Measure, print a table, and exit with 1 if a budget is exceeded."""
    began = time.monotonic()
    try:
        figures = list(_measured(only or list(GROUPS)))
    except WatchkeeperError as exc:
        raise click.ClickException(str(exc)) from exc
    took = time.monotonic() - began
    print_figures(figures)
    click.echo(f"Measured in {took:.0f} s.")
    if file:
        file.write_text(json.dumps(_report(figures, took), indent=1) + "\n")
    raise SystemExit(exit_code(figures))


def _measured(names: Sequence[str]) -> Iterator[Figure]:
    began = time.monotonic()
    with open_site() as site:
        ticks.warm_up(site)
        for name in names:
            click.echo(f"{time.monotonic() - began:4.0f} s  {name}", err=True)
            yield from GROUPS[name](site)
            site.clear()


def _report(figures: Sequence[Figure], seconds: float) -> dict[str, object]:
    return {
        "measured_at": datetime.now(UTC).isoformat(),
        "seconds": round(seconds),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "figures": [figure.as_object() for figure in figures],
    }


if __name__ == "__main__":
    main()
