"""The mask of a rule, as its file says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.terms.column_class import ColumnClass
from proxy.terms.mask import How

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.policy.schema import RuleData


def read_mask(data: RuleData, tell: Callable[[str, str], None]) -> dict[ColumnClass, How] | None:
    """Return how each class is masked; None: the rule masks nothing.

    Args:
        data: the rule as it is written.
        tell: takes what is wrong, and the key that it is about.
    """
    if data.mask is None:
        return None
    if data.weight or data.action is not None:
        tell("mask beside weight or action, expected a rule of its own", "mask")
    found: dict[ColumnClass, How] = {}
    for part in data.mask if isinstance(data.mask, list) else [data.mask]:
        for name in part.classes:
            if ColumnClass(name) in found:
                tell(f"class '{name}' is masked twice", "mask")
            found[ColumnClass(name)] = How(part.how)
    if not found:
        tell("mask is an empty list, expected classes and how", "mask")
    return found
