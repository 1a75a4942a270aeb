"""Private memory of the proxy for each idle session."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from bench.model import Measure, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.model import Scale, Values
    from bench.targets import Target

PER_SESSION: Final = Metric("kib_per_session", "memory of an idle session", "KiB")
BASE: Final = Metric("base_mib", "memory before the first", "MiB")


def measures(scale: Scale) -> Iterator[Measure]:
    """Give the one measure."""
    take = partial(weigh, sessions=scale.idle_sessions)
    yield Measure(
        "idle-memory",
        "memory",
        (PER_SESSION, BASE),
        take,
        lambda target: "" if target.process else "no proxy",
    )


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
