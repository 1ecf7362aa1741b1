"""The benchmarks' arithmetic, their table, and the proxy that delays calls. Nothing here is a measurement."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.firestore_v1.types import Document, RunQueryResponse

from bench.bare import claim_fields, finish_fields
from bench.base import Pair
from bench.billing import Cashier
from bench.figure import Figure, exit_code
from bench.functions import Start, cold_start
from bench.half_cpu import cpu_clock, governed
from bench.installed import sizes_of
from bench.jobs import RETENTION, due_jobs, finished_jobs
from bench.measuring import TIMES, measured
from bench.parts import profiled
from bench.site import Site
from bench.slow_proxy import slow_proxy
from bench.table import notes_of, row_of
from bench.ticks import without_scan
from shared.model.history import Result
from shared.model.value import Status
from shared.store.documents import changed_fields, to_document

PATIENCE = 10  # seconds for what another thread is to do


@pytest.fixture
def echo() -> Iterator[str]:
    """The `host:port` of a server that returns what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_echo, args=[server])
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(PATIENCE)


def _echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(65_536):
            connection.sendall(data)


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def _say(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def _figure(*runs: float, **given: Any) -> Figure:
    return Figure(name="tick", unit="s", runs=runs, **given)


def test_a_figure_is_the_median_of_its_runs_with_their_spread() -> None:
    """One slow run does not move the figure, but shows in the spread."""
    figure = _figure(1.0, 9.0, 2.0, 1.5, 2.5)

    assert figure.value == 2.0
    assert figure.spread == (1.0, 9.0)


def test_the_ratio_is_that_of_the_medians() -> None:
    """Measured and bare runs are compared by their medians, not run by run."""
    figure = _figure(3.0, 4.0, 50.0, bare=(1.0, 2.0, 10.0))

    assert figure.limit == 2.0
    assert figure.ratio == 2.0


@pytest.mark.parametrize(
    ("figure", "is_held"),
    [
        pytest.param(_figure(9.0), True, id="without-a-budget"),
        pytest.param(_figure(3.0, bare=(1.5,), budget=2.0), True, id="ratio-at-the-edge"),
        pytest.param(_figure(3.1, bare=(1.5,), budget=2.0), False, id="ratio-over-it"),
        pytest.param(_figure(150.0, budget=150), True, id="value-at-the-edge"),
        pytest.param(_figure(150.1, budget=150), False, id="value-over-it"),
        pytest.param(_figure(1.0, budget=0), False, id="nothing-allowed"),
    ],
)
def test_a_budget_bounds_the_ratio_or_the_value(figure: Figure, is_held: bool) -> None:
    """With a bare limit the budget is a ratio, otherwise a value; a figure may be equal to it."""
    assert figure.is_held is is_held
    assert exit_code([_figure(1.0), figure]) == (0 if is_held else 1)


def test_json_has_the_runs_and_the_figures() -> None:
    """A reader of the JSON needs no arithmetic, and can repeat it."""
    told = _figure(3.0, 5.0, 4.0, bare=(2.0,), budget=1.5, note="so it is").as_object()

    assert told == {
        "name": "tick",
        "unit": "s",
        "median": 4.0,
        "spread": (3.0, 5.0),
        "runs": (3.0, 5.0, 4.0),
        "bare_median": 2.0,
        "bare_runs": (2.0,),
        "ratio": 2.0,
        "judged_spread": (2.0, 2.0),
        "budget": 1.5,
        "held": False,
        "note": "so it is",
        "parts": {},
        "bare_parts": {},
        "others": None,
    }


@pytest.mark.parametrize(
    ("figure", "is_doubtful"),
    [
        pytest.param(_figure(1.0, 1.1, 1.3, 1.4, 1.5, bare=(1.0,) * 5, budget=1.2), True, id="within-the-spread"),
        pytest.param(_figure(1.3, 1.3, 1.4, 1.5, 1.5, bare=(1.0,) * 5, budget=1.2), False, id="slower"),
        pytest.param(_figure(1.0, 1.1, 1.1, 1.4, 1.5, bare=(1.0,) * 5, budget=1.2), False, id="held"),
        pytest.param(_figure(2.0, 4.0, 4.1, 1.9, 2.0, bare=(1.0, 2.0, 2.0, 1.0, 1.0), budget=1.9), False, id="pairs"),
        pytest.param(_figure(1.0, budget=0), False, id="a-count"),
    ],
)
def test_a_budget_that_is_missed_by_less_than_the_spread_is_doubtful(figure: Figure, is_doubtful: bool) -> None:
    """The spread is that of the ratios round by round, so it leaves out a slow phase of the machine."""
    assert figure.is_doubtful is is_doubtful


def test_a_doubtful_group_is_measured_again_and_judged_by_all_runs() -> None:
    """It ends without a doubt, or after three times."""
    slow, quick = (1.0, 1.1, 1.3, 1.4, 1.5), (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    site: Any = SimpleNamespace(clear=lambda: None)
    groups = {"in-the-end": _group(slow, quick), "never": _group(*[slow] * TIMES), "clear": _group(quick)}

    held, never, clear = measured(site, list(groups), groups)

    assert (held.runs, held.is_held) == (slow + quick, True)
    assert (len(never.runs), never.is_held) == (len(slow) * TIMES, False)
    assert (clear.runs, clear.is_held) == (quick, True)


def _group(*measurements: tuple[float, ...]) -> Callable[[Site], Iterator[Figure]]:
    """Return a group of one figure, which returns the next of these runs each time."""
    each = iter(measurements)
    return lambda site: iter([_figure(*next(each), bare=(1.0,) * 7, budget=1.2)])


@pytest.mark.parametrize(
    ("here", "there", "verdict"),
    [
        pytest.param((1.2, 1.3, 1.3, 1.4), (1.0, 1.0, 1.0, 1.1), "slower", id="slower"),
        pytest.param((1.0, 1.0, 1.0, 1.1), (1.2, 1.3, 1.3, 1.4), "faster", id="faster"),
        pytest.param((1.0, 1.2, 1.4, 1.6), (1.0, 1.1, 1.2, 1.6), "", id="within-the-spread"),
        pytest.param((1.02,) * 4, (1.0,) * 4, "", id="too-little"),
    ],
)
def test_a_figure_is_slower_only_if_the_ratios_lie_apart(here: Any, there: Any, verdict: str) -> None:
    """The middle halves of the ratios must not overlap, so noise is not a change."""
    pair = Pair(_figure(*here, bare=(1.0,) * 4), _figure(*there, bare=(1.0,) * 4))

    assert (pair.is_slower, pair.is_faster) == (verdict == "slower", verdict == "faster")


def test_time_is_divided_by_what_it_was_spent_on(now: datetime) -> None:
    """A library's work on job values counts for the values; the rest has its own line."""

    def work() -> None:
        until = time.perf_counter() + 0.05
        while time.perf_counter() < until:
            finished_jobs(1, now=now)

    parts = profiled(work).parts

    assert next(iter(parts)) == "job values"
    assert sum(parts.values()) == pytest.approx(0.05, abs=0.04)


def test_parts_stand_beside_those_of_the_bare_limit() -> None:
    """Parts that take almost no time are left out."""
    figure = _figure(2.0, parts={"calls": 1.5, "logs": 0.5, "pausing": 0.001}, bare_parts={"calls": 1.25})

    assert notes_of(figure) == ["tick, one run in seconds: calls 1.50, logs 0.50; the bare limit: calls 1.25"]


def test_half_a_cpu_halves_a_busy_process() -> None:
    """A busy process runs half of the time, and all of it once the quota is lifted."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        with governed(busy.pid):
            # The governor takes a while to start, and on a busy machine it wakes late and makes up for it afterwards.
            half = _becomes_true(lambda: _share_of_a_cpu(busy.pid) < 0.65)
        goes_on = _becomes_true(lambda: _share_of_a_cpu(busy.pid) > 0)
        busy.kill()

    assert half
    assert goes_on


def _becomes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if condition():
            return True
    return False


def _share_of_a_cpu(pid: int) -> float:
    """Return for how much of the next half second another process runs."""
    clock = cpu_clock(pid)
    began, used = time.monotonic(), time.clock_gettime(clock)
    time.sleep(0.5)
    return (time.clock_gettime(clock) - used) / (time.monotonic() - began)


def test_json_can_be_read_again() -> None:
    """The two sides of a comparison exchange their figures."""
    figure = _figure(3.0, 4.0, bare=(2.0,), budget=1.5, parts={"calls": 1.0}, others=0.5)

    assert Figure.from_object(json.loads(json.dumps(figure.as_object()))) == figure


@pytest.mark.parametrize(
    ("figure", "cells"),
    [
        pytest.param(
            _figure(3.0, 5.1, 4.0, bare=(2.0,), budget=1.5),
            ("tick", "4 s", "3 .. 5.10", "2", "2.00", "2 .. 2", "1.50 x", "NO", ""),
            id="beside-a-bare-limit",
        ),
        pytest.param(_figure(74.96, budget=150), ("tick", "75.0 s", "", "", "", "", "150", "yes", ""), id="by-itself"),
        pytest.param(_figure(12_345.6, others=0.25), ("tick", "12,346 s", *[""] * 6, "0.2"), id="for-information"),
    ],
)
def test_a_row_leaves_a_missing_value_empty(figure: Figure, cells: tuple[str, ...]) -> None:
    """A cell without a value is empty; numbers have only significant digits."""
    assert row_of(figure) == cells


def test_the_emulators_scan_is_subtracted_round_by_round() -> None:
    """An idle tick is not blamed for the bare query's own wait; the note has the difference."""
    figure = without_scan("idle", (65.0, 95.0, 64.0), (34.0, 35.0, 36.0), scans=(30.0, 60.0, 30.0))

    assert figure.runs == (35.0, 35.0, 34.0)
    assert figure.ratio == 1.0
    assert "65.0 ms, 1.86 x" in figure.note


def test_a_cold_start_is_compared_with_hello_world_and_the_import() -> None:
    """The calls that the first answer makes are taken off, as the warm answer tells them."""
    starts = [
        Start(first=0.8, warm=0.2, imports=0.2, use=0.1),
        Start(first=0.9, warm=0.3, imports=0.3, use=0.1),
    ]

    figure = cold_start("tick", starts, [0.4, 0.3], budget=1.05)

    assert figure.runs == pytest.approx((600, 600))
    assert figure.bare == pytest.approx((700, 700))
    assert figure.is_held


def test_the_installed_size_counts_the_packages_of_the_lock(tmp_path: Path) -> None:
    """By the files of the packages; packages for another platform, which are not installed, do not count."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("click==8.0 \\\n    --hash=sha256:0\nno-such-package==1 ; sys_platform == 'win32' \\\n")

    sizes = sizes_of(lock)

    assert sizes.keys() == {"click", "no-such-package"}
    assert sizes["no-such-package"] == 0 < sizes["click"] < 2**20


def test_operations_are_counted_as_firestore_bills_them() -> None:
    """Each document is a read, a query that finds nothing is one too, and each write of a batch counts."""
    cashier = Cashier()
    found = [RunQueryResponse(document=Document(name=name)) for name in ("a", "b")]
    for answers in ([*found, RunQueryResponse()], [RunQueryResponse()]):
        query = SimpleNamespace(method="/google.firestore.v1.Firestore/RunQuery")
        heard = cashier.intercept_unary_stream(lambda details, request, given=answers: given, query, object())
        assert list(heard) == answers
    batch = SimpleNamespace(method="/google.firestore.v1.Firestore/BatchWrite")
    answer = cashier.intercept_unary_unary(
        lambda details, request: "answer", batch, SimpleNamespace(writes=["one", "two", "three"])
    )

    assert answer == "answer"
    assert cashier.bill == ({"RunQuery": 2, "BatchWrite": 1}, 3, 3)


def test_jobs_for_measuring_are_due_or_finished(now: datetime) -> None:
    """Jobs to run are due, each at its own time; finished ones are never found again."""
    due, finished = due_jobs(500, now=now), finished_jobs(3, now=now)

    assert all(job.is_due(now) for job in due)
    assert len({job.schedule_at for job in due}) == 500
    assert [(job.status, job.ready_at) for job in finished] == [(Status.COMPLETED, None)] * 3


def test_the_bare_client_writes_what_a_tick_writes(now: datetime) -> None:
    """Otherwise the comparison would flatter one of them."""
    (due,) = due_jobs(1, now=now)
    held = due.claim(now=now, token="token", lease=timedelta(minutes=5), retention=RETENTION)
    finished = held.finish(Result(started_at=now, ended_at=now, by="schedule"), retention=RETENTION)

    assert claim_fields().keys() == changed_fields(due, held).keys()
    assert finish_fields(now).keys() == changed_fields(held, finished).keys()
    assert finish_fields(now)["recent_runs"][0].keys() == to_document(finished)["recent_runs"][0].keys()


def test_the_proxy_delays_each_answer(echo: str) -> None:
    """A call through the proxy takes at least the delay longer; the first byte is sent at once."""
    with slow_proxy(echo, seconds=0.01) as address, _connect(address) as client:
        began = time.monotonic()
        client.sendall(b"hello")
        heard = client.recv(100)
        took = time.monotonic() - began

    assert heard == b"hello"
    assert took >= 0.01


def test_the_proxy_passes_everything_on_in_order(echo: str) -> None:
    """Answers of any length arrive complete, and then the end of the connection."""
    sent = b"".join(number.to_bytes(4) for number in range(250_000))

    with slow_proxy(echo, seconds=0.001) as address, _connect(address) as client:
        sender = threading.Thread(target=_say, args=[client, sent])
        sender.start()
        heard = b"".join(iter(lambda: client.recv(65_536), b""))
        sender.join(PATIENCE)

    assert heard == sent
