"""A local run as a person starts and ends it: real processes, none of which is left behind."""

import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.jobs import Jobs
from shared.model.job import Job
from shared.model.value import Status
from shared.settings import PROJECT_FOLDER
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.dev.firestore_emulator import EmulatorMissing, find_emulator
from watchkeeper.dev.function_process import STOP_SECONDS
from watchkeeper.dev.instances import RUN_JOB
from watchkeeper.dev.queues import read_queues
from watchkeeper.dev.run import EXAMPLE_JOB, processes_of
from watchkeeper.fakes.airtable import BASE, WEBHOOK
from watchkeeper.fakes.services import FAKES
from watchkeeper.logbook import lines_of

PATIENCE = 20  # seconds for whatever is waited for
EMULATOR_PATIENCE = 60
HELLO = "Hello! I am an example"
SUBSCRIPTIONS = ("subscription:gmail:agent@example.com", f"subscription:airtable:{BASE}:{WEBHOOK}")
PROCESSES = len(processes_of(read_functions({}), read_queues()))
# Job types that run long: one until it has to stop, one that ignores the stop.
SLOW_HANDLERS = """
import logging, time
from shared.handlers import handler

@handler("patient")
def patient(payload, context):
    logging.getLogger("watchkeeper.test").info("patient has begun")
    context.stop.wait(30)

@handler("deaf")
def deaf(payload, context):
    logging.getLogger("watchkeeper.test").info("deaf has begun")
    time.sleep(30)
"""
# Job types that are handed over: one that takes its time, and one that outlives its limit.
QUEUED_HANDLERS = """
import logging, time
from datetime import timedelta
from shared.handlers import handler

log = logging.getLogger("watchkeeper.test")

@handler("study", timeout=timedelta(minutes=20), queue="agents")
def study(payload, context):
    log.info("%s has begun", context.job_id)
    if context.stop.wait(600):
        raise RuntimeError("stopped")

@handler("overlong", timeout=timedelta(seconds=1), queue="agents")
def overlong(payload, context):
    log.info("overlong has begun")
    time.sleep(60)
"""
# A job type that tells where it runs, and what it sees of the project there.
CURIOUS_HANDLERS = """
import importlib.util, logging, os, sys
import shared
from shared.handlers import handler

@handler("curious")
def curious(payload, context):
    here = os.getcwd()
    is_staged = sys.path[0] == here and shared.__file__.startswith(here)
    is_alone = not any(map(importlib.util.find_spec, ("tests", "watchkeeper")))
    logging.getLogger("watchkeeper.test").info("runs in %s staged=%s alone=%s", here, is_staged, is_alone)
"""
NEW_HANDLERS = """
import logging
from shared.handlers import handler

@handler("new")
def new(payload, context):
    logging.getLogger("watchkeeper.test").info("%s")
"""


class Run:
    """A local run of a project, in its own process in `folder`, with a job file and the temporary files there."""

    def __init__(self, folder: Path, project: Path, storage: str | None, settings: dict[str, str]) -> None:
        self.console = free_port()
        self.port = self.console + 1  # of the first function
        self.output = ""
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder),
            "SCHEDULER_JSON_PATH": str(folder / "jobs.json"),
            "DEV_PORT": str(self.console),
            "TMPDIR": str(self.temporary),
            **settings,
        }
        code = f"import os, sys; sys.path.insert(0, {str(project)!r}); from watchkeeper.dev.run import run"
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{code}; sys.exit(run(os.environ, {storage!r}))"],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Read its output until it says `text`."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while text not in self.output:
            ready, _, _ = select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))
            news = os.read(self.process.stdout.fileno(), 65536).decode() if ready else ""
            assert news, f"{text!r} did not come:\n{self.output}"
            self.output += news

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def rest(self) -> str:
        """Return the output of a run that ends by itself."""
        rest, _ = self.process.communicate(timeout=PATIENCE)
        return self.output + rest.decode()

    def call(self, method: str, path: str, *, port: int = 0, **headers: str) -> int:
        """Call the tick function, or what is at another port, and return the status."""
        connection = HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def is_healthy(self) -> bool:
        """Return whether the tick function answers."""
        try:
            return self.call("GET", "/health") == HTTPStatus.OK
        except OSError:
            return False

    def function_groups(self) -> set[int]:
        """Return the process groups of the functions that run."""
        return {group for _, parent, group in processes() if parent == self.process.pid}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start a local run with the given settings; what still runs at the end of the test is killed."""
    runs: list[Run] = []

    def start(project: Path = PROJECT_FOLDER, storage: str | None = None, **settings: str) -> Run:
        runs.append(Run(tmp_path, project, storage, settings))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.communicate(timeout=PATIENCE)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """The jobs in the file of the local run."""
    clock = partial(datetime.now, UTC)
    return Jobs(JsonStore(tmp_path / "jobs.json", clock), clock=clock, handlers={}, retention=timedelta(days=1))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of this project, to be changed at will."""
    for name in ("agent", "functions", "shared", "watchkeeper"):
        shutil.copytree(PROJECT_FOLDER / name, tmp_path / "project" / name)
    shutil.copy(PROJECT_FOLDER / "functions.toml", tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def only(project: Path) -> Callable[..., Path]:
    """Return a project with only these functions, because the others would take time to start."""

    def only(*names: str) -> Path:
        keep_functions(project / "functions.toml", *names)
        return project

    return only


@pytest.fixture
def tick_alone(only: Callable[..., Path]) -> Path:
    """A project whose one function is the tick."""
    return only("tick")


@pytest.fixture
def with_queue(only: Callable[..., Path], tmp_path: Path) -> Path:
    """A project whose functions are the tick and run_job, and handlers whose jobs are handed over."""
    (tmp_path / "queued.py").write_text(QUEUED_HANDLERS)
    return only("tick", RUN_JOB)


def keep_functions(table: Path, *names: str) -> None:
    """Remove all other functions from the table, because they would take time to start."""
    sections = re.split(r"^(?=\[)", table.read_text(), flags=re.MULTILINE)
    removed = re.compile(rf"\[functions\.(?!({'|'.join(names)})[].])")
    table.write_text("".join(section for section in sections if not removed.match(section)))
    assert {function.name for function in read_functions({}, table)} == set(names)


def free_port() -> int:
    """Return the first of as many free ports as a run needs, below those that the system assigns."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), ExitStack() as stack:
            for following in range(port, port + 1 + PROCESSES + FAKES):
                stack.enter_context(socket.create_server(("127.0.0.1", following)))
            return port
    raise AssertionError("there are no free ports")


def processes() -> Iterator[tuple[int, int, int]]:
    """Return id, parent and group of each process that is alive; a zombie is not."""
    for pid, state, parent, group in _from_proc() if Path("/proc/self/stat").exists() else _from_ps():
        if not state.startswith("Z"):
            yield int(pid), int(parent), int(group)


def _from_proc() -> Iterator[list[str]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            yield [stat.parent.name, *stat.read_text(errors="replace").rpartition(")")[2].split()[:3]]


def _from_ps() -> Iterator[list[str]]:
    command = ["ps", "-A", "-o", "pid=,stat=,ppid=,pgid="]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        yield line.split()


def until(condition: Callable[[], bool]) -> bool:
    """Wait for the condition, for a limited time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def nothing_is_left(groups: set[int], port: int) -> bool:
    """Return whether all processes of the groups are gone and the port can be used again."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return not any(group in groups for _, _, group in processes())


def is_due(jobs: Jobs, job_id: str) -> bool:
    """Return whether the time of a job has come."""
    return jobs.get(job_id).is_due(datetime.now(UTC))


def waiting_of(jobs: Jobs, names: Iterable[str]) -> list[str]:
    """Return which of these jobs wait in a queue."""
    return [name for name in names if jobs.get(name).handed_over is not None]


def tasks_at(fake: str) -> list[dict[str, Any]]:
    """Return the tasks of the fake of Cloud Tasks that is at this address."""
    queues = requests.get(f"{fake}/stand-in", timeout=PATIENCE).json()["state"]["queues"]
    return [task for queue in queues.values() for task in queue["tasks"]]


def test_the_first_start_runs_an_example_until_it_is_told_to_end(start: Callable[..., Run], tmp_path: Path) -> None:
    """After Ctrl-C it ends with success, stops its processes, and leaves only jobs, history and log."""
    home = tmp_path / "home"
    home.mkdir()
    run = start(HOME=str(home))
    run.wait_for(HELLO)
    groups = run.function_groups()

    code = run.end(signal.SIGINT)

    assert code == 0
    assert len(groups) == PROCESSES
    assert until(partial(nothing_is_left, groups, run.port))
    assert [*run.temporary.iterdir(), *home.iterdir()] == []
    (said, *_) = (each for each in lines_of(tmp_path / "jobs_log.jsonl", EXAMPLE_JOB) if HELLO in each.message)
    assert (said.source, said.fields["attempt"]) == ("tick", 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_whatever_asks_it_to(start: Callable[..., Run], tick_alone: Path, number: signal.Signals) -> None:
    """A service manager or a closed terminal ends it as Ctrl-C does."""
    run = start(tick_alone)
    run.wait_for(HELLO)
    groups = run.function_groups()

    code = run.end(number)

    assert code == 0
    assert len(groups) == 1
    assert until(partial(nothing_is_left, groups, run.port))
    assert [*run.temporary.iterdir()] == []


def test_a_run_that_is_killed_leaves_nothing_behind(start: Callable[..., Run], with_queue: Path) -> None:
    """It cannot clean up, so its functions end by themselves."""
    run = start(with_queue)
    run.wait_for(HELLO)
    groups = run.function_groups()

    run.end(signal.SIGKILL)

    assert until(partial(nothing_is_left, groups, run.port))


def test_an_example_that_was_deleted_does_not_come_back(
    start: Callable[..., Run], tick_alone: Path, jobs: Jobs
) -> None:
    """The example is only for the very first start: an existing job file, even an empty one, gets none."""
    jobs.schedule("log", id=EXAMPLE_JOB)
    jobs.delete(EXAMPLE_JOB)

    start(tick_alone).wait_for("Scheduler tick completed")

    assert list(jobs.list()) == []


def test_the_secret_opens_the_functions(start: Callable[..., Run], tick_alone: Path, jobs: Jobs) -> None:
    """With CRON_SECRET the fake and other callers that know it are accepted; a job that was added meanwhile runs."""
    run = start(tick_alone, CRON_SECRET="hush-hush-hush-hush", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")
    jobs.schedule("log", {"message": "Good morning"})

    without_secret = run.call("POST", "/")
    with_secret = run.call("POST", "/", authorization="Bearer hush-hush-hush-hush")

    assert (without_secret, with_secret) == (401, 200)
    run.wait_for("Good morning")


def test_a_newcomer_sees_subscriptions_renewed(
    start: Callable[..., Run], only: Callable[..., Path], jobs: Jobs
) -> None:
    """Without any setting all services are fakes, as the terminal says, and renewals come at once."""
    run = start(only("tick", "gmail_watch", "airtable_refresh"))

    run.wait_for("in the file jobs.json\n")
    run.wait_for("Renewed the Gmail watch of agent@example.com")
    run.wait_for(f"Renewed the Airtable webhook {WEBHOOK} of {BASE}")

    assert [f"{service:<16} a FAKE" in run.output for service in ("Gmail", "Airtable", "Chat")] == [True] * 3
    assert until(lambda: all(jobs.get(job_id).status is Status.PENDING for job_id in SUBSCRIPTIONS))


def test_the_console_is_where_the_terminal_says(start: Callable[..., Run], only: Callable[..., Path]) -> None:
    """The page is on the first port, and calls a function through the fake of Cloud Scheduler."""
    run = start(only("tick", "gmail_watch"), CRON_SECRET="hush-hush-hush-hush")
    run.wait_for(f"open http://127.0.0.1:{run.console}\n")
    own = {"origin": f"http://127.0.0.1:{run.console}", "content-type": "application/json"}

    page = run.call("GET", "/", port=run.console)
    call = run.call("POST", "/api/call/gmail_watch", port=run.console, **own)

    assert (page, call) == (200, 200)
    run.wait_for("Renewed the Gmail watch of agent@example.com")


def test_no_page_of_another_website_gets_in(start: Callable[..., Run]) -> None:
    """A browser on this machine sends requests for any page, by another origin or a rebound name: all are refused."""
    run = start()
    run.wait_for(HELLO)
    about = requests.get(f"http://127.0.0.1:{run.console}/api/about", timeout=PATIENCE).json()
    addresses = [each["address"] for each in about["functions"] + about["services"] if each["address"]]
    ports = [run.console, *(int(address.rpartition(":")[2]) for address in addresses)]
    foreign: list[dict[str, str]] = [
        {"origin": "https://evil.example", "content-type": "text/plain"},
        {"host": "evil.example", "content-type": "application/json"},
    ]

    changes = {run.call("POST", "/", port=port, **headers) for port in ports for headers in foreign}
    looks = {run.call("GET", "/health", port=port, **headers) for port in ports[1:] for headers in foreign}

    assert (changes, looks) == ({403}, {403})


def test_what_is_asked_for_runs_within_a_second(
    start: Callable[..., Run], tick_alone: Path, jobs: Jobs, tmp_path: Path
) -> None:
    """By a command, by Python and in the console, also during a tick. No tick is scheduled here."""
    (tmp_path / "slow.py").write_text(SLOW_HANDLERS)
    run = start(tick_alone, JOB_HANDLERS="slow", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")
    page = f"http://127.0.0.1:{run.console}"
    jobs.schedule("log", {"message": "Later"}, id="later", after=timedelta(days=1))
    jobs.schedule("log", {"message": "Again"}, id="again", cron="0 0 1 1 *")

    jobs.schedule("patient", id="slow")
    run.wait_for("patient has begun")
    jobs.schedule("log", {"message": "Added"}, id="added")
    run.wait_for("Job added completed")
    env = {"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", "from watchkeeper.cli.main import main; main()", "jobs", "run", "later"]
    subprocess.run(command, cwd=PROJECT_FOLDER, env=env, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
    run.wait_for("Job later completed")
    clicked = requests.post(f"{page}/api/jobs/again/run", json={}, headers={"Origin": page}, timeout=PATIENCE)
    run.wait_for("Job again completed")

    ran = [jobs.get(job_id).recent_runs[-1] for job_id in ("added", "later", "again")]
    lateness = [each.started_at - each.schedule_at for each in ran if each.started_at is not None]
    assert clicked.status_code == 200
    assert len(lateness) == 3
    assert sorted(lateness)[1] < timedelta(seconds=1)
    assert max(lateness) < timedelta(seconds=5)  # on a busy machine
    assert jobs.get("slow").status is Status.RUNNING


def test_a_function_runs_as_it_would_be_deployed(
    start: Callable[..., Run], tick_alone: Path, jobs: Jobs, tmp_path: Path
) -> None:
    """Its folder is a temporary one with the uploaded files, and it sees nothing else of the project."""
    (tmp_path / "curiosity.py").write_text(CURIOUS_HANDLERS)
    jobs.schedule("curious")
    run = start(tick_alone, JOB_HANDLERS="curiosity")

    run.wait_for(f"runs in {run.temporary.resolve()}/watchkeeper-")
    run.wait_for("staged=True alone=True")


def test_files_that_the_settings_name_are_found_from_there(
    start: Callable[..., Run], only: Callable[..., Path], jobs: Jobs
) -> None:
    """Relative paths in the settings are still relative to the project."""
    project = only("tick", "gmail_watch")
    (project / "key.json").write_text("{}")
    jobs.schedule("log", {"message": "Good morning"})
    run = start(project, SCHEDULER_JSON_PATH="../jobs.json", GCP_SERVICE_ACCOUNT_JSON_PATH="key.json")

    run.wait_for("Good morning")
    run.wait_for("it must be the key file of a service account, as Google made it")


def test_a_function_is_loaded_again_when_its_code_changes(
    start: Callable[..., Run], only: Callable[..., Path], jobs: Jobs
) -> None:
    """Code that cannot be imported is reported and not run; no other function restarts or is reported dead."""
    project = only("tick", "chat_webhook", "gmail_watch")
    handlers = project / "agent" / "handlers.py"
    run = start(project, SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")

    handlers.write_text("def oops(:\n")
    run.wait_for("The tick function keeps running its old code (agent/handlers.py changed): ")
    run.wait_for("SyntaxError: invalid syntax (handlers.py, line 1) (agent/handlers.py, line 1)\n")
    status_meanwhile = run.call("POST", "/")
    handlers.write_text(NEW_HANDLERS % "Brand new")
    run.wait_for("The tick function was reloaded (agent/handlers.py changed)")
    run.wait_for("The chat_webhook function was reloaded (agent/handlers.py changed)")
    types = requests.get(f"http://127.0.0.1:{run.console}/api/about", timeout=PATIENCE).json()["types"]
    jobs.schedule("new")
    status = run.call("POST", "/")
    run.wait_for("Brand new")

    assert (status_meanwhile, status) == (200, 200)
    assert "new" in [each["name"] for each in types]  # the console offers it
    assert "gmail_watch function was" not in run.output
    assert "function ended" not in run.output
    assert until(lambda: len(list(run.temporary.glob("watchkeeper-*/tick-*"))) == 1)


def test_a_job_that_runs_is_let_finish_before_its_function_is_loaded_again(
    start: Callable[..., Run], tick_alone: Path, jobs: Jobs
) -> None:
    """The old process ends as on Cloud Run, and its open call is answered."""
    (tick_alone / "agent" / "handlers.py").write_text(SLOW_HANDLERS)
    jobs.schedule("patient", id="slow")
    run = start(tick_alone)
    run.wait_for("patient has begun")

    with (tick_alone / "functions" / "tick" / "main.py").open("a") as code:
        code.write("# changed\n")
    run.wait_for("The tick function was reloaded (functions/tick/main.py changed)")

    assert jobs.get("slow").status is Status.COMPLETED
    assert "Cloud Scheduler's call of watchkeeper-tick failed" not in run.output
    assert run.is_healthy()


@pytest.mark.emulator
def test_jobs_are_kept_in_the_emulator_when_asked_for(start: Callable[..., Run], tick_alone: Path) -> None:
    """The emulator is started, used by the functions and shown to the person, and ends with the run."""
    try:
        find_emulator()
    except EmulatorMissing as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    run = start(tick_alone, storage="firestore")
    run.wait_for("in the Firestore emulator at 127.0.0.1:", EMULATOR_PATIENCE)
    run.wait_for("SCHEDULER_STORAGE=firestore GOOGLE_CLOUD_PROJECT=demo FIRESTORE_EMULATOR_HOST=127.0.0.1:")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")
    groups = run.function_groups()

    code = run.end(signal.SIGINT)

    assert code == 0
    assert len(groups) == 2
    assert until(partial(nothing_is_left, groups, run.port))


def test_an_emulator_that_is_not_installed_is_an_error(start: Callable[..., Run], tmp_path: Path) -> None:
    """One line has what is missing and where to get it."""
    run = start(storage="firestore", PATH=str(tmp_path))

    output = run.rest()

    assert run.process.returncode == 1
    assert output.startswith("error: the Firestore emulator needs gcloud: https://")
    assert output.count("\n") == 1


def test_a_function_that_dies_is_started_again(start: Callable[..., Run], tick_alone: Path) -> None:
    """The run says that the function died, and then the function answers again."""
    run = start(tick_alone)
    run.wait_for(HELLO)
    groups = run.function_groups()

    os.kill(min(groups), signal.SIGKILL)  # the first that was started

    run.wait_for("The tick function ended (signal 9) and is started again in 1 s")
    assert until(run.is_healthy)
    assert run.function_groups() - groups


def test_a_job_that_listens_is_let_finish(
    start: Callable[..., Run], tick_alone: Path, jobs: Jobs, tmp_path: Path
) -> None:
    """The end reaches a running handler as a request to stop, and what it came to is recorded.

    A terminal that is closed may say so twice; that is no reason to hurry.
    """
    (tmp_path / "slow.py").write_text(SLOW_HANDLERS)
    jobs.schedule("patient", id="slow")
    run = start(tick_alone, JOB_HANDLERS="slow")
    run.wait_for("patient has begun")

    run.process.send_signal(signal.SIGHUP)
    run.wait_for("Stopping")
    code = run.end(signal.SIGHUP)

    assert code == 0
    assert jobs.get("slow").status is Status.COMPLETED


def test_a_second_ctrl_c_ends_a_job_that_does_not_listen(
    start: Callable[..., Run], tick_alone: Path, jobs: Jobs, tmp_path: Path
) -> None:
    """A person who does not want to wait ends everything at once; the job's lease ends by itself."""
    (tmp_path / "slow.py").write_text(SLOW_HANDLERS)
    jobs.schedule("deaf", id="slow")
    run = start(tick_alone, JOB_HANDLERS="slow")
    run.wait_for("deaf has begun")
    groups = run.function_groups()

    run.process.send_signal(signal.SIGINT)
    run.wait_for("Stopping")
    asked_again_at = time.monotonic()
    code = run.end(signal.SIGINT)

    assert code == 0
    assert time.monotonic() - asked_again_at < STOP_SECONDS / 2
    assert until(partial(nothing_is_left, groups, run.port))
    assert jobs.get("slow").status is Status.RUNNING


@pytest.mark.parametrize("offset", [pytest.param(0, id="console"), pytest.param(PROCESSES + FAKES, id="last")])
def test_a_port_that_is_taken_is_named(start: Callable[..., Run], offset: int) -> None:
    """The error names the port and the setting that chooses another; nothing is started."""
    port = (first := free_port()) + offset
    with socket.create_server(("127.0.0.1", port)):
        run = start(DEV_PORT=str(first))
        output = run.rest()

    assert run.process.returncode == 1
    assert output.count("\n") == 1
    assert output.startswith(f"error: port {port} cannot be used (Address already in use)")
    assert "DEV_PORT" in output


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param({"AUTH_MODE": "verify"}, "cannot sign Google's tokens: set CRON_SECRET", id="no-way-in"),
        pytest.param({"DEV_PORT": "http"}, "DEV_PORT is 'http'", id="bad-port"),
        pytest.param({"SCHEDULER_CADENCE": "often"}, "SCHEDULER_CADENCE", id="bad-cadence"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(start: Callable[..., Run], settings: dict[str, str], says: str) -> None:
    """It does not start, and one line has the reason."""
    run = start(**settings)

    output = run.rest()

    assert run.process.returncode == 1
    assert output.count("\n") == 1
    assert output.startswith("error: ")
    assert says in output


def test_a_job_file_that_cannot_be_read_is_left_as_it_is(start: Callable[..., Run], tmp_path: Path) -> None:
    """It does not start over somebody's jobs."""
    (tmp_path / "jobs.json").write_text('{"counter": 1, "jo')

    run = start()
    output = run.rest()

    assert run.process.returncode == 1
    assert "jobs.json is not JSON" in output
    assert (tmp_path / "jobs.json").read_text() == '{"counter": 1, "jo'


def test_a_function_that_does_not_start_is_an_error_after_its_own_words(
    start: Callable[..., Run], tmp_path: Path
) -> None:
    """Python's own error is shown, and the run ends."""
    (tmp_path / "functions_framework.py").write_text("raise SystemExit('no such luck')")

    run = start()
    output = run.rest()

    assert run.process.returncode == 1
    assert output.endswith("no such luck\nerror: the tick function did not start; see its output above\n")


# -- What is handed over -----------------------------------------------------------------------------------------------


def test_a_job_of_many_minutes_delays_nobody(start: Callable[..., Run], with_queue: Path, jobs: Jobs) -> None:
    """Two of three long jobs run and one waits, while other jobs are due second by second, and each runs at once.

    A person sees which one waits, and at the end nothing is left, and what ran is ready again.
    """
    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")
    page = f"http://127.0.0.1:{run.console}"
    names = ("first", "second", "third")
    for name in names:
        jobs.schedule("study", id=name)
    assert until(lambda: sum(jobs.get(name).started_at is not None for name in names) == 2)
    minutes = [f"minute-{number}" for number in range(5)]
    for number, name in enumerate(minutes):
        jobs.schedule("log", {"message": name}, id=name, after=timedelta(seconds=1 + number))

    for name in minutes:
        assert until(partial(is_due, jobs, name))
        answer = requests.post(f"{page}/api/call/tick", json={}, headers={"Origin": page}, timeout=PATIENCE)
        assert answer.status_code == 200
        assert jobs.get(name).status is Status.COMPLETED

    ran = [jobs.get(name).recent_runs[-1] for name in minutes]
    lateness = [each.started_at - each.schedule_at for each in ran if each.started_at is not None]
    (waiting,) = waiting_of(jobs, names)
    shown = requests.get(f"{page}/api/jobs/{waiting}", timeout=PATIENCE).json()
    groups = run.function_groups()
    code = run.end(signal.SIGINT)

    assert max(lateness) < timedelta(seconds=2)
    assert shown["why"].startswith("It was handed over, and has been waiting in queue agents since ")
    assert f"{waiting} has begun" not in run.output
    assert len(groups) == 3
    assert code == 0
    assert until(partial(nothing_is_left, groups, run.port))
    assert {jobs.get(name).status for name in names if name != waiting} == {Status.PENDING}


def test_what_waited_in_the_queue_of_an_earlier_run_is_handed_over_again(
    start: Callable[..., Run], with_queue: Path, jobs: Jobs, tmp_path: Path
) -> None:
    """At once, although its lease has minutes left, and no holder counts as dead."""
    now, lease = datetime.now(UTC), timedelta(minutes=5)
    job = Job.create("waiting", "study", now=now)
    waited = job.claim(now=now, token="t", lease=lease, retention=lease, queue="agents")
    JsonStore(tmp_path / "jobs.json", lambda: now).swap([Change(None, waited)])

    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for("waiting has begun")

    assert (jobs.get("waiting").reclaims, jobs.get("waiting").recent_runs) == (0, ())


def test_a_process_that_a_handler_outlives_is_started_again(
    start: Callable[..., Run], with_queue: Path, jobs: Jobs
) -> None:
    """It answers, ends and is replaced: two more jobs run at once."""
    jobs.schedule("overlong", id="overlong")
    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")

    run.wait_for("This process ends after its answer")
    run.wait_for("Delivery of job overlong: retried")
    for name in ("next-a", "next-b"):
        jobs.schedule("study", id=name)

    for name in ("next-a", "next-b"):
        run.wait_for(f"{name} has begun")
    assert jobs.get("overlong").attempts == 1


def test_run_job_lets_in_the_fake_of_cloud_tasks_and_no_stranger(
    start: Callable[..., Run], with_queue: Path, jobs: Jobs
) -> None:
    """Where identities are checked, the fake's ID token is accepted."""
    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *", CRON_SECRET="hush-hush-hush-hush")
    run.wait_for("Scheduler tick completed")
    jobs.schedule("study", id="study")
    run.wait_for("study has begun")

    first_of_run_job = run.port + 1 + FAKES

    assert run.call("POST", "/", port=first_of_run_job) == 401


def test_a_task_is_taken_out_when_its_job_is_cancelled(start: Callable[..., Run], with_queue: Path, jobs: Jobs) -> None:
    """In the console, which links to the queues: only the running task is left."""
    run = start(with_queue, JOB_HANDLERS="queued", SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for("Scheduler tick completed")
    page = f"http://127.0.0.1:{run.console}"
    services = requests.get(f"{page}/api/about", timeout=PATIENCE).json()["services"]
    (fake,) = (service["address"] for service in services if service["name"] == "Cloud Tasks")
    names = ("first", "second", "third")
    for name in names:
        jobs.schedule("study", id=name)
    assert until(lambda: len(waiting_of(jobs, names)) == 1 and len(tasks_at(fake)) == 3)
    (waiting,) = waiting_of(jobs, names)

    requests.post(f"{page}/api/jobs/{waiting}/cancel", json={}, headers={"Origin": page}, timeout=PATIENCE)

    assert jobs.get(waiting).status is Status.CANCELLED
    assert [task["running"] for task in tasks_at(fake)] == [1, 1]
