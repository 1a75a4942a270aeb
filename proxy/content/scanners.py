"""What counts NIRs, RPPS numbers, telephones, e-mail addresses and IBANs in bytes.

Candidates are found by RE2, which never backtracks, in one pass; keys are then checked, so that a
number that only looks like one does not count. Hexadecimal and Base64 are looked into.

Source: INSEE (NIR, its key modulo 97); Agence du Numérique en Santé (RPPS, Luhn); ISO 13616 (IBAN).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import re2

from proxy.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SPACES: Final = b" .-"
_NIR_BYTES: Final = 15
_BODY: Final = 13
_CORSICA: Final = ((b"2A", b"19"), (b"2B", b"18"))
_LETTERS: Final = 55  # A is 10 in an IBAN, and B 11
_IBAN_MODULUS: Final = 97

_NIR: Final = rb"[12][ .-]?\d\d[ .-]?\d\d[ .-]?(?:\d\d|2[AB])[ .-]?\d{3}[ .-]?\d{3}[ .-]?\d\d"
_DIGITS: Final = rb"\d{15,}"  # one may begin at any of them
_RPPS: Final = rb"\b(?:10|8\d)\d{9}\b"
_PHONE: Final = rb"(?:\+33[ .-]?|\b0)[1-9](?:[ .-]?\d\d){4}\b"
_EMAIL: Final = rb"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
_IBAN: Final = rb"\b[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
# Fifteen digits in hexadecimal; and in Base64, where three of them are four of these letters.
_HEX: Final = rb"(?:3[0-9]){15,}"
_BASE64: Final = rb"[A-Za-z0-9+/]{0,4}(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){4,}[A-Za-z0-9+/]{0,4}"


@dataclass(frozen=True, slots=True)
class Scanners:
    """What counts each in bytes."""

    nirs: Callable[[bytes], int]
    rpps: Callable[[bytes], int]
    phones: Callable[[bytes], int]
    emails: Callable[[bytes], int]
    ibans: Callable[[bytes], int]


def compile_pattern(pattern: str) -> re2._Regexp[bytes]:
    """Return a pattern over bytes. Errors: ConfigurationError, with what RE2 says of it."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ConfigurationError([f"pattern {pattern!r}: {said}"]) from None


_nir, _digits, _rpps, _phone, _email, _iban, _hex, _base64 = (
    compile_pattern(one.decode())
    for one in (_NIR, _DIGITS, _RPPS, _PHONE, _EMAIL, _IBAN, _HEX, _BASE64)
)

_any_nir: Final = compile_pattern(b"|".join((_NIR, _DIGITS, _HEX, _BASE64)).decode())


def _matches(pattern: re2._Regexp[bytes], octets: bytes) -> Iterator[bytes]:
    for match in pattern.finditer(octets):
        yield match[0]


def _count_emails(octets: bytes) -> int:
    return sum(1 for _ in _matches(_email, octets)) if b"@" in octets else 0


def _count_nirs(octets: bytes) -> int:
    if _any_nir.search(octets) is None:  # one pass instead of four
        return 0
    found = _nirs_of(octets)
    for run in _matches(_hex, octets):
        found += _nirs_of(binascii.unhexlify(run))
    return found + _count_encoded_nirs(octets)


def _count_encoded_nirs(octets: bytes) -> int:
    return sum(max(map(_nirs_of, _decoded(run)), default=0) for run in _matches(_base64, octets))


def nirs_by(scan: Callable[[bytes], tuple[int, bool]]) -> Callable[[bytes], int]:
    """Return what counts NIRs with one that says whether Base64 has to be looked into."""

    def count(octets: bytes) -> int:
        found, is_encoded = scan(octets)
        return found + _count_encoded_nirs(octets) if is_encoded else found

    return count


def _decoded(run: bytes) -> Iterator[bytes]:
    """Yield what a run of Base64 may stand for, by where its groups of four begin."""
    for start in range(4):
        part = run[start:]
        yield base64.b64decode(part + b"A" * (-len(part) % 4))


def _nirs_of(octets: bytes) -> int:
    """Count NIRs with a right key; in a long run of digits one may begin anywhere."""
    runs = list(_matches(_digits, octets))
    found = sum(map(_nirs_in_run, runs))
    written = _matches(_nir, octets)
    return found + sum(
        _is_nir(one.translate(None, _SPACES)) for one in written if not one.isdigit()
    )


def _nirs_in_run(run: bytes) -> int:
    found = at = 0
    while at + _NIR_BYTES <= len(run):
        is_one = _is_nir(run[at : at + _NIR_BYTES])
        found += is_one
        at += _NIR_BYTES if is_one else 1
    return found


def _is_nir(text: bytes) -> bool:
    if len(text) != _NIR_BYTES or text[:1] not in {b"1", b"2"}:
        return False
    body = text[:_BODY]
    for letters, number in _CORSICA:
        body = body[:5] + body[5:7].replace(letters, number) + body[7:]
    return body.isdigit() and 97 - int(body) % 97 == int(text[_BODY:])


def _has_luhn_key(digits: bytes) -> bool:
    doubled = (int(chr(one)) * (1 + place % 2) for place, one in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def _is_iban(text: bytes) -> bool:
    plain = text.replace(b" ", b"")
    turned = plain[4:] + plain[:4]
    number = "".join(chr(one) if one < ord("A") else str(one - _LETTERS) for one in turned)
    return int(number) % _IBAN_MODULUS == 1


IN_PYTHON: Final = Scanners(
    nirs=_count_nirs,
    rpps=lambda octets: sum(map(_has_luhn_key, _matches(_rpps, octets))),
    phones=lambda octets: sum(1 for _ in _matches(_phone, octets)),
    emails=_count_emails,
    ibans=lambda octets: sum(map(_is_iban, _matches(_iban, octets))),
)
