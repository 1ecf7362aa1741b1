"""Deploying with the real gcloud to a Google Cloud on this machine: the script, settings for it, what it makes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from shared.settings import PROJECT_FOLDER
from tests.support.gcloud import PROJECT, GoogleCloud
from watchkeeper.deploy.functions_table import read_functions

SCRIPT = PROJECT_FOLDER / "deploy_functions.sh"
REGION = "us-central1"
FUNCTIONS = {function.name: function for function in read_functions({})}
SERVICES = {name: f"watchkeeper-{name.replace('_', '-')}" for name in FUNCTIONS}
SCHEDULER = f"watchkeeper-scheduler@{PROJECT}.iam.gserviceaccount.com"
TASKS = f"watchkeeper-tasks@{PROJECT}.iam.gserviceaccount.com"
DELEGATE = f"delegate@{PROJECT}.iam.gserviceaccount.com"
PATIENCE = 300  # seconds for one run of the script
SETTINGS = f"""
ALLOWED_USERS=*@example.com
CHAT_AGENT=agent.chat:answer
LOG_LEVEL="INFO"
SCHEDULER_CADENCE="*/2 * * * *"
SCHEDULER_CONCURRENCY=8
GMAIL_USER_EMAIL=agent@example.com
GMAIL_WATCH_TOPIC=projects/{PROJECT}/topics/gmail
GMAIL_DELEGATE={DELEGATE}
AIRTABLE_API_KEY=pat$(id).s3cret
AIRTABLE_BASE_ID=appAAAAAAAAAAAAAA
CRON_SECRET=secret:3
AUTH_CALLERS=somebody@else.iam.gserviceaccount.com
DEV_PORT=9000
"""


def lacking(what: str) -> NoReturn:
    """Skip the test, because this machine lacks something; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def needs(program: str) -> str:
    """Return the path of a program, or skip the test where it is not installed; in CI that is a failure."""
    places = [str(Path(sys.executable).parent), *os.get_exec_path()]
    return shutil.which(program, path=os.pathsep.join(places)) or lacking(f"{program} is not installed")


def url(name: str, region: str = REGION) -> str:
    """Return the address of a deployed function."""
    return f"https://{region}-{PROJECT}.cloudfunctions.net/{SERVICES[name]}"


class Operator:
    """Somebody who runs the script with a settings file, on this cloud."""

    def __init__(self, cloud: GoogleCloud, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.settings = folder / "production.env"
        self.settings.write_text(SETTINGS)

    def run(self, *arguments: str, place: tuple[str, ...] = ("--project", PROJECT, "--region", REGION)) -> str:
        """Run the script, and give all it said."""
        code, said = self.attempt(*arguments, place=place)
        assert code == 0, said
        assert not self.cloud.unknown
        return said

    def attempt(
        self, *arguments: str, place: tuple[str, ...] = ("--project", PROJECT, "--region", REGION)
    ) -> tuple[int, str]:
        """Run the script, and give its exit code and all it said."""
        run = subprocess.run(
            [str(SCRIPT), *arguments, *place, "--settings", str(self.settings)],
            env={**self.cloud.env(self.folder), "PYTHON": sys.executable, "JOB_HANDLERS": "not.of.the.shell"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        return run.returncode, run.stdout
