"""What else the machine does: the load average, and how many of its cores other processes take."""

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
        """Return the present one; None where the system has no /proc."""
        with suppress(OSError):
            return cls(time.monotonic(), _busy(), _own())
        return None


def others_since(then: Moment | None) -> float | None:
    """Return how many cores other processes took since then, where that is known."""
    now = Moment.now()
    if now is None or then is None:
        return None
    return max((now.machine - then.machine) - (now.own - then.own), 0.0) / max(now.at - then.at, TICK)


def load_average() -> float:
    """Return how many processes ran or wanted to, over the last minute."""
    return os.getloadavg()[0]


def _busy() -> float:
    user, nice, system, _, _, *interrupts = (PROC / "stat").read_text().splitlines()[0].split()[1:8]
    return sum(map(int, (user, nice, system, *interrupts))) * TICK


def _own() -> float:
    """Return the seconds of this process and of its descendants, those too that have ended."""
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
