"""What `watchkeeper doctor --project` finds: a deployment as gcloud and its store show it."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from shared.errors import InvalidSettings, StoreUnavailable
from shared.model.job import Job
from shared.model.value import Status
from shared.settings import PROJECT_FOLDER, Environment
from shared.store.documents import Unreadable
from shared.subscriptions import ALARM_BEFORE, MOST_RECORDS, PREFIX, recorded_time
from watchkeeper.deploy.asking import CannotAsk, NoGcloud, answer_of, ask_all, reading_answers
from watchkeeper.deploy.checks import checks
from watchkeeper.deploy.deployer import deployer_check
from watchkeeper.deploy.deployment import UNKNOWN_NUMBER, read_deployment
from watchkeeper.deploy.function_checks import beside
from watchkeeper.deploy.functions_table import Caller
from watchkeeper.deploy.gcloud import ENVIRONMENT, Ended
from watchkeeper.deploy.remedies import Remedies
from watchkeeper.findings import Finding, chat_findings
from watchkeeper.session import Session, place_of_jobs
from watchkeeper.times import distance

PATIENCE = 60  # seconds for an answer of gcloud
# The settings that name what is subscribed to, and the service, as it stands in the id of a record.
SERVICES = {"GMAIL_USER_EMAIL": "gmail", "AIRTABLE_BASE_ID": "airtable"}


class Subscribed(NamedTuple):
    """What should be on record: a mailbox or a base, of which service, and the remedy if it is not renewed."""

    service: str
    name: str
    renew: str


def examine_deployment(
    session: Session, *, project: str, region: str, file: Path | None, only: Sequence[str]
) -> Iterator[Finding]:
    """Yield what is found, one thing after the other; what cannot be examined any more is left out."""
    default = PROJECT_FOLDER / ".env"  # as deploy_functions.sh finds it
    used = file or (default if default.exists() else None)
    try:
        deployment = read_deployment(project=project, region=region, number=UNKNOWN_NUMBER, only=only, file=used)
        deployment = deployment if only else deployment.without_unconfigured()
        remedies = Remedies(deployment=deployment, file=file, only=only)
        env = {**deployment.settings, "SCHEDULER_STORAGE": "firestore", "GOOGLE_CLOUD_PROJECT": project}
        deployed = replace(session, env=env)
        place = f"jobs are kept {place_of_jobs(deployed.settings, session.env)}"
        needs_number = deployment.needs_number
    except InvalidSettings as exc:
        yield Finding("wrong", "settings", str(exc))
        return
    try:
        deployment.refuse_unusable()
        yield Finding("ok", "settings", place)
    except InvalidSettings as exc:
        yield Finding("wrong", "settings", str(exc))
    if chats := [function.name for function in deployment.chat_functions]:
        yield from chat_findings(deployment.chat_auth, f", then {remedies.deploy('all', *chats)}")
    yield from _cloud(remedies, session.env, needs_number=needs_number)
    yield from _subscriptions(remedies, deployed)


# -- gcloud ------------------------------------------------------------------------------------------------------------


def _cloud(remedies: Remedies, env: Mapping[str, str], *, needs_number: bool) -> Iterator[Finding]:
    """Ask for the project, whose number the checks need; then ask side by side all that the checks ask."""
    deployment = remedies.deployment
    project = _ask(env, ("projects", "describe", deployment.project))
    if isinstance(project, NoGcloud):
        yield Finding("wrong", "gcloud", str(project))
        return
    if project is None:
        yield Finding("wrong", "project", f"there is no project {deployment.project}, or it may not be seen")
        return
    try:
        deployment = replace(deployment, number=_number_of(project))
    except CannotAsk as exc:
        left_out = "; what Chat calls is left out, since it depends on the project's number" if needs_number else ""
        yield Finding("wrong", "project", f"{deployment.project} could not be checked: {exc}{left_out}")
        if needs_number:
            others = [each for each in deployment.functions if each.called_by is not Caller.CHAT]
            deployment = replace(deployment, functions=others)
    remedies = replace(remedies, deployment=deployment)
    asked = [*checks(remedies), beside(remedies), deployer_check(remedies)]
    questions = (check.question for check in asked)
    answers = ask_all(questions, lambda question: _ask(env, (*question, f"--project={deployment.project}")))
    for check, answered in zip(asked, answers, strict=True):
        yield from check.findings(answered.answer)


def _number_of(project: Any) -> str:
    """Return the number of a project as gcloud describes it. Raises CannotAsk."""
    if isinstance(project, CannotAsk):
        raise project
    with reading_answers():
        return str(project["projectNumber"])


def _ask(env: Mapping[str, str], question: Sequence[str]) -> Any:
    """Return what gcloud shows, None for what is not there, or CannotAsk."""
    try:
        run = subprocess.run(
            ["gcloud", *question, "--format=json"],
            env={**env, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
    except FileNotFoundError:
        return NoGcloud("it is not installed: https://cloud.google.com/sdk/docs/install")
    except subprocess.TimeoutExpired:
        return CannotAsk(f"gcloud gave no answer within {PATIENCE} s")
    return answer_of(Ended(run.returncode, run.stdout, run.stderr.decode(errors="replace")))


# -- Subscriptions -----------------------------------------------------------------------------------------------------


def _subscriptions(remedies: Remedies, session: Session) -> Iterator[Finding]:
    """Read the records of the deployment, where something is subscribed to, and judge them."""
    settings = Environment(remedies.deployment.settings)
    wanted = [
        # The record of a mailbox has its address in small letters. To renew from this machine would take secrets.
        Subscribed(service, name.lower() if service == "gmail" else name, remedies.deploy("smoke", function.name))
        for function in remedies.deployment.functions
        for setting, service in SERVICES.items()
        if setting in function.settings
        for name in dict.fromkeys(settings.words(setting))
    ]
    if not wanted:
        return
    try:
        following = session.jobs.list(after=PREFIX, page_size=MOST_RECORDS, with_subscriptions=True)
        records = list(takewhile(lambda job: job.id.startswith(PREFIX), following))
    except StoreUnavailable as exc:
        yield Finding("wrong", "store", str(exc))
        return
    for subscribed in wanted:
        yield from judge_subscription(subscribed, records, remedies=remedies, now=session.clock())


def judge_subscription(
    subscribed: Subscribed, records: Sequence[Job | Unreadable], *, remedies: Remedies, now: datetime
) -> Iterator[Finding]:
    """Judge what is on record of a mailbox, or of every webhook of a base."""
    service, name, renew = subscribed
    own = [job for job in records if f"{job.id}:".startswith(f"{PREFIX}{service}:{name}:")]
    wanted = [job for job in own if isinstance(job, Unreadable) or job.status is not Status.CANCELLED]
    if not own:
        yield Finding("wrong", service, f"there is no subscription of {name}; {renew}")
    elif not wanted:
        delete = remedies.jobs("delete", own[0].id)
        yield Finding("warning", service, f"{own[0].id} is cancelled: there is no alarm; {delete}, then {renew}")
    for job in wanted:
        yield _judge(subscribed, job, remedies, now)


def _judge(subscribed: Subscribed, job: Job | Unreadable, remedies: Remedies, now: datetime) -> Finding:
    service = subscribed.service
    if isinstance(job, Unreadable):
        upgrade = f"repair it, then {remedies.jobs('upgrade')}"
        return Finding("wrong", service, f"{job.id} cannot be read ({job.reason}); {upgrade}")
    expires_at = recorded_time(job.payload, "expires_at")
    if job.payload.get("expires_at", "") is None:
        stands, is_well = "never expires", True
    elif expires_at is None:
        stands, is_well = "has never been renewed", False
    else:
        stands = f"{'expires' if expires_at > now else 'lapsed'} {distance(expires_at, now)}"
        is_well = expires_at - now > ALARM_BEFORE
    if not is_well:
        error = f"; last error: {job.payload['error']}" if "error" in job.payload else ""
        return Finding("wrong", service, f"{job.id} {stands}{error}; {subscribed.renew}")
    if job.status is Status.PAUSED:
        return Finding("warning", service, f"{job.id} is paused: there is no alarm; {remedies.jobs('resume', job.id)}")
    return Finding("ok", service, f"{job.id} {stands}")
