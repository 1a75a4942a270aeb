"""Which columns a name may stand for, query by query."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.value import (
    NOTHING,
    UNKNOWN_VALUE,
    Named,
    Place,
    Value,
    combine,
)
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance, SubjectFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SYSTEM_COLUMNS: Final = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
_ROW_LOCATION: Final = Value(Provenance.DERIVED, ColumnClass.KEY)


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gives: its columns, and the occurrences whose values are in them."""

    columns: tuple[Named, ...] = ()
    contributes: frozenset[int] = frozenset()
    branches: tuple[frozenset[int], ...] = ()  # of a set operation; else the one
    strength: SubjectFilter = SubjectFilter.NONE
    one_row: bool = False
    outer: tuple[Value, ...] = ()  # values of enclosing queries that it uses

    @property
    def is_open(self) -> bool:
        """Whether the number of columns is not known."""
        return any(column.name == "*" for column in self.columns)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of FROM. ``columns`` None: not known, and each is like ``rest``."""

    alias: str
    schema: str
    columns: tuple[Named, ...] | None
    rest: Value
    listed: Mapping[str, Value] = field(default_factory=dict)  # known ones of unknown columns
    members: frozenset[int] = frozenset()
    strength: SubjectFilter | None = None  # of a query inside; None: it holds no subjects
    alias_of: str = ""  # the relation's own name, for those of pg_catalog

    @property
    def visible(self) -> tuple[Named, ...]:
        """What ``alias.*`` gives."""
        return (Named("*", self.rest),) if self.columns is None else self.columns

    @property
    def whole(self) -> Value:
        """What the row as one value carries."""
        values = [column.value for column in self.visible]
        return combine([*values, *self.listed.values()])

    def column(self, name: str) -> Value | None:
        """Return the value of a column; None if it has no such column."""
        if self.columns is None:
            return self.listed.get(name, self.rest)
        found = [column.value for column in self.columns if column.name == name]
        if found:
            return found[0] if len(found) == 1 else combine(found)
        if name in _SYSTEM_COLUMNS:
            return _ROW_LOCATION if name == "ctid" and not self.whole.tells_nothing else NOTHING
        return None

    def renamed(self, alias: str, names: Sequence[str]) -> Item:
        """Return the item under ``AS alias(names)``."""
        if not alias:
            return self
        columns = self.columns
        if names and columns is not None:
            columns = tuple(
                Named(names[index], column.value) if index < len(names) else column
                for index, column in enumerate(columns)
            )
        if names and columns is None:
            # which is which is not known: every name may be the most sensitive
            rest = self.whole if not self.whole.tells_nothing else self.rest
            return replace(self, alias=alias, schema="", rest=rest, listed={})
        return replace(self, alias=alias, schema="", columns=columns)


@dataclass(slots=True)
class Cte:
    """A WITH query. ``uses`` counts the references to it."""

    result: Result
    uses: int = 0


@dataclass(slots=True)
class Scope:
    """The names of one query, and of those around it."""

    parent: Scope | None = None
    items: list[Item] = field(default_factory=list)
    visible: list[Named] = field(default_factory=list)
    ctes: dict[str, Cte] = field(default_factory=dict)
    outer: list[Value] = field(default_factory=list)  # values taken from enclosing queries

    def cte(self, name: str) -> Cte | None:
        """Return the nearest WITH query of this name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.ctes:
                return scope.ctes[name]
            scope = scope.parent
        return None

    def item(self, alias: str, schema: str = "") -> Item | None:
        """Return the FROM entry of this alias here, or None."""
        for item in self.items:
            if item.alias == alias and (not schema or item.schema == schema):
                return item
        return None

    def column(self, name: str) -> Value:
        """Return what an unqualified name stands for; unknown if it is nowhere."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.own_column(name)
            if found is not None:
                self._note_outer(scope, found)
                return found
            scope = scope.parent
        return UNKNOWN_VALUE if self.holds_anything() else NOTHING

    def own_column(self, name: str) -> Value | None:
        """Return the column of this query alone, a whole row included."""
        found = [column.value for column in self.visible if column.name == name]
        if found:
            return found[0] if len(found) == 1 else combine(found)
        whole = self.item(name)
        if whole is not None:
            return whole.whole
        # columns not known, and those left of a LATERAL query
        values = [
            value
            for item in self.items
            if name not in _SYSTEM_COLUMNS and (value := item.column(name)) is not None
        ]
        if values:
            return values[0] if len(values) == 1 else combine(values)
        if name in _SYSTEM_COLUMNS and self.items:
            found = [value for item in self.items if (value := item.column(name)) is not None]
            return combine(found)
        return None

    def find_item(self, alias: str, schema: str = "") -> Item | None:
        """Return the FROM entry of this alias here or around; notes it if around."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.item(alias, schema)
            if found is not None:
                if scope is not self:
                    self._note_outer(scope, found.whole)
                return found
            scope = scope.parent
        return None

    def holds_anything(self) -> bool:
        """Whether some entry of FROM here or around carries subjects' values."""
        scope: Scope | None = self
        while scope is not None:
            if any(not item.whole.tells_nothing for item in scope.items):
                return True
            scope = scope.parent
        return False

    def _note_outer(self, owner: Scope, value: Value) -> None:
        scope: Scope | None = self
        while scope is not None and scope is not owner:
            scope.outer.append(value)
            scope = scope.parent


def direct(
    column_class: ColumnClass, key_space: str | None, occurrence: int | None, name: str
) -> Value:
    """Return the value of a stored column, without its source."""
    place = None if occurrence is None else Place(occurrence, name)
    return Value(Provenance.DIRECT, column_class, frozenset(), key_space, place)
