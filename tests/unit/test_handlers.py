"""How handlers are registered and found, what they get, and what their results and errors mean."""

import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from shared import handlers
from shared.errors import InvalidInput, InvalidSettings
from shared.handlers import (
    DEFAULT_TIMEOUT,
    Cancel,
    Context,
    Handler,
    Handlers,
    InvalidPayload,
    Payload,
    Snooze,
    check_payload,
    handler,
    load_handlers,
    registry,
)
from shared.model.history import Result, RunOutcome
from shared.model.job import Job
from shared.running.running_job import RunningJob
from shared.running.tasks import Tasks
from shared.running.workers import Workers, time_limit
from shared.settings import TaskQueues

MINUTE = timedelta(minutes=1)
RETENTION = timedelta(days=30)

JobFactory = Callable[..., Job]
Run = Callable[..., Result]
WriteModule = Callable[[str, str], None]


def nothing(payload: Payload, context: Context) -> None:
    """Succeed."""


def raising(exc: BaseException) -> Callable[[Payload, Context], object]:
    def run(payload: Payload, context: Context) -> None:
        raise exc

    return run


def refuse_all(payload: Payload) -> None:
    raise InvalidPayload("name: it must be text")


@pytest.fixture(autouse=True)
def own_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the built-in handlers alone, and forget after each test what it registered."""
    built_in = {name: known for name, known in load_handlers(()).items() if known.run.__module__.startswith("shared.")}
    monkeypatch.setattr(registry, "_registered", built_in)


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WriteModule]:
    """Return a function that writes an importable module; it is forgotten after the test.

    The user's own `agent` package is out of sight meanwhile.
    """
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("agent", "agent.handlers"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "__init__.py").touch()
    written = ["agent", "agent.handlers"]

    def write(name: str, text: str) -> None:
        (tmp_path / name.replace(".", "/")).with_suffix(".py").write_text(text)
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def context(now: datetime) -> Context:
    return Context(
        job_id="job",
        job_type="log",
        execution_key="job@2026-11-21T09:00:00Z",
        attempt=1,
        schedule_at=now,
        started_at=now,
        deadline=now + DEFAULT_TIMEOUT,
    )


@pytest.fixture
def held(job_factory: JobFactory, now: datetime) -> RunningJob:
    """A claimed job of type `greet`."""
    found = job_factory(job_type="greet", space="spaces/A", by="ada")
    job = found.claim(now=now, token="token", lease=5 * MINUTE, retention=RETENTION)
    return RunningJob(found=found, job=job, limit=MINUTE)


@pytest.fixture
def run(held: RunningJob, now: datetime) -> Run:
    """Return a function that runs `held` with these handlers, as a tick does, and returns the result."""

    def run(handlers: Handlers) -> Result:
        workers = Workers(1, handlers, Tasks(TaskQueues()), lambda: now, timedelta)
        workers.start(held)
        workers.close()
        _, result = workers.results.get(timeout=1)
        assert isinstance(result, Result)
        return result

    return run


def greeting(run: Callable[[Payload, Context], object], **details: Any) -> Handlers:
    """Handlers with `greet` only."""
    return {"greet": Handler(job_type="greet", run=run, **details)}


# -- registering -------------------------------------------------------------------------------------------------------


def test_a_decorated_function_is_found_by_its_job_type() -> None:
    """It can be called as before, and has the limit and the check that were given."""
    greet = handler("greet", timeout=MINUTE, check=refuse_all)(nothing)

    assert greet is nothing
    assert load_handlers(())["greet"] == Handler(job_type="greet", run=nothing, timeout=MINUTE, check=refuse_all)


def test_a_handler_has_a_limit_when_none_is_given() -> None:
    """30 seconds, so that nothing runs for ever."""
    handler("greet")(nothing)

    assert load_handlers(())["greet"].timeout == timedelta(seconds=30)


def test_the_handlers_that_come_with_it_are_always_there() -> None:
    """`http_request` and `log` need no setting."""
    assert load_handlers(()).keys() >= {"http_request", "log"}


def test_the_code_of_a_built_in_handler_is_where_it_is_looked_for() -> None:
    """It is imported by name with the first job, so no type checker notices a wrong name."""
    for known in load_handlers(()).values():
        named = [function for function in (known.run, known.check, known.timeout_of) if function is not None]

        for function in named:
            assert function.__name__ == "<lambda>" or hasattr(
                import_module(function.__module__), function.__qualname__
            ), known.job_type


@pytest.mark.parametrize("job_type", ["http_request", "chat_message", "agent"])
def test_a_built_in_handler_that_cannot_be_imported_is_named_with_the_reason(
    job_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is not installed is no fault of the job: who makes or runs it reads what is missing."""
    known = load_handlers(())[job_type]
    monkeypatch.setitem(sys.modules, known.run.__module__, None)

    with pytest.raises(InvalidSettings) as caught:
        check_payload(load_handlers(()), job_type, {})

    assert str(caught.value).startswith(f"{known.run.__module__} cannot be imported: ModuleNotFoundError: ")


def test_what_is_loaded_cannot_be_changed() -> None:
    """Only `@handler` adds handlers."""
    handlers = load_handlers(())

    with pytest.raises(TypeError):
        handlers["log"] = handlers["http_request"]  # type: ignore[index]  # which is the point


def test_a_name_taken_twice_names_both_functions() -> None:
    """Which one runs must not depend on the order of imports."""
    handler("greet")(nothing)

    with pytest.raises(InvalidSettings) as caught:
        handler("greet")(refuse_all)  # type: ignore[arg-type]  # it is never run

    assert "'greet'" in str(caught.value)
    assert f"{__name__}.nothing" in str(caught.value)
    assert f"{__name__}.refuse_all" in str(caught.value)
    assert load_handlers(())["greet"].run is nothing


def test_a_built_in_name_cannot_be_taken() -> None:
    """The job types that come with it are not replaced by accident."""
    with pytest.raises(InvalidSettings, match="http_request"):
        handler("http_request")(nothing)


def test_a_module_may_be_imported_again() -> None:
    """The same function under the same name is not a conflict, because a failed import is repeated."""
    handler("greet")(nothing)
    handler("greet", timeout=MINUTE)(nothing)

    assert load_handlers(())["greet"].timeout == MINUTE


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({"timeout": 30}, id="a-timeout-in-seconds"),
        pytest.param({"timeout": timedelta(0)}, id="no-time"),
        pytest.param({"timeout": timedelta(seconds=-1)}, id="less-than-no-time"),
    ],
)
def test_a_limit_that_is_none_is_refused_when_it_is_registered(details: dict[str, Any]) -> None:
    """The error names the handler, long before a tick would fail."""
    with pytest.raises(InvalidSettings, match="greet"):
        handler("greet", **details)(nothing)


@pytest.mark.parametrize("job_type", ["", "two words", nothing], ids=["empty", "a-space", "decorator-without-a-name"])
def test_a_name_that_no_job_can_have_is_refused_when_it_is_registered(job_type: Any) -> None:
    """It must be a typing error; `@handler` without a name would silently register nothing."""
    with pytest.raises(InvalidSettings):
        handler(job_type)(nothing)


async def waiting(payload: Payload, context: Context) -> None:
    """Never get here."""


async def waiting_for_more(payload: Payload, context: Context) -> AsyncIterator[int]:
    """Never get here."""
    yield 1


def yielding(payload: Payload, context: Context) -> Iterator[int]:
    """Never get here."""
    yield 1


class Waiting:
    """A handler that is an object."""

    async def __call__(self, payload: Payload, context: Context) -> None:
        """Never get here."""


@pytest.mark.parametrize("function", [waiting, waiting_for_more, yielding, Waiting(), partial(waiting, {})])
def test_a_function_that_does_nothing_when_it_is_called_is_refused(function: Any) -> None:
    """Nothing would await or iterate it, and each of its jobs would count as done."""
    with pytest.raises(InvalidSettings, match="greet"):
        handler("greet")(function)


# -- loading -----------------------------------------------------------------------------------------------------------

GREET = "from shared.handlers import handler\n@handler('greet')\ndef greet(payload, context): ...\n"


def test_named_modules_are_imported(write_module: WriteModule) -> None:
    """Modules in JOB_HANDLERS may register handlers."""
    write_module("greetings", GREET)

    handlers = load_handlers(["greetings"])

    assert handlers["greet"].run.__module__ == "greetings"


def test_the_agents_handlers_are_imported_without_being_named(write_module: WriteModule) -> None:
    """`agent/handlers.py` is where the user's code is expected."""
    write_module("agent.handlers", GREET)

    handlers = load_handlers(())

    assert handlers["greet"].run.__module__ == "agent.handlers"


@pytest.mark.usefixtures("write_module")
def test_the_agents_handlers_may_be_absent() -> None:
    """A package `agent` without handlers is fine."""
    assert "log" in load_handlers(())


def test_the_whole_agent_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that was deployed without the user's code still works."""
    monkeypatch.setattr(sys, "path", [])
    for name in ("agent", "agent.handlers"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    assert "log" in load_handlers(())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("import no_such_package", "No module named 'no_such_package'", id="something-missing"),
        pytest.param("from shared.handlers import nobody", "cannot import name 'nobody'", id="a-name-missing"),
        pytest.param("def greet(", "SyntaxError", id="broken-syntax"),
        pytest.param("1 / 0", "ZeroDivisionError: division by zero", id="an-error"),
        pytest.param(GREET.replace("greet", "log"), "two handlers are registered for 'log'", id="a-name-taken-twice"),
        pytest.param("raise SystemExit('no key')", "no key", id="an-exit"),
    ],
)
@pytest.mark.parametrize("module", ["agent.handlers", "greetings"])
def test_a_module_that_cannot_be_imported_is_named_with_the_reason(
    write_module: WriteModule, module: str, text: str, reason: str
) -> None:
    """The error has the module and the import's own error."""
    write_module(module, text)

    with pytest.raises(InvalidSettings) as caught:
        load_handlers(["greetings"] if module == "greetings" else [])

    assert f"{module} cannot be imported" in str(caught.value)
    assert ("JOB_HANDLERS" in str(caught.value)) is (module == "greetings")
    assert reason in str(caught.value)


@pytest.mark.parametrize("module", ["no_such_module", "agent.nobody", "two words", ".relative"])
@pytest.mark.usefixtures("write_module")
def test_a_named_module_that_does_not_exist_is_named(module: str) -> None:
    """A typing error in JOB_HANDLERS is an error now, not a missing job type later."""
    with pytest.raises(InvalidSettings, match=f"JOB_HANDLERS.*{module}"):
        load_handlers([module])


def test_a_module_that_misses_the_agents_handlers_is_named(write_module: WriteModule) -> None:
    """They may be absent, but not for a module that imports them."""
    write_module("greetings", "import agent.handlers")

    with pytest.raises(InvalidSettings, match=r"greetings .*agent\.handlers"):
        load_handlers(["greetings"])


@pytest.mark.usefixtures("write_module")
def test_the_agents_handlers_must_exist_when_they_are_named() -> None:
    """Only modules that are not named may be absent."""
    with pytest.raises(InvalidSettings, match=r"JOB_HANDLERS.*agent\.handlers"):
        load_handlers(["agent.handlers"])


def test_a_module_is_found_once_it_is_mended(write_module: WriteModule) -> None:
    """A failed import leaves nothing that prevents the next one."""
    write_module("greetings", f"{GREET}1 / 0")
    with pytest.raises(InvalidSettings):
        load_handlers(["greetings"])
    write_module("greetings", f"{GREET}# mended, and of another length")

    handlers = load_handlers(["greetings"])

    assert "greet" in handlers


# -- what a handler says -----------------------------------------------------------------------------------------------


def test_a_handler_that_returns_has_succeeded(run: Run, now: datetime) -> None:
    """The returned value is its output."""
    result = run(greeting(lambda payload, context: {"greeted": ["Ada"]}))

    assert result == Result(started_at=now, ended_at=now, by="schedule", output='{"greeted": ["Ada"]}')


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        pytest.param(ValueError("no such person"), "ValueError: no such person", id="error"),
        pytest.param(ValueError(), "ValueError", id="error-without-words"),
        pytest.param(SystemExit(3), "SystemExit: 3", id="exit"),
    ],
)
def test_a_handler_that_raises_has_failed_and_is_tried_again(
    run: Run, held: RunningJob, exc: Exception, error: str
) -> None:
    """The error is recorded by class and text, and is not final."""
    result = run(greeting(raising(exc)))

    assert (result.error, result.final, result.later) == (error, False, None)
    assert held.exception is exc


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        pytest.param(Cancel("she has left"), "she has left", id="cancel"),
        pytest.param(Cancel(), "Cancel", id="cancel-without-words"),
        pytest.param(InvalidPayload("name: it must be text"), "name: it must be text", id="invalid-payload"),
    ],
)
def test_never_again_is_final(run: Run, held: RunningJob, exc: Exception, error: str) -> None:
    """A handler uses it when another attempt would be useless."""
    result = run(greeting(raising(exc)))

    assert (result.error, result.final, result.later) == (error, True, None)
    assert held.exception is exc


def test_later_is_no_failure(run: Run, held: RunningJob) -> None:
    """The same occurrence runs again after the pause, without using an attempt."""
    result = run(greeting(raising(Snooze(2 * MINUTE, "she is asleep"))))

    finished = held.job.finish(result, retention=RETENTION)
    assert (result.error, result.final, result.later) == ("she is asleep", False, 2 * MINUTE)
    assert finished.recent_runs[-1].outcome is RunOutcome.LATER
    assert finished.attempts == 0
    assert finished.execution_key == held.job.execution_key


def test_the_former_names_are_the_same_classes() -> None:
    """Handlers that use them still work, whichever name is caught."""
    assert handlers.Later is Snooze
    assert handlers.NeverAgain is Cancel


def test_later_needs_no_reason() -> None:
    """The pause is enough."""
    assert str(Snooze(2 * MINUTE)) == "asked to run again in 120 s"


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(lambda: Snooze(30), id="seconds"),  # type: ignore[arg-type]  # which is the point
        pytest.param(lambda: Snooze(30, "busy"), id="seconds-and-a-reason"),  # type: ignore[arg-type]  # which is the point
        pytest.param(lambda: Snooze(None, "busy"), id="nothing"),  # type: ignore[arg-type]  # which is the point
        pytest.param(lambda: Snooze(timedelta.max, "busy"), id="longer-than-time"),
        pytest.param(lambda: Snooze(timedelta.min, "busy"), id="before-all-time"),
    ],
)
def test_a_senseless_pause_harms_nobody_but_its_job(run: Run, held: RunningJob, later: Callable[[], Snooze]) -> None:
    """The tick can store the result of any argument of `Snooze`."""

    def run_greet(payload: Payload, context: Context) -> None:
        raise later()

    result = run(greeting(run_greet))

    assert held.job.finish(result, retention=RETENTION).error


def test_an_error_of_any_text_can_be_stored(run: Run, held: RunningJob) -> None:
    """Half of a surrogate pair, which no store can write, is replaced."""
    result = run(greeting(raising(ValueError("half: \ud83d"))))

    error = held.job.finish(result, retention=RETENTION).error
    assert error is not None
    assert error.encode().startswith(b"ValueError: half: ")


def test_an_error_that_cannot_even_be_told_is_a_failure(run: Run) -> None:
    """The thread that ran the handler survives and reports it."""

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    result = run(greeting(raising(Unspeakable())))

    assert result.error


def test_invalid_payload_is_invalid_input_too() -> None:
    """When a job is made it is ordinary bad input; in a run it is final."""
    assert issubclass(InvalidPayload, InvalidInput)
    assert issubclass(InvalidPayload, Cancel)


def test_an_unknown_job_type_is_a_failure_that_names_it(run: Run) -> None:
    """The error has the known types and where to add one; the next version of the code may know it."""
    result = run({"wave": Handler(job_type="wave", run=nothing)})

    assert result.error is not None
    assert "'greet'" in result.error
    assert "wave" in result.error
    assert "JOB_HANDLERS" in result.error
    assert not result.final


def test_a_payload_that_the_check_refuses_is_never_run(run: Run) -> None:
    """The check precedes every run, because a stored payload may be older than it."""
    calls: list[Payload] = []

    result = run(greeting(lambda payload, context: calls.append(payload), check=refuse_all))

    assert (result.error, result.final) == ("name: it must be text", True)
    assert calls == []


class Busy(Snooze):
    """An error of another class that means "later"."""

    delay: Any

    def __init__(self, delay: object) -> None:
        Exception.__init__(self, "busy")
        self.delay = delay


class Nasty(Snooze):
    """An object that raises another error whenever it is inspected."""

    def __init__(self) -> None:
        """Set nothing."""

    def __str__(self) -> str:
        raise SystemExit

    def __getattribute__(self, name: str) -> Any:
        if name == "delay":
            raise KeyError(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "raised", [Busy(60), Busy("1h"), Busy(None), Nasty()], ids=["seconds", "text", "none", "nasty"]
)
def test_a_later_without_a_pause_is_a_failure(run: Run, raised: Snooze) -> None:
    """The error names what is missing, and the job is retried."""

    def handle(payload: Payload, context: Context) -> None:
        raise raised

    result = run(greeting(handle))

    assert (result.later, result.final) == (None, False)
    assert result.error is not None
    assert "needs a timedelta" in result.error


def test_an_error_text_without_end_is_cut(run: Run) -> None:
    """To the length that is stored."""

    def handle(payload: Payload, context: Context) -> None:
        raise RuntimeError("x" * 20_000_000)

    result = run(greeting(handle))

    assert result.error is not None
    assert len(result.error) < 1100


# -- what a handler gets ----------------------------------------------------------------------------------------------


def test_a_handler_is_told_about_its_run(run: Run, held: RunningJob, now: datetime) -> None:
    """It gets the stored payload and the facts of this attempt."""
    told: list[tuple[Payload, Context]] = []
    held.job = replace(held.job, attempts=2, timezone="Europe/Berlin")

    run(greeting(lambda payload, context: told.append((payload, context))))

    ((payload, context),) = told
    assert payload == {"message": "hello"}
    assert (context.job_id, context.job_type, context.attempt) == ("job", "greet", 3)
    assert (context.schedule_at, context.started_at, context.deadline) == (now, now, now + MINUTE)
    assert context.execution_key == "job@2026-11-21T09:00:00Z"
    assert (context.space, context.created_by, context.timezone) == ("spaces/A", "ada", "Europe/Berlin")


def test_a_handler_is_not_asked_to_stop_at_first(context: Context) -> None:
    """It may run to its deadline."""
    assert not context.stop.is_set()
    assert context.stop_reason is None


def test_the_first_reason_to_stop_counts(context: Context) -> None:
    """Later reasons change nothing."""
    context.ask_to_stop("cancelled")
    context.ask_to_stop("time limit")

    assert context.stop.is_set()
    assert context.stop_reason == "cancelled"


def test_the_reason_is_there_when_a_waiting_handler_wakes(context: Context) -> None:
    """A handler that waits on `stop` in its thread can read the reason at once."""
    reasons: list[str | None] = []

    def wait() -> None:
        context.stop.wait(1)
        reasons.append(context.stop_reason)

    thread = threading.Thread(target=wait)
    thread.start()
    context.ask_to_stop("lease lost")
    thread.join()

    assert reasons == ["lease lost"]


def test_contexts_share_nothing(context: Context) -> None:
    """Stopping one run stops no other."""
    another = Context(
        job_id="another",
        job_type="log",
        execution_key="another@2026-11-21T09:00:00Z",
        attempt=1,
        schedule_at=context.schedule_at,
        started_at=context.started_at,
        deadline=context.deadline,
    )

    context.ask_to_stop("paused")

    assert not another.stop.is_set()
    assert another.stop_reason is None


def test_a_handler_cannot_change_what_it_is_told(context: Context) -> None:
    """The deadline is the tick's."""
    with pytest.raises(FrozenInstanceError):
        context.deadline = context.deadline + MINUTE  # type: ignore[misc]  # which is the point


# -- limits and checks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout_of", "limit"),
    [
        pytest.param(None, MINUTE, id="fixed"),
        pytest.param(lambda payload: timedelta(seconds=payload["seconds"]), timedelta(seconds=5), id="asked-for"),
        pytest.param(lambda payload: 2 * MINUTE, MINUTE, id="at-most-the-fixed-one"),
        pytest.param(lambda payload: payload["minutes"], MINUTE, id="payload-makes-no-sense"),
        pytest.param(lambda payload: payload["seconds"], MINUTE, id="limit-makes-no-sense"),
    ],
)
def test_a_payload_can_ask_for_less_time(timeout_of: Callable[[Payload], timedelta] | None, limit: timedelta) -> None:
    """Never for more; an invalid one gets the whole time, and the run refuses it."""
    greet = Handler(job_type="greet", run=nothing, timeout=MINUTE, timeout_of=timeout_of)

    assert greet.limit({"seconds": 5}) == limit


def test_a_job_of_an_unknown_type_has_the_default_limit(job_factory: JobFactory) -> None:
    """It takes no time anyway."""
    assert time_limit({}, job_factory(job_type="greet"), 2 * DEFAULT_TIMEOUT) == DEFAULT_TIMEOUT


def test_a_payload_is_checked_by_its_handler() -> None:
    """It is refused when the job is made."""
    with pytest.raises(InvalidPayload, match="name: it must be text"):
        check_payload(greeting(nothing, check=refuse_all), "greet", {})


@pytest.mark.parametrize("job_type", ["greet", "wave"], ids=["no-check", "unknown-type"])
def test_without_a_check_any_payload_is_taken(job_type: str) -> None:
    """A job may be made before its handler is deployed."""
    check_payload(greeting(nothing), job_type, {"anything": 1})


# -- the log handler ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["hello", "100 % sure, %s and %d", "two\nlines", '{"json": "too"}'])
def test_a_log_job_writes_its_message(context: Context, caplog: pytest.LogCaptureFixture, message: str) -> None:
    """The message arrives as it is, with the job's id beside it."""
    caplog.set_level(logging.INFO, "watchkeeper")

    load_handlers(())["log"].run({"message": message}, context)

    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("INFO", message)
    assert vars(record)["fields"]["job_id"] == "job"


@pytest.mark.parametrize("payload", [{}, {"message": ""}, {"message": None}, {"message": 5}, {"message": ["hello"]}])
def test_a_log_job_without_a_message_is_refused(context: Context, payload: Payload) -> None:
    """Both the check and the run say what is missing."""
    log = load_handlers(())["log"]
    assert log.check is not None

    with pytest.raises(InvalidPayload, match="message"):
        log.check(payload)
    with pytest.raises(InvalidPayload, match="message"):
        log.run(payload, context)
