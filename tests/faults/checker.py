"""The checker: compares the evidence of a run with what the store holds, and lists the broken promises.

The writes of each job are put into the order in which they replaced each other, its chain. A write without an answer
belongs to the chain if a later reader found its value. Each rule then checks the chain and what the handlers recorded.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations

from shared.model.entries import Entry
from shared.model.history import Run, RunOutcome
from shared.model.job import Job
from shared.model.life import MAX_RECLAIMS
from shared.model.recurrence import Recurrence
from shared.model.times import iso
from shared.model.value import Status
from tests.faults.evidence import Began, Ended, Fact, Reported, Write, version_of

OVER = (RunOutcome.COMPLETED, RunOutcome.FAILED)
PUT_OFF = (RunOutcome.RETRIED, RunOutcome.LATER)
NEVER = float("inf")

RunId = tuple[str, str]  # who ran, and the execution key


class Evidence:
    """The facts, sorted."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        facts = list(facts)
        answered = {(fact.by, fact.number, fact.job_id): fact for fact in facts if isinstance(fact, Write)}
        self.writes: dict[str, list[Write]] = defaultdict(list)
        for write in answered.values():
            self.writes[write.job_id].append(write)
        self.began = [fact for fact in facts if isinstance(fact, Began)]
        self.ended = {(fact.by, fact.key): fact for fact in facts if isinstance(fact, Ended)}
        self.began_at = {(fact.by, fact.key): at for at, fact in enumerate(facts) if isinstance(fact, Began)}
        self.ended_at = {(fact.by, fact.key): at for at, fact in enumerate(facts) if isinstance(fact, Ended)}
        self.reports = [fact for fact in facts if isinstance(fact, Reported)]


def violations(
    facts: Iterable[Fact], stored: Mapping[str, Job], now: datetime, history: Iterable[Entry] | None = None
) -> list[str]:
    """Return every broken promise.

    `stored` are the jobs at the end, `now` is the time of the last query for due jobs, and `history` are the entries of
    a store that keeps them.
    """
    evidence = Evidence(facts)
    found: list[str] = []
    chains: dict[str, list[Write]] = {}
    for job_id in {*evidence.writes, *stored}:
        chains[job_id], lost = _chain(job_id, evidence.writes[job_id], stored.get(job_id))
        found += lost
    for chain in chains.values():
        found += _claims(chain)
        found += _overlaps(chain, evidence)
        found += _fence(chain)
        found += _endings(chain, evidence)
        found += _occurrences(chain)
        found += _results(chain, evidence)
    found += _runs(chains, evidence)
    found += _counts(chains, evidence)
    found += [problem for job in stored.values() for problem in _unsettled(job, now)]
    if history is not None:
        found += _history(chains, list(history))
    return sorted(found)


# -- one order -----------------------------------------------------------------------------------------------------


def _chain(job_id: str, writes: Sequence[Write], stored: Job | None) -> tuple[list[Write], list[str]]:
    """Follow the versions of a job from its insert to what is stored."""
    won: dict[str | None, list[Write]] = defaultdict(list)
    unanswered: dict[str | None, list[Write]] = defaultdict(list)
    seen = {write.before_version: write.before for write in writes if write.before_version is not None}
    if stored is not None:
        seen[version_of(stored)] = stored
    for write in writes:
        if write.answer == "won" and any(_is_same(write, known) for known in won[write.before_version]):
            continue
        (won if write.answer == "won" else unanswered)[write.before_version].append(write)
    chain: list[Write] = []
    version: str | None = None
    reached: set[str | None] = {None}
    while following := [*won[version], *_unanswered(unanswered[version], seen, reached)]:
        if len(won[version]) > 1:
            return chain, [f"{job_id}: {len(won[version])} writes replaced version {version}"]
        chain.append(following[0])
        version = following[0].after_version
        reached.add(version)
        if version is None:
            break
    problems = [
        f"{job_id}: a write of {write.by} was won, and is lost"
        for writes_won in won.values()
        for write in writes_won
        if write not in chain
    ]
    end = None if stored is None else version_of(stored)
    if end != version:
        problems.append(f"{job_id}: the store holds version {end}, the last known write made {version}")
    return chain, problems


def _is_same(write: Write, known: Write) -> bool:
    """Return whether both are one write: repeated by a tick that had no answer, or recognised by two ticks.

    Two ticks can make the same change only if neither claims the job, and it moves on to its next occurrence.
    """
    is_move = write.after is not None and write.after == known.after and write.after.lease_until is None
    return write.after_version == known.after_version and (write.by == known.by or is_move)


def _unanswered(writes: Sequence[Write], seen: Mapping[str, Job | None], reached: set[str | None]) -> Iterator[Write]:
    """Yield the write without an answer whose value somebody read."""
    for write in writes:
        for version, job in seen.items():
            if job == write.after and version not in reached:
                yield replace(write, after_version=version)


# -- one holder ----------------------------------------------------------------------------------------------------


def _is_claim(write: Write) -> bool:
    if write.before is None or write.after is None or write.after.lease_token is None:
        return False
    return write.after.lease_token != write.before.lease_token


def _is_begin(write: Write) -> bool:
    """Return whether a delivery begins the job: it has the token that the job waited for."""
    is_out = write.after is not None and write.after.handed_over is None
    return is_out and write.before is not None and write.before.waits_for(write.before.lease_token or "")


def _is_asking(write: Write) -> bool:
    """Return whether a tick keeps the lease of a job that waits in its queue, to ask for its task."""
    before, after = write.before, write.after
    if before is None or after is None or before.handed_over is None:
        return False
    return replace(after, lease_until=before.lease_until, ready_at=before.ready_at) == before


def _claims(chain: Iterable[Write]) -> Iterator[str]:
    """A job is claimed when it is due and not paused; from another holder only after its lease, and that is a death.

    From its queue it is claimed by one delivery, or again by the tick that has asked for its task.
    """
    asked_by = ""
    is_asked_for = True
    for write in chain:
        if write.is_by_a_person:
            is_asked_for = write.after is not None and write.after.ready_at is not None
        if _is_asking(write):
            asked_by = write.by
        if not _is_claim(write) or write.before is None or write.after is None or _is_begin(write):
            continue
        before = write.before
        is_here = before.handed_over is not None and write.after.handed_over is None and before.is_due(write.clock)
        if is_here:  # a tick without that queue runs it
            continue
        if before.handed_over is not None and asked_by == write.by and write.after.reclaims == before.reclaims + 1:
            continue
        if before.lease_until is not None and write.after.reclaims != before.reclaims + 1:
            yield f"{before.id}: {write.by} claimed it from a dead holder that is not counted"
        if before.status is Status.PAUSED and not is_asked_for:
            yield f"{before.id}: {write.by} claimed it although it was paused"
        if before.lease_until is not None and before.lease_until > write.clock:
            yield f"{before.id}: {write.by} claimed it at {iso(write.clock)}, leased until {iso(before.lease_until)}"
        if before.ready_at is None or before.ready_at > write.clock:
            yield f"{before.id}: {write.by} claimed it at {iso(write.clock)}, ready at {before.ready_at}"
        if before.status not in (Status.PENDING, Status.RUNNING, Status.PAUSED):
            yield f"{before.id}: {write.by} claimed it although it was {before.status}"


def _fence(chain: Iterable[Write]) -> Iterator[str]:
    """Of all ticks only the present holder changes a job, and none undoes a person's command.

    A tick that asks for the task of a waiting job shares the hold, and the token, of the tick that handed it over.
    """
    holders: set[str] = set()
    for write in chain:
        asked = write.before.status if write.before and not write.is_by_a_person else None
        after = write.after.status if write.after else None
        wakes = asked is Status.PAUSED and after in (Status.PENDING, Status.RUNNING)
        if wakes or (asked is Status.CANCELLED and after is not Status.CANCELLED):
            yield f"{write.job_id}: {write.by} made it {after}, a person had it {asked}"
        if _is_claim(write):
            holders = {write.by}
        elif _is_asking(write):
            holders.add(write.by)
        elif not write.is_by_a_person and write.before is not None:
            is_given_up = write.before.deaths > write.before.reclaims >= MAX_RECLAIMS - 1
            is_moved = (
                write.before.lease_until is None and write.before.is_subject_to_misfire
            )  # a misfire that is skipped
            if write.by not in holders and not is_given_up and not is_moved:
                held = ", ".join(sorted(holders)) or "nobody"
                yield f"{write.job_id}: {write.by} changed it while {held} was its holder"


def _runs(chains: Mapping[str, Sequence[Write]], evidence: Evidence) -> Iterator[str]:
    """Each run of a handler has a claim of its own, and begins under its lease."""
    leases: dict[RunId, list[Write]] = defaultdict(list)
    for chain in chains.values():
        for write in chain:
            if write.after is not None and write.after.lease_until is not None and not write.is_by_a_person:
                leases[write.by, write.after.execution_key].append(write)
    for run, times in Counter((began.by, began.key) for began in evidence.began).items():
        if times > 1:
            yield f"{run[1]}: {run[0]} ran it {times} times"
    for began in evidence.began:
        held = [write.after.lease_until for write in leases[began.by, began.key] if write.after]
        if not held:
            yield f"{began.key}: {began.by} ran it without a claim"
        elif began.clock >= max(until for until in held if until):
            yield f"{began.key}: {began.by} began it at {iso(began.clock)}, after its lease"


def _overlaps(chain: Sequence[Write], evidence: Evidence) -> Iterator[str]:
    """A handler begins while another is at work on the job only if that one's lease was lost, or its time was up."""
    claimed = {
        (write.by, write.after.execution_key): at for at, write in enumerate(chain) if write.after and _is_claim(write)
    }
    for first, second in combinations(sorted(claimed, key=lambda run: claimed[run]), 2):
        if evidence.began_at.get(second, NEVER) > evidence.ended_at.get(first, NEVER) or first not in evidence.began_at:
            continue
        if second in evidence.began_at and not any(
            _ends_lease(write) for write in chain[claimed[first] + 1 : claimed[second] + 1]
        ):
            yield f"{second[1]}: {second[0]} began it while {first[0]} was at work on {first[1]}"


def _ends_lease(write: Write) -> bool:
    """Return whether the write takes the job from a holder whose handler may still be at work."""
    if write.before is None or write.before.lease_until is None or write.after is None:
        return False
    is_over = write.is_by_a_person or write.before.lease_until <= write.clock
    has_died = is_over and any(run.outcome is RunOutcome.DIED for run in added(write))
    return has_died or any((run.error or "").startswith("timed out") for run in added(write))


# -- results -------------------------------------------------------------------------------------------------------


def added(write: Write) -> tuple[Run, ...]:
    """Return the entries that a write added to the history, of which only the last ten are kept."""
    before = write.before.recent_runs if write.before else ()
    after = write.after.recent_runs if write.after else ()
    for kept in range(min(len(before), len(after)), -1, -1):
        if before[len(before) - kept :] == after[:kept]:
            return after[kept:]
    return after


def _endings(chain: Iterable[Write], evidence: Evidence) -> Iterator[str]:
    """The history of a run agrees with its handler; an occurrence ends once, unless a person reopens it."""
    over: set[datetime] = set()
    for write in chain:
        if write.is_by_a_person and write.before is not None and write.before.status is Status.FAILED:
            over.discard(write.before.schedule_at)  # `retry` is the same occurrence again
        for run in added(write):
            key = f"{write.job_id}@{iso(run.schedule_at)}"
            ended = evidence.ended.get((write.by, key))
            if run.outcome is RunOutcome.COMPLETED and (ended is None or ended.outcome != "completed"):
                yield f"{key}: {write.by} recorded it as completed, its handler says {ended and ended.outcome}"
            if run.outcome in (RunOutcome.FAILED, *PUT_OFF) and not _is_backed(
                run, ended, (write.by, key) in evidence.began_at
            ):
                yield f"{key}: {write.by} recorded {run.outcome}, its handler says {ended and ended.outcome}"
            if run.outcome in OVER:
                if run.schedule_at in over:
                    yield f"{key}: it ended twice, the second time {run.outcome}"
                over.add(run.schedule_at)
        if write.after is not None and write.after.attempts > write.after.max_attempts:
            yield f"{write.job_id}: {write.after.attempts} attempts"


def _results(chain: Sequence[Write], evidence: Evidence) -> Iterator[str]:
    """The outcome of a handler is in the history, if its tick reported and nobody took the job over meanwhile."""
    reported = {report.by for report in evidence.reports}
    for at, claim in enumerate(chain):
        if not _is_claim(claim) or claim.after is None or claim.by not in reported:
            continue
        key, later = claim.after.execution_key, chain[at + 1 :]
        is_stored = any(write.by == claim.by and added(write) for write in later)
        if (claim.by, key) in evidence.ended and not is_stored and not any(_ends_lease(write) for write in later):
            yield f"{key}: its outcome under {claim.by} is lost"


def _is_backed(run: Run, ended: Ended | None, has_begun: bool) -> bool:
    if _is_given_up(run) or _is_refused(run):
        return True
    if (run.error or "").startswith("timed out"):
        return has_begun
    return ended is not None and ended.outcome != "completed"


def _history(chains: Mapping[str, Sequence[Write]], history: Sequence[Entry]) -> Iterator[str]:
    """Each run that ended, and each gap, has exactly one entry, which agrees with the write that was won.

    Any other entry is that of a run whose holder has ended, and could never store its result.
    """
    told = Counter((entry.job_id, entry.run) for entry in history)
    wrote = Counter((job_id, run) for job_id, chain in chains.items() for write in chain for run in _entries_of(write))
    for (job_id, run), count in (wrote - told).items():
        yield f"{job_id}@{iso(run.schedule_at)}: {count} entries of the history are missing, {run}"
    settled = {(job_id, run.started_at) for job_id, run in wrote if run.outcome is not RunOutcome.MISSED}
    for (job_id, run), count in (told - wrote).items():
        if run.outcome is RunOutcome.MISSED or (job_id, run.started_at) in settled or count > 1:
            yield f"{job_id}@{iso(run.schedule_at)}: {count} entries of the history are too many, {run}"
    for entry_id, count in Counter(entry.id for entry in history).items():
        if count > 1:
            yield f"{entry_id}: it is {count} times in the history"


def _entries_of(write: Write) -> Iterator[Run]:
    """Yield the gaps that a write added, and the end of its run: of a death and what followed from it, the latter."""
    runs = added(write) if write.before is not None else ()
    yield from (run for run in runs if run.outcome is RunOutcome.MISSED)
    yield from [run for run in runs if run.outcome is not RunOutcome.MISSED][-1:]


# -- every occurrence ----------------------------------------------------------------------------------------------


def _occurrences(chain: Sequence[Write]) -> Iterator[str]:
    """No occurrence is left out: it ended, or the history says that it was missed; one that was begun keeps its key.

    An extra occurrence, which a person asked for, ends before the regular one goes on.
    """
    entries: list[Run] = []
    for write in chain:
        entries += added(write)
        if write.before is None or write.after is None or write.before.schedule_at == write.after.schedule_at:
            continue
        left, extra = write.before.schedule_at, write.before.regular_at is not None
        key = f"{write.job_id}@{iso(left)}"
        if write.after.regular_at is not None:
            if write.after.regular_at != (write.before.regular_at if extra else left):
                yield f"{key}: {write.by} asked for an extra run, and lost the regular one"
            continue
        if extra and write.after.schedule_at != write.before.regular_at:
            yield f"{key}: {write.by} ended an extra run, and went on at {iso(write.after.schedule_at)}"
        touched = [run for run in entries if run.schedule_at == left]
        is_closed = any(run.outcome in (*OVER, RunOutcome.MISSED) for run in touched)
        if touched and not is_closed:
            yield f"{key}: {write.by} moved on, and it has not ended ({touched[-1].outcome})"
        if write.before.cron is None:
            continue
        if not touched:
            yield f"{key}: {write.by} moved on, and nothing is recorded of it"
        if extra:
            continue
        if write.after.schedule_at < left:
            yield f"{key}: {write.by} went back to {iso(write.after.schedule_at)}"
        yield from _left_out(write, write.before, write.after.schedule_at)


def _left_out(write: Write, before: Job, until: datetime) -> Iterator[str]:
    """Yield the occurrences before `until` that are not recorded as missed."""
    recurrence = Recurrence(before.cron or "", before.timezone or "UTC")
    missed = [
        (run.schedule_at, run.until or run.schedule_at) for run in added(write) if run.outcome is RunOutcome.MISSED
    ]
    between = recurrence.after(before.schedule_at)
    while between < until:
        ends = [last for first, last in missed if first <= between <= last]
        if not ends:
            yield f"{before.id}@{iso(between)}: {write.by} left it out"
        between = recurrence.after(max([between, *ends]))


def _unsettled(job: Job, now: datetime) -> Iterator[str]:
    """At the end nothing is due, and nothing is held, except by dead holders of paused or cancelled jobs."""
    if job.is_due(now):
        yield f"{job.id}: it is still due"
    if job.status is Status.RUNNING:
        yield f"{job.id}: it is still running"
    if job.status is Status.PENDING and job.cron is None:
        yield f"{job.id}: it still waits, for {job.ready_at}"
    if job.lease_until is not None and job.status not in (Status.PAUSED, Status.CANCELLED):
        yield f"{job.id}: it is still leased"


# -- counts --------------------------------------------------------------------------------------------------------


def _counts(chains: Mapping[str, Sequence[Write]], evidence: Evidence) -> Iterator[str]:
    """The metrics of a tick agree with what its handlers did, and with what was stored.

    A result may count as lost although it was stored, if its write had no answer and another holder has the job since.
    """
    began = Counter(fact.by for fact in evidence.began)
    stored: dict[str, Counter[RunOutcome]] = defaultdict(Counter)
    for chain in chains.values():
        for write in chain:
            own = [run for run in added(write) if not _is_given_up(run) and not _is_refused(run)]
            stored[write.by].update(run.outcome for run in own)
    for report in evidence.reports:
        metrics, of_tick = report.metrics, stored[report.by]
        if metrics["jobs_executed"] != began[report.by]:
            yield f"{report.by}: {metrics['jobs_executed']} executed, {began[report.by]} handlers began"
        told = {
            "jobs_succeeded": of_tick[RunOutcome.COMPLETED],
            "jobs_failed": of_tick[RunOutcome.FAILED],
            "jobs_retried": of_tick[RunOutcome.RETRIED] + of_tick[RunOutcome.LATER],
        }
        for name, count in told.items():
            if not metrics[name] <= count <= metrics[name] + metrics["jobs_lost"]:
                yield f"{report.by}: {name} {metrics[name]}, {count} in the store (lost: {metrics['jobs_lost']})"


def _is_given_up(run: Run) -> bool:
    return (run.error or "").startswith("given up:")


def _is_refused(run: Run) -> bool:
    return (run.error or "").startswith("could not be handed over:")
