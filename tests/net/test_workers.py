"""The process for large texts: what kills it harms nobody, and it ends with Vigie."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from proxy.net import workers as module
from proxy.net.workers import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers()
    yield made
    made.close()


def process_of(workers: Workers) -> int:
    assert workers._pool is not None
    (process_id,) = workers._pool._processes
    return int(process_id)


async def test_a_text_is_read(workers: Workers) -> None:
    """Its tree comes back as JSON; of one that is no SQL, where it is wrong."""
    tree, wrong = await workers.read("select 1"), await workers.read("selec 1")

    assert tree.reason is None
    assert "SelectStmt" in json.dumps(json.loads(tree.tree or ""))
    assert (wrong.tree, wrong.reason is not None) == (None, True)


async def test_a_text_that_ends_the_process_is_opaque(workers: Workers) -> None:
    """So deep that the grammar's stack cannot hold it: the next text is read all the same."""
    deep = await workers.read("select " + "(" * 2_000_000)
    after = await workers.read("select 1")

    assert deep.tree is None
    assert after.reason is None


async def test_a_process_that_was_killed_is_made_anew(workers: Workers) -> None:
    """Texts under way fail; the next one has another process."""
    await workers.warm_up()
    before = process_of(workers)
    os.kill(before, signal.SIGKILL)
    outcomes = [await workers.read("select 1") for _ in range(3)]

    assert outcomes[-1].reason is None
    assert process_of(workers) != before


async def test_a_text_that_takes_too_long_is_given_up(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is ended with it; nobody waits longer than the deadline."""
    await workers.warm_up()
    before = process_of(workers)
    os.kill(before, signal.SIGSTOP)  # as busy as can be
    monkeypatch.setattr(module, "TEXT_SECONDS", 0.1)
    late = await workers.read("select 1")
    monkeypatch.undo()
    after = await workers.read("select 1")

    assert (late.tree, late.reason) == (None, "worker failed")
    assert after.reason is None
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


async def test_texts_at_once_are_all_answered(workers: Workers) -> None:
    """They take turns."""
    outcomes = await asyncio.gather(*(workers.read(f"select {n}") for n in range(20)))

    assert [one.reason for one in outcomes] == [None] * 20


async def test_it_ends_with_its_owner() -> None:
    """Closed: the process is gone; twice, and unused, is well too."""
    used, unused = Workers(), Workers()
    await used.warm_up()
    process_id = process_of(used)
    used.close()
    used.close()
    unused.close()

    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


def test_a_killed_vigie_leaves_no_process() -> None:
    """Nobody tells the process, and it ends all the same."""
    program = (
        "import asyncio, time\n"
        "from proxy.net.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    workers = Workers()\n"
        "    asyncio.run(workers.warm_up())\n"
        "    print(*workers._pool._processes, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as vigie:
        assert vigie.stdout is not None
        worker = os.pidfd_open(int(vigie.stdout.readline()))
        vigie.kill()
        vigie.stdout.close()

    ended, _, _ = select.select([worker], [], [], 30)
    os.close(worker)
    assert ended
