"""What the shell completes."""

from click.shell_completion import ShellComplete

from tests.support.command_line import JobFactory, Terminal
from watchkeeper.cli.completion import MOST_OFFERED
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session


def completed(run: Terminal, *words: str) -> list[str]:
    """Return what the shell offers for the last word."""
    session = Session(env={"SCHEDULER_JSON_PATH": str(run.path)}, clock=lambda: run.at, user="ada")
    offers = ShellComplete(watchkeeper, {"obj": session}, "watchkeeper", "_COMPLETE")
    return [offer.value for offer in offers.get_completions(list(words[:-1]), words[-1])]


def test_ids_and_job_types_are_completed(run: Terminal, job_factory: JobFactory) -> None:
    """Wherever a command takes one."""
    run.put(*(job_factory(name) for name in ("invoice", "report-a", "report-b", "sync")))

    for verb in ("show", "edit", "cancel", "pause", "resume", "run", "retry", "release", "delete"):
        assert completed(run, "jobs", verb, "rep") == ["report-a", "report-b"]
    assert completed(run, "jobs", "pause", "sync", "in") == ["invoice"]
    assert completed(run, "jobs", "add", "http") == ["http_request"]
    assert completed(run, "jobs", "add", "sub") == []  # only a renewal makes a subscription_check
    assert completed(run, "jobs", "list", "--type", "lo") == ["log"]


def test_a_completion_reads_little_and_fails_in_silence(run: Terminal, job_factory: JobFactory) -> None:
    """It runs whenever the key is pressed."""
    run.put(*(job_factory(f"job-{number}") for number in range(3 * MOST_OFFERED)))

    assert len(completed(run, "jobs", "show", "")) == MOST_OFFERED
    run.path.write_text("no JSON")
    assert completed(run, "jobs", "show", "") == []
