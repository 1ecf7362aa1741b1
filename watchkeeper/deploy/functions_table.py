"""The table of functions and queues, `functions.toml`: what is deployed and how, and what runs on this machine."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import InvalidInput, InvalidSettings
from shared.model.recurrence import Recurrence
from shared.settings import DEFAULT_PREFIX, PROJECT_FOLDER, QUEUE, collection_of, parse_prefix

FUNCTIONS_TABLE = PROJECT_FOLDER / "functions.toml"

_SETTING = re.compile(r"\$\{([A-Z][A-Z0-9_]*):-([^}]*)\}")

LONGEST_TASK = timedelta(minutes=30)  # Cloud Tasks waits no longer for an answer
MOST_CONCURRENT, MOST_PER_SECOND = 5000, 500  # in one queue of Cloud Tasks
SHORTEST_ACCOUNT, LONGEST_ACCOUNT = 6, 30  # characters of the id of a service account

T = TypeVar("T", str, int, list[Any], dict[Any, Any])


@dataclass(frozen=True, kw_only=True)
class Retry:
    """When Cloud Scheduler, or Cloud Tasks, tries again after a failed attempt. The defaults are Cloud Scheduler's."""

    count: int = 0
    max_duration: str = "0s"  # no limit but the count
    min_backoff: str = "5s"
    max_backoff: str = "3600s"
    max_doublings: int = 5


@dataclass(frozen=True, kw_only=True)
class SchedulerJob:
    """The Cloud Scheduler job that calls a function. After its attempt deadline it waits for no answer any more."""

    name: str
    recurrence: Recurrence
    attempt_deadline: timedelta
    retry: Retry = Retry()


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue of Cloud Tasks by the name that handlers use, and its limits over all instances.

    `retry` is for what could not begin; its count is that of all attempts.
    """

    name: str
    max_concurrent: int
    max_per_second: int
    retry: Retry


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

    `settings` and `secrets` are passed on where they are set; of each entry of `requires`, one must be. `with_agent`
    says that the user's own code goes with it. Where they are not empty, `queue_roles` are its roles on each queue,
    `acts_as` is a service account that it makes tokens for, and `topic` a Pub/Sub topic that Gmail publishes to.
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
class Deployment:
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
    return list(read_deployment(env, path).functions)


def read_deployment(env: Mapping[str, str], path: Path = FUNCTIONS_TABLE) -> Deployment:
    """Read the whole table as `read_functions` does. Raises InvalidSettings, naming the file and the key."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidSettings(f"{path} cannot be read: {exc}") from exc
    table = _Table(content, str(path), env)
    table.refuse_all_but(
        *("prefix", "runtime", "apis", "settings", "firestore", "accounts", "queues", "secrets", "functions")
    )
    table = replace(table, prefix=_prefix(table))
    accounts, functions = table.table("accounts"), table.table("functions")
    accounts.refuse_all_but("scheduler", "tasks", "build")
    queues = [_queue(name, table.table("queues").table(name)) for name in content.get("queues", {})]
    secrets = [_secret(name, table.table("secrets").table(name)) for name in table.table("secrets").content]
    return Deployment(
        prefix=table.prefix,
        apis=table.texts("apis"),
        firestore=_firestore(table.table("firestore")),
        scheduler_account=_account(accounts.table("scheduler")),
        tasks_account=_account(accounts.table("tasks")),
        build_account=_account(accounts.table("build")),
        queues=tuple(queues),
        secrets={secret.setting: secret for secret in secrets},
        functions=tuple(
            _function(name, functions.table(name), table, {secret.setting for secret in secrets}, queues)
            for name in functions.content
        ),
    )


def own_name(name: str, prefix: str) -> str:
    """Return what a deployment with this prefix calls that which has this name with the default prefix."""
    return name if prefix == DEFAULT_PREFIX else prefix + name.removeprefix(DEFAULT_PREFIX)


def _prefix(table: "_Table") -> str:
    try:
        return parse_prefix(prefix := table.text("prefix"))
    except ValueError as exc:
        raise InvalidSettings(f"{table.name}: prefix (DEPLOYMENT_PREFIX) is {prefix!r}: {exc}") from exc


def _firestore(table: "_Table") -> Firestore:
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


_QUEUE_RETRY_KEYS = ("max_attempts", "max_retry_duration", "min_backoff", "max_backoff", "max_doublings")


def _queue(name: str, table: "_Table") -> Queue:
    table.refuse_all_but("max_concurrent", "max_per_second", *_QUEUE_RETRY_KEYS)
    if not re.fullmatch(QUEUE, name):
        raise InvalidSettings(f"{table.name}: a queue is named by small letters, digits and -")
    return Queue(
        name=name,
        max_concurrent=table.number_up_to(MOST_CONCURRENT, "max_concurrent"),
        max_per_second=table.number_up_to(MOST_PER_SECOND, "max_per_second"),
        retry=Retry(
            count=table.number("max_attempts"),
            max_duration=table.text("max_retry_duration"),
            min_backoff=table.text("min_backoff"),
            max_backoff=table.text("max_backoff"),
            max_doublings=table.number("max_doublings"),
        ),
    )


def _account(table: "_Table") -> Account:
    table.refuse_all_but("id", "roles")
    return Account(id=_account_id(table, "id"), roles=table.texts("roles"))


def _account_id(table: "_Table", key: str) -> str:
    own = table.own_name(key)
    if SHORTEST_ACCOUNT <= len(own) <= LONGEST_ACCOUNT:
        return own
    raise InvalidSettings(
        f"{table.name}: the service account {own} has {len(own)} characters, and Google takes {SHORTEST_ACCOUNT} to "
        f"{LONGEST_ACCOUNT}: choose another name, or a DEPLOYMENT_PREFIX of at most "
        f"{LONGEST_ACCOUNT - len(own) + len(table.prefix)}"
    )


def _secret(setting: str, table: "_Table") -> Secret:
    table.refuse_all_but("name", "mounted_at")
    return Secret(setting=setting, name=table.own_name("name"), mounted_at=table.text("mounted_at", ""))


_FUNCTION_KEYS = (
    *("entry_point", "runtime", "memory", "cpu", "timeout_seconds", "concurrency", "min_instances", "max_instances"),
    *("called_by", "with_agent", "account", "roles", "queue_roles", "acts_as", "topic"),
    *("apis", "settings", "requires", "secrets", "scheduler"),
)


def _function(name: str, table: "_Table", common: "_Table", secrets: set[str], queues: Sequence[Queue]) -> Function:
    table.refuse_all_but(*_FUNCTION_KEYS)
    timeout, called_by = timedelta(seconds=table.number("timeout_seconds")), _caller(table)
    if called_by is Caller.TASKS and timeout > LONGEST_TASK:
        raise InvalidSettings(f"{table.name}: timeout_seconds is above 1800, and Cloud Tasks waits no longer")
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
            concurrency=table.number("concurrency"),
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


def _caller(table: "_Table") -> Caller:
    if "scheduler" in table.content:
        return Caller.SCHEDULER
    called_by = table.text("called_by")
    if called_by not in (Caller.TASKS, Caller.CHAT):
        raise InvalidSettings(f"{table.name}: called_by must be tasks or chat, or there must be a table scheduler")
    return Caller(called_by)


def _max_instances(table: "_Table", called_by: Caller, queues: Sequence[Queue]) -> int:
    """Return what is given or, where Cloud Tasks calls, what the queues let run at once."""
    if called_by is not Caller.TASKS:
        return table.number("max_instances")
    if "max_instances" in table.content:
        raise InvalidSettings(f"{table.name}: max_instances follows from the queues; leave it out")
    return sum(queue.max_concurrent for queue in queues) or 1


_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_PLAIN_CRON = re.compile(r"\*(/\d+)?|(?P<low>\d+|[A-Z]{3})(-(?P<high>\d+|[A-Z]{3})(/\d+)?)?", re.ASCII)
_RETRY_KEYS = ("retry_count", "max_retry_duration", "min_backoff", "max_backoff", "max_doublings")


def _scheduler_job(table: "_Table", timeout: timedelta) -> SchedulerJob:
    table.refuse_all_but("name", "schedule", "time_zone", *_RETRY_KEYS)
    schedule, time_zone = table.text("schedule"), table.text("time_zone")
    try:
        recurrence = Recurrence(schedule, time_zone)
    except InvalidInput as exc:
        raise InvalidSettings(f"{table.name}: schedule or time_zone cannot be used: {exc}") from exc
    if item := _foreign_to_scheduler(schedule):
        raise InvalidSettings(
            f"{table.name}: schedule {schedule!r}: Cloud Scheduler does not take {item!r}; it takes five fields of"
            " numbers, names, *, ranges that rise (1-5), steps of * or a range (*/5) and lists of these"
        )
    retry = Retry(
        count=table.number("retry_count", Retry.count),
        max_duration=table.text("max_retry_duration", Retry.max_duration),
        min_backoff=table.text("min_backoff", Retry.min_backoff),
        max_backoff=table.text("max_backoff", Retry.max_backoff),
        max_doublings=table.number("max_doublings", Retry.max_doublings),
    )
    return SchedulerJob(name=table.own_name("name"), recurrence=recurrence, attempt_deadline=timeout, retry=retry)


def _foreign_to_scheduler(schedule: str) -> str:
    """Return the first item of a cron expression that only Watchkeeper takes, or ""."""
    fields = schedule.upper().split()
    if len(fields) == 1:
        return schedule
    return next((item for field in fields for item in field.split(",") if not _is_plain_cron(item)), "")


def _is_plain_cron(item: str) -> bool:
    """Return whether an item is as in the documentation of Cloud Scheduler: no L, #, step of a number or wrapping."""
    match = _PLAIN_CRON.fullmatch(item)
    if match is None:
        return False
    low, high = match["low"] or "", match["high"] or match["low"] or ""
    if low.isalpha():
        names = _DAYS if low in _DAYS else _MONTHS
        return names.index(low) <= names.index(high)
    return not low or int(low) <= int(high)


@dataclass(frozen=True)
class _Table:
    content: Mapping[str, Any]
    name: str  # for errors: the file, and the keys that lead here
    env: Mapping[str, str]
    prefix: str = ""

    def table(self, key: str) -> "_Table":
        return _Table(self._value(key, dict, "a table"), f"{self.name}: {key}", self.env, self.prefix)

    def refuse_all_but(self, *known: str) -> None:
        for key, value in self.content.items():
            if key not in known:
                kind = "table" if isinstance(value, dict) else "key"
                raise InvalidSettings(f"{self.name}: unknown {kind} {key}; choose one of {', '.join(known)}")

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and key not in self.content:
            return default
        return _SETTING.sub(self._setting, self._value(key, str, "text"))

    def own_name(self, key: str) -> str:
        return own_name(self.text(key), self.prefix)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if default is not None and key not in self.content:
            return default
        values = self._value(key, list, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise InvalidSettings(f"{self.name}: {key} must be a list of texts")
        return tuple(values)

    def number(self, key: str, default: int | None = None) -> int:
        if default is not None and key not in self.content:
            return default
        return self._value(key, int, "a whole number")

    def number_up_to(self, most: int, key: str) -> int:
        number = self.number(key)
        if not 1 <= number <= most:
            raise InvalidSettings(f"{self.name}: {key} must be from 1 to {most}")
        return number

    def is_true(self, key: str) -> bool:
        value = self.content.get(key, False)
        if not isinstance(value, bool):
            raise InvalidSettings(f"{self.name}: {key} must be true or false")
        return value

    def _value(self, key: str, kind: type[T], expected: str) -> T:
        value = self.content.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidSettings(f"{self.name}: {key} must be {expected}")
        return value

    def _setting(self, match: re.Match[str]) -> str:
        name, default = match.groups()
        return self.env.get(name, "").strip() or default
