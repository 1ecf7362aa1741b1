"""What every command works with: settings, store, jobs and handlers, each opened on first use."""

import getpass
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from shared.handlers import Handlers, load_handlers
from shared.jobs import Jobs
from shared.settings import Settings, complete_environment
from shared.store.opening import open_store
from shared.store.protocol import Store

EMULATOR = "FIRESTORE_EMULATOR_HOST"
ADD_HANDLER = "add one in agent/handlers.py, or name its module in JOB_HANDLERS"


@dataclass(frozen=True, kw_only=True)
class Session:
    """One call of the command: its environment, its clock, and the name of its caller."""

    env: Mapping[str, str]
    clock: Callable[[], datetime]
    user: str
    settings_file: Path | None = None  # that completed the environment

    @property
    def by(self) -> str:
        """Return the caller's name, as jobs record it."""
        return f"cli:{self.user}"

    @cached_property
    def settings(self) -> Settings:
        """The settings. Raises InvalidSettings."""
        return Settings.from_env(self.env)

    @cached_property
    def handlers(self) -> Handlers:
        """The handlers that are registered here. Raises InvalidSettings."""
        return load_handlers(self.settings.handler_modules)

    @cached_property
    def store(self) -> Store:
        """The configured store. Raises InvalidSettings or StoreUnavailable."""
        return open_store(self.settings, self.clock)

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs, without handlers: a job can be shown and stopped even if its handler cannot be imported."""
        return self._jobs({})

    @cached_property
    def checked_jobs(self) -> Jobs:
        """The jobs, for making and editing: a payload is checked by its handler."""
        return self._jobs(self.handlers)

    def _jobs(self, handlers: Handlers) -> Jobs:
        return Jobs(
            self.store,
            clock=self.clock,
            handlers=handlers,
            retention=self.settings.retention,
            timezone=self.settings.timezone,
            queues=self.settings.queues,
        )


def open_session() -> Session:
    """Open a session on the environment, completed by the settings file. Raises InvalidSettings."""
    file = complete_environment()
    return Session(env=os.environ, clock=partial(datetime.now, UTC), user=_user_name(), settings_file=file)


def is_billed(settings: Settings, env: Mapping[str, str]) -> bool:
    """Return whether the jobs are in the real Firestore, which bills each read and may have a deployment at work."""
    return settings.storage == "firestore" and not env.get(EMULATOR)


def place_of_jobs(settings: Settings, env: Mapping[str, str]) -> str:
    """Return where the jobs are stored, in words."""
    if settings.storage == "json":
        return f"in the file {from_here(settings.json_path)}"
    where = f"database {settings.database}, collection {settings.collection}"
    if emulator := env.get(EMULATOR):
        return f"in the Firestore emulator at {emulator}, {where}"
    return f"in the REAL Firestore: project {settings.project or 'of your credentials'}, {where}"


def from_here(path: Path) -> Path:
    """Return a path relative to the current folder, if it is in it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # a container may run under a user id that has no name
