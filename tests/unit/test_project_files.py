"""The files around the code agree with the project and with each other."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from shared.settings import PROJECT_FOLDER
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.deploy.staging import stage

PROJECT = tomllib.loads((PROJECT_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECISIONS = sorted((PROJECT_FOLDER / "docs" / "decisions").glob("*.md"))
PAGES = [*(PROJECT_FOLDER / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")), *DECISIONS]


def read(name: str) -> str:
    """Return the text of a file of the project."""
    return (PROJECT_FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_a_status_and_rejected_options(decision: Path) -> None:
    """Its status is below its title, it names the rejected options, and it fits on a page."""
    title, _, status, *rest = decision.read_text(encoding="utf-8").splitlines()

    assert title.startswith("# ")
    assert re.fullmatch(r"Status: (proposed|accepted|superseded by \S+\.md)", status)
    assert "Rejected:" in rest
    assert len(rest) < 60


def test_the_version_is_the_newest_of_the_changelog() -> None:
    """Releases are dated, newest first, below the unreleased changes."""
    headings = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)

    assert headings[0] == "Not released yet"
    assert re.fullmatch(rf"{re.escape(PROJECT['version'])} \(\d{{4}}-\d\d-\d\d\)", headings[1])


def test_the_licence_is_the_one_that_is_declared() -> None:
    """The text is in the project, and the metadata has its SPDX name."""
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0, January 2004" in read("LICENSE")


def test_ci_runs_on_every_python_that_is_supported() -> None:
    """The matrix is the range of pyproject.toml, and all that runs is .ci/run."""
    job = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["all"]
    lowest, above = (int(minor) for minor in re.findall(r"3\.(\d+)", PROJECT["requires-python"]))

    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(lowest, above)]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_ci_keeps_the_figures_of_the_default_branch() -> None:
    """The table and the JSON of `make bench` are an artefact, also of a run that misses a budget."""
    job = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["bench"]
    (run,) = [step["run"] for step in job["steps"] if "run" in step]
    (upload,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact@")]

    assert "default_branch" in job["if"]
    assert all(file in run for file in upload["with"]["path"].split())
    assert upload["if"] == "${{ !cancelled() }}"


def test_hooks_call_the_tools_of_make_setup() -> None:
    """Nothing is downloaded before a commit, and the versions are those of CI."""
    (repo,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]

    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    assert {hook["entry"].partition(" ")[0] for hook in repo["hooks"]} == {".venv/bin/ruff", ".venv/bin/shellcheck"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_the_makefile_exist(page: Path) -> None:
    """Every `make` command in the documentation has its target."""
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))

    assert set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    """No link within the project is dead."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_types_of_shared_reach_a_function(tmp_path: Path) -> None:
    """A deployed function's own code is checked against them: `py.typed` is staged too."""
    stage(read_functions({})[0], tmp_path)

    assert (tmp_path / "shared" / "py.typed").is_file()


def test_the_clean_up_of_images_keeps_what_a_rollback_needs() -> None:
    """A policy that keeps has priority over one that deletes; Artifact Registry accepts both."""
    policies = json.loads(read("image-cleanup.json"))

    assert {policy["action"]["type"]: policy for policy in policies} == {
        "Keep": {"name": "keep-recent", "action": {"type": "Keep"}, "mostRecentVersions": {"keepCount": 10}},
        "Delete": {
            "name": "delete-old",
            "action": {"type": "Delete"},
            "condition": {"tagState": "any", "olderThan": "30d"},
        },
    }
    assert "--policy=image-cleanup.json --no-dry-run" in read("docs/OPERATIONS.md")


def test_a_copy_of_the_jobs_names_its_database() -> None:
    """Without a name gcloud takes the default one, which may be another system's."""
    guide = " ".join(read("docs/ROLLOUT_GUIDE.md").replace("\\\n", " ").split())
    copies = re.findall(r"gcloud firestore (?:export|import) .*?--project", guide)

    assert len(copies) == 2
    assert all('--database="$FIRESTORE_DATABASE"' in copy for copy in copies)
