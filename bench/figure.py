"""One measured figure: its runs, those of the bare limit beside it, and whether it keeps its budget."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

ROUNDS = 5  # so many runs, at least, has every figure of a time


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What was measured, run by run, in `unit`. A lower value is a better one.

    `bare` are the runs of the same work without this project, interleaved with the measured ones. The budget bounds
    the ratio of the medians where there is such a limit, else the median itself; without one the figure just informs.
    """

    name: str
    unit: str
    runs: tuple[float, ...]
    bare: tuple[float, ...] = ()
    budget: float | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """Return the median of the runs."""
        return median(self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Return the smallest and the largest run."""
        return min(self.runs), max(self.runs)

    @property
    def limit(self) -> float | None:
        """Return the median of the bare runs, or None without any."""
        return median(self.bare) if self.bare else None

    @property
    def ratio(self) -> float | None:
        """Return the ratio to the bare limit, or None without one."""
        return self.value / self.limit if self.limit else None

    @property
    def is_held(self) -> bool:
        """Return whether the figure is within its budget; True without one."""
        judged = self.value if self.ratio is None else self.ratio
        return self.budget is None or judged <= self.budget

    def as_object(self) -> dict[str, Any]:
        """Return all of it as an object for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.value,
            "spread": self.spread,
            "runs": self.runs,
            "bare_median": self.limit,
            "bare_runs": self.bare,
            "ratio": self.ratio,
            "budget": self.budget,
            "held": self.is_held,
            "note": self.note,
        }


def exit_code(figures: Iterable[Figure]) -> int:
    """Return 1 if a budget is exceeded, else 0."""
    return 0 if all(figure.is_held for figure in figures) else 1


def milliseconds(seconds: Iterable[float]) -> tuple[float, ...]:
    """Return the runs of a figure in milliseconds."""
    return tuple(each * 1000 for each in seconds)
