"""Rows masked: DataRow and CopyData frames with other values in some columns.

The backend sends one CopyData for each row, and in the binary format its signature before the
first. A row that cannot be taken apart without doubt cannot be masked, and does not leave.

Source: PostgreSQL documentation, "Message Formats", "COPY", "Text Format", "CSV Format", "Binary
Format".
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError
from proxy.terms.facts import CopyFormat
from proxy.wire.backend import decode_data_row
from proxy.wire.frames import HEADER_BYTES, frames_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.mask.values import Masker
    from proxy.terms.mask import How

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_INT16: Final = struct.Struct(">h")
_INT32: Final = struct.Struct(">i")
_NULL: Final = b"\xff\xff\xff\xff"
_NULL_LENGTH: Final = -1
_END: Final = -1
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_TO_ESCAPE: Final = re.compile(rb"[\b\f\n\r\t\v\\]")
_ESCAPE_OF: Final = {value: b"\\" + name for name, value in _ESCAPES.items()} | {b"\\": b"\\\\"}
# One field of CSV and what ends it.
_FIELD: Final = re.compile(rb'(?:"((?:[^"]|"")*)"|([^",\n\r]*))(,|\n\Z)')
_TO_QUOTE: Final = re.compile(rb'[",\n\r]')


class MaskError(VigieError):
    """A row that cannot be masked. The message says why, and holds no value."""


class RowMasker:
    """Masks rows of one result.

    Args:
        maskers: by index of the column, with how each masks.
        names: of all columns, in order, as COPY writes them with HEADER.
        copy_format: of CopyData; None: the rows are DataRow.
        has_header: COPY begins with a line of names. A later line of names is a row: who chose the
            names would learn from it whether a value is one of them.

    ``counts`` has the values that were masked since it was last taken.
    """

    def __init__(
        self,
        maskers: Mapping[int, tuple[How, Masker]],
        names: Sequence[bytes],
        copy_format: CopyFormat | None = None,
        *,
        has_header: bool = False,
    ) -> None:
        self.counts: Counter[How] = Counter()
        self._maskers = tuple((index, how, one) for index, (how, one) in sorted(maskers.items()))
        self._count = len(names)
        self._names = list(names)
        self._copy_format = copy_format
        self._awaits_header = has_header

    def take_counts(self) -> dict[How, int]:
        """Return how many values were masked since the last time."""
        counts, self.counts = self.counts, Counter()
        return counts

    def mask(self, raw: bytes, *, copies: bool) -> bytes:
        """Return whole frames, masked.

        Args:
            raw: DataRow or CopyData frames.
            copies: they are CopyData.

        Raises:
            MaskError: a row cannot be taken apart without doubt.
            WireError: a frame is damaged.
        """
        if copies is not (self._copy_format is not None):
            raise MaskError("rows of another kind than was announced")
        parts: list[bytes] = []
        for start, end in frames_in(raw):
            if copies:
                body = self._copied(raw[start + HEADER_BYTES : end])
            else:
                body = self._row(decode_data_row(raw, start, end))
            parts += (raw[start : start + 1], _INT32.pack(4 + len(body)), body)
        return b"".join(parts)

    def _row(self, values: list[bytes | None]) -> bytes:
        self._check(len(values))
        for index, how, masker in self._maskers:
            value = values[index]
            if value is not None:
                values[index] = masker(value)
                self.counts[how] += 1
        parts = [_INT16.pack(len(values))]
        for value in values:
            parts += (_NULL,) if value is None else (_INT32.pack(len(value)), value)
        return b"".join(parts)

    def _is_header(self, values: Sequence[bytes | None]) -> bool:
        awaits, self._awaits_header = self._awaits_header, False
        return awaits and list(values) == self._names

    def _check(self, count: int) -> None:
        if count != self._count:
            raise MaskError(f"a row has {count} values, expected {self._count}")

    def _copied(self, data: bytes) -> bytes:
        match self._copy_format:
            case CopyFormat.TEXT:
                return self._copied_text(data)
            case CopyFormat.CSV:
                return self._copied_csv(data)
            case CopyFormat.BINARY:
                return self._copied_binary(data)
            case _:
                raise MaskError("COPY with separators of its own")

    def _copied_text(self, data: bytes) -> bytes:
        if not data.endswith(b"\n"):
            raise MaskError("a row of COPY without its end")
        values = data[:-1].split(b"\t")
        self._check(len(values))
        if self._is_header(values):
            return data
        for index, how, masker in self._maskers:
            if values[index] == b"\\N":
                continue
            masked = masker(_ESCAPED.sub(_unescaped, values[index]))
            values[index] = b"\\N" if masked is None else _TO_ESCAPE.sub(_escaped, masked)
            self.counts[how] += 1
        return b"\t".join(values) + b"\n"

    def _copied_csv(self, data: bytes) -> bytes:
        raw: list[bytes] = []
        values: list[bytes | None] = []
        at = 0
        while at < len(data):
            found = _FIELD.match(data, at)
            if found is None:
                raise MaskError("a row of COPY that is no CSV")
            at = found.end()
            raw.append(data[found.start() : found.start(3)])
            quoted = found[1]
            values.append(quoted.replace(b'""', b'"') if quoted is not None else found[2] or None)
        if not data.endswith(b"\n"):
            raise MaskError("a row of COPY without its end")
        self._check(len(values))
        if self._is_header(values):
            return data
        for index, how, masker in self._maskers:
            value = values[index]
            if value is not None:
                raw[index] = _csv(masker(value))
                self.counts[how] += 1
        return b",".join(raw) + b"\n"

    def _copied_binary(self, data: bytes) -> bytes:
        try:
            at = 0
            if data.startswith(_SIGNATURE):
                (extension,) = _INT32.unpack_from(data, len(_SIGNATURE) + 4)
                at = len(_SIGNATURE) + 8 + extension
                if extension < 0 or at > len(data):
                    raise MaskError("a damaged head of binary COPY")
                if at == len(data):
                    return data
            (count,) = _INT16.unpack_from(data, at)
            if count == _END and at + 2 == len(data):
                return data
            self._check(count)
            values, end = _binary_values(data, at + 2, count)
        except struct.error as error:
            raise MaskError("a row of binary COPY is cut short") from error
        if end != len(data):
            raise MaskError("a row of binary COPY has more than its values")
        return data[:at] + self._row(values)


def _binary_values(data: bytes, at: int, count: int) -> tuple[list[bytes | None], int]:
    values: list[bytes | None] = []
    for _ in range(count):
        (length,) = _INT32.unpack_from(data, at)
        at += 4
        if length < _NULL_LENGTH or at + length > len(data):
            raise MaskError(f"a value of binary COPY has {length} bytes")
        values.append(None if length == _NULL_LENGTH else data[at : at + length])
        at += max(length, 0)
    return values, at


def _unescaped(found: re.Match[bytes]) -> bytes:
    return _ESCAPES.get(found[1], found[1])


def _escaped(found: re.Match[bytes]) -> bytes:
    return _ESCAPE_OF[found[0]]


def _csv(value: bytes | None) -> bytes:
    if value is None:
        return b""
    if not value or _TO_QUOTE.search(value):
        return b'"' + value.replace(b'"', b'""') + b'"'
    return value
