"""A function in its own folder, and a trial import there."""

import os
import shutil
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NoReturn
from uuid import uuid4

import pytest
from click.testing import CliRunner

from shared.settings import PROJECT_FOLDER
from watchkeeper.deploy.functions_table import Function, read_functions
from watchkeeper.deploy.staging import StagedCode, StagingFailed, main, stage, try_import, with_sources

FUNCTIONS = {function.name: function for function in read_functions({})}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is deployed of this project, to be changed at will."""
    for name in ("functions", "shared", "agent"):
        shutil.copytree(
            PROJECT_FOLDER / name, tmp_path / "project" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path / "project"


@pytest.fixture
def tick() -> Function:
    """The function that runs jobs."""
    return FUNCTIONS["tick"]


def files(folder: Path) -> set[str]:
    """Name every file in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_can_be_imported_from_its_staged_folder(tmp_path: Path, name: str) -> None:
    """Its folder has everything it needs, and the trial leaves no files there."""
    stage(FUNCTIONS[name], tmp_path / "staged")
    before = files(tmp_path / "staged")

    try_import(FUNCTIONS[name], tmp_path / "staged", {"CHAT_AGENT": "agent.chat:answer"})

    assert files(tmp_path / "staged") == before


def test_staged_files_are_readable_whatever_the_umask(project: Path, tmp_path: Path, tick: Function) -> None:
    """A checkout that only its owner may read must not make the function unreadable."""
    for path in project.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)

    before = os.umask(0o077)
    try:
        stage(tick, tmp_path / "staged", project)
    finally:
        os.umask(before)

    staged = list((tmp_path / "staged").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in staged if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in staged if not path.is_dir()} == {0o644}


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        pytest.param("tick", {"shared", "agent"}, id="with-agent"),
        pytest.param("gmail_watch", {"shared"}, id="without-agent"),
    ],
)
def test_a_staged_folder_holds_what_is_needed_and_nothing_else(
    project: Path, tmp_path: Path, name: str, folders: set[str]
) -> None:
    """Siblings, packages and locked requirements are included; tests, caches, settings, keys and links are not."""
    source = project / "functions" / name
    for unwanted in (".env", ".env.production", "test_main.py", "tests/test_it.py", "__pycache__/main.pyc"):
        (source / unwanted).parent.mkdir(exist_ok=True)
        (source / unwanted).write_text("unwanted")
    (project / "shared" / "my-service-account.json").write_text("unwanted")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "prompts.txt").write_text("linked")
    (source / "data").symlink_to(tmp_path / "elsewhere")

    stage(FUNCTIONS[name], tmp_path / "staged", project)

    staged = files(tmp_path / "staged")
    own = {path.name for path in (PROJECT_FOLDER / "functions" / name).glob("*.py")}
    assert {path for path in staged if "/" not in path} == own | {"requirements.txt", ".gcloudignore"}
    assert {path.partition("/")[0] for path in staged if "/" in path} == folders | {"data"}
    assert "unwanted" not in {path.read_text() for path in (tmp_path / "staged").rglob("*") if path.is_file()}
    assert (tmp_path / "staged" / ".gcloudignore").read_text() == ".gcloudignore\n"
    assert (tmp_path / "staged" / "data" / "prompts.txt").read_text() == "linked"
    assert not [path for path in (tmp_path / "staged").rglob("*") if path.is_symlink()]


@pytest.mark.slow
def test_a_file_that_is_missing_is_not_found_in_the_checkout(tick: Function, tmp_path: Path) -> None:
    """The trial uses only the folder, although this environment has the checkout on its path."""
    stage(tick, tmp_path / "staged")
    (tmp_path / "staged" / "shared" / "store" / "opening.py").unlink()

    with pytest.raises(StagingFailed, match=r"the tick .*No module named 'shared.store.opening'.*main.py, line"):
        try_import(tick, tmp_path / "staged", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "says"),
    [
        pytest.param({"JOB_HANDLERS": "my_jobs"}, "JOB_HANDLERS: my_jobs cannot be imported", id="handlers"),
        pytest.param({"CHAT_AGENT": "agent.chat:reply"}, "CHAT_AGENT.*agent.chat has no reply", id="agent"),
        pytest.param({"SCHEDULER_STORAGE": "json"}, "SCHEDULER_STORAGE is 'json' in the cloud", id="json-in-the-cloud"),
        pytest.param({"AUTH_MODE": "off"}, "AUTH_MODE is 'off' in the cloud", id="nobody-checked"),
        pytest.param({"SCHEDULER_TICK_BUDGET_SECONDS": "100"}, "SCHEDULER_TICK_BUDGET_SECONDS", id="too-long"),
    ],
)
def test_settings_that_would_fail_in_the_cloud_fail_here(
    tick: Function, tmp_path: Path, env: dict[str, str], says: str
) -> None:
    """The configured handlers and agent are imported, with the settings that the function will get."""
    stage(tick, tmp_path / "staged")

    with pytest.raises(StagingFailed, match=f"the tick function cannot be imported.*{says}"):
        try_import(tick, tmp_path / "staged", env)


@pytest.mark.slow
def test_a_mistake_in_a_users_handlers_is_named(tick: Function, project: Path, tmp_path: Path) -> None:
    """The error has the import's own error and the function's name."""
    (project / "agent" / "handlers.py").write_text("import no_such_package\n")
    stage(tick, tmp_path / "staged", project)

    with pytest.raises(StagingFailed, match=r"the tick function .*agent.handlers cannot be imported.*no_such_package"):
        try_import(tick, tmp_path / "staged", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "line"),
    [
        pytest.param("agent/handlers.py", 2, id="handlers"),
        pytest.param("functions/tick/main.py", 2, id="main"),
    ],
)
def test_a_mistake_in_the_syntax_is_located(
    tick: Function, project: Path, tmp_path: Path, file: str, line: int
) -> None:
    """The file and the line of the mistake are named, not those that import it."""
    (project / file).write_text("fine = 1\ndef oops(:\n")
    stage(tick, tmp_path / "staged", project)

    place = file.removeprefix("functions/tick/")
    with pytest.raises(StagingFailed, match=rf"SyntaxError.*\({place}, line {line}\)$"):
        try_import(tick, tmp_path / "staged", {})


@pytest.mark.parametrize(
    ("staged", "source"),
    [
        pytest.param("main.py", "functions/tick/main.py", id="own"),
        pytest.param("shared/running/tick.py", "shared/running/tick.py", id="shared"),
        pytest.param("agent/handlers.py", "agent/handlers.py", id="agent"),
    ],
)
def test_a_staged_path_leads_to_its_source(tick: Function, tmp_path: Path, staged: str, source: str) -> None:
    """Messages name the file to edit."""
    text = with_sources(f'File "{tmp_path}/{staged}", line 3', tick, tmp_path, Path("/project"))

    assert text == f'File "/project/{source}", line 3'


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda project: None, "", id="nothing"),
        pytest.param(
            lambda project: (project / "agent/chat.py").write_text("answer = None"),
            "agent/chat.py changed",
            id="edited",
        ),
        pytest.param(lambda project: (project / "shared/new.py").touch(), "shared/new.py changed", id="added"),
        pytest.param(
            lambda project: (project / "functions/tick/main.py").unlink(),
            "functions/tick/main.py changed",
            id="deleted",
        ),
        pytest.param(
            lambda project: [(project / "agent" / name).write_text("") for name in ("chat.py", "handlers.py")],
            "agent/chat.py and 1 more changed",
            id="several",
        ),
        pytest.param(lambda project: (project / "functions/gmail_watch/new.py").touch(), "", id="another-function"),
        pytest.param(lambda project: (project / "agent/.chat.py.swp").touch(), "", id="not-staged"),
    ],
)
def test_changes_since_staging_are_named(
    tick: Function, project: Path, tmp_path: Path, change: Callable[[Path], object], says: str
) -> None:
    """Only what is part of the function counts."""
    code = StagedCode(tick, tmp_path / "staged", project)

    change(project)

    assert code.changes() == says


def test_code_is_staged_again_in_a_folder_of_its_own(tick: Function, project: Path, tmp_path: Path) -> None:
    """The code that runs in the former folder does not change."""
    code = StagedCode(tick, tmp_path / "staged", project)
    former = code.folder
    (project / "agent" / "chat.py").write_text("answer = None")

    code.stage()

    assert code.changes() == ""
    assert (code.folder / "agent" / "chat.py").read_text() == "answer = None"
    assert (former / "agent" / "chat.py").read_text() != "answer = None"


def test_compiled_code_is_reused_by_the_next_copy(
    tick: Function, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it has changed."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    class OnlyCompiled(SourceFileLoader):
        def source_to_code(self, *_: object, **__: object) -> NoReturn:  # type: ignore[override]
            raise AssertionError(f"{self.path} is compiled")

    def loaded(kind: type[SourceFileLoader], path: str) -> CodeType | None:
        return kind("it", str(StagedCode(tick, tmp_path / uuid4().hex, project).folder / path)).get_code("it")

    for path in ("main.py", "shared/model/job.py"):
        loaded(SourceFileLoader, path)

        assert loaded(OnlyCompiled, path) is not None
    (project / "shared" / "model" / "job.py").write_text("changed = 1")
    with pytest.raises(AssertionError, match=r"job\.py is compiled"):
        loaded(OnlyCompiled, "shared/model/job.py")


@pytest.mark.slow
def test_the_environment_of_the_shell_has_no_effect(
    tick: Function, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function will not have the variables of the deploying shell."""
    monkeypatch.setenv("JOB_HANDLERS", "my_jobs")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_FOLDER))
    stage(tick, tmp_path / "staged")

    try_import(tick, tmp_path / "staged", {})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(
            lambda project: (project / "functions/tick/requirements.txt").unlink(), "txt is missing", id="lock"
        ),
        pytest.param(lambda project: shutil.rmtree(project / "agent"), "No such file", id="agent"),
    ],
)
def test_what_is_missing_is_named(tick: Function, project: Path, tmp_path: Path, change: object, says: str) -> None:
    """An incomplete checkout is found before anything is uploaded."""
    assert callable(change)
    change(project)

    with pytest.raises(StagingFailed, match=f"the tick function cannot be staged.*{says}"):
        stage(tick, tmp_path / "staged", project)


def test_a_folder_that_is_not_empty_is_left_alone(tick: Function, tmp_path: Path) -> None:
    """Other files there would be uploaded, too."""
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(StagingFailed, match="is not empty"):
        stage(tick, tmp_path)

    assert files(tmp_path) == {"notes.txt"}


@pytest.mark.slow
def test_the_command_stages_and_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads .env and ends with an error that names the function."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    fine = runner.invoke(main, ["tick", "first"])
    (tmp_path / ".env").write_text("JOB_HANDLERS=my_jobs\n")
    broken = runner.invoke(main, ["tick", "second"])
    unknown = runner.invoke(main, ["tock", "third"])

    assert (fine.exit_code, fine.output) == (0, "")
    assert (tmp_path / "first" / "main.py").exists()
    assert (broken.exit_code, unknown.exit_code) == (1, 1)
    assert broken.output.startswith("Error: the tick function cannot be imported")
    assert "unknown function tock; choose one of tick, run_job, gmail_watch" in unknown.output
