"""A million rows out, by SELECT and by COPY: about subjects, counted only, and free.

The reader takes what the socket gives and throws it away, so that it costs little and always the
same.
"""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from bench.model import BenchError, Measure, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.laboratory import Database
    from bench.model import Scale, Values
    from bench.targets import Target

RATE: Final = Metric("mb_per_second", "throughput", "MB/s", higher_is_better=True)
ROWS: Final = Metric("rows_per_second", "rows", "/s", higher_is_better=True)
CPU_PER_ROW: Final = Metric("cpu_ns", "proxy's CPU", "ns/row")
_KEYED: Final = (
    "id, patient_id, analyse_code, value, unit, ref_low, ref_high, flag, status, validated_at"
)
_UNKEYED: Final = (
    "id, echantillon_id, analyse_code, value, unit, ref_low, ref_high, flag, status, validated_at"
)
_CHUNK_BYTES: Final = 256 * 1024
_TAIL_BYTES: Final = 64
_TIMEOUT_SECONDS: Final = 300.0
_READY: Final = b"Z\0\0\0\5I"
_COMPLETE: Final = re.compile(rb"C....(?:SELECT|COPY) (\d+)\x00Z\x00{3}\x05I\Z", re.DOTALL)


def measures(scale: Scale) -> Iterator[Measure]:
    """Give the bulk reads: how rows are charged, and by which statement they leave."""
    rows = scale.bulk_rows
    statements = {
        # a key and health values: each row is charged to its patient
        "subjects": f"select {_KEYED} from lab.resultat limit {rows}",
        # health values of nobody in particular: rows are counted
        "counted": f"select {_UNKEYED} from lab.resultat limit {rows}",
        # of nobody: pgbench's own table
        "free": f"select * from pgbench_accounts limit {rows}",
    }
    for kind, statement in statements.items():
        for how, text in (("select", statement), ("copy", f"copy ({statement}) to stdout")):
            yield Measure(
                f"{how}-{kind}",
                "bulk",
                (RATE, ROWS, CPU_PER_ROW),
                partial(read, text=text, rows=rows),
            )


def read(target: Target, *, text: str, rows: int) -> Values:
    """Read one result to its end and return mb_per_second, rows_per_second and cpu_ns.

    Errors: BenchError if it does not end with as many rows as there should be.
    """
    with _stream(target.database, target.port) as stream:
        used, began = target.cpu_seconds(), time.perf_counter()
        size, tail = _drain(stream, text)
        seconds, used = time.perf_counter() - began, target.cpu_seconds() - used
    found = _COMPLETE.search(tail)
    if found is None or int(found[1]) != rows:
        said = tail.replace(b"\0", b" ").decode("ascii", "replace")
        raise BenchError(f"the result ended otherwise than with {rows} rows: {said!r}")
    values = {"mb_per_second": size / seconds / 1e6, "rows_per_second": rows / seconds}
    if target.process:
        values["cpu_ns"] = used / rows * 1e9
    return values


def whole(database: Database, text: str) -> bytes:
    """Return what PostgreSQL itself answers to a Query, byte for byte."""
    kept: list[bytes] = []
    with _stream(database, database.lab.port) as stream:
        _drain(stream, text, kept)
    return b"".join(kept)


@contextmanager
def _stream(database: Database, port: int) -> Iterator[socket.socket]:
    """Give a socket that is logged in."""
    with database.connect(port) as connection:
        connection.execute("select 1")  # logged in, and the catalog is read
        stream = socket.socket(fileno=os.dup(connection.fileno()))
        try:
            stream.setblocking(True)
            stream.settimeout(_TIMEOUT_SECONDS)
            yield stream
        finally:
            stream.setblocking(False)
            stream.close()


def _drain(stream: socket.socket, text: str, kept: list[bytes] | None = None) -> tuple[int, bytes]:
    """Send a Query and read up to ReadyForQuery; return how many bytes came, and the last.

    ``kept``: takes all of them, if it is there.
    """
    body = text.encode() + b"\0"
    stream.sendall(b"Q" + (4 + len(body)).to_bytes(4, "big") + body)
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    size, tail = 0, b""
    while not tail.endswith(_READY):
        count = stream.recv_into(buffer)
        if not count:
            raise BenchError(f"the connection was lost after {size} bytes")
        size += count
        if kept is not None:
            kept.append(bytes(view[:count]))
        tail = (tail + view[max(count - _TAIL_BYTES, 0) : count])[-_TAIL_BYTES:]
    return size, tail
