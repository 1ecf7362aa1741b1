"""The uploaded archives: each function runs from its archive alone, with its own locked requirements and nothing else.

Everywhere else a function finds the packages of the checkout's environment, also those that its own lock lacks. The
tests of a deployment show that the staged folder is uploaded, with the settings of the deployment.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.deploying import FUNCTIONS, REGION, SETTINGS, lacking, needs
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.running import RunningFunction, until
from watchkeeper.deploy.deployment import read_deployment
from watchkeeper.deploy.staging import stage
from watchkeeper.dev.probe import answers

START_SECONDS = 60  # nothing of the new environment is compiled yet
# What it has no use for, and what is only in this checkout.
NOT_SHIPPED = {
    "tick": ("cron_descriptor", "googleapiclient", "httplib2", "pyairtable"),
    "run_job": ("cron_descriptor", "googleapiclient", "httplib2", "pyairtable"),
    "gmail_watch": ("agent", "cron_descriptor", "pyairtable"),
    "airtable_refresh": ("agent", "cron_descriptor", "googleapiclient"),
    "chat_webhook": ("googleapiclient", "httplib2", "pyairtable"),
}
NOT_DEPLOYED = ("functions", "pytest", "rich", "tests", "watchkeeper")
# What reads a settings file, which no deployed function does.
OF_OPERATORS = {"dotenv"}
# What a function's code would import in a part of `shared` that only another function calls.
OF_ANOTHER = {
    "tick": {"cron_descriptor"},  # Chat says schedules in words
    "run_job": {"cron_descriptor"},
}
IMPORTS = """
import sys
for name in sys.argv[1:]:
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    print(name)
"""
EVERY_IMPORT = """
import ast, json, sys
from importlib import import_module
from pathlib import Path

folder = sys.argv[1]
sys.path.append(folder)
import main
for path in Path(folder, "agent").glob("*.py"):
    import_module(f"agent.{path.stem}")

def own_files():
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    return {file for file in files if file.startswith(folder)}

read, missing = set(), set()
while unread := own_files() - read:
    read |= unread
    for node in (node for file in unread for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            try:
                exec(ast.unparse(node))
            except ModuleNotFoundError as exc:
                missing.add(exc.name)
print(json.dumps(sorted(missing)))
"""


@dataclass(frozen=True)
class Shipped:
    """The uploaded files of a function, at `place`, with its own environment and settings.

    One environment after another is made at one path, so that what they share is compiled once.
    """

    name: str
    place: Path
    environment: Path
    env: Mapping[str, str]

    @property
    def source(self) -> Path:
        """Return the folder of the uploaded files."""
        return self.place / "source"

    def program(self, name: str) -> str:
        """Return the path of a program of the environment."""
        return str(self.environment / "bin" / name)

    def python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the environment, away from the checkout."""
        command = [self.program("python"), "-c", code, *arguments]
        return subprocess.run(command, cwd=self.place, env=self.env, capture_output=True, encoding="utf-8", timeout=120)

    @contextmanager
    def served(self) -> Iterator[RunningFunction]:
        """Serve the function as the cloud does."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        command = [self.program("functions-framework"), f"--target={FUNCTIONS[self.name].entry_point}"]
        command += [f"--source={self.source / 'main.py'}", "--host=127.0.0.1", f"--port={port}"]
        log = self.place / "served.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.place, env=self.env, stdout=output, stderr=output, start_new_session=True
            )
        function = RunningFunction(process, port, log)
        try:
            until(lambda: process.poll() is not None or answers(f"127.0.0.1:{port}", "/health"), START_SECONDS)
            assert process.poll() is None, log.read_text()
            yield function
        finally:
            with suppress(ProcessLookupError):
                function.signal(signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module", params=FUNCTIONS)
def shipped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """Each function, as it is uploaded and would be installed."""
    function = FUNCTIONS[request.param]
    place, common = tmp_path_factory.mktemp(function.name), tmp_path_factory.getbasetemp()
    (place / "settings").write_text(SETTINGS)
    deployment = read_deployment(project=PROJECT, region=REGION, number=NUMBER, only=(), file=place / "settings")
    secrets = {
        secret.setting: "the place of a secret" for secret in deployment.secrets(function) if not secret.mounted_at
    }
    cache = {"PYTHONPYCACHEPREFIX": str(common / "compiled")}
    env = {
        "PATH": os.defpath,
        **cache,
        "K_SERVICE": deployment.service(function),
        **deployment.environment(function),
        **secrets,
    }
    shipped = Shipped(function.name, place, common / "environment", env)
    stage(function, shipped.source)
    install(shipped)
    return shipped


def install(shipped: Shipped) -> None:
    """Make the environment from the archive's lock, with uv for its speed.

    Its usual cache serves: every file is checked against the lock all the same, and the next time no network is needed.
    """
    uv = [needs("uv"), "--no-config", "--quiet"]
    python = shipped.program("python")
    for arguments in (
        ["venv", "--clear", "--python", sys.executable, str(shipped.environment)],
        ["pip", "install", "--require-hashes", "--python", python, "-r", str(shipped.source / "requirements.txt")],
    ):
        run = subprocess.run([*uv, *arguments], cwd=shipped.place, capture_output=True, encoding="utf-8", timeout=300)
        if re.search("error sending request|network was disabled", run.stderr):
            lacking("the package index cannot be reached")
        assert run.returncode == 0, run.stderr


def test_an_archive_is_served_by_itself(shipped: Shipped) -> None:
    """It starts as in the cloud, with its deployed settings, reports that it is healthy, and refuses strangers."""
    with shipped.served() as function:
        health = function.call("/health", method="GET")
        status, _ = function.call(headers={"Content-Type": "application/json"}, body=b"{}")

    assert health == (200, {"status": "ok", "function": shipped.name, "storage": "firestore"})
    assert status == 401


def test_packages_that_are_imported_late_are_uploaded_too(shipped: Shipped) -> None:
    """Every import of every module that it can reach succeeds, except those that only another program reaches."""
    run = shipped.python(EVERY_IMPORT, str(shipped.source))

    assert run.returncode == 0, run.stderr
    assert set(json.loads(run.stdout)) == OF_OPERATORS | OF_ANOTHER.get(shipped.name, set())


def test_an_archive_contains_nothing_it_does_not_need(shipped: Shipped) -> None:
    """Neither other files of this checkout, nor those of another function."""
    run = shipped.python(IMPORTS, "functions_framework", *NOT_DEPLOYED, *NOT_SHIPPED[shipped.name])

    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["functions_framework"]


def test_a_file_that_is_not_uploaded_is_missed(shipped: Shipped, tmp_path: Path) -> None:
    """It is not taken from the checkout instead."""
    shutil.copytree(shipped.source, tmp_path / "source")
    (tmp_path / "source" / "shared" / "logs.py").unlink()

    run = shipped.python("import sys; sys.path.append(sys.argv[1]); import main", str(tmp_path / "source"))

    assert run.returncode == 1
    assert "No module named 'shared.logs'" in run.stderr
