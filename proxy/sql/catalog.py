"""What Vigie knows of a database: relations, columns, views, children, functions.

A value. It is read in the frontend's own session (``CATALOG_QUERY``), so it sees what that role
and its search_path see, temporary relations included.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Function, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.terms.relation import Column

FIRST_USER_OID: Final = 16384
HARMLESS_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})
# Their functions compute from their arguments and run no SQL.
HARMLESS_EXTENSIONS: Final = frozenset(
    {
        "btree_gin",
        "btree_gist",
        "citext",
        "cube",
        "dict_int",
        "earthdistance",
        "fuzzystrmatch",
        "hstore",
        "intarray",
        "isn",
        "ltree",
        "pg_trgm",
        "pgcrypto",
        "seg",
        "tcn",
        "unaccent",
        "uuid-ossp",
        "vector",
    }
)


@dataclass(frozen=True, slots=True)
class CatalogRelation:
    """One relation of the database. ``columns``: (number, name, type OID) in order."""

    oid: int
    relation: Relation
    kind: str  # pg_class.relkind: r, v, m, f, p, S
    temporary: bool
    columns: tuple[tuple[int, str, int], ...] = ()
    # when it was last analysed; None: never. No part of what makes two catalogs differ.
    rows: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CatalogFunction:
    """One function of the database, not of PostgreSQL itself."""

    oid: int
    function: Function
    kind: str  # pg_proc.prokind: f, p, a, w
    volatility: str
    language: str
    security_definer: bool
    extension: str
    owner: str = ""
    triggers: tuple[int, ...] = ()  # OIDs of the relations whose triggers run it
    definition: str = ""  # as CREATE FUNCTION; '': of another language, or too long


@dataclass(frozen=True, slots=True)
class ColumnOrigin:
    """What a stored column is. ``subject``: its relation has subjects' data."""

    column_class: ColumnClass = ColumnClass.NONE
    key_space: str | None = None
    subject: bool = False


HARMLESS_COLUMN: Final = ColumnOrigin()
UNKNOWN_COLUMN: Final = ColumnOrigin(ColumnClass.UNKNOWN, None, subject=True)


@dataclass(frozen=True, slots=True)
class SubjectColumns:
    """The columns of one relation with subjects' data, by name."""

    columns: Mapping[str, ColumnOrigin]
    rest: ColumnOrigin  # of a column that is not listed
    whole: ColumnOrigin  # of a whole row


UNLISTED: Final = SubjectColumns({}, UNKNOWN_COLUMN, UNKNOWN_COLUMN)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that is known of a database, resolved against a schema map.

    ``version`` is a fingerprint of the content: equal versions mean equal answers.
    """

    version: int = 0
    search_path: tuple[str, ...] | None = None
    read_path: tuple[str, ...] | None = None  # of the session that has read it
    role: str = ""
    relations: Mapping[int, CatalogRelation] = field(default_factory=dict)
    by_name: Mapping[str, tuple[Relation, ...]] = field(default_factory=dict)
    oids: Mapping[Relation, int] = field(default_factory=dict)
    view_sources: Mapping[Relation, frozenset[Relation]] = field(default_factory=dict)  # all levels
    view_functions: Mapping[Relation, frozenset[Function]] = field(default_factory=dict)
    children: Mapping[Relation, frozenset[Relation]] = field(default_factory=dict)  # all levels
    functions: Mapping[str, tuple[CatalogFunction, ...]] = field(default_factory=dict)
    builtin_functions: frozenset[str] = frozenset()
    user_operators: Mapping[str, frozenset[str]] = field(default_factory=dict)  # name -> schemas
    subjects: Mapping[Relation, SubjectColumns] = field(default_factory=dict)
    tainted: frozenset[Relation] = frozenset()
    references: Mapping[Column, Column] = field(default_factory=dict)  # by foreign keys
    # made since it was read -> whether subjects' data may be in them
    fresh: Mapping[Relation, bool] = field(default_factory=dict)
    holds_nobody: bool = False  # no subjects' data anywhere, nor a way to another database
    sticky: Mapping[tuple[int, int], ColumnOrigin] = field(default_factory=dict)
    digest: bytes = b""

    def origin(self, table_oid: int, attribute_number: int) -> ColumnOrigin:
        """Return what the column is that RowDescription names. Errors: none.

        Number 0 is a whole row or no single column: the most sensitive of the relation.
        """
        if 0 < table_oid < FIRST_USER_OID:
            return HARMLESS_COLUMN
        found = self.relations.get(table_oid)
        if found is None:
            return UNKNOWN_COLUMN
        subject = self.subjects.get(found.relation)
        if subject is None:
            return HARMLESS_COLUMN
        if attribute_number == 0:
            return subject.whole
        for number, name, _ in found.columns:
            if number == attribute_number:
                return subject.columns.get(name, subject.rest)
        if attribute_number < 0:
            return ColumnOrigin(subject=True)  # a system column
        return UNKNOWN_COLUMN

    def columns_of(self, relation: Relation) -> tuple[str, ...] | None:
        """Return the names of its columns in order, or None if they are not known."""
        found = self.relations.get(self.oids.get(relation, 0))
        if found is None or found.kind == "S":
            return None
        return tuple(name for _, name, _ in found.columns)

    @property
    def schemas(self) -> frozenset[str]:
        """Return the schemas that have relations in them."""
        return frozenset(relation.schema for relation in self.oids)

    def resolve(self, schema: str, name: str) -> tuple[Relation, ...]:
        """Return the relations a name may stand for; () if it is nowhere."""
        named = self.by_name.get(name, ())
        if not named:
            return ()
        if schema:
            if schema == "pg_temp":
                return tuple(r for r in named if r.schema.startswith("pg_temp"))
            return tuple(r for r in named if r.schema == schema)
        if self.search_path is None:
            return named
        for candidate in self.search_path:
            for relation in named:
                if relation.schema == candidate:
                    return (relation,)
        return ()

    def functions_named(self, schema: str, name: str) -> tuple[CatalogFunction, ...]:
        """Return the database's own functions that a call by this name may reach."""
        named = self.functions.get(name, ())
        if schema:
            return tuple(f for f in named if f.function.schema == schema)
        if self.search_path is None:
            return named
        return tuple(f for f in named if f.function.schema in self.search_path)

    def has_user_operator(self, name: str) -> bool:
        """Whether an operator of this name may be one of the database's own."""
        schemas = self.user_operators.get(name)
        if not schemas:
            return False
        return self.search_path is None or not schemas.isdisjoint(self.search_path)

    def with_changes(self, tainted: frozenset[Relation], fresh: Mapping[Relation, bool]) -> Catalog:
        """Return this catalog with what a session has made and filled since it was read.

        Where nobody was, nobody is as long as all of that was made empty of subjects.
        """
        clean = {relation for relation, held in fresh.items() if not held}
        changed = self.with_tainted(tainted).with_fresh(fresh)
        is_clean = len(clean) == len(fresh) and tainted <= clean
        return replace(changed, holds_nobody=True) if self.holds_nobody and is_clean else changed

    def with_tainted(self, relations: Iterable[Relation]) -> Catalog:
        """Return this catalog with these relations holding copies of subjects' data."""
        tainted = self.tainted | frozenset(relations)
        if tainted == self.tainted:
            return self
        subjects = {**self.subjects}
        for relation in self.oids:
            if is_tainted(relation, tainted):
                for reached in (relation, *self._views_over(relation)):
                    subjects.setdefault(reached, UNLISTED)
        version = hash_text(f"{self.version} {sorted(map(str, tainted))}")
        return replace(
            self, tainted=tainted, subjects=subjects, version=version, holds_nobody=False
        )

    def with_fresh(self, relations: Mapping[Relation, bool]) -> Catalog:
        """Return this catalog with relations that were made since it was read.

        Args:
            relations: whether subjects' data may be in each. One that is said to be free of it is
                believed only if nothing else has its name: it may be gone again.
        """
        names = {relation.name for relation, held in relations.items() if held}
        fresh = {
            relation: held or relation.name in names
            for relation, held in relations.items()
            if held or relation.name not in self.by_name
        }
        if fresh == self.fresh:
            return self
        content = sorted(f"{relation} {held}" for relation, held in fresh.items())
        return replace(
            self,
            fresh=fresh,
            version=hash_text(f"{self.version} fresh {content}"),
            holds_nobody=self.holds_nobody and not any(fresh.values()),
        )

    def without_bodies(self) -> Catalog:
        """Return this catalog with functions that may do anything: some may be others by now."""
        functions = {
            name: tuple(replace(one, definition="") for one in found)
            for name, found in self.functions.items()
        }
        return replace(self, functions=functions, version=hash_text(f"{self.version} no bodies"))

    def with_search_path(self, path: tuple[str, ...] | None) -> Catalog:
        """Return this catalog for another search_path; None: it is not known."""
        if path == self.search_path:
            return self
        return replace(self, search_path=path)

    def _views_over(self, relation: Relation) -> tuple[Relation, ...]:
        return tuple(view for view, bases in self.view_sources.items() if relation in bases)


def is_tainted(relation: Relation, tainted: frozenset[Relation]) -> bool:
    """Whether the relation is one of these; a schema may be '' (any) or pg_temp."""
    return (
        relation in tainted
        or Relation("", relation.name) in tainted
        or (relation.schema.startswith("pg_temp") and Relation("pg_temp", relation.name) in tainted)
    )


def hash_text(text: str) -> int:
    """Return a number of 63 bits for the text, the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
