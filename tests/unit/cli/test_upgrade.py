"""`jobs upgrade` makes jobs of documents that could not be read."""

import json
from datetime import datetime

from shared.store.documents import Unreadable, to_document
from shared.store.protocol import Lost
from tests.support.command_line import JobFactory, ScriptedStore, Terminal, former


def test_an_upgrade_converts_unreadable_documents(run: Terminal, job_factory: JobFactory) -> None:
    """Former documents and repaired ones become jobs in place and keep their fields; readable jobs do not change."""
    repaired = json.loads(json.dumps(to_document(job_factory("repaired")), default=datetime.isoformat))
    del repaired["ready_at"]
    run.put_raw(former=former("former", owner="me"), repaired={**repaired, "error": "unreadable: it was"})
    run.put(job_factory("readable"))
    readable = run.job("readable").version

    result = run("jobs", "upgrade")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == ["pending", "pending", "2"]
    assert run.job("former").extra == {"owner": "me"}
    assert run.job("repaired").error is None
    assert run.job("readable").version == readable


def test_an_upgrade_leaves_what_it_cannot_convert(run: Terminal) -> None:
    """The document does not change and is named; the exit code is 1; the dry run prints the same."""
    run.put_raw(bad=former("bad", status="odd"), held=former("held", lease_until="2026-11-21T09:01:00"))
    before = run.path.read_bytes()

    rehearsed, result = run("jobs", "upgrade", "--dry-run"), run("jobs", "upgrade")

    assert result.exit_code == rehearsed.exit_code == 1
    assert result.stderr == rehearsed.stderr
    assert "job bad: status is 'odd'" in result.stderr
    assert "job held: it is still running" in result.stderr
    assert run.path.read_bytes() == before


def test_an_upgrade_can_be_repeated(run: Terminal) -> None:
    """Once everything can be read there is nothing to do."""
    run.put_raw(former=former("former"))
    run("jobs", "upgrade")

    assert run("jobs", "upgrade").stdout == "Every job can be read; there is nothing to upgrade.\n"


def test_an_upgrade_loses_to_a_faster_change(run: Terminal) -> None:
    """The write is conditional: a document that changed meanwhile is named, to be looked at again."""
    document = Unreadable(id="job", reason="no ready_at", document=former())
    store = ScriptedStore(Lost(), [document])
    run.fakes["store"] = store

    result = run("jobs", "upgrade")

    assert result.exit_code == 1
    assert "job job: it was changed at the same time" in result.stderr
    assert [change.before for change in store.swapped] == [document]
