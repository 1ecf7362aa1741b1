"""The steps of setup: what a project needs before functions are deployed to it. Each creates only what is missing."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

from watchkeeper.deploy.deployment import GMAIL
from watchkeeper.deploy.functions import allow_caller
from watchkeeper.deploy.gcloud import GcloudFailed
from watchkeeper.deploy.queues import keep_queue
from watchkeeper.deploy.work import Work


def enable_apis(work: Work) -> None:
    """Switch on the APIs that the functions need."""
    work.gcloud.run("services", "enable", *work.deployment.apis)


def make_database(work: Work) -> None:
    """Create the Firestore database, take its long fields out of the indexes, and let jobs and history expire."""
    firestore, gcloud = work.deployment.table.firestore, work.gcloud
    database = f"--database={firestore.database}"
    if gcloud.look("firestore", "databases", "describe", database, "--format=value(name)") is None:
        location = f"--location={firestore.location or work.deployment.region}"
        kind = ("--type=firestore-native", "--edition=standard", "--delete-protection")
        gcloud.run("firestore", "databases", "create", database, location, *kind, "--format=none")
    for collection, unindexed_fields in firestore.collections.items():
        at = (f"--collection-group={collection}", database)
        for field in unindexed_fields:
            _take_out_of_index(work, field, at)
        _let_expire(work, firestore.ttl_field, at)


def _take_out_of_index(work: Work, field: str, at: Sequence[str]) -> None:
    shows = "--format=value(indexConfig.usesAncestorConfig,indexConfig.indexes[0].state)"
    found = work.gcloud.look("firestore", "indexes", "fields", "describe", field, *at, shows)
    # Of a field that is exempt already nothing is left to show.
    if found is None or found.strip():
        work.gcloud.run("firestore", "indexes", "fields", "update", field, *at, "--disable-indexes", "--format=none")


def _let_expire(work: Work, field: str, at: Sequence[str]) -> None:
    ttl = ("firestore", "indexes", "fields", "describe", field, *at, "--format=value(ttlConfig.state)")
    if work.gcloud.look(*ttl) not in ("ACTIVE", "CREATING"):
        work.gcloud.run("firestore", "fields", "ttls", "update", field, *at, "--enable-ttl", "--async", "--format=none")


def make_accounts(work: Work) -> None:
    """Create the service accounts, and have Google make the one by which add-ons call."""
    there = (work.gcloud.look("iam", "service-accounts", "list", "--format=value(email)") or "").splitlines()
    for account in work.deployment.accounts:
        if work.deployment.email(account.id) not in there:
            work.gcloud.run("iam", "service-accounts", "create", account.id, f"--display-name={account.id}")
    # Google makes this one when it is first used, and an account that is not there yet can be granted nothing.
    if work.deployment.is_called_by_addons:
        api = "--service=gsuiteaddons.googleapis.com"
        work.gcloud.run("beta", "services", "identity", "create", api, "--format=none")


def grant_roles(work: Work) -> None:
    """Grant each account its roles in the project, and let functions make tokens as others."""
    deployment = work.deployment
    wanted = [(role, account) for account in deployment.accounts for role in account.roles]
    grant(
        work, "projects", on=deployment.project, wanted=[(role, deployment.member(account)) for role, account in wanted]
    )
    for function in deployment.functions:
        if function.acts_as:
            actor = ("roles/iam.serviceAccountTokenCreator", deployment.member(function.account))
            grant(work, "iam", "service-accounts", on=function.acts_as, wanted=[actor])


def make_queues(work: Work) -> None:
    """Create or update the queues, and let functions use them. Who makes tasks must be able to act as their account."""
    deployment = work.deployment
    for queue in deployment.queues:
        keep_queue(work, queue)
        grant(work, "tasks", "queues", on=deployment.queue(queue), at=(work.location,), wanted=deployment.queue_grants)
    if deployment.queues:
        actors = [("roles/iam.serviceAccountUser", member) for member in deployment.task_makers]
        grant(work, "iam", "service-accounts", on=deployment.email(deployment.table.tasks_account.id), wanted=actors)


def keep_secrets(work: Work) -> None:
    """Add each secret of the settings file to Secret Manager, unless its newest version is the same.

    Values go through stdin: none is on a command line or in a file.
    """
    for name, value in work.deployment.secret_values().items():
        if work.gcloud.look("secrets", "describe", name, "--format=value(name)") is None:
            work.gcloud.run("secrets", "create", name, "--replication-policy=automatic")
        is_kept = partial(_is_kept, work, name, value)
        if not is_kept():
            work.gcloud.run("secrets", "versions", "add", name, "--data-file=-", stdin=value, unless=is_kept)
    for name, readers in groupby(work.deployment.secret_readers, key=itemgetter(0)):
        wanted = [("roles/secretmanager.secretAccessor", f"serviceAccount:{email}") for _, email in readers]
        grant(work, "secrets", on=name, wanted=wanted)


def _is_kept(work: Work, name: str, value: bytes) -> bool:
    """Return whether the newest version of a secret has this value."""
    kept = work.gcloud.ask("secrets", "versions", "access", "latest", f"--secret={name}")
    return kept.code == 0 and kept.output == value


def make_topics(work: Work) -> None:
    """Create the topics of Gmail's messages, and let Gmail publish to them.

    The rest of setup does not depend on that grant, which an organisation may forbid.
    """
    for topic in (function.topic for function in work.deployment.functions if function.topic):
        if work.gcloud.look("pubsub", "topics", "describe", topic, "--format=value(name)") is None:
            work.gcloud.run("pubsub", "topics", "create", topic)
        try:
            grant(work, "pubsub", "topics", on=topic, wanted=[("roles/pubsub.publisher", GMAIL)])
        except GcloudFailed as exc:
            if not exc.is_for_outsiders:
                raise
            work.leave_open(
                f"Gmail may not publish to {topic}, so no mailbox can be watched: the organisation allows roles only "
                "for its own domains. Ask its administrator to exempt this project from "
                "iam.allowedPolicyMemberDomains, run `setup --only gmail_watch`, and end the exemption; the grant stays"
            )


def allow_callers(work: Work) -> None:
    """Let its caller call each function that is deployed already."""
    for function in work.deployment.functions:
        # A function whose first build failed is there, and has no service that somebody could call.
        service = ("run", "services", "describe", work.deployment.service(function), work.region)
        if work.gcloud.look(*service, "--format=value(metadata.name)") is not None:
            allow_caller(work, function)


def grant(work: Work, *kind: str, on: str, wanted: Sequence[tuple[str, str]], at: Sequence[str] = ()) -> None:
    """Grant each role to its member on a resource of a kind, as gcloud calls it, where it is not granted yet.

    `at` are the flags that say where the resource is.
    """
    if not wanted:
        return
    every = ("--flatten=bindings[].members", "--filter=-bindings.condition:*")
    shows = "--format=value(bindings.role,bindings.members)"
    granted = (work.gcloud.look(*kind, "get-iam-policy", on, *at, *every, shows) or "").splitlines()
    unconditional = () if kind[0] in ("pubsub", "tasks") else ("--condition=None",)  # these know no conditions
    for role, member in wanted:
        if f"{role}\t{member}" not in granted:
            flags = (*at, f"--member={member}", f"--role={role}", *unconditional, "--format=none")
            work.gcloud.run(*kind, "add-iam-policy-binding", on, *flags)


# Grants come early: they count minutes later, and the database is made in the meantime.
SETUP = {
    "apis": enable_apis,
    "accounts": make_accounts,
    "roles": grant_roles,
    "secrets": keep_secrets,
    "firestore": make_database,
    "queues": make_queues,
    "topics": make_topics,
    "callers": allow_callers,
}
