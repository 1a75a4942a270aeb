"""The cache is bounded in bytes, and what is in use stays."""

from __future__ import annotations

from proxy.sql.cache import TwoGenerations


def test_it_never_holds_more_than_its_bytes() -> None:
    """Entries beyond the limit push out what was not asked for."""
    cache: TwoGenerations[int, str] = TwoGenerations(100)
    for number in range(1000):
        cache.put(number, "x", 10)
        cache.get(0)
        assert len(cache) <= 10
    assert cache.get(0) == "x"
    assert cache.get(1) is None


def test_one_entry_cannot_empty_it() -> None:
    """A value larger than half of the cache is not kept."""
    cache: TwoGenerations[str, str] = TwoGenerations(100)
    cache.put("a", "x", 10)
    cache.put("huge", "y", 51)
    assert cache.get("huge") is None
    assert cache.get("a") == "x"
