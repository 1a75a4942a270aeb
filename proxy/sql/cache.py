"""A map bounded in bytes that forgets what was not asked for lately.

Two generations: a new entry goes to the young one; when that holds half of the bytes it becomes
the old one, and what was there and not asked for since is dropped. One principal can push others'
entries out no further than that: an entry in use moves to the young generation again.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class TwoGenerations(Generic[K, V]):
    """Values by key, at most ``limit_bytes`` in all as stated by those who put them."""

    def __init__(self, limit_bytes: int) -> None:
        self._half = max(limit_bytes // 2, 1)
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._young_bytes = 0

    def get(self, key: K) -> V | None:
        """Return the value, or None. An old entry becomes young again."""
        found = self._young.get(key)
        if found is not None:
            return found[0]
        found = self._old.pop(key, None)
        if found is None:
            return None
        self.put(key, *found)
        return found[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Keep the value; one larger than half the limit is not kept."""
        if size_bytes > self._half:
            return
        before = self._young.pop(key, None)
        if before is not None:
            self._young_bytes -= before[1]
        if self._young_bytes + size_bytes > self._half:
            self._old, self._young, self._young_bytes = self._young, {}, 0
        self._young[key] = (value, size_bytes)
        self._young_bytes += size_bytes

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
