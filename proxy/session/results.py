"""A result while it runs: every row is charged before it is released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.meter.ledger import Charge
from proxy.meter.plan import BY_BYTES, FREE, ChargePlan, plan_charge
from proxy.meter.runs import RunCharger
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import CopyFormat
from proxy.terms.unknown import UNKNOWN
from proxy.wire.backend import ResultColumn, Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.mask.plan import MaskPlan
    from proxy.meter.ledger import Account
    from proxy.session.context import Context
    from proxy.sql import Catalog
    from proxy.terms.budget import Budget
    from proxy.terms.facts import OutputColumn, StatementFacts
    from proxy.terms.mask import How
    from proxy.wire.frames import Run

_TEXT_OID: Final = 25


class Result:
    """Charges the rows of one result under one plan.

    ``rows`` and ``size_bytes`` count what was released since they were last taken; ``mask`` is what
    becomes of them then. None: they leave as they are.
    """

    def __init__(
        self,
        context: Context,
        account: Account,
        plan: ChargePlan,
        *,
        copy_format: CopyFormat | None = None,
        columns: int = 0,
        mask: MaskPlan | None = None,
    ) -> None:
        self.plan = plan
        self.mask = mask
        self.rows = 0
        self.size_bytes = 0
        self._account = account.for_result(plan.classes, plan.relations)
        self._copies = copy_format is not None
        arguments = (plan, context.secret, context.policy.bytes_per_subject, copy_format, columns)
        self._rows = RunCharger(*arguments)  # of one row after the other
        # the compiled one does not read texts of statements
        self._runs = self._rows if plan.texts else accel.RunCharger(*arguments)

    def admit_run(self, run: Run, now: float) -> tuple[int, Budget | None]:
        """Charge DataRow or CopyData frames: how many bytes may leave, and what stops the rest."""
        raw = run.raw
        if self.plan.is_free or self._account.is_free:
            return self._released(run.count, len(raw)), None
        copies = run.tag != Tag.DATA_ROW
        charge = self._charge_of(run, copies=copies)
        if charge is not None and self._account.admit_run(charge, now):
            return self._released(run.count, len(raw)), None
        for start, end, one in self._rows.charges(raw, copies=copies):
            budget = self._account.admit(one, now) if one is not None else None
            if budget is not None:
                return start, budget
            self._released(1, end - start)
        return len(raw), None

    def admit_whole(self, size_bytes: int, now: float) -> Budget | None:
        """Charge a message by its size, before its body is there."""
        if not self.plan.is_free:
            budget = self._account.admit(self._rows.charger.charge_unread(size_bytes), now)
            if budget is not None:
                return budget
        self._released(1, size_bytes)
        return None

    def admit_text(self, size_bytes: int, now: float) -> Budget | None:
        """Charge a text beside the rows by its size; it is no row."""
        if self.plan.is_free or not size_bytes:
            return None
        return self._account.admit(self._rows.charger.charge_unread(size_bytes), now)

    def delay_seconds(self) -> float:
        """Return how long what was just admitted is held back."""
        return 0.0 if self.plan.is_free else self._account.delay_seconds()

    def stop_charging(self) -> None:
        """Let everything pass from now on: in observe mode, after a budget is spent."""
        self.plan = FREE

    def take_counts(self) -> tuple[int, int]:
        """Return (rows, bytes) released since the last time."""
        counts = self.rows, self.size_bytes
        self.rows = self.size_bytes = 0
        return counts

    def _charge_of(self, run: Run, *, copies: bool) -> Charge | None:
        """Return what all rows cost together; None: they are charged one by one."""
        if self.plan.counts_rows:
            return Charge(rows=run.count, size_bytes=len(run.raw))
        if copies is not self._copies:
            return None
        found = self._runs.charge_run(run.raw, keeps=self._account.keeps_subjects)
        if found is None:
            return None
        groups, repeated, anonymous, rows, size = found
        if self.plan.fixed and rows:
            groups = self._rows.charger.fixed
            repeated = (rows - 1) * len(groups)
        return Charge(groups, repeated, anonymous, rows, size)

    def _released(self, rows: int, size: int) -> int:
        self.rows += rows
        self.size_bytes += size
        return size


def plan_result(
    facts: StatementFacts,
    columns: Sequence[ResultColumn],
    catalog: Catalog | None,
    fixed: Sequence[tuple[str, bytes]],
    masked: Sequence[How | None] = (),
) -> ChargePlan:
    """Return how the rows of a statement are charged.

    A result of a statement that has none is another one's (a rule of the database added it).
    """
    if not (facts.returns_rows or facts.nobody_in_reach) and facts.opaque is None:
        return BY_BYTES if any(one.table_oid for one in columns) or columns else FREE
    return plan_charge(facts, columns, catalog, fixed, masked)


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
