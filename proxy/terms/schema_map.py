"""Where the subjects of a site are: the schema map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.terms.column_class import ColumnClass
    from proxy.terms.relation import Column, Function, Relation


@dataclass(frozen=True, slots=True)
class MappedFunction:
    """What the site says about one of its functions.

    ``harmless``: gives nothing of a subject. Else ``subject_argument`` (numbered from 1) is the
    key of the one subject it tells about, or ``columns`` classes what it returns.
    """

    harmless: bool = False
    subject_argument: int | None = None
    key_space: str | None = None
    columns: Mapping[str, ColumnClass] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)  # column -> key space


@dataclass(frozen=True, slots=True)
class SchemaMap:
    """Subject relations with the class and key space of their columns, and mapped functions."""

    subject_relations: frozenset[Relation] = frozenset()
    classes: Mapping[Column, ColumnClass] = field(default_factory=dict)
    keys: Mapping[Column, str] = field(default_factory=dict)  # column -> key space
    functions: Mapping[Function, MappedFunction] = field(default_factory=dict)
    bytes_per_subject: int = 6  # 15 digits are 50 bits: no identity packs into fewer bytes
    types: Mapping[Column, str] = field(default_factory=dict)  # without lengths: bigint, character
