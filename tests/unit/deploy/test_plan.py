"""The plan of a deployment: what it would create, change and leave, what it finds, and that it changes nothing."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.settings import PROJECT_FOLDER
from tests.support.deploying import REGION
from tests.support.examined import check, listed, policy, schedule
from tests.support.examined import remedies as plan_of
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorder import QUESTIONS, Recorder, commands, refused, shown
from watchkeeper.deploy.asking import ApiOff, CannotAsk
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.deploy.plan import COSTS, Line, lines_of
from watchkeeper.deploy.problems import Fate

OFF = refused("(gcloud.x) PERMISSION_DENIED: Cloud Tasks API has not been used in project 1 before or it is disabled.")


def found(content: object) -> Ended:
    """Return an answer as gcloud shows it in JSON."""
    return shown(json.dumps(content))


@pytest.fixture
def gcloud() -> Recorder:
    """An empty project."""
    return Recorder({"projects describe": shown(NUMBER), "services list": found([]), "projects get-iam": found({})})


def test_a_plan_for_a_new_project_creates_everything(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An API that is off has nothing yet. Costs are listed below, and nothing is changed."""
    gcloud.answers |= {"tasks queues": OFF, "scheduler jobs": OFF}

    code = gcloud.run(settings, "plan")

    said = capsys.readouterr()
    lines = [line.split(maxsplit=2) for line in said.out.splitlines()]
    assert (code, gcloud.changes, said.err) == (0, [], "")
    assert ["create", "database", "(default)"] in lines
    assert ["create", "queue", "watchkeeper-agents"] in lines
    assert ["create", "queue", "who may use watchkeeper-agents"] in lines
    assert ["create", "schedule", "gmail-watch-renewal"] in lines
    assert ["create", "alert", "Watchkeeper: a job was given up"] in lines
    assert [line for line in lines if line[:1] == ["unknown"]] == []
    assert "some APIs are off" in said.out
    assert "Scheduler jobs: 3, $0.30; the first three of a billing account are free" in said.out
    assert "secrets: 1, $0.06;" in said.out


@pytest.mark.parametrize(
    "answer",
    [pytest.param("Updates are available.", id="no-json"), pytest.param('["watchkeeper-tick"]', id="another-list")],
)
def test_functions_that_gcloud_lists_in_another_form_are_one_error(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    """Whether there is a neighbour is not known then, so nothing goes on."""
    gcloud.answers["functions list"] = shown(answer)

    code = gcloud.run(settings, "plan")

    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("error: gcloud answered in an unexpected form (")


def test_an_answer_of_another_form_is_an_unknown_line(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest of the plan is shown."""
    gcloud.answers["projects get-iam"] = shown('["no policy"]')

    code = gcloud.run(settings, "plan")

    out = capsys.readouterr().out
    assert code == 0
    assert re.search(r"^unknown  roles +who has which role could not be checked: gcloud answered in an", out, re.M)
    assert "to create: " in out


def test_a_plan_only_asks(gcloud: Recorder, settings: Path) -> None:
    """Every command is a question, and each is asked once."""
    gcloud.run(settings, "plan")

    assert all(QUESTIONS.intersection(words) for words in gcloud.commands)
    assert len(gcloud.commands) == len({" ".join(words) for words in gcloud.commands}) > 40


@pytest.mark.parametrize(("region", "is_said"), [("us-central1", False), ("europe-west3", True)])
def test_a_plan_warns_of_a_region_where_builds_may_be_refused(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str], region: str, is_said: bool
) -> None:
    """gcloud cannot answer this, so a first deployment may fail because of it."""
    gcloud.run(settings, "plan", place=("--project", PROJECT, "--region", region))

    assert (
        "only in these regions, and europe-west3 is not one of them: asia-east1," in capsys.readouterr().out
    ) is is_said


def test_a_dry_run_of_a_plan_prints_its_questions(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It asks none of them."""
    code = gcloud.run(settings, "plan", "--dry-run")

    asked = commands(capsys.readouterr().out)
    assert (code, gcloud.commands) == (0, [])
    assert all(QUESTIONS.intersection(words) for words in asked)
    assert ["gcloud", "services", "list", "--enabled", "--format=json", f"--project={PROJECT}"] in asked


def test_parts_that_are_not_in_the_table_are_shown_as_unknown(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has our prefix, so it may be a former function or one that is no longer configured."""
    settings.write_text("ALLOWED_USERS=*@example.com\n")
    names = ["watchkeeper-tick", "watchkeeper-gone", "others", "watchkeeper-deployer"]
    gcloud.answers |= {
        "functions list": found([listed(name, region=REGION, project=PROJECT) for name in names[:2]]),
        "functions describe watchkeeper-gmail-watch": found({"state": "ACTIVE"}),
        "iam service-accounts list": found([{"name": f"x/{name}@p.iam", "email": f"{name}@p.iam"} for name in names]),
    }

    code = gcloud.run(settings, "plan")

    unknown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("unknown")]
    place = f"--project {PROJECT} --region us-central1 --settings {settings}"
    assert code == 0
    assert unknown == [
        "unknown  deployment watchkeeper-gone is deployed, and not in functions.toml; "
        f"run `./deploy_functions.sh destroy {place} --removed`",
        "unknown  accounts   watchkeeper-gone is there, and functions.toml does not have it; it stays",
        "unknown  function   watchkeeper-gmail-watch is deployed, and no longer configured; "
        f"run `./deploy_functions.sh destroy {place} --only gmail_watch`",
    ]


@pytest.mark.parametrize("prefix", ["watchkeeper-", "staging-"])
def test_the_account_and_the_secret_of_a_build_are_known(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    """Its account and the secret with the settings file are created by hand, for each environment."""
    settings.write_text(f"ALLOWED_USERS=*@example.com\nDEPLOYMENT_PREFIX={prefix}\n")
    gcloud.answers |= {
        "iam service-accounts list": found([{"name": "x/1", "email": f"{prefix}deployer@p.iam"}]),
        "secrets list": found([{"name": f"projects/1/secrets/{prefix}settings"}]),
    }

    gcloud.run(settings, "plan")

    assert "functions.toml does not have it" not in capsys.readouterr().out


QUEUE = "watchkeeper-agents"


@pytest.mark.parametrize(
    ("subject", "about", "answer", "expected"),
    [
        pytest.param("queue", QUEUE, None, Line(Fate.CREATE, "queue", QUEUE, True), id="missing"),
        pytest.param("queue", QUEUE, ApiOff("off"), Line(Fate.CREATE, "queue", QUEUE, True), id="off"),
        pytest.param(
            "queue",
            QUEUE,
            CannotAsk("no"),
            Line(Fate.UNKNOWN, "queue", f"{QUEUE} could not be checked: no"),
            id="refused",
        ),
        pytest.param(
            "queue",
            f"who may use {QUEUE}",
            None,
            Line(Fate.CREATE, "queue", f"who may use {QUEUE}"),
            id="of-what-is-missing",
        ),
        pytest.param(
            "caller",
            "who may call watchkeeper-tick",
            policy("roles/run.invoker"),
            Line(
                Fate.CHANGE,
                "caller",
                "watchkeeper-tick may not be called by "
                "serviceAccount:watchkeeper-scheduler@demo.iam.gserviceaccount.com",
            ),
            id="change",
        ),
        pytest.param(
            "secret",
            "watchkeeper-airtable-api-key",
            {"state": "ENABLED"},
            Line(Fate.LEAVE, "secret", "watchkeeper-airtable-api-key is there"),
            id="leave",
        ),
        pytest.param(
            "accounts",
            "the service accounts",
            [],
            Line(Fate.CREATE, "accounts", "watchkeeper-scheduler@demo.iam.gserviceaccount.com", True),
            id="several",
        ),
    ],
)
def test_a_plan_follows_from_the_findings_of_doctor(subject: str, about: str, answer: Any, expected: Line) -> None:
    """The checks are the same; a role on a missing resource is created with it."""
    assert next(lines_of(check(subject, about, plan_of()), answer)) == expected


def test_a_function_always_gets_a_new_revision() -> None:
    """Its code is not compared."""
    state = {"state": "FAILED", "serviceConfig": {}}

    lines = list(lines_of(check("function", "watchkeeper-tick", plan_of()), state))

    assert [line.fate for line in lines] == [Fate.CHANGE, Fate.CHANGE]
    assert "is FAILED" in lines[0].says
    assert lines[1].says == "watchkeeper-tick gets a new revision, with the code of now"


def test_existing_monitoring_is_counted(gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is replaced in any case."""
    gcloud.answers["logging metrics list"] = found([{"name": "watchkeeper_ticks"}, {"name": "others"}])

    gcloud.run(settings, "plan")

    said = capsys.readouterr().out
    assert "change   metric     1 of 12 are there, and brought up to date\n" in said
    assert "create   metric     watchkeeper_ticks" not in said


def test_a_plan_ignores_the_last_run_of_a_scheduler_job() -> None:
    """A deployment does not change it."""
    failed = schedule(status={"code": 16})

    (line,) = lines_of(check("schedule", "watchkeeper-tick", plan_of()), failed)

    assert line.says == "watchkeeper-tick calls watchkeeper-tick: * * * * * (UTC)"


def test_a_signed_out_gcloud_is_reported_once(
    gcloud: Recorder, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No plan is possible then."""
    gcloud.answers["firestore databases describe"] = refused("You need to run: $ gcloud auth login")

    code = gcloud.run(settings, "plan")

    assert code == 1
    assert capsys.readouterr().err.startswith("error: gcloud: it is not signed in; run `gcloud auth login`\n")


class Terminal(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


@pytest.mark.parametrize("typed", ["no\n", "\n", ""])
def test_on_a_terminal_all_shows_its_plan_and_asks(
    gcloud: Recorder,
    settings: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
) -> None:
    """Any answer but yes deploys nothing."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    code = gcloud.run(settings, "all")

    said = capsys.readouterr()
    assert (code, gcloud.changes) == (1, [])
    assert "create   function   watchkeeper-tick\n" in said.out
    assert said.out.endswith("Type yes to deploy this: ")
    assert said.err == "error: nothing was deployed\n"


def test_the_prices_of_a_plan_are_those_of_the_documentation() -> None:
    """A change of one needs a change of the other."""
    text = (PROJECT_FOLDER / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    documented = text.partition("## What it costs")[2].partition("\n## ")[0]
    said = " ".join(cost(1) for cost in COSTS.values())

    prices = re.findall(r"\$\d+\.\d\d", said)
    assert {"$0.10", "$0.06", "$8.32"} <= set(prices)
    assert [price for price in prices if price not in documented] == []
