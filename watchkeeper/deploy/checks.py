"""What is asked about a deployment, and what the answers mean, beside what should be there.

`target` works out what should be there, as for the deployment itself. Nothing here asks: a check is a question to
gcloud and a function of its answer.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from shared.settings import KEPT
from watchkeeper.deploy.asking import CannotAsk
from watchkeeper.deploy.found import FUNCTIONS, neighbours, read_functions, removed_functions
from watchkeeper.deploy.functions_table import Function, Queue, SchedulerJob, Secret
from watchkeeper.deploy.target import GMAIL, Target, queue_flags, schedule_flags
from watchkeeper.findings import Finding

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
# The same of a queue, in which Google writes a number as a number.
QUEUE_SHOWN_AT = {
    "max-concurrent-dispatches": ("rateLimits", "maxConcurrentDispatches"),
    "max-dispatches-per-second": ("rateLimits", "maxDispatchesPerSecond"),
    "max-attempts": ("retryConfig", "maxAttempts"),
    "max-retry-duration": ("retryConfig", "maxRetryDuration"),
    "min-backoff": ("retryConfig", "minBackoff"),
    "max-backoff": ("retryConfig", "maxBackoff"),
    "max-doublings": ("retryConfig", "maxDoublings"),
}
STATUS_CODES = {4: "no answer in time", 5: "404", 7: "403", 13: "500", 14: "503", 16: "401"}


class Fate(StrEnum):
    """What a deployment does with something."""

    CREATE = "create"
    CHANGE = "change"
    LEAVE = "leave"
    UNKNOWN = "unknown"  # it is there, and the table does not have it


class Problem(NamedTuple):
    """What is not as it should be, and what to do about it.

    `fate` is what a deployment does about it, None if that is no question. What it creates are the `things`, or else
    what the check is about.
    """

    says: str
    remedy: str
    state: str = "wrong"
    fate: Fate | None = Fate.LEAVE
    things: tuple[str, ...] = ()


class Check(NamedTuple):
    """A question to gcloud `about` something. `judge` takes the answer, None for what is not there.

    Where it finds no problem, all is `well`; `anyway` is what a deployment changes all the same.
    """

    subject: str
    about: str
    question: tuple[str, ...]
    well: str
    judge: Callable[[Any], Iterator[Problem]]
    anyway: str = ""

    def findings(self, answer: Any) -> list[Finding]:
        """Judge an answer, which may be that the question could not be asked."""
        if isinstance(answer, CannotAsk):
            return [Finding("wrong", self.subject, f"{self.about} cannot be looked at: {answer}")]
        found = [Finding(each.state, self.subject, f"{each.says}; {each.remedy}") for each in self.judge(answer)]
        return found or [Finding("ok", self.subject, self.well)]


def remedy(*words: str) -> str:
    """Return a command that can be pasted into a shell."""
    return f"run `{shlex.join(words)}`"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A deployment as it should be, and the commands that bring it there."""

    target: Target
    file: Path | None = None
    only: Sequence[str] = ()

    def deploy(self, verb: str, *functions: str, option: str = "") -> str:
        """Return a remedy: a run of deploy_functions.sh for these functions, or for all that are examined."""
        names = functions or self.only
        return remedy(
            *("./deploy_functions.sh", verb, "--project", self.target.project, "--region", self.target.region),
            *(("--settings", str(self.file)) if self.file else ()),
            *(("--only", *names) if names else ()),
            *((option,) if option else ()),
        )

    def jobs(self, *words: str) -> str:
        """Return a remedy: a command on the deployment's jobs, whatever store the shell's environment names."""
        firestore = self.target.table.firestore
        return remedy(
            *("env", "SCHEDULER_STORAGE=firestore", f"GOOGLE_CLOUD_PROJECT={self.target.project}"),
            *(f"FIRESTORE_DATABASE={firestore.database}", f"SCHEDULER_COLLECTION={firestore.collection}"),
            *("watchkeeper", "jobs", *words),
        )

    def gcloud(self, *words: str) -> str:
        """Return a remedy: a command of gcloud."""
        return remedy("gcloud", *words, "--project", self.target.project)

    def member(self, function: Function) -> str:
        """Return a function's own service account, as policies name it."""
        return f"serviceAccount:{self.target.email(function.account.id)}"


def checks(plan: Plan) -> Iterator[Check]:
    """Yield every check of a deployment, in the order of its setup."""
    target = plan.target
    yield from (_apis(plan), _database(plan), *_fields(plan), _accounts(plan), _roles(plan))
    for queue in target.queues:
        yield from (_queue(plan, queue), _queue_roles(plan, queue))
    if target.task_makers:
        yield _task_makers(plan)
    for secret in {secret.name: secret for own in target.functions for secret in target.secrets(own)}.values():
        yield from (_secret(plan, secret), _readers(plan, secret))
    for function in target.functions:
        if function.acts_as:
            yield _delegate(plan, function)
        if function.topic:
            yield _topic(plan, function)
        yield from (_function(plan, function), _caller(plan, function), _lock(plan, function))
        if function.scheduler_job is not None:
            yield _schedule(plan, function, function.scheduler_job)


# -- What setup sees to ------------------------------------------------------------------------------------------------


def _apis(plan: Plan) -> Check:
    wanted = plan.target.apis

    def judge(services: Any) -> Iterator[Problem]:
        enabled = {service["name"].rpartition("/")[2] for service in services or []}
        if missing := [api for api in wanted if api not in enabled]:
            says = f"not enabled: {', '.join(missing)}"
            yield Problem(says, plan.deploy("setup"), fate=Fate.CREATE, things=tuple(missing))

    return Check("apis", "what is enabled", ("services", "list", "--enabled"), f"all {len(wanted)} are enabled", judge)


def _database(plan: Plan) -> Check:
    name = plan.target.table.firestore.database

    def judge(database: Any) -> Iterator[Problem]:
        if database is None:
            yield Problem(f"there is no Firestore database {name}", plan.deploy("setup"), fate=Fate.CREATE)
        elif (kind := database.get("type")) != "FIRESTORE_NATIVE":
            says = f"{name} is {kind}, not FIRESTORE_NATIVE; name another one in FIRESTORE_DATABASE"
            yield Problem(says, plan.deploy("all"))

    question = ("firestore", "databases", "describe", f"--database={name}")
    return Check("database", name, question, f"{name} is there", judge)


def _fields(plan: Plan) -> Iterator[Check]:
    for collection, unindexed_fields in plan.target.table.firestore.collections.items():
        yield _fields_of(plan, collection, unindexed_fields)


def _fields_of(plan: Plan, collection: str, unindexed_fields: Sequence[str]) -> Check:
    firestore = plan.target.table.firestore

    def judge(fields: Any) -> Iterator[Problem]:
        changed = {field["name"].rpartition("/")[2]: field for field in fields or []}
        exempt = {name for name, field in changed.items() if not field.get("indexConfig", {}).get("indexes")}
        if indexed := [name for name in unindexed_fields if name not in exempt]:
            says = f"{collection}: indexed, and should not be: {', '.join(indexed)}"
            yield Problem(says, plan.deploy("setup"), fate=Fate.CHANGE)
        state = _at(changed, (firestore.ttl_field, "ttlConfig", "state")) or "off"
        if state not in ("ACTIVE", "CREATING"):
            says = f"{collection}: the expiry by {firestore.ttl_field} is {state}"
            yield Problem(says, plan.deploy("setup"), fate=Fate.CHANGE)

    at = (f"--collection-group={collection}", f"--database={firestore.database}")
    question = ("firestore", "indexes", "fields", "list", *at)
    well = f"{collection} has its expiry and its index exemptions"
    return Check("database", f"the fields of {collection}", question, well, judge)


def _accounts(plan: Plan) -> Check:
    wanted = [plan.target.email(account.id) for account in plan.target.accounts]

    def judge(accounts: Any) -> Iterator[Problem]:
        present = {account["email"]: account for account in accounts or []}
        if missing := [email for email in wanted if email not in present]:
            says = f"there is no {', '.join(missing)}"
            yield Problem(says, plan.deploy("setup"), fate=Fate.CREATE, things=tuple(missing))
        for email in wanted:
            if present.get(email, {}).get("disabled"):
                yield Problem(f"{email} is disabled", plan.gcloud("iam", "service-accounts", "enable", email))

    question = ("iam", "service-accounts", "list")
    return Check("accounts", "the service accounts", question, f"all {len(wanted)} are there", judge)


def _roles(plan: Plan) -> Check:
    def judge(policy: Any) -> Iterator[Problem]:
        missing = [
            f"{account.id} has not {role}"
            for account in plan.target.accounts
            for role in account.roles
            if f"serviceAccount:{plan.target.email(account.id)}" not in _members(policy, role)
        ]
        if missing:
            yield Problem(", ".join(missing), plan.deploy("setup"), fate=Fate.CHANGE)

    question = ("projects", "get-iam-policy", plan.target.project)
    return Check("roles", "who has which role", question, "every service account has its roles", judge)


def _queue(plan: Plan, queue: Queue) -> Check:
    name, worker = plan.target.queue(queue), plan.target.worker.name

    def judge(found: Any) -> Iterator[Problem]:
        if found is None:
            yield Problem(f"there is no queue {name}", plan.deploy("setup"), fate=Fate.CREATE)
            return
        if (state := found.get("state")) != "RUNNING":
            yield Problem(f"{name} is {str(state).lower()}", plan.deploy("resume", worker), "warning")
        wanted = dict(flag.removeprefix("--").split("=", 1) for flag in queue_flags(queue))
        if stale := [
            flag for flag, keys in QUEUE_SHOWN_AT.items() if _number(_at(found, keys)) != _number(wanted[flag])
        ]:
            says = f"{name} has another {', '.join(stale)}"
            yield Problem(says, plan.deploy("schedules", worker), fate=Fate.CHANGE)

    question = ("tasks", "queues", "describe", name, f"--location={plan.target.region}")
    return Check("queue", name, question, f"{name} delivers {queue.max_concurrent} at once", judge)


def _number(value: object) -> float:
    """Return a number, or the seconds of a duration such as 10s; nothing is 0, which Google leaves out."""
    return float(str(value or 0).removesuffix("s"))


def _id(member: str) -> str:
    """Return the account id in a policy member."""
    return member.partition(":")[2].partition("@")[0]


def _queue_roles(plan: Plan, queue: Queue) -> Check:
    name = plan.target.queue(queue)

    def judge(policy: Any) -> Iterator[Problem]:
        missing = [
            f"{_id(member)} has not {role}"
            for role, member in plan.target.queue_grants
            if member not in _members(policy, role)
        ]
        if policy is not None and missing:
            yield Problem(f"on {name} {', '.join(missing)}", plan.deploy("setup"), fate=Fate.CHANGE)

    question = ("tasks", "queues", "get-iam-policy", name, f"--location={plan.target.region}")
    return Check("queue", f"who may use {name}", question, f"every function has its roles on {name}", judge)


def _task_makers(plan: Plan) -> Check:
    email = plan.target.email(plan.target.table.tasks_account.id)

    def judge(policy: Any) -> Iterator[Problem]:
        may_act = _members(policy, "roles/iam.serviceAccountUser")
        missing = [_id(member) for member in plan.target.task_makers if member not in may_act]
        if missing:
            says = f"{', '.join(missing)} may not make tasks that act as {email}"
            yield Problem(says, plan.deploy("setup"), fate=Fate.CHANGE)

    question = ("iam", "service-accounts", "get-iam-policy", email)
    return Check("queue", f"who may act as {email}", question, f"who makes tasks may act as {email}", judge)


def _secret(plan: Plan, secret: Secret) -> Check:
    name, version = secret.name, plan.target.secret_version(secret)

    def judge(found: Any) -> Iterator[Problem]:
        state = found.get("state") if found else "not there"
        if state == "DISABLED":
            enable = ("secrets", "versions", "enable", found["name"].rpartition("/")[2], f"--secret={name}")
            yield Problem(f"version {version} of {name} is {state}", plan.gcloud(*enable))
        elif state != "ENABLED":
            is_kept = KEPT.fullmatch(plan.target.settings[secret.setting].strip())
            first = f"; put its value into the settings file, as {secret.setting}" if is_kept else ""
            fate = Fate.LEAVE if is_kept else Fate.CREATE
            yield Problem(f"version {version} of {name} is {state}{first}", plan.deploy("setup"), fate=fate)

    question = ("secrets", "versions", "describe", version, f"--secret={name}")
    return Check("secret", name, question, f"{name} is there", judge)


def _readers(plan: Plan, secret: Secret) -> Check:
    readers = [own for own in plan.target.functions if secret in plan.target.secrets(own)]

    def judge(policy: Any) -> Iterator[Problem]:
        may_read = _members(policy, "roles/secretmanager.secretAccessor")
        if missing := [own.account.id for own in readers if plan.member(own) not in may_read]:
            says = f"{secret.name} may not be read by {', '.join(missing)}"
            yield Problem(says, plan.deploy("setup"), fate=Fate.CHANGE)

    question = ("secrets", "get-iam-policy", secret.name)
    well = f"{secret.name} may be read by {', '.join(own.account.id for own in readers)}"
    return Check("secret", f"who may read {secret.name}", question, well, judge)


def _delegate(plan: Plan, function: Function) -> Check:
    delegate, actor = function.acts_as, function.account.id

    def judge(policy: Any) -> Iterator[Problem]:
        if policy is None:
            says = f"there is no service account {delegate}; make it as docs/SUBSCRIPTIONS.md says"
            is_own = delegate in [plan.target.email(account.id) for account in plan.target.accounts]
            fate = Fate.CREATE if is_own else Fate.LEAVE
            yield Problem(says, plan.deploy("setup", function.name), fate=fate, things=(f"who may act as {delegate}",))
        elif plan.member(function) not in _members(policy, "roles/iam.serviceAccountTokenCreator"):
            yield Problem(f"{actor} may not act as {delegate}", plan.deploy("setup", function.name), fate=Fate.CHANGE)

    question = ("iam", "service-accounts", "get-iam-policy", delegate)
    return Check("delegate", delegate, question, f"{actor} may act as {delegate}", judge)


def _topic(plan: Plan, function: Function) -> Check:
    def judge(policy: Any) -> Iterator[Problem]:
        if GMAIL not in _members(policy, "roles/pubsub.publisher"):
            says, fate = "Gmail may not publish to", Fate.CHANGE
            if policy is None:
                says, fate = "there is no topic", Fate.CREATE
            yield Problem(f"{says} {function.topic}", plan.deploy("setup", function.name), fate=fate)

    question = ("pubsub", "topics", "get-iam-policy", function.topic)
    return Check("topic", function.topic, question, f"Gmail may publish to {function.topic}", judge)


def _members(policy: Any, role: str) -> set[str]:
    """Return who has a role without a condition."""
    bindings = [each for each in (policy or {}).get("bindings", []) if each["role"] == role and "condition" not in each]
    return {member for binding in bindings for member in binding["members"]}


# -- Functions and Scheduler jobs --------------------------------------------------------------------------------------


def _function(plan: Plan, function: Function) -> Check:
    service = plan.target.service(function)

    def judge(found: Any) -> Iterator[Problem]:
        differing = _differences(plan.target, function, found) if found else ["is not deployed"]
        if says := ", ".join(differing):
            fate = Fate.CHANGE if found else Fate.CREATE
            yield Problem(f"{service} {says}", plan.deploy("functions", function.name), fate=fate)

    question = ("functions", "describe", service, "--gen2", f"--region={plan.target.region}")
    well, anyway = f"{service} is deployed as the settings say", f"{service} gets a new revision, with the code of now"
    return Check("function", service, question, well, judge, anyway)


def _differences(target: Target, function: Function, found: Mapping[str, Any]) -> Iterator[str]:
    """Return where a function is not as it should be; settings by their names, never by their values."""
    service, state = found.get("serviceConfig", {}), found.get("state")
    if state != "ACTIVE":
        yield f"is {state}"
    if (account := service.get("serviceAccountEmail")) != target.email(function.account.id):
        yield f"runs as {account}"
    wanted, told = target.environment(function), service.get("environmentVariables", {})
    names = {name for name in wanted.keys() | told.keys() if wanted.get(name) != told.get(name)} - SET_BY_THE_PLATFORM
    names |= {place.partition("=")[0] for place in {*target.secret_references(function)} ^ {*_references(service)}}
    if names:
        yield f"was deployed with another {', '.join(sorted(names))}"


def _references(service: Mapping[str, Any]) -> Iterator[str]:
    """Return where it is told which version of which secret, as `Target.secret_references` does."""
    for each in service.get("secretEnvironmentVariables", []):
        yield f"{each['key']}={each['secret']}:{each['version']}"
    for volume in service.get("secretVolumes", []):
        for each in volume["versions"]:
            yield f"{volume['mountPath']}/{each['path'].lstrip('/')}={volume['secret']}:{each['version']}"


def _caller(plan: Plan, function: Function) -> Check:
    service, wanted = plan.target.service(function), plan.target.invoker(function)

    def judge(policy: Any) -> Iterator[Problem]:
        bindings = [each for each in (policy or {}).get("bindings", []) if each["role"] == "roles/run.invoker"]
        members = {member for binding in bindings for member in binding["members"]}
        # Setup sees to the callers of what is deployed.
        mend = plan.deploy("functions" if policy is None else "setup", function.name)
        if wanted not in _members(policy, "roles/run.invoker"):
            yield Problem(f"{service} may not be called by {wanted}", mend, fate=Fate.CHANGE)
        if others := sorted(members - {wanted}):
            yield Problem(f"{service} may be called by {', '.join(others)}", mend, fate=Fate.CHANGE)

    question = ("run", "services", "get-iam-policy", service, f"--region={plan.target.region}")
    well = f"{service} may be called by {wanted}, and nobody else"
    return Check("caller", f"who may call {service}", question, well, judge)


def _lock(plan: Plan, function: Function) -> Check:
    service, region = plan.target.service(function), f"--region={plan.target.region}"

    def judge(found: Any) -> Iterator[Problem]:
        if found is None:
            mend, things = plan.deploy("functions", function.name), (f"{service}, the service in Cloud Run",)
            yield Problem(f"there is no service {service}", mend, fate=Fate.CREATE, things=things)
        elif _at(found, ("metadata", "annotations", UNLOCKED)) == "true":
            lock = plan.gcloud("run", "services", "update", service, "--invoker-iam-check", region)
            yield Problem(f"Cloud Run lets everybody in to {service}, whoever may call it", lock)

    question = ("run", "services", "describe", service, region)
    return Check("caller", f"the lock of {service}", question, f"Cloud Run checks who calls {service}", judge)


def _schedule(plan: Plan, function: Function, job: SchedulerJob) -> Check:
    def judge(found: Any) -> Iterator[Problem]:
        uri = _at(found or {}, ("httpTarget", "uri")) or "no URL"
        if found is None:
            yield Problem(f"{job.name} is not there", plan.deploy("schedules", function.name), fate=Fate.CREATE)
        elif uri != plan.target.url(function):
            # Two have the names that they had in the former system.
            says = f"{job.name} calls {uri}, which is not ours"
            yield Problem(says, plan.deploy("schedules", function.name), fate=Fate.CHANGE)
        else:
            yield from _state(plan, function, job, found)
            yield from _stale(plan, function, job, found)
            yield from _last_attempt(plan, function, job, found)

    question = ("scheduler", "jobs", "describe", job.name, f"--location={plan.target.region}")
    when = f"{job.recurrence.cron} ({job.recurrence.timezone})"
    return Check("schedule", job.name, question, f"{job.name} calls {plan.target.service(function)}: {when}", judge)


def _state(plan: Plan, function: Function, job: SchedulerJob, found: Mapping[str, Any]) -> Iterator[Problem]:
    state = found.get("state")
    if state == "PAUSED":
        yield Problem(f"{job.name} is paused", plan.deploy("resume", function.name), "warning")
    elif state != "ENABLED":
        yield Problem(f"{job.name} is {state}", plan.deploy("schedules", function.name))


def _stale(plan: Plan, function: Function, job: SchedulerJob, found: Mapping[str, Any]) -> Iterator[Problem]:
    flags = schedule_flags(plan.target, function, job)
    wanted = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    if stale := [flag for flag, keys in SHOWN_AT.items() if _at(found, keys) != wanted[flag]]:
        says = f"{job.name} has another {', '.join(stale)}"
        yield Problem(says, plan.deploy("schedules", function.name), fate=Fate.CHANGE)


def _last_attempt(plan: Plan, function: Function, job: SchedulerJob, found: Mapping[str, Any]) -> Iterator[Problem]:
    smoke = plan.deploy("smoke", function.name)
    if "lastAttemptTime" not in found:
        yield Problem(f"{job.name} has never run", smoke, "warning", fate=None)
    elif code := _at(found, ("status", "code")):
        meaning = f" ({STATUS_CODES[code]})" if code in STATUS_CODES else ""
        failed = f"the last attempt of {job.name}, at {found['lastAttemptTime']}, failed with status {code}{meaning}"
        log = f"the log of {plan.target.service(function)} says why, docs/OPERATIONS.md what to do"
        yield Problem(f"{failed}; {log}", f"then {smoke}", fate=None)


def beside(plan: Plan) -> Check:
    """Return the check of what else is deployed: by other deployments, and by this one with a former table."""
    destroy = replace(plan, only=()).deploy("destroy", option="--removed")

    def judge(listed: Any) -> Iterator[Problem]:
        functions = read_functions(listed or [])
        for found in neighbours(plan.target, functions):
            yield Problem(found.says, found.remedy, fate=Fate.UNKNOWN)
        for each in removed_functions(plan.target, functions):
            yield Problem(f"{each.name} is deployed, and not in functions.toml", destroy, "warning", Fate.UNKNOWN)

    well = f"no other deployment has something in common with {plan.target.table.prefix}"
    return Check("deployment", "what else is deployed", FUNCTIONS, well, judge)


def _at(content: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        content = content.get(key) or {}
    return content
