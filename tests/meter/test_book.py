"""Book: tallies by name, bounded in memory, kept one batch after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import VigieError
from proxy.meter.book import AnyTally, Book
from proxy.meter.saved import SavedTally
from proxy.meter.subjects import Subjects, write_page
from proxy.meter.tally import SubjectTally
from tests.kernels import each_kernel

if TYPE_CHECKING:
    from proxy.meter.subjects import Page

HOUR: Final = 3600
# bytes: so that of five tallies some have to leave
CEILINGS: Final = {"python": 40_000, "compiled": 20_000}


def key(number: int) -> bytes:
    return number.to_bytes(12, "little")


def opened(book: Book, name: str) -> SubjectTally:
    found: AnyTally = book.open(name, counts_subjects=True, seconds=[HOUR], reservation=2)
    assert isinstance(found, SubjectTally)
    return found


def fill(book: Book, tally: SubjectTally, count: int, now: float) -> None:
    for number in range(count):
        tally.charge([(key(number),)], 0, now)
        book.touched(tally)


class Kept:
    """A book whose batches are kept here, as a store would."""

    def __init__(self, new_subjects: Any, memory_bytes: int) -> None:
        self._pages: dict[int, list[Page]] = {}
        self.reads = True
        self.book = Book(
            is_kept=True,
            memory_bytes=memory_bytes,
            new_subjects=new_subjects,
            read_pages=self._read,
        )

    def _read(self, number: int) -> list[Page]:
        if not self.reads:
            raise VigieError("the disk is gone")
        return sorted(self._pages.get(number, []), key=lambda page: page[0])

    def keep(self, now: float) -> None:
        """Keep what has changed."""
        batch = self.book.take_batch(now)
        for change in batch.changes if batch is not None else ():
            pages = [] if change.forgets_subjects else self._pages.get(change.number, [])
            pages = [page for page in pages if page[0] not in change.gone_steps]
            self._pages[change.number] = pages + change.pages
        if batch is not None:
            self.book.saved()


def test_where_nothing_is_kept_numbers_are_left() -> None:
    """The tallies used least recently go on with numbers; what they count stays."""
    book = Book(memory_bytes=60_000)
    tallies = [opened(book, f"t{number}") for number in range(5)]
    for now, tally in enumerate(tallies):
        fill(book, tally, 30, float(now))

    assert book.memory_bytes <= 60_000
    assert [one.size for one in tallies] == [0, 0, 30, 30, 30]
    assert [one.windows.windows[0].total for one in tallies] == [30] * 5
    assert book.compactions == 2


def test_one_that_is_too_large_alone_is_bounded_as_well() -> None:
    """Nobody has to ask for it, and nothing is forgiven."""
    book = Book(memory_bytes=100_000)
    tally = opened(book, "t")
    fill(book, tally, 5000, 0.0)

    assert book.compactions >= 1
    assert book.memory_bytes <= 100_000
    assert tally.windows.windows[0].total == 5000


@each_kernel
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["charge", "charge", "charge", "keep"]),
            st.integers(0, 4),  # which tally
            st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=2), min_size=1, max_size=9),
            st.sampled_from([0, 1, 3, 5, 30, 59, 60, 61, 600, 1800, 3600, 3700]),
        ),
        max_size=80,
    )
)
def test_the_same_is_counted_whether_subjects_leave_or_not(
    kernel: Any, told: list[tuple[str, int, list[list[int]], int]]
) -> None:
    """Under a ceiling for one or two of five tallies: the same costs, the same usage."""
    ceiling = CEILINGS["python" if kernel.Subjects is Subjects else "compiled"]
    free, tight = Kept(kernel.Subjects, 1 << 30), Kept(kernel.Subjects, ceiling)
    now = 0.0
    for what, which, numbers, gap in told:
        now += gap
        if what == "keep" or tight.book.memory_bytes > ceiling:
            free.keep(now)
            tight.keep(now)
        if what == "keep":
            continue
        groups = [tuple(map(key, {*one})) for one in numbers]
        seen = []
        for kept in (free, tight):
            tally = kept.book.open(
                f"t{which}", counts_subjects=True, seconds=[60, 1200, 7200], reservation=2
            )
            assert isinstance(tally, SubjectTally)
            tally.advance(now)
            kept.book.bring(tally)
            unseen = tally.unseen(groups, now)
            cost = tally.costs(unseen, 0)
            added = tally.charge(unseen, 0, now) if unseen else 0
            kept.book.touched(tally)
            seen.append((cost, added, [one.total for one in tally.windows.windows]))
        assert seen[0] == seen[1]
    assert free.book.returns == 0
    assert tight.book.compactions == free.book.compactions == 0


@each_kernel
def test_subjects_leave_when_they_are_kept_and_come_back(kernel: Any) -> None:
    """What was never kept stays here; what leaves is counted on, and costs nothing twice."""
    kept = Kept(kernel.Subjects, 20_000)
    tallies = [opened(kept.book, f"t{number}") for number in range(8)]
    for now, tally in enumerate(tallies):
        fill(kept.book, tally, 30, float(now))
        kept.keep(float(now))
    first = tallies[0]

    assert first.is_away
    assert first.windows.windows[0].total == 30
    kept.book.bring(first)
    assert (first.is_away, first.size, kept.book.returns) == (False, 30, 1)
    assert first.costs(first.unseen([(key(7),)], 9.0), 0) == [0]
    assert kept.book.compactions == 0


def test_what_cannot_be_read_back_is_numbers_from_then_on() -> None:
    """An error of the disk refunds nothing: whoever comes again costs again."""
    kept = Kept(Book().new_subjects, 20_000)
    tallies = [opened(kept.book, f"t{number}") for number in range(3)]
    for now, tally in enumerate(tallies):
        fill(kept.book, tally, 30, float(now))
        kept.keep(float(now))
    kept.reads = False
    kept.book.bring(tallies[0])

    assert not tallies[0].is_away
    assert kept.book.compactions == 1
    assert tallies[0].windows.windows[0].total == 30
    assert tallies[0].costs(tallies[0].unseen([(key(7),)], 9.0), 0) == [1]


def test_what_was_kept_is_there_again() -> None:
    """Under its name and number; further tallies have other numbers."""
    kept = SavedTally(
        *(7, "t", True, (HOUR,), 3), [(60, write_page(4, key(1) + key(2)))], [(60, 2)]
    )
    book = Book(is_kept=True)
    book.restore([kept], 100.0)
    tally = opened(book, "t")

    assert tally.windows.windows[0].total == 1 + 2 + 3
    assert tally.costs(tally.unseen([(key(1),)], 100.0), 0) == [0]
    assert (tally.number, opened(book, "other").number) == (7, 8)
    assert book.is_covered


def test_a_damaged_state_is_not_half_believed() -> None:
    """Neither a page that is cut short nor a key of two subjects."""
    page = write_page(1, key(1))
    for pages in ([(60, page[:-1])], [(60, page), (61, write_page(2, key(1)))]):
        with pytest.raises(ValueError, match=r"damaged|two subjects"):
            Book(is_kept=True).restore([SavedTally(1, "t", True, (HOUR,), 0, pages)], 0.0)


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
