"""`watchkeeper jobs logs`: what a job's runs logged, in the log of the local run or in Cloud Logging."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click

from shared.errors import WatchkeeperError
from shared.settings import DEFAULT_PREFIX
from watchkeeper.cli.completion import complete_ids
from watchkeeper.cli.display import to_json
from watchkeeper.deploy.gcloud import Gcloud, execute
from watchkeeper.logbook import LogLine, cloud_filter, cloud_url, follow, lines_of, log_line, log_path
from watchkeeper.parameters import Duration
from watchkeeper.session import Session
from watchkeeper.times import shown

DAY = timedelta(days=1)
LOCAL_PAUSE, CLOUD_PAUSE = 0.3, 5.0  # seconds between two reads
LATE = timedelta(minutes=1)  # a line may reach Cloud Logging so long after its time
COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


@click.command("logs")
@click.argument("job_id", metavar="ID", shell_complete=complete_ids)
@click.option("--follow", "-f", "is_followed", is_flag=True, help="Keep printing new lines, until Ctrl-C.")
@click.option("--since", type=Duration(), metavar="DURATION", help="Only lines of the last, e.g. 2h.  [project: 24h]")
@click.option(
    "--limit", type=click.IntRange(min=1), default=200, show_default=True, metavar="N", help="The last N lines."
)
@click.option("--project", metavar="P", help="Read Cloud Logging of this Google Cloud project, through gcloud.")
@click.option("--url", is_flag=True, help="With --project: print the address of these lines in Cloud Logging instead.")
@click.option("--json", "as_json", is_flag=True, help="Write each line as the function wrote it.")
@click.pass_obj
def show_logs(
    session: Session,
    /,
    job_id: str,
    is_followed: bool,
    since: timedelta | None,
    limit: int,
    project: str | None,
    url: bool,
    as_json: bool,
) -> None:
    """Show the log of a job.

    That is what the functions logged about it, and its handler while it ran. Without --project it is the log that
    `make run` writes.

    \b
    Examples:
      watchkeeper jobs logs report --follow
      watchkeeper jobs logs report --project my-project --since 2h
    """
    start = session.clock() - since if since is not None else None
    if url and not project:
        raise click.UsageError("--url needs --project.")
    if url and project:
        click.echo(cloud_url(project, job_id, prefix=session.settings.prefix, since=start))
        return
    if project:
        gcloud = Gcloud(project, execute=execute, is_dry_run=False)
        prefix = session.settings.prefix
        lines = cloud_lines(gcloud, job_id, since=start or session.clock() - DAY, limit=limit, prefix=prefix)
    else:
        lines = lines_of(_local(session), job_id, since=start)[-limit:]
    zone = session.settings.timezone
    _print(lines, zone, as_json=as_json)
    if not is_followed:
        if not lines:
            click.echo("No lines found.", err=True)
        return
    # Ctrl-C is the way out, and no error.
    try:
        if project:
            latest = lines[-1].time if lines else session.clock()
            following = new_cloud_lines(gcloud, job_id, lines, latest, _waits(CLOUD_PAUSE), prefix=prefix)
            _print(following, zone, as_json=as_json)
        else:
            _print(follow(_local(session), job_id, _waits(LOCAL_PAUSE)), zone, as_json=as_json)
    except KeyboardInterrupt:
        return


def _local(session: Session) -> Path:
    path = log_path(session.settings)
    if not path.exists():
        raise WatchkeeperError(
            f"no log of a local run ({path}): `make run` writes it; for a deployed system use --project"
        )
    return path


def _waits(seconds: float) -> Callable[[], bool]:
    def wait() -> bool:
        time.sleep(seconds)
        return False

    return wait


def _print(lines: Iterable[LogLine], zone: str, *, as_json: bool) -> None:
    for line in lines:
        if as_json:
            click.echo(to_json(line.fields))
            continue
        severity = click.style(f"{line.severity:<8}", fg=COLOURS.get(line.severity))
        attempt = f" #{line.fields['attempt']}" if "attempt" in line.fields else ""
        click.echo(f"{shown(line.time, zone)}  {severity} {line.source}{attempt}  {line.message}")
        if line.trace:
            click.echo("\n".join(f"    {each}" for each in line.trace.splitlines()))


# -- Cloud Logging -----------------------------------------------------------------------------------------------------


def cloud_lines(
    gcloud: Gcloud, job_id: str, *, since: datetime, limit: int, prefix: str = DEFAULT_PREFIX
) -> list[LogLine]:
    """Return the last lines about a job since a time, oldest first. Raises WatchkeeperError."""
    lines = cloud_filter(job_id, prefix=prefix, since=since)
    question = ("logging", "read", lines, "--order=desc", f"--limit={limit}")
    try:
        ended = gcloud.ask(*question, "--format=json")
    except FileNotFoundError:
        raise WatchkeeperError("gcloud is not installed: https://cloud.google.com/sdk/docs/install") from None
    if ended.code:
        from watchkeeper.deploy.asking import last_error  # slow to import

        raise WatchkeeperError(f"Cloud Logging cannot be read: {last_error(ended.errors)}")
    return [_cloud_line(entry) for entry in reversed(json.loads(ended.output or "[]"))]


def new_cloud_lines(
    gcloud: Gcloud,
    job_id: str,
    known: list[LogLine],
    latest: datetime,
    wait: Callable[[], bool],
    *,
    prefix: str = DEFAULT_PREFIX,
) -> Iterator[LogLine]:
    """Yield lines that are new since `known`, read after read; some come late, and out of order."""
    seen = {str(line.fields["insertId"]) for line in known}
    while not wait():
        for line in cloud_lines(gcloud, job_id, since=latest - LATE, limit=1000, prefix=prefix):
            if line.fields["insertId"] not in seen:
                seen.add(str(line.fields["insertId"]))
                latest = max(latest, line.time)
                yield line


def _cloud_line(entry: dict[str, object]) -> LogLine:
    """Return an entry of Cloud Logging as the line that a function wrote; the agent took some fields out of it."""
    payload, resource = entry.get("jsonPayload"), entry.get("resource")
    labels = resource.get("labels", {}) if isinstance(resource, dict) else {}
    fields = {
        **(payload if isinstance(payload, dict) else {}),
        "time": entry.get("timestamp"),
        "severity": entry.get("severity", "DEFAULT"),
        "source": labels.get("service_name", ""),
        "insertId": entry.get("insertId", ""),
    }
    return log_line(fields)
