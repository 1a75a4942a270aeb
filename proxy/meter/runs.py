"""Apply a charge plan to a run of frames: row by row, and the sum of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.errors import WireError
from proxy.meter.copy_rows import split_copy_row
from proxy.meter.rows import RowCharger
from proxy.wire.backend import decode_data_row
from proxy.wire.frames import HEADER_BYTES, frames_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.meter.ledger import Charge, Groups
    from proxy.meter.plan import ChargePlan
    from proxy.terms.facts import CopyFormat


class RunCharger:
    """Turns runs of rows into charges under one plan.

    The compiled kernel has ``charge_run`` as well; it says None more often.

    Args:
        plan: one under which rows are looked into.
        secret: keys the hashes of subject keys.
        bytes_per_subject: the fewest bytes that can identify one subject.
        copy_format: of CopyData frames; None: they are DataRow frames.
        columns: how many values a row of COPY has.
    """

    def __init__(
        self,
        plan: ChargePlan,
        secret: bytes,
        bytes_per_subject: int,
        copy_format: CopyFormat | None = None,
        columns: int = 0,
    ) -> None:
        self.charger = RowCharger(plan, secret=secret, bytes_per_subject=bytes_per_subject)
        self._plan = plan
        self._copy_format = copy_format
        self._columns = columns

    def charge_run(self, raw: bytes, *, keeps: bool) -> tuple[Groups, int, int, int, int] | None:
        """Return the fields of the ``Charge`` of all rows; None: they are charged one by one.

        That is so where a row is damaged, or of a rare form. Fixed keys of the plan are left out.

        Args:
            raw: whole frames.
            keeps: whether somebody wants the keys, and not only their number.
        """
        groups: list[tuple[bytes, ...]] = []
        repeated = anonymous = rows = size = 0
        try:
            for _, _, charge in self.charges(raw, copies=self._copy_format is not None):
                if charge is None:
                    continue
                found = () if self._plan.fixed else charge.groups
                if keeps:
                    groups += found
                else:
                    repeated += len(found)
                anonymous += charge.anonymous
                rows += charge.rows
                size += charge.size_bytes
        except WireError:
            return None
        return groups, repeated, anonymous, rows, size

    def charges(self, raw: bytes, *, copies: bool) -> Iterator[tuple[int, int, Charge | None]]:
        """Give (start, end, charge) of each frame; no charge where it holds no row.

        Args:
            raw: whole frames.
            copies: they are CopyData.

        Raises:
            WireError: at a row that is damaged.
        """
        for start, end in frames_in(raw):
            if copies:
                yield start, end, self._charge_copied(raw[start + HEADER_BYTES : end], end - start)
            elif self._plan.counts_rows:
                yield start, end, self.charger.charge_unread(end - start)
            else:
                values = decode_data_row(raw, start, end)
                yield start, end, self.charger.charge_row(values, end - start)

    def _charge_copied(self, data: bytes, size: int) -> Charge | None:
        plan = self._plan
        if plan.counts_rows or plan.everything or plan.fixed:
            return self.charger.charge_unread(size)
        values = split_copy_row(data, self._copy_format, self._columns)
        if values is None:
            return self.charger.charge_unread(size)
        return self.charger.charge_row(values, size) if values else None
