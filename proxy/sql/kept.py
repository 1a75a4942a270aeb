"""What a relation was found to be, for after a restart: by its OID, under whatever name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxy.sql.catalog import Catalog, CatalogRelation, ColumnOrigin
    from proxy.terms.relation import Relation


class KeptColumn(NamedTuple):
    """A column of a relation, and what it was found to be."""

    number: int
    name: str
    type_oid: int
    origin: ColumnOrigin


@dataclass(frozen=True, slots=True)
class KeptRelation:
    """A relation with subjects' data, as it was last read. ``whole``: of a whole row."""

    oid: int
    relation: Relation
    whole: ColumnOrigin
    columns: tuple[KeptColumn, ...]

    def is_of(self, entry: CatalogRelation) -> bool:
        """Whether the relation that has this OID now is the same one.

        After another cluster has taken the place of the first, an OID may be anybody's: it bears
        the same name then, or has most of its columns.
        """
        if entry.relation == self.relation:
            return True
        now = {(number, name, type_oid) for number, name, type_oid in entry.columns}
        same = sum((one.number, one.name, one.type_oid) in now for one in self.columns)
        return 2 * same > len(self.columns)


def kept_of(catalog: Catalog) -> frozenset[KeptRelation]:
    """Return what is to be kept of a catalog: its lasting relations with subjects' data."""
    found = set()
    for oid, entry in catalog.relations.items():
        whole = catalog.sticky.get((oid, 0))
        if whole is None or entry.temporary:
            continue
        columns = tuple(
            KeptColumn(number, name, type_oid, catalog.sticky[oid, number])
            for number, name, type_oid in entry.columns
            if (oid, number) in catalog.sticky
        )
        found.add(KeptRelation(oid, entry.relation, whole, columns))
    return frozenset(found)
