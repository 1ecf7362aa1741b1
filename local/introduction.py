"""What a local run says of itself at the start: what is real, what stands in, and what to do next."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.function_process import FunctionProcess
from local.functions_table import Function
from local.stand_ins import Services
from shared.auth import AuthMode
from shared.settings import Settings


def introduction(
    processes: Sequence[FunctionProcess], settings: Settings, env: Mapping[str, str], services: Services
) -> str:
    """Introduce the run to a person who sees it for the first time."""
    rows = [("jobs", _storage(settings, env)), ("access", _access(settings))]
    for process in processes:
        rows.append(
            (process.function.name, f"the real function: http://{process.address}{_schedule(process.function)}")
        )
    rows.append(("scheduler", "a STAND-IN for Cloud Scheduler makes these calls; a failed one it does not repeat"))
    for service in ("Google OAuth", "Gmail", "Airtable", "Chat"):
        address = services.addresses.get(service)
        rows.append((service, f"a STAND-IN, {address}/stand-in tells of it" if address else f"the REAL {service}"))
    table = "\n".join(f"  {name:<16} {text}" for name, text in rows)
    return f"""
Watchkeeper runs on this machine. Ctrl-C stops it.

{table}

To add a job, run in another terminal, in this folder:

  {_command()} jobs add log --payload '{{"message": "Good morning"}}'

To see the subscriptions, or to renew them once more:

  {_command()} renew --status
{_renew(processes, settings)}

"""


def _schedule(function: Function) -> str:
    if function.scheduler_job is None:
        return ""
    recurrence = function.scheduler_job.recurrence
    return f", called now and on {recurrence.cron} ({recurrence.timezone})"


def _renew(processes: Sequence[FunctionProcess], settings: Settings) -> str:
    secret = ' -H "Authorization: Bearer $CRON_SECRET"' if settings.auth.mode is not AuthMode.OFF else ""
    renewing = [process for process in processes if process.function.name in ("gmail_watch", "airtable_refresh")]
    return "\n".join(f"  curl -X POST{secret} http://{process.address}" for process in renewing)


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
