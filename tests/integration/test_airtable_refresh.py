"""The airtable_refresh function over HTTP, under functions-framework, against the fake of Airtable."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import airtable_webhooks
from airtable_settings import AirtableSettings
from shared.errors import InvalidSettings, RenewalFailed
from shared.model.history import RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from shared.renewals import Renewals
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from tests.renewing import Storage, call, call_at_once, in_file, in_firestore, let_out, utc_now
from tests.running import RunningFunction, running_function
from watchkeeper.fakes.airtable import API_KEY, BASE, WEBHOOK, Airtable, airtable_error, webhook
from watchkeeper.fakes.server import Request, Response

OTHER_BASE = "appLocalStandIn02"
OTHER_WEBHOOK = "achLocalStandIn02"
LIST = f"/v0/bases/{BASE}/webhooks"
LIST_OTHER = f"/v0/bases/{OTHER_BASE}/webhooks"
REFRESH = f"{LIST}/{WEBHOOK}/refresh"
RECORD = f"subscription:airtable:{BASE}:{WEBHOOK}"
TITLE = f"the Airtable webhook {WEBHOOK} of {BASE}"
DAY = timedelta(days=1)
REPLACE = "make a new webhook"
AGAIN = "try again in some minutes"
UNSET = dict.fromkeys(("AIRTABLE_API_KEY", "AIRTABLE_BASE_ID", "AIRTABLE_API_ENDPOINT"), "")


class ClockAhead:
    """The real time, put forward as far as a test needs."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass(frozen=True)
class Local:
    """Airtable on this machine, and a store in a file."""

    airtable: Airtable
    clock: ClockAhead
    folder: Path
    storage: Storage

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a function that refreshes the webhooks of one base."""
        return {
            "AIRTABLE_API_KEY": API_KEY,
            "AIRTABLE_BASE_ID": BASE,
            "AIRTABLE_API_ENDPOINT": self.airtable.url,
            # Too short for the pause of 30 seconds after a 429, long enough for one of a second.
            "SCHEDULER_LEASE_SECONDS": "20",
        }

    def running(
        self, env: Mapping[str, str] | None = None, *, storage: Storage | None = None
    ) -> AbstractContextManager[RunningFunction]:
        """Run the function, with these settings instead."""
        storage = storage or self.storage
        return running_function(
            "airtable_refresh", self.folder, {"AUTH_MODE": "off", **self.settings, **storage.env, **(env or {})}
        )

    def reset(self) -> None:
        """Forget the test before."""
        self.clock.ahead += timedelta(minutes=1)  # so that its requests do not count against the rate limit
        self.airtable.clear_faults()
        self.airtable.requests.clear()
        self.airtable.bases.clear()
        self.hold(BASE, webhook(WEBHOOK, expires_at=utc_now() + 3 * DAY))
        self.hold(OTHER_BASE, webhook(OTHER_WEBHOOK, expires_at=utc_now() + 2 * DAY))
        (self.folder / "jobs.json").unlink(missing_ok=True)

    def hold(self, base: str, *webhooks: dict[str, Any]) -> None:
        """Give a base these webhooks."""
        self.airtable.bases[base] = list(webhooks)

    def expiration(self, base: str = BASE, place: int = 0) -> str:
        """Return the expiration of a webhook as Airtable writes it."""
        written: str = self.airtable.bases[base][place]["expirationTime"]
        return written

    def asked(self) -> list[tuple[str, str]]:
        """Return the requests to Airtable."""
        return [(request.method, request.path) for request in self.airtable.requests]

    def refreshes(self) -> list[str]:
        """Return the paths of the refresh requests to Airtable."""
        return [path for method, path in self.asked() if method == "POST"]


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """Airtable, for all tests of this module."""
    folder = tmp_path_factory.mktemp("airtable_refresh")
    clock = ClockAhead()
    with Airtable(clock=clock) as airtable:
        yield Local(airtable, clock, folder, in_file(folder))


@pytest.fixture(autouse=True)
def local(stand_in: Local) -> Local:
    """Airtable at the beginning of a test: two bases with a healthy webhook each, no requests, no fault."""
    stand_in.reset()
    return stand_in


@pytest.fixture(scope="module")
def of_one(stand_in: Local) -> Iterator[RunningFunction]:
    """The function for one base."""
    with stand_in.running() as function:
        yield function


@pytest.fixture(scope="module")
def of_two(stand_in: Local) -> Iterator[RunningFunction]:
    """The function for two bases."""
    with stand_in.running({"AIRTABLE_BASE_ID": f"{BASE}, {OTHER_BASE}"}) as function:
        yield function


# -- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/internal/scheduler/refresh-airtable-webhooks"])
def test_the_answer_for_one_webhook_is_that_of_the_seed(local: Local, of_one: RunningFunction, path: str) -> None:
    """Both expirations have Airtable's format; beside them there are only the time and the trace."""
    old = local.expiration()

    answered = call(of_one, path)

    timestamp = answered.body.pop("timestamp")
    assert answered.status == 200
    assert answered.body == {
        "status": "success",
        "message": "Refreshed 1 Airtable webhooks",
        "webhooks_refreshed": 1,
        "webhooks": [{"webhook_id": WEBHOOK, "old_expiration": old, "new_expiration": local.expiration()}],
        "trace_id": answered.trace,
    }
    assert local.expiration() > old
    assert timedelta() <= utc_now() - datetime.fromisoformat(timestamp) < timedelta(minutes=1)


def test_expirations_have_milliseconds_even_when_they_are_zero(local: Local, of_one: RunningFunction) -> None:
    """As Airtable writes a full second."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=(utc_now() + DAY).replace(microsecond=0)))

    answered = call(of_one)

    assert answered.body["webhooks"][0]["old_expiration"].endswith(".000Z")


def test_the_base_is_listed_and_its_webhook_refreshed_once(local: Local, of_one: RunningFunction) -> None:
    """Two requests, with the key; neither the answer nor the log has the key, and the log names the job."""
    answered = call(of_one)

    (line,) = answered.lines_about(RECORD)
    assert local.asked() == [("GET", LIST), ("POST", REFRESH)]
    assert {request.bearer_token() for request in local.airtable.requests} == {API_KEY}
    assert line["message"].startswith(f"Renewed {TITLE}; it expires ")
    assert (line["severity"], line["action"]) == ("INFO", "renewed")
    assert API_KEY not in let_out(of_one, answered)


def test_the_webhooks_of_several_bases_are_refreshed(local: Local, of_two: RunningFunction) -> None:
    """In the order of AIRTABLE_BASE_ID."""
    old = [local.expiration(), local.expiration(OTHER_BASE)]

    answered = call(of_two)

    new = [local.expiration(), local.expiration(OTHER_BASE)]
    assert (answered.status, answered.body["message"]) == (200, "Refreshed 2 Airtable webhooks")
    assert answered.body["webhooks_refreshed"] == 2
    assert answered.body["webhooks"] == [
        {"webhook_id": WEBHOOK, "old_expiration": old[0], "new_expiration": new[0]},
        {"webhook_id": OTHER_WEBHOOK, "old_expiration": old[1], "new_expiration": new[1]},
    ]


def test_a_base_without_webhooks_is_nothing_to_do(local: Local, of_one: RunningFunction) -> None:
    """That is a success."""
    local.hold(BASE)

    answered = call(of_one)

    assert answered.status == 200
    assert answered.body == {
        "status": "success",
        "message": "Refreshed 0 Airtable webhooks",
        "webhooks_refreshed": 0,
        "webhooks": [],
        "timestamp": answered.body["timestamp"],
        "trace_id": answered.trace,
    }
    assert local.asked() == [("GET", LIST)]


def test_as_many_webhooks_as_a_base_can_have_stay_within_the_rate_limit(local: Local, of_one: RunningFunction) -> None:
    """Ten, at five requests a second; Airtable would block a faster caller for half a minute."""
    local.hold(BASE, *(webhook(f"ach{n:014}", expires_at=utc_now() + DAY) for n in range(10)))

    answered = call(of_one)

    assert (answered.status, answered.body["webhooks_refreshed"]) == (200, 10)
    assert len(local.refreshes()) == len(set(local.refreshes())) == 10


# -- webhooks that deliver nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "reasons", "refreshed"),
    [
        pytest.param(
            {"notifies": False},
            ["its notifications are switched off: switch them on with Airtable's enableNotifications"],
            1,
            id="notifications-off",
        ),
        pytest.param(
            {"failing": "The receiver\nanswered 503"},
            ["its last notification, at 2026-11-20T08:00:00Z, failed: The receiver answered 503; check its receiver"],
            1,
            id="failing-to-deliver",
        ),
        pytest.param(
            {"expires_at": None}, ["it has no expiration, so there is nothing to renew"], 0, id="without-expiration"
        ),
        pytest.param(
            {"expires_at": None, "is_enabled": False, "notifies": False},
            ["it has no expiration", "it is disabled and delivers nothing", "its notifications are switched off"],
            0,
            id="several",
        ),
    ],
)
def test_a_webhook_that_delivers_nothing_is_a_problem_and_no_failure(
    local: Local, of_one: RunningFunction, given: dict[str, Any], reasons: list[str], refreshed: int
) -> None:
    """It is renewed if possible, named with each reason, and logged as ERROR, so that somebody notices."""
    local.hold(BASE, webhook(WEBHOOK, **{"expires_at": utc_now() + DAY, **given}))

    answered = call(of_one)

    problems = answered.body["problems"]
    assert (answered.status, answered.body["webhooks_refreshed"]) == (200, refreshed)
    assert len(local.refreshes()) == refreshed
    assert len(problems) == len(reasons)
    for problem, reason in zip(problems, reasons, strict=True):
        assert problem == {"base_id": BASE, "webhook_id": WEBHOOK, "reason": problem["reason"]}
        assert problem["reason"].startswith(reason)
        assert f"The Airtable webhook {WEBHOOK} of {BASE}: {problem['reason']}" in answered.errors()


def test_a_disabled_webhook_is_a_problem_besides_its_failure(local: Local, of_one: RunningFunction) -> None:
    """Airtable refuses to refresh it; both reasons say that it must be replaced."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=utc_now() + DAY, is_enabled=False))

    answered = call(of_one)

    (failed,), (problem,) = answered.body["failed"], answered.body["problems"]
    assert answered.status == 500
    assert (failed["base_id"], failed["webhook_id"]) == (problem["base_id"], problem["webhook_id"]) == (BASE, WEBHOOK)
    assert failed["reason"].startswith("Airtable said 422 INVALID_REQUEST_UNKNOWN: The webhook is not active")
    assert problem["reason"].startswith("it is disabled and delivers nothing")
    assert REPLACE in failed["reason"]
    assert REPLACE in problem["reason"]


def test_an_expired_webhook_cannot_be_refreshed_and_does_not_stop_the_others(
    local: Local, of_one: RunningFunction
) -> None:
    """No refresh is sent for it; the answer has both lists and the remedy."""
    expired_at = (utc_now() - timedelta(hours=1)).replace(microsecond=0)
    local.hold(
        BASE,
        webhook(WEBHOOK, expires_at=expired_at),
        webhook(OTHER_WEBHOOK, expires_at=utc_now() + DAY),
    )
    old = local.expiration(place=1)

    answered = call(of_one)

    (failed,) = answered.body["failed"]
    assert answered.status == 500
    assert answered.body.keys() == {"status", "error", "trace_id", "webhooks_refreshed", "webhooks", "failed"}
    assert (answered.body["status"], answered.body["error"]["code"]) == ("error", "renewal_failed")
    assert (failed["base_id"], failed["webhook_id"]) == (BASE, WEBHOOK)
    assert failed["reason"].startswith(f"it expired at {expired_at.isoformat().replace('+00:00', 'Z')}")
    assert REPLACE in failed["reason"]
    assert answered.body["webhooks_refreshed"] == 1
    assert answered.body["webhooks"] == [
        {"webhook_id": OTHER_WEBHOOK, "old_expiration": old, "new_expiration": local.expiration(place=1)}
    ]
    assert local.refreshes() == [f"{LIST}/{OTHER_WEBHOOK}/refresh"]


# -- what Airtable refuses ---------------------------------------------------------------------------------------------

# What the reason names: Airtable and what it said, then the remedy.
FAULTS = {
    "unauthorized": ("Airtable said 401 AUTHENTICATION_REQUIRED: Authentication required", "AIRTABLE_API_KEY"),
    "forbidden": ("Airtable said 403 INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND: ", "the scope webhook:manage"),
    "not-found": ("Airtable said 404 NOT_FOUND", "check that it exists"),
    "rate-limit": ("Airtable said 429 ", AGAIN),  # the lease leaves no time for the pause
    "internal": ("Airtable said 500 SERVER_ERROR: The server encountered an unexpected condition", AGAIN),
    "unavailable": ("Airtable said 503 SERVICE_UNAVAILABLE: The server could not process", AGAIN),
    "cut": ("Airtable said something unusable (ConnectionError", AGAIN),
    "not-json": ("Airtable said something unusable (JSONDecodeError", AGAIN),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_base_that_cannot_be_listed_is_told_with_a_remedy(local: Local, of_one: RunningFunction, fault: str) -> None:
    """It is named without a webhook; there is one request for the list."""
    local.airtable.fail(fault, times=9)

    answered = call(of_one)

    (failed,) = answered.body["failed"]
    assert answered.status == 500
    assert answered.body == {
        "status": "error",
        "error": {
            "code": "renewal_failed",
            "message": f"1 Airtable renewals failed: {BASE} {failed['reason']}",
        },
        "trace_id": answered.trace,
        "webhooks_refreshed": 0,
        "webhooks": [],
        "failed": [{"base_id": BASE, "reason": failed["reason"]}],
    }
    assert_told_with_a_remedy(failed["reason"], FAULTS[fault])
    assert f"Could not read the webhooks of base {BASE}: {failed['reason']}" in answered.errors()
    assert local.asked() == [("GET", LIST)]
    assert API_KEY not in let_out(of_one, answered)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_webhook_that_cannot_be_refreshed_is_told_with_a_remedy(
    local: Local, of_one: RunningFunction, fault: str
) -> None:
    """It is named with its base, and refreshed once; its record has the error and Airtable's expiry."""
    local.airtable.fail(fault, times=9, path="/refresh")

    answered = call(of_one)

    (failed,) = answered.body["failed"]
    assert answered.status == 500
    assert answered.body == {
        "status": "error",
        "error": {
            "code": "renewal_failed",
            "message": f"1 Airtable renewals failed: {BASE} {WEBHOOK} {failed['reason']}",
        },
        "trace_id": answered.trace,
        "webhooks_refreshed": 0,
        "webhooks": [],
        "failed": [{"base_id": BASE, "webhook_id": WEBHOOK, "reason": failed["reason"]}],
    }
    assert_told_with_a_remedy(failed["reason"], FAULTS[fault])
    assert f"Could not renew {TITLE}: {failed['reason']}" in answered.errors()
    assert local.asked() == [("GET", LIST), ("POST", REFRESH)]
    job = local.storage.record(RECORD)
    listed = datetime.fromisoformat(local.expiration())
    assert job.payload.keys() == {"subscription", "expires_at", "error"}
    assert (job.payload["subscription"], job.payload["error"]) == (TITLE, failed["reason"])
    assert datetime.fromisoformat(job.payload["expires_at"]) == listed
    assert (job.schedule_at, job.ready_at, job.status) == (listed - DAY, listed - DAY, Status.PENDING)
    assert job.error == failed["reason"]
    assert API_KEY not in let_out(of_one, answered)


def assert_told_with_a_remedy(reason: str, words: tuple[str, str]) -> None:
    said, _, remedy = reason.partition("; ")
    assert said.startswith(words[0])
    assert words[1] in remedy


def test_a_429_is_told_in_airtables_own_words(local: Local, of_one: RunningFunction) -> None:
    """Airtable formats this error as a list of errors."""
    local.airtable.fail("rate-limit")

    answered = call(of_one)

    reason = answered.body["failed"][0]["reason"]
    assert "RATE_LIMIT_REACHED" in reason
    assert "Rate limit exceeded. Please try again later" in reason


@pytest.mark.parametrize(
    ("fails", "renewed"), [((BASE, LIST), OTHER_WEBHOOK), ((OTHER_BASE, LIST_OTHER), WEBHOOK)], ids=["first", "second"]
)
def test_a_base_that_fails_does_not_stop_the_other(
    local: Local, of_two: RunningFunction, fails: tuple[str, str], renewed: str
) -> None:
    """The answer has both, and it is an error, so that Cloud Scheduler tries again."""
    base, path = fails
    local.airtable.fail("forbidden", path=path)

    answered = call(of_two)

    (failed,), (refreshed,) = answered.body["failed"], answered.body["webhooks"]
    assert (answered.status, answered.body["webhooks_refreshed"]) == (500, 1)
    assert (failed["base_id"], refreshed["webhook_id"]) == (base, renewed)
    assert len(local.refreshes()) == 1


def test_a_webhook_that_fails_does_not_stop_the_other(local: Local, of_two: RunningFunction) -> None:
    """Each has its own record."""
    local.airtable.fail("internal", path=REFRESH)

    answered = call(of_two)

    assert answered.status == 500
    assert [failed["webhook_id"] for failed in answered.body["failed"]] == [WEBHOOK]
    assert [refreshed["webhook_id"] for refreshed in answered.body["webhooks"]] == [OTHER_WEBHOOK]
    assert local.storage.record(RECORD).error is not None
    assert local.storage.record(f"subscription:airtable:{OTHER_BASE}:{OTHER_WEBHOOK}").error is None


@pytest.mark.parametrize("path", [LIST, REFRESH], ids=["listing", "refresh"])
def test_the_pause_that_airtable_asks_for_is_made_once(local: Local, of_one: RunningFunction, path: str) -> None:
    """A 429 with Retry-After: 1, and then the answer."""
    local.airtable.fail("rate-limit-1s", path=path)

    answered = call(of_one)

    asked = [("GET", LIST), ("POST", REFRESH)]
    repeated = asked[[LIST, REFRESH].index(path)]
    assert (answered.status, answered.body["webhooks_refreshed"]) == (200, 1)
    assert local.asked() == sorted([*asked, repeated])


# -- settings ----------------------------------------------------------------------------------------------------------


def test_without_any_settings_it_is_up_and_says_what_is_missing(local: Local) -> None:
    """Health answers; a call names everything that is missing in one error and sends no request."""
    with local.running(UNSET) as function:
        health = function.call("/health", method="GET")
        answered = call(function)

    message = answered.body["error"]["message"]
    assert health == (200, {"status": "ok", "function": "airtable_refresh", "storage": "json"})
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert "AIRTABLE_API_KEY" in message
    assert "AIRTABLE_BASE_ID" in message
    assert local.asked() == []


def test_malformed_settings_are_named_together_and_the_key_is_not_shown(local: Local) -> None:
    """The answer has the names, the log the faults, and neither has a value: they may be interchanged."""
    malformed = {"AIRTABLE_API_KEY": "patLocal s3cret", "AIRTABLE_BASE_ID": f"{BASE}, patOther.s3cret"}
    with local.running(malformed) as function:
        answered = call(function)

    message = answered.body["error"]["message"]
    (logged,) = answered.errors()
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert all(name in message and name in logged for name in malformed)
    assert "AIRTABLE_BASE_ID is malformed: a base id is app and 14 letters or digits" in logged
    assert "s3cret" not in let_out(function, answered)
    assert local.asked() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("AIRTABLE_API_KEY", "patLocal\nsecret", id="two-lines"),
        pytest.param("AIRTABLE_API_KEY", "pätLocal", id="no-ascii"),
        pytest.param("AIRTABLE_BASE_ID", "appShort", id="short-base"),
        pytest.param("AIRTABLE_BASE_ID", f"{BASE} {OTHER_BASE}", id="no-comma"),
        pytest.param("AIRTABLE_BASE_ID", " , ", id="only-commas"),
        pytest.param("AIRTABLE_API_ENDPOINT", "api.airtable.com", id="no-scheme"),
    ],
)
def test_a_malformed_setting_is_named(local: Local, name: str, value: str) -> None:
    """Alone, if all others are valid."""
    with pytest.raises(InvalidSettings) as refused:
        AirtableSettings.from_env({**local.settings, name: value})

    assert refused.value.names == (name,)


# -- the record --------------------------------------------------------------------------------------------------------


def test_a_renewal_is_recorded_with_an_alarm_a_day_before_the_expiry(local: Local, of_one: RunningFunction) -> None:
    """The record is a job that the tick runs if nobody renews in time."""
    before = utc_now()

    call(of_one)

    job = local.storage.record(RECORD)
    expires_at = datetime.fromisoformat(local.expiration())
    assert job.payload.keys() == {"subscription", "renewed_at", "expires_at"}
    assert job.payload["subscription"] == TITLE
    assert before <= datetime.fromisoformat(job.payload["renewed_at"]) <= utc_now()
    assert datetime.fromisoformat(job.payload["expires_at"]) == expires_at
    assert (job.job_type, job.status) == ("subscription_check", Status.PENDING)
    assert job.schedule_at == job.ready_at == expires_at - DAY
    assert (job.lease_until, job.error) == (None, None)
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.COMPLETED]


def test_a_renewal_that_succeeds_clears_the_error(local: Local, of_one: RunningFunction) -> None:
    """Expiry and alarm are the new ones; the history keeps the failure."""
    local.airtable.fail("internal", path="/refresh")
    call(of_one)

    call(of_one)

    job = local.storage.record(RECORD)
    assert "error" not in job.payload
    assert job.error is None
    assert job.schedule_at == datetime.fromisoformat(local.expiration()) - DAY
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.FAILED, RunOutcome.COMPLETED]


def test_an_expired_webhook_is_recorded_with_an_alarm_at_once(local: Local, of_one: RunningFunction) -> None:
    """The expiry is the one that Airtable lists, although it was never renewed here."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=utc_now() - DAY))

    call(of_one)

    job = local.storage.record(RECORD)
    assert datetime.fromisoformat(job.payload["expires_at"]) == datetime.fromisoformat(local.expiration())
    assert REPLACE in str(job.payload["error"])
    assert job.ready_at is not None
    assert job.ready_at <= utc_now()


def test_a_webhook_that_never_expires_raises_no_alarm(local: Local, of_one: RunningFunction) -> None:
    """It cannot lapse."""
    local.hold(BASE, webhook(WEBHOOK, expires_at=None))

    call(of_one)

    job = local.storage.record(RECORD)
    assert (job.status, job.ready_at, job.payload["expires_at"]) == (Status.COMPLETED, None, None)


# -- two at once -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["one process", "two processes", pytest.param("firestore", marks=pytest.mark.emulator)])
def two_callable(local: Local, request: pytest.FixtureRequest) -> Iterator[tuple[Storage, list[RunningFunction]]]:
    """The function twice, over one store: as one process, as two on a file, as two on the emulator."""
    if request.param == "one process":
        of_one = request.getfixturevalue("of_one")
        yield local.storage, [of_one, of_one]
        return
    on_emulator = request.param == "firestore"
    storage = in_firestore(request.getfixturevalue("firestore_client")) if on_emulator else local.storage
    with ExitStack() as stack:
        yield storage, [stack.enter_context(local.running(storage=storage)) for _ in range(2)]


def test_two_calls_at_once_refresh_each_webhook_once(
    local: Local, two_callable: tuple[Storage, list[RunningFunction]]
) -> None:
    """The other call names a webhook as skipped, which is not an error."""
    storage, functions = two_callable
    ids = {WEBHOOK, OTHER_WEBHOOK}
    local.hold(BASE, *(webhook(webhook_id, expires_at=utc_now() + DAY) for webhook_id in sorted(ids)))

    answers = call_at_once(*functions)

    refreshed = [{hook["webhook_id"] for hook in answered.body["webhooks"]} for answered in answers]
    skipped = [set(answered.body.get("skipped", [])) for answered in answers]
    assert [answered.status for answered in answers] == [200, 200]
    assert refreshed[0] | refreshed[1] == ids
    assert skipped == [refreshed[1], refreshed[0]]
    assert sorted(local.refreshes()) == [f"{LIST}/{webhook_id}/refresh" for webhook_id in sorted(ids)]
    for webhook_id in ids:
        assert len(storage.record(f"subscription:airtable:{BASE}:{webhook_id}").recent_runs) == 1


def test_a_call_that_finds_everything_taken_says_so(
    local: Local, two_callable: tuple[Storage, list[RunningFunction]]
) -> None:
    """With one webhook, one of two calls has nothing to do."""
    _, functions = two_callable

    answers = call_at_once(*functions)

    (skipped,) = (answered for answered in answers if answered.body["status"] == "skipped")
    assert [answered.status for answered in answers] == [200, 200]
    assert skipped.body == {
        "status": "skipped",
        "message": "Skipped: another call refreshes the Airtable webhooks",
        "webhooks_refreshed": 0,
        "webhooks": [],
        "skipped": [WEBHOOK],
        "timestamp": skipped.body["timestamp"],
        "trace_id": skipped.trace,
    }
    assert local.refreshes() == [REFRESH]


# -- in this process: time that nobody waits for -----------------------------------------------------------------------


class HandClock:
    """A clock that only sleep moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.slept = timedelta()

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += timedelta(seconds=seconds)
        self.slept += timedelta(seconds=seconds)


@pytest.fixture
def clock(now: datetime) -> HandClock:
    return HandClock(now)


@pytest.fixture
def airtable(clock: HandClock) -> Iterator[Airtable]:
    """An Airtable with that clock."""
    with Airtable(clock=clock) as airtable:
        yield airtable


Refresh = Callable[..., dict[str, Any]]


@pytest.fixture
def refresh(airtable: Airtable, clock: HandClock, json_store: JsonStore) -> Refresh:
    """Refresh the webhooks of these bases, with a lease of this many seconds."""

    def run(
        lease_seconds: int = 300, *, bases: str = BASE, is_stopping: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        env = {"AIRTABLE_API_KEY": API_KEY, "AIRTABLE_BASE_ID": bases, "AIRTABLE_API_ENDPOINT": airtable.url}
        settings = Settings.from_env({"AUTH_MODE": "off", "SCHEDULER_LEASE_SECONDS": str(lease_seconds)})
        renewals = Renewals(
            json_store,
            settings,
            now=clock(),
            clock=clock,
            monotonic=lambda: clock().timestamp(),
            by="test",
            is_stopping=is_stopping,
            sleep=clock.sleep,
        )
        return airtable_webhooks.renew_webhooks(AirtableSettings.from_env(env), renewals)

    return run


@pytest.mark.parametrize("path", [LIST, REFRESH], ids=["listing", "refresh"])
def test_a_429_without_a_word_of_when_is_waited_for_half_a_minute(
    airtable: Airtable, clock: HandClock, refresh: Refresh, path: str
) -> None:
    """As Airtable documents it; the only other wait is the short pause before each refresh."""
    airtable.fail("rate-limit", path=path)

    answer = refresh()

    assert answer["webhooks_refreshed"] == 1
    assert [request.path for request in airtable.requests].count(path) == 2
    assert clock.slept == timedelta(seconds=30) + airtable_webhooks.APART


def test_a_429_is_asked_again_as_long_as_there_is_time(airtable: Airtable, clock: HandClock, refresh: Refresh) -> None:
    """Within the 180 seconds of the function, less the reserve of 90: three pauses, and then it fails."""
    began_at = clock()
    airtable.fail("rate-limit", times=99)

    with pytest.raises(RenewalFailed, match=r"429 .*, and there is no time left to pause"):
        refresh()

    assert len(airtable.requests) == 4
    assert clock() == began_at + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("lease_seconds", "pauses"), [pytest.param(60, 1, id="just-enough"), pytest.param(59, 0, id="just-too-little")]
)
def test_a_pause_that_ends_after_the_time_that_is_left_is_not_begun(
    airtable: Airtable, clock: HandClock, refresh: Refresh, lease_seconds: int, pauses: int
) -> None:
    """Half of a short lease is left for pauses: the call fails at once instead of waiting for nothing."""
    airtable.fail("rate-limit", times=99)

    with pytest.raises(RenewalFailed, match="Airtable said 429") as refused:
        refresh(lease_seconds)

    assert refused.value.answer["failed"][0]["base_id"] == BASE
    assert len(airtable.requests) == 1 + pauses
    assert clock.slept == pauses * timedelta(seconds=30)


AskForPause = Callable[[str], None]


@pytest.fixture
def ask_for_pause(airtable: Airtable, monkeypatch: pytest.MonkeyPatch) -> AskForPause:
    """Answer the next request with a 429 that has this Retry-After."""

    def ask(retry_after: str) -> None:
        answer = airtable.documented_errors["rate-limit-1s"]
        assert isinstance(answer, Response)
        pause = {"pause": replace(answer, headers={**answer.headers, "Retry-After": retry_after})}
        monkeypatch.setattr(Airtable, "documented_errors", {**airtable.documented_errors, **pause})
        airtable.fail("pause", path=LIST)

    return ask


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        pytest.param("0", 1, id="none"),
        pytest.param("7", 7, id="seconds"),
        pytest.param("Sat, 21 Nov 2026 09:00:07 GMT", 7, id="a-date"),
        pytest.param("soon", 30, id="unreadable"),
        pytest.param("9" * 4500, 30, id="no-number"),
    ],
)
def test_a_429_is_waited_for_as_its_retry_after_says(
    ask_for_pause: AskForPause, clock: HandClock, refresh: Refresh, asked: str, seconds: int
) -> None:
    """At least a second, and half a minute if it cannot be read."""
    ask_for_pause(asked)

    refresh()

    assert clock.slept == timedelta(seconds=seconds) + airtable_webhooks.APART


def test_a_pause_that_is_longer_than_any_call_is_not_begun(
    ask_for_pause: AskForPause, clock: HandClock, refresh: Refresh
) -> None:
    """The call fails at once instead of waiting for nothing."""
    ask_for_pause("99999")

    with pytest.raises(RenewalFailed, match="no time left to pause"):
        refresh()

    assert clock.slept == timedelta()


def test_a_base_that_there_is_no_time_for_is_not_listed(
    airtable: Airtable, clock: HandClock, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many bases at a silent Airtable would outlast the function, which could then report nothing."""

    def slow(request: Request) -> Response:
        clock.sleep(91)
        return airtable_error(503, "SERVICE_UNAVAILABLE", "The server could not process your request in time.")

    monkeypatch.setattr(Airtable, "documented_errors", {"slow": slow})
    airtable.fail("slow", path=LIST)

    with pytest.raises(RenewalFailed) as refused:
        refresh(bases=f"{BASE}, {OTHER_BASE}")

    first, second = refused.value.answer["failed"]
    assert first["reason"].startswith("Airtable said 503")
    assert second == {"base_id": OTHER_BASE, "reason": "there was no time left to list its webhooks; try again"}
    assert [request.path for request in airtable.requests] == [LIST]


def test_a_webhook_that_is_listed_no_more_fails_until_a_person_ends_it(
    airtable: Airtable, refresh: Refresh, json_store: JsonStore, clock: HandClock
) -> None:
    """It may be lost, and its record says so; a cancelled one is ignored."""
    refresh()
    clock.sleep(60)
    airtable.bases[BASE].clear()

    with pytest.raises(RenewalFailed, match="Airtable no longer lists it") as refused:
        refresh()

    job = json_store.get([RECORD])[RECORD]
    assert isinstance(job, Job)
    assert refused.value.answer["failed"][0]["webhook_id"] == WEBHOOK
    assert "no longer lists it" in job.payload["error"]
    json_store.swap([Change(job, job.cancel(now=clock(), retention=timedelta(days=1)))])
    assert refresh()["webhooks_refreshed"] == 0


def test_the_records_of_a_base_that_cannot_be_read_say_so(
    airtable: Airtable, refresh: Refresh, json_store: JsonStore, clock: HandClock
) -> None:
    """So the alarm has the last error."""
    refresh()
    clock.sleep(60)
    airtable.fail("unauthorized", path=LIST)

    with pytest.raises(RenewalFailed, match="401"):
        refresh()

    job = json_store.get([RECORD])[RECORD]
    assert isinstance(job, Job)
    assert job.payload["error"].startswith("Airtable said 401")
    assert "expires_at" in job.payload


def test_a_pause_ends_when_the_process_is_told_to(airtable: Airtable, clock: HandClock, refresh: Refresh) -> None:
    """It may be killed after ten seconds."""
    airtable.fail("rate-limit", times=99)

    with pytest.raises(RenewalFailed, match="Airtable said 429"):
        refresh(is_stopping=lambda: clock.slept >= timedelta(seconds=5))

    assert clock.slept == timedelta(seconds=5)


@pytest.mark.parametrize("path", [LIST, REFRESH], ids=["listing", "refresh"])
def test_an_airtable_that_never_answers_is_given_up(
    airtable: Airtable, refresh: Refresh, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The request is not repeated."""
    monkeypatch.setattr(airtable_webhooks, "TIMEOUT_SECONDS", (0.2, 0.2))  # nobody is to wait for the real ones
    airtable.fail("hang", path=path)

    with pytest.raises(RenewalFailed) as refused:
        refresh()

    (failed,) = refused.value.answer["failed"]
    assert failed["reason"].startswith("Airtable said something unusable (ReadTimeout")
    assert AGAIN in failed["reason"]
    assert [request.path for request in airtable.requests].count(path) == 1
    assert API_KEY not in json.dumps(refused.value.answer)
