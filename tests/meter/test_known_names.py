"""KnownNames: bounded, and a name too many is no name."""

from __future__ import annotations

from proxy.meter.known_names import IDLE_SECONDS, KnownNames


def test_one_name_too_many_is_none() -> None:
    """Until one of them was not used for a day: it makes room, the others stay."""
    known = KnownNames(most=3)
    assert all(known.admits(name, 0.0) for name in ("a", "b", "c"))

    assert not known.admits("d", 1.0)
    assert known.admits("a", 2.0)
    assert not known.admits("d", IDLE_SECONDS - 1)
    assert known.admits("d", IDLE_SECONDS)
    assert known.admits("a", IDLE_SECONDS)
    assert known.admits("b", IDLE_SECONDS)
    assert not known.admits("c", IDLE_SECONDS)
    assert len(known) == 3
