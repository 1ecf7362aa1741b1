"""The steps that operate a deployment."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.deploying import FUNCTIONS, REGION, SETTINGS, url
from tests.support.gcloud import PROJECT
from tests.support.recorded_project import Key, RecordedProject
from tests.support.recorder import TICK, Recorder, deployment_of, job_of, shown
from watchkeeper.deploy import operating
from watchkeeper.deploy.functions import deploy_function
from watchkeeper.deploy.operating import Revision, revision_before
from watchkeeper.deploy.work import Work

GMAIL = FUNCTIONS["gmail_watch"]


def on(function: str) -> str:
    """Return the question for the Scheduler job of a function."""
    return f"scheduler jobs describe {job_of(FUNCTIONS[function])}"


@pytest.mark.parametrize(
    ("verb", "state", "is_told"),
    [
        ("pause", "ENABLED", True),
        ("pause", "PAUSED", False),
        ("resume", "PAUSED", True),
        ("resume", "ENABLED", False),
    ],
)
def test_a_job_is_paused_and_resumed_once(gcloud: Recorder, work: Work, verb: str, state: str, is_told: bool) -> None:
    """What is paused already is not paused again."""
    assert TICK.scheduler_job
    gcloud.answers[on("tick")] = shown(f"{state}|{url('tick')}")

    {"pause": operating.pause, "resume": operating.resume}[verb](work, TICK, TICK.scheduler_job)

    assert gcloud.changes == [f"scheduler jobs {verb} watchkeeper-tick"] * is_told


def test_a_missing_scheduler_job_does_not_stop_the_others_from_being_paused(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, and the verb succeeds."""
    (tmp_path / "settings").write_text(SETTINGS)
    gcloud.answers = {on(name): shown(f"ENABLED|{url(name)}") for name in ("tick", "airtable_refresh")}

    code = gcloud.run(tmp_path / "settings", "pause")

    said = capsys.readouterr().out
    assert (code, said.endswith("== done\n")) == (0, True)
    assert "there is no Scheduler job gmail-watch-renewal\n" in said
    assert gcloud.changes == ["scheduler jobs pause watchkeeper-tick", "scheduler jobs pause airtable-webhook-refresh"]


@pytest.mark.parametrize(
    ("uri", "called"),
    [("https://former.run.app/renew", "https://former.run.app/renew"), ("", "no URL"), (f"{url('tick')}/", None)],
)
def test_a_job_of_the_former_system_stays_as_it_is(
    gcloud: Recorder, work: Work, capsys: pytest.CaptureFixture[str], uri: str, called: str | None
) -> None:
    """It has the same name but calls another address; it is not deleted, but the function is."""
    assert GMAIL.scheduler_job
    gcloud.answers |= {on("gmail_watch"): shown(f"ENABLED|{uri}"), "functions describe": shown("ACTIVE")}

    operating.pause(work, GMAIL, GMAIL.scheduler_job)
    operating.destroy(work, GMAIL)

    line = f"gmail-watch-renewal calls {called or uri}, which is not ours; it stays as it is\n"
    assert capsys.readouterr().out == line * 2
    assert gcloud.changes == ["functions delete watchkeeper-gmail-watch"]


def test_the_status_shows_existing_and_missing_parts(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each function and each Scheduler job and nothing else, and nothing is changed."""
    (tmp_path / "settings").write_text(SETTINGS)
    gcloud.answers = {
        "functions describe watchkeeper-tick": shown("ACTIVE  watchkeeper-tick-00001-abc  "),
        on("gmail_watch"): shown("ENABLED  0 0 * * *  UTC    "),
    }

    code = gcloud.run(tmp_path / "settings", "status", "--only", "tick", "gmail_watch", "chat_webhook")

    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "function watchkeeper-tick ACTIVE watchkeeper-tick-00001-abc",
        "schedule watchkeeper-tick not there",
        "function watchkeeper-gmail-watch not deployed",
        "schedule gmail-watch-renewal ENABLED 0 0 * * * UTC",
        "function watchkeeper-chat-webhook not deployed",
    ]
    assert (code, gcloud.changes) == (0, [])


READY, BROKEN = True, False


@pytest.mark.parametrize(
    ("serving", "revisions", "before"),
    [
        pytest.param("c", [("c", READY), ("b", READY), ("a", READY)], "b", id="newest-before"),
        pytest.param("c", [("c", READY), ("b", BROKEN), ("a", READY)], "a", id="broken-before"),
        pytest.param("b", [("c", READY), ("b", READY), ("a", READY)], "a", id="newer-ones-stay"),
        pytest.param("a", [("b", READY), ("a", READY)], "", id="first"),
        pytest.param("b", [("b", READY), ("a", BROKEN)], "", id="none-works"),
        pytest.param("", [("b", READY), ("a", READY)], "", id="traffic-is-shared"),
        pytest.param("z", [("b", READY), ("a", READY)], "", id="unknown"),
        pytest.param("a", [], "", id="no-revisions"),
    ],
)
def test_a_rollback_goes_to_the_newest_that_works_before_the_one_that_serves(
    serving: str, revisions: list[tuple[str, bool]], before: str
) -> None:
    """A revision that never became ready takes no traffic, and a newer one is not before it."""
    assert revision_before(serving, [Revision(*each) for each in revisions]) == before


def test_a_rollback_moves_the_traffic_back(gcloud: Recorder, work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it; a function without an earlier revision does not change and does not stop the others."""
    gcloud.answers = {
        "run services describe watchkeeper-tick": shown("\ttagged\n100\ttick-2"),
        "run revisions list --service=watchkeeper-tick": shown("tick-2\tTrue\ntick-1\tTrue"),
        "run services describe watchkeeper-gmail-watch": shown("50\tgmail-2\n50\tgmail-1"),
        "run revisions list --service=watchkeeper-gmail-watch": shown("gmail-2\tTrue\ngmail-1\tTrue"),
        "run services describe watchkeeper-run-job": shown("100\trun-1"),
        "run revisions list --service=watchkeeper-run-job": shown("run-2\tTrue\nrun-1\tTrue"),
    }

    for function in (GMAIL, FUNCTIONS["run_job"], TICK):
        operating.roll_back(work, function)

    assert gcloud.changes == ["run services update-traffic watchkeeper-tick"]
    assert "--to-revisions=tick-1=100" in gcloud.flags("run services update-traffic")
    assert capsys.readouterr().err == (
        "watchkeeper-gmail-watch has no working revision before one with all the traffic; it stays as it is\n"
        "watchkeeper-run-job has no working revision before run-1; it stays as it is\n"
    )


def test_two_bad_deployments_in_a_row_go_back_to_the_good_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a build: the second rollback skips the first bad revision, which is the previous one by age."""
    project = RecordedProject()
    settings, before = tmp_path / "production.env", tmp_path / "before.txt"
    work = project.work(deployment_of(settings, SETTINGS), tmp_path)
    deploy_function(work, GMAIL)

    for _ in range(2):
        capsys.readouterr()
        project.run(settings, "serving")
        before.write_text(capsys.readouterr().out)
        deploy_function(work, GMAIL)
        assert project.run(settings, "rollback", "--if-configured", "--to", str(before)) == 0

    service = project.resources[Key("run services", "watchkeeper-gmail-watch", REGION)]
    assert service["revisions"][-1] == "watchkeeper-gmail-watch-3"
    assert service["serves"] == "watchkeeper-gmail-watch-1"
    assert before.read_text() == "watchkeeper-gmail-watch watchkeeper-gmail-watch-1\n"


def test_what_serves_can_be_written_to_a_file_of_a_partly_configured_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The functions that are left out are named on stderr; stdout has nothing but revisions."""
    (settings := tmp_path / "production.env").write_text("ALLOWED_USERS=*@example.com\n")
    gcloud = Recorder({"run services describe watchkeeper-tick": shown("100\ttick-1")})

    code = gcloud.run(settings, "serving", "--if-configured")

    said = capsys.readouterr()
    assert (code, said.out) == (0, "watchkeeper-tick tick-1\n")
    assert said.err.startswith("left out, since none of their settings is set: gmail_watch (")


def test_a_rollback_to_a_file_leaves_other_functions_alone(
    gcloud: Recorder, work: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function that was deployed for the first time has no earlier revision; one that serves it already stays."""
    gcloud.answers = {
        "run services describe watchkeeper-tick": shown("100\ttick-1"),
        "run services describe watchkeeper-gmail-watch": shown("100\tgmail-1"),
    }

    for function in (GMAIL, TICK):
        operating.roll_back(replace(work, back_to={"watchkeeper-tick": "tick-1"}), function)

    assert gcloud.changes == []
    says = "--to names no revision of watchkeeper-gmail-watch; it stays as it is\n"
    assert capsys.readouterr().err == says


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "error: there is no file of revisions before.txt\n"),
        ("tick\n", "error: --to: `tick` is not a line SERVICE REVISION as `serving` prints it\n"),
        ("tick\x84\n", "error: --to: `tick\ufffd` is not a line SERVICE REVISION as `serving` prints it\n"),
    ],
)
def test_a_malformed_file_of_revisions_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    """Before the first change."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    gcloud = Recorder()
    if content:
        (tmp_path / "before.txt").write_text(content, encoding="latin-1")

    code = gcloud.run(settings, "rollback", "--to", str(tmp_path / "before.txt"))

    assert (code, gcloud.changes) == (1, [])
    assert capsys.readouterr().err.replace(f"{tmp_path}/", "") == says


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        pytest.param(None, 1, id="nobody-answers"),
        pytest.param("yes", 1, id="another-word"),
        pytest.param(PROJECT, 0, id="the-project"),
    ],
)
def test_destroy_asks_for_confirmation(
    gcloud: Recorder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str | None,
    code: int,
) -> None:
    """Nothing is deleted until somebody types the project; then job and function go, and nothing else."""

    def answer(prompt: str) -> str:
        if typed is None:
            raise EOFError
        return typed

    monkeypatch.setattr("builtins.input", answer)
    (tmp_path / "settings").write_text(SETTINGS)
    gcloud.answers = {on("tick"): shown(f"ENABLED|{url('tick')}"), "functions describe": shown("ACTIVE")}

    ended = gcloud.run(tmp_path / "settings", "destroy", "--only", "tick")

    said = capsys.readouterr()
    deleted = ["scheduler jobs delete watchkeeper-tick", "functions delete watchkeeper-tick"]
    assert said.out.startswith(f"This deletes functions and Scheduler jobs in {PROJECT} ({REGION}): tick\n")
    assert (ended, gcloud.changes) == (code, [] if code else deleted)
    assert said.err == ("error: nothing was deleted\n" if code else "")


def test_missing_parts_are_not_deleted(gcloud: Recorder, work: Work) -> None:
    """So `destroy` can be repeated."""
    for function in FUNCTIONS.values():
        operating.destroy(work, function)

    assert gcloud.changes == []
