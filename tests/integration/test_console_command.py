"""`watchkeeper console`: the page over a deployed system."""

import signal
import socket
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import requests
from google.cloud import firestore

from shared.jobs import Jobs
from shared.store.firestore import FirestoreStore


@pytest.mark.emulator
def test_the_command_line_shows_a_deployed_system(firestore_client: firestore.Client, tmp_path: Path) -> None:
    """`watchkeeper console` reads the jobs of a project, changes none, and ends with Ctrl-C."""
    collection = f"jobs-{uuid.uuid4().hex}"
    clock = partial(datetime.now, UTC)
    store = FirestoreStore(firestore_client, collection)
    Jobs(store, clock=clock, handlers={}, retention=timedelta(days=1)).schedule("log", {"message": "hello"}, id="job")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    arguments = ["--project", "test", "--collection", collection, "--port", str(port)]
    command = [sys.executable, "-c", "from watchkeeper.cli.main import main; main()", "console", *arguments]
    console = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert console.stdout is not None
        said = console.stdout.readline()
        page = f"http://127.0.0.1:{port}"
        shown = {"Origin": page, "X-Watchkeeper-Token": said.strip().partition("token=")[2]}
        listed = requests.get(f"{page}/api/jobs", headers=shown, timeout=30).json()
        refused = requests.post(f"{page}/api/jobs/job/cancel", json={}, headers=shown, timeout=30)
        unknown = requests.get(f"{page}/api/jobs", timeout=30)
        now, runs = (requests.get(f"{page}/api/{path}", headers=shown, timeout=30) for path in ("now", "jobs/job/runs"))
        console.send_signal(signal.SIGINT)
        code = console.wait(30)
    finally:
        console.kill()
        console.communicate()

    assert page in said
    assert [job["id"] for job in listed["jobs"]] == ["job"]
    assert (refused.status_code, unknown.status_code) == (403, 401)
    assert [figure["name"] for figure in now.json()["health"] if figure["count"]] == []
    assert runs.json() == {"runs": [], "has_more": False}
    assert code == 0


@pytest.mark.emulator
def test_a_taken_port_is_an_error_of_one_line(firestore_emulator: str, tmp_path: Path) -> None:
    """With the way out."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = ["--project", "test", "--port", str(server.getsockname()[1])]
        command = [sys.executable, "-c", "from watchkeeper.cli.main import main; main()", "console", *arguments]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: port ")
    assert ended.stderr.count("\n") == 1
    assert "--port" in ended.stderr
