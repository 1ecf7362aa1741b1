"""What `deploy_functions.sh` is to do, worked out from the table of functions and a settings file.

    python -m watchkeeper.deploy.target plan --project P --region R --settings FILE FOLDER
    python -m watchkeeper.deploy.target secrets --project P --region R --settings FILE FOLDER
    python -m watchkeeper.deploy.target stage --project P --region R --settings FILE FOLDER

`plan` writes files into FOLDER that the script reads: one thing a line with tabs in it, or the flags of a gcloud
command, each ended by NUL. `secrets` puts what is secret beside them, only when it is needed. `stage` puts every
function there and imports it. Addresses, audiences and callers follow from project, region and table, and never from
a setting, so none of them can be out of date.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from shared.errors import InvalidSettings, WatchkeeperError
from shared.settings import KEPT, PROJECT_FOLDER, Environment, parse_secret
from watchkeeper.deploy.functions_table import Account, Deployment, Function, SchedulerJob, Secret, read_deployment
from watchkeeper.deploy.staging import read_settings, stage, try_import

CHAT = "chat@system.gserviceaccount.com"
EVERYBODY = "allUsers"
UNKNOWN_NUMBER = "PROJECT_NUMBER"  # until the script has asked for it


@dataclass(frozen=True, kw_only=True)
class Target:
    """One deployment of the table: where it goes, with which settings, and which functions of it."""

    table: Deployment
    settings: Mapping[str, str]
    project: str
    region: str
    number: str
    functions: Sequence[Function]

    def email(self, account: str) -> str:
        """Give the address of a service account of the project."""
        return f"{account}@{self.project}.iam.gserviceaccount.com"

    def service(self, function: Function) -> str:
        """Give the name under which a function is deployed."""
        return self.table.prefix + function.name.replace("_", "-")

    def url(self, function: Function) -> str:
        """Give a function's address, which is known before it is deployed, and is the audience of its callers."""
        return f"https://{self.region}-{self.project}.cloudfunctions.net/{self.service(function)}"

    def invoker(self, function: Function) -> str:
        """Give the one member that may call a function: the Scheduler's account, Chat's, or everybody."""
        caller = self.caller(function)
        return f"serviceAccount:{caller}" if caller else EVERYBODY

    def caller(self, function: Function) -> str:
        """Give the address of the service account that calls a function; "" for Chat's that Cloud Run cannot know."""
        if function.scheduler_job is not None:
            return self.email(self.table.scheduler_account.id)
        return {
            "addon": f"service-{self.number}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com",
            "endpoint": CHAT,
            "project_number": "",
        }[self.chat_auth]

    @property
    def chat_auth(self) -> str:
        """Give which kind of token Chat sends. Raises InvalidSettings."""
        read = Environment(self.settings)
        chat_auth = read.one_of("CHAT_AUTH", "addon", "addon", "endpoint", "project_number")
        if chat_auth == "project_number" and read.text("AUTH_MODE", "verify") != "verify":
            read.problems["AUTH_MODE"] = (
                "CHAT_AUTH is project_number, so chat_webhook must be public and check tokens: set AUTH_MODE=verify"
            )
        read.refuse_problems()
        return chat_auth

    @property
    def needs_number(self) -> bool:
        """Say whether the project's number is part of what is deployed."""
        return self.chat_auth != "endpoint" and any(function.scheduler_job is None for function in self.functions)

    @property
    def apis(self) -> list[str]:
        """Name the APIs that the functions need."""
        return sorted({*self.table.apis, *(api for function in self.functions for api in function.apis)})

    @property
    def accounts(self) -> list[Account]:
        """Give the service accounts: that of the Scheduler jobs, that of the builds, and each function's own."""
        own = [function.account for function in self.functions]
        return [self.table.scheduler_account, self.table.build_account, *own]

    def environment(self, function: Function) -> dict[str, str]:
        """Give the environment of a deployed function, but for its secrets."""
        env = {
            **function.passed_on(self.settings),
            "GOOGLE_CLOUD_PROJECT": self.project,
            "CLOUD_RUN_TIMEOUT_SECONDS": _seconds(function).removesuffix("s"),
            "AUTH_AUDIENCE": self.url(function),
            "AUTH_CALLERS": self.caller(function),
        }
        for chat in (each for each in self.table.functions if each.scheduler_job is None):
            env["PUBLIC_URL"] = self.url(chat)
        if function.scheduler_job is None:
            env["CHAT_AUDIENCE"] = self.number if self.chat_auth == "project_number" else self.url(function)
        mounted = {secret.setting: secret.mounted_at for secret in self.secrets(function) if secret.mounted_at}
        return {name: value for name, value in {**env, **mounted}.items() if value}

    def secrets(self, function: Function) -> list[Secret]:
        """Give the secrets that a function is told: those that are set."""
        return [self.table.secrets[name] for name in function.secrets if self.settings.get(name, "").strip()]

    def secret_version(self, secret: Secret) -> str:
        """Give the version that is used: the one that the setting names, as in secret:3, or the latest."""
        kept = KEPT.fullmatch(self.settings[secret.setting].strip())
        return kept[1] if kept else "latest"

    def secret_references(self, function: Function) -> list[str]:
        """Give where a function is told which version of which secret, as gcloud writes it: PLACE=NAME:VERSION."""
        return [
            f"{secret.mounted_at or secret.setting}={secret.name}:{self.secret_version(secret)}"
            for secret in self.secrets(function)
        ]

    def secret_value(self, secret: Secret) -> bytes | None:
        """Give what is to be kept in Secret Manager, or None if it is there already. Raises InvalidSettings."""
        text = self.settings[secret.setting].strip()
        if KEPT.fullmatch(text):
            return None
        if not secret.mounted_at:
            return text.encode()
        try:
            return (PROJECT_FOLDER / text).read_bytes()
        except OSError as exc:
            raise InvalidSettings(f"{secret.setting} names a file that cannot be read: {exc.strerror}") from exc

    def refuse_missing(self) -> None:
        """Raise InvalidSettings, naming what the functions need and what is not set."""
        missing = [
            f"{' or '.join(names)} (for {function.name})"
            for function in self.functions
            for names in function.requires
            if not any(self.settings.get(name, "").strip() for name in names)
        ]
        if missing:
            raise InvalidSettings(
                f"not set: {'; '.join(missing)}. Set them in the settings file, or name the other functions with --only"
            )


def deploy_flags(target: Target, function: Function, env_file: Path) -> list[str]:
    """Give every flag of `gcloud functions deploy` but the source: what is not given would stay as it was."""
    resources = function.resources
    secrets = target.secret_references(function)
    return [
        *("--gen2", f"--runtime={function.runtime}", f"--entry-point={function.entry_point}", "--trigger-http"),
        f"--service-account={target.email(function.account.id)}",
        f"--build-service-account=projects/{target.project}/serviceAccounts/"
        f"{target.email(target.table.build_account.id)}",
        *(f"--memory={resources.memory}", f"--cpu={resources.cpu}", f"--timeout={_seconds(function)}"),
        f"--concurrency={resources.concurrency}",
        *(f"--min-instances={resources.min_instances}", f"--max-instances={resources.max_instances}"),
        "--ingress-settings=all",
        f"--env-vars-file={env_file}",
        f"--set-secrets={','.join(secrets)}" if secrets else "--clear-secrets",
        # After a rollback the traffic is tied to a revision.
        "--serve-all-traffic-latest-revision",
    ]


def schedule_flags(target: Target, function: Function, job: SchedulerJob) -> list[str]:
    """Give every flag of `gcloud scheduler jobs create|update http`: an update keeps what it is not told."""
    return [
        *(f"--schedule={job.recurrence.cron}", f"--time-zone={job.recurrence.timezone}"),
        # gcloud does nothing upon --clear-message-body, so there is a body that can be set.
        *(f"--uri={target.url(function)}", "--http-method=POST", "--message-body={}"),
        f"--oidc-service-account-email={target.email(target.table.scheduler_account.id)}",
        f"--oidc-token-audience={target.url(function)}",
        f"--attempt-deadline={job.attempt_deadline.total_seconds():.0f}s",
        *(f"--max-retry-attempts={job.retry.count}", f"--max-retry-duration={job.retry.max_duration}"),
        *(f"--min-backoff={job.retry.min_backoff}", f"--max-backoff={job.retry.max_backoff}"),
        f"--max-doublings={job.retry.max_doublings}",
        f"--description=Calls the function {target.service(function)}",
    ]


def write_plan(target: Target, folder: Path) -> None:
    """Write what the script reads."""
    names = [function.name for function in target.functions]
    _write_lines(folder / "functions", names)
    _write_lines(folder / "prefix", [target.table.prefix])
    _write_lines(folder / "needs_number", ["yes"] if target.needs_number else [])
    _write_lines(folder / "apis", target.apis)
    _write_setup(target, folder)
    for function in target.functions:
        own = folder / function.name
        own.mkdir(exist_ok=True)
        env_file = own / "env.yaml"
        # JSON is YAML too, and its texts are surely texts: gcloud refuses a number or a truth.
        env_file.write_text(json.dumps(target.environment(function), indent=1) + "\n", encoding="utf-8")
        _write_flags(own / "deploy", deploy_flags(target, function, env_file))
        _write_lines(own / "service", [target.service(function)])
        _write_lines(own / "url", [target.url(function)])
        _write_lines(own / "invoker", [target.invoker(function)])
        job = function.scheduler_job
        _write_lines(own / "job", [job.name] if job else [])
        _write_flags(own / "schedule", schedule_flags(target, function, job) if job else [])


def _write_setup(target: Target, folder: Path) -> None:
    """Write what setup sees to."""
    firestore = target.table.firestore
    roles = [f"{target.email(account.id)}\t{role}" for account in target.accounts for role in account.roles]
    _write_lines(folder / "accounts", [account.id for account in target.accounts])
    _write_lines(folder / "roles", roles)
    place = (firestore.database, firestore.location or target.region, firestore.collection, firestore.ttl_field)
    _write_lines(folder / "firestore", ["\t".join(place)])
    _write_lines(folder / "unindexed", firestore.unindexed_fields)
    _write_lines(folder / "acting", _each(target, lambda own: _pair(own.acts_as, target.email(own.account.id))))
    _write_lines(folder / "topics", _each(target, lambda own: [own.topic] if own.topic else []))
    readers = _each(
        target,
        lambda own: (f"{secret.name}\t{target.email(own.account.id)}" for secret in target.secrets(own)),
    )
    _write_lines(folder / "secret_readers", sorted(readers))


def write_secrets(target: Target, folder: Path) -> None:
    """Write each secret that is to be kept in Secret Manager into a file that only its owner can read."""
    used = {secret.name: secret for function in target.functions for secret in target.secrets(function)}
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    for secret in used.values():
        value = target.secret_value(secret)
        if value is not None:
            _write_private(folder / "secrets" / secret.name, value)


def _pair(first: str, second: str) -> list[str]:
    return [f"{first}\t{second}"] if first else []


def _each(target: Target, give: Callable[[Function], Iterable[str]]) -> list[str]:
    return [line for function in target.functions for line in give(function)]


def _seconds(function: Function) -> str:
    return f"{function.timeout.total_seconds():.0f}s"


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_flags(path: Path, flags: Sequence[str]) -> None:
    path.write_text("".join(f"{flag}\0" for flag in flags), encoding="utf-8")


def _write_private(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def stage_all(target: Target, folder: Path) -> None:
    """Stage every function into its folder, then import each, before anything is uploaded. Raises StagingFailed."""
    target.refuse_missing()
    for function in target.functions:
        stage(function, folder / function.name / "source")
    for function in target.functions:
        secrets = {
            secret.setting: "the place of a secret" for secret in target.secrets(function) if not secret.mounted_at
        }
        try_import(function, folder / function.name / "source", {**target.environment(function), **secrets})


def read_target(*, project: str, region: str, number: str, only: Sequence[str], file: Path | None) -> Target:
    """Read table and settings. Raises InvalidSettings."""
    for name, value in (("project", project), ("region", region)):
        if not re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", value):
            raise InvalidSettings(f"--{name} is {value!r}, which is no {name}'s id")
    settings = read_settings(file) if file else {}
    read = Environment(settings)
    read.parsed("CRON_SECRET", "", parse_secret)
    read.refuse_problems()
    table = read_deployment(settings)
    names = [function.name for function in table.functions]
    if unknown := sorted(set(only) - set(names)):
        raise InvalidSettings(f"there is no function {unknown[0]}; there are {', '.join(names)}")
    functions = [function for function in table.functions if not only or function.name in only]
    return Target(
        table=table, settings=settings, project=project, region=region, number=number, functions=tuple(functions)
    )


@click.command()
@click.argument("task", type=click.Choice(["plan", "secrets", "stage"]))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--project", required=True)
@click.option("--region", required=True)
@click.option("--number", default=UNKNOWN_NUMBER, help="The project's number.")
@click.option("--only", multiple=True, help="A function; every one if none is named.")
@click.option("--settings", "file", type=click.Path(path_type=Path))
def main(task: str, folder: Path, **given: Any) -> None:
    """Write into FOLDER what deploy_functions.sh is to do, or the secrets; or stage and import the functions there."""
    work = {"plan": write_plan, "secrets": write_secrets, "stage": stage_all}[task]
    try:
        work(read_target(**given), folder)
    except WatchkeeperError as exc:
        raise Refused(str(exc)) from exc


class Refused(click.ClickException):
    """One line, like the errors of the script."""

    def show(self, file: Any = None) -> None:
        """Write it."""
        click.echo(f"error: {self.message}", err=True)


if __name__ == "__main__":
    main()
