"""Book: tallies by name, bounded in memory, kept one batch after the other."""

from __future__ import annotations

from typing import Final

from proxy.meter.book import AnyTally, Book
from proxy.meter.saved import SavedSubject, SavedTally
from proxy.meter.tally import SubjectTally

HOUR: Final = 3600


def opened(book: Book, name: str) -> SubjectTally:
    found: AnyTally = book.open(name, counts_subjects=True, seconds=[HOUR], reservation=2)
    assert isinstance(found, SubjectTally)
    return found


def fill(book: Book, tally: SubjectTally, count: int, now: float) -> None:
    for number in range(count):
        tally.charge([(b"%d" % number,)], 0, now)
        book.touched(tally)


def test_memory_is_bounded_and_nothing_is_forgiven() -> None:
    """The tallies used least recently go on with numbers; what they count stays."""
    book = Book(max_subjects=100)
    tallies = [opened(book, f"t{number}") for number in range(5)]
    for now, tally in enumerate(tallies):
        fill(book, tally, 30, float(now))
    book.bound()

    assert sum(one.size for one in tallies) <= 100
    assert [one.size for one in tallies] == [0, 0, 0, 30, 30]
    assert [one.windows.windows[0].total for one in tallies] == [30] * 5
    assert book.compactions == 3


def test_it_looks_at_its_bound_by_itself() -> None:
    """Nobody has to ask for it."""
    book = Book(max_subjects=1000)
    fill(book, opened(book, "t"), 5000, 0.0)

    assert book.compactions == 1


def test_what_was_kept_is_there_again() -> None:
    """Under its name and number; further tallies have other numbers."""
    kept = SavedTally(
        *(7, "t", True, (HOUR,), 3),
        subjects=[SavedSubject(4, 60, (b"a", b"b"))],
        amounts=[(60, 2)],
    )
    book = Book(is_kept=True)
    book.restore([kept], 100.0)
    tally = opened(book, "t")

    assert tally.windows.windows[0].total == 1 + 2 + 3
    assert tally.costs(tally.unseen([(b"a",)], 100.0), 0) == [0]
    assert (tally.number, opened(book, "other").number) == (7, 8)
    assert book.is_covered


def test_a_kept_state_that_is_too_large_is_compacted_at_once() -> None:
    """The bound holds from the start."""
    subjects = [SavedSubject(number, 60, (b"%d" % number,)) for number in range(50)]
    book = Book(is_kept=True, max_subjects=10)
    book.restore([SavedTally(1, "t", True, (HOUR,), subjects=subjects)], 100.0)

    assert opened(book, "t").size == 0
    batch = book.take_batch(100.0)
    assert batch is not None
    assert batch.changes[0].forgets_subjects
    assert batch.changes[0].amounts == [(60, 50)]


def test_a_batch_that_failed_comes_with_the_next() -> None:
    """Nothing that has to be kept is lost on the way."""
    book = Book(is_kept=True)
    tally = opened(book, "t")
    fill(book, tally, 1, 0.0)
    first = book.take_batch(0.0)
    assert first is not None
    book.not_saved(first)
    again = book.take_batch(1.0)

    assert (book.is_covered, book.is_failing) == (False, True)
    assert again is not None
    assert again.changes == first.changes
    book.saved()
    assert (book.is_covered, book.is_failing) == (True, False)
    assert book.take_batch(2.0) is None
