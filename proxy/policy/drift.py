"""Where the schema map and the database no longer fit: what is gone, what changed, what is new.

What the map does not name is of nobody, so a column that comes after the map was written leaves
uncharged by keys and unmasked. Tables are looked at; a view over mapped relations that is not
mapped itself counts as unknown until it is, which needs no finding.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from proxy.policy.draft.guess import FEW_SEEN, MOST
from proxy.policy.draft.live_schema import Look
from proxy.policy.draft.names import Meaning, is_of_others, meaning_of, names_staff
from proxy.sql.catalog import HARMLESS_COLUMN
from proxy.terms.relation import Column, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.policy.draft.live_schema import LiveSchema
    from proxy.sql.catalog import Catalog, CatalogRelation, ColumnOrigin
    from proxy.terms.schema_map import SchemaMap

_TABLES: Final = frozenset("rpf")
# words of NIRs, so that most names are told from them at once
_MAY_BE_NIR: Final = re.compile(r"nir|ss|sec|ins|immat|assur|nia|social", re.IGNORECASE)
_SAYS_WHO: Final = frozenset(
    {Meaning.NIR, Meaning.LAST_NAME, Meaning.FIRST_NAME, Meaning.FULL_NAME, Meaning.ADDRESS}
    | {Meaning.PHONE, Meaning.EMAIL, Meaning.IBAN}
)
# pg_type.oid: what a NIR may be in, and how types are called that keys have
_HOLDS_NIR: Final = frozenset({19, 20, 25, 1042, 1043, 1700})
TYPES: Final = {
    16: "boolean",
    19: "name",
    20: "bigint",
    21: "smallint",
    23: "integer",
    25: "text",
    114: "json",
    1042: "character",
    1043: "character varying",
    1082: "date",
    1114: "timestamp without time zone",
    1184: "timestamp with time zone",
    1700: "numeric",
    2950: "uuid",
    3802: "jsonb",
}


class DriftKind(StrEnum):
    """How the map and the database differ."""

    RELATION_GONE = "relation_gone"  # mapped, and not there
    COLUMN_GONE = "column_gone"
    TYPE_CHANGED = "type_changed"  # of a mapped column
    KEY_UNMAPPED = "key_unmapped"  # a foreign key to a subject key that the map does not have
    IDENTITY_UNMAPPED = "identity_unmapped"  # a column of identities that the map does not have


# by these more leaves than the map says; by the others something is named in vain
DISCLOSING: Final = frozenset({DriftKind.KEY_UNMAPPED, DriftKind.IDENTITY_UNMAPPED})


@dataclass(frozen=True, slots=True, order=True)
class Drift:
    """One difference. ``place``: relation or column; ``what``: a sentence without its place."""

    kind: DriftKind
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def find_drift(
    schema_map: SchemaMap, catalog: Catalog, before: Catalog | None = None
) -> tuple[Drift, ...]:
    """Return the differences; of a database without any mapped relation only what is new in it.

    Args:
        schema_map: of the site.
        catalog: as it is now, resolved against the map.
        before: as it was, to see types change that the map does not name.
    """
    named = {*(column.relation for column in schema_map.classes), *schema_map.subject_relations}
    found: set[Drift] = set()
    if any(relation in catalog.oids for relation in named):
        found.update(_gone(schema_map, named, catalog))
        found.update(_types(schema_map, catalog, before))
    found.update(_keys(schema_map, catalog))
    for entry in catalog.relations.values():
        if entry.kind in _TABLES and not entry.temporary:
            found.update(_identities(schema_map, named, catalog, entry))
    return tuple(sorted(found))


def drift_of_values(schema_map: SchemaMap, schema: LiveSchema) -> Iterator[Drift]:
    """Yield columns of tables whose sampled values are NIRs, and which the map does not have."""
    for relation, table in schema.relations.items():
        for column in table.columns if table.kind in _TABLES and not table.parents else ():
            looks, place = column.looks, Column(relation, column.name)
            if place in schema_map.classes or looks.seen < FEW_SEEN:
                continue
            if looks.share(Look.NIR, Look.NIR_SHAPE) >= MOST or Look.HOLDS_NIR in looks.counts:
                what = "holds NIRs, and is not in the map"
                yield Drift(DriftKind.IDENTITY_UNMAPPED, str(place), what)


def count_by_kind(found: Iterable[Drift]) -> dict[str, int]:
    """Return how many there are of each kind, those of which there are none included."""
    counts = Counter(one.kind for one in found)
    return {kind.value: counts[kind] for kind in DriftKind}


def _gone(schema_map: SchemaMap, named: set[Relation], catalog: Catalog) -> Iterator[Drift]:
    for relation in named:
        if relation not in catalog.oids:
            yield Drift(DriftKind.RELATION_GONE, str(relation), "is in the map, and not there")
    for column in schema_map.classes:
        columns = catalog.columns_of(column.relation)
        if columns is not None and column.name not in columns:
            yield Drift(DriftKind.COLUMN_GONE, str(column), "is in the map, and not there")


def _types(schema_map: SchemaMap, catalog: Catalog, before: Catalog | None) -> Iterator[Drift]:
    for column in schema_map.classes:
        oid = catalog.oids.get(column.relation, 0)
        now = _type_of(catalog, oid, column.name)
        said = schema_map.types.get(column)
        was = None if before is None else _type_of(before, oid, column.name)
        if now is None:
            continue
        if said is not None and now in TYPES and TYPES[now] != said:
            what = f"is {TYPES[now]}, the map says {said}"
        elif said is None and was is not None and was != now:
            what = f"is {TYPES.get(now, 'another type')}, was {TYPES.get(was, 'another type')}"
        else:
            continue
        yield Drift(DriftKind.TYPE_CHANGED, str(column), what)


def _type_of(catalog: Catalog, oid: int, name: str) -> int | None:
    found = catalog.relations.get(oid)
    columns = found.columns if found is not None else ()
    return next((type_oid for _, column, type_oid in columns if column == name), None)


def _keys(schema_map: SchemaMap, catalog: Catalog) -> Iterator[Drift]:
    for source, target in catalog.references.items():
        space = _origin(catalog, target).key_space
        if space is None or source in schema_map.classes:
            continue
        if _origin(catalog, source).key_space is None:
            what = f"is a foreign key to {target} ({space}), and not in the map"
            yield Drift(DriftKind.KEY_UNMAPPED, str(source), what)


def _identities(
    schema_map: SchemaMap, named: set[Relation], catalog: Catalog, entry: CatalogRelation
) -> Iterator[Drift]:
    if entry.relation not in named and entry.relation in catalog.subjects:
        return  # a child of a mapped one, or it counts as unknown already
    is_mapped = entry.relation in schema_map.subject_relations
    for _, name, type_oid in entry.columns:
        column = Column(entry.relation, name)
        if column in schema_map.classes or type_oid not in _HOLDS_NIR:
            continue
        if not is_mapped and not _MAY_BE_NIR.search(name):
            continue
        told = meaning_of(name)
        if told is None or (told[0] is not Meaning.NIR and not is_mapped):
            continue
        of_others = is_of_others(name) or names_staff(entry.relation.name)
        if told[0] in _SAYS_WHO and (told[0] is Meaning.NIR or not of_others):
            what = f"its name says {told[0]}, and it is not in the map"
            yield Drift(DriftKind.IDENTITY_UNMAPPED, str(column), what)


def _origin(catalog: Catalog, column: Column) -> ColumnOrigin:
    subject = catalog.subjects.get(column.relation)
    return HARMLESS_COLUMN if subject is None else subject.columns.get(column.name, subject.rest)
