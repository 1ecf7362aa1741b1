"""The build on merge, as Cloud Build runs it: the scripts of cloudbuild.yaml, with the real gcloud.

Only what `check` calls is not what it is: `apt-get` does nothing, and `.ci/run` would run this test.
"""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from copy import deepcopy
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import PROJECT_FOLDER
from tests.deploying import FUNCTIONS, PATIENCE, SERVICES, SETTINGS, needs, url
from tests.gcloud import PROJECT, GoogleCloud

BUILD: dict[str, Any] = yaml.safe_load((PROJECT_FOLDER / "cloudbuild.yaml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILD["steps"]}
REGION = BUILD["substitutions"]["_REGION"]
PLACE = f"projects/{PROJECT}/locations/{REGION}"
SECRET = f"projects/{PROJECT}/secrets/{BUILD['substitutions']['_SETTINGS']}/versions/latest"
DEPLOYMENTS = {f"deploy-{name}" for name in FUNCTIONS}
JOBS = {function.scheduler_job.name: name for name, function in FUNCTIONS.items() if function.scheduler_job}
IN_ORDER = '#!/bin/sh\ntest "$CI" = true\n'
OUT_OF_ORDER = '#!/bin/sh\necho "a test failed"\nexit 3\n'


@dataclass(frozen=True)
class Ended:
    """The end of a step."""

    code: int
    said: str


def _pass(name: str) -> Ended:
    return Ended(0, "")


class Build:
    """One build, in a workspace with the files of the checkout. What `check` runs can be replaced in it."""

    def __init__(self, cloud: GoogleCloud, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.workspace = folder / "workspace"
        hidden = shutil.ignore_patterns(".[!c]*", "__pycache__", "*service-account*.json")
        shutil.copytree(PROJECT_FOLDER, self.workspace, ignore=hidden)
        (self.workspace / ".venv").symlink_to(sys.prefix)  # what .ci/run would make
        (self.workspace / ".ci" / "run").write_text(IN_ORDER)
        self._write_program("apt-get", "#!/bin/sh\n")
        # All before the first step runs: a file that is still open for writing cannot be executed.
        for name, step in STEPS.items():
            self._write_program(name, step["script"])

    def run(self, *passed: str) -> dict[str, Ended]:
        """Run the steps, each once those that it waits for have ended well; `passed` count as such, and are not run.

        After a failure no step begins.
        """
        order = TopologicalSorter({name: set(step["waitFor"]) - {"-"} for name, step in STEPS.items()})
        order.prepare()
        ended = {name: Ended(0, "") for name in passed}
        running: dict[Future[Ended], str] = {}
        with ThreadPoolExecutor(len(STEPS)) as pool:
            while order.is_active() and not any(step.code for step in ended.values()):
                for name in order.get_ready():
                    running[pool.submit(_pass if name in passed else self.step, name)] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    ended[name] = future.result()
                    order.done(name)
            ended.update({name: future.result() for future, name in running.items()})
        return {name: step for name, step in ended.items() if name not in passed}

    def step(self, name: str) -> Ended:
        """Run the script of a step."""
        run = subprocess.run(
            [str(self.folder / "bin" / name)],
            cwd=self.workspace,
            env=self._env(STEPS[name]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        return Ended(run.returncode, run.stdout)

    def _env(self, step: dict[str, Any]) -> dict[str, str]:
        env = self.cloud.env(self.folder)
        env["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{env['PATH']}"
        if BUILD["options"]["automapSubstitutions"]:
            env.update({"PROJECT_ID": PROJECT, **BUILD["substitutions"]})
        return {**env, **dict(each.split("=", 1) for each in step.get("env", ()))}

    def _write_program(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    """A cloud in which there are only the settings of this environment."""
    with new_cloud() as cloud:
        yield cloud


def new_cloud() -> GoogleCloud:
    """Make a cloud, with the secret that the build reads."""
    needs("gcloud")
    cloud = GoogleCloud()
    payload = {"data": base64.b64encode(SETTINGS.encode()).decode()}
    cloud.resources[SECRET] = {"name": SECRET, "payload": payload}
    return cloud


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleCloud]:
    """A cloud after the first build, all of whose steps ended well."""
    with new_cloud() as cloud:
        ended = Build(cloud, tmp_path_factory.mktemp("built")).run()
        assert {name: step for name, step in ended.items() if step.code} == {}
        assert ended.keys() == STEPS.keys()
        yield cloud


def test_a_build_deploys_every_function(built: GoogleCloud) -> None:
    """With the settings that are kept as a secret."""
    deployed = {name: built.resources[f"{PLACE}/functions/{service}"] for name, service in SERVICES.items()}

    assert {function["state"] for function in deployed.values()} == {"ACTIVE"}
    assert deployed["tick"]["serviceConfig"]["environmentVariables"]["SCHEDULER_CONCURRENCY"] == "8"
    assert built.unknown == []


def test_a_build_makes_the_scheduler_jobs_afterwards(built: GoogleCloud) -> None:
    """Each calls its function with that one's address as the audience, and comes after the last function."""
    audiences = {job: built.resources[f"{PLACE}/jobs/{job}"]["httpTarget"]["oidcToken"]["audience"] for job in JOBS}
    made = [change.partition("?")[0] for change in built.changes]

    assert audiences == {job: url(name, REGION) for job, name in JOBS.items()}
    assert made.count(f"POST {PLACE}/jobs") == len(JOBS) == 3
    last_function = max(number for number, change in enumerate(made) if change == f"POST {PLACE}/functions")
    assert last_function < made.index(f"POST {PLACE}/jobs")


def test_a_build_ends_with_one_run_of_every_job(built: GoogleCloud) -> None:
    """As Cloud Scheduler calls it."""
    assert sorted(built.changes[-3:]) == sorted(f"POST {PLACE}/jobs/{job}:run" for job in JOBS)
    assert [change for change in built.changes if change.endswith(":run")] == built.changes[-3:]


def test_a_failed_check_deploys_nothing(cloud: GoogleCloud, tmp_path: Path) -> None:
    """What `.ci/run` said is in the log, and its exit code is that of the step."""
    build = Build(cloud, tmp_path)
    (build.workspace / ".ci" / "run").write_text(OUT_OF_ORDER)

    ended = build.run()

    assert ended["check"] == Ended(3, "a test failed\n")
    assert not ended.keys() - {"check", "settings"}
    assert cloud.changes == []


def test_without_its_settings_a_build_deploys_nothing(cloud: GoogleCloud, tmp_path: Path) -> None:
    """The step says which secret is missing."""
    del cloud.resources[SECRET]

    ended = Build(cloud, tmp_path).run()

    assert ended["settings"].code == 1
    assert SECRET in ended["settings"].said
    assert not ended.keys() - {"check", "settings"}
    assert cloud.changes == []


def test_a_failed_deployment_keeps_the_schedules_as_they_are(cloud: GoogleCloud, tmp_path: Path) -> None:
    """No job is made or changed for a function that is not the new one."""
    cloud.failing_builds.add(SERVICES["tick"])

    ended = Build(cloud, tmp_path).run(*DEPLOYMENTS - {"deploy-tick"})

    assert ended.keys() == {"check", "settings", "deploy-tick"}
    assert ended["deploy-tick"].code == 1
    assert "Build failed with status: FAILURE" in ended["deploy-tick"].said
    assert not [call for call in cloud.calls if "/jobs" in call.name]


def test_a_job_that_is_refused_fails_the_build_with_the_remedy(
    built: GoogleCloud, cloud: GoogleCloud, tmp_path: Path
) -> None:
    """A 401 whose log says that the signature was removed: what to set is the last word of the build."""
    cloud.resources.update(deepcopy(built.resources))
    cloud.attempt = 16  # as Cloud Scheduler records a 401
    cloud.log = [{"jsonPayload": {"reason": "signature removed by the platform"}}]

    ended = Build(cloud, tmp_path).run(*DEPLOYMENTS, "schedules")

    assert ended["smoke"].code == 1
    assert "error: watchkeeper-tick was refused" in ended["smoke"].said
    assert "AUTH_MODE=platform" in ended["smoke"].said
    (search,) = (call.body["filter"] for call in cloud.calls if call.name == "entries:list")
    assert 'resource.labels.service_name="watchkeeper-tick"' in search
