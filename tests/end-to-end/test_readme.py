"""The README as a newcomer follows it: its blocks, in their order and as they stand, beside a live local run.

What differs: the local run begins before the first block and has ports of its own, and the emulator of the tests serves
where the README starts one. The blocks that deploy talk to a Google Cloud on this machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest

from shared.settings import PROJECT_FOLDER
from tests.support.deploying import SETTINGS, needs
from tests.support.gcloud import GoogleCloud
from tests.support.local_run import local_run
from tests.support.running import until

pytestmark = pytest.mark.emulator

BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", (PROJECT_FOLDER / "README.md").read_text("utf-8"), re.M | re.S)
EMULATOR = "127.0.0.1:9085"
END = "the block has ended\n"
CONSOLE = "127.0.0.1:8080"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".env", ".data", ".*_cache", ".hypothesis")


class Terminal:
    """A shell in which one block follows the other. The first command that fails ends it."""

    def __init__(self, place: Path, env: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--norc", "-o", "errexit", "-o", "pipefail"],
            cwd=place,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, block: str) -> str:
        """Run a block, and return what it wrote."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{{\n{block}\n}} </dev/null\necho {END}")
        self._shell.stdin.flush()
        said = ""
        while not said.endswith(END):
            line = self._shell.stdout.readline()
            assert line, f"a command failed:\n{block}\n{said}"
            said += line
        return said

    def close(self) -> None:
        """End it with all that it started."""
        os.killpg(self._shell.pid, 9)
        self._shell.communicate()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of this project, as a clone after `make setup`, with the settings for production beside it."""
    place = tmp_path / "watchkeeper"
    shutil.copytree(PROJECT_FOLDER, place, ignore=LEFT_OUT)
    (place / ".venv").symlink_to(sys.prefix)
    (tmp_path / "prod.env").write_text(SETTINGS)
    return place


@pytest.fixture
def terminal(project: Path, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in the folder of the project; whatever leaves this machine ends at a cloud where nothing is."""
    needs("gcloud")
    with GoogleCloud() as cloud:
        settings = {"PYTHONPATH": str(project), "SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json")}
        terminal = Terminal(project, {**cloud.env(tmp_path), **settings})
        yield terminal
        terminal.close()


def test_every_block_of_the_readme_works(
    terminal: Terminal, project: Path, tmp_path: Path, firestore_emulator: str
) -> None:
    """A newcomer who copies one after the other gets what the README says."""
    said = []
    with local_run(tmp_path, project) as address:
        for language, block in BLOCKS:
            block = block.replace(EMULATOR, firestore_emulator)
            if language == "python":
                run_python(terminal, block, project, tmp_path / "run.log")
            elif block.startswith("make run"):
                terminal.run("make --dry-run --old-file=.venv/made run test")
                assert CONSOLE in block
                assert urlopen(address, timeout=10).status == 200
            elif "doctor --project" in block:
                said.append(terminal.run(f"! {block}"))  # nothing is deployed, so it finds faults
            elif not block.startswith("gcloud emulators"):
                said.append(terminal.run(block))
        jobs = terminal.run(".venv/bin/watchkeeper jobs list --json").removesuffix(END)
        until(lambda: "shipped two umbrellas" in terminal.run(".venv/bin/watchkeeper jobs show ship-17"), 20)

    everything = "".join(said)
    assert {job["id"] for job in json.loads(jobs)} >= {"stretch", "report", "plants", "study", "weekly-report"}
    assert [int(number) for number in re.findall(r'"jobs_executed": ?(\d+)', everything)] == [200, 0]
    assert '"delivered_twice": 0' in everything
    assert "gcloud functions deploy watchkeeper-tick" in everything
    assert "wrong    project   there is no project my-project" in everything


def run_python(terminal: Terminal, block: str, project: Path, log: Path) -> None:
    """Run the block. One that begins with the name of a file is an excerpt of it, or is written there."""
    if not (file := re.match(r"# (agent/\S+)\n", block)):
        terminal.run(f".venv/bin/python - <<'END'\n{block}END")
    elif file[1] == "agent/handlers.py":
        (project / file[1]).write_text(block)
        until(lambda: f"({file[1]} changed)" in log.read_text(), 20)
        assert "keeps running its old code" not in log.read_text()
    else:
        assert block.removeprefix(file[0]) in without_docstrings((project / file[1]).read_text())


def without_docstrings(code: str) -> str:
    """Return the code as the README shows it."""
    return re.sub(r'\n    """.*?"""', "", code, flags=re.DOTALL)
