"""pgbench -S beside a session that sends huge texts, each one never seen before."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg

from bench import pgbench
from bench.model import CPU, BenchError, Measure, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.model import Scale, Values
    from bench.targets import Target

TEXT_MS: Final = Metric("text_ms", "time of a huge text", "ms")
_ROWS: Final = 10_000
_SESSIONS: Final = 8
_names: Final = itertools.count(1)


def measures(scale: Scale) -> Iterator[Measure]:
    """Give the same pgbench as ``simple-8``, beside each sort of text."""
    for name, text in (("insert", _insert()), ("in-list", _in_list())):
        yield Measure(
            f"beside-{name}-10000",
            "huge",
            (pgbench.P99, pgbench.MEAN, pgbench.TPS, CPU, TEXT_MS),
            partial(run, text=text, scale=scale),
        )


def run(target: Target, *, text: Callable[[], bytes], scale: Scale) -> Values:
    """Return the figures of pgbench and text_ms, the mean time of a text."""
    times: list[float] = []
    with _sending(target, text, times):
        values = pgbench.run(target, protocol="simple", sessions=_SESSIONS, scale=scale)
    with target.database.connect(target.database.lab.port) as connection:
        connection.execute("truncate bench.sink")
    if times:
        values["text_ms"] = sum(times) / len(times) * 1e3
    return values


@contextmanager
def _sending(target: Target, text: Callable[[], bytes], times: list[float]) -> Iterator[None]:
    """Send texts one after the other in a thread of their own, for as long as this is entered."""
    stop = threading.Event()
    failures: list[psycopg.Error] = []

    def send() -> None:
        try:
            while not stop.is_set():
                body = text()
                began = time.perf_counter()
                connection.execute(body)
                times.append(time.perf_counter() - began)
        except psycopg.Error as error:
            failures.append(error)

    with target.database.connect(target.port) as connection:
        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield
        finally:
            stop.set()
            sender.join()
    if failures:
        raise BenchError(f"a huge text failed: {failures[0]}")


def _insert() -> Callable[[], bytes]:
    rows = ", ".join(f"({n}, 'tube {n}', {n}.25)" for n in range(_ROWS))

    def text() -> bytes:
        return f"insert into bench.sink values ({next(_names)}, 'new', 0), {rows}".encode()

    return text


def _in_list() -> Callable[[], bytes]:
    keys = ", ".join(map(str, range(1, _ROWS + 1)))

    def text() -> bytes:
        name = f"n{next(_names)}"
        return f"select count(*) as {name} from pgbench_accounts where aid in ({keys})".encode()

    return text
