"""Measure groups of figures at one site, and measure a group again if it is doubtful whether a budget is met."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import click

from bench import billing, catalogue, functions, half_cpu, hand_over, installed, lateness, memory, ticks
from bench.figure import Figure, pooled
from bench.machine import Moment, load_average, others_since
from bench.site import Site

Group = Callable[[Site], Iterator[Figure]]

# The emulator becomes slower with everything that it ever stored, so groups that store much come last.
GROUPS: Mapping[str, Group] = {
    "delay": ticks.delay,
    "installed": installed.installed,
    "cold-start": functions.cold_starts,
    "chat": functions.chat,
    "lateness": lateness.lateness,
    "billing": billing.billing,
    "memory": memory.memory,
    "full-page": ticks.full_page,
    "waiting": ticks.waiting,
    "hand-over": hand_over.hand_over,
    "half-cpu": half_cpu.half_cpu,
    "idle": ticks.idle,
    "at-once": ticks.at_once,
    "backlog": ticks.backlog,
    "catalogue": catalogue.catalogue,
}
TIMES = 3  # the most measurements of a group
LAST_AGAIN = 10 * 60  # seconds from the beginning; after that no group is measured again


def measured(site: Site, names: Sequence[str], groups: Mapping[str, Group] = GROUPS) -> list[Figure]:
    """Measure the named groups, and report the progress.

    A group with a budget that is missed by less than the spread is measured again, and judged by all of its runs: so
    a budget is missed only where something is slower.
    """
    began = time.monotonic()
    figures = []
    for name in names:
        group: list[Figure] = []
        for number in range(TIMES):
            again = f", again ({_doubtful(group)})" if number else ""
            click.echo(f"{time.monotonic() - began:4.0f} s  {name}{again}  (load {load_average():.1f})", err=True)
            group = pooled(group, measured_once(site, groups[name]))
            if not _doubtful(group) or time.monotonic() - began > LAST_AGAIN:
                break
        for figure in group:
            click.echo(f"        {figure.name}: {figure.judged:.2f} of {figure.budget or '-'}", err=True)
        figures += group
    return figures


def measured_once(site: Site, group: Group) -> list[Figure]:
    """Measure one group, and record the other work of the machine."""
    then = Moment.now()
    figures = list(group(site))
    others = others_since(then)
    site.clear()
    return [replace(figure, others=others) for figure in figures]


def _doubtful(figures: Sequence[Figure]) -> str:
    return ", ".join(f"{figure.name}: {figure.judged:.2f}" for figure in figures if figure.is_doubtful)
