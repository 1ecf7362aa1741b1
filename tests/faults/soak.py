"""Rounds of faults for any length of time: `make soak SECONDS=600`, or one seed again: `make soak SEED=123`.

Each round has a fresh seed, which is printed. First hypothesis interleaves ticks in memory, then processes work on a
file and on the emulator. The soak ends with the first broken promise, and keeps the evidence.
"""

import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from hypothesis import seed as seeded
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

import shared.running.backlog
from tests.faults.rounds import run_round
from tests.faults.test_model import SETTINGS_OF_THE_MODEL, Model
from watchkeeper.dev.firestore_emulator import EmulatorMissing, running_emulator

EXAMPLES = 300
ROUND_SECONDS = 30


def soak(seeds: Iterator[int], seconds: float, emulator: str | None) -> bool:
    """Run rounds until the time is up; return whether every promise was kept."""
    until = time.monotonic() + seconds
    total: Counter[str] = Counter()
    for seed in seeds:
        say(f"seed {seed}")
        run_state_machine_as_test(seeded(seed)(Model), settings=settings(SETTINGS_OF_THE_MODEL, max_examples=EXAMPLES))
        for address in [None, emulator] if emulator else [None]:
            folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
            done = run_round(seed, seconds=ROUND_SECONDS, emulator=address, folder=folder)
            total += done.figures + Counter(rounds=1)
            say(f"  {'emulator' if address else 'file'}: {in_one_line(done.figures)}")
            if done.broken:
                say(str(done))
                return False
            shutil.rmtree(folder)
        if time.monotonic() > until:
            break
    say(f"all promises kept: {in_one_line(total)}")
    return True


def in_one_line(figures: Counter[str]) -> str:
    """Return the figures in one line."""
    return ", ".join(f"{count} {name}" for name, count in figures.items())


def say(text: str) -> None:
    """Print the text at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run for the seconds of the first argument, with the seeds of the others, if there are any."""
    logging.disable(logging.CRITICAL)
    shared.running.backlog.LONGEST_WAIT = 0  # the ticks of the model need not wait for each other
    seconds, given = float(sys.argv[1]), sys.argv[2:]
    seeds = iter(map(int, given)) if given else (random.SystemRandom().randrange(10**6) for _ in count())
    with ExitStack() as stack:
        emulator = None
        try:
            emulator = stack.enter_context(running_emulator())
            os.environ["FIRESTORE_EMULATOR_HOST"] = emulator
        except EmulatorMissing as exc:
            say(f"without Firestore: {exc}")
        return 0 if soak(seeds, seconds, emulator) else 1


if __name__ == "__main__":
    sys.exit(main())
