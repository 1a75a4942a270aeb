"""Rows masked: the columns of a mask are others, all other bytes the same."""

from __future__ import annotations

import csv
import io
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mask.rows import MaskError, RowMasker
from proxy.meter.copy_rows import split_copy_row
from proxy.terms.facts import CopyFormat
from proxy.terms.mask import How
from proxy.wire.backend import decode_data_row

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = (b"id", b"nir", b"name")
Row = tuple[bytes | None, bytes | None, bytes | None]
HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
values = (
    st.none() | texts.map(str.encode) | st.sampled_from([b"\\N", b"\\.", b'"', b",\n", b"\t\\"])
)
rows = st.tuples(values, values, values)


def masker(copy_format: CopyFormat | None = None, *, has_header: bool = False) -> RowMasker:
    """Return one that shouts the second column's value, and drops the third's."""
    return RowMasker(
        {1: (How.HASH, lambda value: b"<" + value + b'",\t\n>'), 2: (How.WHOLE, lambda _: None)},
        NAMES,
        copy_format,
        has_header=has_header,
    )


def expected(row: Row) -> Row:
    """Return the row masked."""
    return (row[0], None if row[1] is None else b"<" + row[1] + b'",\t\n>', None)


def frame(tag: bytes, body: bytes) -> bytes:
    """Return a message."""
    return tag + struct.pack(">i", 4 + len(body)) + body


def tuple_of(row: Sequence[bytes | None]) -> bytes:
    """Return the values with their lengths."""
    parts = [struct.pack(">h", len(row))]
    parts.extend(
        struct.pack(">i", -1 if value is None else len(value)) + (value or b"") for value in row
    )
    return b"".join(parts)


def text_line(row: Row) -> bytes:
    """Return a row as COPY writes it in text format."""
    named = {8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r", 92: b"\\\\"}
    fields = [
        b"\\N" if value is None else b"".join(named.get(one, bytes([one])) for one in value)
        for value in row
    ]
    return b"\t".join(fields) + b"\n"


def csv_line(row: Row) -> bytes:
    """Return a row as COPY writes it in CSV."""
    fields = []
    for value in row:
        if value is None:
            fields.append(b"")
        elif not value or any(one in value for one in b'",\n\r') or value == b"\\.":
            fields.append(b'"' + value.replace(b'"', b'""') + b'"')
        else:
            fields.append(value)
    return b",".join(fields) + b"\n"


@given(st.lists(rows, min_size=1, max_size=5))
def test_data_rows(given_rows: list[Row]) -> None:
    """Lengths fit, and NULL stays NULL."""
    one = masker()
    raw = b"".join(frame(b"D", tuple_of(row)) for row in given_rows)

    found = one.mask(raw, copies=False)

    assert found == b"".join(frame(b"D", tuple_of(expected(row))) for row in given_rows)
    decode_data_row(found, 0, 1 + int.from_bytes(found[1:5], "big"))
    counts = one.take_counts()
    assert counts.get(How.HASH, 0) == sum(row[1] is not None for row in given_rows)
    assert not one.take_counts()


@given(rows)
def test_text_of_copy(row: Row) -> None:
    """What a mask leaves is escaped anew."""
    found = masker(CopyFormat.TEXT).mask(frame(b"d", text_line(row)), copies=True)

    assert found == frame(b"d", text_line(expected(row)))


@given(rows)
def test_csv_of_copy(row: Row) -> None:
    """What a mask leaves is quoted as it must be; other columns keep their quotes."""
    found = masker(CopyFormat.CSV).mask(frame(b"d", csv_line(row)), copies=True)[5:]

    assert split_copy_row(found, CopyFormat.CSV, 3) == list(expected(row))
    assert found.startswith(csv_line((row[0], None, None)).removesuffix(b",,\n") + b",")


@given(row=rows, first=st.booleans())
def test_binary_copy(row: Row, *, first: bool) -> None:
    """With the head before the first row, and the mark behind the last."""
    one = masker(CopyFormat.BINARY)
    head = HEAD if first else b""

    found = one.mask(frame(b"d", head + tuple_of(row)), copies=True)

    assert found == frame(b"d", head + tuple_of(expected(row)))
    for alone in (HEAD, b"\xff\xff"):
        assert one.mask(frame(b"d", alone), copies=True) == frame(b"d", alone)


@pytest.mark.parametrize("copy_format", [CopyFormat.TEXT, CopyFormat.CSV])
def test_the_names_of_columns_are_no_row_once(copy_format: CopyFormat) -> None:
    """The first line of COPY with HEADER alone: names of one's own choice may be values."""
    line = frame(b"d", (b"\t" if copy_format is CopyFormat.TEXT else b",").join(NAMES) + b"\n")
    with_header = masker(copy_format, has_header=True)

    assert with_header.mask(line + line, copies=True).startswith(line)
    assert line not in with_header.mask(line, copies=True)
    assert line not in masker(copy_format).mask(line, copies=True)


@pytest.mark.parametrize(
    ("copy_format", "body"),
    [
        (CopyFormat.TEXT, b"1\t2\n"),
        (CopyFormat.TEXT, b"1\t2\t3"),
        (CopyFormat.TEXT, b"1\t2\t3\t4\n"),
        (CopyFormat.CSV, b"1,2\n"),
        (CopyFormat.CSV, b'1,"2,3\n'),
        (CopyFormat.CSV, b'1,"2"x,3\n'),
        (CopyFormat.CSV, b"1,2,3"),
        (CopyFormat.BINARY, tuple_of((b"1", b"2"))),
        (CopyFormat.BINARY, tuple_of((b"1", b"2", b"3")) + b"x"),
        (CopyFormat.BINARY, tuple_of((b"1", b"2", b"3"))[:-1]),
        (CopyFormat.BINARY, HEAD[:-1]),
        (CopyFormat.OTHER, b"1|2|3\n"),
    ],
)
def test_a_row_that_cannot_be_taken_apart(copy_format: CopyFormat, body: bytes) -> None:
    """It is an error, and nothing of it is given."""
    with pytest.raises(MaskError):
        masker(copy_format).mask(frame(b"d", body), copies=True)


def test_rows_of_another_kind_are_an_error() -> None:
    """A DataRow in COPY, and the other way."""
    with pytest.raises(MaskError):
        masker(CopyFormat.TEXT).mask(frame(b"D", tuple_of((b"1", b"2", b"3"))), copies=False)
    with pytest.raises(MaskError):
        masker().mask(frame(b"d", b"1\t2\t3\n"), copies=True)
    with pytest.raises(MaskError):
        masker().mask(frame(b"D", tuple_of((b"1", b"2"))), copies=False)


def test_csv_can_be_read_back() -> None:
    """By Python's reader as well."""
    found = masker(CopyFormat.CSV).mask(frame(b"d", b'1,"a,b",c\n'), copies=True)[5:]

    assert list(csv.reader(io.StringIO(found.decode()))) == [["1", '<a,b",\t\n>', ""]]
