"""What an import or an upgrade did, counted while it does it, and said at its end."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.store.protocol import Lost, Outcome, Refused, Won
from watchkeeper.cli.importing import Intake
from watchkeeper.session import ADD_HANDLER
from watchkeeper.times import span


@dataclass(kw_only=True)
class IntakeReport:
    """Counts by status, by lateness and by job type without a handler; names what was not taken."""

    now: datetime
    job_types: Collection[str]
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    present: int = 0
    refused: list[str] = field(default_factory=list)
    unhandled: Counter[str] = field(default_factory=Counter)
    overdue: list[timedelta] = field(default_factory=list)

    def takeable(self, intakes: Sequence[Intake]) -> list[Intake]:
        """Give those that became a job; name the others."""
        self.refused += [f"{each.name}: {each.after.reason}" for each in intakes if isinstance(each.after, Unreadable)]
        return [each for each in intakes if isinstance(each.after, Job)]

    def note(self, intake: Intake, outcome: Outcome) -> None:
        """Count what the store said to a document."""
        match outcome:
            case Won(Job() as job):
                self._note_taken(intake.status, job)
            case Lost() if intake.before is None:
                self.present += 1
            case Lost():
                self.refused.append(f"{intake.name}: somebody else changed it meanwhile; repeat this")
            case Refused(reason):
                self.refused.append(f"{intake.name}: the store cannot hold it ({reason})")

    def _note_taken(self, status: str, job: Job) -> None:
        self.taken[status, job.status] += 1
        if job.is_due(self.now) and job.ready_at is not None:
            self.overdue.append(self.now - job.ready_at)
        if job.job_type not in self.job_types and job.status in (Status.PENDING, Status.RUNNING, Status.PAUSED):
            self.unhandled[job.job_type] += 1

    def rows(self) -> list[tuple[str, str, str]]:
        """Give the table: the status in the document, that of the job, how many."""
        rows = [(was, status, str(count)) for (was, status), count in sorted(self.taken.items())]
        if self.present:
            rows.append(("", "exists already, left alone", str(self.present)))
        if self.refused:
            rows.append(("", "not taken", str(len(self.refused))))
        return rows

    def remarks(self) -> Iterator[str]:
        """Say what a person should know of the jobs that were taken."""
        if self.overdue:
            least, most = span(min(self.overdue)), span(max(self.overdue))
            late = most if least == most else f"{least} to {most}"
            yield f"Overdue: {len(self.overdue)}, by {late}; the next tick runs them."
        yield from self.unhandled_remarks()

    def unhandled_remarks(self) -> Iterator[str]:
        """Name the job types that nobody would run, and the remedy."""
        for job_type, count in sorted(self.unhandled.items()):
            yield f"No handler for {job_type}: {count} paused; {ADD_HANDLER}, then `watchkeeper jobs resume ID...`"
