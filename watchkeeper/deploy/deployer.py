"""The role of the account by which a build deploys, as `deployer-role.json` has it."""

import json
from collections.abc import Iterator
from typing import Any

from shared.settings import PROJECT_FOLDER
from watchkeeper.deploy.problems import Check, Problem
from watchkeeper.deploy.remedies import Remedies

ROLE = "watchkeeperDeployer"
FILE = PROJECT_FOLDER / "deployer-role.json"


def deployer_check(remedies: Remedies) -> Check:
    """Return the check that the role allows what a build does, where there is one: nobody needs to deploy by a build.

    Who has the role, and as which accounts it may act, is not asked.
    """
    needed: list[str] = json.loads(FILE.read_text(encoding="utf-8"))["includedPermissions"]

    def judge(role: Any) -> Iterator[Problem]:
        missing = sorted(set(needed) - set(role.get("includedPermissions", ()))) if role else []
        if role and role.get("deleted"):
            yield Problem(f"the role {ROLE} is deleted", remedies.gcloud("iam", "roles", "undelete", ROLE))
        elif missing:
            update = remedies.gcloud("iam", "roles", "update", ROLE, f"--file={FILE.name}", "--quiet")
            yield Problem(f"a build may lack {', '.join(missing)}", update)

    question = ("iam", "roles", "describe", ROLE)
    return Check("deployer", f"the role {ROLE}", question, f"the role {ROLE} lacks nothing, or is not used here", judge)
