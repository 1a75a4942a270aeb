"""Cut a byte stream into PostgreSQL protocol frames; no I/O, no meaning.

A frame is one tagged message: tag (1 byte), length (int32, big-endian, counts itself but not the
tag), body. The untagged messages that open a connection are in ``startup``.

Three shapes come out, so that memory stays bounded and bulk stays cheap: a whole ``Frame``; a
``Run`` of whole consecutive frames of one bulk tag (DataRow, CopyData); a ``Piece`` of a message
larger than the ceiling, which is never collected. How a stream was cut into chunks decides how
long runs and pieces are, and nothing else.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADER_BYTES: Final = 5
SMALLEST_LENGTH: Final = 4  # the length field counts itself
LARGEST_LENGTH: Final = 0x40000002  # a full StringInfo of the backend (MaxAllocSize - 1) and 4
CEILING_BYTES: Final = 1 << 20
_LENGTH: Final = struct.Struct(">I")
_NO_LIMITS: Final[Mapping[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole message. ``raw`` is exactly what arrived, so it can be forwarded untouched."""

    tag: int
    raw: bytes

    @property
    def body(self) -> bytes:
        """What follows the header."""
        return self.raw[HEADER_BYTES:]


@dataclass(frozen=True, slots=True)
class Run:
    """Whole consecutive frames of one bulk tag; ``count`` of them."""

    tag: int
    raw: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message that is larger than the ceiling, in order, header included.

    ``size`` is that of the whole message in bytes, tag and length counted.
    """

    tag: int
    raw: bytes
    size: int
    first: bool
    last: bool


EndOfRun = Callable[[bytearray, int, int, int], tuple[int, int]]


class FrameReader:
    """Collect chunks, hand out frames. ``find_end``: the compiled ``end_of_run``, if it is there.

    ``largest``: what the length of a message may be, by tag, where it is less than of all.

    ``take`` has three outcomes: a shape; None, "need more bytes"; or WireError, raised from the
    header alone. One shape per call, so that a fault in the third cannot swallow the first two.
    """

    def __init__(
        self,
        *,
        tags: bytes,
        bulk_tags: bytes = b"",
        ceiling_bytes: int = CEILING_BYTES,
        find_end: EndOfRun | None = None,
        largest: Mapping[int, int] = _NO_LIMITS,
    ) -> None:
        self._largest = largest
        self._find_end = find_end or end_of_run
        self._tags = frozenset(tags)
        self._bulk = frozenset(bulk_tags)
        self._ceiling = ceiling_bytes
        self._buffer = bytearray()
        self._start = 0
        self._piece_tag = 0
        self._piece_size = 0
        self._piece_left = 0

    def feed(self, chunk: bytes) -> None:
        """Add received bytes. Cost: O(len(chunk)), amortised."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += chunk

    @property
    def pending_bytes(self) -> int:
        """How much is collected and not yet taken."""
        return len(self._buffer) - self._start

    @property
    def is_within_message(self) -> bool:
        """Whether a part of a message was handed out and the rest has not come."""
        return bool(self._piece_left)

    def take_rest(self) -> bytes:
        """Take what is collected as it is: from now on nobody reads the stream."""
        return self._cut(len(self._buffer))

    def take(self) -> Frame | Run | Piece | None:
        """Take the next shape, or None when nothing whole has arrived.

        Raises:
            WireError: an unknown tag, or a length that PostgreSQL would not send or take.
        """
        if self._piece_left:
            return self._take_piece(first=False)
        header = self._header(self._start)
        if header is None:
            return None
        tag, size = header
        # of a larger one as much as the ceiling, so that names at its head can be read
        if self.pending_bytes < min(size, self._ceiling):
            return None
        if size > self._ceiling:
            self._piece_tag, self._piece_size, self._piece_left = tag, size, size
            return self._take_piece(first=True)
        if tag in self._bulk:
            return self._take_run(tag)
        return Frame(tag, self._cut(self._start + size))

    def _take_run(self, tag: int) -> Run:
        end, count = self._find_end(self._buffer, self._start, tag, self._ceiling - 1)
        return Run(tag, self._cut(end), count)

    def _take_piece(self, *, first: bool) -> Piece | None:
        available = min(self.pending_bytes, self._piece_left)
        if not available:
            return None
        self._piece_left -= available
        raw = self._cut(self._start + available)
        return Piece(self._piece_tag, raw, self._piece_size, first, last=not self._piece_left)

    def _header(self, at: int) -> tuple[int, int] | None:
        if at >= len(self._buffer):
            return None
        tag = self._buffer[at]
        if tag not in self._tags:
            raise WireError(f"unknown message type 0x{tag:02x}")
        if at + HEADER_BYTES > len(self._buffer):
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, at + 1)
        largest = self._largest.get(tag, LARGEST_LENGTH)
        if not SMALLEST_LENGTH <= length <= largest:
            raise WireError(
                f"message {chr(tag)!r} announces {length} bytes,"
                f" expected {SMALLEST_LENGTH} to {largest}"
            )
        return tag, 1 + length

    def _cut(self, end: int) -> bytes:
        raw = bytes(memoryview(self._buffer)[self._start : end])
        self._start = end
        return raw


def end_of_run(buffer: bytes | bytearray, start: int, tag: int, largest: int) -> tuple[int, int]:
    """Return where whole frames of ``tag`` end that begin at ``start``, and how many they are.

    ``largest``: the largest length they may announce. A frame of which a part is missing ends it.
    """
    end, count, limit = start, 0, len(buffer)
    unpack = _LENGTH.unpack_from
    while end + HEADER_BYTES <= limit and buffer[end] == tag:
        (length,) = unpack(buffer, end + 1)
        if not SMALLEST_LENGTH <= length <= largest or end + 1 + length > limit:
            break
        end += 1 + length
        count += 1
    return end, count


def frames_in(raw: bytes) -> Iterator[tuple[int, int]]:
    """Give (start, end) of each frame of a ``Run``; the frames are known to be whole."""
    start, limit = 0, len(raw)
    unpack = _LENGTH.unpack_from
    while start < limit:
        end = start + 1 + unpack(raw, start + 1)[0]
        yield start, end
        start = end
