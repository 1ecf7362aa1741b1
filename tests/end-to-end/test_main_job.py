"""The main job on real input, with the commands of the README: import, one call, everything is delivered once."""

import json
import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.running import ROOT, running_function, until

pytestmark = pytest.mark.emulator


def command(*words: str, env: dict[str, str]) -> str:
    """Run a command of the project to its end and give what it printed."""
    done = subprocess.run(
        [Path(sys.executable).with_name("watchkeeper"), *words],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_former_systems_jobs_are_imported_and_delivered_once(firestore_emulator: str, tmp_path: Path) -> None:
    """200 due requests reach a real server by one POST; a second one, and a second import, do nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    env = {
        "FIRESTORE_EMULATOR_HOST": firestore_emulator,
        "SCHEDULER_STORAGE": "firestore",
        "SCHEDULER_COLLECTION": f"jobs-{uuid.uuid4().hex}",
        "GOOGLE_CLOUD_PROJECT": "test",
        "AUTH_MODE": "off",
    }
    path = tmp_path / "jobs.json"
    deliveries = subprocess.Popen(
        [sys.executable, "-m", "watchkeeper.fakes.deliveries", str(path), "--jobs", "200", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(path.exists, 20)
        imported = command("jobs", "import", str(path), env=env)
        again = command("jobs", "import", str(path), env=env)
        with running_function("tick", tmp_path, env) as tick:
            first = tick.call("/cron/tick")
            second = tick.call("/cron/tick")
        with urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
            figures = json.load(response)
    finally:
        deliveries.kill()
        deliveries.wait()

    assert "Overdue: 200" in imported
    assert "exists already, left alone  200" in again
    assert (first[0], first[1]["metrics"]["jobs_executed"], first[1]["metrics"]["jobs_succeeded"]) == (200, 200, 200)
    assert (second[0], second[1]["metrics"]["jobs_checked"]) == (200, 0)
    assert figures == {"requests": 200, "occurrences": 200, "delivered_twice": 0}
