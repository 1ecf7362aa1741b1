"""What is deployed in a project beside what the table says: of other deployments, and of this one by a former table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from shared.settings import DEFAULT_PREFIX, collection_of
from watchkeeper.deploy.asking import reading_answers
from watchkeeper.deploy.deployment import Deployment, address, description
from watchkeeper.deploy.gcloud import Gcloud, StepFailed

# In all regions.
FUNCTIONS = ("functions", "list", "--v2")
_FUNCTION = "--format=json(name,state,buildConfig.serviceAccount,serviceConfig.environmentVariables)"
_JOB = "--format=json(name,state,httpTarget.uri,description)"


class FoundFunction(NamedTuple):
    """A function that is deployed somewhere in the project."""

    name: str
    region: str
    state: str
    built_by: str  # the address of a service account
    env: Mapping[str, str]


class FoundJob(NamedTuple):
    """A Cloud Scheduler job that calls a function of this deployment."""

    name: str
    state: str
    service: str


class Neighbour(NamedTuple):
    """What another deployment has in common with this one, and the remedies."""

    says: str
    remedy: str


class Removed(NamedTuple):
    """What this deployment has and its table has not, each with its state."""

    jobs: Sequence[FoundJob]
    functions: Sequence[FoundFunction]

    @property
    def all(self) -> list[FoundJob | FoundFunction]:
        """Return all of it, the jobs first: they call the functions."""
        return [*self.jobs, *self.functions]


def read_functions(listed: Sequence[Mapping[str, Any]]) -> list[FoundFunction]:
    """Read functions as gcloud lists them in JSON."""
    return [
        FoundFunction(
            name=each["name"].rpartition("/")[2],
            region=each["name"].split("/")[3],
            state=each.get("state", ""),
            built_by=each.get("buildConfig", {}).get("serviceAccount", "").rpartition("/")[2],
            env=each.get("serviceConfig", {}).get("environmentVariables", {}),
        )
        for each in listed
    ]


def refuse_neighbours(deployment: Deployment, gcloud: Gcloud) -> None:
    """Raise StepFailed, with the remedies, if another deployment would have something in common with this one.

    Raises CannotAsk if gcloud lists in another form. A question that fails, as while the API is off, is left to the
    steps.
    """
    listed = gcloud.ask(*FUNCTIONS, _FUNCTION)
    with reading_answers():
        functions = read_functions(json.loads(listed.output or "[]")) if listed.code == 0 else []
    for found in neighbours(deployment, functions):
        raise StepFailed(f"{found.says}; {found.remedy}; --share deploys anyway")


def neighbours(deployment: Deployment, functions: Sequence[FoundFunction]) -> Iterator[Neighbour]:
    """Yield each function of another deployment that has something in common with this one."""
    for each in functions:
        if each.env.get("AUTH_AUDIENCE") != address(deployment.project, each.region, each.name):
            continue  # this is no function of Watchkeeper's
        has_prefix = each.name.startswith(deployment.table.prefix)
        if has_prefix and each.region != deployment.region:
            yield _in_two_regions(deployment, each)
        elif not has_prefix and _jobs_of(each.env) == _jobs_of(deployment.settings):
            yield _on_the_same_jobs(deployment, each)


def _jobs_of(settings: Mapping[str, str]) -> tuple[str, str]:
    return settings.get("FIRESTORE_DATABASE", "").strip() or "(default)", collection_of(settings)


def _in_two_regions(deployment: Deployment, found: FoundFunction) -> Neighbour:
    prefix = deployment.table.prefix
    another = "staging-" if prefix == DEFAULT_PREFIX else "another-"
    return Neighbour(
        f"{found.name} is deployed in {found.region}, not in {deployment.region}, and a deployment is in one region: "
        f"with the prefix {prefix} both would share jobs, service accounts, secrets and alerts",
        f"use --region {found.region}, or run destroy with it first, or set another DEPLOYMENT_PREFIX in the settings "
        f"file, such as {another}",
    )


def _on_the_same_jobs(deployment: Deployment, found: FoundFunction) -> Neighbour:
    database, collection = _jobs_of(deployment.settings)
    return Neighbour(
        f"{found.name} in {found.region} belongs to another deployment and has the same jobs, those of the collection "
        f"{collection} in the database {database}: both would run them",
        "leave SCHEDULER_COLLECTION unset in the settings file, since it follows from DEPLOYMENT_PREFIX, or set "
        "another FIRESTORE_DATABASE",
    )


def find_removed(deployment: Deployment, gcloud: Gcloud) -> Removed:
    """Return what is of this deployment and not in its table; in a dry run nothing. Raises StepFailed and CannotAsk."""
    jobs = gcloud.look("scheduler", "jobs", "list", f"--location={deployment.region}", _JOB)
    functions = gcloud.look(*FUNCTIONS, _FUNCTION)
    with reading_answers():
        return Removed(
            jobs=list(_removed_jobs(deployment, json.loads(jobs or "[]"))),
            functions=removed_functions(deployment, read_functions(json.loads(functions or "[]"))),
        )


def removed_functions(deployment: Deployment, functions: Sequence[FoundFunction]) -> list[FoundFunction]:
    """Return those that have the prefix of this deployment, were built by its account, and are not in its table."""
    wanted = {deployment.service(function) for function in deployment.table.functions}
    builder = deployment.email(deployment.table.build_account.id)
    return [
        each
        for each in functions
        if each.region == deployment.region and each.name.startswith(deployment.table.prefix)
        if each.built_by == builder and each.name not in wanted
    ]


def _removed_jobs(deployment: Deployment, listed: Sequence[Mapping[str, Any]]) -> Iterator[FoundJob]:
    """Yield those that a deployment has made, that call a function of this one, and that are not in its table."""
    wanted = {function.scheduler_job.name for function in deployment.table.functions if function.scheduler_job}
    for each in listed:
        name, uri = each["name"].rpartition("/")[2], each.get("httpTarget", {}).get("uri", "")
        service = uri.rpartition("/")[2]
        is_ours = service.startswith(deployment.table.prefix) and uri == address(
            deployment.project, deployment.region, service
        )
        if is_ours and each.get("description") == description(service) and name not in wanted:
            yield FoundJob(name, each.get("state", ""), service)
