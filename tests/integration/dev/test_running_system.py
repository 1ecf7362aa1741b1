"""What a person and other programs find in a running system. The tests share two runs, since a start takes long."""

from collections.abc import Iterator

import pytest
import requests

from shared.model.value import Status
from tests.support.local_run import PATIENCE, LocalRun, copy_project, jobs_in
from tests.support.running import until
from watchkeeper.dev.instances import RUN_JOB
from watchkeeper.fakes.airtable import BASE, WEBHOOK
from watchkeeper.fakes.services import FAKES

SUBSCRIPTIONS = ("subscription:gmail:agent@example.com", f"subscription:airtable:{BASE}:{WEBHOOK}")
SECRET = "hush-hush-hush-hush"
FUNCTIONS = ("tick", "gmail_watch", RUN_JOB)

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
# A handler of a queue.
QUEUED_HANDLERS = """
import logging
from shared.handlers import handler

@handler("study", queue="agents")
def study(payload, context):
    logging.getLogger("watchkeeper.test").info("study has begun")
"""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    """A run of everything, without settings for any service."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "curiosity.py").write_text(CURIOUS_HANDLERS)
    jobs_in(folder).schedule("curious")
    run = LocalRun(folder, JOB_HANDLERS="curiosity")
    yield run
    run.kill()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    """A run whose functions ask for a secret, and whose only tick is the first."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "queued.py").write_text(QUEUED_HANDLERS)
    settings = {"JOB_HANDLERS": "queued", "SCHEDULER_CADENCE": "0 0 1 1 *", "CRON_SECRET": SECRET}
    run = LocalRun(folder, copy_project(folder, *FUNCTIONS), **settings)
    yield run
    run.kill()


def test_a_newcomer_sees_subscriptions_renewed(newcomer: LocalRun) -> None:
    """Without any setting all services are fakes, as the terminal says, and renewals come at once."""
    newcomer.wait_for("in the file jobs.json\n")
    newcomer.wait_for("Renewed the Gmail watch of agent@example.com")
    newcomer.wait_for(f"Renewed the Airtable webhook {WEBHOOK} of {BASE}")

    jobs = jobs_in(newcomer.folder)
    assert [f"{service:<16} a FAKE" in newcomer.output for service in ("Gmail", "Airtable", "Chat")] == [True] * 3
    until(lambda: all(jobs.get(job_id).status is Status.PENDING for job_id in SUBSCRIPTIONS), PATIENCE)


def test_no_page_of_another_website_gets_in(newcomer: LocalRun) -> None:
    """A browser on this machine sends requests for any page, by another origin or a rebound name: all are refused."""
    newcomer.wait_until_up()
    about = requests.get(f"{newcomer.address}/api/about", timeout=PATIENCE).json()
    addresses = [each["address"] for each in about["functions"] + about["services"] if each["address"]]
    ports = [newcomer.console, *(int(address.rpartition(":")[2]) for address in addresses)]
    foreign: list[dict[str, str]] = [
        {"origin": "https://evil.example", "content-type": "text/plain"},
        {"host": "evil.example", "content-type": "application/json"},
    ]

    changes = {newcomer.call("POST", "/", port=port, **headers) for port in ports for headers in foreign}
    looks = {newcomer.call("GET", "/health", port=port, **headers) for port in ports[1:] for headers in foreign}

    assert (changes, looks) == ({403}, {403})


def test_a_function_runs_as_it_would_be_deployed(newcomer: LocalRun) -> None:
    """Its folder is a temporary one with the uploaded files, and it sees nothing else of the project."""
    newcomer.wait_for(f"runs in {newcomer.temporary.resolve()}/watchkeeper-")
    newcomer.wait_for("staged=True alone=True")


def test_the_console_is_where_the_terminal_says(guarded: LocalRun) -> None:
    """The page is on the first port, and calls a function through the fake of Cloud Scheduler, which has the secret."""
    guarded.wait_for(f"open {guarded.address}\n")

    page = guarded.call("GET", "/", port=guarded.console)
    called = requests.post(
        f"{guarded.address}/api/call/gmail_watch", json={}, headers={"Origin": guarded.address}, timeout=PATIENCE
    ).json()

    assert (page, called["is_good"]) == (200, True)


def test_the_secret_opens_the_functions(guarded: LocalRun) -> None:
    """To every caller that knows it."""
    guarded.wait_until_up()

    without_secret = guarded.call("POST", "/")
    with_secret = guarded.call("POST", "/", authorization=f"Bearer {SECRET}")

    assert (without_secret, with_secret) == (401, 200)


def test_run_job_accepts_the_fake_of_cloud_tasks_and_no_other_caller(guarded: LocalRun) -> None:
    """Where identities are checked, the fake's ID token is accepted."""
    guarded.wait_for("Scheduler tick completed")
    first_of_run_job = guarded.port + len(FUNCTIONS) - 1 + FAKES

    jobs_in(guarded.folder).schedule("study")
    guarded.wait_for("study has begun")

    assert guarded.call("POST", "/", port=first_of_run_job) == 401
