"""Sliding windows in steps: never less than the true sum, and at most a step more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.window import Windows

lengths = st.lists(st.sampled_from([7, 60, 120, 3600, 86400]), min_size=1, max_size=3, unique=True)
charges = st.lists(st.tuples(st.sampled_from([0, 0.5, 1, 30, 59, 60, 61, 4000]), st.integers(0, 9)))


def total(windows: Windows, seconds: int) -> int:
    return windows.window(seconds).total


@given(lengths, charges)
def test_a_sum_is_true_to_a_step(seconds: list[int], told: list[tuple[float, int]]) -> None:
    """In each window at once: no amount leaves early, and none later than a step of the window."""
    windows, now, charged = Windows(seconds), 0.0, list[tuple[float, int]]()
    for gap, amount in told:
        now += gap
        windows.advance(now, merges=True)
        windows.add(windows.end_of(now), amount)
        charged.append((now, amount))
        for one in seconds:
            kept = one + max(windows.step_seconds, one // 60)
            assert total(windows, one) >= sum(n for at, n in charged if now - at < one)
            assert total(windows, one) <= sum(n for at, n in charged if now - at <= kept)


def test_the_step_is_a_sixtieth_of_the_shortest_window() -> None:
    """At least a second."""
    assert [Windows(one).step_seconds for one in ([3600, 60], [7], [2592000])] == [1, 1, 43200]


def test_memory_is_bounded_by_the_steps_of_the_longest_window() -> None:
    """What no window holds is gone."""
    windows = Windows([60, 120])
    gone = []
    for second in range(1000):
        gone += windows.advance(second)
        windows.add(windows.end_of(second), 1)

    assert len(windows.amounts) == 121
    assert [len(one.ends) for one in windows.windows] == [61, 121]
    assert gone == list(range(1, 880))


def test_a_month_in_seconds_takes_little() -> None:
    """What the shorter windows have left is kept by sixtieths of the longer ones."""
    windows, charged = Windows([60, 3600, 2_592_000]), 0
    for second in range(0, 400_000, 7):
        windows.advance(second, merges=True)
        windows.add(windows.end_of(second), 1)
        charged += 1

    assert len(windows.amounts) < 200
    assert (total(windows, 2_592_000), sum(windows.amounts.values())) == (charged, charged)
    assert 3600 // 7 <= total(windows, 3600) <= 3660 // 7 + 1
    merged = windows.take_merged()
    assert all(old < end for old, end in merged)
    assert len({old for old, _ in merged}) == len(merged)


def test_one_that_moves_counts_once_in_each_window() -> None:
    """It is in the newest step from then on; a window that had lost it has it again."""
    windows = Windows([60, 3600])
    windows.add(1, 2)
    windows.advance(100.0)
    windows.move(1, windows.end_of(100.0))

    assert (total(windows, 60), total(windows, 3600)) == (1, 2)
    windows.advance(3601.0)
    assert (total(windows, 60), total(windows, 3600)) == (0, 1)


def test_a_window_that_is_added_knows_what_is_there() -> None:
    """A shorter one begins with what lies within it."""
    windows = Windows([3600])
    windows.add(windows.end_of(0.0), 3)
    windows.add(windows.end_of(3000.0), 4)
    windows.widen([600])
    windows.advance(3100.0)

    assert (total(windows, 600), total(windows, 3600)) == (4, 7)
    assert windows.step_seconds == 10


def test_what_frees_next() -> None:
    """How much, and when; nothing if it is empty."""
    windows = Windows([60])
    assert windows.frees(windows.window(60)) is None
    windows.add(1, 5)
    windows.add(30, 6)

    assert windows.frees(windows.window(60)) == (5, 61)
