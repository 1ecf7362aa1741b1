"""One measured figure: its runs, those of its bare limit, and whether it is within its budget."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from statistics import median, quantiles
from typing import Any

ROUNDS = 7  # the fewest runs of any time
PAIRS = 4  # the fewest ratios that have a spread


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The measured values of all runs, in `unit`. A lower value is better.

    `bare` are the runs of the same work without this project, interleaved with the measured ones. The budget bounds
    the ratio of the medians where there is such a limit, else the median itself; without one the figure just informs.

    `parts` are the seconds that one more run spent in each part of the work, and `bare_parts` those of the bare limit.
    `others` is how many cores the other processes of the machine took meanwhile.
    """

    name: str
    unit: str
    runs: tuple[float, ...]
    bare: tuple[float, ...] = ()
    budget: float | None = None
    note: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    bare_parts: Mapping[str, float] = field(default_factory=dict)
    others: float | None = None

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
    def judged(self) -> float:
        """Return the value that the budget bounds: the ratio, or the median."""
        return self.value if self.ratio is None else self.ratio

    @property
    def judged_spread(self) -> tuple[float, float]:
        """Return the limits of the middle half of the ratios round by round, or of the runs."""
        each = [run / bare for run, bare in zip(self.runs, self.bare, strict=False) if bare] or self.runs
        if len(each) < PAIRS:
            return self.judged, self.judged
        low, _, high = quantiles(each, n=4)
        return min(low, self.judged), max(high, self.judged)

    @property
    def is_held(self) -> bool:
        """Return whether the figure is within its budget; True without one."""
        return self.budget is None or self.judged <= self.budget

    @property
    def is_doubtful(self) -> bool:
        """Return whether the budget is missed, but by less than the spread."""
        return self.budget is not None and not self.is_held and self.judged_spread[0] <= self.budget

    def pooled(self, again: "Figure") -> "Figure":
        """Return the figure with the runs of both measurements."""
        loads = [each.others for each in (self, again) if each.others is not None]
        return replace(
            self,
            runs=self.runs + again.runs,
            bare=self.bare + again.bare,
            note=self.note or again.note,
            parts=self.parts or again.parts,
            bare_parts=self.bare_parts or again.bare_parts,
            others=max(loads, default=None),
        )

    def as_object(self) -> dict[str, Any]:
        """Return the figure as an object for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.value,
            "spread": self.spread,
            "runs": self.runs,
            "bare_median": self.limit,
            "bare_runs": self.bare,
            "ratio": self.ratio,
            "judged_spread": self.judged_spread,
            "budget": self.budget,
            "held": self.is_held,
            "note": self.note,
            "parts": dict(self.parts),
            "bare_parts": dict(self.bare_parts),
            "others": self.others,
        }

    @classmethod
    def from_object(cls, told: Mapping[str, Any]) -> "Figure":
        """Read a figure from JSON; derived values are calculated again."""
        return cls(
            **{name: told[name] for name in ("name", "unit", "budget", "note", "parts", "bare_parts", "others")},
            runs=tuple(told["runs"]),
            bare=tuple(told["bare_runs"]),
        )


def pooled(figures: Iterable[Figure], again: Iterable[Figure]) -> list[Figure]:
    """Return the figures of two measurements of the same group; without a first one, those of the second."""
    pairs = zip_longest(figures, again)
    return [(first or second) if first is None or second is None else first.pooled(second) for first, second in pairs]


def exit_code(figures: Iterable[Figure]) -> int:
    """Return 1 if a budget is exceeded, else 0."""
    return 0 if all(figure.is_held for figure in figures) else 1


def milliseconds(seconds: Iterable[float]) -> tuple[float, ...]:
    """Return the runs of a figure in milliseconds."""
    return tuple(each * 1000 for each in seconds)
