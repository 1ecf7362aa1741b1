"""The parts of the time of a run: calls to the store, its client library, job values, logs and so on.

The main thread is interrupted every two milliseconds, and the time since the last interruption is given to the part
that it is in: that of the innermost frame that belongs to one. So nothing is slowed down much, unlike by a profiler
that notes every call, which would blame whatever consists of many small functions.
"""

import signal
import time
from collections import defaultdict
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NamedTuple, Self

EVERY = 0.002  # seconds
OTHER = "other"
THREADS = "other threads (CPU)"

# A frame belongs to the first part that has a text in its file and function, otherwise to its caller's part.
PARTS = (
    ("waiting for handlers", ("shared/running/runner.py:_wait", "concurrent/futures")),
    ("pausing", ("shared/running/backlog.py:_look",)),
    ("calls", ("/grpc/", "/urllib3/")),
    ("client library", ("google/cloud/", "google/api_core/", "google/protobuf/", "/proto/")),
    ("documents", ("shared/store/", "shared/model/entries.py")),
    ("logs", ("shared/logs.py", "/logging/", "shared/running/write.py:log_job")),
    ("job values", ("shared/model/",)),
    ("tick", ("shared/running/", "shared/handlers/", "shared/settings.py")),
    ("bench", ("/bench/",)),
)


class Profile(NamedTuple):
    """The result of a function, and the seconds of each part; those of other threads ran at the same time."""

    result: object
    parts: dict[str, float]


def profiled(function: Callable[..., object], *args: object, **kwargs: object) -> Profile:
    """Run a function in this thread, the main one, and return its result with the parts of its time."""
    process, thread = time.process_time(), time.thread_time()
    with Sampler() as sampler:
        result = function(*args, **kwargs)
    beside = (time.process_time() - process) - (time.thread_time() - thread)
    parts = dict(sorted(sampler.parts.items(), key=lambda each: -each[1]))
    return Profile(result, {**parts, THREADS: beside} if beside > EVERY else parts)


class Sampler:
    """Adds up the seconds of each part while it is entered."""

    def __init__(self) -> None:
        self.parts: defaultdict[str, float] = defaultdict(float)
        self._before = 0.0

    def __enter__(self) -> Self:
        self._before = time.perf_counter()
        self._handler = signal.signal(signal.SIGALRM, self._sample)
        signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._handler)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        # Some calls delay an interruption until they return: then that was their time.
        now = time.perf_counter()
        self.parts[part_of(frame)] += now - self._before
        self._before = now


def part_of(frame: FrameType | None) -> str:
    """Return the part that a frame belongs to."""
    while frame is not None:
        if part := _part_of_code(f"{frame.f_code.co_filename}:{frame.f_code.co_name}"):
            return part
        frame = frame.f_back
    return OTHER


def _part_of_code(place: str) -> str:
    if place not in _known:
        _known[place] = next((part for part, texts in PARTS if any(text in place for text in texts)), "")
    return _known[place]


_known: dict[str, str] = {}
