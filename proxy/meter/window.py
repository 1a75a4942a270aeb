"""Sliding windows: what was received within the last so many seconds, in steps.

A step is a sixtieth of the shortest window, at least a second. What was received within a step
counts from the step's end. Steps that a shorter window has left are merged into the last of each
sixtieth of the next longer one, or a month in steps of a second would be millions. So an amount
leaves a window at most a sixtieth of it late (or a step), and never early.

Units: seconds. Cost: O(windows) for each step that leaves one, else O(1).
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

STEPS: Final = 60


class Window:
    """One window over the steps of ``Windows``: the sum of what it holds."""

    __slots__ = ("edge", "ends", "index", "seconds", "total")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.index = 0  # its place among the others
        self.total = 0
        self.edge = -inf  # a step that ends here or before has left
        self.ends: deque[int] = deque()


class Windows:
    """Amounts by step, and their sum within each of several windows, the shortest first.

    ``seconds``: lengths of the windows, at least one.
    """

    def __init__(self, seconds: Iterable[int]) -> None:
        self.windows: list[Window] = []
        self.amounts: dict[int, int] = {}  # end of the step -> amount, oldest first
        self.step_seconds = 1
        self._next = inf  # before this moment nothing leaves
        self._newest = 0
        self._merged: list[tuple[int, int]] = []
        self.widen(seconds)

    def widen(self, seconds: Iterable[int]) -> None:
        """Add windows; one longer than all others does not know what was before."""
        known = {window.seconds for window in self.windows}
        for one in {*seconds} - known:
            window = Window(one)
            self.windows.append(window)
            for end, amount in self.amounts.items():
                window.ends.append(end)
                window.total += amount
            self._next = -inf
        self.windows.sort(key=lambda window: window.seconds)
        for index, window in enumerate(self.windows):
            window.index = index
        self.step_seconds = max(1, self.windows[0].seconds // STEPS)

    def window(self, seconds: int) -> Window:
        """Return the window of this length."""
        return next(window for window in self.windows if window.seconds == seconds)

    def end_of(self, now: float) -> int:
        """Return the end of the step that a moment lies in; never before the newest there is."""
        return max((int(now // self.step_seconds) + 1) * self.step_seconds, self._newest)

    def take_merged(self) -> list[tuple[int, int]]:
        """Return which steps were merged into which later ones, since the last time."""
        merged, self._merged = self._merged, []
        return merged

    def advance(self, now: float, *, merges: bool = False) -> list[int]:
        """Let go what has left by now; return the steps that no window holds any more.

        ``merges``: whether steps may be merged; ``take_merged`` tells which were.
        """
        gone: list[int] = []
        if now < self._next:
            return gone
        longest = self.windows[-1]
        self._next = inf
        for window in self.windows:
            edge = window.edge = now - window.seconds
            ends = window.ends
            while ends and ends[0] <= edge:
                end = ends.popleft()
                window.total -= self.amounts[end]
                if window is longest:
                    del self.amounts[end]
                    gone.append(end)
                elif merges:
                    self._merge(end, window.index + 1)
            if ends:
                self._next = min(self._next, ends[0] + window.seconds)
        return gone

    def _merge(self, end: int, index: int) -> None:
        """Merge the step before one that a window has left into it, if both are one to longer ones.

        ``index``: of the next longer window. The steps that a window has left are few: O(steps).
        """
        ends = self.windows[index].ends
        cell = max(self.step_seconds, self.windows[index].seconds // STEPS)
        place = ends.index(end) if end in self.amounts and end in ends else 0
        if not place or (ends[place - 1] - 1) // cell != (end - 1) // cell:
            return
        old = ends[place - 1]
        self.amounts[end] += self.amounts.pop(old)
        for window in self.windows[index:]:
            window.ends.remove(old)
        self._merged.append((old, end))

    def add(self, end: int, amount: int) -> None:
        """Add to a step, which is the newest, or one of those there are."""
        if end not in self.amounts:
            self.amounts[end] = 0
            self._newest = max(self._newest, end)
            for window in self.windows:
                window.ends.append(end)
                self._next = min(self._next, end + window.seconds)
        self.amounts[end] += amount
        for window in self.windows:
            if end > window.edge:
                window.total += amount

    def move(self, old: int, end: int, count: int = 1) -> None:
        """Let so many that were counted in an older step count in the newest."""
        self.add(end, 0)
        self.amounts[old] -= count
        self.amounts[end] += count
        for window in self.windows:
            if old <= window.edge:
                window.total += count

    def frees(self, window: Window) -> tuple[int, int] | None:
        """Return how much leaves a window next, and at which moment; None: it is empty."""
        for end in window.ends:
            if self.amounts[end]:
                return self.amounts[end], end + window.seconds
        return None
