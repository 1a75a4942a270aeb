"""Names of relations, columns and functions, always with their schema."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """A table, view, materialised view or foreign table.

    ``schema`` is empty when the name was not qualified and could not be resolved.
    """

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A column of a relation."""

    relation: Relation
    name: str

    def __str__(self) -> str:
        return f"{self.relation}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Function:
    """A function, procedure or aggregate by name; overloads are one (the most pessimistic)."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name
