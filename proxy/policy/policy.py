"""The loaded policy: rules, budgets, thresholds and the schema map, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from proxy.policy.conditions import Comparison, Compiled
    from proxy.terms.behalf import Trust
    from proxy.terms.budget import Budget
    from proxy.terms.column_class import ColumnClass
    from proxy.terms.finding import Action, Mode, Severity
    from proxy.terms.mask import How
    from proxy.terms.principal import Principal
    from proxy.terms.schema_map import SchemaMap
    from proxy.terms.working_hours import WorkingHours


@dataclass(frozen=True, slots=True)
class Exemption:
    """A rule's declared exception: it does not hold where ``unless`` surely does."""

    unless: Compiled
    owner: str
    expires: date
    why: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, compiled. ``facts``: those its condition asks for, in the order written.

    ``reads_opaque``: it is one of those that judge what could not be understood.
    """

    id: str
    title: str
    severity: Severity
    weight: int
    action: Action
    mode: Mode
    when: Compiled
    unless: Compiled | None
    explanation: str
    why: str
    facts: tuple[str, ...]
    exemptions: tuple[Exemption, ...] = ()
    tests: tuple[Comparison, ...] = ()  # of its condition, in the order written
    reads_opaque: bool = False
    tags: tuple[str, ...] = ()
    revision: int = 1
    mask: Mapping[ColumnClass, How] | None = None  # it masks, and refuses where it cannot


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score on (0 to 100) a statement is flagged, and refused."""

    flag: int = 20
    block: int = 60


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides. ``version``: 12 hex digits of the hash of all files.

    ``masks``: the rules that mask.
    ``patterns``: the site's own, which budgets of ``Measure.PATTERN`` count.
    """

    rules: tuple[Rule, ...]
    budgets: tuple[Budget, ...]
    schema_map: SchemaMap
    version: str
    thresholds: Thresholds = field(default_factory=Thresholds)
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    masks: tuple[Rule, ...] = ()
    trusts: tuple[Trust, ...] = ()  # whose word of for whom they act is believed
    working_hours: tuple[WorkingHours, ...] = ()
    asks_for_whom: bool = False  # some condition asks for whom a statement is

    @property
    def bytes_per_subject(self) -> int:
        """Into how few bytes a subject may be packed."""
        return self.schema_map.bytes_per_subject

    def budgets_for(self, role: str) -> tuple[Budget, ...]:
        """Return the budgets of a role: for each kind those naming it, else those for all.

        Those that count by names only if the role is believed on them, from some address.
        """
        believed = {name for one in self.trusts if role in one.roles for name in one.said}
        found: list[Budget] = []
        for kind in dict.fromkeys(budget.kind for budget in self.budgets):
            same = [budget for budget in self.budgets if budget.kind == kind]
            if not same[0].said_names <= believed:
                continue
            own = [budget for budget in same if role in budget.roles]
            found.extend(own or (budget for budget in same if not budget.roles))
        return tuple(found)

    def trust_in(self, principal: Principal) -> Trust | None:
        """Return whether and where a principal says for whom it acts; None: it is not believed."""
        for trust in self.trusts:
            if principal.role in trust.roles and trust.takes(principal.address):
                return trust
        return None

    def is_off_hours(self, role: str, wall: float) -> bool:
        """Whether a role does not work at a moment, in seconds since 1970."""
        own = [one for one in self.working_hours if role in one.roles]
        return bool(own) and not any(one.covers(wall) for one in own)

    @property
    def named_roles(self) -> frozenset[str]:
        """The roles that some budget names."""
        return frozenset[str]().union(*(budget.roles for budget in self.budgets))
