"""Handlers for tests that run functions in processes of their own (`JOB_HANDLERS=tests.support.work`).

Every run writes a line to the file that `TEST_RECORD` names, so that a test can read what really happened, even if the
process was killed.
"""

import os
import threading
from datetime import timedelta

from shared.handlers import Context, Payload, handler


def note(word: str, context: Context) -> None:
    """Append a line; appending is atomic between processes."""
    with open(os.environ["TEST_RECORD"], "a") as file:
        file.write(f"{word} {context.execution_key}\n")


@handler("record")
def record(payload: Payload, context: Context) -> None:
    """Note the run; with `seconds`, work that long, or until told to stop."""
    note("ran", context)
    if context.stop.wait(payload.get("seconds", 0)):
        note(f"stopped:{context.stop_reason}", context)


@handler("hold", timeout=timedelta(seconds=60))
def hold(payload: Payload, context: Context) -> None:
    """Note the beginning, and end when the file that the payload names exists."""
    note("began", context)
    pause = threading.Event()
    while not os.path.exists(payload["until"]):
        pause.wait(0.02)
    note("ended", context)


@handler("deaf", timeout=timedelta(seconds=1))
def ignore_the_limit(payload: Payload, context: Context) -> None:
    """Record each tenth of a second at which it still runs, and ignore the stop."""
    note(f"began:{os.getpid()}", context)
    pause = threading.Event()
    for _ in range(100 * 10):
        note("at-work", context)
        pause.wait(0.1)


@handler("exit")
def end_the_process(payload: Payload, context: Context) -> None:
    """Kill the process that runs this job, as running out of memory would."""
    note("ran", context)
    os._exit(1)
