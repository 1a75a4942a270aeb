"""The state file: whole batches or nothing, one process, one secret, and errors that help."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from proxy.meter.book import Book
from proxy.meter.saved import Batch, TallyChange
from proxy.meter.subjects import count_subjects, write_page
from proxy.meter.tally import SubjectTally
from proxy.stores.moments import KeptTime, Moment
from proxy.stores.sqlite import SqliteStore, StateError, read_only, read_tallies, read_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT: Final = Moment(5.0, 6.0, "boot")
ID: Final = b"identity-key"
NIR: Final = b"nir-key-here"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path, b"secret")
    yield made
    made.close()


def change(number: int = 1, name: str = "t", reserved: int = 0) -> TallyChange:
    return TallyChange(number, name, counts_subjects=True, seconds=(60, 3600), reserved=reserved)


def test_what_is_kept_comes_back(store: SqliteStore, path: Path) -> None:
    """Tallies with subjects, amounts and reservation, and the time; also for a reader beside it."""
    one, other = change(reserved=5), change(2, "other")
    first, second = write_page(1, ID + NIR), write_page(2, b"another-key!")
    one.pages = [(60, first), (61, second)]
    other.amounts = [(60, 7), (61, 8)]
    store.keep(Batch(100.0, (one, other)), AT)
    later = change(reserved=6)
    later.pages, later.gone_steps = [(61, first), (70, second)], [60]
    store.keep(Batch(101.0, (later,)), AT)

    tallies, kept = store.load()
    assert kept == KeptTime(101.0, AT)
    assert [(t.number, t.name, t.seconds, t.reserved) for t in tallies] == [
        (1, "t", (60, 3600), 6),
        (2, "other", (60, 3600), 0),
    ]
    assert [*tallies[0].pages] == [(61, second), (61, first), (70, second)]
    assert tallies[1].amounts == [(60, 7), (61, 8)]
    assert store.pages(1) == [*tallies[0].pages]
    with read_only(path) as reading:
        beside = read_tallies(reading)
        assert [[*one.pages] for one in beside] == [[*one.pages] for one in tallies]
        assert read_time(reading) == kept


def test_subjects_are_forgotten_and_tallies_end(store: SqliteStore) -> None:
    """Nothing of what has left stays on the disk."""
    one = change()
    one.pages, one.amounts = [(60, write_page(1, ID))], [(60, 7)]
    store.keep(Batch(1.0, (one, change(2, "other"))), AT)
    compacted, ended = change(), change(2, "other")
    compacted.forgets_subjects, compacted.amounts = True, [(60, 8)]
    compacted.pages = [(61, write_page(2, NIR))]
    ended.ended = True
    store.keep(Batch(2.0, (compacted, ended)), AT)

    (tally,) = store.load()[0]
    assert ([*tally.pages], tally.amounts) == (compacted.pages, [(60, 8)])
    gone = change()
    gone.ended = True
    store.keep(Batch(3.0, (gone,)), AT)
    assert store.load()[0] == []
    for table in ("page", "amount"):
        assert store._connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_only_its_owner_can_read_it(store: SqliteStore, path: Path) -> None:
    """Hashes of patients' keys are nobody else's business, in any of the files."""
    store.keep(Batch(1.0, (change(),)), AT)

    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert f"{path.name}-wal" in modes


def test_one_process_at_a_time(store: SqliteStore, path: Path) -> None:
    """Two that write would each not know what the other released."""
    with pytest.raises(StateError, match=r"is in use by another Vigie; give each its own --state"):
        SqliteStore(path, b"secret")
    assert store.load() == ([], None)


def test_without_its_secret_it_cannot_be_read(path: Path) -> None:
    """The same patients would have other hashes, and cost again or not at all."""
    SqliteStore(path, b"secret").close()

    with pytest.raises(StateError, match=r"written with another secret.* which forgets all usage"):
        SqliteStore(path, b"another")
    SqliteStore(path, b"secret").close()


def test_a_batch_that_fails_leaves_nothing(store: SqliteStore) -> None:
    """A full disk in the middle of it, and the next one is written again."""
    store.keep(Batch(1.0, (change(),)), AT)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    large = change(2, "large")
    large.pages = [(60, b"".join(write_page(one, os.urandom(12)) for one in range(1, 5001)))]
    with pytest.raises(StateError, match=r"cannot be written: .*full; make room on its disk"):
        store.keep(Batch(2.0, (large,)), AT)

    assert [one.name for one in store.load()[0]] == ["t"]
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.keep(Batch(3.0, (large,)), AT)
    assert [count_subjects(one.pages) for one in store.load()[0]] == [0, 5000]


def test_a_damaged_file_says_so(path: Path) -> None:
    """It is not used, nor overwritten."""
    path.write_bytes(b"this is no database, " * 1000)

    with pytest.raises(StateError, match=r"cannot be opened: .*not a database; move it away"):
        SqliteStore(path, b"secret")
    assert path.read_bytes().startswith(b"this is no database")


def test_a_file_with_a_row_for_each_subject_is_taken_over(path: Path) -> None:
    """Nobody's usage is forgotten by a newer version."""
    SqliteStore(path, b"secret").close()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("DROP TABLE page")
        old.execute("CREATE TABLE subject (tally, number, last, keys, PRIMARY KEY (tally, number))")
        old.execute("INSERT INTO tally VALUES (1, 't', 1, '[60]', 0)")
        old.execute("INSERT INTO subject VALUES (1, 7, 60, ?), (1, 300, 61, ?)", (ID + NIR, NIR))
        old.execute("PRAGMA user_version = 1")
    store = SqliteStore(path, b"secret")
    (tally,) = store.load()[0]

    assert [*tally.pages] == [(60, write_page(7, ID + NIR)), (61, write_page(300, NIR))]
    store.close()


def test_a_file_of_another_version_is_left_alone(path: Path) -> None:
    """Its tables may mean something else."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()

    with pytest.raises(StateError, match="has format 9, expected 2"):
        SqliteStore(path, b"secret")


def test_a_file_that_is_not_there_cannot_be_shown(path: Path) -> None:
    """A reader makes none."""
    with pytest.raises(StateError, match="does not exist; name it with --state"), read_only(path):
        pass
    assert not path.exists()


def test_subjects_leave_and_come_back_through_the_file(store: SqliteStore) -> None:
    """Under a ceiling for a few of many principals: none is refunded, none charged twice."""
    book = Book(is_kept=True, memory_bytes=200_000, read_pages=store.pages)
    free = Book()
    for now in range(60):
        for book_ in (book, free):
            for number in range(now % 7, 21, 7):
                tally = opened(book_, f"t{number}")
                tally.advance(float(now))
                book_.bring(tally)
                numbers = range(number * 1000 + now, number * 1000 + now + 40)
                groups = [(one.to_bytes(12, "little"),) for one in numbers]
                unseen = tally.unseen(groups, float(now))
                tally.charge(unseen, 0, float(now))
                book_.touched(tally)
        batch = book.take_batch(float(now))
        assert batch is not None
        store.keep(batch, AT)
        book.saved()

    usage = [
        [opened(one, f"t{number}").windows.windows[0].total for number in range(21)]
        for one in (book, free)
    ]
    assert usage[0] == usage[1]
    assert book.returns > 20
    assert book.compactions == 0


def opened(book: Book, name: str) -> SubjectTally:
    found = book.open(name, counts_subjects=True, seconds=[3600], reservation=2)
    assert isinstance(found, SubjectTally)
    return found
