"""What a fast lane decides for each chunk: the Python form, and the meaning of the compiled one.

A lane passes a chunk only while it is open, what it rests on is still valid, and the chunk is one
it knows. ``Known`` is an answer that was learnt; ``LaneCounts`` is shared by all lanes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.accel._python import answer_rows, extended_key, query_template

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

KINDS = 64


class LaneCounts:
    """How many statements of each kind (by its number), rows and bytes went through lanes."""

    def __init__(self) -> None:
        self.statements = [0] * KINDS
        self.rows = 0
        self.size_bytes = 0


class Known:
    """A query that may pass.

    Args:
        head: the frames of its answer before the rows, byte for byte.
        may_have_rows: whether there may be rows.
        kind: number of its kind, under ``KINDS``.
        makes: name of the prepared statement of its Parse; None: it has none.
        value: what the session keeps of it.
    """

    def __init__(
        self, head: bytes, may_have_rows: bool, kind: int, makes: bytes | None, value: object
    ) -> None:
        self.head = head
        self.may_have_rows = may_have_rows
        self.kind = kind
        self.makes = makes
        self.value = value


class LaneState:
    """One session's lane.

    Args:
        counts: where passages are counted.
        text_of: what the session knows of a prepared statement, by name; None: nothing.
        made: told of a Known whose Parse was answered.

    ``is_open``: the session is at rest. ``valid_until``: seconds of the monotonic clock.
    ``epochs`` holds one number; another one than ``epoch`` means that what was learnt from has
    changed. ``book``: Known by key. ``status``: of the last ReadyForQuery. ``has_ended``: a
    transaction ended since ``is_open`` was set.
    """

    def __init__(
        self,
        counts: LaneCounts,
        text_of: Callable[[bytes], bytes | None],
        made: Callable[[Known], None],
    ) -> None:
        self.is_open = False
        self.valid_until = 0.0
        self.epochs = [0]
        self.epoch = 0
        self.book: dict[Hashable, Known] = {}
        self.status = 0
        self.has_ended = False
        self._counts = counts
        self._text_of = text_of
        self._made = made
        self._under_way: tuple[bytes, Known] | None = None

    def passes_frontend(self, chunk: bytes, now: float) -> bool:
        """Whether a chunk of the frontend goes to the backend as it is."""
        if not self.is_open or self._under_way is not None or now >= self.valid_until:
            return False
        if self.epochs[0] != self.epoch:
            return False
        key = self.key_of(chunk)
        known = None if key is None else self.book.get(key)
        if known is None:
            return False
        self._under_way = (chunk, known)
        return True

    def passes_backend(self, chunk: bytes) -> bool:
        """Whether a chunk of the backend goes to the frontend as it is."""
        if self._under_way is None:
            return False
        known = self._under_way[1]
        answer = answer_rows(chunk, known.head, known.may_have_rows)
        if answer < 0:
            return False
        self._under_way = None
        self.status = answer & 0xFF
        self.has_ended |= self.status == ord("I")
        if known.makes is not None:
            self._made(known)
        self._counts.statements[known.kind] += 1
        self._counts.rows += answer >> 8
        self._counts.size_bytes += len(chunk)
        return True

    def take_under_way(self) -> bytes | None:
        """Return what was passed and is not answered; it is no longer the lane's."""
        taken, self._under_way = self._under_way, None
        return None if taken is None else taken[0]

    def key_of(self, chunk: bytes) -> Hashable | None:
        """Return the key of a chunk; None: it is none that a lane could know."""
        if chunk[:1] == b"Q":
            return query_template(chunk)
        found = extended_key(chunk)
        if found is None:
            return None
        parses, describes, statement, key = found
        text = b"" if parses else self._text_of(statement)
        return None if text is None else (parses, describes, text, key)
