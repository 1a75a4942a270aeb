"""Work orders as they come, end and are revoked: the folder is read again every few seconds."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Final

from proxy.audit.order_trail import OrderTrail, ended
from proxy.audit.record import timestamp
from proxy.errors import ConfigurationError
from proxy.net import clock
from proxy.policy.orders import write_order
from proxy.session.commands import Emit
from proxy.stores.orders import FoundOrder, OrderError, read_orders, read_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.audit import AuditRecord
    from proxy.net.sinks import Sinks
    from proxy.session import Context
    from proxy.settings.settings import Orders
    from proxy.terms.order import WorkOrder

READ_SECONDS: Final = 2.0
_log: Final = logging.getLogger("vigie")


class OrderWatch:
    """Keeps the book of orders as the folder is, and reports those that end.

    Args:
        settings: the folder, and the key that checks signatures.
        context: has the book of orders in force, and the ledger of what was used of them.
        sinks: tell of each audit record, and take that of an order that has ended.

    Errors: ConfigurationError, if the public key cannot be read.
    """

    def __init__(self, settings: Orders, context: Context, sinks: Sinks) -> None:
        self._folder = settings.folder
        self._context = context
        self._sinks = sinks
        self._in_force: dict[str, FoundOrder] = {}
        self._trails: dict[str, OrderTrail] = {}
        self._since: dict[str, float] = {}  # when each was first seen in force
        self._problems: list[str] = []
        self._key = None
        if settings.folder is not None and settings.public_key is None:
            raise ConfigurationError(["orders.public_key: is not set, expected it beside folder"])
        if settings.public_key is not None:
            try:
                self._key = read_public_key(settings.public_key)
            except OrderError as error:
                raise ConfigurationError([f"orders.public_key: {error}"]) from None
        sinks.listeners.append(self.note)

    def note(self, record: AuditRecord) -> None:
        """Take a record that is being written: it may be about an order in force."""
        for trail in self._trails.values():
            trail.take(record)

    async def run(self) -> None:
        """Read the folder until cancelled; without one, there is nothing to do."""
        while self._folder is not None and self._key is not None:
            await self.read()
            await asyncio.sleep(READ_SECONDS)

    async def read(self) -> None:
        """Take the folder as it is now. What cannot be read is not in force."""
        assert self._folder is not None
        assert self._key is not None
        try:
            found, problems = await asyncio.to_thread(read_orders, self._folder, self._key)
        except OrderError as error:
            found, problems = [], [str(error)]
        for problem in problems:
            if problem not in self._problems:
                _log.error("work order %s", problem)
        self._problems = problems
        wall, now = clock.wall(), clock.now()
        in_force = {
            one.order.id: one
            for one in found
            if one.revoked is None and one.order.begins <= wall < one.order.ends
        }
        self._context.orders.put(
            (one.order, now + one.order.ends - wall) for one in in_force.values()
        )
        for order_id in sorted(in_force.keys() - self._in_force.keys()):
            order = in_force[order_id].order
            self._trails[order_id], self._since[order_id] = OrderTrail(order), wall
            _log.warning(
                "work order %s is in force: %d subjects for %s, by %s",
                *(order.id, order.subjects, ", ".join(sorted(order.roles)), order.by),
            )
        for order_id in sorted(self._in_force.keys() - in_force.keys()):
            revoked = next((one.revoked for one in found if one.order.id == order_id), None)
            self._report(self._in_force[order_id].order, revoked)
        self._in_force = in_force

    def _report(self, order: WorkOrder, revoked: Mapping[str, object] | None) -> None:
        account = self._context.ledger.order_account(order.id, "", order.budget)
        used = sum(usage.used for usage in account.usage(clock.now()))
        _log.warning(
            "work order %s has ended: %d of %d subjects were received; vigie order report %s",
            *(order.id, used, order.subjects, order.id),
        )
        how = "removed" if clock.wall() < order.ends else "expired"
        if revoked is not None:
            how = f"revoked by {revoked.get('by', 'not said')}: {revoked.get('why', 'not said')}"
        trail, since = self._trails.pop(order.id), self._since.pop(order.id)
        report = {
            "order": json.loads(write_order(order)),
            "ended": how,
            "used_subjects": used,
            "seen_since": timestamp(since),
            **trail.told(),
        }
        context = self._context
        record = ended(
            order,
            report,
            finding_id=context.new_id(),
            mode=context.mode,
            policy=context.policy.version,
        )
        self._sinks.take(Emit(record))
