"""Masks: what becomes of a column's values for those who need rows and not identities."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.terms.column_class import ColumnClass


class How(StrEnum):
    """How a value is masked."""

    PARTIAL = "partial"  # its first character, or its year, is left
    HASH = "hash"  # a keyed hash: the same for the same value, and for nobody without the key
    WHOLE = "whole"  # nothing is left


_STRENGTH: Final = {How.PARTIAL: 0, How.HASH: 1, How.WHOLE: 2}


def strictest(first: How | None, second: How | None) -> How | None:
    """Return the mask that leaves less; None: no mask."""
    if first is None or second is None:
        return first or second
    return max(first, second, key=_STRENGTH.__getitem__)


@dataclass(frozen=True, slots=True)
class Masking:
    """What the rules mask of one statement's result.

    Args:
        rule: the first of those that hold, for the record.
        hows: by class.
        columns: of the result, in order; None: it is given as it is.
        obstacle: why it cannot be masked safely; None: it can.
        reaches: whether subjects' data is in reach at all.
    """

    rule: str
    hows: Mapping[ColumnClass, How]
    columns: tuple[How | None, ...] = ()
    obstacle: str | None = None
    reaches: bool = True
    title: str = field(default="", compare=False)
