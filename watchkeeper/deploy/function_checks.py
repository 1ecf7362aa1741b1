"""The checks of functions and their Scheduler jobs: whether they are as the table says, and who may call them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from watchkeeper.deploy.deployment import Deployment
from watchkeeper.deploy.flags import schedule_flags
from watchkeeper.deploy.found import FUNCTIONS, neighbours, read_functions, removed_functions
from watchkeeper.deploy.functions_table import Function, SchedulerJob
from watchkeeper.deploy.problems import Check, Fate, Problem, unconditional_members, value_at
from watchkeeper.deploy.remedies import Remedies

UNLOCKED = "run.googleapis.com/invoker-iam-disabled"
SET_BY_THE_PLATFORM = {"LOG_EXECUTION_ID"}

# A flag of a Scheduler job, and where its value is in the job as gcloud shows it.
SHOWN_AT = {
    "schedule": ("schedule",),
    "time-zone": ("timeZone",),
    "attempt-deadline": ("attemptDeadline",),
    "http-method": ("httpTarget", "httpMethod"),
    "oidc-service-account-email": ("httpTarget", "oidcToken", "serviceAccountEmail"),
    "oidc-token-audience": ("httpTarget", "oidcToken", "audience"),
}
STATUS_CODES = {4: "no answer in time", 5: "404", 7: "403", 8: "429", 13: "500", 14: "503", 16: "401"}


def function_checks(remedies: Remedies, function: Function) -> Iterator[Check]:
    """Yield the checks of one function."""
    yield from (_function(remedies, function), _caller(remedies, function), _lock(remedies, function))
    if function.scheduler_job is not None:
        yield _schedule(remedies, function, function.scheduler_job)


def _function(remedies: Remedies, function: Function) -> Check:
    service = remedies.deployment.service(function)

    def judge(found: Any) -> Iterator[Problem]:
        differing = _differences(remedies.deployment, function, found) if found else ["is not deployed"]
        if says := ", ".join(differing):
            fate = Fate.CHANGE if found else Fate.CREATE
            yield Problem(f"{service} {says}", remedies.deploy("functions", function.name), fate=fate)

    question = ("functions", "describe", service, "--gen2", f"--region={remedies.deployment.region}")
    well, anyway = f"{service} is deployed as the settings say", f"{service} gets a new revision, with the code of now"
    return Check("function", service, question, well, judge, anyway)


def _differences(deployment: Deployment, function: Function, found: Mapping[str, Any]) -> Iterator[str]:
    """Return where a function is not as it should be; settings by their names, never by their values."""
    service, state = found.get("serviceConfig", {}), found.get("state")
    if state != "ACTIVE":
        yield f"is {state}"
    if (account := service.get("serviceAccountEmail")) != deployment.email(function.account.id):
        yield f"runs as {account}"
    wanted, told = deployment.environment(function), service.get("environmentVariables", {})
    names = {name for name in wanted.keys() | told.keys() if wanted.get(name) != told.get(name)} - SET_BY_THE_PLATFORM
    names |= {place.partition("=")[0] for place in {*deployment.secret_references(function)} ^ {*_references(service)}}
    if names:
        yield f"was deployed with a different {', '.join(sorted(names))}"


def _references(service: Mapping[str, Any]) -> Iterator[str]:
    """Return the secret references of a deployed function, in the form of `Deployment.secret_references`."""
    for each in service.get("secretEnvironmentVariables", []):
        yield f"{each['key']}={each['secret']}:{each['version']}"
    for volume in service.get("secretVolumes", []):
        for each in volume["versions"]:
            yield f"{volume['mountPath']}/{each['path'].lstrip('/')}={volume['secret']}:{each['version']}"


def _caller(remedies: Remedies, function: Function) -> Check:
    service, wanted = remedies.deployment.service(function), remedies.deployment.invoker(function)

    def judge(policy: Any) -> Iterator[Problem]:
        bindings = [each for each in (policy or {}).get("bindings", []) if each["role"] == "roles/run.invoker"]
        members = {member for binding in bindings for member in binding["members"]}
        # Setup sees to the callers of what is deployed.
        mend = remedies.deploy("functions" if policy is None else "setup", function.name)
        if wanted not in unconditional_members(policy, "roles/run.invoker"):
            yield Problem(f"{service} may not be called by {wanted}", mend, fate=Fate.CHANGE)
        if others := sorted(members - {wanted}):
            yield Problem(f"{service} may be called by {', '.join(others)}", mend, fate=Fate.CHANGE)

    question = ("run", "services", "get-iam-policy", service, f"--region={remedies.deployment.region}")
    well = f"{service} may be called by {wanted}, and nobody else"
    return Check("caller", f"who may call {service}", question, well, judge)


def _lock(remedies: Remedies, function: Function) -> Check:
    service, region = remedies.deployment.service(function), f"--region={remedies.deployment.region}"

    def judge(found: Any) -> Iterator[Problem]:
        if found is None:
            mend, things = remedies.deploy("functions", function.name), (f"{service}, the service in Cloud Run",)
            yield Problem(f"there is no service {service}", mend, fate=Fate.CREATE, things=things)
        elif value_at(found, ("metadata", "annotations", UNLOCKED)) == "true":
            lock = remedies.gcloud("run", "services", "update", service, "--invoker-iam-check", region)
            yield Problem(f"Cloud Run does not check who calls {service}", lock)

    question = ("run", "services", "describe", service, region)
    return Check("caller", f"the lock of {service}", question, f"Cloud Run checks who calls {service}", judge)


def _schedule(remedies: Remedies, function: Function, job: SchedulerJob) -> Check:
    def judge(found: Any) -> Iterator[Problem]:
        uri = value_at(found or {}, ("httpTarget", "uri")) or "no URL"
        if found is None:
            yield Problem(f"{job.name} is not there", remedies.deploy("schedules", function.name), fate=Fate.CREATE)
        elif uri != remedies.deployment.url(function):
            # Two have the names that they had in the former system.
            says = f"{job.name} calls {uri}, which is not ours"
            yield Problem(says, remedies.deploy("schedules", function.name), fate=Fate.CHANGE)
        else:
            yield from _state(remedies, function, job, found)
            yield from _stale(remedies, function, job, found)
            yield from _last_attempt(remedies, function, job, found)

    question = ("scheduler", "jobs", "describe", job.name, f"--location={remedies.deployment.region}")
    when = f"{job.recurrence.cron} ({job.recurrence.timezone})"
    return Check(
        "schedule", job.name, question, f"{job.name} calls {remedies.deployment.service(function)}: {when}", judge
    )


def _state(remedies: Remedies, function: Function, job: SchedulerJob, found: Mapping[str, Any]) -> Iterator[Problem]:
    state = found.get("state")
    if state == "PAUSED":
        yield Problem(f"{job.name} is paused", remedies.deploy("resume", function.name), "warning")
    elif state != "ENABLED":
        yield Problem(f"{job.name} is {state}", remedies.deploy("schedules", function.name))


def _stale(remedies: Remedies, function: Function, job: SchedulerJob, found: Mapping[str, Any]) -> Iterator[Problem]:
    flags = schedule_flags(remedies.deployment, function, job)
    wanted = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    if stale := [flag for flag, keys in SHOWN_AT.items() if value_at(found, keys) != wanted[flag]]:
        says = f"{job.name} has a different {', '.join(stale)}"
        yield Problem(says, remedies.deploy("schedules", function.name), fate=Fate.CHANGE)


def _last_attempt(
    remedies: Remedies, function: Function, job: SchedulerJob, found: Mapping[str, Any]
) -> Iterator[Problem]:
    smoke = remedies.deploy("smoke", function.name)
    if "lastAttemptTime" not in found:
        yield Problem(f"{job.name} has never run", smoke, "warning", fate=None)
    elif code := value_at(found, ("status", "code")):
        meaning = f" ({STATUS_CODES[code]})" if code in STATUS_CODES else ""
        failed = f"the last attempt of {job.name}, at {found['lastAttemptTime']}, failed with status {code}{meaning}"
        log = f"the log of {remedies.deployment.service(function)} says why, docs/OPERATIONS.md what to do"
        yield Problem(f"{failed}; {log}", f"then {smoke}", fate=None)


def beside(remedies: Remedies) -> Check:
    """Return the check of what else is deployed: by other deployments, and by this one with a former table."""
    destroy = replace(remedies, only=()).deploy("destroy", option="--removed")

    def judge(listed: Any) -> Iterator[Problem]:
        functions = read_functions(listed or [])
        for found in neighbours(remedies.deployment, functions):
            yield Problem(found.says, found.remedy, fate=Fate.UNKNOWN)
        for each in removed_functions(remedies.deployment, functions):
            yield Problem(f"{each.name} is deployed, and not in functions.toml", destroy, "warning", Fate.UNKNOWN)

    well = f"no other deployment has something in common with {remedies.deployment.table.prefix}"
    return Check("deployment", "what else is deployed", FUNCTIONS, well, judge)
