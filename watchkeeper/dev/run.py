"""`watchkeeper dev`: every function on this machine, a fake of each service around them, and the console."""

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from shared.errors import InvalidSettings, WatchkeeperError
from shared.handlers import Handlers, load_handlers
from shared.jobs import Jobs
from shared.model.job import Job
from shared.model.value import Status
from shared.settings import PROJECT_FOLDER, AuthMode, Environment, Settings
from shared.store.opening import open_store
from shared.store.protocol import Change, Store
from watchkeeper.console.banner import banner
from watchkeeper.console.system import System
from watchkeeper.deploy.functions_table import Function, read_functions
from watchkeeper.deploy.staging import StagedCode
from watchkeeper.dev.cloud_scheduler import CloudScheduler
from watchkeeper.dev.firestore_emulator import running_emulator
from watchkeeper.dev.function_process import POLL_SECONDS, STOP_SECONDS, FunctionProcess
from watchkeeper.dev.instances import MOST_INSTANCES, RUN_JOB, Instances
from watchkeeper.dev.interrupts import Wait, catch_interrupts
from watchkeeper.dev.queues import read_queues
from watchkeeper.dev.reload import load_handlers_again, reload_on_change
from watchkeeper.dev.run_now import AskedFor, call_when_asked, watch_file
from watchkeeper.dev.terminal import Terminal
from watchkeeper.fakes.services import FAKES, Queues, Services, Worker, running_fakes
from watchkeeper.logbook import Logbook, log_path
from watchkeeper.session import EMULATOR, is_billed, place_of_jobs

log = logging.getLogger("watchkeeper.dev")

JOIN_SECONDS = 2
EXAMPLE_JOB = "example-hello"
USER = "watchkeeper dev"
KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"

clock = partial(datetime.now, UTC)


class PortTaken(WatchkeeperError):
    """A port cannot be used; the message has the port and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What runs where: the function of each process by port, and the ports of the console and the fakes.

    run_job has several processes, its `instances`; `worker` is None without it.
    """

    console: int
    functions: Mapping[int, Function]
    fakes: Sequence[int]
    instances: Instances
    worker: Worker | None


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What to run, and what it works with."""

    layout: Layout
    env: dict[str, str]
    settings: Settings
    jobs: Jobs
    handlers: Handlers
    services: Services


def run(env: Mapping[str, str], storage: str | None = None) -> int:
    """Run it all until Ctrl-C, SIGTERM or SIGHUP, and leave nothing behind. Call it in the main thread.

    A `storage` of "firestore" means the emulator, which is started unless FIRESTORE_EMULATOR_HOST names one. Return the
    exit code: 0, or 1 if something cannot start; stderr then has the reason in one line.
    """
    try:
        env = _with_access(_with_storage(env, storage))
        settings = Settings.from_env(env)
        layout = _layout(env)
        handlers = load_handlers(settings.handler_modules)
        with ExitStack() as stack:
            if storage == "firestore" and not Environment(env).text(EMULATOR):
                env = {**env, EMULATOR: stack.enter_context(running_emulator())}
                os.environ[EMULATOR] = env[EMULATOR]  # where the Firestore client of this process looks for it
            store = open_store(settings, clock)
            is_new = _is_new(store, settings, env)
            services = stack.enter_context(running_fakes(env, layout.fakes, layout.worker))
            if key := services.settings.get(KEY_FILE):
                os.environ[KEY_FILE] = key  # where this process looks for it, to take a task out of its queue
            env = _with_whole_paths({**env, **services.settings}, settings)
            settings = Settings.from_env(env)
            jobs = _open_jobs(store, settings, handlers, is_new=is_new)
            if "Cloud Tasks" in services.addresses and not is_billed(settings, env):
                _empty_queues(store, jobs)
            setup = Setup(
                layout=layout,
                env=env,
                settings=settings,
                jobs=jobs,
                handlers=handlers,
                services=services,
            )
            _serve(setup)
    except (WatchkeeperError, OSError) as exc:  # a port that was free may be taken a moment later
        sys.stderr.write(f"error: {exc}\n")
        return 1
    return 0


def processes_of(functions: Sequence[Function], queues: Queues) -> list[Function]:
    """Return the function of each process: run_job, at the end, as often as jobs of the queues may run at once."""
    most = min(sum(limits.max_concurrent for limits, _ in queues.values()), MOST_INSTANCES)
    workers = [function for function in functions if function.name == RUN_JOB] * most
    return [function for function in functions if function.name != RUN_JOB] + workers


def _layout(env: Mapping[str, str]) -> Layout:
    """Choose the ports: the console, the functions, the fakes, and then the instances of run_job."""
    queues = read_queues()
    functions = processes_of(read_functions(env), queues)
    count = sum(function.name != RUN_JOB for function in functions)
    console, *ports = _free_ports(env, 1 + len(functions) + FAKES)
    own_ports, worker_ports = ports[:count], ports[count + FAKES :]
    instances = Instances([f"127.0.0.1:{port}" for port in worker_ports])
    url = f"http://127.0.0.1:{worker_ports[0]}" if worker_ports else ""
    return Layout(
        console=console,
        functions=dict(zip([*own_ports, *worker_ports], functions, strict=True)),
        fakes=ports[count : count + FAKES],
        instances=instances,
        worker=Worker(url=url, queues=queues, address_of=instances.address_of) if url else None,
    )


def _serve(setup: Setup) -> None:
    """Run the functions, each on its port, with all that belongs to them, until a signal."""
    terminal = _open_terminal(setup.env)
    logbook = Logbook(log_path(setup.settings))
    wait = catch_interrupts()
    stopping = threading.Event()
    processes: list[FunctionProcess] = []
    with tempfile.TemporaryDirectory(prefix="watchkeeper-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        try:
            for port, function in setup.layout.functions.items():
                # Each instance of run_job has a copy of its own, since each is reloaded by itself.
                root = Path(folder, f"on-{port}" if function.name == RUN_JOB else "").resolve()
                root.mkdir(exist_ok=True)
                code = StagedCode(function, root)
                show = partial(_show, terminal, logbook, function.name)
                env = setup.env | setup.services.worker_settings if function.name == RUN_JOB else setup.env
                processes.append(FunctionProcess(code, port, env=env, show=show))
            if all(process.wait_until_healthy(wait) for process in processes):
                stack.enter_context(_surroundings(setup, processes, terminal, stopping))
                wait(None)
            log.info("Stopping; Ctrl-C again ends everything at once")
        finally:
            stopping.set()
            setup.layout.instances.close()
            _stop(processes, wait)


@contextmanager
def _surroundings(
    setup: Setup, processes: Sequence[FunctionProcess], terminal: Terminal, stopping: threading.Event
) -> Iterator[None]:
    """Print the banner, serve the console, call the functions now and on schedule, restart and reload them.

    When it ends, `stopping` is set already.
    """
    schedulers = _schedulers(setup, processes, stopping)
    asked = AskedFor(setup.jobs, watch) if (watch := _store_watch(setup)) else None
    system = _system(setup, processes, schedulers)
    with _console(system, setup.layout.console):
        terminal.write(banner(system, setup.layout.console, setup.settings, setup.env))
        for process in processes:
            process.keep_running()
        threads = [_start(_call_now_and_on_schedule, scheduler) for scheduler in schedulers.values()]
        if asked is not None:
            threads.append(_start(call_when_asked, asked, schedulers["tick"].run_beside, stopping.wait))
        for process in processes:
            is_tick = process.function.name == "tick"  # it has the handlers; once is enough
            then = partial(load_handlers_again, setup.settings.handler_modules) if is_tick else lambda: None
            threads.append(_start(reload_on_change, process, stopping.wait, then))
        try:
            yield
        finally:
            for thread in threads:
                thread.join(JOIN_SECONDS)


def _store_watch(setup: Setup) -> Callable[[], bool] | None:
    """Return how to see that somebody asked for a job: watch the file, or query the emulator.

    None for the real Firestore, which bills each query.
    """
    if setup.settings.storage == "json":
        return watch_file(setup.settings.json_path)
    return (lambda: True) if setup.env.get(EMULATOR) else None


def _schedulers(
    setup: Setup, processes: Sequence[FunctionProcess], stopping: threading.Event
) -> dict[str, CloudScheduler]:
    return {
        process.function.name: CloudScheduler(
            process.function.scheduler_job,
            process.address,
            headers=_headers(setup.settings),
            clock=clock,
            wait=stopping.wait,
            until_ready=process.wait_while_restarting,
        )
        for process in processes
        if process.function.scheduler_job is not None
    }


def _system(setup: Setup, processes: Sequence[FunctionProcess], schedulers: Mapping[str, CloudScheduler]) -> System:
    return System(
        jobs=setup.jobs,
        handlers=setup.handlers,
        clock=clock,
        timezone=setup.settings.timezone,
        place=place_of_jobs(setup.settings, setup.env),
        functions=_addresses(processes),
        headers=_headers(setup.settings),
        schedules={
            function.name: function.scheduler_job
            for function in setup.layout.functions.values()
            if function.scheduler_job
        },
        services=setup.services.told(),
        last_call=lambda name: schedulers[name].last_call if name in schedulers else None,
        call=lambda name: schedulers[name].run_now(),
        is_read_only=False,
        is_billed=is_billed(setup.settings, setup.env),
        log_file=log_path(setup.settings),
    )


def _addresses(processes: Sequence[FunctionProcess]) -> dict[str, str]:
    """Return the address of each function; of several processes the first counts."""
    addresses: dict[str, str] = {}
    for process in processes:
        addresses.setdefault(process.function.name, f"http://{process.address}")
    return addresses


@contextmanager
def _console(system: System, port: int) -> Iterator[None]:
    from watchkeeper.console.app import READ_AHEAD, create_console
    from watchkeeper.serving import bind, serving

    app = create_console(system)
    with serving(bind(app, port)):
        if not system.is_billed:
            _start(app.extensions[READ_AHEAD])
        yield


def _with_storage(env: Mapping[str, str], storage: str | None) -> Mapping[str, str]:
    if storage == "firestore":  # the emulator, then; it takes any project
        env = {**env, "GOOGLE_CLOUD_PROJECT": Environment(env).text("GOOGLE_CLOUD_PROJECT", "demo")}
    return {**env, "SCHEDULER_STORAGE": storage} if storage else env


def _with_whole_paths(env: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return `env` with absolute paths, so that a function finds the files from the folder where it runs."""
    read, paths = Environment(env), {"SCHEDULER_JSON_PATH": str(settings.json_path)}
    relative = {"GCP_SERVICE_ACCOUNT_JSON_PATH": PROJECT_FOLDER, KEY_FILE: Path.cwd()}
    for name, folder in relative.items():
        if (text := read.text(name)) and os.path.exists(folder / text):
            paths[name] = str(folder / text)
    return {**env, **paths}


def _with_access(env: Mapping[str, str]) -> Mapping[str, str]:
    """Let the fakes call the functions: with CRON_SECRET, or without authentication if none is configured."""
    auth = Settings.from_env(env).auth
    if not Environment(env).text("AUTH_MODE") and not auth.cron_secret:
        return {**env, "AUTH_MODE": AuthMode.OFF}
    if auth.mode is not AuthMode.OFF and not auth.cron_secret:
        raise InvalidSettings(
            f"AUTH_MODE is {auth.mode}, and the fake of Cloud Scheduler cannot sign Google's tokens: "
            "set CRON_SECRET too (make one with: openssl rand -hex 24), or set AUTH_MODE=off"
        )
    return env


def _free_ports(env: Mapping[str, str], count: int) -> list[int]:
    """Return consecutive ports from DEV_PORT on. Raises PortTaken, naming the first one that cannot be used."""
    read = Environment(env)
    first = read.number("DEV_PORT", 8080, least=1, most=65_000)
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


def _is_new(store: Store, settings: Settings, env: Mapping[str, str]) -> bool:
    """Return whether a file does not exist yet, or an emulator is empty. Raises StoreUnavailable."""
    is_empty = not store.page(limit=1)
    return not settings.json_path.exists() if settings.storage == "json" else is_empty and bool(env.get(EMULATOR))


def _open_jobs(store: Store, settings: Settings, handlers: Handlers, *, is_new: bool) -> Jobs:
    """Open the jobs, and add an example to a new store, due at once."""
    jobs = Jobs(
        store,
        clock=clock,
        handlers=handlers,
        retention=settings.retention,
        timezone=settings.timezone,
        queues=settings.queues,
    )
    if is_new:
        message = "Hello! I am an example, and run every minute until I am cancelled"
        jobs.schedule("log", {"message": message}, id=EXAMPLE_JOB, cron="* * * * *", by=USER)
        jobs.run(EXAMPLE_JOB, by=USER)
    return jobs


def _empty_queues(store: Store, jobs: Jobs) -> None:
    """Make the jobs ready that waited in a queue of an earlier run, since the queue ended with it."""
    waiting = [job for job in jobs.list(status=Status.RUNNING) if isinstance(job, Job) and job.handed_over is not None]
    store.swap([Change(job, job.give_back(now=clock(), due_at=job.due_at)) for job in waiting])


def _show(terminal: Terminal, logbook: Logbook, source: str, line: str) -> None:
    terminal.show(source, line)
    logbook.write(source, line)


def _open_terminal(env: Mapping[str, str]) -> Terminal:
    terminal = Terminal(sys.stdout, colour=sys.stdout.isatty() and not env.get("NO_COLOR"))
    own_logs = logging.getLogger("watchkeeper")
    own_logs.addHandler(terminal)
    own_logs.setLevel(logging.INFO)
    return terminal


def _headers(settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"} if (secret := settings.auth.cron_secret) else {}


def _start(target: Callable[..., object], *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
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
