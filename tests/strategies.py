"""Generated values that more than one file of tests draws from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

chunk_sizes: Final = st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=8)
strings: Final = st.binary(max_size=8).map(lambda raw: raw.replace(b"\0", b""))
values: Final = st.lists(st.none() | st.binary(max_size=12), max_size=6)


def chunks(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Cut a stream into chunks of these sizes, again and again from the first."""
    position = turn = 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        yield stream[position : position + size]
        position, turn = position + size, turn + 1


def lengthened(value: bytes | None) -> bytes:
    """Return a value as Bind and DataRow have it: its length, then its bytes; NULL is -1."""
    if value is None:
        return b"\xff\xff\xff\xff"
    return len(value).to_bytes(4, "big") + value
