"""Keeps the ledger: batches go to the store one after the other, off the loop.

Whoever has charged more than was reserved waits for its batch; all others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError
from proxy.net import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from proxy.meter.ledger import Ledger
    from proxy.meter.saved import Batch
    from proxy.metrics import Metrics
    from proxy.session.catalog_book import CatalogBook, KeptTaint
    from proxy.stores.sqlite import SqliteStore

SAVE_SECONDS: Final = 1.0  # between batches for which nobody waits; between tries of a failed one
SWEEP_SECONDS: Final = 60.0
_log: Final = logging.getLogger(__name__)


class Keeper:
    """Sees to it that what is charged is kept.

    Args:
        ledger: what is kept.
        store: where; None: nowhere, the ledger ends with the process.
        executor: one thread, in which the store is written.
        metrics: of batches and failures.
        catalogs: copies of subjects' data that were seen to be made; None: they are not kept.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: SqliteStore | None,
        executor: Executor | None,
        metrics: Metrics,
        catalogs: CatalogBook | None = None,
    ) -> None:
        self._catalogs = catalogs
        self._ledger = ledger
        self._store = store
        self._executor = executor
        self._metrics = metrics
        self._wanted = asyncio.Event()
        self._waiting: list[Callable[[bool], None]] = []
        self._failing = ""
        self._stops = False

    def wait(self, told: Callable[[bool], None]) -> None:
        """Call back when all that is charged now is kept: True, or False if it cannot be."""
        self._waiting.append(told)
        self._wanted.set()

    def look(self) -> None:
        """Keep soon what should not wait for the next round."""
        if self._ledger.book.wants_saving or not (self._catalogs is None or self._catalogs.is_kept):
            self._wanted.set()

    def readiness(self) -> list[str]:
        """Return why usage cannot be kept; nothing if it can."""
        return [self._failing] if self._failing else []

    async def run(self) -> None:
        """Keep until told to stop."""
        swept_at = clock.now()
        while not self._stops:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SAVE_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            if clock.now() - swept_at >= SWEEP_SECONDS:
                swept_at = clock.now()
                self._ledger.sweep(swept_at)
            await self._keep()
            if self._failing and not self._stops:
                await asyncio.sleep(SAVE_SECONDS)

    def stop(self) -> None:
        """Let ``run`` end after what is under way."""
        self._stops = True
        self._wanted.set()

    async def _keep(self) -> None:
        waiting, self._waiting = self._waiting, []
        store, batch = self._store, self._ledger.take_batch(clock.now())
        taint = None if self._catalogs is None else self._catalogs.take_unsaved()
        if store is None or (batch is None and taint is None):
            self._saved(batch, taint)  # nowhere, as it was asked for
            self._tell(waiting)
            return
        loop = asyncio.get_running_loop()
        began = clock.stopwatch()
        try:
            await loop.run_in_executor(self._executor, store.keep, batch, clock.moment(), taint)
        except VigieError as error:
            self._fail(batch, taint, str(error))
        else:
            self._saved(batch, taint)
            if self._failing:
                _log.warning("state can be written again")
            self._failing = ""
            self._metrics.state_saved(clock.stopwatch() - began)
        self._tell(waiting)

    def _saved(self, batch: Batch | None, taint: KeptTaint | None) -> None:
        if batch is not None:
            self._ledger.book.saved()
        if taint is not None and self._catalogs is not None:
            self._catalogs.saved()

    def _fail(self, batch: Batch | None, taint: KeptTaint | None, reason: str) -> None:
        if batch is not None:
            self._ledger.book.not_saved(batch)
        if taint is not None and self._catalogs is not None:
            self._catalogs.not_saved(taint)
        self._metrics.state_error()
        if not self._failing:
            _log.error("%s", reason)
        self._failing = reason

    def _tell(self, waiting: list[Callable[[bool], None]]) -> None:
        may_leave = not self._failing or self._ledger.may_release()
        for told in waiting:
            told(may_leave)

    def close(self) -> None:
        """Keep what is left, and give reservations up; then close the store."""
        store = self._store
        if store is None:
            return
        self._store = None
        try:
            if not self._ledger.book.is_under_way:
                batch = self._ledger.take_batch(clock.now(), reserves=False)
                taint = None if self._catalogs is None else self._catalogs.take_unsaved()
                if batch is not None or taint is not None:
                    store.keep(batch, clock.moment(), taint)
        except VigieError as error:
            _log.error("%s", error)
        finally:
            store.close()
