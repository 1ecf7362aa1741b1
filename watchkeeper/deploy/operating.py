"""The steps that operate what is deployed, each on one function."""

from typing import NamedTuple

import click

from watchkeeper.deploy.found import FoundFunction, FoundJob, find_removed
from watchkeeper.deploy.functions_table import Function, SchedulerJob
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.work import Work


def pause(work: Work, function: Function, job: SchedulerJob) -> None:
    """Pause the Scheduler job of a function."""
    _turn(work, function, job, "pause", "PAUSED")


def resume(work: Work, function: Function, job: SchedulerJob) -> None:
    """Let the Scheduler job of a function run again."""
    _turn(work, function, job, "resume", "ENABLED")


def _turn(work: Work, function: Function, job: SchedulerJob, verb: str, state: str) -> None:
    """Pause or resume a job. One that is not there, or not ours, keeps nobody from pausing the others."""
    found = _own_job(work, function, job)
    if found is not None and found != state:
        work.gcloud.run("scheduler", "jobs", verb, job.name, work.location)


def _own_job(work: Work, function: Function, job: SchedulerJob) -> str | None:
    """Return the state of a Scheduler job, None if it is not there or not ours.

    Two have the names that they had in the former system: whatever calls another address is not ours.
    """
    found = work.describe_job(job.name, '[separator="|"](state,httpTarget.uri)')
    if work.is_dry_run:
        return ""
    if found is None:
        click.echo(f"there is no Scheduler job {job.name}")
        return None
    state, _, uri = found.partition("|")
    if uri != work.deployment.url(function):
        click.echo(f"{job.name} calls {uri or 'no URL'}, which is not ours; it stays as it is")
        return None
    return state


def show_status(work: Work, function: Function) -> None:
    """Print what is deployed of a function, and when its Scheduler job ran last."""
    shown = work.describe_function(function, '[separator="  "](state,serviceConfig.revision,updateTime)')
    show(work, "function", work.deployment.service(function), "not deployed" if shown is None else shown)
    if job := function.scheduler_job:
        fields = '[separator="  "](state,schedule,timeZone,lastAttemptTime,status.code)'
        shown = work.describe_job(job.name, fields)
        show(work, "schedule", job.name, "not there" if shown is None else shown)


def show_removed(work: Work) -> None:
    """Print what this deployment has and its table has not."""
    removed = find_removed(work.deployment, work.gcloud)
    for job in removed.jobs:
        show(work, "schedule", job.name, f"{job.state}  not in functions.toml: destroy --removed deletes it")
    for function in removed.functions:
        show(work, "function", function.name, f"{function.state}  not in functions.toml: destroy --removed deletes it")


def show(work: Work, kind: str, name: str, state: str) -> None:
    """Print one line of a status."""
    if not work.is_dry_run:
        click.echo(f"{kind:<10} {name:<30} {state}")


class Revision(NamedTuple):
    """A revision of a service; one that never became ready can take no traffic."""

    name: str
    is_ready: bool


def show_serving(work: Work, function: Function) -> None:
    """Print which revision has all the traffic of a function, for a rollback to it: SERVICE REVISION."""
    service = work.deployment.service(function)
    if serving := _serving(work, service):
        click.echo(f"{service} {serving}")


def read_serving(text: str) -> dict[str, str]:
    """Read what `serving` printed: the revision of each service. Raises StepFailed."""
    revisions = {}
    for line in text.splitlines():
        service, _, revision = line.partition(" ")
        if not revision:
            raise StepFailed(f"--to: `{line}` is not a line SERVICE REVISION as `serving` prints it")
        revisions[service] = revision
    return revisions


def roll_back(work: Work, function: Function) -> None:
    """Return the traffic of a function to the revision of `--to`, or the newest working one before the present one."""
    service = work.deployment.service(function)
    serving = _serving(work, service)
    if work.back_to is not None:
        _roll_back_to(work, service, serving, work.back_to.get(service, ""))
        return
    revisions = _revisions(work, service)
    before = "THE_REVISION_BEFORE" if work.is_dry_run else revision_before(serving, revisions)
    if before:
        _send_traffic(work, service, before)
    else:
        says = f"{service} has no working revision before {serving or 'one with all the traffic'}; it stays as it is"
        click.echo(says, err=True)


def _roll_back_to(work: Work, service: str, serving: str, revision: str) -> None:
    if not revision:
        click.echo(f"--to names no revision of {service}; it stays as it is", err=True)
    elif revision != serving:
        _send_traffic(work, service, revision)


def _send_traffic(work: Work, service: str, revision: str) -> None:
    to = f"--to-revisions={revision}=100"
    work.gcloud.run("run", "services", "update-traffic", service, work.region, to, "--format=none")


def revision_before(serving: str, revisions: list[Revision]) -> str:
    """Return the newest working one of the revisions, which come newest first, behind the one that is serving."""
    names = [revision.name for revision in revisions]
    behind = revisions[names.index(serving) + 1 :] if serving in names else []
    return next((revision.name for revision in behind if revision.is_ready), "")


def _serving(work: Work, service: str) -> str:
    """Return the revision that has all the traffic, "" if none has."""
    shares = work.gcloud.look(
        *("run", "services", "describe", service, work.region, "--flatten=status.traffic[]"),
        "--format=value(status.traffic.percent,status.traffic.revisionName)",
    )
    rows = [line.partition("\t") for line in (shares or "").splitlines()]
    return next((name for percent, _, name in rows if percent == "100"), "")


def _revisions(work: Work, service: str) -> list[Revision]:
    found = work.gcloud.look(
        *("run", "revisions", "list", f"--service={service}", work.region, "--flatten=status.conditions[]"),
        *("--filter=status.conditions.type=Ready", "--sort-by=~metadata.creationTimestamp"),
        "--format=value(metadata.name,status.conditions.status)",
    )
    rows = [line.partition("\t") for line in (found or "").splitlines()]
    return [Revision(name, is_ready == "True") for name, _, is_ready in rows]


def destroy(work: Work, function: Function) -> None:
    """Delete the Scheduler job of a function, if it is ours, and then the function."""
    job, service = function.scheduler_job, work.deployment.service(function)
    if job is not None and _own_job(work, function, job) is not None:
        work.gcloud.run("scheduler", "jobs", "delete", job.name, work.location, "--quiet")
    if work.describe_function(function, "(state)") is not None or work.is_dry_run:
        work.gcloud.run("functions", "delete", service, "--gen2", work.region, "--quiet")


def destroy_removed(work: Work, found: FoundJob | FoundFunction) -> None:
    """Delete a Scheduler job or a function of this deployment that its table has not."""
    if isinstance(found, FoundJob):
        work.gcloud.run("scheduler", "jobs", "delete", found.name, work.location, "--quiet")
    else:
        work.gcloud.run("functions", "delete", found.name, "--gen2", work.region, "--quiet")
