"""Memory of the proxy: for each idle session, and while a large result passes."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from bench import bulk
from bench.model import Measure, Metric
from bench.processes import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Scale, Values
    from bench.targets import Target

PER_SESSION: Final = Metric("kib_per_session", "memory of an idle session", "KiB")
GROWTH: Final = Metric("growth_mib", "memory it grew by, at most", "MiB")
BASE: Final = Metric("base_mib", "memory before the first", "MiB")


def measures(scale: Scale) -> Iterator[Measure]:
    """Give both measures."""
    take = partial(weigh, sessions=scale.idle_sessions)
    yield Measure(
        "idle-memory",
        "memory",
        (PER_SESSION, BASE),
        take,
        _unfit,
    )
    text = f"select a.* from pgbench_accounts a, generate_series(1, {scale.times_accounts})"
    rows = scale.bulk_rows * scale.times_accounts
    yield Measure("large-result", "memory", (GROWTH,), partial(grow, text=text, rows=rows), _unfit)


def weigh(target: Target, *, sessions: int) -> Values:
    """Open sessions that have each asked for one patient; return kib_per_session and base_mib.

    A fresh process each time: memory that earlier sessions gave back would be used again.
    """
    with target.again() as fresh, ExitStack() as stack:
        first = stack.enter_context(fresh.database.connect(fresh.port))
        first.execute("select last_name from lab.patient where id = 1")  # caches are filled
        before = fresh.private_bytes()
        for _ in range(sessions):
            connection = stack.enter_context(fresh.database.connect(fresh.port))
            connection.execute("select last_name from lab.patient where id = 1")
        after = fresh.private_bytes()
    return {"kib_per_session": (after - before) / sessions / 1024, "base_mib": before / 1024**2}


def grow(target: Target, *, text: str, rows: int) -> Values:
    """Read one large result; return growth_mib, from before it to the most within it."""
    with target.again() as fresh:
        with fresh.database.connect(fresh.port) as connection:
            connection.execute("select 1")
        before = resident_bytes(fresh.process)
        bulk.read(fresh, text=text, rows=rows)
        most = resident_bytes(fresh.process, most=True)
    return {"growth_mib": (most - before) / 1024**2}


def _unfit(target: Target) -> str:
    return "" if target.process else "no proxy"
