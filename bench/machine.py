"""The other work of the machine: the load average, and the cores that other processes use."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Moment:
    """Seconds of CPU used until a time: by the whole machine, and by this process and its descendants."""

    at: float
    machine: float
    own: float

    @classmethod
    def now(cls) -> "Moment | None":
        """Return the current seconds, or None on a system without /proc."""
        with suppress(OSError):
            return cls(time.monotonic(), _busy(), _own())
        return None


def others_since(then: Moment | None) -> float | None:
    """Return the number of cores that other processes have used since then, or None if it is unknown."""
    now = Moment.now()
    if now is None or then is None:
        return None
    return max((now.machine - then.machine) - (now.own - then.own), 0.0) / max(now.at - then.at, TICK)


def load_average() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def _busy() -> float:
    user, nice, system, _, _, *interrupts = (PROC / "stat").read_text().splitlines()[0].split()[1:8]
    return sum(map(int, (user, nice, system, *interrupts))) * TICK


def _own() -> float:
    """Return the CPU seconds of this process and its descendants, including those that have ended."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for file in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = file.read_text().rpartition(")")[2].split()
            pid = int(file.parent.name)
            parents[pid], used[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    return sum(used[pid] for pid in used if _descends(pid, parents)) * TICK


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid not in (0, 1, os.getpid()):
        pid = parents.get(pid, 0)
    return pid == os.getpid()
