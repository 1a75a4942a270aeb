"""Work orders as they come, end and are revoked: the folder is read again every few seconds."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from proxy.errors import ConfigurationError
from proxy.net import clock
from proxy.stores.orders import FoundOrder, OrderError, read_orders, read_public_key

if TYPE_CHECKING:
    from proxy.meter.ledger import Ledger
    from proxy.session.order_book import OrderBook
    from proxy.settings.settings import Orders

READ_SECONDS: Final = 2.0
_log: Final = logging.getLogger("vigie")


class OrderWatch:
    """Keeps the book of orders as the folder is.

    Errors: ConfigurationError, if the public key cannot be read.
    """

    def __init__(self, settings: Orders, book: OrderBook, ledger: Ledger) -> None:
        self._folder = settings.folder
        self._book = book
        self._ledger = ledger
        self._in_force: dict[str, FoundOrder] = {}
        self._problems: list[str] = []
        self._key = None
        if settings.folder is not None and settings.public_key is None:
            raise ConfigurationError(["orders.public_key: is not set, expected it beside folder"])
        if settings.public_key is not None:
            try:
                self._key = read_public_key(settings.public_key)
            except OrderError as error:
                raise ConfigurationError([f"orders.public_key: {error}"]) from None

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
        self._book.put((one.order, now + one.order.ends - wall) for one in in_force.values())
        for order_id in sorted(in_force.keys() - self._in_force.keys()):
            order = in_force[order_id].order
            _log.warning(
                "work order %s is in force: %d subjects for %s, by %s",
                *(order.id, order.subjects, ", ".join(sorted(order.roles)), order.by),
            )
        for order_id in sorted(self._in_force.keys() - in_force.keys()):
            self._report(self._in_force[order_id])
        self._in_force = in_force

    def _report(self, ended: FoundOrder) -> None:
        order = ended.order
        account = self._ledger.order_account(order.id, "", order.budget)
        used = sum(usage.used for usage in account.usage(clock.now()))
        _log.warning(
            "work order %s has ended: %d of %d subjects were received; vigie order report %s",
            *(order.id, used, order.subjects, order.id),
        )
