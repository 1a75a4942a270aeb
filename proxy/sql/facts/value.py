"""What a value of a statement carries, and how values combine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.terms.relation import Column

_RANK: Final = {
    ColumnClass.NONE: 0,
    ColumnClass.KEY: 1,
    ColumnClass.QUASI: 2,
    ColumnClass.HEALTH: 3,
    ColumnClass.IDENTITY: 4,
    ColumnClass.UNKNOWN: 5,
}

IDENTIFYING: Final = frozenset({ColumnClass.KEY, ColumnClass.QUASI, ColumnClass.IDENTITY})


@dataclass(frozen=True, slots=True)
class Place:
    """A stored column of one occurrence of a relation in the statement."""

    occurrence: int
    column: str


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression carries. The default is a constant: nothing of a subject.

    ``identifies``: something that tells who a subject is went into it, whatever its class is:
    the class of a value made of a key or a birth date and of a result is that of the result.
    """

    provenance: Provenance = Provenance.NONE
    column_class: ColumnClass = ColumnClass.NONE
    sources: frozenset[Column] = frozenset()
    key_space: str | None = None  # of a DIRECT subject key
    place: Place | None = None  # of a DIRECT column
    identifies: bool = False
    also: frozenset[ColumnClass] = frozenset()  # classes less sensitive that are in it as well

    @property
    def classes(self) -> frozenset[ColumnClass]:
        """All classes that are in it; of a constant, none."""
        return frozenset() if self.tells_nothing else self.also | {self.column_class}

    @property
    def tells_nothing(self) -> bool:
        """Whether nothing of a subject is in it."""
        return self.provenance is Provenance.NONE

    @property
    def tells_who(self) -> bool:
        """Whether a subject is told by it, or by what went into it."""
        return self.identifies or self.column_class in IDENTIFYING or self.key_space is not None


@dataclass(frozen=True, slots=True)
class Named:
    """A value under the name it has in a result. ``*``: an unknown number of columns."""

    name: str
    value: Value


NOTHING: Final = Value()
UNKNOWN_VALUE: Final = Value(Provenance.UNKNOWN, ColumnClass.UNKNOWN)


def most_sensitive(classes: Iterable[ColumnClass]) -> ColumnClass:
    """Return the most sensitive of the classes; of none it is NONE."""
    return max(classes, key=_RANK.__getitem__, default=ColumnClass.NONE)


def combine(values: Iterable[Value]) -> Value:
    """Return the value of an expression over these: derived, unless nothing is in them."""
    carrying = [value for value in values if not value.tells_nothing]
    if not carrying:
        return NOTHING
    kinds = {value.provenance for value in carrying}
    provenance = Provenance.DERIVED
    if Provenance.UNKNOWN in kinds:
        provenance = Provenance.UNKNOWN
    elif Provenance.FOLDED in kinds:
        provenance = Provenance.FOLDED
    worst = most_sensitive(value.column_class for value in carrying)
    return Value(
        provenance,
        worst,
        _union(carrying),
        identifies=any(value.tells_who for value in carrying),
        also=_others(carrying, worst),
    )


def _others(values: list[Value], worst: ColumnClass) -> frozenset[ColumnClass]:
    if len(values) == 1:
        return values[0].also
    found = {value.column_class for value in values}.union(*(value.also for value in values))
    return frozenset(found - {worst})


def _union(values: list[Value]) -> frozenset[Column]:
    if len(values) == 1:
        return values[0].sources
    return frozenset(source for value in values for source in value.sources)


def fold(value: Value) -> Value:
    """Return the value of many rows' values in one."""
    if value.tells_nothing or value.provenance is Provenance.UNKNOWN:
        return value
    return replace(value, provenance=Provenance.FOLDED, key_space=None, place=None)


def derive(value: Value) -> Value:
    """Return the value of an expression over this one."""
    return combine((value,))


def unite(left: Value, right: Value) -> Value:
    """Return the value of a column that is the one in some rows and the other in others."""
    if left == right:
        return replace(left, place=None)
    if left.tells_nothing and right.tells_nothing:
        return NOTHING
    for one, other in ((left, right), (right, left)):
        if one.tells_nothing:
            return replace(other, place=None)
    both = combine((left, right))
    if left.provenance is right.provenance is Provenance.DIRECT:
        space = left.key_space if left.key_space == right.key_space else None
        return replace(both, provenance=Provenance.DIRECT, key_space=space)
    return both
