"""From what the rules mask and what the backend describes to what masks the rows.

The facts say which columns carry a masked class; the description says where the backend takes them
from. The stricter of the two holds, and where they do not fit each other nothing leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.mask.rows import RowMasker
from proxy.mask.values import Kind, Masker, masker_of
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import CopyFormat
from proxy.terms.mask import How, strictest
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.sql.catalog import Catalog
    from proxy.terms.facts import StatementFacts
    from proxy.terms.mask import Masking
    from proxy.wire.backend import ResultColumn

_FIRST_USER_OID: Final = 16384
_NO_TYPE: Final = 0


@dataclass(frozen=True, slots=True)
class MaskPlan:
    """How each column of a result is masked, as the rules ask for.

    ``obstacle``: why it cannot be; None: it can. ``masker`` None: no column is.
    """

    masking: Masking
    hows: tuple[How | None, ...] = ()
    obstacle: str | None = None
    masker: RowMasker | None = None


def plan_mask(
    masking: Masking,
    facts: StatementFacts,
    columns: Sequence[ResultColumn],
    catalog: Catalog | None,
    *,
    codec: str | None,
    secret: bytes,
    copies: bool = False,
) -> MaskPlan:
    """Return how a result is masked.

    Args:
        masking: what the rules mask.
        facts: of the statement that runs.
        columns: of the result, as the backend describes them or, for COPY, as the catalog does.
        catalog: for the origin of columns.
        codec: of ``client_encoding``; None: it is none that can be read.
        secret: key of the hashes.
        copies: it is a COPY.

    Errors: none.
    """
    if masking.obstacle is not None:
        return MaskPlan(masking, obstacle=masking.obstacle)
    output = facts.output
    known = output is not UNKNOWN and len(output) == len(columns)
    if facts.reads_subjects and not known:
        return MaskPlan(masking, obstacle="gives other columns than were expected")
    hows: list[How | None] = []
    maskers: dict[int, tuple[How, Masker]] = {}
    for index, column in enumerate(columns):
        classes = set(_stored(column, catalog))
        type_oid = column.type_oid
        if output is not UNKNOWN and known:
            classes |= output[index].classes
            if copies and len(output[index].sources) != 1:
                type_oid = _NO_TYPE  # the catalog does not tell it
        if ColumnClass.UNKNOWN in classes:
            return MaskPlan(
                masking, obstacle=f"gives column {index + 1}, whose source is not known"
            )
        how = _strictest_of(masking, classes)
        hows.append(how)
        if how is None:
            continue
        kind = Kind(type_oid, column.modifier, column.format, codec or "ascii")
        masker = None if codec is None else masker_of(how, kind, secret)
        if masker is None:
            said = f"gives column {index + 1}, which cannot be masked by {how.value}: its type"
            return MaskPlan(masking, obstacle=f"{said} (OID {type_oid}) or width does not allow it")
        maskers[index] = (how, masker)
    if not maskers:
        return MaskPlan(masking, tuple(hows))
    names = [column.name.encode(codec or "ascii", "replace") for column in columns]
    copy_format = (facts.copy_format or CopyFormat.OTHER) if copies else None
    rows = RowMasker(maskers, names, copy_format, has_header=copies and facts.copy_header)
    return MaskPlan(masking, tuple(hows), masker=rows)


def _stored(column: ResultColumn, catalog: Catalog | None) -> Iterable[ColumnClass]:
    """Return the class of the stored column that the backend names."""
    if column.table_oid < _FIRST_USER_OID:
        return ()
    if catalog is None:
        return (ColumnClass.UNKNOWN,)
    return (catalog.origin(column.table_oid, column.attribute_number).column_class,)


def _strictest_of(masking: Masking, classes: Iterable[ColumnClass]) -> How | None:
    found: How | None = None
    for column_class in classes:
        found = strictest(found, masking.hows.get(column_class))
    return found
