"""The settings: read once from the environment into one typed value; one error names all that is wrong."""

import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from shared.errors import InvalidInput, InvalidSettings

GOOGLE_CERTS_URL = "https://www.googleapis.com/oauth2/v1/certs"
TASKS_ENDPOINT = "https://cloudtasks.googleapis.com"
ANY_FUNCTION = "watchkeeper"  # what a button in Chat calls where PUBLIC_URL is not needed
PROJECT_FOLDER = Path(__file__).resolve().parent.parent
DEFAULT_PREFIX = "watchkeeper-"
SETTINGS_FILE = "WATCHKEEPER_SETTINGS"  # names another file than the project's .env

KEPT = re.compile(r"secret:(latest|[1-9][0-9]*)")  # in a settings file: a version in Secret Manager
QUEUE = r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?"  # the name in handlers; the deployed name has a prefix
SHORTEST_SECRET = 16  # characters; strangers may guess without limit

T = TypeVar("T")


class AuthMode(StrEnum):
    """Who checks the signature: this code, Cloud Run IAM in front of it, or nobody (only on one's own machine)."""

    VERIFY = "verify"
    PLATFORM = "platform"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class AuthPolicy:
    """Who may call a function."""

    mode: AuthMode = AuthMode.VERIFY
    audiences: tuple[str, ...] = ()  # exact values of `aud`
    callers: frozenset[str] = frozenset()  # e-mail addresses of service accounts, in any case
    cron_secret: str = field(default="", repr=False)  # empty: no secret is accepted


@dataclass(frozen=True, kw_only=True)
class TaskQueues:
    """Where jobs are handed over: queues of Cloud Tasks by the names that handlers use, and who runs the jobs."""

    names: tuple[tuple[str, str], ...] = ()  # a handler's name of a queue, and projects/P/locations/L/queues/Q
    worker_url: str = ""  # of the function run_job, and the audience of the tokens that it is called with
    caller: str = ""  # the service account that it is called as
    endpoint: str = TASKS_ENDPOINT

    def full_name(self, queue: str | None) -> str | None:
        """Return the full name of a handler's queue, or None: the job then runs in the tick."""
        return dict(self.names).get(queue or "")


def find_settings_file(env: Mapping[str, str], project: Path = PROJECT_FOLDER) -> Path | None:
    """Return the file that completes the environment: what WATCHKEEPER_SETTINGS names, or the project's `.env`.

    It does not depend on the current folder, so that code and commands find the same store wherever they are called. A
    deployed function has all its settings in its environment, and no file.
    """
    if env.get("K_SERVICE"):
        return None
    if named := env.get(SETTINGS_FILE, "").strip():
        return Path(named).absolute()
    path = project / ".env"
    return path if path.exists() else None


def complete_environment(env: MutableMapping[str, str] = os.environ, project: Path = PROJECT_FOLDER) -> Path | None:
    """Add the values of the settings file that the environment does not set, and return the file.

    The environment is that of the process, because libraries read it, too. Raises InvalidSettings.
    """
    path = find_settings_file(env, project)
    for name, value in (read_settings(path) if path else {}).items():
        env.setdefault(name, value)
    return path


def read_settings(path: Path) -> dict[str, str]:
    """Read a settings file; values are taken literally. Raises InvalidSettings.

    A line that cannot be read, such as one with an unclosed quote, is an error: if it were skipped, its setting would
    be missing later.
    """
    from dotenv.parser import parse_stream  # not where a function is deployed

    try:
        with path.open(encoding="utf-8-sig") as lines:
            settings = list(parse_stream(lines))
    except (OSError, ValueError) as exc:
        raise InvalidSettings(f"the settings file {path} cannot be read: {exc}") from exc
    if wrong := [str(setting.original.line) for setting in settings if setting.error]:
        raise InvalidSettings(f"the settings file {path} cannot be read: look at line {', '.join(wrong)}")
    return {setting.key: setting.value for setting in settings if setting.key and setting.value is not None}


class Environment:
    """Reads settings and collects their problems, so that one error can name them all."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: dict[str, str] = {}  # by the name of the setting

    def text(self, name: str, default: str = "") -> str:
        """Return the setting without surrounding space; an empty one counts as not set."""
        return self._env.get(name, "").strip() or default

    def words(self, name: str) -> tuple[str, ...]:
        """Return a comma-separated list."""
        return tuple(word.strip() for word in self.text(name).split(",") if word.strip())

    def required_words(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Return a comma-separated list, each word parsed and only once, or record that it is missing or malformed."""

        def parse_all(text: str) -> tuple[T, ...]:
            return tuple(dict.fromkeys(parse(word) for word in self.words(name)))

        nothing: tuple[T, ...] = ()
        words = self.parsed(name, nothing, parse_all)
        if not words:
            self.problems.setdefault(name, f"{name} is not set")
        return words

    def parsed(self, name: str, default: T, parse: Callable[[str], T]) -> T:
        """Return the parsed setting, or record the error of `parse` (ValueError or InvalidInput)."""
        text = self.text(name)
        try:
            return parse(text) if text else default
        except (ValueError, InvalidInput) as exc:
            # The value may be a secret, by mistake even where an id or a path belongs.
            is_secret = name.endswith(("SECRET", "KEY", "BASE_ID")) or text.startswith("{")
            shown = "malformed" if is_secret else repr(text[:100])
            self.problems[name] = f"{name} is {shown}: {exc}"
            return default

    def required(self, name: str, default: T, parse: Callable[[str], T]) -> T:
        """Return the setting as `parsed` does, or record that it is missing and return `default`."""
        if not self.text(name):
            self.problems[name] = f"{name} is not set"
        return self.parsed(name, default, parse)

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number within bounds."""

        def parse(text: str) -> int:
            if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
                raise ValueError(f"it must be a whole number from {least} to {most}")
            return int(text)

        return self.parsed(name, default, parse)

    def seconds(self, name: str, default: int, *, least: int, most: int) -> timedelta:
        """Return a duration."""
        return timedelta(seconds=self.number(name, default, least=least, most=most))

    def one_of(self, name: str, default: str, *allowed: str) -> str:
        """Return one of the allowed words."""

        def parse(text: str) -> str:
            if text not in allowed:
                raise ValueError(f"it must be one of {', '.join(allowed)}")
            return text

        return self.parsed(name, default, parse)

    def refuse_problems(self) -> None:
        """Raise InvalidSettings, naming every problem, if there are any."""
        if self.problems:
            said = "; ".join(self.problems.values())
            raise InvalidSettings(f"the settings cannot be used: {said}", tuple(self.problems))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that every function reads. `.env.example` describes each."""

    storage: str
    json_path: Path
    collection: str
    database: str
    project: str
    cadence: str
    timezone: str
    lease: timedelta
    concurrency: int
    budget: timedelta
    lookahead: timedelta
    retention: timedelta
    history: timedelta
    function_timeout: timedelta
    handler_modules: tuple[str, ...]
    log_level: str
    certs_url: str
    public_url: str
    queues: TaskQueues
    auth: AuthPolicy = field(repr=False)
    prefix: str = DEFAULT_PREFIX  # of the deployment

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises InvalidSettings, naming every missing or malformed one."""
        read = Environment(env)
        in_cloud = bool(read.text("K_SERVICE"))
        settings = cls(
            prefix=read.parsed("DEPLOYMENT_PREFIX", DEFAULT_PREFIX, parse_prefix),
            storage=read.one_of("SCHEDULER_STORAGE", "firestore" if in_cloud else "json", "json", "firestore"),
            json_path=PROJECT_FOLDER / read.text("SCHEDULER_JSON_PATH", ".data/scheduler_jobs.json"),
            collection=read.parsed("SCHEDULER_COLLECTION", collection_of(env), _collection),
            database=read.text("FIRESTORE_DATABASE", "(default)"),
            project=read.text("GOOGLE_CLOUD_PROJECT"),
            cadence=read.parsed("SCHEDULER_CADENCE", "* * * * *", _cadence),
            timezone=read.parsed("SCHEDULER_TIMEZONE", "UTC", _timezone),
            lease=read.seconds("SCHEDULER_LEASE_SECONDS", 300, least=1, most=86_400),
            concurrency=read.number("SCHEDULER_CONCURRENCY", 16, least=1, most=500),
            budget=read.seconds("SCHEDULER_TICK_BUDGET_SECONDS", 50, least=1, most=3_000),
            lookahead=read.seconds("SCHEDULER_LOOKAHEAD_SECONDS", 0, least=0, most=3_000),
            retention=timedelta(days=read.number("SCHEDULER_RETENTION_DAYS", 30, least=1, most=3_650)),
            history=timedelta(days=read.number("SCHEDULER_HISTORY_DAYS", 30, least=0, most=3_650)),
            function_timeout=read.seconds("CALL_TIMEOUT_SECONDS", 180, least=1, most=3_600),
            handler_modules=read.words("JOB_HANDLERS"),
            log_level=read.one_of("LOG_LEVEL", "INFO", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
            certs_url=read.parsed("AUTH_CERTS_URL", GOOGLE_CERTS_URL, http_url),
            public_url=read.parsed("PUBLIC_URL", "", http_url),
            queues=_queues(read),
            auth=AuthPolicy(
                mode=AuthMode(read.one_of("AUTH_MODE", "verify", *AuthMode)),
                audiences=read.words("AUTH_AUDIENCE"),
                callers=frozenset(read.words("AUTH_CALLERS")),
                cron_secret=read.parsed("CRON_SECRET", "", parse_secret),
            ),
        )
        if in_cloud and settings.storage == "json" and not read.text("SCHEDULER_JSON_PATH"):
            read.problems["SCHEDULER_STORAGE"] = (
                "SCHEDULER_STORAGE is 'json' in the cloud, where files die with their instance: "
                "set it to firestore, or name a lasting file in SCHEDULER_JSON_PATH"
            )
        if in_cloud and settings.auth.mode is AuthMode.OFF:
            read.problems["AUTH_MODE"] = "AUTH_MODE is 'off' in the cloud: set it to verify or platform"
        read.refuse_problems()
        return settings


def _cadence(text: str) -> str:
    from shared.model.recurrence import Recurrence  # not needed for the default, with which most instances start

    return Recurrence(text, "UTC").cron


def _timezone(text: str) -> str:
    from shared.model.recurrence import load_timezone

    return load_timezone(text).key


def _queues(read: Environment) -> TaskQueues:
    nothing: tuple[tuple[str, str], ...] = ()
    names = read.parsed("TASK_QUEUES", nothing, lambda text: tuple(_queue(word) for word in read.words("TASK_QUEUES")))
    required = read.required if names else read.parsed
    return TaskQueues(
        names=names,
        worker_url=required("RUN_JOB_URL", "", http_url),
        caller=required("RUN_JOB_CALLER", "", str),
        endpoint=read.parsed("TASKS_API_ENDPOINT", TASKS_ENDPOINT, http_url),
    )


def _queue(text: str) -> tuple[str, str]:
    name, _, full_name = text.partition("=")
    if not re.fullmatch(QUEUE, name) or not re.fullmatch(r"projects/[^/]+/locations/[^/]+/queues/[^/]+", full_name):
        raise ValueError("each queue must be like agents=projects/PROJECT/locations/REGION/queues/QUEUE")
    return name, full_name


def collection_of(env: Mapping[str, str]) -> str:
    """Return the collection of the jobs: the setting, or else that of the deployment with this prefix."""
    read = Environment(env)
    prefix = read.text("DEPLOYMENT_PREFIX", DEFAULT_PREFIX)
    own = "scheduler_jobs" if prefix == DEFAULT_PREFIX else f"{prefix.removesuffix('-')}_scheduler_jobs"
    return read.text("SCHEDULER_COLLECTION", own)


def parse_prefix(text: str) -> str:
    """Read the prefix of a deployment. Raises ValueError.

    Its only hyphen is at the end, so no prefix begins with another, and a name that begins with it belongs to this
    deployment.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*-", text):
        raise ValueError("it must be one word of small letters and digits followed by a hyphen, such as staging-")
    return text


def parse_secret(text: str) -> str:
    """Read a secret; return "" if the text only names where it is stored. Raises ValueError."""
    if KEPT.fullmatch(text):
        return ""
    if not re.fullmatch(rf"[ -~]{{{SHORTEST_SECRET},}}", text):
        raise ValueError(
            f"it must be one line of ASCII, at least {SHORTEST_SECRET} characters; make one with: openssl rand -hex 24"
        )
    return text


def http_url(text: str) -> str:
    """Read the address of an HTTP service. Raises ValueError."""
    if not re.fullmatch(r"https?://[^\s\[\]]+", text) or urlsplit(text).port == 0:  # `port` raises ValueError too
        raise ValueError("it must be an address that begins with http:// or https://")
    return text


def _collection(text: str) -> str:
    if "/" in text or text in (".", "..") or re.fullmatch(r"__.*__", text):
        raise ValueError("it must be a Firestore collection name without a slash")
    return text
