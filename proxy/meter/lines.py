"""A line of an account: one tally, and the budgets that ask something of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from proxy.terms.budget import CONTENT, Budget, Grouping, Measure
from proxy.terms.finding import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from proxy.meter.book import AnyTally
    from proxy.meter.ledger import Charge
    from proxy.meter.window import Window

UNBOUND: Final = "(unbound)"
_SAID: Final = frozenset({Grouping.END_USER.value, Grouping.APPLICATION.value})
STATEMENT_SECONDS: Final = 1 << 31  # a statement's own budget never comes back


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a budget is used. ``limit`` None: unlimited.

    ``group``: for whom, by grouping. ``frees``: (how much, in how many seconds) comes back next.
    """

    budget: str
    role: str
    used: int
    limit: int | None
    measure: Measure = Measure.SUBJECTS
    window_seconds: int = 0
    group: tuple[tuple[str, str], ...] = ()
    frees: tuple[int, int] | None = None
    bound: bool | None = None  # it counts only what is done for named end users, or only the rest


def whose_of(usage: Usage) -> list[tuple[str, str]]:
    """Return for whom a usage is, by grouping, as people read it: nobody named is unbound."""
    shown = [(name, value or (UNBOUND if name in _SAID else "")) for name, value in usage.group]
    if usage.bound is not None and Grouping.END_USER.value not in dict(usage.group):
        shown.append((Grouping.END_USER.value, "(any)" if usage.bound else UNBOUND))
    return shown


@dataclass(frozen=True, slots=True)
class Line:
    """A tally, and what is asked of it: (window, limit, budget).

    ``group``: for whom it is. ``ids``: of its budgets, each once. ``amount``: what a charge adds,
    where distinct subjects are not known.
    """

    tally: AnyTally
    measure: Measure
    checks: tuple[tuple[Window, int | None, Budget], ...]
    role: str
    group: tuple[tuple[str, str], ...]
    ids: tuple[str, ...]
    amount: Callable[[Charge], int]

    @property
    def slows(self) -> bool:
        """Whether a budget of it slows results."""
        return any(budget.slows_from_percent is not None for _, _, budget in self.checks)

    @property
    def delay_seconds(self) -> float:
        """How long a result is held back now."""
        delay = 0.0
        for window, limit, budget in self.checks:
            if not limit or budget.slows_from_percent is None:
                continue
            begin = limit * budget.slows_from_percent / 100
            part = (window.total - begin) / (limit - begin)
            delay = max(delay, budget.slows_by_seconds * min(1.0, part))
        return delay

    @property
    def limits(self) -> list[int]:
        """The limits at which something is cut."""
        return [
            limit
            for _, limit, budget in self.checks
            if limit is not None and budget.action is not Action.FLAG
        ]


def usage_of(line: Line, now: float) -> Iterator[Usage]:
    """Yield the usage of each budget of a line; ``now``: the ledger's time."""
    line.tally.advance(now)
    for window, limit, budget in line.checks:
        frees = line.tally.windows.frees(window)
        yield Usage(
            budget.id,
            line.role,
            window.total,
            limit,
            budget.measure,
            budget.window_seconds,
            line.group,
            None if frees is None else (frees[0], math.ceil(frees[1] - now)),
            budget.bound,
        )


def make_line(
    tally: AnyTally, budgets: Sequence[Budget], role: str, group: tuple[tuple[str, str], ...]
) -> Line:
    """Return the line of a tally and budgets of one kind, whose windows it has."""
    checks = tuple(
        (tally.windows.window(one.window_seconds or STATEMENT_SECONDS), one.limit, one)
        for one in budgets
    )
    measure = budgets[0].measure
    ids = tuple(dict.fromkeys(budget.id for budget in budgets))
    return Line(tally, measure, checks, role, group, ids, _amount_of(measure))


def _amount_of(measure: Measure) -> Callable[[Charge], int]:
    """Return what reads an amount from a charge."""
    if measure is Measure.SUBJECTS:
        return lambda charge: len(charge.groups) + charge.repeated + charge.anonymous
    if measure in CONTENT:
        return lambda charge: sum(number for what, number in charge.content if what is measure)
    # the others are called as their measures are
    return attrgetter("size_bytes" if measure is Measure.BYTES else measure.value)
