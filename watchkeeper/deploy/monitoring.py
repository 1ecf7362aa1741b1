"""The steps of monitoring: the metrics, dashboard and alerts of the folder monitoring/, with placeholders filled in."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from shared.settings import DEFAULT_PREFIX, PROJECT_FOLDER
from watchkeeper.deploy.deployment import Deployment
from watchkeeper.deploy.gcloud import USAGE_ERROR, Gcloud
from watchkeeper.deploy.work import Work

FOLDER = PROJECT_FOLDER / "monitoring"


class AlertPolicy(NamedTuple):
    """A policy as gcloud lists it: what people have changed of it stays."""

    name: str
    title: str
    enabled: str
    channels: str
    labels: str


def apply_metrics(work: Work) -> None:
    """Create or update each log-based metric."""
    there = (work.gcloud.look("logging", "metrics", "list", "--format=value(name)") or "").splitlines()
    work.note("or update, where a metric is there")
    for path in _filled(work, "metric-*.json"):
        name = json.loads(path.read_text(encoding="utf-8"))["name"]
        verb = "update" if name in there else "create"
        work.gcloud.run("logging", "metrics", verb, name, f"--config-from-file={path}", "--format=none")


def apply_dashboard(work: Work) -> None:
    """Create or update the dashboard."""
    (path,) = _filled(work, "dashboard.json")
    from_file = (f"--config-from-file={path}", "--format=none")
    dashboard = placeholders(work.deployment)["DASHBOARD"]
    etag = work.gcloud.look("monitoring", "dashboards", "describe", dashboard, "--format=value(etag)")
    if etag is None:
        work.note("or update, if the dashboard is there")
        work.gcloud.run("monitoring", "dashboards", "create", *from_file)
        return
    # An update names the state that it replaces.
    path.write_text(json.dumps({"etag": etag, **json.loads(path.read_text(encoding="utf-8"))}), encoding="utf-8")
    work.gcloud.run("monitoring", "dashboards", "update", dashboard, *from_file)


def apply_alerts(work: Work) -> None:
    """Create or update each alert. Google chooses the name of a policy, so it is found again by its title."""
    every = policies(work.gcloud)
    there = _applied(work, every)
    work.note("or update, where a policy is there")
    for path in _filled(work, "alert-*.json"):
        title = json.loads(path.read_text(encoding="utf-8"))["displayName"]
        same = [policy for policy in there if policy.title == title]
        if len(same) > 1:
            click.echo(f'there is more than one alert policy "{title}"; {same[0].name} is brought up to date')
        # On a metric it is refused until the metric has become known, which takes up to ten minutes.
        change = (*every, *_change(same), f"--policy-from-file={path}", "--format=none")
        # Twice created there would be two.
        unless = None if same else partial(_is_applied, work, every, title)
        work.gcloud.run(*change, unless=unless)


def _applied(work: Work, every: Sequence[str]) -> list[AlertPolicy]:
    """Return the policies that there are."""
    shows = "(name,displayName,enabled,notificationChannels.list(),userLabels.list())"
    found = work.gcloud.look(*every, "list", f'--format=value[separator="|"]{shows}') or ""
    return [AlertPolicy(*line.split("|", 4)) for line in found.splitlines()]


def _is_applied(work: Work, every: Sequence[str], title: str) -> bool:
    return any(policy.title == title for policy in _applied(work, every))


def policies(gcloud: Gcloud) -> tuple[str, ...]:
    """Return what this gcloud calls alert policies: they are general since December 2025, and were alpha before."""
    general = ("monitoring", "policies")
    is_unknown = gcloud.ask(*general, "list", "--limit=1", "--format=value(name)").code == USAGE_ERROR
    return ("alpha", *general) if is_unknown else general


def _change(same: list[AlertPolicy]) -> tuple[str, ...]:
    """Return how a policy is created or, since an update replaces all of it, updated with what people have added."""
    if not same:
        return ("create",)
    policy = same[0]
    return (
        *("update", policy.name, "--no-enabled" if policy.enabled == "False" else "--enabled"),
        *(f"--set-notification-channels={policy.channels}", f"--update-user-labels={policy.labels}"),
    )


def _filled(work: Work, pattern: str) -> Iterator[Path]:
    """Copy files into the folder of the run, with their placeholders filled in."""
    for name, text in read_filled(work.deployment, pattern).items():
        filled = work.folder / name
        filled.write_text(text, encoding="utf-8")
        yield filled


def read_filled(deployment: Deployment, pattern: str) -> dict[str, str]:
    """Return the files by their names, with their placeholders filled in."""
    values = placeholders(deployment)
    return {path.name: fill(path.read_text(encoding="utf-8"), values) for path in sorted(FOLDER.glob(pattern))}


def placeholders(deployment: Deployment) -> dict[str, str]:
    """Return what stands for the placeholders: the names of this deployment, and of no other one in the project."""
    prefix = deployment.table.prefix
    name = prefix.removesuffix("-")
    jobs = {each.name: each.scheduler_job.name for each in deployment.table.functions if each.scheduler_job}
    return {
        **{"PROJECT": deployment.project, "REGION": deployment.region, "PREFIX": prefix},
        **{"METRICS": f"{name}_", "DASHBOARD": name},
        "TITLE": "Watchkeeper" if prefix == DEFAULT_PREFIX else f"Watchkeeper ({name})",
        "JOBS": "|".join(jobs.values()),
        **{f"JOB_{function.upper()}": job for function, job in jobs.items()},
    }


def fill(text: str, values: Mapping[str, str]) -> str:
    """Fill in the placeholders; others stay, they are Google's."""
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


MONITORING = {"metrics": apply_metrics, "dashboard": apply_dashboard, "alerts": apply_alerts}
