"""What was read of a database for a draft of its schema map: names, types, keys, and looks.

``Looks`` are counts. No value of a sample is in here, so none can be written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.terms.relation import Column, Relation


class Look(StrEnum):
    """What a value may look like."""

    NIR = "nir"  # with a right key
    NIR_SHAPE = "nir_shape"  # 13 or 15 digits of a NIR's form; their key is wrong or missing
    RPPS = "rpps"
    PHONE = "phone"
    EMAIL = "email"
    IBAN = "iban"
    POSTCODE = "postcode"
    BIRTH_DATE = "birth_date"  # a day within a life, 25 years ago or more
    SEX = "sex"
    HOLDS_NIR = "holds_nir"  # a longer text with a NIR in it
    HOLDS_CONTACT = "holds_contact"  # ... with an e-mail address or a phone number in it


@dataclass(frozen=True, slots=True)
class Looks:
    """How many values of a column were seen, and what they look like."""

    seen: int = 0
    distinct: int = 0
    counts: Mapping[Look, int] = field(default_factory=dict)

    def share(self, *looks: Look) -> float:
        """Return which part of the values has one of these looks."""
        if not self.seen:
            return 0.0
        return sum(self.counts.get(look, 0) for look in looks) / self.seen


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """One column. ``type``: as format_type() says it; ``is_unique``: an index of it alone is."""

    name: str
    type: str
    comment: str = ""
    is_unique: bool = False
    is_primary: bool = False  # the primary key, alone
    looks: Looks = field(default_factory=Looks)


@dataclass(frozen=True, slots=True)
class LiveRelation:
    """One relation. ``parents``: those it inherits from or is a partition of.

    ``unsampled``: why no values were looked at; empty: they were.
    """

    relation: Relation
    kind: str  # pg_class.relkind: r, p, f, v, m
    columns: tuple[LiveColumn, ...] = ()
    comment: str = ""
    parents: tuple[Relation, ...] = ()
    unsampled: str = ""


@dataclass(frozen=True, slots=True)
class LiveFunction:
    """A function of the database. ``row_of``: the relation whose rows it returns."""

    name: str  # schema.name
    is_trigger: bool = False
    row_of: Relation | None = None


@dataclass(frozen=True, slots=True)
class LiveSchema:
    """All that was read. ``references``: a column to the one it references."""

    relations: Mapping[Relation, LiveRelation]
    references: Mapping[Column, Column] = field(default_factory=dict)
    functions: tuple[LiveFunction, ...] = ()
    problems: tuple[str, ...] = ()  # what could not be read
