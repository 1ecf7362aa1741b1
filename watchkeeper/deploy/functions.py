"""The steps that deploy: stage and upload functions, let their callers call them, and make the Scheduler jobs."""

import json
from pathlib import Path

from watchkeeper.deploy.deployment import Deployment, description
from watchkeeper.deploy.flags import deploy_flags, schedule_flags
from watchkeeper.deploy.functions_table import Function, SchedulerJob
from watchkeeper.deploy.gcloud import GcloudFailed, StepFailed
from watchkeeper.deploy.staging import stage
from watchkeeper.deploy.work import Work


def stage_functions(work: Work) -> None:
    """Stage every function into its folder, then import each, before anything is uploaded. Raises StagingFailed."""
    deployment = work.deployment
    work.announce(f"staging and importing: {' '.join(function.name for function in deployment.functions)}")
    deployment.refuse_unusable()
    for function in deployment.functions:
        stage(function, _source(work, function))
    for function in deployment.functions:
        secrets = {
            secret.setting: "the place of a secret" for secret in deployment.secrets(function) if not secret.mounted_at
        }
        work.try_import(function, _source(work, function), {**deployment.environment(function), **secrets})


def deploy_function(work: Work, function: Function) -> None:
    """Deploy the staged function, and let its caller call it. Raises StepFailed."""
    deployment = work.deployment
    _refuse_without_queues(work, function)
    env_file = work.folder / f"{function.name}.yaml"
    # JSON is YAML too, and its texts are surely texts: gcloud refuses a number or a truth.
    env = json.dumps(deployment.environment(function), indent=1)
    env_file.write_text(f"{env}\n", encoding="utf-8")
    # The file is gone when somebody looks at what is printed.
    for line in env.splitlines():
        work.note(line)
    # Not being asked, gcloud makes a new function private, and leaves the callers of an old one to allow_caller.
    work.gcloud.run(
        *(
            "functions",
            "deploy",
            deployment.service(function),
            work.region,
            *deploy_flags(deployment, function, env_file),
        ),
        *(f"--source={_source(work, function)}", "--quiet", "--format=value(state,serviceConfig.revision)"),
    )
    allow_caller(work, function)


def _refuse_without_queues(work: Work, function: Function) -> None:
    """Raise StepFailed if a queue that the function uses is not there: setup was last run before there were queues."""
    for queue in work.deployment.queues if function.queue_roles else ():
        if work.describe_queue(queue, "(state)") is None and not work.is_dry_run:
            service, name = work.deployment.service(function), work.deployment.queue(queue)
            raise StepFailed(f"there is no queue {name}, which {service} uses; run setup first")


def allow_caller(work: Work, function: Function) -> None:
    """Let one member call a function, and nobody else."""
    service, wanted = work.deployment.service(function), work.deployment.invoker(function)
    callers = work.gcloud.look(
        *("run", "services", "get-iam-policy", service, work.region, "--flatten=bindings[].members"),
        *("--filter=bindings.role:roles/run.invoker", "--format=value(bindings.members,bindings.condition.title)"),
    )
    allowed = [line.partition("\t")[::2] for line in (callers or "").splitlines()]
    for member in dict.fromkeys(member for member, _ in allowed if member != wanted):
        _change_caller(work, "remove-iam-policy-binding", service, member, "--all")
    if (wanted, "") not in allowed:
        _change_caller(work, "add-iam-policy-binding", service, wanted, "--condition=None")


def _change_caller(work: Work, change: str, service: str, member: str, condition: str) -> None:
    try:
        work.gcloud.run(
            *("run", "services", change, service, work.region),
            *(f"--member={member}", "--role=roles/run.invoker", condition, "--format=none"),
        )
    except GcloudFailed as exc:
        if exc.is_for_outsiders:
            work.leave_open(
                f"{member} may not call {service}: the organisation allows roles only for its own domains. Ask its "
                "administrator to exempt this project from iam.allowedPolicyMemberDomains, run `setup`, and end the "
                "exemption; the grant stays"
            )
            return
        raise StepFailed(
            f"{service} is deployed, but its caller could not be set, which needs run.services.setIamPolicy, as in "
            "roles/run.admin: grant that to the account that deploys, or let someone who has it continue"
        ) from exc


def schedule_function(work: Work, function: Function, job: SchedulerJob) -> None:
    """Create or update the Scheduler job of a function; whether it is paused stays as it is."""
    flags = (work.location, *schedule_flags(work.deployment, function, job))
    shows = "--format=value(name,state)"
    found = work.describe_job(job.name, "(description)")
    if found is not None:
        refuse_others(work.deployment, job, found)
        work.gcloud.run("scheduler", "jobs", "update", "http", job.name, *flags, "--clear-headers", shows)
        return
    work.note("or, if the job is there: gcloud scheduler jobs update http, with the same flags")
    work.gcloud.run("scheduler", "jobs", "create", "http", job.name, *flags, shows)


def refuse_others(deployment: Deployment, job: SchedulerJob, found: str) -> None:
    """Raise StepFailed if a Scheduler job with our name is described as one of another deployment."""
    ours = description(deployment.table.prefix)
    if found.startswith(description("")) and not found.startswith(ours):
        service = found.removeprefix(description(""))
        raise StepFailed(
            f"the Scheduler job {job.name} calls {service}, which belongs to another deployment; delete it first"
        )


def _source(work: Work, function: Function) -> Path:
    return work.folder / function.name
