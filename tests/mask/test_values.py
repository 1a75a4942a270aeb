"""One value masked, for each type, format and mask."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mask.values import BPCHAR, DATE, TEXT, UUID_OID, Kind, masker_of
from proxy.terms.mask import How

SECRET = b"k" * 32
VARCHAR, INT4, JSONB = 1043, 23, 3802


def masked(how: How, kind: Kind, value: bytes, secret: bytes = SECRET) -> bytes | None:
    """Return the value masked."""
    masker = masker_of(how, kind, secret)
    assert masker is not None
    return masker(value)


@pytest.mark.parametrize(
    ("how", "kind", "value", "expected"),
    [
        (How.WHOLE, Kind(TEXT), b"DUPONT", b"***"),
        (How.WHOLE, Kind(TEXT), b"", b"***"),
        (How.WHOLE, Kind(VARCHAR, 6), b"DU", b"**"),
        (How.WHOLE, Kind(BPCHAR, 9), b"35000", b"***  "),
        (How.WHOLE, Kind(BPCHAR, 5), b"F", b"*"),
        (How.WHOLE, Kind(INT4), b"17", None),
        (How.WHOLE, Kind(JSONB), b'{"nom": "DUPONT"}', None),
        (How.WHOLE, Kind(DATE), b"1961-02-03", None),
        (How.PARTIAL, Kind(TEXT), b"DUPONT", b"D***"),
        (How.PARTIAL, Kind(TEXT), "Élise".encode(), "É***".encode()),
        (How.PARTIAL, Kind(TEXT, codec="latin-1"), "Élise".encode("latin-1"), b"\xc9***"),
        (How.PARTIAL, Kind(TEXT), b"\xff\xfe", b"***"),
        (How.PARTIAL, Kind(TEXT), b"D", b"***"),
        (How.PARTIAL, Kind(TEXT), b"", b"***"),
        (How.PARTIAL, Kind(BPCHAR, 5), b"F", b"*"),
        (How.PARTIAL, Kind(BPCHAR, 19), b"184017512345678", b"1***           "),
        (How.PARTIAL, Kind(VARCHAR, 6), b"DU", b"D*"),
        (How.PARTIAL, Kind(DATE), b"1961-02-03", b"1961-01-01"),
        (How.PARTIAL, Kind(DATE), b"0044-03-15 BC", b"0044-01-01 BC"),
        (How.PARTIAL, Kind(DATE), b"infinity", None),
        (How.PARTIAL, Kind(DATE), b"03.02.1961", b"01.01.1961"),
        (How.PARTIAL, Kind(DATE), b"02/03/1961", b"01/01/1961"),
        (How.PARTIAL, Kind(DATE), b"02-03-1961", b"01-01-1961"),
        (How.PARTIAL, Kind(DATE, form=1), b"\x7f\xff\xff\xff", None),
        (How.HASH, Kind(UUID_OID), b"no uuid", None),
    ],
)
def test_a_value(how: How, kind: Kind, value: bytes, expected: bytes | None) -> None:
    """Texts keep at most a character and no length, dates a year; the rest is gone."""
    assert masked(how, kind, value) == expected


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (How.PARTIAL, Kind(INT4)),
        (How.PARTIAL, Kind(JSONB)),
        (How.PARTIAL, Kind(UUID_OID)),
        (How.PARTIAL, Kind(0)),
        (How.HASH, Kind(INT4)),
        (How.HASH, Kind(DATE)),
        (How.HASH, Kind(BPCHAR, 9)),
        (How.HASH, Kind(0)),
    ],
)
def test_what_cannot_be_masked_so(how: How, kind: Kind) -> None:
    """A number has no first character, and a hash does not fit into char(5)."""
    assert masker_of(how, kind, SECRET) is None


def test_a_hash_is_the_same_wherever_the_value_stands() -> None:
    """Padded or not, in every encoding; another with another key; and never a NIR."""
    nir = b"184017512345678"
    found = {
        masked(How.HASH, Kind(BPCHAR, 19), nir),
        masked(How.HASH, Kind(TEXT), nir),
        masked(How.HASH, Kind(TEXT), nir + b"  "),
        masked(How.HASH, Kind(TEXT, codec="latin-1"), nir),
    }

    assert len(found) == 1
    (value,) = found
    assert value is not None
    assert re.fullmatch(rb"h:[a-z2-7]{13}", value)
    assert masked(How.HASH, Kind(TEXT), nir, b"x" * 32) != value
    assert masked(How.HASH, Kind(TEXT), "Élise".encode()) == masked(
        How.HASH, Kind(TEXT, codec="latin-1"), "Élise".encode("latin-1")
    )


def test_a_uuid_becomes_another_in_both_formats() -> None:
    """Of version 8 and of the same value."""
    text, raw = (
        b"6f1f6c3a-0000-4000-8000-000000000001",
        bytes.fromhex("6f1f6c3a000040008000000000000001"),
    )

    first = masked(How.HASH, Kind(UUID_OID), text)
    second = masked(How.HASH, Kind(UUID_OID, form=1), raw)

    assert first is not None
    assert second is not None
    assert first.replace(b"-", b"").decode() == second.hex()
    assert first[14:15] == b"8"
    assert second != raw


@given(st.dates())
def test_a_year_is_the_same_in_both_formats(day: date) -> None:
    """1 January of the year, as text and as days since 2000."""
    days = (day - date(2000, 1, 1)).days

    text = masked(How.PARTIAL, Kind(DATE), day.isoformat().encode())
    binary = masked(How.PARTIAL, Kind(DATE, form=1), days.to_bytes(4, "big", signed=True))

    assert text == f"{day.year:04}-01-01".encode()
    assert binary is not None
    first = date(2000, 1, 1) + timedelta(days=int.from_bytes(binary, "big", signed=True))
    assert first == date(day.year, 1, 1)
