"""Memory of the proxy: for each idle session, and while a large result passes."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from bench import bulk
from bench.model import VIGIE, BenchError, Measure, Metric
from bench.processes import resident_bytes
from bench.targets import PgBouncer, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Scale, Values
    from bench.targets import Target

PER_SESSION: Final = Metric("kib_per_session", "memory of an idle session", "KiB")
GROWTH: Final = Metric("growth_mib", "memory it grew by, at most", "MiB")
HELD: Final = Metric("held", "sessions held at once", "", higher_is_better=True)
BASE: Final = Metric("base_mib", "memory before the first", "MiB")
_OTHER_FILES: Final = 500
_FILES_PER_SESSION: Final = 2  # of the process that has most
_ASKED: Final = 50  # of those that are held


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
    yield Measure(
        "held",
        "memory",
        (PER_SESSION, HELD),
        partial(hold, sessions=scale.held_sessions),
        lambda target: "" if target.name == VIGIE else "no figure",
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


def hold(target: Target, *, sessions: int) -> Values:
    """Hold sessions that wait; return kib_per_session and held, how many there were.

    Errors: BenchError if one of those that are asked something afterwards does not answer.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sessions = min(sessions, (most - _OTHER_FILES) // _FILES_PER_SESSION)
    with ExitStack() as stack:
        pool = stack.enter_context(PgBouncer(target.database, "transaction", Wish(asks=False)))
        fresh = stack.enter_context(target.again(Wish(upstream=pool.port)))
        fresh.settle()
        stack.enter_context(fresh.database.connect(fresh.port)).execute("select 1")
        before = fresh.private_bytes()
        held = [stack.enter_context(fresh.database.connect(fresh.port)) for _ in range(sessions)]
        after = fresh.private_bytes()
        for one in held[:: max(sessions // _ASKED, 1)]:
            if one.execute("select 1").fetchone() != (1,):
                raise BenchError("a session that was held does not answer")
    return {"kib_per_session": (after - before) / sessions / 1024, "held": float(sessions)}


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
