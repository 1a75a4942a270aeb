"""Bytes to text: strictly, and only where an ASCII byte is that character."""

from __future__ import annotations

import pytest

from proxy.sql.text import TextError, decode_text, is_safe_encoding


@pytest.mark.parametrize("encoding", ["UTF8", "utf-8", "LATIN1", "latin9", "WIN1252", "SQL_ASCII"])
def test_safe_encodings_are_read(encoding: str) -> None:
    """Names are taken as PostgreSQL takes them, whatever their case and punctuation."""
    assert decode_text(b"select 1", encoding) == "select 1"
    assert is_safe_encoding(encoding)


@pytest.mark.parametrize("encoding", ["SJIS", "BIG5", "GBK", "GB18030", "EUC_JP", "", "?"])
def test_other_encodings_are_refused(encoding: str) -> None:
    """A backslash may be half of a character there."""
    with pytest.raises(TextError):
        decode_text(b"select 1", encoding)


@pytest.mark.parametrize("raw", [b"a\0b", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_doubtful_bytes_are_refused(raw: bytes) -> None:
    """NUL would cut the text; bytes that are no UTF-8 have no reading."""
    with pytest.raises(TextError):
        decode_text(raw, "UTF8")
