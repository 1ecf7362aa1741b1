"""The build on merge: what it deploys, in which order, and what it leaves out after a failure."""

from pathlib import Path

import pytest

from tests.support.building import SECRET, Build, Ended, FirstDeployment, keep_settings
from tests.support.deploying import FUNCTIONS, REGION, SERVICES, needs, url
from tests.support.gcloud import PROJECT, GoogleCloud

PLACE = f"projects/{PROJECT}/locations/{REGION}"
DEPLOYMENTS = {f"deploy-{name}" for name in FUNCTIONS}
JOBS = {function.scheduler_job.name: name for name, function in FUNCTIONS.items() if function.scheduler_job}
OUT_OF_ORDER = '#!/bin/sh\necho "a test failed"\nexit 3\n'


@pytest.fixture
def configured(cloud: GoogleCloud) -> GoogleCloud:
    """A cloud with nothing but the settings of this environment."""
    needs("gcloud")
    keep_settings(cloud)
    return cloud


def test_a_build_deploys_every_function(first: FirstDeployment) -> None:
    """With the settings that are stored as a secret."""
    deployed = {name: first.cloud.resources[f"{PLACE}/functions/{service}"] for name, service in SERVICES.items()}

    assert {function["state"] for function in deployed.values()} == {"ACTIVE"}
    assert deployed["tick"]["serviceConfig"]["environmentVariables"]["SCHEDULER_CONCURRENCY"] == "8"
    assert first.cloud.unknown == []


def test_a_build_makes_the_scheduler_jobs_afterwards(first: FirstDeployment) -> None:
    """Each calls its function, with its address as the audience, and is created after the last function."""
    cloud = first.cloud
    audiences = {job: cloud.resources[f"{PLACE}/jobs/{job}"]["httpTarget"]["oidcToken"]["audience"] for job in JOBS}
    made = [change.partition("?")[0] for change in cloud.changes]

    assert audiences == {job: url(name, REGION) for job, name in JOBS.items()}
    assert made.count(f"POST {PLACE}/jobs") == len(JOBS) == 3
    last_function = max(number for number, change in enumerate(made) if change == f"POST {PLACE}/functions")
    assert last_function < made.index(f"POST {PLACE}/jobs")


def test_a_build_ends_with_one_run_of_every_job_and_one_task(first: FirstDeployment) -> None:
    """As Cloud Scheduler and Cloud Tasks call it."""
    changes = first.cloud.changes

    assert sorted(changes[-4:-1]) == sorted(f"POST {PLACE}/jobs/{job}:run" for job in JOBS)
    assert [change for change in changes if change.endswith(":run")] == changes[-4:-1]
    assert changes[-1] == f"POST {PLACE}/queues/watchkeeper-agents/tasks"


def test_a_failed_check_deploys_nothing(configured: GoogleCloud, tmp_path: Path) -> None:
    """The log has the output of `.ci/run`, and the step its exit code."""
    build = Build(configured, tmp_path)
    (build.workspace / ".ci" / "run").write_text(OUT_OF_ORDER)

    ended = build.run()

    assert ended["check"] == Ended(3, "a test failed\n")
    assert not ended.keys() - {"check", "settings"}
    assert configured.changes == []


def test_without_its_settings_a_build_deploys_nothing(cloud: GoogleCloud, tmp_path: Path) -> None:
    """The step names the missing secret."""
    needs("gcloud")

    ended = Build(cloud, tmp_path).run()

    assert ended["settings"].code == 1
    assert SECRET in ended["settings"].said
    assert not ended.keys() - {"check", "settings"}
    assert cloud.changes == []


def test_a_failed_deployment_keeps_the_schedules_as_they_are(configured: GoogleCloud, tmp_path: Path) -> None:
    """No job is created or changed for an old function; gcloud's error is shown."""
    queue = f"{PLACE}/queues/watchkeeper-agents"
    configured.resources[queue] = {"name": queue, "state": "RUNNING"}
    configured.failing_builds.add(SERVICES["tick"])

    ended = Build(configured, tmp_path).run(*DEPLOYMENTS - {"deploy-tick"})

    assert ended.keys() == {"check", "settings", "before", "deploy-tick"}
    assert ended["deploy-tick"].code == 1
    assert "Build failed with status: FAILURE" in ended["deploy-tick"].said
    assert not [call for call in configured.calls if "/jobs" in call.name]


def test_a_job_that_is_refused_fails_the_build_with_the_remedy(
    first: FirstDeployment, cloud: GoogleCloud, tmp_path: Path
) -> None:
    """A 401 whose log says that the signature was removed: the build ends with the setting to change."""
    first.copy_to(cloud)
    cloud.attempt = "UNAUTHENTICATED"  # as Cloud Scheduler records a 401
    cloud.log = [{"jsonPayload": {"reason": "signature removed by the platform"}}]

    ended = Build(cloud, tmp_path).run(*DEPLOYMENTS, "schedules")

    assert ended["smoke"].code == 1
    assert "error: the attempt of watchkeeper-tick was refused" in ended["smoke"].said
    assert "AUTH_MODE=platform" in ended["smoke"].said
    (*_, search) = (call.body["filter"] for call in cloud.calls if call.name == "entries:list")
    assert 'resource.labels.service_name="watchkeeper-tick"' in search
