"""One round of faults over real processes: what disturbs them, and what the checker finds afterwards.

The seed decides which processes are killed, ended or frozen, when the store is unreachable, what people do and which
calls fail. The same seed repeats that plan, but not the timing of the processes.
"""

import math
import os
import random
import signal
import socket
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path

from filelock import FileLock, Timeout

from shared.jobs import Jobs
from shared.model.job import Job
from shared.running.tick import run_tick
from tests.faults.checker import violations
from tests.faults.evidence import PEOPLE, Began, Fact, Injected, Ledger, Reported, Write, from_file, to_file
from tests.faults.worker import LEFT_BEHIND, QUEUE, RETENTION, SETTINGS, Plan, add_job, handlers
from tests.support.proxy import Proxy, proxy_to
from watchkeeper.fakes.cloud_tasks import CloudTasks
from watchkeeper.fakes.google_oauth import GoogleOAuth
from watchkeeper.fakes.task_queue import RateLimits, RetryConfig

RATES = {"swap": 0.05, "due": 0.05, "get": 0.1, "page": 0.05}
FIRST_JOBS = 40
WORKERS = 3
INSTANCES = 2  # of run_job
TIME_APART = 30.0
TASK_LATENESS = 4.0  # beyond a lease, at the speed of a round
LONGEST_OUTAGE = 3.0
FIRST_SECONDS = 1.5  # undisturbed: a process takes a while to start
MOST_SECONDS = 60.0  # more than asked for, on a machine that is slow
DISTURBANCES = ["kill", "terminate", "freeze", "outage", "task"]
TASK_FAULTS = ["deliver-twice", "deliver-late", "deliver-never", "applied-but-cut", "forbidden", "unavailable", "cut"]
HAPPENED = ("runs", "deliveries", "ticks", "commands", "faults")  # a round without one of them proves little
ROOT = Path(__file__).parents[2]
END_SECONDS = 30.0  # for processes that were told to end: a call to the store may take ten


@dataclass
class Round:
    """The result of a round: broken promises, figures, and the file with the evidence."""

    broken: list[str]
    figures: Counter[str]
    evidence: Path
    seed: int

    def __str__(self) -> str:
        """Return the broken promises, the command that repeats the round, and where the evidence is."""
        count = f"{len(self.broken)} broken promises; `make soak SEED={self.seed}` runs this again"
        return "\n".join([count, *self.broken, f"the evidence is in {self.evidence}"])


@dataclass
class Outage:
    """A way to make a store unreachable for a while, without losing its data."""

    begin: Callable[[], object]
    end: Callable[[], object]


class Calm(random.Random):
    """A source of numbers with which no handler fails that can succeed."""

    def random(self) -> float:
        return 0.999


class Process:
    """A process of the round, which is started again whenever it has ended."""

    def __init__(self, plan: Plan, env: Mapping[str, str]) -> None:
        self._plan = plan
        self._env = env
        self._lives = 0
        self.begin()

    def begin(self) -> None:
        """Start it."""
        self._lives += 1
        self._thaw_at = 0.0
        self.is_told_to_end = False
        seed, name = f"{self._plan.seed} {self._plan.name} {self._lives}", f"{self._plan.name}-{self._lives}"
        plan = replace(self._plan, name=name, seed=seed)
        self._popen = subprocess.Popen(plan.command(), env=self._env, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill it, frozen or not."""
        self.is_told_to_end = True
        self._popen.kill()

    def terminate(self) -> None:
        """Ask it to end."""
        self.is_told_to_end = True
        self._popen.terminate()

    def freeze(self, seconds: float) -> None:
        """Suspend it for a while, like an instance that gets no processor."""
        self._popen.send_signal(signal.SIGSTOP)
        self._thaw_at = time.monotonic() + seconds

    def thaw(self, *, now: float = math.inf) -> None:
        """Continue it when its time has come."""
        if 0 < self._thaw_at <= now:
            self._popen.send_signal(signal.SIGCONT)
            self._thaw_at = 0.0

    @property
    def code(self) -> int | None:
        """Return its exit code when it has ended."""
        return self._popen.poll()

    def wait(self) -> bool:
        """Wait for its end; return whether it ended without a kill."""
        try:
            self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()
            return False
        return True


class Supervisor:
    """Starts the processes of a round, and disturbs them."""

    def __init__(
        self, plan: Plan, env: Mapping[str, str], outages: Sequence[Outage], tasks: CloudTasks, ports: Sequence[int]
    ) -> None:
        self._draw = random.Random(plan.seed)
        self._tasks = tasks
        self._to_do = self._draw.sample(DISTURBANCES, len(DISTURBANCES))  # each at least once
        self._outages = outages
        self._outage: Outage | None = None
        self._outage_ends_at = 0.0
        half = TIME_APART / 2
        names = [*(f"tick-{number}" for number in range(WORKERS)), PEOPLE]
        names += [f"run-job-{number}" for number in range(INSTANCES)]
        offsets = [-half, half, *(self._draw.uniform(-half, half) for _ in names[2:])]
        of_each = zip(names, offsets, [*[0] * (WORKERS + 1), *ports], strict=True)
        plans = [replace(plan, name=name, offset=at, rates=RATES, port=port) for name, at, port in of_each]
        self._processes = [Process(each, env) for each in plans]
        self.figures: Counter[str] = Counter()
        self.broken: list[str] = []

    def run(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        """Disturb the processes for this time, or on a slow machine until enough has happened; then end them."""
        try:
            now = time.monotonic()
            until, disturb_at = now + seconds, now + FIRST_SECONDS
            last = until + MOST_SECONDS
            while (now := time.monotonic()) < until or (now < last and (self._to_do or not is_enough())):
                self._look_after(now)
                if now >= disturb_at:
                    self._disturb(now)
                    disturb_at += self._draw.uniform(0.2, 0.8)
                time.sleep(0.02)
        finally:
            self._end()

    def _look_after(self, now: float) -> None:
        for process in self._processes:
            process.thaw(now=now)
            if process.code is not None:
                if process.code == LEFT_BEHIND:
                    self.figures["left behind"] += 1
                elif not process.is_told_to_end:
                    self.broken.append(f"a process ended by itself, with {process.code}")
                process.begin()
        if self._outage and now >= self._outage_ends_at:
            self._end_outage()

    def _disturb(self, now: float) -> None:
        what = self._to_do.pop() if self._to_do else self._draw.choice(DISTURBANCES)
        seconds = self._draw.choice([0.2, 1.0, 3.0, 6.0])
        process, outage = self._draw.choice(self._processes), self._draw.choice(self._outages)
        if what == "outage":
            self._end_outage()
            self._outage, self._outage_ends_at = outage, now + min(seconds, LONGEST_OUTAGE)
            outage.begin()
        elif what == "task":
            self._tasks.fail(self._draw.choice(TASK_FAULTS))
        elif what == "freeze":
            process.freeze(seconds)
        else:
            getattr(process, what)()
        self.figures[what] += 1

    def _end_outage(self) -> None:
        if self._outage:
            self._outage.end()
        self._outage = None

    def _end(self) -> None:
        self._end_outage()
        for process in self._processes:
            process.thaw()
            process.terminate()
        for process in self._processes:
            if not process.wait():
                self.broken.append("a process did not end when it was told to")


def run_round(seed: int, *, seconds: float, emulator: str | None, folder: Path) -> Round:
    """Run a round of so many seconds on the emulator at an address, or on a file; it takes a few seconds longer."""
    plan = Plan(
        name="calm",
        seed=f"{seed} {'firestore' if emulator else 'json'}",
        evidence=str(folder / "evidence"),
        json_path="" if emulator else str(folder / "jobs.json"),
        collection=f"jobs-{uuid.uuid4().hex}",
        began=time.monotonic(),
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    begin(plan)
    with ExitStack() as stack:
        outages = [_locked(plan)]
        if emulator:
            proxy = stack.enter_context(proxy_to(emulator))
            env["FIRESTORE_EMULATOR_HOST"] = proxy.address
            outages = _outages(proxy, emulator)
        ports = [_free_port() for _ in range(INSTANCES)]
        tasks = stack.enter_context(_cloud_tasks(ports, folder, env))
        supervisor = Supervisor(replace(plan, tasks=tasks.url), env, outages, tasks, ports)
        supervisor.run(seconds, partial(_has_happened, Path(plan.evidence)))
    broken, figures = calm_down(plan)
    return Round(
        broken=sorted(supervisor.broken + broken),
        figures=supervisor.figures + figures,
        evidence=Path(plan.evidence),
        seed=seed,
    )


@contextmanager
def _cloud_tasks(ports: Sequence[int], folder: Path, env: dict[str, str]) -> Iterator[CloudTasks]:
    """Run a fake of Cloud Tasks, which calls the instances of run_job in turn, dead or alive."""
    turns = cycle(ports)

    @contextmanager
    def address_of(url: str) -> Iterator[str]:
        yield f"127.0.0.1:{next(turns)}"

    with GoogleOAuth() as oauth, CloudTasks(oauth, address_of=address_of) as tasks:
        oauth.write_key_file(folder / "key.json")
        env["GOOGLE_APPLICATION_CREDENTIALS"] = str(folder / "key.json")
        retry = RetryConfig(min_backoff=timedelta(seconds=0.1), max_backoff=timedelta(seconds=0.5))
        tasks.add_queue(QUEUE, RateLimits(max_concurrent=INSTANCES), retry)
        tasks.lateness = timedelta(seconds=TASK_LATENESS)
        yield tasks


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def begin(plan: Plan) -> None:
    """Add the first jobs."""
    draw = random.Random(plan.seed)
    ledger = Ledger(plan.store(), f"{PEOPLE}-first", plan.clock, to_file(Path(plan.evidence)))
    jobs = Jobs(ledger, clock=plan.clock, handlers={}, retention=RETENTION)
    for number in range(FIRST_JOBS):
        add_job(jobs, draw, f"first-{number}")


def calm_down(plan: Plan) -> tuple[list[str], Counter[str]]:
    """Run ticks without faults, hours apart, until nothing is left to do; then check the evidence."""
    note = to_file(Path(plan.evidence))
    store = plan.store()
    last_look = plan.clock()
    for number in range(12):  # more than an occurrence can have attempts and dead holders
        by = f"calm.{number}"
        later = timedelta(hours=2 * number + 2)
        last_look = plan.clock() + later
        clock = partial(_later, plan, later)
        made = handlers(by, note, Calm())
        report = run_tick(
            Ledger(store, by, clock, note), made, settings=SETTINGS, clock=clock, monotonic=plan.monotonic
        )
        note(Reported(by=by, metrics=report.metrics()))
        stored = {job.id: job for job in store.page(limit=100_000) if isinstance(job, Job)}
        if not any(job.ready_at and (job.cron is None or job.is_due(last_look)) for job in stored.values()):
            break
    facts = from_file(Path(plan.evidence))
    history = store.history(limit=100_000)
    figures = _figures(facts) + Counter({"jobs": len(stored), "entries": len(history)})
    return violations(facts, stored, last_look, history), figures


def _has_happened(evidence: Path) -> bool:
    figures = _figures(from_file(evidence))
    return all(figures[name] for name in HAPPENED)


def _later(plan: Plan, by: timedelta) -> datetime:
    return plan.clock() + by


def _figures(facts: Sequence[Fact]) -> Counter[str]:
    figures: Counter[str] = Counter()
    for fact in facts:
        match fact:
            case Began():
                figures["runs"] += 1
                figures["deliveries"] += fact.by.startswith("run-job")
            case Reported():
                figures["ticks"] += 1
                figures["lost runs"] += fact.metrics["jobs_lost"]
                figures["recovered"] += fact.metrics["jobs_recovered"]
                figures["handed over"] += fact.metrics["jobs_handed_over"]
            case Injected():
                figures["faults"] += 1
            case Write(answer="won", is_by_a_person=True):
                figures["commands"] += 1
            case Write(answer="unknown"):
                figures["unknown writes"] += 1
    return figures


# -- outages ----------------------------------------------------------------------------------------------------------


def _locked(plan: Plan) -> Outage:
    """Somebody else holds the lock of the file."""
    lock = FileLock(f"{plan.json_path}.lock", timeout=0.5)  # a frozen process may hold it for longer

    def begin() -> None:
        with suppress(Timeout):
            lock.acquire()

    return Outage(begin, lock.release)


def _outages(proxy: Proxy, emulator: str) -> list[Outage]:
    """Connections are refused; answers are held back and then cut off; the emulator is suspended."""
    found = subprocess.run(
        ["pgrep", "-f", f"java.*--port={emulator.rpartition(':')[2]}"], capture_output=True, text=True
    )
    java = [int(line) for line in found.stdout.split()]
    assert java, "the emulator must run on this machine, to be stopped for a while"

    def send(number: signal.Signals) -> None:
        for pid in java:
            os.kill(pid, number)

    return [
        Outage(proxy.refuse, proxy.accept),
        Outage(proxy.hold, proxy.cut),
        Outage(partial(send, signal.SIGSTOP), partial(send, signal.SIGCONT)),
    ]
