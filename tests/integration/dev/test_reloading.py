"""A local run takes over changed code."""

from collections.abc import Callable
from pathlib import Path

import requests

from shared.jobs import Jobs
from shared.model.value import Status
from tests.support.local_run import PATIENCE, LocalRun, copy_project
from tests.support.running import until
from watchkeeper.dev.run import EXAMPLE_JOB

NEW_HANDLERS = """
import logging
from shared.handlers import handler

@handler("new")
def new(payload, context):
    logging.getLogger("watchkeeper.test").info("%s")
"""


def test_a_function_is_reloaded_when_its_code_changes(
    start: Callable[..., LocalRun], jobs: Jobs, tmp_path: Path
) -> None:
    """Code that cannot be imported is reported and not run; no other function restarts or is reported dead."""
    project = copy_project(tmp_path, "tick", "chat_webhook", "gmail_watch")
    handlers = project / "agent" / "handlers.py"
    run = start(project, SCHEDULER_CADENCE="0 0 1 1 *")
    run.wait_for(f"Job {EXAMPLE_JOB} completed")

    handlers.write_text("def oops(:\n")
    run.wait_for("The tick function keeps running its old code (agent/handlers.py changed): ")
    run.wait_for("SyntaxError: invalid syntax (handlers.py, line 1) (agent/handlers.py, line 1)\n")
    status_meanwhile = run.call("POST", "/")
    handlers.write_text(NEW_HANDLERS % "Brand new")
    run.wait_for("The tick function was reloaded (agent/handlers.py changed)")
    run.wait_for("The chat_webhook function was reloaded (agent/handlers.py changed)")
    types = requests.get(f"{run.address}/api/about", timeout=PATIENCE).json()["types"]
    jobs.schedule("new")
    status = run.call("POST", "/")
    run.wait_for("Brand new")

    assert (status_meanwhile, status) == (200, 200)
    assert "new" in [each["name"] for each in types]  # the console offers it
    assert "gmail_watch function was" not in run.output
    assert "function ended" not in run.output
    until(lambda: len(list(run.temporary.glob("watchkeeper-*/tick-*"))) == 1, PATIENCE)


def test_a_running_job_finishes_before_its_function_is_reloaded(
    start: Callable[..., LocalRun], tick_alone: Path, jobs: Jobs, slow_handlers: str
) -> None:
    """The old process ends as on Cloud Run, and its open call is answered."""
    jobs.schedule("patient", id="slow")
    run = start(tick_alone, JOB_HANDLERS=slow_handlers)
    run.wait_for("patient has begun")

    with (tick_alone / "functions" / "tick" / "main.py").open("a") as code:
        code.write("# changed\n")
    run.wait_for("The tick function was reloaded (functions/tick/main.py changed)")

    assert jobs.get("slow").status is Status.COMPLETED
    assert "Cloud Scheduler's call of watchkeeper-tick failed" not in run.output
    assert run.answers()
