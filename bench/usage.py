"""What usage costs: time for each row, and memory for many principals, with and without a ceiling.

    python -m bench.usage --principals 10000 --patients 400 --ceiling-mib 64

The ledger alone, on rows in memory; no database, no socket. Times are CPU time of this process.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy import accel
from proxy.meter.book import Book
from proxy.meter.ledger import Charge, Ledger
from proxy.meter.plan import ChargePlan, KeyColumn
from proxy.meter.tally import SubjectTally
from proxy.stores.moments import Moment
from proxy.stores.sqlite import SqliteStore
from proxy.terms.budget import Budget, Measure, Method
from proxy.terms.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.meter.ledger import Account

_TEXT: Final = 25
_ROWS_OF_A_RUN: Final = 1000
_ROWS: Final = 200_000
_LARGE: Final = 500_000
_MIB: Final = 1 << 20
_MOMENT: Final = Moment(0.0, 0.0)
_BUDGETS: Final = (
    Budget("EX201", "Patients", Measure.SUBJECTS, frozenset(), 3600, 1 << 40),
    Budget("EX202", "Rows", Measure.ROWS, frozenset(), 3600, 1 << 40),
)
_PLAN: Final = ChargePlan(
    Method.KEYS, keys=(KeyColumn(0, "patient.id", _TEXT, 0),), linked=True, values=(1,)
)


def main(arguments: Sequence[str]) -> int:
    """Measure and print a line for each figure."""
    parser = argparse.ArgumentParser(prog="python -m bench.usage", description=__doc__)
    parser.add_argument("--principals", type=int, default=10_000)
    parser.add_argument("--patients", type=int, default=400, help="of each principal")
    parser.add_argument("--ceiling-mib", type=int, default=64)
    given = parser.parse_args(arguments)
    sys.stdout.write(f"kernel {accel.IMPLEMENTATION}\n")
    with tempfile.TemporaryDirectory() as folder:
        _rows(SqliteStore(Path(folder) / "rows.sqlite", b"secret"))
        _memory(given.principals, given.patients, None, 1 << 20)
        store = SqliteStore(Path(folder) / "many.sqlite", b"secret")
        _memory(given.principals, given.patients, store, given.ceiling_mib)
        _large(SqliteStore(Path(folder) / "large.sqlite", b"secret"))
    return 0


def _rows(store: SqliteStore) -> None:
    """Print what a row costs, by what is known of its patient."""
    runs = _runs(_ROWS)
    ledger = Ledger(Book(is_kept=True, new_subjects=accel.Subjects))
    account = _account(ledger, 0)
    _tell("a row taken apart, its key hashed", _timed(lambda: [_charge(run) for run in runs]))
    for what, now in (("new", 0.0), ("seen in this step", 1.0), ("seen before", 100.0)):
        _tell(f"... and charged to a patient that is {what}", _timed(_admits(account, runs, now)))
    _tell("a patient that is kept: on the loop", _timed(lambda: ledger.take_batch(200.0)))
    ledger.book.saved()
    _admits(account, runs, 300.0)()
    batch = ledger.take_batch(300.0)
    assert batch is not None
    _tell("... and in the thread of the store", _timed(lambda: store.keep(batch, _MOMENT)))


def _memory(principals: int, patients: int, store: SqliteStore | None, ceiling_mib: int) -> None:
    """Print what so many principals take, and whether all is known of the first one."""
    book = Book(
        is_kept=store is not None,
        memory_bytes=ceiling_mib * _MIB,
        new_subjects=accel.Subjects,
        read_pages=None if store is None else store.pages,
    )
    ledger, before, runs = Ledger(book), _resident_mib(), _runs(patients)
    for number in range(principals):
        _admits(_account(ledger, number), runs, number / principals)()
        if store is not None and number % 100 == 0:
            _keep(ledger, store, number / principals)
    under = "no ceiling" if store is None else f"a ceiling of {ceiling_mib} MiB"
    grown = _resident_mib() - before
    sys.stdout.write(
        f"{principals:,} principals, {patients:,} patients each, {under}: grew by {grown:.0f} MiB,"
        f" of which usage counts {book.memory_bytes / _MIB:.0f}\n"
    )
    if store is not None:
        again = time.process_time()
        _admits(_account(ledger, 0), runs, 2.0)()
        took = (time.process_time() - again) * 1e6
        used = next(one.used for one in _account(ledger, 0).usage(2.0))
        sys.stdout.write(f"... the first one, read back and charged again: {took:.0f} us; ")
        sys.stdout.write(f"it has {used:,} patients, {book.compactions} became numbers\n")


def _large(store: SqliteStore) -> None:
    """Print what it takes to have a principal back that has very many patients."""
    book = Book(is_kept=True, new_subjects=accel.Subjects, read_pages=store.pages)
    ledger = Ledger(book)
    _admits(_account(ledger, 0), _runs(_LARGE), 0.0)()
    _keep(ledger, store, 0.0)
    tally = next(one for one in book.tallies.values() if isinstance(one, SubjectTally))
    tally.leave()
    began = time.process_time()
    book.bring(tally)
    took = (time.process_time() - began) * 1000
    sys.stdout.write(f"one with {_LARGE:,} patients, read back: {took:.0f} ms of the loop\n")


def _keep(ledger: Ledger, store: SqliteStore, now: float) -> None:
    batch = ledger.take_batch(now)
    if batch is not None:
        store.keep(batch, _MOMENT)
        ledger.book.saved()


def _account(ledger: Ledger, number: int) -> Account:
    return ledger.account(Principal(f"role{number}", "lab"), _BUDGETS)


def _admits(account: Account, runs: Sequence[bytes], now: float) -> Callable[[], None]:
    def admit() -> None:
        for run in runs:
            assert account.admit_run(_charge(run), now)

    return admit


def _charge(run: bytes) -> Charge:
    found = _CHARGER.charge_run(run, keeps=True)
    assert found is not None
    return Charge(*found)


def _runs(rows: int) -> list[bytes]:
    """Return so many rows of a key and a name, as they come from a database."""
    made = [_row(str(number).encode()) for number in range(rows)]
    return [b"".join(made[at : at + _ROWS_OF_A_RUN]) for at in range(0, rows, _ROWS_OF_A_RUN)]


def _row(key: bytes) -> bytes:
    body = struct.pack(">HI", 2, len(key)) + key + struct.pack(">I", 4) + b"name"
    return b"D" + struct.pack(">I", 4 + len(body)) + body


def _timed(work: Callable[[], object]) -> float:
    """Return CPU time in ns for each of the rows."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / _ROWS * 1e9


def _tell(what: str, ns: float) -> None:
    sys.stdout.write(f"{what}: {ns:,.0f} ns\n")


def _resident_mib() -> float:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("this kernel tells no VmRSS")


_CHARGER: Final = accel.RunCharger(_PLAN, b"secret", 6, None, 2)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
