"""`watchkeeper dev`: every function on this machine, with a stand-in for each Google service that would call it."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from local.cloud_scheduler import CloudScheduler
from local.function_process import POLL_SECONDS, FunctionProcess
from local.functions_table import Function, SchedulerJob, read_functions
from local.interrupts import Wait, catch_interrupts
from local.introduction import introduction
from local.stand_ins import STAND_INS, Services, stand_ins
from local.terminal import Terminal
from shared.auth import AuthMode
from shared.errors import InvalidSettings, WatchkeeperError
from shared.jobs import Jobs
from shared.open_store import open_store
from shared.settings import Environment, Settings

log = logging.getLogger("watchkeeper.dev")

STOP_SECONDS = 10  # as long as Cloud Run gives
EXAMPLE_JOB = "example-hello"
USER = "watchkeeper dev"

clock = partial(datetime.now, UTC)


class PortTaken(WatchkeeperError):
    """A port cannot be used; the message says which, and what to do."""


def run(env: Mapping[str, str]) -> int:
    """Run the functions until Ctrl-C, SIGTERM or SIGHUP, and leave no process behind. Call it in the main thread.

    Give the exit code: 0, or 1 when something cannot start; stderr then says why in one line.
    """
    try:
        env = _with_access(env)
        settings = Settings.from_env(env)
        functions = read_functions(env)
        ports = _free_ports(env, len(functions) + STAND_INS)
        _prepare_store(settings)
        with stand_ins(env, ports[len(functions) :]) as services:
            _serve(dict(zip(ports, functions, strict=False)), settings, {**env, **services.settings}, services)
    except (WatchkeeperError, OSError) as exc:  # a port that was free may be taken a moment later
        sys.stderr.write(f"error: {exc}\n")
        return 1
    return 0


def _serve(functions: Mapping[int, Function], settings: Settings, env: Mapping[str, str], services: Services) -> None:
    """Run the functions, each on its port, and call them on schedule, until it is time to stop."""
    terminal = _open_terminal(env)
    wait = catch_interrupts()
    stopping = threading.Event()
    processes: list[FunctionProcess] = []
    schedulers: list[threading.Thread] = []
    try:
        for port, function in functions.items():
            processes.append(FunctionProcess(function, port, env=env, show=partial(terminal.show, function.name)))
        if all(process.wait_until_healthy(wait) for process in processes):
            terminal.write(introduction(processes, settings, env, services))
            for process in processes:
                process.keep_running()
                if process.function.scheduler_job is not None:
                    schedulers.append(_start_scheduler(process, process.function.scheduler_job, settings, stopping))
            wait(None)
        log.info("Stopping; Ctrl-C again ends everything at once")
    finally:
        stopping.set()
        _stop(processes, wait)
        for scheduler in schedulers:
            scheduler.join()


def _with_access(env: Mapping[str, str]) -> Mapping[str, str]:
    """Let the stand-ins in: by CRON_SECRET, or where nothing is asked for, without authentication."""
    read = Environment(env)
    if not read.text("AUTH_MODE") and not read.text("CRON_SECRET"):
        return {**env, "AUTH_MODE": AuthMode.OFF}
    auth = Settings.from_env(env).auth
    if auth.mode is not AuthMode.OFF and not auth.cron_secret:
        raise InvalidSettings(
            f"AUTH_MODE is {auth.mode}, and the stand-in for Cloud Scheduler cannot sign Google's tokens: "
            "set CRON_SECRET too, to any secret word, or set AUTH_MODE=off"
        )
    return env


def _free_ports(env: Mapping[str, str], count: int) -> list[int]:
    """Give consecutive ports from DEV_PORT on. Raises PortTaken, naming the first one that cannot be used."""
    read = Environment(env)
    first = read.number("DEV_PORT", 8081, least=1, most=65_000)
    read.refuse_problems()
    ports = list(range(first, first + count))
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as exc:
            raise PortTaken(
                f"port {port} cannot be used ({os.strerror(exc.errno or 0)}): end the program that has it, perhaps "
                f"another `watchkeeper dev`, or choose another port, e.g. DEV_PORT={first + 100}"
            ) from exc
    return ports


def _prepare_store(settings: Settings) -> None:
    """See that the store can be read, and put an example into a job file that does not exist yet, to be run at once.

    Raises StoreUnavailable.
    """
    store = open_store(settings, clock)
    store.page(limit=1)
    if settings.storage == "json" and not settings.json_path.exists():
        jobs = Jobs(store, clock=clock, handlers={}, retention=settings.retention)
        message = f"Hello! I am an example and run every minute; `watchkeeper jobs cancel {EXAMPLE_JOB}` ends me"
        jobs.schedule("log", {"message": message}, id=EXAMPLE_JOB, cron="* * * * *", by=USER)
        jobs.run(EXAMPLE_JOB, by=USER)


def _open_terminal(env: Mapping[str, str]) -> Terminal:
    terminal = Terminal(sys.stdout, colour=sys.stdout.isatty() and not env.get("NO_COLOR"))
    own_logs = logging.getLogger("watchkeeper")
    own_logs.addHandler(terminal)
    own_logs.setLevel(logging.INFO)
    return terminal


def _start_scheduler(
    process: FunctionProcess, job: SchedulerJob, settings: Settings, stopping: threading.Event
) -> threading.Thread:
    headers = {"Authorization": f"Bearer {secret}"} if (secret := settings.auth.cron_secret) else {}
    scheduler = CloudScheduler(job, process.address, headers=headers, clock=clock, wait=stopping.wait)
    thread = threading.Thread(target=_call_now_and_on_schedule, args=[scheduler])
    thread.start()
    return thread


def _call_now_and_on_schedule(scheduler: CloudScheduler) -> None:
    scheduler.run_now()
    scheduler.run()


def _stop(processes: Sequence[FunctionProcess], wait: Wait) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    while any(process.is_running for process in processes) and time.monotonic() < deadline:
        # Only a second Ctrl-C means "at once": a terminal that is closed may send its SIGHUP twice.
        if wait(POLL_SECONDS) == signal.SIGINT:
            break
    for process in processes:
        process.kill()
