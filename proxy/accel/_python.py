"""The kernel in Python: what each function means, and what runs without a compiler.

They look at one chunk as it came from a socket, and say whether it is wholly of an everyday form.
"No" (None, -1) is always right, only slower.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from proxy.sql.template import MAX_TEMPLATE_CHARACTERS, cut_literals
from proxy.wire.frontend import decode_bind, decode_parse, decode_query

_LENGTH: Final = struct.Struct(">I")
_INT16: Final = struct.Struct(">H")
_HEADER: Final = 5
_SMALLEST: Final = 4
_READY: Final = b"Z\0\0\0\5"
_EXECUTE_AND_SYNC: Final = b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"
_DESCRIBE: Final = b"D\0\0\0\6P\0"
_NULL: Final = 0xFFFFFFFF


class ExtendedKey(NamedTuple):
    """An extended query in one chunk: [Parse] Bind [Describe] Execute Sync, of unnamed portals.

    ``statement``: what Bind names. ``key``: the rest but for the values of parameters: the Parse,
    the formats of the results.
    """

    parses: bool
    describes: bool
    statement: bytes
    key: bytes


def query_template(chunk: bytes) -> bytes | None:
    r"""Return the template of a chunk that is one Query of ASCII; None: it is not, or in doubt.

    Literals are ``\x01`` (number) and ``\x02`` (string), as in ``proxy.sql.template``.
    """
    if len(chunk) <= _HEADER or chunk[:1] != b"Q" or not chunk[_HEADER:].isascii():
        return None
    if _LENGTH.unpack_from(chunk, 1)[0] + 1 != len(chunk):
        return None
    text = decode_query(chunk[_HEADER:])
    if text is None or len(text) > MAX_TEMPLATE_CHARACTERS:
        return None
    template = cut_literals(text.decode("ascii"))
    return None if template is None else template.text.encode("ascii")


def query_literals(chunk: bytes) -> list[str] | None:
    """Return the literals of a chunk that has a ``query_template``, in order; None: it has none."""
    template = cut_literals(chunk[_HEADER:-1].decode("ascii"))
    return None if template is None else [slot.value for slot in template.slots]


def answer_rows(chunk: bytes, head: bytes, may_have_rows: bool) -> int:  # noqa: FBT001 - as compiled
    """Return rows << 8 | transaction status of a chunk that is one whole answer; -1: it is not.

    Args:
        chunk: it must be ``head``, rows, CommandComplete, ReadyForQuery, and nothing else.
        head: the frames that come before the rows, byte for byte.
        may_have_rows: whether there may be rows at all.
    """
    if not chunk.startswith(head):
        return -1
    at, size, rows = len(head), len(chunk), 0
    while at + _HEADER <= size:
        (length,) = _LENGTH.unpack_from(chunk, at + 1)
        end = at + 1 + length
        if length < _SMALLEST or end > size:
            return -1
        if chunk[at] == ord("C"):
            is_last = chunk[end : end + _HEADER] == _READY and size == end + len(_READY) + 1
            return rows << 8 | chunk[-1] if is_last else -1
        if chunk[at] != ord("D") or not may_have_rows:
            return -1
        rows += 1
        at = end
    return -1


def rows_of(chunk: bytes, start: int, count: int) -> bytes:
    """Return so many frames of a chunk that is known to have them, from ``start`` on."""
    end = start
    for _ in range(count):
        end += 1 + int(_LENGTH.unpack_from(chunk, end + 1)[0])
    return chunk[start:end]


def extended_key(chunk: bytes) -> ExtendedKey | None:
    """Return what a chunk asks for that is one extended query; None: it is not."""
    at, parsed = 0, None
    if chunk[:1] == b"P":
        at = _end_of_frame(chunk, 0)
        parsed = decode_parse(chunk[_HEADER:at]) if at else None
        if parsed is None:
            return None
    end = _end_of_frame(chunk, at)
    body = chunk[at + _HEADER : end]
    bind = decode_bind(body) if end and chunk[at : at + 1] == b"B" else None
    if bind is None or bind.portal or (parsed is not None and parsed.statement != bind.statement):
        return None
    describes = chunk[end : end + len(_DESCRIBE)] == _DESCRIBE
    if chunk[end + describes * len(_DESCRIBE) :] != _EXECUTE_AND_SYNC:
        return None
    key = chunk[:at] + body[_formats_at(body) :]
    return ExtendedKey(parsed is not None, describes, bind.statement.encode("latin-1"), key)


def _end_of_frame(chunk: bytes, at: int) -> int:
    """Return where the frame at ``at`` ends; 0: it is not all there."""
    if at + _HEADER > len(chunk):
        return 0
    (length,) = _LENGTH.unpack_from(chunk, at + 1)
    end = at + 1 + int(length)
    return end if length >= _SMALLEST and end <= len(chunk) else 0


def _formats_at(body: bytes) -> int:
    """Return where the formats of the results begin in a Bind that is known to be sound."""
    at: int = body.index(b"\0", body.index(b"\0") + 1) + 1
    at += 2 + 2 * _INT16.unpack_from(body, at)[0]
    (count,) = _INT16.unpack_from(body, at)
    at += 2
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(body, at)
        at += 4 + (0 if length == _NULL else int(length))
    return at
