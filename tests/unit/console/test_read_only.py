"""A deployment that is only read, and how rarely, because reads are billed."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.jobs import Jobs
from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.support.console_page import MINUTE, RETENTION, get, post
from watchkeeper.console import views
from watchkeeper.console.app import create_console
from watchkeeper.console.catalogue import Catalogue
from watchkeeper.console.system import System


def test_read_only_refuses_every_change(read_only: System) -> None:
    """Including every route that changes something."""
    read_only.jobs.schedule("log", {"message": "hello"}, id="job")
    rules = create_console(read_only).url_map.iter_rules()
    changing = [rule.rule for rule in rules if "POST" in (rule.methods or ())]

    paths = [rule.replace("<job_id>", "job").replace("<command>", "cancel") for rule in changing]
    answers = {path: post(read_only, path.replace("<function>", "tick")).status_code for path in paths}

    assert len(answers) >= 5
    assert set(answers.values()) == {403}
    assert read_only.jobs.get("job").status == "pending"


@pytest.mark.parametrize(("is_billed", "seconds"), [(False, 2), (True, 30)])
def test_the_page_refreshes_seldom_if_reads_are_billed(system: System, is_billed: bool, seconds: int) -> None:
    """A local run may use the real Firestore, too."""
    about = get(replace(system, is_billed=is_billed), "/api/about").get_json()

    assert (about["is_read_only"], about["poll_seconds"]) == (False, seconds)


def test_a_read_only_page_says_so(read_only: System) -> None:
    """The page hides what is not possible."""
    about = get(read_only, "/api/about").get_json()

    assert (about["is_read_only"], about["has_chat"]) == (True, False)
    assert get(read_only, "/api/chat").status_code == 404
    assert get(read_only, "/api/now").get_json()["tick"] == {"next": "", "last": None}


class Counting:
    """A store that counts the documents that are read."""

    def __init__(self, store: JsonStore) -> None:
        self.read = 0
        self._store = store

    def page(self, **asked: Any) -> list[Job | Unreadable]:
        page = self._store.page(**asked)
        self.read += len(page)
        return page

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        found = self._store.get(job_ids)
        self.read += len(found)
        return found


def test_a_refresh_reads_only_what_can_have_changed(
    read_only: System, json_store: JsonStore, job_factory: Callable[..., Job], now: datetime
) -> None:
    """Billed reads: all jobs once, then those that are due or visible; after ten minutes all again."""
    json_store.swap([Change(None, job_factory(f"job-{number:04}", at=now + MINUTE * 60)) for number in range(450)])
    json_store.swap([Change(None, job_factory("due", at=now - MINUTE)), Change(None, job_factory("subscription:x:y"))])
    counting: Any = Counting(json_store)
    moment, seconds = [now], [0.0]
    jobs = Jobs(counting, clock=lambda: moment[0], handlers={}, retention=RETENTION)
    catalogue = Catalogue(jobs, clock=lambda: moment[0], is_billed=True, monotonic=lambda: seconds[0])
    reads = []

    for later in (0, 10, 30, 601):
        before = counting.read
        moment[0], seconds[0] = now + timedelta(seconds=later), float(later)
        jobs_found = catalogue.read()
        catalogue.again([job.id for job in jobs_found][1:51])
        reads.append(counting.read - before)

    assert reads == [452, 0, 52, 452]


def test_a_change_on_the_page_shows_at_once(read_only: System, json_store: JsonStore) -> None:
    """Even if it was read a moment ago; a deletion, too."""
    jobs = read_only.jobs
    jobs.schedule("log", {"message": "hello"}, id="job", at=read_only.clock() + MINUTE)
    catalogue = Catalogue(jobs, clock=read_only.clock, is_billed=True)
    catalogue.read()

    jobs.cancel("job")
    catalogue.look_again(["job"])
    states = [catalogue.get("job").status]
    jobs.delete("job")
    catalogue.look_again(["job"])

    assert states == ["cancelled"]
    assert catalogue.read() == []


class UnreachableStore:
    """A store that cannot be reached."""

    def page(self, **asked: Any) -> list[Job | Unreadable]:
        raise StoreUnavailable("Firestore does not answer")


def test_an_unreachable_store_is_an_error_with_advice(read_only: System) -> None:
    """The page gets the reason and the remedy to show, not a traceback."""
    store: Any = UnreachableStore()
    jobs = Jobs(store, clock=read_only.clock, handlers={}, retention=RETENTION)

    answer = get(replace(read_only, jobs=jobs), "/api/jobs")

    assert answer.status_code == 503
    assert answer.get_json()["error"].startswith("Firestore does not answer. The jobs are in a file; ")


def test_the_fake_of_cloud_scheduler_is_shown_for_a_local_run_only(system: System, read_only: System) -> None:
    """Only a local run lists it, because the console calls its functions."""
    services = [views.about(each)["services"] for each in (system, read_only)]

    assert [[service["name"] for service in each] for each in services] == [["Gmail", "Cloud Scheduler"], ["Gmail"]]
