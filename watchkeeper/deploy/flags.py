"""The flags of functions, Scheduler jobs and queues for gcloud: all of them, because an update keeps the rest."""

from datetime import timedelta
from pathlib import Path

from watchkeeper.deploy.deployment import Deployment, description
from watchkeeper.deploy.functions_table import Function, Queue, RetryPolicy, SchedulerJob


def deploy_flags(deployment: Deployment, function: Function, env_file: Path) -> list[str]:
    """Return every flag of `gcloud functions deploy` but the source: what is not given would stay as it was."""
    resources = function.resources
    secrets = deployment.secret_references(function)
    return [
        *("--gen2", f"--runtime={function.runtime}", f"--entry-point={function.entry_point}", "--trigger-http"),
        f"--service-account={deployment.email(function.account.id)}",
        f"--build-service-account=projects/{deployment.project}/serviceAccounts/"
        f"{deployment.email(deployment.table.build_account.id)}",
        *(f"--memory={resources.memory}", f"--cpu={resources.cpu}", f"--timeout={_seconds(function.timeout)}"),
        f"--concurrency={resources.concurrency}",
        *(f"--min-instances={resources.min_instances}", f"--max-instances={resources.max_instances}"),
        "--ingress-settings=all",
        f"--env-vars-file={env_file}",
        f"--set-secrets={','.join(secrets)}" if secrets else "--clear-secrets",
        # After a rollback the traffic is tied to a revision.
        "--serve-all-traffic-latest-revision",
    ]


def schedule_flags(deployment: Deployment, function: Function, job: SchedulerJob) -> list[str]:
    """Return every flag of `gcloud scheduler jobs create|update http`: an update keeps what it is not told."""
    return [
        *(f"--schedule={job.recurrence.cron}", f"--time-zone={job.recurrence.timezone}"),
        # gcloud does nothing upon --clear-message-body, so there is a body that can be set.
        *(f"--uri={deployment.url(function)}", "--http-method=POST", "--message-body={}"),
        f"--oidc-service-account-email={deployment.email(deployment.table.scheduler_account.id)}",
        f"--oidc-token-audience={deployment.url(function)}",
        f"--attempt-deadline={_seconds(job.attempt_deadline)}",
        f"--max-retry-attempts={job.retry.count}",
        *_retry_flags(job.retry),
        f"--description={description(deployment.service(function))}",
    ]


def queue_flags(queue: Queue) -> list[str]:
    """Return every flag of `gcloud tasks queues create|update`: an update keeps what it is not told."""
    return [
        f"--max-concurrent-dispatches={queue.max_concurrent}",
        f"--max-dispatches-per-second={queue.max_per_second}",
        f"--max-attempts={queue.retry.count}",
        *_retry_flags(queue.retry),
    ]


def _retry_flags(retry: RetryPolicy) -> list[str]:
    return [
        f"--max-retry-duration={_seconds(retry.max_duration)}",
        *(f"--min-backoff={_seconds(retry.min_backoff)}", f"--max-backoff={_seconds(retry.max_backoff)}"),
        f"--max-doublings={retry.max_doublings}",
    ]


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.9g}s"
