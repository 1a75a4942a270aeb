"""Work orders: signed, expiring exceptions for planned exports and migrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.terms.budget import Budget, Grouping, Measure

if TYPE_CHECKING:
    from datetime import datetime

    from proxy.terms.relation import Column, Relation

ORDER_RULE: Final = "EX290"
_KEPT_SECONDS: Final = 31 * 86400  # that its usage can be shown after its end


def order_title(order_id: str) -> str:
    """Return the title of a finding that names an order: nothing else in a record is told as is."""
    return f"Work order {order_id}"


@dataclass(frozen=True, slots=True)
class Dates:
    """Which rows: those whose ``column`` is from ``begin`` on and before ``end``."""

    column: Column
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Who may receive what, how much of it, until when, why, and who says so.

    ``begins`` and ``ends``: seconds since 1970.
    """

    id: str
    roles: frozenset[str]
    subjects: int
    relations: frozenset[Relation]
    columns: frozenset[Column]
    dates: Dates | None
    begins: float
    ends: float
    reason: str
    by: str

    @property
    def budget(self) -> Budget:
        """What counts its use: over its whole life, however long."""
        return Budget(
            id=self.id,
            title=order_title(self.id),
            measure=Measure.SUBJECTS,
            roles=self.roles,
            window_seconds=int(self.ends - self.begins) + _KEPT_SECONDS,
            limit=self.subjects,
            explanation="has received as many subjects as its work order allows",
            per=(Grouping.ORDER,),
        )
