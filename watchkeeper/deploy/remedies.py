"""The commands that bring a deployment to where it should be, as a person can paste them into a shell."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.deploy.deployment import Deployment


def remedy(*words: str) -> str:
    """Return a command that can be pasted into a shell."""
    return f"run `{shlex.join(words)}`"


@dataclass(frozen=True, kw_only=True)
class Remedies:
    """Remedies for one deployment. `file` and `only` are those of the command line, and go into each command."""

    deployment: Deployment
    file: Path | None = None
    only: Sequence[str] = ()

    def deploy(self, verb: str, *functions: str, option: str = "") -> str:
        """Return a remedy: a run of deploy_functions.sh for these functions, or for all that are examined."""
        names = functions or self.only
        return remedy(
            *("./deploy_functions.sh", verb, "--project", self.deployment.project, "--region", self.deployment.region),
            *(("--settings", str(self.file)) if self.file else ()),
            *(("--only", *names) if names else ()),
            *((option,) if option else ()),
        )

    def jobs(self, *words: str) -> str:
        """Return a remedy: a command on the deployment's jobs, whatever store the shell's environment names."""
        firestore = self.deployment.table.firestore
        return remedy(
            *("env", "SCHEDULER_STORAGE=firestore", f"GOOGLE_CLOUD_PROJECT={self.deployment.project}"),
            *(f"FIRESTORE_DATABASE={firestore.database}", f"SCHEDULER_COLLECTION={firestore.collection}"),
            *("watchkeeper", "jobs", *words),
        )

    def gcloud(self, *words: str) -> str:
        """Return a remedy: a command of gcloud."""
        return remedy("gcloud", *words, "--project", self.deployment.project)
