"""What the benchmark is made of: scale, metrics, measures, samples and their spread."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.targets import Target

DIRECT: Final = "direct"
POOLED: Final = "pgbouncer session"
POOLED_BY_TRANSACTION: Final = "pgbouncer transaction"
COPYING: Final = "copy relay"
VIGIE: Final = "vigie"

Values = dict[str, float]


class BenchError(VigieError):
    """Something could not be measured; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done. Times in seconds."""

    rounds: int = 3
    pgbench_seconds: int = 3
    patients: int = 50_000
    bulk_rows: int = 1_000_000
    idle_sessions: int = 500
    held_sessions: int = 5_000
    times_accounts: int = 10
    statements: int = 300


QUICK: Final = Scale(
    rounds=1,
    pgbench_seconds=1,
    patients=5_000,
    bulk_rows=100_000,
    idle_sessions=100,
    held_sessions=500,
    statements=60,
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a measure: the key in its values, what it is for people, and its unit."""

    key: str
    title: str
    unit: str
    higher_is_better: bool = False


CPU: Final = Metric("cpu_us", "proxy's CPU", "us/transaction")


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured at every target.

    ``take`` returns a value for each metric that the target has (direct has no proxy's CPU).
    ``unfit`` returns why a target cannot be measured, or nothing.
    """

    name: str
    group: str
    metrics: tuple[Metric, ...]
    take: Callable[[Target], Values]
    unfit: Callable[[Target], str] = field(default=lambda _target: "")


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one measure at one target in one round; or why there are none."""

    measure: str
    target: str
    round: int
    values: Values = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, median and greatest of the values of all rounds."""

    least: float
    median: float
    greatest: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Return the spread; None of no values."""
        found = sorted(values)
        if not found:
            return None
        return cls(found[0], statistics.median(found), found[-1], len(found))


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples of a run, and what they say together."""

    all: tuple[Sample, ...]

    def targets(self) -> tuple[str, ...]:
        """Return the targets that were measured."""
        seen = {sample.target for sample in self.all}
        order = (DIRECT, POOLED, POOLED_BY_TRANSACTION, COPYING, VIGIE)
        return tuple(target for target in order if target in seen)

    def spread(self, measure: str, target: str, key: str) -> Spread | None:
        """Return the spread of a figure over the rounds."""
        return Spread.of(self._by_round(measure, target, key).values())

    def ratio(self, measure: str, target: str, base: str, key: str) -> Spread | None:
        """Return the spread of target / base, each pair within the same round."""
        above = self._by_round(measure, target, key)
        below = self._by_round(measure, base, key)
        return Spread.of(above[n] / below[n] for n in above if below.get(n))

    def missing(self, measure: str, target: str) -> str:
        """Return why there are no values; nothing if there are some, or nobody asked."""
        reasons = {s.missing for s in self.all if (s.measure, s.target) == (measure, target)}
        return "" if "" in reasons else "; ".join(sorted(reasons))

    def _by_round(self, measure: str, target: str, key: str) -> dict[int, float]:
        return {
            sample.round: sample.values[key]
            for sample in self.all
            if (sample.measure, sample.target) == (measure, target) and key in sample.values
        }


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that this share (0 to 1) of all values does not exceed."""
    found = sorted(values)
    if not found:
        raise BenchError("no values were taken")
    return found[min(len(found) - 1, int(len(found) * share))]
