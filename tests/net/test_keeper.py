"""The keeper: whoever must wait, waits until it is on the disk, or is told that it is not."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client import CollectorRegistry

from proxy.meter.book import Book
from proxy.meter.ledger import Charge, Ledger
from proxy.meter.subjects import count_subjects
from proxy.metrics import Metrics
from proxy.net import clock
from proxy.net import keeper as module
from proxy.net.keeper import Keeper
from proxy.stores.sqlite import SqliteStore
from proxy.terms.budget import Budget, Measure
from proxy.terms.principal import Principal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECONDS: Final = 10.0
BUDGET: Final = Budget("EX201", "Patients", Measure.SUBJECTS, frozenset(), 3600, 1600)


class Place:
    """A ledger, its store and keeper."""

    def __init__(self, path: Path, executor: ThreadPoolExecutor) -> None:
        self.store = SqliteStore(path, b"secret")
        self.ledger = Ledger(Book(is_kept=True))
        self.metrics = Metrics(CollectorRegistry())
        self.keeper = Keeper(self.ledger, self.store, executor, self.metrics)
        self.account = self.ledger.account(Principal("app", "lab"), [BUDGET])
        self._last = 0

    def charge(self, count: int) -> Budget | None:
        """Charge so many new subjects."""
        self._last += count
        groups = tuple((b"%012d" % (self._last - one),) for one in range(count))
        return self.account.admit(Charge(groups=groups), clock.now())

    async def wait(self) -> bool:
        """Wait as a relay does."""
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.keeper.wait(told.set_result)
        return await asyncio.wait_for(told, SECONDS)

    def kept(self) -> tuple[int, int]:
        """Return how many subjects are on the disk, and how many are reserved."""
        (tally,) = self.store.load()[0]
        return count_subjects(tally.pages), tally.reserved

    def limit_pages(self, more: int | None) -> None:
        """Let the file grow by so many pages, as on a disk that gets full."""
        run = self.store._connection.execute
        pages = 1_000_000 if more is None else run("PRAGMA page_count").fetchone()[0] + more
        run(f"PRAGMA max_page_count = {pages}")


@asynccontextmanager
async def keeping(path: Path) -> AsyncIterator[Place]:
    with ThreadPoolExecutor(1) as executor:
        place = Place(path, executor)
        running = asyncio.ensure_future(place.keeper.run())
        try:
            yield place
        finally:
            place.keeper.stop()
            await asyncio.wait_for(running, SECONDS)
            place.keeper.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


async def test_what_is_waited_for_is_on_the_disk(path: Path) -> None:
    """And more is reserved, so that the next need not wait."""
    async with keeping(path) as place:
        place.charge(3)
        covered = [place.account.is_covered]
        told = await place.wait()
        kept = place.kept()
        covered.append(place.account.is_covered)
        place.charge(100)
        covered.append(place.account.is_covered)
        place.charge(1)
        covered.append(place.account.is_covered)

    assert told
    assert kept == (3, 100)
    assert covered == [False, True, True, False]


async def test_an_orderly_end_leaves_no_reservation(path: Path) -> None:
    """What was used is there, and nothing beyond it."""
    async with keeping(path) as place:
        place.charge(2)
        await place.wait()
        place.charge(3)
    again = SqliteStore(path, b"secret")
    (tally,) = again.load()[0]

    assert (count_subjects(tally.pages), tally.reserved) == (5, 0)
    again.close()


async def test_a_full_disk_is_told_and_gets_over(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever waits may not go on; readiness says why; when there is room again all is kept."""
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.01)
    async with keeping(path) as place:
        place.charge(1)
        await place.wait()
        place.limit_pages(0)
        place.charge(1500)
        told = await place.wait()
        reasons = place.keeper.readiness()
        refused = place.charge(1)
        place.limit_pages(None)
        async with asyncio.timeout(SECONDS):
            while place.keeper.readiness():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)
        errors = place.metrics.registry.get_sample_value("vigie_state_write_errors_total")
        kept = place.kept()
        admitted = place.charge(1)

    assert not told
    assert "full; make room on its disk" in reasons[0]
    assert refused is not None
    assert refused.id == "EX200"
    assert errors
    assert kept[0] == 1501
    assert admitted is None
    assert "can be written again" in caplog.text


async def test_in_memory_nobody_waits() -> None:
    """There is nothing to wait for."""
    ledger = Ledger()
    account = ledger.account(Principal("app", "lab"), [BUDGET])
    account.admit(Charge(anonymous=100), 0.0)
    keeper = Keeper(ledger, None, None, Metrics(CollectorRegistry()))
    running = asyncio.ensure_future(keeper.run())
    told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    keeper.wait(told.set_result)

    assert account.is_covered
    assert await asyncio.wait_for(told, SECONDS)
    keeper.stop()
    await running
    keeper.close()


async def test_a_ledger_that_is_kept_nowhere_is_swept_again_and_again() -> None:
    """What a sweep finds is settled at once: the next round begins anew."""
    ledger = Ledger()
    keeper = Keeper(ledger, None, None, Metrics(CollectorRegistry()))
    account = ledger.account(Principal("app", "lab"), [BUDGET])
    for number in range(3):
        account.admit(Charge(groups=((b"%d" % number,),)), clock.now())
        ledger.sweep(clock.now() + 1e6 * number)

        await keeper._keep()

        assert not ledger.book.is_under_way
