"""The report of an import or an upgrade: counted during the work, printed at its end."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.model.job import Job
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.store.protocol import Lost, Outcome, Refused, Won
from watchkeeper.cli.importing import ImportItem
from watchkeeper.session import ADD_HANDLER
from watchkeeper.times import span


@dataclass(kw_only=True)
class ImportReport:
    """Counts by status, by lateness and by job type without a handler; lists what was not imported."""

    now: datetime
    job_types: Collection[str]
    imported: Counter[tuple[str, str]] = field(default_factory=Counter)
    present: int = 0
    refused: list[str] = field(default_factory=list)
    unhandled: Counter[str] = field(default_factory=Counter)
    overdue: list[timedelta] = field(default_factory=list)

    def importable(self, items: Sequence[ImportItem]) -> list[ImportItem]:
        """Return the items that became a job; record the reasons of the others."""
        self.refused += [f"{each.name}: {each.after.reason}" for each in items if isinstance(each.after, Unreadable)]
        return [each for each in items if isinstance(each.after, Job)]

    def count(self, item: ImportItem, outcome: Outcome) -> None:
        """Count the store's outcome for an item."""
        match outcome:
            case Won(Job() as job):
                self._count_imported(item.status, job)
            case Lost() if item.before is None:
                self.present += 1
            case Lost():
                self.refused.append(f"{item.name}: it was changed at the same time; repeat this")
            case Refused(reason):
                self.refused.append(f"{item.name}: the store cannot hold it ({reason})")

    def _count_imported(self, status: str, job: Job) -> None:
        self.imported[status, job.status] += 1
        if job.is_due(self.now) and job.ready_at is not None:
            self.overdue.append(self.now - job.ready_at)
        if job.job_type not in self.job_types and job.status in (Status.PENDING, Status.RUNNING, Status.PAUSED):
            self.unhandled[job.job_type] += 1

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the table: status in the document, status of the job, count."""
        rows = [(was, status, str(count)) for (was, status), count in sorted(self.imported.items())]
        if self.present:
            rows.append(("", "exists already, unchanged", str(self.present)))
        if self.refused:
            rows.append(("", "not imported", str(len(self.refused))))
        return rows

    def remarks(self) -> Iterator[str]:
        """Return remarks on the imported jobs."""
        if self.overdue:
            least, most = span(min(self.overdue)), span(max(self.overdue))
            late = most if least == most else f"{least} to {most}"
            yield f"Overdue: {len(self.overdue)}, by {late}; the next tick runs them."
        yield from self.unhandled_remarks()

    def unhandled_remarks(self) -> Iterator[str]:
        """Return a remark, with the remedy, for each job type without a handler."""
        for job_type, count in sorted(self.unhandled.items()):
            yield f"No handler for {job_type}: {count} paused; {ADD_HANDLER}, then `watchkeeper jobs resume ID...`"
