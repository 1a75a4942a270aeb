"""Usage in one SQLite file, in WAL mode.

Each batch is one transaction with ``synchronous=FULL``: it is on the disk when ``keep`` returns, so
neither a kill nor a loss of power takes it back. (``NORMAL`` would do for a kill, whose writes the
kernel has already; it does not for power.) The wait for the disk is off the event loop and, as
usage is reserved ahead, rarely one that a result waits for.

Errors: ``StateError`` with what to do about it.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError
from proxy.meter.saved import SavedTally
from proxy.meter.subjects import write_page
from proxy.stores.moments import KeptTime, Moment
from proxy.stores.taint import TAINT_TABLES, read_taint, write_taint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from proxy.meter.saved import Batch, TallyChange
    from proxy.meter.subjects import Page
    from proxy.session.catalog_book import KeptTaint

FORMAT: Final = 2
_FORMAT_OF_ROWS: Final = 1
_MODE: Final = 0o600
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tally (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    counts_subjects INTEGER NOT NULL,
    seconds TEXT NOT NULL,
    reserved INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS page (
    tally INTEGER NOT NULL,
    step_end INTEGER NOT NULL,
    place INTEGER NOT NULL,
    subjects BLOB NOT NULL,
    PRIMARY KEY (tally, step_end, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS amount (
    tally INTEGER NOT NULL,
    step_end INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (tally, step_end)
) WITHOUT ROWID;
"""


class StateError(VigieError):
    """The state cannot be opened, read or written. The message says where, what, and what next."""


class SqliteStore:
    """One state file, of one process at a time.

    Args:
        path: of the file; it is made if there is none, readable by its owner alone.
        secret: the key of the hashes in it. Of another secret, nothing in it would mean anything.
    """

    def __init__(self, path: Path, secret: bytes) -> None:
        self.path = path
        self._reader: sqlite3.Connection | None = None
        with _told(path, "opened"):
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            try:
                self._take_lock()
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
                self._connection = sqlite3.connect(
                    path, isolation_level=None, check_same_thread=False
                )
            except BaseException:
                os.close(self._lock)
                raise
            try:
                self._prepare(secret)
            except BaseException:
                self.close()
                raise

    def load(self) -> tuple[list[SavedTally], KeptTime | None]:
        """Return all that was kept, and when.

        The pages of a tally are read when they are asked for: within ``reading``, and before
        something is written.
        """
        with _told(self.path, "read"):
            return read_tallies(self._connection), read_time(self._connection)

    def load_taint(self) -> KeptTaint:
        """Return what is known of copies and renamed relations."""
        with _told(self.path, "read"):
            return read_taint(self._connection)

    def reading(self) -> AbstractContextManager[None]:
        """Say of errors within it of which file they are."""
        return _told(self.path, "read")

    def pages(self, tally: int) -> list[Page]:
        """Return the subjects of a tally as they were last written; for another thread.

        Cost: a few milliseconds for 100,000 subjects.
        """
        with _told(self.path, "read"):
            if self._reader is None:
                self._reader = sqlite3.connect(
                    f"{self.path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
                )
            return list(read_pages(self._reader, tally))

    def keep(self, batch: Batch | None, moment: Moment, taint: KeptTaint | None = None) -> None:
        """Write a batch, all of it or nothing. It is on the disk when this returns."""
        with _told(self.path, "written"):
            run = self._connection.execute
            run("BEGIN IMMEDIATE")
            try:
                if batch is not None:
                    for change in batch.changes:
                        self._write(change)
                    said = [batch.now, moment.wall, moment.since_boot, moment.boot]
                    run("INSERT OR REPLACE INTO meta VALUES ('time', ?)", (json.dumps(said),))
                if taint is not None:
                    write_taint(self._connection, taint)
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    run("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; another process may open it."""
        if self._reader is not None:
            self._reader.close()
        self._connection.close()  # the last one: it leaves no log of changes behind
        os.close(self._lock)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"state {self.path} is in use by another Vigie; give each its own --state"
            ) from None

    def _prepare(self, secret: bytes) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        found = run("PRAGMA user_version").fetchone()[0]
        if found not in {0, _FORMAT_OF_ROWS, FORMAT}:
            raise StateError(
                f"state {self.path} has format {found}, expected {FORMAT}; it is of another version"
            )
        run("BEGIN IMMEDIATE")
        for table in f"{_TABLES}{TAINT_TABLES}".split(";"):
            run(table)
        if found == _FORMAT_OF_ROWS:
            self._adopt_rows()
        run(f"PRAGMA user_version = {FORMAT}")
        run("COMMIT")
        mark = hashlib.blake2b(b"vigie state", key=secret, digest_size=16).hexdigest()
        run("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (mark,))
        (kept,) = run("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        if not hmac.compare_digest(kept, mark):
            raise StateError(
                f"state {self.path} was written with another secret: its ledger cannot be read. "
                "Bring the secret back, or move the file away, which forgets all usage"
            )

    def _adopt_rows(self) -> None:
        """Take the subjects as they were kept before there were pages: a row for each."""
        run = self._connection.execute
        for tally, number, last, keys in run("SELECT tally, number, last, keys FROM subject"):
            page = write_page(number, keys)
            run("INSERT INTO page VALUES (?, ?, ?, ?)", (tally, last, number, page))
        run("DROP TABLE subject")

    def _write(self, change: TallyChange) -> None:
        run, run_many = self._connection.execute, self._connection.executemany
        number = change.number
        if change.forgets_subjects or change.ended:
            run("DELETE FROM page WHERE tally = ?", (number,))
        if change.ended:
            run("DELETE FROM amount WHERE tally = ?", (number,))
            run("DELETE FROM tally WHERE number = ?", (number,))
            return
        run(
            "INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)",
            (
                number,
                change.name,
                change.counts_subjects,
                json.dumps(change.seconds),
                change.reserved,
            ),
        )
        for table in ("page", "amount"):
            run_many(
                f"DELETE FROM {table} WHERE tally = ? AND step_end = ?",
                ((number, end) for end in change.gone_steps),
            )
        run_many(
            "INSERT INTO page SELECT ?1, ?2, 1 + coalesce(max(place), 0), ?3 FROM page"
            " WHERE tally = ?1 AND step_end = ?2",
            ((number, end, page) for end, page in change.pages),
        )
        run_many(
            "INSERT OR REPLACE INTO amount VALUES (?, ?, ?)",
            ((number, end, amount) for end, amount in change.amounts),
        )


def is_in_use(path: Path) -> bool:
    """Whether a Vigie writes this state now. Errors: StateError."""
    with _told(path, "read"):
        try:
            lock = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
    return False


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a state for reading beside the Vigie that writes it."""
    with _told(path, "read"):
        if not path.is_file():
            raise StateError(f"state {path} does not exist; name it with --state")
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        with closing(connection):
            connection.execute("BEGIN")
            yield connection


def read_tallies(connection: sqlite3.Connection) -> list[SavedTally]:
    """Return every tally; its pages are read when they are asked for, while the file is open."""
    run = connection.execute
    found = {
        number: SavedTally(
            number,
            name,
            bool(counts),
            tuple(json.loads(seconds)),
            reserved,
            _Pages(connection, number),
        )
        for number, name, counts, seconds, reserved in run("SELECT * FROM tally")
    }
    for tally, end, amount in run("SELECT * FROM amount"):
        found[tally].amounts.append((end, amount))
    return list(found.values())


def read_pages(connection: sqlite3.Connection, tally: int) -> Iterator[Page]:
    """Yield the pages of a tally, the oldest step first."""
    yield from connection.execute(
        "SELECT step_end, subjects FROM page WHERE tally = ? ORDER BY step_end, place", (tally,)
    )


class _Pages:
    """The pages of one tally, read at each iteration: never all tallies' at once."""

    def __init__(self, connection: sqlite3.Connection, tally: int) -> None:
        self._connection = connection
        self._tally = tally

    def __iter__(self) -> Iterator[Page]:
        return read_pages(self._connection, self._tally)


def read_time(connection: sqlite3.Connection) -> KeptTime | None:
    """Return when something was last kept; None: never."""
    found = connection.execute("SELECT value FROM meta WHERE name = 'time'").fetchone()
    if found is None:
        return None
    now, wall, since_boot, boot = json.loads(found[0])
    return KeptTime(now, Moment(wall, since_boot, boot))


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Say of which file an error is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        hint = _HINTS.get(getattr(error, "sqlite_errorcode", 0), "")
        raise StateError(f"state {path} cannot be {what}: {error}{hint}") from error
    except OSError as error:
        raise StateError(f"state {path} cannot be {what}: {error.strerror}") from error


_DAMAGED: Final = "; move it away, which forgets all usage, or restore a copy"
_HINTS: Final = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: "; make room on its disk",
    sqlite3.SQLITE_READONLY: "; let its owner write to it",
}
