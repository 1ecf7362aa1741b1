"""What is deployed: names, addresses, callers, settings and flags, worked out from the table and a settings file.

Addresses, audiences and callers follow from project, region and table, and never from a setting, so none of them can
be out of date. Nothing here calls anything.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import InvalidSettings
from shared.settings import KEPT, PROJECT_FOLDER, Environment, Settings, parse_secret, read_settings
from watchkeeper.deploy.functions_table import (
    Account,
    Caller,
    Function,
    FunctionsTable,
    Queue,
    Secret,
    read_table,
)
from watchkeeper.findings import CHAT_TOKENS

CHAT = "chat@system.gserviceaccount.com"
GMAIL = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
EVERYBODY = "allUsers"
CHOSEN = "DEPLOYMENT_FUNCTIONS"
UNKNOWN_NUMBER = "PROJECT_NUMBER"  # until gcloud has been asked for it
_DATABASE = r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]"
_TOPIC = r"projects/[a-z0-9:.-]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
_ADDRESS = r"[\w.+-]+@[\w.-]+\.\w+"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment of the table: where it goes, with which settings, and which functions of it."""

    table: FunctionsTable
    settings: Mapping[str, str]
    project: str
    region: str
    number: str
    functions: Sequence[Function]

    def email(self, account: str) -> str:
        """Return the address of a service account of the project."""
        return f"{account}@{self.project}.iam.gserviceaccount.com"

    def member(self, account: Account) -> str:
        """Return a service account as policies name it."""
        return f"serviceAccount:{self.email(account.id)}"

    def service(self, function: Function) -> str:
        """Return the name under which a function is deployed."""
        return self.table.prefix + function.name.replace("_", "-")

    def url(self, function: Function) -> str:
        """Return a function's address, which is known before it is deployed, and is the audience of its callers."""
        return address(self.project, self.region, self.service(function))

    def queue(self, queue: Queue) -> str:
        """Return the name under which a queue is deployed."""
        return self.table.prefix + queue.name

    @property
    def is_whole(self) -> bool:
        """Return whether it has every function of the table."""
        return len(self.functions) == len(self.table.functions)

    @property
    def queues(self) -> Sequence[Queue]:
        """Return the queues, if a function has to do with them, and there is one that runs their jobs."""
        concerned = any(function.called_by is Caller.TASKS or function.queue_roles for function in self.functions)
        return self.table.queues if concerned and self.workers else ()

    @property
    def worker(self) -> Function:
        """Return the function that Cloud Tasks calls."""
        return self.workers[0]

    @property
    def workers(self) -> list[Function]:
        """Return the functions that Cloud Tasks calls, whichever are named: one, or none."""
        return [function for function in self.table.functions if function.called_by is Caller.TASKS]

    def invoker(self, function: Function) -> str:
        """Return the one member that may call a function: an account of ours, Chat's, or everybody."""
        caller = self.caller(function)
        return f"serviceAccount:{caller}" if caller else EVERYBODY

    def caller(self, function: Function) -> str:
        """Return the address of the service account that calls a function; "" for Chat's that Cloud Run cannot know."""
        if function.called_by is Caller.SCHEDULER:
            return self.email(self.table.scheduler_account.id)
        if function.called_by is Caller.TASKS:
            return self.email(self.table.tasks_account.id)
        return {
            "addon": f"service-{self.number}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com",
            "endpoint": CHAT,
            "project_number": "",
        }[self.chat_auth]

    @property
    def chat_auth(self) -> str:
        """Return which kind of token Chat sends. Raises InvalidSettings."""
        read = Environment(self.settings)
        chat_auth = read.one_of("CHAT_AUTH", "addon", *CHAT_TOKENS)
        if chat_auth == "project_number" and read.text("AUTH_MODE", "verify") != "verify":
            read.problems["AUTH_MODE"] = (
                "CHAT_AUTH is project_number, so chat_webhook must be public and check tokens: set AUTH_MODE=verify"
            )
        read.refuse_problems()
        return chat_auth

    @property
    def is_called_by_addons(self) -> bool:
        """Return whether the account of Google Workspace add-ons calls a function."""
        return self.chat_auth == "addon" and bool(self.chat_functions)

    @property
    def needs_number(self) -> bool:
        """Return whether the project's number is part of what is deployed."""
        return self.chat_auth != "endpoint" and bool(self.chat_functions)

    @property
    def chat_functions(self) -> list[Function]:
        """Return the functions that Google Chat calls."""
        return [function for function in self.functions if function.called_by is Caller.CHAT]

    @property
    def apis(self) -> list[str]:
        """Return the APIs that the functions need."""
        return sorted({*self.table.apis, *(api for function in self.functions for api in function.apis)})

    @property
    def accounts(self) -> list[Account]:
        """Return the service accounts: of the Scheduler jobs, the tasks and the builds, and each function's own."""
        own = [function.account for function in self.functions]
        tasks = [self.table.tasks_account] if self.queues else []
        return [self.table.scheduler_account, *tasks, self.table.build_account, *own]

    @property
    def queue_grants(self) -> list[tuple[str, str]]:
        """Return each role on the queues, with its member."""
        users = self.functions if self.queues else ()
        return [(role, self.member(function.account)) for function in users for role in function.queue_roles]

    @property
    def task_makers(self) -> list[str]:
        """Return the members that make tasks, and so must be allowed to act as the account of the tasks."""
        return [member for role, member in self.queue_grants if role == "roles/cloudtasks.enqueuer"]

    def environment(self, function: Function) -> dict[str, str]:
        """Return the environment of a deployed function, but for its secrets."""
        env = {
            **function.passed_on(self.settings),
            "GOOGLE_CLOUD_PROJECT": self.project,
            "CALL_TIMEOUT_SECONDS": f"{function.timeout.total_seconds():.0f}",
            "AUTH_AUDIENCE": self.url(function),
            "AUTH_CALLERS": self.caller(function),
        }
        for chat in (each for each in self.table.functions if each.called_by is Caller.CHAT):
            env["PUBLIC_URL"] = self.url(chat)
        if function.queue_roles and self.queues:
            env |= self._hand_over()
        if function.called_by is Caller.CHAT:
            env["CHAT_AUDIENCE"] = self.number if self.chat_auth == "project_number" else self.url(function)
        mounted = {secret.setting: secret.mounted_at for secret in self.secrets(function) if secret.mounted_at}
        return {name: value for name, value in {**env, **mounted}.items() if value}

    def _hand_over(self) -> dict[str, str]:
        """Return the settings of a function that hands jobs over: the queues, the worker, and who calls the worker."""
        place = f"projects/{self.project}/locations/{self.region}/queues"
        return {
            "TASK_QUEUES": ",".join(f"{queue.name}={place}/{self.queue(queue)}" for queue in self.table.queues),
            "RUN_JOB_URL": self.url(self.worker),
            "RUN_JOB_CALLER": self.caller(self.worker),
        }

    def secrets(self, function: Function) -> list[Secret]:
        """Return those secrets of a function that are set."""
        return [self.table.secrets[name] for name in function.secrets if self.settings.get(name, "").strip()]

    def secret_version(self, secret: Secret) -> str:
        """Return the version that is used: the one that the setting names, as in secret:3, or the latest."""
        kept = KEPT.fullmatch(self.settings[secret.setting].strip())
        return kept[1] if kept else "latest"

    def secret_references(self, function: Function) -> list[str]:
        """Return the secret references of a function as gcloud writes them: PLACE=NAME:VERSION."""
        return [
            f"{secret.mounted_at or secret.setting}={secret.name}:{self.secret_version(secret)}"
            for secret in self.secrets(function)
        ]

    def secret_value(self, secret: Secret) -> bytes | None:
        """Return what is to be kept in Secret Manager, or None if it is there already. Raises InvalidSettings."""
        text = self.settings[secret.setting].strip()
        if KEPT.fullmatch(text):
            return None
        if not secret.mounted_at:
            return text.encode()
        try:
            return (PROJECT_FOLDER / text).read_bytes()
        except OSError as exc:
            raise InvalidSettings(f"{secret.setting} names a file that cannot be read: {exc.strerror}") from exc

    def secret_values(self) -> dict[str, bytes]:
        """Return what is to be kept in Secret Manager, by name. Raises InvalidSettings."""
        used = {secret.name: secret for function in self.functions for secret in self.secrets(function)}
        values = {name: self.secret_value(secret) for name, secret in used.items()}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def secret_readers(self) -> list[tuple[str, str]]:
        """Return each secret with the account of a function that reads it, those of one secret in a row."""
        return sorted(
            (secret.name, self.email(function.account.id))
            for function in self.functions
            for secret in self.secrets(function)
        )

    def without_unconfigured(self) -> "Deployment":
        """Return the deployment with the functions that DEPLOYMENT_FUNCTIONS names. Raises InvalidSettings.

        Without that setting it is without those of whose required settings none is set: nobody wants these.
        """
        chosen = self.chosen_functions
        wanted = (each for each in self.functions if (each.name in chosen if chosen else self._is_configured(each)))
        return replace(self, functions=list(wanted))

    @property
    def chosen_functions(self) -> Sequence[str]:
        """Return the functions that the settings choose, none where they choose nothing. Raises InvalidSettings."""
        chosen, names = Environment(self.settings).words(CHOSEN), [function.name for function in self.table.functions]
        if unknown := sorted(set(chosen) - set(names)):
            raise InvalidSettings(f"{CHOSEN}: unknown function {unknown[0]}; choose one of {', '.join(names)}")
        return chosen

    def _is_configured(self, function: Function) -> bool:
        return not function.requires or any(self._is_set(names) for names in function.requires)

    def _is_set(self, names: Sequence[str]) -> bool:
        return any(self.settings.get(name, "").strip() for name in names)

    def refuse_unusable(self) -> None:
        """Raise InvalidSettings, which names what the functions need and is not set, or cannot be used."""
        missing = [
            f"{' or '.join(names)} (for {function.name})"
            for function in self.functions
            for names in function.requires
            if not self._is_set(names)
        ]
        if missing:
            raise InvalidSettings(
                f"not set: {'; '.join(missing)}. Set them in the settings file, or name the other functions with --only"
            )
        if malformed := [*self._malformed()]:
            raise InvalidSettings("; ".join(malformed))
        for function in self.functions:
            Settings.from_env({"K_SERVICE": function.name, **self.environment(function)})

    def _malformed(self) -> Iterator[str]:
        """Return what Google would refuse only in the middle of a deployment, or the function itself after it."""
        read = Environment(self.settings)
        read.parsed("CRON_SECRET", "", parse_secret)
        yield from read.problems.values()
        database, location = self.table.firestore.database, self.table.firestore.location
        if not re.fullmatch(_DATABASE, database):
            yield f"FIRESTORE_DATABASE is {database!r}: a database has 4 to 63 small letters, digits and hyphens"
        if not re.fullmatch(r"[a-z0-9-]*", location):
            yield f"FIRESTORE_LOCATION is {location!r}: give nam5, eur3, or a region such as europe-west1"
        for function in self.functions:
            for names in function.requires:
                if len(given := [name for name in names if self._is_set([name])]) > 1:
                    yield f"{' and '.join(given)} are set (for {function.name}), and one of them is allowed: keep one"
            if function.topic and not re.fullmatch(_TOPIC, function.topic):
                yield f"the topic of {function.name} is {function.topic!r}: give projects/PROJECT/topics/TOPIC"
            if function.acts_as and not re.fullmatch(_ADDRESS, function.acts_as):
                yield f"{function.name} is to act as {function.acts_as!r}: give the address of a service account"


def address(project: str, region: str, service: str) -> str:
    """Return the address of a function by the name under which it is deployed."""
    return f"https://{region}-{project}.cloudfunctions.net/{service}"


def description(service: str) -> str:
    """Return the description of a Scheduler job of ours: it says which function the job was made for."""
    return f"Calls the function {service}"


def read_deployment(*, project: str, region: str, number: str, only: Sequence[str], file: Path | None) -> Deployment:
    """Read table and settings. Raises InvalidSettings."""
    for name, value, kind in (("project", project, "project id"), ("region", region, "region")):
        if not re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", value):
            raise InvalidSettings(f"--{name} is {value!r}, which is not a valid {kind}")
    settings = read_settings(file) if file else {}
    table = read_table(settings)
    names = [function.name for function in table.functions]
    if unknown := sorted(set(only) - set(names)):
        raise InvalidSettings(f"unknown function {unknown[0]}; choose one of {', '.join(names)}")
    functions = [function for function in table.functions if not only or function.name in only]
    return Deployment(
        table=table, settings=settings, project=project, region=region, number=number, functions=tuple(functions)
    )
