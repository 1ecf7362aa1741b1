"""The build on merge, as Cloud Build runs it: the scripts of cloudbuild.yaml, with the real gcloud.

Only what `check` calls is not what it is: `apt-get` does nothing, and `.ci/run` would run the tests.
"""

import base64
import os
import shutil
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from copy import deepcopy
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from shared.settings import PROJECT_FOLDER
from tests.support.deploying import PATIENCE, REGION, SETTINGS
from tests.support.gcloud import PROJECT, GoogleCloud

BUILD: dict[str, Any] = yaml.safe_load((PROJECT_FOLDER / "cloudbuild.yaml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILD["steps"]}
SECRET = f"projects/{PROJECT}/secrets/{BUILD['substitutions']['_SETTINGS']}/versions/latest"
IN_ORDER = '#!/bin/sh\ntest "$CI" = true\n'


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
        hidden = shutil.ignore_patterns(".[!c]*", "*service-account*.json")
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
            env.update({"PROJECT_ID": PROJECT, **BUILD["substitutions"], "_REGION": REGION})
        return {**env, **dict(each.split("=", 1) for each in step.get("env", ()))}

    def _write_program(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)


def keep_settings(cloud: GoogleCloud) -> None:
    """Keep the settings of this environment as a secret, which the build reads."""
    payload = {"data": base64.b64encode(SETTINGS.encode()).decode()}
    cloud.resources[SECRET] = {"name": SECRET, "payload": payload}


@dataclass(frozen=True, kw_only=True)
class FirstDeployment:
    """A cloud to which everything was deployed once: by a person what a person sets up, by the build what it builds."""

    cloud: GoogleCloud
    set_up: str  # what the script said
    steps: dict[str, Ended]  # of the build

    @property
    def said(self) -> str:
        """Return all that was said."""
        return self.set_up + "".join(step.said for step in self.steps.values())

    def copy_to(self, cloud: GoogleCloud) -> None:
        """Make another cloud as this one is, with calls of its own."""
        cloud.resources = deepcopy(self.cloud.resources)
        cloud.policies = deepcopy(self.cloud.policies)
