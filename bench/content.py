"""A million rows with a NIR each, looked into: what inspecting the content costs.

Vigie has one more budget there, of NIRs. How fast the bytes are looked through is measured beside
it, in this process, on the rows that came.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from bench import bulk
from bench.bulk import CPU_PER_ROW, RATE, ROWS
from bench.model import VIGIE, Measure, Metric
from bench.targets import Wish
from proxy import accel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.model import Scale, Values
    from bench.targets import Target

NIRS: Final = Metric("nir_ns", "of it: looking for NIRs", "ns/row")
NIRS_RATE: Final = Metric("nir_mb_per_second", "looking for NIRs", "MB/s", higher_is_better=True)
ALL_RATE: Final = Metric("all_mb_per_second", "for all five", "MB/s", higher_is_better=True)
_COLUMNS: Final = (
    "p.id, p.nir, p.last_name, p.first_name, p.birth_date, p.postcode, p.phone, p.email"
)
_CHUNK_BYTES: Final = 64 * 1024
_SAMPLE_ROWS: Final = 5_000
_PASSES: Final = 10


def measures(scale: Scale) -> Iterator[Measure]:
    """Give the read by SELECT and by COPY."""
    times = -(-scale.bulk_rows // scale.patients)
    from_patients = f"select {_COLUMNS} from lab.patient p, generate_series(1, {times})"
    statement = f"{from_patients} limit {scale.bulk_rows}"
    for how, text in (("select", statement), ("copy", f"copy ({statement}) to stdout")):
        yield Measure(
            f"{how}-nir",
            "content",
            (RATE, ROWS, CPU_PER_ROW, NIRS, NIRS_RATE, ALL_RATE),
            partial(read, text=text, rows=scale.bulk_rows),
        )


def read(target: Target, *, text: str, rows: int) -> Values:
    """Read the result as ``bulk.read`` does; of Vigie also how long looking through it takes."""
    with target.again(Wish(inspects=True)) as inspecting:
        values = bulk.read(inspecting, text=text, rows=rows)
    if target.name == VIGIE:
        sample = f"select {_COLUMNS} from lab.patient p limit {_SAMPLE_ROWS}"
        values |= _scan(bulk.whole(target.database, sample))
    return values


def _scan(octets: bytes) -> Values:
    """Return nir_ns, nir_mb_per_second and all_mb_per_second, in this process's CPU time."""
    pieces = [octets[at : at + _CHUNK_BYTES] for at in range(0, len(octets), _CHUNK_BYTES)]
    scanners = accel.content_scanners
    every = (scanners.nirs, scanners.rpps, scanners.phones, scanners.emails, scanners.ibans)
    seconds = [_seconds(one, pieces) for one in every]
    return {
        "nir_ns": seconds[0] / _SAMPLE_ROWS * 1e9,
        "nir_mb_per_second": len(octets) / seconds[0] / 1e6,
        "all_mb_per_second": len(octets) / sum(seconds) / 1e6,
    }


def _seconds(scan: Callable[[bytes], int], pieces: Sequence[bytes]) -> float:
    """Return the CPU time of one pass, the least of several."""
    found = []
    for _ in range(_PASSES):
        began = time.process_time()
        for piece in pieces:
            scan(piece)
        found.append(time.process_time() - began)
    return min(found)
