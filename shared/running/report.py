"""The result of a tick, or of a delivery."""

from dataclasses import dataclass
from typing import Any


@dataclass
class TickReport:
    """What was done. `threads_left_behind` run handlers that outlived their limits: the process must end."""

    jobs_checked: int = 0
    jobs_due: int = 0
    jobs_succeeded: int = 0
    jobs_failed: int = 0
    jobs_retried: int = 0
    jobs_lost: int = 0
    jobs_recovered: int = 0
    jobs_skipped: int = 0
    jobs_handed_over: int = 0
    jobs_not_handed_over: int = 0
    threads_left_behind: int = 0
    truncated: bool = False
    max_lateness_seconds: float = 0.0
    execution_time_ms: int = 0

    def metrics(self) -> dict[str, Any]:
        """Return all metrics by name. `jobs_executed` is the sum of the results of the handlers that were started."""
        executed = self.jobs_succeeded + self.jobs_failed + self.jobs_retried + self.jobs_lost
        first = {"jobs_checked": self.jobs_checked, "jobs_due": self.jobs_due, "jobs_executed": executed}
        return {**first, **vars(self), "max_lateness_seconds": round(self.max_lateness_seconds, 3)}

    @property
    def outcome(self) -> str:
        """Return the result of the one job of a delivery; "nothing" if there was nothing to do."""
        outcomes = ("succeeded", "failed", "retried", "lost")
        return next((name for name in outcomes if getattr(self, f"jobs_{name}")), "nothing")
