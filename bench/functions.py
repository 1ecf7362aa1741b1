"""The functions as they are deployed, each a process of functions-framework: their starts and their answers."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection
from statistics import median, quantiles
from typing import NamedTuple

from bench.bare import bare_listing
from bench.figure import Figure, milliseconds
from bench.jobs import finished_jobs
from bench.site import Site
from bench.worker import PROJECT, clock
from shared.model.job import Job
from shared.settings import PROJECT_FOLDER
from watchkeeper.fakes.google_oauth import GoogleOAuth
from watchkeeper.fakes.services import FAKES, running_fakes
from watchkeeper.guard import guarded

REQUESTS = 100
POLL_SECONDS = 0.002
ANSWER_SECONDS = 60
SPACE = "spaces/bench"
PUBLIC = "https://example.com/chat"  # the audience of Chat's token
ADD_ON = "service-1@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"

FIRESTORE = ("google.cloud.firestore",)
GMAIL = (
    *("google.auth.transport.urllib3", "google.oauth2.service_account"),
    *("google_auth_httplib2", "googleapiclient.discovery"),
)
SDKS = {"tick": FIRESTORE, "gmail_watch": (*FIRESTORE, *GMAIL), "airtable_refresh": (*FIRESTORE, "pyairtable")}


class Start(NamedTuple):
    """The seconds of one start: to the first answer, of the same answer when warm, and of a bare process."""

    first: float
    warm: float
    imports: float
    use: float


def cold_starts(site: Site) -> Iterator[Figure]:
    """Time each function from the start of its process to its first answer."""
    hello: list[float] = []
    chat: list[float] = []
    checked: list[float] = []
    checks: list[float] = []
    starts: dict[str, list[Start]] = {name: [] for name in SDKS}
    with running_fakes({}, [0] * FAKES) as services, GoogleOAuth() as oauth:
        env = environment(site, **services.settings)
        token = oauth.id_token(ADD_ON, PUBLIC)
        strict = {**env, "AUTH_MODE": "verify", "AUTH_CERTS_URL": oauth.certs_url}
        strict |= {"CHAT_AUDIENCE": PUBLIC, "AUTH_CALLERS": ADD_ON}
        for _ in range(site.rounds * 2):
            hello.append(started("hello", env)[0])
            chat.append(started("chat_webhook", env, said_in_chat("help"))[0])
            checked.append(started("chat_webhook", strict, said_in_chat("help"), token)[0])
            checks.append(float(in_bare_process("bare_token.py", oauth.certs_url, token, env=env)))
            for name, modules in SDKS.items():
                starts[name].append(Start(*started(name, env), *bare_start(modules, env)))
    bare = milliseconds(hello)
    yield Figure(name="cold start: chat_webhook, help", unit="ms", runs=milliseconds(chat), bare=bare, budget=1.1)
    yield Figure(
        name="cold start: chat_webhook, help, Chat's token checked",
        unit="ms",
        runs=milliseconds(checked),
        bare=milliseconds(plain + check for plain, check in zip(hello, checks, strict=True)),
        budget=1.1,
        note=f"the bare limit is hello world and, in a bare process, the check: {median(checks) * 1000:,.0f} ms",
    )
    for name in SDKS:
        yield cold_start(name, starts[name], hello, budget=1.05 if name == "tick" else 1.1)


def cold_start(name: str, starts: Sequence[Start], hello: Sequence[float], *, budget: float) -> Figure:
    """Compare the start of a function that needs SDKs with hello world plus their cost in a bare process.

    What its calls to the store and to other services take is not the start's: the same answer takes it when warm too.
    """
    first, warm, imports, use = (median(each) * 1000 for each in zip(*starts, strict=True))
    without = (first - warm) / (median(hello) * 1000 + imports)
    limits = zip(hello, starts, strict=True)
    return Figure(
        name=f"cold start: {name}",
        unit="ms",
        runs=milliseconds(start.first - start.warm for start in starts),
        bare=milliseconds(plain + start.imports + start.use for plain, start in limits),
        budget=budget,  # the part above 1 is for our own modules
        note=f"first answer after {first:,.0f} ms, when warm {warm:,.0f} ms; to a bare process the import costs "
        f"{imports:,.0f} ms and the first use {use:,.0f} ms; without the latter {without:.2f} x",
    )


def chat(site: Site) -> Iterator[Figure]:
    """Time warm answers in Chat."""
    now = clock()
    scheduled = [Job.create(f"report-{number}", "log", now=now, cron="0 9 * * *", space=SPACE) for number in range(20)]
    over = [replace(job, space=SPACE) for job in finished_jobs(500, now=now)]
    collection = site.filled([*scheduled, *over])
    env = environment(site, SCHEDULER_COLLECTION=collection, ALLOWED_USERS="*@example.com")
    percentiles: dict[str, list[tuple[float, float]]] = {"hello": [], "help": [], "query": [], "jobs": []}
    with running("hello", env) as hello, running("chat_webhook", env) as chat_webhook:
        first_answer(hello, b"")
        first_answer(chat_webhook, said_in_chat("jobs"))
        for _ in range(site.rounds):
            percentiles["hello"].append(_percentiles(answer(hello, b"") for _ in range(REQUESTS)))
            percentiles["query"].append(
                _percentiles(site.measure(bare_listing, collection, SPACE) for _ in range(REQUESTS))
            )
            for word in ("help", "jobs"):
                said = said_in_chat(word)
                percentiles[word].append(_percentiles(answer(chat_webhook, said) for _ in range(REQUESTS)))
    for word, bare, what in (
        ("help", "hello", "hello world over HTTP"),
        ("jobs", "query", "one query for the 20 jobs of the space that are not over, beside 500 that are"),
    ):
        for rank, name in enumerate(("p50", "p99")):
            yield Figure(
                name=f"chat {word}, warm, {name}",
                unit="ms",
                runs=tuple(each[rank] for each in percentiles[word]),
                bare=tuple(each[rank] for each in percentiles[bare]),
                budget=1.3 if (word, name) == ("jobs", "p50") else None,
                note=f"the bare limit is {what}",
            )


@contextmanager
def running(name: str, env: Mapping[str, str]) -> Iterator[int]:
    """Start a function, or the bare one, and yield its port at once; stop it afterwards."""
    folder = (
        PROJECT_FOLDER / "bench" / "hello.py" if name == "hello" else PROJECT_FOLDER / "functions" / name / "main.py"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    framework = [sys.executable, "-P", "-m", "functions_framework", "--host=127.0.0.1", f"--port={port}"]
    command = guarded([*framework, f"--target={name}", f"--source={folder}"])
    output = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=env, start_new_session=True
    ):
        yield port


def environment(site: Site, **more: str) -> dict[str, str]:
    """Return the environment of a function, without the settings of this process."""
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PYTHONPATH": str(PROJECT_FOLDER),
        "AUTH_MODE": "off",
        "SCHEDULER_STORAGE": "firestore",
        "SCHEDULER_COLLECTION": "cold",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "FIRESTORE_EMULATOR_HOST": site.proxy,
        **more,
    }


def started(name: str, env: Mapping[str, str], body: bytes = b"", token: str = "") -> tuple[float, float]:
    """Start a function; return the seconds to its first response, and those of the same request when warm."""
    began = time.perf_counter()
    with running(name, env) as port:
        first_answer(port, body, token)
        return time.perf_counter() - began, answer(port, body, token)


def first_answer(port: int, body: bytes, token: str = "") -> None:
    """Wait for the response of a function that is starting."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            answer(port, body, token)
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def answer(port: int, body: bytes, token: str = "") -> float:
    """Call a function; return the seconds it took. Raises RuntimeError for a status other than 200."""
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    shown = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request("POST", "/", body, {"Content-Type": "application/json", **shown})
    response = connection.getresponse()
    said = response.read()
    connection.close()
    if response.status != HTTPStatus.OK:
        raise RuntimeError(f"a function answered {response.status}: {said[:300]!r}")
    return time.perf_counter() - began


def bare_start(modules: Sequence[str], env: Mapping[str, str]) -> tuple[float, float]:
    """Return the seconds of a bare process for the import of the SDKs and for their first use."""
    imports, use = in_bare_process("bare_start.py", *modules, env=env).split()
    return float(imports), float(use)


def in_bare_process(program: str, *arguments: str, env: Mapping[str, str]) -> bytes:
    """Run a program of this folder; return its output."""
    command = [sys.executable, "-P", str(PROJECT_FOLDER / "bench" / program), *arguments]
    return subprocess.run(command, env=env, capture_output=True, check=True).stdout


def said_in_chat(text: str) -> bytes:
    """Return the event of a message to the app."""
    person = {"name": "users/1", "displayName": "Ada", "email": "ada@example.com", "type": "HUMAN"}
    space = {"name": SPACE, "type": "ROOM", "spaceType": "SPACE"}
    place = {"space": space, "thread": {"name": f"{SPACE}/threads/1"}}
    message = {"name": f"{SPACE}/messages/1.1", "sender": person, "text": text, "argumentText": text, **place}
    event = {"type": "MESSAGE", "eventTime": "2026-11-22T09:00:00Z", "user": person, "space": space, "message": message}
    return json.dumps(event).encode()


def _percentiles(seconds: Iterator[float]) -> tuple[float, float]:
    cuts = quantiles(seconds, n=100)
    return cuts[49] * 1000, cuts[98] * 1000
