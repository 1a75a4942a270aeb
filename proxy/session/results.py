"""A result while it runs: every row is charged before it is released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.meter.copy_rows import split_copy_row
from proxy.meter.plan import BY_BYTES, FREE, ChargePlan, plan_charge
from proxy.meter.rows import RowCharger
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import CopyFormat
from proxy.terms.unknown import UNKNOWN
from proxy.wire.backend import ResultColumn, decode_data_row
from proxy.wire.frames import HEADER_BYTES, frames_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.meter.ledger import Account, Charge
    from proxy.session.context import Context
    from proxy.sql import Catalog
    from proxy.terms.budget import Budget
    from proxy.terms.facts import OutputColumn, StatementFacts

_TEXT_OID: Final = 25


class Result:
    """Charges the rows of one result under one plan.

    ``rows`` and ``size_bytes`` count what was released since they were last taken.
    """

    def __init__(
        self,
        context: Context,
        account: Account,
        plan: ChargePlan,
        *,
        copy_format: CopyFormat | None = None,
        columns: int = 0,
    ) -> None:
        self.plan = plan
        self.rows = 0
        self.size_bytes = 0
        self._account = account
        self._copy_format = copy_format
        self._columns = columns
        self._charger = RowCharger(
            plan, secret=context.secret, bytes_per_subject=context.policy.bytes_per_subject
        )

    def admit_rows(self, raw: bytes, count: int, now: float) -> tuple[int, Budget | None]:
        """Charge DataRow frames; return how many bytes may leave, and what stops the rest."""
        if self.plan.is_free:
            return self._released(count, len(raw)), None
        charger, account = self._charger, self._account
        unread = self.plan.counts_rows
        for start, end in frames_in(raw):
            size = end - start
            if unread:
                charge = charger.charge_unread(size)
            else:
                charge = charger.charge_row(decode_data_row(raw, start, end), size)
            budget = account.admit(charge, now)
            if budget is not None:
                return start, budget
            self._released(1, size)
        return len(raw), None

    def admit_copy(self, raw: bytes, count: int, now: float) -> tuple[int, Budget | None]:
        """Charge CopyData frames, each of them one row."""
        if self.plan.is_free:
            return self._released(count, len(raw)), None
        for start, end in frames_in(raw):
            charge = self._charge_copied(raw[start + HEADER_BYTES : end], end - start)
            if charge is not None:
                budget = self._account.admit(charge, now)
                if budget is not None:
                    return start, budget
            self._released(1, end - start)
        return len(raw), None

    def admit_whole(self, size_bytes: int, now: float) -> Budget | None:
        """Charge a message by its size, before its body is there."""
        if not self.plan.is_free:
            budget = self._account.admit(self._charger.charge_unread(size_bytes), now)
            if budget is not None:
                return budget
        self._released(1, size_bytes)
        return None

    def admit_text(self, size_bytes: int, now: float) -> Budget | None:
        """Charge a text beside the rows by its size; it is no row."""
        if self.plan.is_free or not size_bytes:
            return None
        return self._account.admit(self._charger.charge_unread(size_bytes), now)

    def stop_charging(self) -> None:
        """Let everything pass from now on: in observe mode, after a budget is spent."""
        self.plan = FREE

    def take_counts(self) -> tuple[int, int]:
        """Return (rows, bytes) released since the last time."""
        counts = self.rows, self.size_bytes
        self.rows = self.size_bytes = 0
        return counts

    def _charge_copied(self, data: bytes, size: int) -> Charge | None:
        if self.plan.counts_rows or self.plan.everything or self.plan.fixed:
            return self._charger.charge_unread(size)
        values = split_copy_row(data, self._copy_format, self._columns)
        if values is None:
            return self._charger.charge_unread(size)
        return self._charger.charge_row(values, size) if values else None

    def _released(self, rows: int, size: int) -> int:
        self.rows += rows
        self.size_bytes += size
        return size


def plan_result(
    facts: StatementFacts,
    columns: Sequence[ResultColumn],
    catalog: Catalog | None,
    fixed: Sequence[tuple[str, bytes]],
) -> ChargePlan:
    """Return how the rows of a statement are charged.

    A result of a statement that has none is another one's (a rule of the database added it).
    """
    if not facts.returns_rows and facts.opaque is None:
        return BY_BYTES if any(one.table_oid for one in columns) or columns else FREE
    return plan_charge(facts, columns, catalog, fixed)


def copied_columns(facts: StatementFacts, catalog: Catalog | None) -> tuple[ResultColumn, ...]:
    """Return the columns of COPY to the frontend, which has no RowDescription.

    The types of stored keys come from the catalog, so that a key is the same in every format.
    """
    form = 1 if facts.copy_format is CopyFormat.BINARY else 0
    if facts.output is UNKNOWN:
        return ()
    return tuple(
        ResultColumn(column.name, 0, 0, _type_of(column, catalog), form) for column in facts.output
    )


def _type_of(column: OutputColumn, catalog: Catalog | None) -> int:
    if catalog is None or column.column_class is ColumnClass.NONE or len(column.sources) != 1:
        return _TEXT_OID
    (source,) = column.sources
    found = catalog.relations.get(catalog.oids.get(source.relation, 0))
    types = found.columns if found is not None else ()
    return next((oid for _, name, oid in types if name == source.name), _TEXT_OID)
