"""Compare what stands here with another commit: both measured in turns, by the bench that stands here.

Each side is a process of its own, with its own emulator. While one measures the other waits for its turn.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple, cast

import click

from bench import ticks
from bench.figure import Figure, pooled
from bench.measuring import GROUPS, measured_once
from bench.site import open_site
from shared.errors import WatchkeeperError
from shared.settings import PROJECT_FOLDER

TURNS = 3  # of three rounds each
LEAST_CHANGE = 0.03  # less is no change, however small the spread


class NotComparable(WatchkeeperError):
    """The base cannot be measured; the message says why."""


class Pair(NamedTuple):
    """One figure of what stands here, and of the base."""

    here: Figure
    there: Figure

    @property
    def change(self) -> float:
        """Return how many times as slow it is here; of two ratios to a bare limit, which has no part in the change."""
        return self.here.judged / self.there.judged if self.there.judged else 1.0

    @property
    def is_slower(self) -> bool:
        """Return whether the middle halves of the runs lie apart."""
        return self.change > 1 + LEAST_CHANGE and self.here.judged_spread[0] > self.there.judged_spread[1]

    @property
    def is_faster(self) -> bool:
        """Return the same the other way round."""
        return self.change < 1 - LEAST_CHANGE and self.here.judged_spread[1] < self.there.judged_spread[0]


def compared(base: str, names: Sequence[str]) -> list[Pair]:
    """Measure the groups here and at the base. Raises NotComparable."""
    pairs: list[Pair] = []
    with _checked_out(base) as folder, _side(PROJECT_FOLDER) as here, _side(folder) as there:
        for name in names:
            mine: list[Figure] = []
            its: list[Figure] = []
            for turn in range(TURNS):
                click.echo(f"{name}, turn {turn + 1} of {TURNS}", err=True)
                mine, its = pooled(mine, _measure(here, name)), pooled(its, _measure(there, name))
            pairs += map(Pair, mine, its)
    return pairs


@contextmanager
def _checked_out(base: str) -> Iterator[Path]:
    """Check the commit out into a temporary folder, with the bench that stands here."""
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "base"
        _git("worktree", "add", "--quiet", "--detach", str(folder), base)
        try:
            shutil.rmtree(folder / "bench", ignore_errors=True)
            shutil.copytree(PROJECT_FOLDER / "bench", folder / "bench")
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=PROJECT_FOLDER, capture_output=True, text=True)
    if done.returncode:
        raise NotComparable(f"git {arguments[0]} failed: {done.stderr.strip()}")


def _python(folder: Path) -> str:
    """Return the interpreter of a side: this one, or where other packages are asked for, one with those."""
    pins = "requirements-dev.txt"
    if not (folder / pins).exists():
        raise NotComparable(f"the base has no {pins}: choose a later commit")
    if (folder / pins).read_bytes() == (PROJECT_FOLDER / pins).read_bytes():
        return sys.executable
    if subprocess.run(["make", "setup", f"PYTHON={sys.executable}"], cwd=folder, stdout=sys.stderr).returncode:
        raise NotComparable("the environment of the base cannot be made; what was said stands above")
    return str(folder / ".venv/bin/python")


@contextmanager
def _side(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the process that measures what stands in a folder; it ends when nothing more is asked."""
    command = [_python(folder), "-P", "-m", "bench.base"]
    # Before what the environment of the project itself has on its path.
    env = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as side:
        yield side


def _measure(side: "subprocess.Popen[str]", name: str) -> list[Figure]:
    asked, told = cast("IO[str]", side.stdin), cast("IO[str]", side.stdout)
    try:
        asked.write(f"{name}\n")
        asked.flush()
        line = told.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        raise NotComparable(f"{name} could not be measured at one of the commits; see the error above")
    return [Figure.from_object(each) for each in json.loads(line)]


def _serve() -> None:
    """Measure what is asked for on stdin, a group a line, and write its figures as a line of JSON."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is measured may write as it likes
    with told, open_site(rounds=TURNS) as site:
        ticks.warm_up(site)
        for line in sys.stdin:
            figures: list[dict[str, Any]] = [each.as_object() for each in measured_once(site, GROUPS[line.strip()])]
            print(json.dumps(figures), file=told, flush=True)


if __name__ == "__main__":
    _serve()
