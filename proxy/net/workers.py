"""A process that reads large texts, so that they neither stall nor crash the relay."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Final

from proxy.sql.worker import WorkerOutcome, parse_in_worker

TEXT_SECONDS: Final = 20.0
_NICENESS: Final = 5  # whoever sends a large text waits for it, and the others less
_FAILED: Final = WorkerOutcome(None, "worker failed")
_log: Final = logging.getLogger(__name__)


class Workers:
    """One process for texts, made anew when a text has ended it."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def warm_up(self) -> None:
        """Start the process before it is needed."""
        await self.read("select 1")

    async def read(self, text: str) -> WorkerOutcome:
        """Return what the worker finds. Errors: none; a text that ends the process is opaque."""
        pool = self._pool
        if pool is None:
            context = multiprocessing.get_context("spawn")
            pool = self._pool = ProcessPoolExecutor(
                max_workers=1, mp_context=context, initializer=_begin
            )
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TEXT_SECONDS):
                return await loop.run_in_executor(pool, parse_in_worker, text)
        except (BrokenProcessPool, TimeoutError, OSError) as error:
            _log.warning("a text of %d characters ended the reader: %s", len(text), type(error))
            if self._pool is pool:
                self._pool = None
            await asyncio.to_thread(_end, pool)
            return _FAILED

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            _end(pool)


def _begin() -> None:
    """Within the process: give way to the relay, and do not outlive it."""
    os.nice(_NICENESS)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])  # a Vigie that was killed could not end this process
    os._exit(1)


def _end(pool: ProcessPoolExecutor) -> None:
    """Kill what it runs and wait for its thread: else that wakes up when Python is half gone."""
    for process in list((pool._processes or {}).values()):  # noqa: SLF001 - no other way to end one
        process.kill()
    pool.shutdown(wait=True, cancel_futures=True)
