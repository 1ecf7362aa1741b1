"""Compare the working copy with another commit: both are measured in turns, by the bench of the working copy.

Each side is a process with its own emulator. While one measures, the other waits.
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
LEAST_CHANGE = 0.03  # a smaller difference is no change, whatever the spread


class NotComparable(WatchkeeperError):
    """The base cannot be measured; the message says why."""


class Pair(NamedTuple):
    """One figure of the working copy and of the base."""

    here: Figure
    there: Figure

    @property
    def change(self) -> float:
        """Return the time here divided by that of the base; with a bare limit, the ratios to it are compared."""
        return self.here.judged / self.there.judged if self.there.judged else 1.0

    @property
    def is_slower(self) -> bool:
        """Return whether it is slower here, and the middle halves of the runs do not overlap."""
        return self.change > 1 + LEAST_CHANGE and self.here.judged_spread[0] > self.there.judged_spread[1]

    @property
    def is_faster(self) -> bool:
        """Return whether it is faster here, and the middle halves of the runs do not overlap."""
        return self.change < 1 - LEAST_CHANGE and self.here.judged_spread[1] < self.there.judged_spread[0]


def compared(base: str, names: Sequence[str]) -> list[Pair]:
    """Measure the groups in the working copy and in the base. Raises NotComparable."""
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
    """Check the commit out into a temporary folder, with the bench of the working copy."""
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
    """Return the interpreter of a side: this one, or a new one if the side pins other packages."""
    pins = "requirements-dev.txt"
    if not (folder / pins).exists():
        raise NotComparable(f"the base has no {pins}: choose a later commit")
    if (folder / pins).read_bytes() == (PROJECT_FOLDER / pins).read_bytes():
        return sys.executable
    if subprocess.run(["make", "setup", f"PYTHON={sys.executable}"], cwd=folder, stdout=sys.stderr).returncode:
        raise NotComparable("the environment of the base could not be made; see the error above")
    return str(folder / ".venv/bin/python")


@contextmanager
def _side(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the process that measures the code in a folder; it ends when its input ends."""
    command = [_python(folder), "-P", "-m", "bench.base"]
    # It precedes the path of the project's own environment.
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
    """Read the names of groups from stdin, measure each, and write its figures as a line of JSON."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # measured code may write to stdout
    with told, open_site(rounds=TURNS) as site:
        ticks.warm_up(site)
        for line in sys.stdin:
            figures: list[dict[str, Any]] = [each.as_object() for each in measured_once(site, GROUPS[line.strip()])]
            print(json.dumps(figures), file=told, flush=True)


if __name__ == "__main__":
    _serve()
