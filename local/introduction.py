"""What a local run says of itself at the start: what is real, what stands in, and what to do next."""

import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from local.function_process import FunctionProcess
from shared.auth import AuthMode
from shared.settings import Settings


def introduction(processes: Iterable[FunctionProcess], settings: Settings, env: Mapping[str, str]) -> str:
    """Introduce the run to a person who sees it for the first time."""
    rows = [("jobs", _storage(settings, env)), ("access", _access(settings))]
    for process in processes:
        name, recurrence = process.function.name, process.function.scheduler_job.recurrence
        schedule = f"{recurrence.cron} ({recurrence.timezone})"
        rows.append((name, f"the real function, under functions-framework: http://{process.address}"))
        rows.append(("scheduler", f"a stand-in for Cloud Scheduler, calls {name} now and on {schedule}"))
    table = "\n".join(f"  {name:<10} {text}" for name, text in rows)
    return f"""
Watchkeeper runs on this machine. Ctrl-C stops it.

{table}

To add a job, run in another terminal, in this folder:

  {_command()} jobs add log --payload '{{"message": "Good morning"}}'

"""


def _storage(settings: Settings, env: Mapping[str, str]) -> str:
    if settings.storage == "json":
        return f"in the file {settings.json_path}"
    if emulator := env.get("FIRESTORE_EMULATOR_HOST"):
        return f"in the Firestore emulator at {emulator}, collection {settings.collection}"
    project = settings.project or "of your credentials"
    return f"in the REAL Firestore: project {project}, database {settings.database}, collection {settings.collection}"


def _access(settings: Settings) -> str:
    if settings.auth.mode is AuthMode.OFF:
        return "for everybody on this machine (AUTH_MODE=off)"
    return "with the CRON_SECRET as bearer token"


def _command() -> str:
    if shutil.which("watchkeeper"):
        return "watchkeeper"
    script = Path(sys.executable).with_name("watchkeeper")
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)
