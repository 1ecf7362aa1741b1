"""What a tick runs, and what it tells its handlers and its log."""

import logging
from datetime import datetime, timedelta

import pytest

from shared.handlers import Context, Payload, Snooze
from shared.model.value import Status
from shared.store.protocol import PAGE
from tests.support.ticking import DAY, MINUTE, SECOND, JobFactory, World


def test_an_idle_tick_makes_one_call(world: World) -> None:
    """Nothing is due: one query, no write, and all figures are zero."""
    report = world.tick()

    assert world.store.calls == ["due"]
    assert not any(report.metrics().values())


def test_due_jobs_run_once_and_others_not(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Exactly the due jobs run; the next tick has nothing to do."""
    world.add(job_factory("due", at=now), job_factory("early", at=now + timedelta(microseconds=1)))

    first = world.tick()
    second = world.tick()

    assert world.runs == ["due@2026-11-21T09:00:00Z"]
    assert (first.jobs_checked, first.jobs_due, first.jobs_succeeded) == (1, 1, 1)
    assert second.jobs_checked == 0
    assert world.job("due").status is Status.COMPLETED


def test_a_recurring_job_goes_on(world: World, job_factory: JobFactory, now: datetime) -> None:
    """It runs at each of its times, once."""
    world.add(job_factory(cron="0 * * * *", at=now))

    for _ in range(3):
        world.tick()
        world.tick()
        world.clock.turn(timedelta(hours=1))

    assert world.runs == [f"job@2026-11-21T{hour:02}:00:00Z" for hour in (9, 10, 11)]


def test_lateness_is_the_start_against_the_ready_time(world: World, job_factory: JobFactory, now: datetime) -> None:
    """The report has the largest lateness."""
    world.add(job_factory("a", at=now - 90 * SECOND), job_factory("b", at=now))

    assert world.tick().max_lateness_seconds == 90


@pytest.mark.slow
def test_a_tick_starts_an_occurrence_at_most_once(world: World, job_factory: JobFactory) -> None:
    """A job that snoozes does not run again in the same tick, even if it is due again."""

    def later(payload: Payload, context: Context) -> None:
        world.clock.turn(2 * SECOND)
        raise Snooze(SECOND)

    world.on("log", later)
    world.add(job_factory(), *(job_factory(f"other-{n:03}") for n in range(PAGE)))
    world.env["SCHEDULER_TICK_BUDGET_SECONDS"] = "3000"

    world.tick()

    assert len(world.runs) == len(set(world.runs)) == PAGE + 1


def test_the_context_has_what_a_handler_needs(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Key, attempt and deadline; the second attempt has the same key."""
    seen: list[Context] = []

    def look(payload: Payload, context: Context) -> None:
        seen.append(context)
        raise RuntimeError

    world.on("log", look, timeout=7 * SECOND)
    world.add(job_factory(at=now, space="spaces/A", by="ana"))
    world.tick()
    world.clock.turn(timedelta(hours=1))

    world.tick()

    assert [context.attempt for context in seen] == [1, 2]
    assert {context.execution_key for context in seen} == {"job@2026-11-21T09:00:00Z"}
    assert seen[0].deadline == now + 7 * SECOND
    assert (seen[0].space, seen[0].created_by, seen[0].stop_reason) == ("spaces/A", "ana", None)


def test_history_says_who_asked(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A manual run has the person's name, any other run has `schedule`."""
    world.add(job_factory(cron="0 9 * * *", at=now))
    world.tick()
    world.clock.turn(MINUTE)
    world.jobs().run("job", by="ana")

    world.tick()

    assert [run.by for run in world.job().recent_runs] == ["schedule", "ana"]


def test_a_skipped_occurrence_is_moved_on_and_not_run(world: World, job_factory: JobFactory, now: datetime) -> None:
    """It is due but does not run, and history says why."""
    world.add(job_factory(cron="0 9 * * *", at=now, misfire="skip"))
    world.clock.turn(timedelta(hours=1))

    report = world.tick()

    assert (report.jobs_due, report.metrics()["jobs_executed"]) == (1, 0)
    assert world.job().ready_at == now + DAY
    assert [run.outcome for run in world.job().recent_runs] == ["missed"]


def test_a_tick_completes_a_job_whose_last_occurrence_is_skipped(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing runs and nothing follows; the log says that the schedule has ended."""
    world.add(job_factory(every="1h", until=now + timedelta(hours=2), misfire="skip"))
    world.clock.turn(DAY)

    report = world.tick()

    assert (report.metrics()["jobs_executed"], world.job().status) == (0, Status.COMPLETED)
    assert "Job job was not run in time; its schedule has ended" in caplog.messages


def test_the_lines_that_operators_look_for(
    world: World, job_factory: JobFactory, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """The messages are those of the former system; each about a job has its id, the last has the metrics."""
    caplog.set_level(logging.INFO, "watchkeeper")
    world.add(job_factory("report", at=now))

    world.tick()

    assert [record.getMessage() for record in caplog.records] == [
        "Running scheduler tick",
        "Claimed job report",
        "Job report completed successfully",
        "Scheduler tick completed",
    ]
    fields = [record.__dict__["fields"] for record in caplog.records]
    assert [line.get("job_id") for line in fields] == [None, "report", "report", None]
    assert fields[3]["jobs_executed"] == 1
    assert all("action" in line for line in fields)
