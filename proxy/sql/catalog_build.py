"""From the rows of ``CATALOG_QUERY`` to a Catalog."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

from proxy.sql.builtins import BUILTIN_FUNCTIONS
from proxy.sql.catalog import (
    HARMLESS_COLUMN,
    HARMLESS_EXTENSIONS,
    UNKNOWN_COLUMN,
    UNLISTED,
    Catalog,
    CatalogFunction,
    CatalogRelation,
    ColumnOrigin,
    SubjectColumns,
    hash_text,
    is_tainted,
)
from proxy.sql.facts.value import most_sensitive
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column, Function, Relation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from proxy.sql.kept import KeptRelation
    from proxy.terms.schema_map import SchemaMap

_Rows: TypeAlias = "Sequence[Sequence[str | None]]"
_SELECTS: Final = 10
_LASTING: Final = 5  # columns of a relation that are no statistics
_DERIVED_KINDS: Final = frozenset("vm")
_FOREIGN: Final = "f"
_REMOTE_EXTENSIONS: Final = frozenset({"dblink", "postgres_fdw"})
_KEY: Final = ColumnClass.KEY


def build_catalog(
    results: Sequence[_Rows],
    schema_map: SchemaMap,
    previous: Catalog | None = None,
    *,
    kept: Collection[KeptRelation] = (),
    tainted: frozenset[Relation] = frozenset(),
) -> Catalog:
    """Return the catalog that these results tell of.

    Args:
        results: rows of text for each SELECT of ``CATALOG_QUERY``, in its order.
        schema_map: what the site says of its columns.
        previous: the catalog before, of the same session or database. What a relation was found
            to be stays with its OID, so that a renamed one is still known.
        kept: the same of before a restart.
        tainted: relations into which subjects' data was copied; from here on it stays with the OID.

    Errors: ``ValueError`` if there are not ten results or a row is not as expected.
    """
    if len(results) != _SELECTS:
        raise ValueError(f"the catalog query gives {_SELECTS} results, not {len(results)}")
    digest = _digest(results, schema_map)
    builder = _Builder(results, schema_map, previous, digest)
    if previous is not None and previous.digest == digest and not (kept or tainted):
        return builder.with_sizes(previous)
    builder.kept = {one.oid: one for one in kept}
    builder.tainted = tainted
    return builder.build()


def _digest(results: Sequence[_Rows], schema_map: SchemaMap) -> bytes:
    content = blake2b(digest_size=16)
    relations = [row[:_LASTING] for row in results[1]]  # without how many rows they have today
    content.update(repr([results[0], relations, *results[2:]]).encode())
    content.update(repr(sorted(map(str, schema_map.classes.items()))).encode())
    content.update(repr(sorted(map(str, schema_map.keys.items()))).encode())
    content.update(repr(sorted(map(str, schema_map.subject_relations))).encode())
    return content.digest()


class _Builder:
    """Holds the parts while they are put together."""

    def __init__(
        self,
        results: Sequence[_Rows],
        schema_map: SchemaMap,
        previous: Catalog | None,
        digest: bytes,
    ) -> None:
        self.results = [[[field or "" for field in row] for row in rows] for rows in results]
        self.map = schema_map
        self.previous = previous
        self.digest = digest
        self.names: dict[int, Relation] = {}
        self.kept: Mapping[int, KeptRelation] = {}
        self.tainted: frozenset[Relation] = frozenset()

    def with_sizes(self, catalog: Catalog) -> Catalog:
        """Return the same catalog, with how many rows there are if that is much different."""
        relations = self._relations()
        for oid, entry in relations.items():
            before, now = catalog.relations[oid].rows, entry.rows
            is_near = before == now or (before and now and abs(now - before) * 5 < before)
            if not is_near and entry.relation in catalog.subjects:
                return replace(catalog, relations=relations)
        return catalog

    def build(self) -> Catalog:
        relations = self._relations()
        self.names = {oid: found.relation for oid, found in relations.items()}
        sources = _closure(self._pairs(3))
        children = _closure(self._pairs(4))
        functions, by_oid = self._functions()
        tainted = self.tainted
        if self.previous is not None:
            tainted |= self.previous.tainted
        subjects = self._subjects(relations, sources, children, tainted)
        sticky = self._sticky(relations, subjects)
        session = self.results[0][0] if self.results[0] else ["", "", ""]
        by_name: dict[str, list[Relation]] = {}
        for relation in self.names.values():
            by_name.setdefault(relation.name, []).append(relation)
        return Catalog(
            version=hash_text(f"{self.digest.hex()} {_shape(subjects)}"),
            search_path=tuple(part for part in session[0].split("\n") if part),
            read_path=tuple(part for part in session[0].split("\n") if part),
            role=session[1],
            relations=relations,
            by_name={name: tuple(found) for name, found in by_name.items()},
            oids={relation: oid for oid, relation in self.names.items()},
            view_sources=sources,
            view_functions=self._view_functions(by_oid),
            children=children,
            functions=functions,
            builtin_functions=BUILTIN_FUNCTIONS | frozenset(self._builtin_names()),
            user_operators=self._operators(),
            subjects=subjects,
            references=self._references(relations),
            holds_nobody=not any(one.whole.subject for one in subjects.values())
            and not any(one.kind == _FOREIGN for one in relations.values())
            and not any(one.extension in _REMOTE_EXTENSIONS for one in by_oid.values()),
            sticky=sticky,
            digest=self.digest,
        )

    def _relations(self) -> dict[int, CatalogRelation]:
        columns: dict[int, list[tuple[int, str, int]]] = {}
        for oid, number, name, type_oid in self.results[2]:
            columns.setdefault(int(oid), []).append((int(number), name, int(type_oid)))
        return {
            int(oid): CatalogRelation(
                int(oid),
                Relation(schema, name),
                kind,
                persistence == "t",
                tuple(columns.get(int(oid), ())),
                int(rows[0]) if rows and int(rows[0]) > 0 else None,
            )
            for oid, schema, name, kind, persistence, *rows in self.results[1]
        }

    def _pairs(self, index: int) -> dict[Relation, set[Relation]]:
        pairs: dict[Relation, set[Relation]] = {}
        for upper, lower in self.results[index]:
            above, below = self.names.get(int(upper)), self.names.get(int(lower))
            if above is not None and below is not None:
                pairs.setdefault(above, set()).add(below)
        return pairs

    def _functions(
        self,
    ) -> tuple[dict[str, tuple[CatalogFunction, ...]], dict[int, CatalogFunction]]:
        by_name: dict[str, list[CatalogFunction]] = {}
        by_oid: dict[int, CatalogFunction] = {}
        for row in self.results[5]:
            oid, schema, name, kind, volatility, language, definer, extension, *body = row
            owner, definition, triggers = (*body, "", "", "")[:3]
            found = CatalogFunction(
                int(oid),
                Function(schema, name),
                kind,
                volatility,
                language,
                definer == "t",
                extension,
                owner,
                tuple(map(int, triggers.split())),
                definition,
            )
            by_oid[found.oid] = found
            by_name.setdefault(name, []).append(found)
        return {name: tuple(found) for name, found in by_name.items()}, by_oid

    def _view_functions(
        self, by_oid: Mapping[int, CatalogFunction]
    ) -> dict[Relation, frozenset[Function]]:
        found: dict[Relation, set[Function]] = {}
        for view_oid, function_oid in self.results[6]:
            view, function = self.names.get(int(view_oid)), by_oid.get(int(function_oid))
            if view is not None and function is not None:
                found.setdefault(view, set()).add(function.function)
        return {view: frozenset(functions) for view, functions in found.items()}

    def _operators(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for schema, name, extension in self.results[7]:
            if extension not in HARMLESS_EXTENSIONS:
                found.setdefault(name, set()).add(schema)
        return {name: frozenset(schemas) for name, schemas in found.items()}

    def _references(self, relations: Mapping[int, CatalogRelation]) -> dict[Column, Column]:
        """Return each column of a foreign key with the one it references."""
        found: dict[Column, Column] = {}
        for source_oid, source_numbers, target_oid, target_numbers in self.results[9]:
            source, target = relations.get(int(source_oid)), relations.get(int(target_oid))
            if source is None or target is None:
                continue
            names = [{str(number): name for number, name, _ in one.columns}
                     for one in (source, target)]  # fmt: skip
            numbers = zip(source_numbers.split(), target_numbers.split(), strict=True)
            for here, there in numbers:
                if here in names[0] and there in names[1]:
                    column = Column(source.relation, names[0][here])
                    found[column] = Column(target.relation, names[1][there])
        return found

    def _builtin_names(self) -> list[str]:
        rows = self.results[8]
        return rows[0][0].split() if rows else []

    def _subjects(
        self,
        relations: Mapping[int, CatalogRelation],
        sources: Mapping[Relation, frozenset[Relation]],
        children: Mapping[Relation, frozenset[Relation]],
        tainted: frozenset[Relation],
    ) -> dict[Relation, SubjectColumns]:
        """Return the columns of every relation with subjects' data, views included."""
        mapped = _mapped_columns(self.map)
        for relation in self.map.subject_relations:
            mapped.setdefault(relation, {})
        family = _both_ways(children)
        found: dict[Relation, SubjectColumns] = {}
        by_relation = {entry.relation: entry for entry in relations.values()}
        for relation, entry in by_relation.items():
            kin = [mapped[other] for other in (relation, *family.get(relation, ()))
                   if other in mapped]  # fmt: skip
            if relation in mapped or kin:
                found[relation] = _from_map(
                    entry, kin, is_subject=relation in self.map.subject_relations
                )
        for relation, entry in by_relation.items():
            held = self._held_before(entry)
            if held is not None:
                known = found.get(relation)
                found[relation] = held if known is None else _stricter(known, held)
        if tainted:
            for relation in by_relation:
                if is_tainted(relation, tainted):
                    found.setdefault(relation, UNLISTED)
        for relation, bases in sources.items():
            reached = {base for one in bases for base in (one, *children.get(one, ()))}
            if relation not in found and any(base in found for base in reached):
                kind = by_relation[relation].kind
                if kind in _DERIVED_KINDS:
                    found[relation] = UNLISTED
        return found

    def _held_before(self, entry: CatalogRelation) -> SubjectColumns | None:
        """Return what the relation of this OID was before, under whatever name."""
        sticky = {} if self.previous is None else self.previous.sticky
        if (entry.oid, 0) not in sticky:
            kept = self.kept.get(entry.oid)
            if kept is None or not kept.is_of(entry):
                return None
            sticky = {(entry.oid, one.number): one.origin for one in kept.columns}
            sticky[entry.oid, 0] = kept.whole
        columns = {
            name: sticky.get((entry.oid, number), UNKNOWN_COLUMN)
            for number, name, _ in entry.columns
        }
        return SubjectColumns(columns, UNKNOWN_COLUMN, sticky[entry.oid, 0])

    def _sticky(
        self,
        relations: Mapping[int, CatalogRelation],
        subjects: Mapping[Relation, SubjectColumns],
    ) -> dict[tuple[int, int], ColumnOrigin]:
        before = {} if self.previous is None else {
            key: origin for key, origin in self.previous.sticky.items() if key[0] in relations
        }  # fmt: skip
        for oid, entry in relations.items():
            subject = subjects.get(entry.relation)
            # views are found again by what they read
            if subject is None or not subject.whole.subject or entry.kind in _DERIVED_KINDS:
                continue
            before[oid, 0] = subject.whole
            for number, name, _ in entry.columns:
                before[oid, number] = subject.columns.get(name, subject.rest)
        return before


def _closure(pairs: Mapping[Relation, set[Relation]]) -> dict[Relation, frozenset[Relation]]:
    """Return for each relation all that it reaches, over any number of steps."""
    reached: dict[Relation, frozenset[Relation]] = {}
    for start in pairs:
        seen: set[Relation] = set()
        pending = list(pairs[start])
        while pending:
            relation = pending.pop()
            if relation not in seen:
                seen.add(relation)
                pending.extend(pairs.get(relation, ()))
        reached[start] = frozenset(seen)
    return reached


def _both_ways(children: Mapping[Relation, frozenset[Relation]]) -> dict[Relation, set[Relation]]:
    """Return for each relation its ancestors and descendants."""
    family: dict[Relation, set[Relation]] = {}
    for parent, below in children.items():
        for child in below:
            family.setdefault(parent, set()).add(child)
            family.setdefault(child, set()).add(parent)
    return family


def _mapped_columns(schema_map: SchemaMap) -> dict[Relation, dict[str, ColumnOrigin]]:
    mapped: dict[Relation, dict[str, ColumnOrigin]] = {}
    for column in {**schema_map.classes, **dict.fromkeys(schema_map.keys)}:
        mapped.setdefault(column.relation, {})[column.name] = map_origin(schema_map, column)
    return mapped


def map_origin(schema_map: SchemaMap, column: Column) -> ColumnOrigin:
    """Return what the map says of a column; a key without a class is of class KEY."""
    space = schema_map.keys.get(column)
    found = schema_map.classes.get(column)
    if found is None:
        found = ColumnClass.NONE if space is None else _KEY
    return ColumnOrigin(found, space, column.relation in schema_map.subject_relations)


def _from_map(
    entry: CatalogRelation, kin: list[dict[str, ColumnOrigin]], *, is_subject: bool
) -> SubjectColumns:
    """Return the columns as the map of the relation and its inheritance kin has them."""
    columns: dict[str, ColumnOrigin] = {}
    for listed in kin:
        for name, origin in listed.items():
            known = columns.get(name)
            columns[name] = origin if known is None else _max_origin(known, origin)
    listed_any = bool(columns)
    rest = ColumnOrigin(subject=True) if listed_any else UNKNOWN_COLUMN
    names = [name for _, name, _ in entry.columns]
    subject = is_subject or any(
        origin.subject or origin.column_class is not ColumnClass.NONE for origin in columns.values()
    )
    if not subject and listed_any:
        rest = HARMLESS_COLUMN  # the map says of this relation that it is harmless
    whole = ColumnOrigin(
        most_sensitive(columns.get(name, rest).column_class for name in names), None, subject
    )
    return SubjectColumns(columns, rest, whole)


def _stricter(left: SubjectColumns, right: SubjectColumns) -> SubjectColumns:
    columns = {
        name: _max_origin(left.columns.get(name, left.rest), right.columns.get(name, right.rest))
        for name in {**left.columns, **right.columns}
    }
    return SubjectColumns(columns, left.rest, _max_origin(left.whole, right.whole))


def _max_origin(left: ColumnOrigin, right: ColumnOrigin) -> ColumnOrigin:
    worst = most_sensitive((left.column_class, right.column_class))
    space = left.key_space if left.key_space == right.key_space else None
    if space is None and worst is _KEY:
        space = left.key_space or right.key_space
    return ColumnOrigin(worst, space, left.subject or right.subject)


def _shape(subjects: Mapping[Relation, SubjectColumns]) -> str:
    return ";".join(sorted(f"{relation}{content}" for relation, content in subjects.items()))
