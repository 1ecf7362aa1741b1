"""The remedies of a deployment, and the resources that gcloud shows of it."""

from pathlib import Path
from typing import Any

from watchkeeper.deploy.checks import checks
from watchkeeper.deploy.deployment import Deployment
from watchkeeper.deploy.function_checks import beside
from watchkeeper.deploy.functions_table import read_table
from watchkeeper.deploy.problems import Check
from watchkeeper.deploy.remedies import Remedies

DELEGATE = "delegate@demo.iam.gserviceaccount.com"
TOPIC = "projects/demo/topics/gmail"
SETTINGS = {
    "GMAIL_USER_EMAIL": "agent@example.com",
    "GMAIL_WATCH_TOPIC": TOPIC,
    "GMAIL_DELEGATE": DELEGATE,
    "AIRTABLE_API_KEY": "pat.s3cret",
    "AIRTABLE_BASE_ID": "appAAAAAAAAAAAAAA",
    "CRON_SECRET": "secret:3",
}
SCHEDULER = "serviceAccount:watchkeeper-scheduler@demo.iam.gserviceaccount.com"
PLACE = "--project demo --region eu"
SETUP = f"run `./deploy_functions.sh setup {PLACE} --settings prod.env`"


def remedies(*only: str, **settings: str) -> Remedies:
    """Return the remedies of a deployment of these functions, or of all of them, with these settings."""
    given = {**SETTINGS, **settings}
    table = read_table(given)
    functions = tuple(function for function in table.functions if not only or function.name in only)
    deployment = Deployment(table=table, settings=given, project="demo", region="eu", number="42", functions=functions)
    return Remedies(deployment=deployment, file=Path("prod.env"), only=only)


def run(verb: str, function: str) -> str:
    """Return the remedy for one function."""
    return f"run `./deploy_functions.sh {verb} {PLACE} --settings prod.env --only {function}`"


def check(subject: str, about: str, wanted: Remedies) -> Check:
    """Return the check of this subject and name."""
    (found,) = (each for each in checks(wanted) if (each.subject, each.about) == (subject, about))
    return found


def judged(subject: str, about: str, answer: Any, **settings: str) -> list[tuple[str, str]]:
    """Return state and text of each finding if gcloud gives this answer."""
    wanted = remedies(**settings)
    found = (beside(wanted) if subject == "deployment" else check(subject, about, wanted)).findings(answer)
    assert {finding.subject for finding in found} == {subject}
    return [(finding.state, finding.says) for finding in found]


def policy(role: str, *members: str, **more: object) -> dict[str, Any]:
    """Return a policy with one binding."""
    return {"bindings": [{"role": role, "members": list(members), **more}]}


def email(name: str) -> str:
    """Return the e-mail address of an account of the project."""
    return f"{name}@demo.iam.gserviceaccount.com"


def own(function: str) -> str:
    """Return the account of a function as it stands in policies."""
    return f"serviceAccount:{email(f'watchkeeper-{function}')}"


def listed(
    name: str, *, region: str = "eu", project: str = "demo", built_by: str = "watchkeeper-build", **env: str
) -> dict[str, Any]:
    """Return a function as gcloud lists it."""
    audience = f"https://{region}-{project}.cloudfunctions.net/{name}"
    builder = f"{built_by}@{project}.iam.gserviceaccount.com"
    return {
        "name": f"projects/{project}/locations/{region}/functions/{name}",
        "buildConfig": {"serviceAccount": f"projects/{project}/serviceAccounts/{builder}"},
        "serviceConfig": {"environmentVariables": {"AUTH_AUDIENCE": audience, **env}},
    }


TICK_AUDIENCE = "https://eu-demo.cloudfunctions.net/watchkeeper-tick"


def schedule(**changes: Any) -> dict[str, Any]:
    """Return the tick's job as gcloud shows it."""
    token = {"serviceAccountEmail": email("watchkeeper-scheduler"), "audience": TICK_AUDIENCE}
    target = {"uri": TICK_AUDIENCE, "httpMethod": "POST", "oidcToken": token}
    well = {"state": "ENABLED", "schedule": "* * * * *", "timeZone": "UTC", "attemptDeadline": "180s", "status": {}}
    return {**well, "lastAttemptTime": "2026-11-21T09:00:00Z", "httpTarget": target, **changes}
