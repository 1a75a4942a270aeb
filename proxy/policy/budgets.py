"""One budget of a rule file to budgets: one for each of its windows, under one id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.terms.budget import Budget, Grouping, Measure
from proxy.terms.column_class import ColumnClass
from proxy.terms.finding import Action, Severity
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.policy.schema import BudgetData, OverrideData

_SPAN: Final = re.compile(r"(?P<count>[0-9]+) ?(?P<unit>s|min|h|d)")
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
LONGEST_SECONDS: Final = 31 * 86400
_WITHOUT_COLUMNS: Final = frozenset({Measure.STATEMENTS, Measure.QUESTIONS, Measure.TELLING_ERRORS})


class BudgetReader:
    """Reads one budget, and tells what is wrong with it.

    Args:
        data: as it is written.
        changes: what the site changes of it.
        tell: takes what is wrong, and the key that it is about.
    """

    def __init__(
        self, data: BudgetData, changes: OverrideData, tell: Callable[[str, str], None]
    ) -> None:
        self._data = data
        self._changes = changes
        self._tell = tell

    def read(self, roles: frozenset[str], relations: frozenset[str]) -> tuple[Budget, ...]:
        """Return the budgets; what is wrong was told."""
        data = self._data
        measure = Measure(data.measure)
        per = self._per()
        if data.classes and measure in _WITHOUT_COLUMNS:
            self._tell(f"classes do not go with {measure.value}, which have no columns", "classes")
        action = self._changes.action or data.action
        if action == "allow":
            self._tell("a budget that allows everything, expected limit: null", "action")
        slow = data.slow
        return tuple(
            Budget(
                id=data.id,
                title=data.title,
                measure=measure,
                roles=roles,
                window_seconds=window_seconds,
                limit=limit,
                action=Action[action.upper()],
                severity=Severity(data.severity),
                explanation=data.explain,
                per=per,
                classes=frozenset(map(ColumnClass, data.classes or ())),
                relations=frozenset(map(relation_of, relations)),
                bound=data.bound,
                slows_from_percent=None if slow is None else slow.from_percent,
                slows_by_seconds=0.0 if slow is None else float(slow.by_seconds),
            )
            for window_seconds, limit in self._windows(per)
        )

    def _per(self) -> tuple[Grouping, ...]:
        said = self._data.per
        if said == "everyone":
            return ()
        if said == "statement":
            return (Grouping.STATEMENT,)
        if not said:
            self._tell("'per' is an empty list, expected everyone, statement or a list", "per")
        if len(set(said)) < len(said):
            self._tell("the same twice in a list", "per")
        return tuple(one for one in Grouping if one.value in said)

    def _windows(self, per: tuple[Grouping, ...]) -> list[tuple[int, int | None]]:
        """Return (length in seconds, limit) of each window, the shortest first."""
        data, changes = self._data, self._changes
        said = data.model_fields_set
        changed = changes.model_fields_set
        limits = changes.limits or data.limits
        if data.limits and said & {"limit", "window_seconds"}:
            self._tell("limits beside limit or window_seconds, expected one of them", "limits")
        if limits is not None and changed & {"limit", "window_seconds"}:
            self._tell("is changed by limit or window_seconds, expected limits", "limits")
        if limits is not None:
            if Grouping.STATEMENT in per:
                self._tell("limits by window of a statement, expected limit", "limits")
            found = [(self._seconds(span), limit) for span, limit in limits.items()]
            if len({seconds for seconds, _ in found}) < len(found):
                self._tell("two limits for the same window", "limits")
            return sorted(found)
        window_seconds = changes.window_seconds or data.window_seconds
        if "limit" not in said:
            self._tell("neither limits nor limit, expected one of them", "id")
            return []
        if Grouping.STATEMENT in per:
            if window_seconds is not None:
                self._tell("a window of a statement, expected limit alone", "window_seconds")
            return [(0, changes.limit if "limit" in changed else data.limit)]
        if window_seconds is None:
            self._tell("a limit without window_seconds, expected both, or limits", "id")
        return [(window_seconds or 1, changes.limit if "limit" in changed else data.limit)]

    def _seconds(self, span: str) -> int:
        found = _SPAN.fullmatch(span)
        assert found is not None  # the form was checked
        seconds = int(found["count"]) * _UNITS[found["unit"]]
        if seconds > LONGEST_SECONDS:
            self._tell(f"window '{span}' is longer than 31 d", "limits")
        return min(seconds, LONGEST_SECONDS)


def is_for_all_others(data: BudgetData) -> bool:
    """Whether a budget bounds the subjects of whoever no budget names, and all of them."""
    narrowed = data.classes or data.relations or data.bound is not None
    counts_all = Measure(data.measure) is Measure.SUBJECTS and not narrowed
    return counts_all and data.roles is None and data.per in (["role"], "everyone")


def relation_of(name: str) -> Relation:
    """Return the relation of a qualified name."""
    schema, _, bare = name.rpartition(".")
    return Relation(schema, bare)
