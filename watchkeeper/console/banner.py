"""The banner of a local run: what is real, what is a fake, and what to try next."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.settings import AuthMode, Settings
from watchkeeper.console.system import System
from watchkeeper.session import EMULATOR, from_here


def banner(system: System, console: int, settings: Settings, env: Mapping[str, str]) -> str:
    """Return the banner for a person who sees the run for the first time; `console` is the port of the page."""
    rows = [("jobs", system.place), ("access", _access(settings))]
    rows += [(name, f"the real function: {url}{_schedule(system, name)}") for name, url in system.functions.items()]
    rows.append(("scheduler", "a FAKE Cloud Scheduler makes these calls, and repeats a failed renewal"))
    for service in system.services:
        fake = f"a FAKE, {service.address}/stand-in shows its state"
        rows.append((service.name, fake if service.is_fake else f"the REAL {service.name}"))
    table = "\n".join(f"  {name:<16} {text}" for name, text in rows)
    command = f"{_store(settings, env)}{_command()}"
    return f"""
Watchkeeper runs on this machine. Ctrl-C stops it. To see it, open http://127.0.0.1:{console}

{table}

To add a job, use that page, or run in another terminal, in this folder:

  {command} jobs add log --payload '{{"message": "Good morning"}}'

To see the subscriptions, or to renew them once more:

  {command} renew --status
{_renew(system, settings)}

"""


def _schedule(system: System, function: str) -> str:
    if function == "run_job":
        return ", called by Cloud Tasks for each job that a tick hands over"
    if function not in system.schedules:
        return ""
    recurrence = system.schedules[function].recurrence
    return f", called now and on {recurrence.cron} ({recurrence.timezone})"


def _renew(system: System, settings: Settings) -> str:
    secret = ' -H "Authorization: Bearer $CRON_SECRET"' if settings.auth.mode is not AuthMode.OFF else ""
    renewing = [url for name, url in system.functions.items() if name in ("gmail_watch", "airtable_refresh")]
    return "\n".join(f"  curl -X POST{secret} {url}" for url in renewing)


def _access(settings: Settings) -> str:
    if settings.auth.mode is AuthMode.OFF:
        return "open to this machine, closed to web pages of other sites (AUTH_MODE=off)"
    return "with the CRON_SECRET as bearer token"


def _store(settings: Settings, env: Mapping[str, str]) -> str:
    """Return the settings that point another command to the emulator."""
    if settings.storage == "json" or not (emulator := env.get(EMULATOR)):
        return ""
    project = f"GOOGLE_CLOUD_PROJECT={settings.project} " if settings.project else ""
    return f"SCHEDULER_STORAGE=firestore {project}{EMULATOR}={emulator} "


def _command() -> str:
    if shutil.which("watchkeeper"):
        return "watchkeeper"
    return str(from_here(Path(sys.executable).with_name("watchkeeper")))
