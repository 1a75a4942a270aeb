"""Which work orders are in force. What is read, checked and timed is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from proxy.policy.orders import outside
from proxy.sql.date_range import is_within
from proxy.sql.text import TextError, decode_text
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.sql import Catalog
    from proxy.terms.facts import StatementFacts
    from proxy.terms.order import WorkOrder
    from proxy.wire.backend import ResultColumn


@dataclass(slots=True)
class OrderBook:
    """Orders by role, each with the moment of the sessions' clock at which it ends."""

    by_role: dict[str, list[tuple[WorkOrder, float]]] = field(default_factory=dict)

    def put(self, orders: Iterable[tuple[WorkOrder, float]]) -> None:
        """Put these in the place of all before."""
        found: dict[str, list[tuple[WorkOrder, float]]] = {}
        for order, ends in sorted(orders, key=lambda one: one[0].id):
            for role in order.roles:
                found.setdefault(role, []).append((order, ends))
        self.by_role = found

    def find(
        self, role: str, facts: StatementFacts, catalog: Catalog | None, now: float
    ) -> WorkOrder | None:
        """Return the order that a statement is inside of for sure, if there is one."""
        if not facts.subject_relations:
            return None
        for order, ends in self.by_role.get(role, ()):
            if now < ends and outside(order, facts) is None and _is_dated(order, facts, catalog):
                return order
        return None

    def with_own_text(
        self, found: tuple[StatementFacts, ...], text: bytes, encoding: str
    ) -> tuple[StatementFacts, ...]:
        """Return facts that are of this very text, where they were those of its template."""
        if not self.by_role or len(found) != 1 or not found[0].fits_template:
            return found
        try:
            own = decode_text(text, encoding)
        except TextError:
            return found
        return (replace(found[0], text=own, fits_template=False, shape=None),)


def _is_dated(order: WorkOrder, facts: StatementFacts, catalog: Catalog | None) -> bool:
    dates = order.dates
    if dates is None:
        return True
    if catalog is None or facts.fits_template:
        return False  # the text may be another one of the same template, with other dates
    views = (catalog.view_sources.get(relation, frozenset()) for relation in facts.relations)
    if any(dates.column.relation in sources for sources in views):
        return False  # rows of it come by another way as well
    # rows that are not all of one subject could bring others beside those of the dates
    return facts.one_subject_per_row and is_within(facts.text, dates.column, dates.begin, dates.end)


def columns_are_inside(
    order: WorkOrder, columns: Sequence[ResultColumn], catalog: Catalog | None
) -> bool:
    """Whether the columns that the backend describes are those of an order, or of nobody."""
    if catalog is None:
        return False
    for column in columns:
        if not column.table_oid:
            continue  # computed: from what the facts say
        relation = catalog.relations.get(column.table_oid)
        origin = catalog.origin(column.table_oid, column.attribute_number)
        if origin.column_class is ColumnClass.NONE and not origin.subject:
            continue
        names = {} if relation is None else {n: name for n, name, _ in relation.columns}
        name = names.get(column.attribute_number)
        if relation is None or name is None:
            return False
        if Column(relation.relation, name) not in order.columns:
            return False
    return True
