"""The rows of COPY to the frontend, taken apart where that is certain.

The backend sends one CopyData for each row. Separators are those of the format's defaults: with any
other option a value could be made to look like two, and a key like another one.

Source: PostgreSQL documentation, "COPY", "Text Format", "CSV Format", "Binary Format".
"""

from __future__ import annotations

import struct
from typing import Final

from proxy.terms.facts import CopyFormat

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_NULL: Final = b"\\N"
_INT16: Final = struct.Struct(">h")
_INT32: Final = struct.Struct(">i")
_END: Final = -1
_NULL_LENGTH: Final = -1
_QUOTE: Final = ord('"')
_COMMA: Final = ord(",")


def split_copy_row(data: bytes, form: CopyFormat | None, columns: int) -> list[bytes | None] | None:
    """Return the values of the row in a CopyData's body; None where it cannot be told.

    Args:
        data: the body, one row.
        form: how COPY writes it.
        columns: how many values there must be.

    An empty list: it holds no row (the end of the binary format).
    """
    match form:
        case CopyFormat.TEXT:
            values = _split_text(data)
        case CopyFormat.CSV:
            values = _split_csv(data)
        case CopyFormat.BINARY:
            values = _split_binary(data)
        case _:
            return None
    if values is None or (values and len(values) != columns):
        return None
    return values


def _split_text(data: bytes) -> list[bytes | None] | None:
    if not data.endswith(b"\n"):
        return None
    # a backslash inside a value stays escaped: keys have none, and one that had is another key
    return [None if value == _NULL else value for value in data[:-1].split(b"\t")]


def _split_csv(data: bytes) -> list[bytes | None] | None:
    if not data.endswith(b"\n"):
        return None
    body = data[:-1]
    if _QUOTE not in body:
        return [value or None for value in body.split(b",")]
    values: list[bytes | None] = []
    at = 0
    while True:
        value, at = _csv_value(body, at)
        if at < 0:
            return None
        values.append(value)
        if at >= len(body):
            return values
        at += 1  # the comma


def _csv_value(body: bytes, at: int) -> tuple[bytes | None, int]:
    """Return the value that begins at ``at`` and where it ends; -1: it is damaged."""
    if at >= len(body) or body[at] != _QUOTE:
        end = body.find(b",", at)
        end = len(body) if end < 0 else end
        return body[at:end] or None, end
    parts = bytearray()
    at += 1
    while True:
        end = body.find(b'"', at)
        if end < 0:
            return None, -1
        parts += body[at:end]
        if body[end + 1 : end + 2] != b'"':
            break
        parts.append(_QUOTE)
        at = end + 2
    after = end + 1
    if after < len(body) and body[after] != _COMMA:
        return None, -1
    return bytes(parts), after


def _split_binary(data: bytes) -> list[bytes | None] | None:
    try:
        at = 0
        if data.startswith(SIGNATURE):
            (extension,) = _INT32.unpack_from(data, len(SIGNATURE) + 4)
            at = len(SIGNATURE) + 8 + extension
            if at == len(data):
                return []
        (count,) = _INT16.unpack_from(data, at)
        at += 2
        if count == _END:
            return [] if at == len(data) else None
        if count < 0:
            return None
        values: list[bytes | None] = []
        for _ in range(count):
            (length,) = _INT32.unpack_from(data, at)
            at += 4
            if length < _NULL_LENGTH:
                return None
            if length == _NULL_LENGTH:
                values.append(None)
                continue
            values.append(data[at : at + length])
            at += length
    except struct.error:
        return None
    return values if at == len(data) else None
