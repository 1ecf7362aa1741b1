"""What is refused before the first change, since it would fail, or do the wrong thing, only later."""

import re
from collections.abc import Sequence

from watchkeeper.deploy.deployment import Deployment
from watchkeeper.deploy.found import refuse_neighbours
from watchkeeper.deploy.functions import refuse_others
from watchkeeper.deploy.functions_table import Function
from watchkeeper.deploy.gcloud import Gcloud, StepFailed

DEPLOYING = ("plan", "setup", "functions", "schedules", "monitoring", "all")  # in one place, and on one store
OLDEST_GCLOUD = 518  # the first that knows `firestore databases create --edition`
# Where, by Google's pages of locations, Functions, Scheduler, Tasks and Build all are. It need not be complete: what is
# not in it is asked for.
REGIONS = frozenset(
    (
        *("asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3", "asia-south1"),
        *("asia-southeast1", "asia-southeast2", "europe-central2", "europe-west1"),
        *("europe-west2", "europe-west3", "europe-west6", "northamerica-northeast1", "southamerica-east1"),
        *("us-central1", "us-east1", "us-east4", "us-west1", "us-west2", "us-west3", "us-west4"),
    )
)
# Depending on its use a project may build in these only. That cannot be asked.
BUILDS_ALWAYS = frozenset(
    ("asia-east1", "australia-southeast1", "europe-west1", "southamerica-east1", "us-central1", "us-west2")
)
LOCATIONS = {
    "cloudfunctions.googleapis.com": ("functions", "regions", "list", "--gen2"),
    "cloudscheduler.googleapis.com": ("scheduler", "locations", "list"),
    "cloudtasks.googleapis.com": ("tasks", "locations", "list"),
}
_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}", re.ASCII)


def refuse_at_once(verb: str, deployment: Deployment, gcloud: Gcloud, *, may_share: bool) -> None:
    """Raise InvalidSettings or StepFailed, with the remedy, if a verb could not come to its end.

    What cannot be asked, as while an API is off, is left to the steps.
    """
    if not _REGION.fullmatch(deployment.region):
        raise StepFailed(
            f"--region is {deployment.region}, which is not a region: use one such as us-central1 or europe-west1, not "
            "a zone or a multi-region"
        )
    if verb in DEPLOYING and not may_share:
        refuse_neighbours(deployment, gcloud)
    if verb in ("plan", "setup", "all"):
        deployment.refuse_unusable()
        deployment.secret_values()
        _refuse_old_gcloud(gcloud)
        _refuse_lacking_region(deployment, gcloud)
        _refuse_database(deployment, gcloud)
        _refuse_accounts_of_others(deployment, gcloud)
    if verb in ("plan", "schedules", "all"):
        _refuse_jobs_of_others(deployment, gcloud)
    if verb == "schedules":
        _refuse_undeployed(deployment, gcloud)


def _refuse_old_gcloud(gcloud: Gcloud) -> None:
    version = gcloud.ask("version", '--format=value("Google Cloud SDK")').output.decode().strip()
    number = re.match(r"(\d+)\.", version)
    if number and int(number[1]) < OLDEST_GCLOUD:
        raise StepFailed(f"gcloud is version {version}, and {OLDEST_GCLOUD} is needed: run `gcloud components update`")


def _refuse_lacking_region(deployment: Deployment, gcloud: Gcloud) -> None:
    """Refuse a region that lacks a service. Google is asked about one that is not known to have them all."""
    if deployment.region in REGIONS or gcloud.is_dry_run:
        return
    asked = {api: question for api, question in LOCATIONS.items() if api in deployment.apis}
    answers = {api: gcloud.ask(*question, "--format=value(name.basename())") for api, question in asked.items()}
    others = f"these regions have everything: {', '.join(sorted(REGIONS))}"
    for api, ended in answers.items():
        if ended.code == 0 and deployment.region not in ended.output.decode().split():
            raise StepFailed(f"{api} is not in {deployment.region}; {others}")
    if unknown := [api for api, ended in answers.items() if ended.code]:
        raise StepFailed(
            f"cannot tell whether {deployment.region} has {', '.join(unknown)} while that is not enabled: run `gcloud "
            f"services enable {' '.join(unknown)} --project {deployment.project}` and try again, or choose another "
            f"region; {others}"
        )


def _refuse_database(deployment: Deployment, gcloud: Gcloud) -> None:
    """Refuse a database that is there and cannot be used: neither its mode nor its place can be changed."""
    firestore = deployment.table.firestore
    question = ("firestore", "databases", "describe", f"--database={firestore.database}")
    kind, _, location = gcloud.ask(*question, "--format=value(type,locationId)").output.decode().strip().partition("\t")
    if kind == "DATASTORE_MODE":
        raise StepFailed(
            f"the database {firestore.database} is in Datastore mode: name another database in FIRESTORE_DATABASE; "
            "setup creates it"
        )
    if location and firestore.location and location != firestore.location:
        raise StepFailed(
            f"the database {firestore.database} is in {location}, and FIRESTORE_LOCATION is {firestore.location}: set "
            f"FIRESTORE_LOCATION={location}, or name another database in FIRESTORE_DATABASE"
        )


def _refuse_accounts_of_others(deployment: Deployment, gcloud: Gcloud) -> None:
    """Refuse service accounts with our names that setup has not made: they would get our roles, and keep their own."""
    shows = "--format=value(email,displayName)"
    lines = gcloud.ask("iam", "service-accounts", "list", shows).output.decode().splitlines()
    names = dict(line.partition("\t")[::2] for line in lines)
    for account in deployment.accounts:
        email = deployment.email(account.id)
        if names.get(email, account.id) != account.id:
            raise StepFailed(
                f"the service account {email} was not made by setup: its display name is {names[email]!r}; set another "
                "DEPLOYMENT_PREFIX in the settings file, or, if it is yours to use, run `gcloud iam service-accounts "
                f"update {email} --display-name={account.id} --project {deployment.project}`"
            )


def _refuse_jobs_of_others(deployment: Deployment, gcloud: Gcloud) -> None:
    """Refuse Scheduler jobs with our names that another deployment has made: they would call our functions instead."""
    for function in deployment.functions:
        if job := function.scheduler_job:
            place = (f"--location={deployment.region}", "--format=value(description)")
            found = gcloud.ask("scheduler", "jobs", "describe", job.name, *place)
            refuse_others(deployment, job, found.output.decode().strip())


def _described(deployment: Deployment, function: Function) -> tuple[str, ...]:
    place = ("--gen2", f"--region={deployment.region}", "--format=value(state)")
    return ("functions", "describe", deployment.service(function), *place)


def _refuse_undeployed(deployment: Deployment, gcloud: Gcloud) -> None:
    """Refuse to schedule what is not deployed: the Scheduler job would call nothing."""
    missing = [
        function.name
        for function in deployment.functions
        if function.scheduler_job and gcloud.is_missing(*_described(deployment, function))
    ]
    if missing:
        raise StepFailed(
            f"not deployed: {', '.join(missing)}; run functions first, or name the other functions with --only"
        )


def deployed(deployment: Deployment, functions: Sequence[Function], gcloud: Gcloud) -> list[str]:
    """Return the names of those functions that are deployed, as far as that can be asked."""
    return [function.name for function in functions if gcloud.ask(*_described(deployment, function)).code == 0]
