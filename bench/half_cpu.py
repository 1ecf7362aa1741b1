"""The same ratios with half a CPU, like the smallest instances of Cloud Run.

The quota is kept as the kernel keeps that of a container: of every 100 ms a process may run for 50 ms, of all its
threads together, and then it stands still until the period is over. What it runs too long, because its governor woke
late, is taken from the next period; what it leaves unused is lost.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench import hand_over, ticks
from bench.figure import Figure
from bench.site import Site
from shared.settings import PROJECT_FOLDER

PERIOD = 0.1  # seconds
QUOTA = 0.05
POLL = 0.001


def half_cpu(site: Site) -> Iterator[Figure]:
    """Measure a page of jobs, handlers that wait, and the hand-over."""
    with governed(site.measure(os.getpid)):
        for figure in (*ticks.page(site), *ticks.waiting(site), *hand_over.page(site)):
            yield replace(figure, name=f"half a CPU: {figure.name}")


@contextmanager
def governed(pid: int) -> Iterator[None]:
    """Enforce the quota of a process, from another process."""
    env = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER)}
    with subprocess.Popen([sys.executable, "-P", "-m", "bench.half_cpu", str(pid)], env=env) as governor:
        try:
            yield
            if governor.poll() is not None:
                raise RuntimeError("the quota of the process was not enforced")
        finally:
            governor.kill()
            governor.wait()
            os.kill(pid, signal.SIGCONT)


def cpu_clock(pid: int) -> int:
    """Return the id of another process's CPU clock, as clock_getcpuclockid(3) does."""
    return (~pid << 3) | 2


def _govern(pid: int) -> None:
    clock = cpu_clock(pid)
    limit = time.clock_gettime(clock)
    while True:
        end, limit = time.monotonic() + PERIOD, min(limit, time.clock_gettime(clock)) + QUOTA
        while time.monotonic() < end:
            time.sleep(POLL)
            if time.clock_gettime(clock) >= limit:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(max(end - time.monotonic(), 0))
                os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    _govern(int(sys.argv[1]))
