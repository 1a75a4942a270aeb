"""Subjects: the same in every kernel, and on pages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.subjects import Subjects, count_subjects, write_page
from tests.kernels import each_kernel

Group = tuple[bytes, ...]

keys = st.integers(0, 30).map(lambda number: bytes([number]) * 12)
groups = st.lists(st.lists(keys, min_size=1, max_size=3).map(tuple), max_size=12)
steps = st.tuples(
    st.sampled_from(["charge", "forget", "pages", "fail", "restart", "rewrite", "merge"]),
    groups,
    st.integers(0, 2),
)


def many(count: int, start: int = 0) -> list[Group]:
    return [(number.to_bytes(12, "little"),) for number in range(start, start + count)]


class Stored:
    """Subjects with the pages that a store has of them."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self.subjects = kernel.Subjects()
        self.pages: list[tuple[int, bytes]] = []

    def take(self, *, everything: bool = False, works: bool = True) -> None:
        """Keep what has changed, or fail to."""
        pages = self.subjects.take_pages(everything=everything)
        if not works:
            self.subjects.mark(pages)
            return
        kept = [] if everything else self.pages
        self.pages = sorted([*kept, *pages], key=lambda page: page[0])

    def forget(self, end: int) -> None:
        """Let a step go, here and there."""
        self.subjects.forget(end)
        self.pages = [page for page in self.pages if page[0] != end]

    def restart(self) -> None:
        """Begin with what is kept, after all of it was."""
        self.take()
        self.subjects = self._kernel.Subjects()
        if self.subjects.restore(self.pages):
            self.take(everything=True)


@each_kernel
@given(st.lists(steps, max_size=30))
def test_it_is_as_specified(kernel: Any, told: list[tuple[str, list[Group], int]]) -> None:
    """Whatever is charged, forgotten, kept and read back: what is counted is the same."""
    plain, stored, end, oldest = Subjects(), Stored(kernel), 60, 60
    for what, charged, further in told:
        end += 60 * further
        found = stored.subjects
        match what:
            case "charge":
                unseen = plain.unseen(charged, end)
                assert [*found.unseen(charged, end)] == unseen
                edges = [-1.0, end - 60.0, float(end)]
                if unseen:
                    assert found.costs(unseen, edges) == plain.costs(unseen, edges)
                assert found.most(unseen) == plain.most(unseen)
                assert found.charge(found.unseen(charged, end), end) == plain.charge(unseen, end)
            case "forget":
                while oldest < end:
                    plain.forget(oldest)
                    stored.forget(oldest)
                    oldest += 60
            case "merge":
                if oldest + 60 < end and further:
                    plain.merge(oldest, oldest + 60)
                    found.merge(oldest, oldest + 60)
                    stored.take()
                    stored.pages = [page for page in stored.pages if page[0] != oldest]
            case "restart":
                stored.restart()
            case _:
                stored.take(everything=what == "rewrite", works=what != "fail")
        found = stored.subjects
        assert len(found) == len(plain)
        assert {e: n for e, n in found.counts.items() if n} == {
            e: n for e, n in plain.counts.items() if n
        }
    stored.take()
    assert count_subjects(stored.pages) == len(plain)
    assert not stored.subjects.is_changed


@each_kernel
def test_thousands_are_kept_apart(kernel: Any) -> None:
    """A table that has grown knows all it knew and nothing else; an empty one gives memory back."""
    found = kernel.Subjects()
    found.charge(many(5000), 60)
    found.charge(many(2500), 120)

    assert [*found.unseen(many(5000), 120)] == many(2500, 2500)
    assert found.costs(many(10), [60.0, 120.0]) == [0, 10]
    found.forget(60)
    assert [*found.unseen(many(5000), 120)] == many(2500, 2500)
    found.forget(120)
    assert (len(found), found.memory_bytes < 5000) == (0, True)


@each_kernel
def test_numbers_that_are_far_apart_are_given_anew(kernel: Any) -> None:
    """What is left of very many does not take the memory of all of them."""
    pages = [
        (60, write_page(number, key))
        for number, (key,) in zip((7, 4_000_000_000), many(2), strict=True)
    ]
    found = kernel.Subjects()
    renumbered = found.restore(pages)

    assert len(found) == 2
    assert found.memory_bytes < 5000
    assert [*found.unseen(many(3), 60)] == many(1, 2)
    assert renumbered == (kernel.Subjects is not Subjects)


@each_kernel
def test_the_last_page_is_right(kernel: Any) -> None:
    """A subject that moved and has learnt a key stands on two pages."""
    (one,), (two,), (three,) = many(3)
    pages = [(60, write_page(1, one)), (60, write_page(2, three)), (120, write_page(1, one + two))]
    found = kernel.Subjects()
    found.restore(pages)

    assert found.counts[120] == 1
    assert found.unseen([(one,), (two,)], 120) in ([], ())
    assert found.costs([(two,)], [60.0, 120.0]) == [0, 1]


@each_kernel
@pytest.mark.parametrize("damage", [b"\1\0\0", b"\1\0\0\0\1abc", write_page(0, bytes(12))])
def test_a_damaged_page_is_told(kernel: Any, damage: bytes) -> None:
    """Nothing is read beyond its end."""
    with pytest.raises(ValueError, match="damaged"):
        kernel.Subjects().restore([(60, damage)])
