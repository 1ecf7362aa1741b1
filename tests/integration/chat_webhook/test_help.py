"""The first answer of an instance imports little."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.chatting import words_of
from tests.support.renewing import in_file
from tests.support.running import ROOT
from tests.support.serving_chat import (
    MAIN,
    OPEN,
    App,
    both,
)

HELP = f"""
import json, sys
from functions_framework import create_app
client = create_app(target="chat_webhook", source={str(MAIN)!r}).test_client()
reply = client.post("/", json=json.loads(sys.stdin.read()))
print(json.dumps([reply.status_code, reply.get_json(), sorted(sys.modules)]))
"""


@both
def test_help_imports_neither_a_store_nor_a_client(tmp_path: Path, app: App) -> None:
    """They would take most of the time of its cold start."""
    env = {**os.environ, **OPEN, **in_file(tmp_path).env, "PYTHONPATH": str(ROOT)}
    asked = json.dumps(app.message("help"))

    done = subprocess.run(
        [sys.executable, "-c", HELP], input=asked, env=env, capture_output=True, text=True, timeout=30
    )

    status, reply, modules = json.loads(done.stdout.splitlines()[-1])
    dear = (
        "google.cloud.firestore",
        "google.api_core",
        "grpc",
        "googleapiclient",
        "google.auth.transport",
        "phrases",
    )
    assert status == 200, done.stderr
    assert "This is what I can do" in words_of(reply)
    assert [name for name in modules if name.startswith(dear)] == []
