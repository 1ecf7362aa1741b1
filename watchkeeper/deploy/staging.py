"""Staging: a function in a folder of its own, as it is uploaded, and a trial of that folder.

    python -m watchkeeper.deploy.staging NAME FOLDER

puts everything that the function needs into the folder, and imports it from there, with the settings of .env. Only a
function's own folder is uploaded, and a link in it to a folder would be left out without a word; so all is copied.
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from tempfile import TemporaryFile

import click

from shared.errors import WatchkeeperError
from shared.settings import PROJECT_FOLDER, read_settings
from watchkeeper.deploy.functions_table import Function, read_functions
from watchkeeper.guard import guarded

IMPORT_SECONDS = 120
# Where the packages of this environment are.
INSTALLED = tuple(dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")))
# Nothing that is not needed, and nothing that a person keeps for the own machine. `.*` is .env, too.
_LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.pyc", "tests", "test_*.py", "conftest.py", "requirements.in", "*service-account*.json"
)
# Python in isolated mode, without its site module, sees no package and no .pth file, by which an editable install
# would put the checkout on the path, where a file that is missing from the folder would be found after all. The
# framework adds the folder to the end of the path, as it does where the function is deployed.
_TRIAL = """
import os, sys, traceback
folder, entry_point, with_agent, *packages = sys.argv[1:]
sys.path.extend(packages)
try:
    import functions_framework
    functions_framework.create_app(target=entry_point, source=os.path.join(folder, "main.py"))
    from shared.settings import Settings
    settings = Settings.from_env(os.environ)
    if with_agent:
        from shared.handlers.agent import load_agent
        from shared.handlers import load_handlers
        from shared.running.tick import check_limits
        handlers = load_handlers(settings.handler_modules)
        if entry_point == "tick":
            check_limits(settings, handlers)
        load_agent(os.environ.get("CHAT_AGENT", "").strip())
except BaseException as exc:
    cause = exc
    while cause.__cause__:
        cause = cause.__cause__
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(cause.__traceback__)]
    if isinstance(cause, SyntaxError):
        places.append((cause.filename or "", cause.lineno))
    own = [(file, line) for file, line in places if file.startswith(folder)]
    place = f" ({os.path.relpath(own[-1][0], folder)}, line {own[-1][1]})" if own else ""
    sys.stderr.write(f"\\n{type(exc).__name__}: {exc}{place}\\n")
    sys.exit(1)
"""


class StagingFailed(WatchkeeperError):
    """A function cannot be staged, or cannot be imported from where it is staged; the message says why."""


def stage(function: Function, folder: Path, project: Path = PROJECT_FOLDER) -> None:
    """Copy all that is uploaded of the function into `folder`, which must be new or empty. Raises StagingFailed."""
    source, *packages = _sources(function, project)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StagingFailed(f"{folder} is not empty: name another folder for the {function.name} function")
        shutil.copytree(source, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
        for package in packages:
            shutil.copytree(package, folder / package.name, ignore=_LEFT_OUT)
        # Without this file gcloud would make one, from a .gitignore or of its own.
        (folder / ".gcloudignore").write_text(".gcloudignore\n", encoding="utf-8")
        # What is uploaded has the rights that it has here, and where it runs another user must be able to read it.
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
    except (OSError, shutil.Error) as exc:
        raise StagingFailed(f"the {function.name} function cannot be staged: {exc}") from exc
    for needed in ("main.py", "requirements.txt"):
        if not (folder / needed).is_file():
            raise StagingFailed(f"the {function.name} function cannot be staged: {source / needed} is missing")


class StagedCode:
    """The code of a function, staged into `folder`, which is a new one under `root` each time."""

    def __init__(self, function: Function, root: Path, project: Path = PROJECT_FOLDER) -> None:
        self.function = function
        self._project = project
        self._folders = (root / f"{function.name}-{number}" for number in count(1))
        self.stage()

    def stage(self) -> None:
        """Stage what there is now. Raises StagingFailed."""
        # Before the copy, so that what changes meanwhile counts as a change.
        self._seen = _fingerprints(self.function, self._project)
        self.folder = next(self._folders)
        stage(self.function, self.folder, self._project)
        self._share_compiled()

    def _share_compiled(self) -> None:
        """Let the copy use and leave what Python compiles beside the sources, which takes half of a function's start.

        A copy has the time and size of its source, by which Python recognises what belongs to it.
        """
        for folder, _, _ in os.walk(self.folder):
            compiled = Path(with_sources(f"{folder}/", self.function, self.folder, self._project), "__pycache__")
            with suppress(OSError):  # a project that may only be read is compiled each time
                compiled.mkdir(exist_ok=True)
                Path(folder, "__pycache__").symlink_to(compiled)

    def changes(self) -> str:
        """Return in words what has changed since it was staged; "" where nothing has."""
        now = _fingerprints(self.function, self._project)
        names = sorted(name for name in {*now, *self._seen} if now.get(name) != self._seen.get(name))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{names[0]}{more} changed" if names else ""


def with_sources(text: str, function: Function, folder: Path, project: Path = PROJECT_FOLDER) -> str:
    """Replace each path of a staged file in the text by that of the file it was copied from."""
    source, *packages = _sources(function, project)
    for package in packages:
        text = text.replace(f"{folder / package.name}/", f"{package}/")
    return text.replace(f"{folder}/", f"{source}/")


def _fingerprints(function: Function, project: Path) -> dict[str, tuple[int, int]]:
    """Return when each file that `stage` copies was written, and its size; names are relative to the project.

    A local run calls this several times a second, so it makes no Path.
    """
    found = {}
    folders = [str(source) for source in _sources(function, project)]
    for folder in folders:  # grows meanwhile
        with suppress(OSError), os.scandir(folder) as scan:  # what has just been deleted is left out
            entries = {entry.name: entry for entry in scan}
            for entry in (entries[name] for name in entries.keys() - _LEFT_OUT(folder, list(entries))):
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    stat = entry.stat()
                    found[entry.path.removeprefix(f"{project}{os.sep}")] = (stat.st_mtime_ns, stat.st_size)
    return found


def _sources(function: Function, project: Path) -> list[Path]:
    packages = ("shared", "agent") if function.with_agent else ("shared",)
    return [project / "functions" / function.name, *(project / package for package in packages)]


def try_import(function: Function, folder: Path, env: Mapping[str, str]) -> None:
    """Import the staged function, its handlers and its agent from its folder alone, with these settings and no others.

    The packages are those of this environment. Raises StagingFailed, which says what the import said.
    """
    deployed = {"K_SERVICE": function.name, "CALL_TIMEOUT_SECONDS": f"{function.timeout.total_seconds():.0f}"}
    try_import_from(INSTALLED, function, folder.resolve(), {"PATH": os.defpath, **env, **deployed})


def try_import_from(path: Sequence[str], function: Function, folder: Path, env: Mapping[str, str]) -> None:
    """Do as `try_import`, with this very path and environment. Raises StagingFailed."""
    with_agent = "with agent" if function.with_agent else ""
    command = [sys.executable, "-I", "-S", "-B", "-c", _TRIAL, str(folder), function.entry_point, with_agent, *path]
    with (
        TemporaryFile() as output,
        Popen(
            guarded(command), cwd=folder, env=env, stdin=PIPE, stdout=DEVNULL, stderr=output, start_new_session=True
        ) as trial,
    ):
        try:
            code = trial.wait(IMPORT_SECONDS)
        except TimeoutExpired as exc:
            raise StagingFailed(f"the {function.name} function was not imported within {IMPORT_SECONDS} s") from exc
        output.seek(0)
        said = output.read().decode(errors="replace").strip().rpartition("\n")[2] or f"exit code {code}"
    if code:
        raise StagingFailed(f"the {function.name} function cannot be imported as it would be uploaded: {said}")


@click.command()
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--settings", "file", type=click.Path(path_type=Path), help="The settings file; .env if there is one.")
def main(name: str, folder: Path, file: Path | None) -> None:
    """Stage the function NAME into FOLDER, and import it from there."""
    try:
        default = Path(".env")
        settings = read_settings(file or default) if file or default.exists() else {}
        functions = {function.name: function for function in read_functions(settings)}
        if name not in functions:
            raise StagingFailed(f"unknown function {name}; choose one of {', '.join(functions)}")
        stage(functions[name], folder)
        try_import(functions[name], folder, functions[name].passed_on(settings))
    except WatchkeeperError as exc:
        raise click.ClickException(str(exc)) from exc


if __name__ == "__main__":
    main()
