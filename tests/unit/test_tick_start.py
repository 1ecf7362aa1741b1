"""What the tick imports before it answers for the first time: a new instance makes due jobs wait for all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import PROJECT_FOLDER

LIBRARIES = ("croniter", "google.auth", "sysconfig", "urllib3", "zoneinfo")
OURS = ("failure_notice", "google_credentials", "outbound", "http_request", "chat_message", "wording", "jobs")
FIND_NOTHING_DUE = """
import gc, json, sys
import functions_framework
app = functions_framework.create_app("tick", "main.py")
searches = [each["collections"] for each in gc.get_stats()]
answer = app.test_client().post("/")
modules = sorted(sys.modules)
import google.cloud.firestore, pyairtable
is_searched = searches != [each["collections"] for each in gc.get_stats()]
sys.stderr.write("\\n" + json.dumps([answer.status_code, answer.get_json(), modules, is_searched]))
"""


@pytest.mark.slow
def test_a_first_answer_waits_for_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """With nothing due it imports no timezones, no HTTP client and no job type, and searches for no garbage.

    Nor does it with the libraries that make the most objects: Firestore's client, and Airtable's.
    """
    env = {"PATH": os.environ["PATH"], "AUTH_MODE": "off", "PYTHONPATH": str(PROJECT_FOLDER)}
    done = subprocess.run(
        [sys.executable, "-c", FIND_NOTHING_DUE],
        cwd=PROJECT_FOLDER / "functions" / "tick",
        env={**env, "SCHEDULER_STORAGE": "json", "SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json")},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    status, answer, modules, is_searched = json.loads(done.stderr.splitlines()[-1])
    assert (status, answer["metrics"]["jobs_checked"]) == (200, 0)
    assert [name for name in modules if name in LIBRARIES or name.rpartition(".")[2] in OURS] == []
    assert not is_searched
