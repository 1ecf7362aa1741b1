"""The table of functions and queues, `functions.toml`: what is deployed and how, and what runs on this machine."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from shared.errors import InvalidInput, InvalidSettings
from shared.model.recurrence import Recurrence
from shared.settings import PROJECT_FOLDER, QUEUE, collection_of, parse_prefix
from watchkeeper.deploy.scheduler_cron import foreign_to_scheduler
from watchkeeper.deploy.toml_table import TomlTable

FUNCTIONS_TABLE = PROJECT_FOLDER / "functions.toml"

# Seconds for which an answer is waited: by Cloud Scheduler and Cloud Tasks, and by others.
ATTEMPT, CALL = {"least": 15, "most": 1800}, {"least": 1, "most": 3600}
MOST_RETRIES = 5  # of Cloud Scheduler
MOST_CONCURRENT, MOST_PER_SECOND = 5000, 500  # in one queue of Cloud Tasks
SHORTEST_ACCOUNT, LONGEST_ACCOUNT = 6, 30  # characters of the id of a service account


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When Cloud Scheduler, or Cloud Tasks, tries again after a failed attempt. The defaults are Cloud Scheduler's.

    `count` is of the retries of a Scheduler job, and of all attempts of a task.
    """

    count: int = 0
    max_duration: timedelta = timedelta()  # no limit but the count
    min_backoff: timedelta = timedelta(seconds=5)
    max_backoff: timedelta = timedelta(hours=1)
    max_doublings: int = 5


@dataclass(frozen=True, kw_only=True)
class SchedulerJob:
    """The Cloud Scheduler job that calls a function. After its attempt deadline it waits for no answer any more."""

    name: str
    recurrence: Recurrence
    attempt_deadline: timedelta
    retry: RetryPolicy = RetryPolicy()


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue of Cloud Tasks by the name that handlers use, and its limits over all instances.

    `retry` is for what could not begin.
    """

    name: str
    max_concurrent: int
    max_per_second: int
    retry: RetryPolicy


class Caller(StrEnum):
    """Who calls a function."""

    SCHEDULER = "scheduler"
    TASKS = "tasks"
    CHAT = "chat"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A service account: the part of its address before the @, and its roles in the project."""

    id: str
    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What an instance of a function may use, and how many instances there may be."""

    memory: str
    cpu: str
    concurrency: int
    min_instances: int
    max_instances: int


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function. `timeout` bounds a call; one that Cloud Scheduler calls has a `scheduler_job`.

    `settings` and `secrets` are passed on where they are set; of each entry of `requires`, exactly one must be.
    `with_agent` says that the user's own code goes with it. Unless empty, `queue_roles` are its roles on each
    queue, `acts_as` is a service account that it makes tokens for, and `topic` a Pub/Sub topic that Gmail publishes to.
    """

    name: str
    entry_point: str
    runtime: str
    timeout: timedelta
    resources: Resources
    called_by: Caller
    account: Account
    queue_roles: tuple[str, ...]
    acts_as: str
    topic: str
    with_agent: bool
    apis: tuple[str, ...]
    settings: tuple[str, ...]
    requires: tuple[tuple[str, ...], ...]
    secrets: tuple[str, ...]
    scheduler_job: SchedulerJob | None

    def passed_on(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return those of its settings that are set, but no secret."""
        return {name: value for name in self.settings if (value := settings.get(name, "").strip())}


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A setting that is kept in Secret Manager, as `name`, and mounted as a file if `mounted_at` is a path."""

    setting: str
    name: str
    mounted_at: str


@dataclass(frozen=True, kw_only=True)
class Firestore:
    """Where the jobs are. An empty `location` is that of the functions."""

    database: str
    location: str
    collection: str
    ttl_field: str
    unindexed_fields: tuple[str, ...]
    unindexed_run_fields: tuple[str, ...]

    @property
    def collections(self) -> Mapping[str, tuple[str, ...]]:
        """Return the collections, the jobs and their history, each with its fields that have no index."""
        return {self.collection: self.unindexed_fields, f"{self.collection}_runs": self.unindexed_run_fields}


@dataclass(frozen=True, kw_only=True)
class FunctionsTable:
    """The whole table."""

    prefix: str
    apis: tuple[str, ...]
    firestore: Firestore
    scheduler_account: Account
    tasks_account: Account
    build_account: Account
    queues: tuple[Queue, ...]
    secrets: Mapping[str, Secret]
    functions: tuple[Function, ...]


def read_functions(env: Mapping[str, str], path: Path = FUNCTIONS_TABLE) -> list[Function]:
    """Read the functions, with each `${NAME:-default}` in the table taken from `env`.

    Raises InvalidSettings, naming the file and the key.
    """
    return list(read_table(env, path).functions)


def read_table(env: Mapping[str, str], path: Path = FUNCTIONS_TABLE) -> FunctionsTable:
    """Read the whole table as `read_functions` does. Raises InvalidSettings, naming the file and the key."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidSettings(f"{path} cannot be read: {exc}") from exc
    table = TomlTable(content, str(path), env)
    table.refuse_all_but(
        *("prefix", "runtime", "apis", "settings", "firestore", "accounts", "queues", "secrets", "functions")
    )
    table = replace(table, prefix=_prefix(table))
    accounts, functions = table.table("accounts"), table.table("functions")
    accounts.refuse_all_but("scheduler", "tasks", "build")
    queues = [_queue(name, table.table("queues").table(name)) for name in content.get("queues", {})]
    secrets = [_secret(name, table.table("secrets").table(name)) for name in table.table("secrets").content]
    known = {secret.setting for secret in secrets}
    read = [_function(name, functions.table(name), table, known, queues) for name in functions.content]
    _refuse_twice(functions.name, read)
    return FunctionsTable(
        prefix=table.prefix,
        apis=table.texts("apis"),
        firestore=_firestore(table.table("firestore")),
        scheduler_account=_account(accounts.table("scheduler")),
        tasks_account=_account(accounts.table("tasks")),
        build_account=_account(accounts.table("build")),
        queues=tuple(queues),
        secrets={secret.setting: secret for secret in secrets},
        functions=tuple(read),
    )


def _refuse_twice(name: str, functions: Sequence[Function]) -> None:
    """Refuse what two functions cannot share: a table that was copied and not changed everywhere."""
    jobs = [function.scheduler_job.name for function in functions if function.scheduler_job]
    if twice := [job for job in jobs if jobs.count(job) > 1]:
        raise InvalidSettings(f"{name}: two functions have a Scheduler job named {twice[0]}")
    if len(workers := [function.name for function in functions if function.called_by is Caller.TASKS]) > 1:
        raise InvalidSettings(
            f"{name}: called_by is tasks for {' and '.join(workers)}; only one can run the queues' jobs"
        )


def _prefix(table: TomlTable) -> str:
    try:
        return parse_prefix(prefix := table.text("prefix"))
    except ValueError as exc:
        raise InvalidSettings(f"{table.name}: prefix (DEPLOYMENT_PREFIX) is {prefix!r}: {exc}") from exc


def _firestore(table: TomlTable) -> Firestore:
    fields = ("unindexed_fields", "unindexed_run_fields")
    table.refuse_all_but("database", "location", "collection", "ttl_field", *fields)
    return Firestore(
        database=table.text("database"),
        location=table.text("location"),
        collection=table.text("collection") or collection_of(table.env),
        ttl_field=table.text("ttl_field"),
        unindexed_fields=table.texts("unindexed_fields"),
        unindexed_run_fields=table.texts("unindexed_run_fields"),
    )


_RETRY_KEYS = ("max_retry_duration", "min_backoff", "max_backoff", "max_doublings")  # of a queue and a Scheduler job


def _queue(name: str, table: TomlTable) -> Queue:
    table.refuse_all_but("max_concurrent", "max_per_second", "max_attempts", *_RETRY_KEYS)
    if not re.fullmatch(QUEUE, name):
        raise InvalidSettings(f"{table.name}: a queue is named by small letters, digits and -")
    return Queue(
        name=name,
        max_concurrent=table.number("max_concurrent", least=1, most=MOST_CONCURRENT),
        max_per_second=table.number("max_per_second", least=1, most=MOST_PER_SECOND),
        retry=_retry(
            table,
            count=table.number("max_attempts", least=-1),  # -1: no limit
            max_duration=table.duration("max_retry_duration"),
            min_backoff=table.duration("min_backoff"),
            max_backoff=table.duration("max_backoff"),
            max_doublings=table.number("max_doublings"),
        ),
    )


def _retry(table: TomlTable, **fields: Any) -> RetryPolicy:
    retry = RetryPolicy(**fields)
    if retry.min_backoff > retry.max_backoff:
        raise InvalidSettings(f"{table.name}: min_backoff is above max_backoff")
    return retry


def _account(table: TomlTable) -> Account:
    table.refuse_all_but("id", "roles")
    return Account(id=_account_id(table, "id"), roles=table.texts("roles"))


def _account_id(table: TomlTable, key: str) -> str:
    own = table.own_name(key)
    if SHORTEST_ACCOUNT <= len(own) <= LONGEST_ACCOUNT:
        return own
    raise InvalidSettings(
        f"{table.name}: the service account {own} has {len(own)} characters, and Google takes {SHORTEST_ACCOUNT} to "
        f"{LONGEST_ACCOUNT}: choose another name, or a DEPLOYMENT_PREFIX of at most "
        f"{LONGEST_ACCOUNT - len(own) + len(table.prefix)}"
    )


def _secret(setting: str, table: TomlTable) -> Secret:
    table.refuse_all_but("name", "mounted_at")
    return Secret(setting=setting, name=table.own_name("name"), mounted_at=table.text("mounted_at", ""))


_FUNCTION_KEYS = (
    *("entry_point", "runtime", "memory", "cpu", "timeout_seconds", "concurrency", "min_instances", "max_instances"),
    *("called_by", "with_agent", "account", "roles", "queue_roles", "acts_as", "topic"),
    *("apis", "settings", "requires", "secrets", "scheduler"),
)


def _function(name: str, table: TomlTable, common: TomlTable, secrets: set[str], queues: Sequence[Queue]) -> Function:
    table.refuse_all_but(*_FUNCTION_KEYS)
    called_by = _caller(table)
    timeout = timedelta(seconds=table.number("timeout_seconds", **(CALL if called_by is Caller.CHAT else ATTEMPT)))
    if unknown := set(table.texts("secrets", ())) - secrets:
        raise InvalidSettings(f"{table.name}: secrets: there is no secret {min(unknown)}")
    return Function(
        name=name,
        entry_point=table.text("entry_point"),
        runtime=table.text("runtime", common.text("runtime")),
        timeout=timeout,
        resources=Resources(
            memory=table.text("memory"),
            cpu=table.text("cpu"),
            concurrency=table.number("concurrency", least=1),
            min_instances=table.number("min_instances"),
            max_instances=_max_instances(table, called_by, queues),
        ),
        called_by=called_by,
        account=Account(id=_account_id(table, "account"), roles=table.texts("roles")),
        queue_roles=table.texts("queue_roles", ()),
        acts_as=table.text("acts_as", ""),
        topic=table.text("topic", ""),
        with_agent=table.is_true("with_agent"),
        apis=table.texts("apis", ()),
        settings=(*common.texts("settings"), *table.texts("settings", ())),
        requires=tuple(tuple(names.split("|")) for names in table.texts("requires", ())),
        secrets=table.texts("secrets", ()),
        scheduler_job=_scheduler_job(table.table("scheduler"), timeout) if "scheduler" in table.content else None,
    )


def _caller(table: TomlTable) -> Caller:
    if "scheduler" in table.content:
        return Caller.SCHEDULER
    called_by = table.text("called_by")
    if called_by not in (Caller.TASKS, Caller.CHAT):
        raise InvalidSettings(f"{table.name}: called_by must be tasks or chat, or there must be a table scheduler")
    return Caller(called_by)


def _max_instances(table: TomlTable, called_by: Caller, queues: Sequence[Queue]) -> int:
    """Return what is given or, where Cloud Tasks calls, what the queues let run at once."""
    if called_by is not Caller.TASKS:
        return table.number("max_instances", least=1)
    if "max_instances" in table.content:
        raise InvalidSettings(f"{table.name}: max_instances follows from the queues; leave it out")
    return sum(queue.max_concurrent for queue in queues) or 1


def _scheduler_job(table: TomlTable, timeout: timedelta) -> SchedulerJob:
    table.refuse_all_but("name", "schedule", "time_zone", "retry_count", *_RETRY_KEYS)
    schedule, time_zone = table.text("schedule"), table.text("time_zone")
    try:
        recurrence = Recurrence(schedule, time_zone)
    except InvalidInput as exc:
        raise InvalidSettings(f"{table.name}: schedule or time_zone cannot be used: {exc}") from exc
    if item := foreign_to_scheduler(schedule):
        raise InvalidSettings(
            f"{table.name}: schedule {schedule!r}: Cloud Scheduler does not take {item!r}; it takes five fields of"
            " numbers, names, *, ranges that rise (1-5), steps of * or a range (*/5) and lists of these"
        )
    retry = _retry(
        table,
        count=table.number("retry_count", RetryPolicy.count, most=MOST_RETRIES),
        max_duration=table.duration("max_retry_duration", RetryPolicy.max_duration),
        min_backoff=table.duration("min_backoff", RetryPolicy.min_backoff),
        max_backoff=table.duration("max_backoff", RetryPolicy.max_backoff),
        max_doublings=table.number("max_doublings", RetryPolicy.max_doublings),
    )
    return SchedulerJob(name=table.own_name("name"), recurrence=recurrence, attempt_deadline=timeout, retry=retry)
