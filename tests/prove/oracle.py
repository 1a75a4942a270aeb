"""Knows each planted patient's marks, and which of them stand in bytes that a frontend received.

Every column of a patient holds a mark of its own, so it makes no difference by which way a value
left: as a row, in an error, folded into JSON, in binary format, in hex, in Base64 or backwards.
What it finds did leave; what it cannot decode it does not find.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import re
from datetime import date
from typing import TYPE_CHECKING, Final

from tests.score.frontend import columns
from tests.score.leak import whole_numeric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST_ID: Final = 910_007
ID_STEP: Final = 7
ALPHABET: Final = "bcdfghjkmn"  # of a patient's number, one letter for each digit
HEX_MARK: Final = re.compile(rb"[0-9A-Fa-f]{16,}")
BASE64_MARK: Final = re.compile(rb"[A-Za-z0-9+/\n]{12,}={0,2}")
_IDENTITY: Final = re.compile(rb"zx([bcdfghjkmn]{4})qv", re.IGNORECASE)
_HEALTH: Final = re.compile(rb"wx([bcdfghjkmn]{4})yv", re.IGNORECASE)
_NIR: Final = re.compile(rb"(?=([0-9]{15}))")
_PHONE: Final = re.compile(rb"06710[0-9]{5}")
_DATE: Final = re.compile(rb"19[0-9]{2}-[0-9]{2}-[0-9]{2}")
_DIGEST: Final = re.compile(rb"[0-9a-f]{32}", re.IGNORECASE)
_LONGEST: Final = 128  # a mark in any form is shorter, so that two looks need to overlap no more


class Oracle:
    """The planted patients, numbered from 0."""

    def __init__(self, count: int) -> None:
        self.ids = {FIRST_ID + ID_STEP * number: number for number in range(count)}
        self.by_nir = {nir(number).encode(): number for number in range(count)}
        self.by_phone = {phone(number).encode(): number for number in range(count)}
        self.by_date = {birth_date(number).encode(): number for number in range(count)}
        self.by_days = {_days(birth_date(number)): number for number in range(count)}
        self._by_letters = {letters(number).encode(): number for number in range(count)}
        self._by_digest = {
            hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().encode(): number
            for number in range(count)
            for text in (nir(number), f"L{mark(number)}")
        }

    def in_bytes(self, octets: bytes) -> set[int]:
        """Return the patients of whom an identity stands in these bytes, in any known form."""
        found = self._plain(octets) | self._plain(octets[::-1])
        for decoded in _decoded(octets):
            found |= self._plain(decoded)
        digests = (match[0].lower() for match in _DIGEST.finditer(octets))
        return found | {self._by_digest[one] for one in digests if one in self._by_digest}

    def in_row(self, row: bytes) -> set[int]:
        """Return the patients whom only a look at the values of a DataRow shows.

        NIRs and birth dates in binary; health values with the key of their patient beside.
        """
        values = [value for value in columns(row) if value is not None]
        found = {self.by_nir[one] for one in map(_as_nir, values) if one in self.by_nir}
        days = (int.from_bytes(one, "big", signed=True) for one in values if len(one) == 4)
        found |= {self.by_days[one] for one in days if one in self.by_days}
        sick = {self._by_letters.get(match[1].lower()) for match in _HEALTH.finditer(row)}
        if sick - {None}:
            keys = {self.ids.get(number) for value in values for number in _as_keys(value)}
            found |= {patient for patient in sick & keys if patient is not None}
        return found

    def _plain(self, octets: bytes) -> set[int]:
        marks = (match[1].lower() for match in _IDENTITY.finditer(octets))
        found = {self._by_letters.get(one) for one in marks}
        found |= {self.by_nir.get(match[1]) for match in _NIR.finditer(octets)}
        found |= {self.by_phone.get(match[0]) for match in _PHONE.finditer(octets)}
        found |= {self.by_date.get(match[0]) for match in _DATE.finditer(octets)}
        return {patient for patient in found if patient is not None}


class Watch:
    """The bytes of one connection, looked at once each, and again where a look ended."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._octets = bytearray()
        self._seen = 0

    def take(self, chunk: bytes) -> None:
        """Remember what arrived."""
        self._octets += chunk

    def patients(self) -> set[int]:
        """Return the patients in what arrived since the last look."""
        start = max(0, self._seen - _LONGEST)
        if self._seen == len(self._octets):
            return set()
        self._seen = len(self._octets)
        return self._oracle.in_bytes(bytes(self._octets[start:]))


def letters(number: int) -> str:
    """Return four letters that stand for a patient."""
    return "".join(ALPHABET[int(digit)] for digit in f"{number:04}")


def mark(number: int) -> str:
    """Return the mark that identities of a patient hold; backwards it is no other's."""
    return f"zx{letters(number)}qv"


def health_mark(number: int) -> str:
    """Return the mark that health values of a patient hold."""
    return f"wx{letters(number)}yv"


def nir(number: int) -> str:
    """Return a NIR: 13 digits and their key."""
    body = int(
        f"1{60 + number % 40}{1 + number % 12:02}35{100 + number:03}{(number * 37) % 1000:03}"
    )
    return f"{body}{97 - body % 97:02}"


def phone(number: int) -> str:
    """Return a phone number."""
    return f"06710{(number * 1009) % 100_000:05}"


def birth_date(number: int) -> str:
    """Return a day that is no other patient's."""
    return f"19{30 + number % 50}-{1 + number // 50 % 12:02}-{1 + number % 28:02}"


def _days(day: str) -> int:
    """Return a date as it is in binary format: days since 2000."""
    return (date.fromisoformat(day) - date(2000, 1, 1)).days


def _decoded(octets: bytes) -> Iterator[bytes]:
    for match in HEX_MARK.finditer(octets):
        run = match[0]
        for start in (0, 1):
            even = run[start : start + (len(run) - start) // 2 * 2]
            yield binascii.unhexlify(even)
    for match in BASE64_MARK.finditer(octets):
        run = match[0].replace(b"\n", b"").rstrip(b"=")
        for start in range(4):
            whole = run[start : start + (len(run) - start) // 4 * 4]
            with contextlib.suppress(binascii.Error):
                yield base64.b64decode(whole)


def _as_nir(value: bytes) -> bytes:
    if len(value) == 8:
        return str(int.from_bytes(value, "big", signed=True)).encode()
    with contextlib.suppress(ValueError, ArithmeticError):
        return str(whole_numeric(value)).encode()
    return b""


def _as_keys(value: bytes) -> Iterable[int]:
    if len(value) in {4, 8}:
        yield int.from_bytes(value, "big", signed=True)
    if value.isdigit():
        yield int(value)
