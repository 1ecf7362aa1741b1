"""Handlers for measuring (`JOB_HANDLERS=bench.work`)."""

import resource
import sys
import time
from pathlib import Path

from shared.handlers import Context, Payload, handler

WAIT = 0.1  # seconds

ran: list[str] = []  # the execution key of every run in this process


@handler("bench_count")
def count(payload: Payload, context: Context) -> None:
    """Record the run."""
    ran.append(context.execution_key)


@handler("bench_wait")
def wait(payload: Payload, context: Context) -> None:
    """Wait, like a handler that calls a service."""
    time.sleep(WAIT)


@handler("bench_queued", queue="agents")
def run_off_the_tick(payload: Payload, context: Context) -> None:
    """Record the run of a job that is handed over."""
    ran.append(context.execution_key)


@handler("bench_memory")
def tell_memory(payload: Payload, context: Context) -> None:
    """Write the peak memory of this process, in MiB, to the file that the payload names."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Path(payload["file"]).write_text(str(peak / (2**20 if sys.platform == "darwin" else 2**10)))
