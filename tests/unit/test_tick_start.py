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
is_searched = searches != [each["collections"] for each in gc.get_stats()]
modules = sorted(sys.modules)
sys.stderr.write("\\n" + json.dumps([answer.status_code, answer.get_json(), modules, is_searched]))
"""


@pytest.mark.slow
def test_a_first_answer_waits_for_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """With nothing due it imports no timezones, no HTTP client and no job type, and searches for no garbage."""
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


IMPORT_ALL = """
import gc
import shared, google.cloud.firestore, pyairtable
searches = [each["collections"] for each in gc.get_stats()]
before = gc.get_threshold(), gc.get_freeze_count()
shared.search_for_garbage()
assert gc.get_threshold() == USUAL and gc.get_freeze_count() > 50_000 > before[1], before
assert searches == SEARCHES, searches
"""


def test_a_start_searches_for_no_garbage_and_all_that_follows_does() -> None:
    """Not even with the libraries that make the most objects: Firestore's client, and Airtable's."""
    begin = "import gc; USUAL = gc.get_threshold(); "
    begin += "import shared; SEARCHES = [each['collections'] for each in gc.get_stats()]"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_FOLDER)}

    done = subprocess.run(
        [sys.executable, "-c", begin + IMPORT_ALL], env=env, capture_output=True, text=True, timeout=30
    )

    assert done.stderr == ""
