"""SeenGroups: a set of groups, in every kernel."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.kernels import each_kernel

keys = st.sampled_from([bytes([number]) * 12 for number in range(20)])
groups = st.lists(st.lists(keys, min_size=1, max_size=3).map(tuple), max_size=12)


@each_kernel
@given(st.lists(st.tuples(groups, groups), max_size=6))
def test_what_was_not_added_is_unseen(
    kernel: Any, told: list[tuple[list[tuple[bytes, ...]], list[tuple[bytes, ...]]]]
) -> None:
    """Each once, in order; the same keys in another order or number are another group."""
    seen, plain = kernel.SeenGroups(), set[tuple[bytes, ...]]()
    for added, asked in told:
        seen.update(added)
        plain.update(added)

        assert len(seen) == len(plain)
        assert seen.unseen(asked) == [one for one in dict.fromkeys(asked) if one not in plain]


@each_kernel
def test_thousands_are_kept_apart(kernel: Any) -> None:
    """A table that has grown knows all it knew, and nothing else."""
    many = [(number.to_bytes(12, "little"),) for number in range(5000)]
    seen = kernel.SeenGroups()
    seen.update(many[::2])

    assert seen.unseen(many) == many[1::2]
