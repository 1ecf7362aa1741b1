"""The checks of a deployment. Those of its functions and Scheduler jobs are in function_checks.py.

deployment.py works out what should be there, as for the steps that deploy. Nothing here asks: a check is a question to
gcloud and a function of its answer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.settings import KEPT
from watchkeeper.deploy.deployment import GMAIL
from watchkeeper.deploy.flags import queue_flags
from watchkeeper.deploy.function_checks import function_checks
from watchkeeper.deploy.functions_table import Function, Queue, Secret
from watchkeeper.deploy.problems import Check, Fate, Problem, unconditional_members, value_at
from watchkeeper.deploy.remedies import Remedies

# A flag of a queue, and where its value is in the queue as gcloud shows it.
QUEUE_SHOWN_AT = {
    "max-concurrent-dispatches": ("rateLimits", "maxConcurrentDispatches"),
    "max-dispatches-per-second": ("rateLimits", "maxDispatchesPerSecond"),
    "max-attempts": ("retryConfig", "maxAttempts"),
    "max-retry-duration": ("retryConfig", "maxRetryDuration"),
    "min-backoff": ("retryConfig", "minBackoff"),
    "max-backoff": ("retryConfig", "maxBackoff"),
    "max-doublings": ("retryConfig", "maxDoublings"),
}


def checks(remedies: Remedies) -> Iterator[Check]:
    """Yield every check of a deployment, in the order of its setup."""
    deployment = remedies.deployment
    yield from (_apis(remedies), _database(remedies), *_fields(remedies), _accounts(remedies), _roles(remedies))
    for queue in deployment.queues:
        yield from (_queue(remedies, queue), _queue_roles(remedies, queue))
    if deployment.task_makers:
        yield _task_makers(remedies)
    for secret in {secret.name: secret for own in deployment.functions for secret in deployment.secrets(own)}.values():
        yield from (_secret(remedies, secret), _readers(remedies, secret))
    for function in deployment.functions:
        if function.acts_as:
            yield _delegate(remedies, function)
        if function.topic:
            yield _topic(remedies, function)
        yield from function_checks(remedies, function)


def _apis(remedies: Remedies) -> Check:
    wanted = remedies.deployment.apis

    def judge(services: Any) -> Iterator[Problem]:
        enabled = {service["name"].rpartition("/")[2] for service in services or []}
        if missing := [api for api in wanted if api not in enabled]:
            says = f"not enabled: {', '.join(missing)}"
            yield Problem(says, remedies.deploy("setup"), fate=Fate.CREATE, things=tuple(missing))

    return Check("apis", "what is enabled", ("services", "list", "--enabled"), f"all {len(wanted)} are enabled", judge)


def _database(remedies: Remedies) -> Check:
    name = remedies.deployment.table.firestore.database

    def judge(database: Any) -> Iterator[Problem]:
        if database is None:
            yield Problem(f"there is no Firestore database {name}", remedies.deploy("setup"), fate=Fate.CREATE)
        elif (kind := database.get("type")) != "FIRESTORE_NATIVE":
            says = f"{name} is {kind}, not FIRESTORE_NATIVE; name another one in FIRESTORE_DATABASE"
            yield Problem(says, remedies.deploy("all"))

    question = ("firestore", "databases", "describe", f"--database={name}")
    return Check("database", name, question, f"{name} is there", judge)


def _fields(remedies: Remedies) -> Iterator[Check]:
    for collection, unindexed_fields in remedies.deployment.table.firestore.collections.items():
        yield _fields_of(remedies, collection, unindexed_fields)


def _fields_of(remedies: Remedies, collection: str, unindexed_fields: Sequence[str]) -> Check:
    firestore = remedies.deployment.table.firestore

    def judge(fields: Any) -> Iterator[Problem]:
        changed = {field["name"].rpartition("/")[2]: field for field in fields or []}
        exempt = {name for name, field in changed.items() if not field.get("indexConfig", {}).get("indexes")}
        if indexed := [name for name in unindexed_fields if name not in exempt]:
            says = f"{collection}: indexed, and should not be: {', '.join(indexed)}"
            yield Problem(says, remedies.deploy("setup"), fate=Fate.CHANGE)
        state = value_at(changed, (firestore.ttl_field, "ttlConfig", "state")) or "off"
        if state not in ("ACTIVE", "CREATING"):
            says = f"{collection}: the expiry by {firestore.ttl_field} is {state}"
            yield Problem(says, remedies.deploy("setup"), fate=Fate.CHANGE)

    at = (f"--collection-group={collection}", f"--database={firestore.database}")
    question = ("firestore", "indexes", "fields", "list", *at)
    well = f"{collection} has its expiry and its index exemptions"
    return Check("database", f"the fields of {collection}", question, well, judge)


def _accounts(remedies: Remedies) -> Check:
    wanted = [remedies.deployment.email(account.id) for account in remedies.deployment.accounts]

    def judge(accounts: Any) -> Iterator[Problem]:
        present = {account["email"]: account for account in accounts or []}
        if missing := [email for email in wanted if email not in present]:
            says = f"there is no {', '.join(missing)}"
            yield Problem(says, remedies.deploy("setup"), fate=Fate.CREATE, things=tuple(missing))
        for email in wanted:
            if present.get(email, {}).get("disabled"):
                yield Problem(f"{email} is disabled", remedies.gcloud("iam", "service-accounts", "enable", email))

    question = ("iam", "service-accounts", "list")
    return Check("accounts", "the service accounts", question, f"all {len(wanted)} are there", judge)


def _roles(remedies: Remedies) -> Check:
    def judge(policy: Any) -> Iterator[Problem]:
        missing = [
            f"{account.id} lacks {role}"
            for account in remedies.deployment.accounts
            for role in account.roles
            if remedies.deployment.member(account) not in unconditional_members(policy, role)
        ]
        if missing:
            yield Problem(", ".join(missing), remedies.deploy("setup"), fate=Fate.CHANGE)

    question = ("projects", "get-iam-policy", remedies.deployment.project)
    return Check("roles", "who has which role", question, "every service account has its roles", judge)


def _queue(remedies: Remedies, queue: Queue) -> Check:
    name, worker = remedies.deployment.queue(queue), remedies.deployment.worker.name

    def judge(found: Any) -> Iterator[Problem]:
        if found is None:
            yield Problem(f"there is no queue {name}", remedies.deploy("setup"), fate=Fate.CREATE)
            return
        if (state := found.get("state")) != "RUNNING":
            yield Problem(f"{name} is {str(state).lower()}", remedies.deploy("resume", worker), "warning")
        wanted = dict(flag.removeprefix("--").split("=", 1) for flag in queue_flags(queue))
        if stale := [
            flag for flag, keys in QUEUE_SHOWN_AT.items() if _number(value_at(found, keys)) != _number(wanted[flag])
        ]:
            says = f"{name} has a different {', '.join(stale)}"
            yield Problem(says, remedies.deploy("schedules", worker), fate=Fate.CHANGE)

    question = ("tasks", "queues", "describe", name, f"--location={remedies.deployment.region}")
    return Check("queue", name, question, f"{name} delivers {queue.max_concurrent} at once", judge)


def _number(value: object) -> float:
    """Return a number, or the seconds of a duration such as 10s; nothing is 0, which Google leaves out."""
    return float(str(value or 0).removesuffix("s"))


def _id(member: str) -> str:
    """Return the account id in a policy member."""
    return member.partition(":")[2].partition("@")[0]


def _queue_roles(remedies: Remedies, queue: Queue) -> Check:
    name = remedies.deployment.queue(queue)

    def judge(policy: Any) -> Iterator[Problem]:
        missing = [
            f"{_id(member)} lacks {role}"
            for role, member in remedies.deployment.queue_grants
            if member not in unconditional_members(policy, role)
        ]
        if policy is not None and missing:
            yield Problem(f"on {name} {', '.join(missing)}", remedies.deploy("setup"), fate=Fate.CHANGE)

    question = ("tasks", "queues", "get-iam-policy", name, f"--location={remedies.deployment.region}")
    return Check("queue", f"who may use {name}", question, f"every function has its roles on {name}", judge)


def _task_makers(remedies: Remedies) -> Check:
    email = remedies.deployment.email(remedies.deployment.table.tasks_account.id)

    def judge(policy: Any) -> Iterator[Problem]:
        may_act = unconditional_members(policy, "roles/iam.serviceAccountUser")
        missing = [_id(member) for member in remedies.deployment.task_makers if member not in may_act]
        if missing:
            says = f"{', '.join(missing)} may not create tasks that act as {email}"
            yield Problem(says, remedies.deploy("setup"), fate=Fate.CHANGE)

    question = ("iam", "service-accounts", "get-iam-policy", email)
    return Check("queue", f"who may act as {email}", question, f"who creates tasks may act as {email}", judge)


def _secret(remedies: Remedies, secret: Secret) -> Check:
    name, version = secret.name, remedies.deployment.secret_version(secret)

    def judge(found: Any) -> Iterator[Problem]:
        state = found.get("state") if found else "not there"
        if state == "DISABLED":
            enable = ("secrets", "versions", "enable", found["name"].rpartition("/")[2], f"--secret={name}")
            yield Problem(f"version {version} of {name} is {state}", remedies.gcloud(*enable))
        elif state != "ENABLED":
            is_kept = KEPT.fullmatch(remedies.deployment.settings[secret.setting].strip())
            first = f"; put its value into the settings file, as {secret.setting}" if is_kept else ""
            fate = Fate.LEAVE if is_kept else Fate.CREATE
            yield Problem(f"version {version} of {name} is {state}{first}", remedies.deploy("setup"), fate=fate)

    question = ("secrets", "versions", "describe", version, f"--secret={name}")
    return Check("secret", name, question, f"{name} is there", judge)


def _readers(remedies: Remedies, secret: Secret) -> Check:
    readers = [own for own in remedies.deployment.functions if secret in remedies.deployment.secrets(own)]

    def judge(policy: Any) -> Iterator[Problem]:
        may_read = unconditional_members(policy, "roles/secretmanager.secretAccessor")
        if missing := [own.account.id for own in readers if remedies.deployment.member(own.account) not in may_read]:
            says = f"{secret.name} may not be read by {', '.join(missing)}"
            yield Problem(says, remedies.deploy("setup"), fate=Fate.CHANGE)

    question = ("secrets", "get-iam-policy", secret.name)
    well = f"{secret.name} may be read by {', '.join(own.account.id for own in readers)}"
    return Check("secret", f"who may read {secret.name}", question, well, judge)


def _delegate(remedies: Remedies, function: Function) -> Check:
    delegate, actor = function.acts_as, function.account.id
    member = remedies.deployment.member(function.account)

    def judge(policy: Any) -> Iterator[Problem]:
        if policy is None:
            says = f"there is no service account {delegate}; make it as docs/SUBSCRIPTIONS.md says"
            is_own = delegate in [remedies.deployment.email(account.id) for account in remedies.deployment.accounts]
            fate = Fate.CREATE if is_own else Fate.LEAVE
            yield Problem(
                says, remedies.deploy("setup", function.name), fate=fate, things=(f"who may act as {delegate}",)
            )
        elif member not in unconditional_members(policy, "roles/iam.serviceAccountTokenCreator"):
            says = f"{actor} may not act as {delegate}"
            yield Problem(says, remedies.deploy("setup", function.name), fate=Fate.CHANGE)

    question = ("iam", "service-accounts", "get-iam-policy", delegate)
    return Check("delegate", delegate, question, f"{actor} may act as {delegate}", judge)


def _topic(remedies: Remedies, function: Function) -> Check:
    def judge(policy: Any) -> Iterator[Problem]:
        if GMAIL not in unconditional_members(policy, "roles/pubsub.publisher"):
            says, fate = "Gmail may not publish to", Fate.CHANGE
            if policy is None:
                says, fate = "there is no topic", Fate.CREATE
            yield Problem(f"{says} {function.topic}", remedies.deploy("setup", function.name), fate=fate)

    question = ("pubsub", "topics", "get-iam-policy", function.topic)
    return Check("topic", function.topic, question, f"Gmail may publish to {function.topic}", judge)
