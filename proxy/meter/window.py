"""Sliding windows: what was received within the last so many seconds, exactly.

A subject disclosed again within the window costs nothing but counts from its *last* disclosure,
or twice the limit could leave within one window: once at its begin, again (for free) just before
the first expire, and as many others just after.

Units: seconds. Cost: O(1) amortised for each charge.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SubjectWindow:
    """Distinct subjects: those known by a key, and those that only could be counted.

    Exact, and never larger than the limit plus what one charge brings. A subject may have several
    keys (id, NIR): keys seen together in one charge belong to one subject. But not all keys are of
    one subject only (a child may bear the NIR of a parent), so a group with a key that was not
    seen before is of a known subject only if it holds all keys of that subject. Two that were
    counted apart stay two.
    """

    def __init__(self, window_seconds: float) -> None:
        self._window = window_seconds
        # subject -> last disclosure, oldest first; a dict would keep the holes at its head
        self._last: OrderedDict[int, float] = OrderedDict()
        self._subject_of: dict[bytes, int] = {}  # key -> subject
        self._keys_of: dict[int, list[bytes]] = {}
        self._anonymous: deque[tuple[float, int]] = deque()
        self._anonymous_sum = 0
        self._next = 0

    @property
    def kept(self) -> tuple[int, int, int]:
        """How many subjects, keys and charges without a key are kept."""
        return len(self._last), len(self._subject_of), len(self._anonymous)

    def usage(self, now: float) -> int:
        """Return how many subjects were received within the window that ends now."""
        self._expire(now)
        return len(self._last) + self._anonymous_sum

    def cost(self, groups: Iterable[tuple[bytes, ...]], anonymous: int) -> int:
        """Return what a charge would add, or more if groups share keys, as of the last ``usage``.

        Each group holds the keys of one subject, at least one.
        """
        distinct = set(groups)
        if len(distinct) == 1:
            return self._is_fresh(*distinct) + anonymous
        # one of them may make another fresh, but none of which every key is known
        known = self._subject_of
        return sum(any(key not in known for key in group) for group in distinct) + anonymous

    def charge(self, groups: Iterable[tuple[bytes, ...]], anonymous: int, now: float) -> None:
        """Add subjects; known ones are refreshed."""
        for group in groups:
            known = self._subjects_of(group)
            if self._is_fresh(group):
                owner = self._next = self._next + 1
                self._keys_of[owner] = []
                self._last[owner] = now
            else:
                owner = next((one for one in known if self._is_within(one, group)), 0)
            for subject in known:
                self._last[subject] = now
                self._last.move_to_end(subject)
            for key in group:
                if key not in self._subject_of:
                    self._subject_of[key] = owner
                    self._keys_of[owner].append(key)
        if anonymous:
            before = 0
            if self._anonymous and self._anonymous[-1][0] == now:
                before = self._anonymous.pop()[1]
            self._anonymous.append((now, before + anonymous))
            self._anonymous_sum += anonymous

    def _subjects_of(self, group: tuple[bytes, ...]) -> list[int]:
        return [self._subject_of[key] for key in group if key in self._subject_of]

    def _is_fresh(self, group: tuple[bytes, ...]) -> bool:
        known = self._subjects_of(group)
        if not known or len(known) == len(group):
            return not known
        return not any(self._is_within(subject, group) for subject in known)

    def _is_within(self, subject: int, group: tuple[bytes, ...]) -> bool:
        return all(key in group for key in self._keys_of[subject])

    def _expire(self, now: float) -> None:
        edge = now - self._window
        while self._anonymous and self._anonymous[0][0] <= edge:
            self._anonymous_sum -= self._anonymous.popleft()[1]
        while self._last:
            subject, last = next(iter(self._last.items()))
            if last > edge:
                return
            del self._last[subject]
            for key in self._keys_of.pop(subject):
                del self._subject_of[key]


class SumWindow:
    """A sum of amounts (rows, bytes) over a sliding window, in steps of a sixtieth of it.

    A step expires only when it lies wholly outside, so the sum is never less than the true one.
    """

    STEPS = 60

    def __init__(self, window_seconds: float) -> None:
        self._window = window_seconds
        self._step = window_seconds / self.STEPS
        self._steps: deque[tuple[float, int]] = deque()  # (last moment of the step, amount)
        self._sum = 0

    def usage(self, now: float) -> int:
        """Return the sum within the window that ends now."""
        edge = now - self._window
        while self._steps and self._steps[0][0] <= edge:
            self._sum -= self._steps.popleft()[1]
        return self._sum

    def charge(self, amount: int, now: float) -> None:
        """Add an amount."""
        end = (now // self._step + 1) * self._step
        if self._steps and self._steps[-1][0] >= end:
            last, before = self._steps.pop()
            self._steps.append((last, before + amount))
        else:
            self._steps.append((end, amount))
        self._sum += amount
