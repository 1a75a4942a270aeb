"""Walks: seen by the shape of constants over time, and not in everyday work."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from proxy.meter.walk import MAX_KEYS, MAX_TEMPLATES, Walked, Walks

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = 8


def walk(texts: Sequence[Sequence[str]], *, beyond: bool = False, subjects: int = 1) -> Walked:
    """Return how far these statements of one template have come."""
    walks, found = Walks(), Walked()
    for constants in texts:
        found = walks.take("t", [(one, beyond) for one in constants], subjects)
    return found


SHUFFLED = Random(7).sample(range(1000, 1100), 100)  # noqa: S311 - invented
LIST = [list(map(str, range(start, start + 20))) for start in range(0, 400, 20)]
WALKS = [
    ([[str(key)] for key in range(100)], False),
    ([[str(-key)] for key in range(100)], False),
    ([[str(key)] for key in SHUFFLED], False),
    ([[str(page), "50"] for page in range(0, 1000, 50)], True),
    ([[str(page), str(page + 49)] for page in range(0, 1000, 50)], False),
    ([[f"{letter}%"] for letter in "ABCDEFGHIJKLMNOP"], True),
    ([[f"2026-01-1{day}"] for day in range(10)], False),
    ([[nir] for nir in sorted(str(n * n * 7919).zfill(15) for n in range(100, 400))], True),
    (LIST, False),
]
EVERYDAY = [
    ([[str(key * key * 7919 % 100_003)] for key in range(200)], False),
    ([["17"]] * 50, False),
    ([[name] for name in ("MARTIN", "DUPONT", "BERNARD", "PETIT", "ROUX", "MOREL")] * 9, True),
    ([[str(page), "20"] for page in range(0, 100, 20)], True),
    ([["a"], ["b", "c"], ["d"]] * 20, False),
    ([[]] * 50, False),
    ([[""], ["%"], ["x"]] * 20, True),
    ([["9" * 40], ["8" * 40]] * 20, False),
    ([[f"{'DUPONTEL'[:length]}%"] for length in range(1, 9)] * 3, True),
]


@pytest.mark.parametrize(("texts", "beyond"), WALKS)
def test_a_walk_is_seen(texts: list[list[str]], beyond: bool) -> None:
    """Keys in sequence or in any order, pages, ranges, letters, lists of keys."""
    assert walk(texts, beyond=beyond).steps >= FEW


@pytest.mark.parametrize(("texts", "beyond"), EVERYDAY)
def test_everyday_work_is_none(texts: list[list[str]], beyond: bool) -> None:
    """Patients as they come, the same one again, names, a few pages."""
    assert walk(texts, beyond=beyond).steps < FEW


def test_what_it_can_have_taken_is_summed() -> None:
    """Twenty pages of fifty are a thousand, the first of which began it."""
    found = walk([[str(page)] for page in range(0, 1000, 50)], beyond=True, subjects=50)

    assert found == Walked(19, 950)


def test_statements_in_between_do_not_hide_it() -> None:
    """Another template has a walk of its own."""
    walks, found = Walks(), Walked()
    for key in range(50):
        walks.take("noise", [(str(key * key), False)], 1)
        found = walks.take("t", [(str(key), False)], 1)

    assert found.steps == 49


def test_it_is_bounded() -> None:
    """In templates and in keys of each; what is forgotten leaves the count."""
    walks, found = Walks(), Walked()
    for key in range(3 * MAX_KEYS):
        found = walks.take("t", [(str(key * 2 if key % 2 else key * 2 - 1), False)], 1)
    for number in range(2 * MAX_TEMPLATES):
        walks.take(f"other{number}", [("1", False)], 1)

    assert found.steps <= 2 * MAX_KEYS
    assert len(walks._by_template) == MAX_TEMPLATES
