"""Every command that deploying can send is one that the real gcloud understands: its words, its flags, their values.

It reads them all in one process, and runs none.
"""

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.support import warm_gcloud
from tests.support.deploying import FUNCTIONS, SETTINGS, lacking, url
from tests.support.gcloud import NUMBER
from tests.support.recorder import Recorder, deployment_of, shown
from tests.support.smoking import FakeDeployment
from watchkeeper.deploy.deployment import Deployment
from watchkeeper.deploy.gcloud import Ended, StepFailed
from watchkeeper.deploy.plan import show_plan
from watchkeeper.deploy.preflight import refuse_at_once
from watchkeeper.deploy.steps import VERBS, steps_of

READ = """
import io, json, os, sys
sys.path[:0] = [f"{sys.argv[1]}/third_party", sys.argv[1]]
from googlecloudsdk import gcloud_main
refused = []
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
parser = gcloud_main.CreateCLI([])._CLI__parser
for words in json.load(sys.stdin):
    sys.stdin = io.StringIO()
    try:
        parser.parse_args(words)
    except (Exception, SystemExit) as exc:
        refused.append([words, f"{type(exc).__name__}: {exc}"])
json.dump(refused, out)
"""
# A project that has nothing, seen by a gcloud that has alert policies as alpha.
NOTHING: dict[str, Ended | list[Ended]] = {"monitoring policies list --limit": Ended(2)}
# A project that has everything, and not as it should be.
OTHERWISE: dict[str, Ended | list[Ended]] = {
    "functions describe": shown("ACTIVE"),
    "run services get-iam-policy": shown("allUsers"),
    "run services describe": shown("100\tb"),
    "run revisions list": shown("b\tTrue\na\tTrue"),
    "firestore databases describe": shown("x"),
    "firestore indexes fields describe": shown("True\t"),
    "logging metrics list": shown("\n".join(f"watchkeeper_{name}" for name in ("ticks", "lateness", "renewals"))),
    "monitoring dashboards describe": shown("e1"),
    **NOTHING,
    "alpha monitoring policies list": shown("projects/p/alertPolicies/1|Watchkeeper: a job was given up|False|c/1|a=b"),
    "projects describe": shown(NUMBER),
}


def refusals(commands: Sequence[Sequence[str]], folder: Path) -> list[tuple[list[str], str]]:
    """Return the commands that gcloud cannot read, and why."""
    python, library = warm_gcloud.installed() or lacking("gcloud is not installed")
    run = subprocess.run(
        [python, "-S", "-c", READ, str(library)],
        input=json.dumps(commands),
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "CLOUDSDK_CONFIG": str(folder / "gcloud")},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return [(words, why) for words, why in json.loads(run.stdout)]


def sent(folder: Path) -> list[list[str]]:
    """Return every command that is sent where nothing is there, and where everything is and not as it should be.

    A plan, and what is asked before it, are sent too.
    """
    deployment = deployment_of(folder / "settings", SETTINGS)
    gcloud = Recorder()
    work = gcloud.work(deployment, folder)
    steps = [step for verb in VERBS if verb not in ("all", "smoke") for step in steps_of(verb, work)]
    for step in (step for step in steps if step.title != "stage: functions"):
        state = {"pause": "ENABLED", "resume": "PAUSED"}.get(step.verb, "1")
        function = FUNCTIONS.get(step.function, FUNCTIONS["tick"])
        job = shown(f"{state}|{url(function.name)}")
        queue = shown({"pause": "RUNNING", "resume": "PAUSED"}.get(step.verb, "RUNNING"))
        for answers in (
            {"monitoring policies list --limit": Ended(2)},
            {**OTHERWISE, "scheduler jobs describe": job, "tasks queues describe": queue},
        ):
            gcloud.answers = {**answers}
            with suppress(StepFailed):  # it may lack what another step makes
                step.do()
    return [*gcloud.commands, *sent_by_a_plan(deployment, folder), *sent_by_a_smoke_test(deployment, folder)]


def sent_by_a_plan(deployment: Deployment, folder: Path) -> list[list[str]]:
    """Return every question of a plan, and those before it: in a region that is known, and in one that is not."""
    gcloud = Recorder()
    work = gcloud.work(deployment, folder)
    for each in (deployment, replace(deployment, region="europe-west12")):
        with suppress(StepFailed):  # nothing can be asked about the second one
            refuse_at_once("plan", each, work.gcloud, may_share=False)
    show_plan(work)
    return gcloud.commands


def sent_by_a_smoke_test(deployment: Deployment, folder: Path) -> list[list[str]]:
    """Return every command of a smoke test: of one that ends well, and of one whose calls are refused."""
    commands: list[list[str]] = []
    for said in ("", "UNAUTHENTICATED, 401"):
        cloud = FakeDeployment(folder=folder, said=[said], reasons=["wrong audience"])
        for step in steps_of("smoke", cloud.work(deployment, folder)):
            with suppress(StepFailed):
                step.do()
        commands += cloud.commands
    return commands


def shape(words: Sequence[str]) -> tuple[str, ...]:
    """Return what a command is, without the values of its flags."""
    return tuple(word.partition("=")[0] for word in words)


def test_gcloud_understands_every_command(tmp_path: Path) -> None:
    """Both what is sent to make something and to change it; what is misspelt would be refused."""
    every = [words for words in sent(tmp_path) if words[:2] != ["monitoring", "policies"]]
    commands = list({shape(words): words for words in every}.values())
    # Alert policies are alpha in older ones, and general in newer ones, which may have no alpha.
    general = [words[1:] for words in commands if words[0] == "alpha"]
    wrong = [["scheduler", "jobs", "list", "--location=eu", "--color=red"], ["functions", "deploi"]]

    refused = refusals([*commands, *general, *wrong], tmp_path)

    words_refused = [words for words, _ in refused]
    both = [words for words in words_refused if words[0] == "alpha" and words[1:] in words_refused]
    one = [words for words in words_refused if words[0] != "alpha" and words not in general]
    assert (one, both) == (wrong, []), refused
    assert {" ".join(words[:3]) for words in commands} >= {
        *("firestore databases create", "iam service-accounts create", "secrets versions add"),
        *("monitoring dashboards update", "alpha monitoring policies", "run services update-traffic"),
        *("tasks queues create", "tasks queues update", "tasks queues pause", "tasks queues resume"),
        *("tasks queues purge", "tasks queues add-iam-policy-binding", "tasks locations list"),
        *("firestore indexes fields", "monitoring dashboards describe", "functions regions list"),
        *("scheduler jobs run", "scheduler jobs pause", "scheduler jobs resume", "scheduler jobs delete"),
    }
