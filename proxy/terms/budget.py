"""How much a principal may receive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from proxy.terms.finding import Action, Severity

if TYPE_CHECKING:
    from proxy.terms.column_class import ColumnClass
    from proxy.terms.relation import Relation


class Measure(StrEnum):
    """What a budget counts."""

    SUBJECTS = "distinct_subjects"
    ROWS = "rows"  # rows that carry a key or health values of subjects, and no more
    BYTES = "bytes"
    STATEMENTS = "statements"  # those that read subject relations
    QUESTIONS = "questions"  # those of them whose result names nobody: a bit or a number each
    TELLING_ERRORS = "telling_errors"  # errors and notices that quote what was not sent
    CANARIES = "canaries"  # planted subjects that no work ever touches, in any form
    # what identifies people, counted in whatever leaves
    NIR = "nir"
    RPPS = "rpps"
    PHONE = "phone"
    EMAIL = "email"
    IBAN = "iban"
    PATTERN = "pattern"  # the site's own patterns


CONTENT: Final = frozenset(
    {Measure.NIR, Measure.RPPS, Measure.PHONE, Measure.EMAIL, Measure.IBAN, Measure.PATTERN}
)


class Grouping(StrEnum):
    """For whom a budget is one: for all that have the same of these together."""

    ROLE = "role"  # the database role, on its database
    ADDRESS = "address"
    CERTIFICATE = "certificate"  # its subject; those without one are one group
    END_USER = "end_user"
    APPLICATION = "application"
    RELATION = "relation"
    STATEMENT = "statement"  # each statement has one of its own
    ORDER = "order"  # a work order


class Method(StrEnum):
    """How a charge was found, most precise first (the leak bound)."""

    FREE = "free"
    KEYS = "keys"
    BOUND = "bound"
    ROWS = "rows"
    BYTES = "bytes"


PER_ROLE = (Grouping.ROLE,)


@dataclass(frozen=True, slots=True)
class Budget:
    """A measure, a grouping, a window and a limit. ``limit`` None: counted, never cut.

    A budget with several windows is several of these with one id. ``classes`` and ``relations``
    narrow what is counted to results with columns of such a class, from such a relation; empty:
    all. ``per`` empty: everyone together.
    """

    id: str
    title: str
    measure: Measure
    roles: frozenset[str]  # empty: any role that no other budget of this kind names
    window_seconds: int
    limit: int | None
    action: Action = Action.BLOCK
    severity: Severity = Severity.CRITICAL
    explanation: str = "has received as much as its budget allows"
    per: tuple[Grouping, ...] = PER_ROLE
    classes: frozenset[ColumnClass] = frozenset()
    relations: frozenset[Relation] = frozenset()
    bound: bool | None = None  # only what is done for a named end user, or only what is not
    slows_from_percent: int | None = None  # of the limit, from which on results are slowed
    slows_by_seconds: float = 0.0  # when the limit is reached; less before

    @property
    def kind(self) -> tuple[object, ...]:
        """What it counts and for whom: budgets of one kind replace each other for a role."""
        return (self.measure, self.per, self.classes, self.relations, self.bound)

    @property
    def said_names(self) -> frozenset[Grouping]:
        """By which names it counts that only those say who are believed."""
        named = {Grouping.END_USER, Grouping.APPLICATION} & set(self.per)
        return frozenset(named if self.bound is None else named | {Grouping.END_USER})

    @property
    def is_per_statement(self) -> bool:
        """Whether it begins anew with each statement."""
        return Grouping.STATEMENT in self.per
