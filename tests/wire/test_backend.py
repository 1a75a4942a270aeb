"""Messages of the backend: their values, or WireError where bytes are missing or too many."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.wire.backend import (
    BULK_TAGS,
    TAGS,
    ResultColumn,
    decode_data_row,
    decode_fields,
    decode_key_data,
    decode_parameter_status,
    decode_row_description,
    decode_sasl_mechanisms,
)
from proxy.wire.encode import frame
from proxy.wire.frames import frames_in
from tests.strategies import lengthened, strings, values

if TYPE_CHECKING:
    from collections.abc import Callable

ROW_DESCRIPTION: Final = (
    bytes.fromhex("0002")
    + b"nir\0"
    + bytes.fromhex("00004016 0002 00000412 ffff 00000013 0000")  # lab.patient, column 2, char(15)
    + b"\xe9\0"
    + bytes.fromhex("00000000 0000 00000014 0008 ffffffff 0001")  # an expression, int8, binary
)
ROW: Final = bytes.fromhex("44 00000014 0003 00000002 3432 ffffffff 00000000")
columns = st.builds(
    ResultColumn,
    name=strings.map(lambda raw: raw.decode("latin-1")),
    table_oid=st.integers(0, 2**32 - 1),
    attribute_number=st.integers(-(2**15), 2**15 - 1),
    type_oid=st.integers(0, 2**32 - 1),
    format=st.integers(0, 1),
)


def data_row(row: list[bytes | None]) -> bytes:
    body = len(row).to_bytes(2, "big") + b"".join(map(lengthened, row))
    return b"D" + (4 + len(body)).to_bytes(4, "big") + body


def raw_column(column: ResultColumn) -> bytes:
    return (
        column.name.encode("latin-1")
        + b"\0"
        + struct.pack(
            ">IhIhih",
            column.table_oid,
            column.attribute_number,
            column.type_oid,
            -1,
            -1,
            column.format,
        )
    )


def row_of(raw: bytes) -> list[bytes | None]:
    return decode_data_row(raw, 0, len(raw))


def test_tags_are_those_of_the_documentation() -> None:
    """One letter for each message that a backend sends; rows and COPY data come in bulk."""
    assert sorted(TAGS) == sorted(b"RvKSZTtnDCIs123GHWdcVENA")
    assert BULK_TAGS == b"Dd"


def test_row_description() -> None:
    """Name, origin, type, format and modifier of each column; sizes are skipped."""
    assert decode_row_description(ROW_DESCRIPTION) == (
        ResultColumn("nir", 16406, 2, 1042, 0, 19),
        ResultColumn("é", 0, 0, 20, 1),
    )


def test_row_description_without_columns() -> None:
    """``SELECT FROM t`` has rows without values."""
    assert decode_row_description(b"\0\0") == ()


@given(st.lists(columns, max_size=4))
def test_row_description_gives_back_the_columns(described: list[ResultColumn]) -> None:
    """Any names, origins and types come out as they went in."""
    body = len(described).to_bytes(2, "big") + b"".join(map(raw_column, described))

    assert decode_row_description(body) == tuple(described)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "RowDescription is cut short"),
        (b"\0\1nir", "RowDescription is cut short"),
        (b"\xff\xff", "RowDescription of -1 columns has 2 bytes, expected 2"),
        (b"\0\0x", "RowDescription of 0 columns has 3 bytes, expected 2"),
    ],
)
def test_damaged_row_description_is_refused(body: bytes, said: str) -> None:
    """A column that is not seen would not be charged."""
    with pytest.raises(WireError) as caught:
        decode_row_description(body)

    assert str(caught.value) == said


def test_data_row() -> None:
    """Values as they stand on the wire; NULL is None and not the empty value."""
    assert row_of(ROW) == [b"42", None, b""]


@given(st.lists(values, min_size=1, max_size=4))
def test_rows_of_a_run_are_read_where_they_stand(rows: list[list[bytes | None]]) -> None:
    """Each row of many in one buffer has its own values, and none of its neighbour's."""
    raw = b"".join(map(data_row, rows))

    assert [decode_data_row(raw, start, end) for start, end in frames_in(raw)] == rows


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "DataRow is cut short"),
        ("0001", "DataRow is cut short"),
        ("ffff", "DataRow of -1 values has 7 bytes, expected 7"),
        ("0000 00", "DataRow of 0 values has 8 bytes, expected 7"),
        ("0001 00000003 3432", "DataRow of 1 values has 13 bytes, expected 14"),
        ("0001 00000001 3432", "DataRow of 1 values has 13 bytes, expected 12"),
        ("0001 fffffffe", "DataRow has a value of -2 bytes"),
        ("0001 7fffffff", "DataRow of 1 values has 11 bytes, expected 2147483658"),
    ],
)
def test_damaged_data_row_is_refused(body: str, said: str) -> None:
    """Lengths that do not add up to the frame would hide values from the meter."""
    content = bytes.fromhex(body)

    with pytest.raises(WireError) as caught:
        row_of(b"D" + (4 + len(content)).to_bytes(4, "big") + content)

    assert str(caught.value) == said


@given(values.filter(bool), values)
def test_a_row_does_not_reach_into_the_next(
    row: list[bytes | None], following: list[bytes | None]
) -> None:
    """One value too many in the count is found out, though bytes follow in the buffer."""
    raw = bytearray(data_row(row) + data_row(following))
    raw[5:7] = (len(row) + 1).to_bytes(2, "big")

    with pytest.raises(WireError):
        decode_data_row(bytes(raw), 0, len(data_row(row)))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"SERROR\0C42501\0Mrefused\0\0", {"S": b"ERROR", "C": b"42501", "M": b"refused"}),
        (b"\0", {}),
        (b"", {}),
        (b"SERR", {"S": b"ERR"}),
        (b"\xffx\0\0", {"\xff": b"x"}),
    ],
)
def test_fields_of_an_error(body: bytes, fields: dict[str, bytes]) -> None:
    """By their letter, known or not; a damaged error is still an error."""
    assert decode_fields(body) == fields


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"client_encoding\0UTF8\0", ("client_encoding", "UTF8")),
        (b"application_name\0\0", ("application_name", "")),
        (b"a\0\xe9\0", ("a", "é")),
    ],
)
def test_parameter_status(body: bytes, expected: tuple[str, str]) -> None:
    """Name and value, which may be empty."""
    assert decode_parameter_status(body) == expected


@pytest.mark.parametrize("body", [b"", b"a", b"a\0", b"a\0b", b"a\0b\0\0", b"a\0b\0c\0"])
def test_damaged_parameter_status_is_refused(body: bytes) -> None:
    """How statements are lexed hangs on it: half a value is none."""
    with pytest.raises(WireError, match=r"^ParameterStatus is not two strings$"):
        decode_parameter_status(body)


@pytest.mark.parametrize("secret", [b"\xde\xad\xbe\xef", bytes(32), bytes(256)])
def test_key_data(secret: bytes) -> None:
    """The secret is as long as the message, from protocol 3.2 on up to 256 bytes."""
    assert decode_key_data(b"\0\0\x10\x92" + secret) == (4242, secret)


@pytest.mark.parametrize("size", [0, 3, 7, 261])
def test_damaged_key_data_is_refused(size: int) -> None:
    """Too few bytes for a process and a secret, or more than any backend sends."""
    with pytest.raises(WireError, match=rf"^BackendKeyData has {size} bytes, expected 8 to 260$"):
        decode_key_data(bytes(size))


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_row_description, ROW_DESCRIPTION),
        (row_of, ROW),
        (decode_parameter_status, b"client_encoding\0UTF8\0"),
        (decode_key_data, b"\0\0\x10\x92\xde\xad\xbe\xef"),
    ],
)
def test_a_message_cut_at_any_byte_is_refused(
    decode: Callable[[bytes], object], body: bytes
) -> None:
    """Half a message raises WireError and nothing else."""
    for cut in range(len(body)):
        with pytest.raises(WireError):
            decode(body[:cut])


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_are_a_message_or_refused(noise: bytes, tail: bytes) -> None:
    """Whatever a backend sends, nothing but WireError is raised."""
    for decode in (row_of, decode_row_description, decode_parameter_status, decode_key_data):
        for body in (noise, ROW_DESCRIPTION[: len(noise)] + tail, ROW[: len(noise)] + tail):
            try:
                decode(body)
            except WireError:
                continue
    decode_fields(noise)


@pytest.mark.parametrize("body", [b"", b"SCRAM", b"SCRAM\0", b"SCRAM\0\0\0", b"SCRAM\0\0x"])
def test_a_damaged_list_is_no_message(body: bytes) -> None:
    """The list ends with an empty string, and the message with the list."""
    with pytest.raises(WireError, match="no list of mechanisms"):
        decode_sasl_mechanisms(frame(ord("R"), (10).to_bytes(4, "big") + body))


def test_the_mechanisms_of_a_login() -> None:
    """As PostgreSQL sends them; any other Authentication has none."""
    listed = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"

    assert decode_sasl_mechanisms(frame(ord("R"), (10).to_bytes(4, "big") + listed)) == [
        b"SCRAM-SHA-256-PLUS",
        b"SCRAM-SHA-256",
    ]
    assert decode_sasl_mechanisms(frame(ord("R"), (3).to_bytes(4, "big"))) is None
