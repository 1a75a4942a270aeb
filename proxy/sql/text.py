"""Bytes of a Query or Parse message to text, strictly.

A text decoded otherwise than the server does is another statement: the second byte of a
Shift-JIS character may be a backslash. So only encodings in which every ASCII byte stands for
itself are read; everything else is opaque.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

# PostgreSQL's names without punctuation -> Python's codec. Single-byte, or UTF-8.
_CODECS: Final = {
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "SQLASCII": "utf-8",
    "LATIN1": "latin-1",
    "ISO88591": "latin-1",
    "LATIN2": "iso8859-2",
    "ISO88592": "iso8859-2",
    "LATIN5": "iso8859-9",
    "LATIN9": "iso8859-15",
    "ISO885915": "iso8859-15",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "WIN1254": "cp1254",
}


class TextError(Exception):
    """Bytes that cannot be read as text without doubt. ``reason`` is one word or two."""

    def __init__(self, reason: str, at: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


def is_safe_encoding(encoding: str) -> bool:
    """Whether this ``client_encoding`` can be read without doubt about its lexing."""
    return _plain(encoding) in _CODECS


def codec_of(encoding: str) -> str | None:
    """Return Python's name of a ``client_encoding`` that can be read; None: it cannot."""
    return _CODECS.get(_plain(encoding))


def decode_text(raw: bytes, encoding: str) -> str:
    """Return the text of ``raw`` in PostgreSQL's ``encoding``.

    Errors: ``TextError`` for an encoding that hides ASCII bytes, for bytes it cannot hold,
    and for NUL, at which the grammar would stop reading.
    """
    nul = raw.find(0)
    if nul >= 0:
        raise TextError("nul", nul)
    codec = _codec(encoding)
    if codec is None:
        raise TextError("encoding")
    try:
        return raw.decode(codec, "strict")
    except UnicodeDecodeError as error:
        raise TextError("encoding", error.start) from None


@lru_cache(maxsize=64)
def _codec(encoding: str) -> str | None:
    return _CODECS.get(_plain(encoding))


def _plain(encoding: str) -> str:
    return "".join(character for character in encoding.upper() if character.isalnum())
