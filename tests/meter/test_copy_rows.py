"""split_copy_row: the values of a COPY row, where they are certain."""

from __future__ import annotations

import csv
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.copy_rows import SIGNATURE, split_copy_row
from proxy.terms.facts import CopyFormat
from tests.strategies import lengthened, values

HEAD = SIGNATURE + bytes(8)
TEXT, CSV, BINARY = CopyFormat.TEXT, CopyFormat.CSV, CopyFormat.BINARY


@pytest.mark.parametrize(
    ("form", "data", "columns", "expected"),
    [
        (TEXT, b"1\tA\n", 2, [b"1", b"A"]),
        (TEXT, b"1\t\\N\n", 2, [b"1", None]),
        (TEXT, b"\n", 1, [b""]),
        (TEXT, b"a\\tb\tc\n", 2, [b"a\\tb", b"c"]),
        (TEXT, b"1\tA", 2, None),
        (TEXT, b"1\tA\tB\n", 2, None),
        (CSV, b"1,A\n", 2, [b"1", b"A"]),
        (CSV, b"1,\n", 2, [b"1", None]),
        (CSV, b'1,""\n', 2, [b"1", b""]),
        (CSV, b'"a,b",c\n', 2, [b"a,b", b"c"]),
        (CSV, b'"a""b",c\n', 2, [b'a"b', b"c"]),
        (CSV, b'"a\nb",c\n', 2, [b"a\nb", b"c"]),
        (CSV, b'"a",\n', 2, [b"a", None]),
        (CSV, b'"a"b,c\n', 2, None),
        (CSV, b'"a,c\n', 2, None),
        (CSV, b"1,A", 2, None),
        (CSV, b'"1",A', 2, None),
        (BINARY, HEAD, 2, []),
        (BINARY, b"\xff\xff", 2, []),
        (BINARY, b"\xff\xff\0", 2, None),
        (BINARY, b"\xff\xfe", 2, None),
        (BINARY, b"\0\1\0\0\0\1A", 1, [b"A"]),
        (BINARY, HEAD + b"\0\1\0\0\0\1A", 1, [b"A"]),
        (BINARY, b"\0\1\xff\xff\xff\xff", 1, [None]),
        (BINARY, b"\0\1\xff\xff\xff\xfe", 1, None),
        (BINARY, b"\0\1\0\0\0\2A", 1, None),
        (BINARY, b"\0\1\0\0\0\1AB", 1, None),
        (BINARY, b"\0\2\0\0\0\1A", 1, None),
        (BINARY, b"\0", 1, None),
        (BINARY, SIGNATURE, 1, None),
        (CopyFormat.OTHER, b"1\tA\n", 2, None),
        (None, b"1\tA\n", 2, None),
    ],
)
def test_rows_as_postgresql_writes_them(
    form: CopyFormat | None, data: bytes, columns: int, expected: list[bytes | None] | None
) -> None:
    """Whatever is damaged or of other options cannot be told: then it is charged by its bytes."""
    assert split_copy_row(data, form, columns) == expected


@given(values.filter(len))
def test_binary_comes_back(row: list[bytes | None]) -> None:
    """Any values, as the backend would write them."""
    data = struct.pack(">h", len(row)) + b"".join(lengthened(value) for value in row)

    assert split_copy_row(data, BINARY, len(row)) == row


@given(st.lists(st.text('ab,"\n \\', max_size=6), min_size=1, max_size=4))
def test_csv_comes_back(row: list[str]) -> None:
    """With quotes around everything, as another writer of CSV has it."""
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(row)

    found = split_copy_row(file.getvalue().encode(), CSV, len(row))

    assert found == [value.encode() for value in row]


@given(st.binary(max_size=40), st.sampled_from(CopyFormat), st.integers(1, 4))
def test_any_bytes_give_a_row_or_nothing(data: bytes, form: CopyFormat, columns: int) -> None:
    """Never another number of values than asked for."""
    found = split_copy_row(data, form, columns)

    assert found is None or len(found) in {0, columns}
