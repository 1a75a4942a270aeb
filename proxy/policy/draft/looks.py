"""What the values of a column look like: counted, never kept.

Source: INSEE (NIR); ARCEP (phone numbers); the rest as ``proxy.content.detectors`` has it.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Final

from proxy.content.detectors import ContentWatch
from proxy.policy.draft.live_schema import Look, Looks
from proxy.terms.budget import Measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_GAP: Final = r"[ .\-]?"
_NIR: Final = re.compile(
    rf"[1278]{_GAP}\d\d{_GAP}(?:0[1-9]|1[0-2]|[2-9]\d){_GAP}(?:\d\d|2[AB]){_GAP}\d{{3}}{_GAP}\d{{3}}"
    rf"(?:{_GAP}\d\d)?"
)
_DIGITS: Final = re.compile(r"\d{11}")
_PHONE: Final = re.compile(rf"(?:(?:\+|00)33{_GAP}|0)[1-9](?:{_GAP}\d\d){{4}}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_IBAN: Final = re.compile(r"[A-Z]{2}\d\d[A-Z0-9 ]{11,35}")
_POSTCODE: Final = re.compile(r"(?:0[1-9]|[1-8]\d|9[0-58])\d{3}")
_DAY: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[ T].*)?")
_FRENCH_DAY: Final = re.compile(r"(\d\d)/(\d\d)/(\d{4})")
_SEX: Final = frozenset(
    ["M", "F", "H", "1", "2", "MALE", "FEMALE", "HOMME", "FEMME", "MASCULIN", "FEMININ"]
)
_OLDEST_YEARS: Final = 115
_YOUNGEST_YEARS: Final = 25  # other days (orders, results) are hardly ever so long ago
_LONG_CHARACTERS: Final = 24  # beyond, what is found is within a text and not the whole of it

_keyed: Final = ContentWatch([Measure.NIR, Measure.RPPS, Measure.IBAN])
_held: Final = ContentWatch([Measure.NIR, Measure.EMAIL, Measure.PHONE])


def looks_of(values: Iterable[str | None], today: date) -> Looks:
    """Return what these values look like. Blank ones are not looked at.

    Args:
        values: as text.
        today: of the reader.
    """
    counts: Counter[Look] = Counter()
    distinct: set[int] = set()
    seen = 0
    for value in values:
        text = (value or "").strip()
        if not text:
            continue
        seen += 1
        distinct.add(hash(text))
        counts.update(_looks_of_one(text, today))
    return Looks(seen, len(distinct), dict(counts))


def _looks_of_one(text: str, today: date) -> Iterable[Look]:
    if len(text) > _LONG_CHARACTERS and not _IBAN.fullmatch(text) and not _EMAIL.fullmatch(text):
        yield from _held_in(text)
        return
    if _NIR.fullmatch(text):
        yield Look.NIR if _has(text, Measure.NIR) else Look.NIR_SHAPE
    elif _DIGITS.fullmatch(text) and _has(text, Measure.RPPS):
        yield Look.RPPS
    for look, is_one in _SHAPES.items():
        if is_one(text):
            yield look
    if _is_of_a_life(text, today):
        yield Look.BIRTH_DATE


_SHAPES: Final[dict[Look, Callable[[str], bool]]] = {
    Look.PHONE: lambda text: bool(_PHONE.fullmatch(text)),
    Look.EMAIL: lambda text: bool(_EMAIL.fullmatch(text)),
    Look.IBAN: lambda text: bool(_IBAN.fullmatch(text)) and _has(text, Measure.IBAN),
    Look.POSTCODE: lambda text: bool(_POSTCODE.fullmatch(text)),
    Look.SEX: lambda text: text.upper() in _SEX,
}


def _held_in(text: str) -> Iterable[Look]:
    found = dict(_held.count(text.encode()))
    if Measure.NIR in found or any(_NIR.fullmatch(one) for one in re.findall(r"\w{13,15}", text)):
        yield Look.HOLDS_NIR
    elif found:
        yield Look.HOLDS_CONTACT


def _has(text: str, measure: Measure) -> bool:
    return any(found is measure for found, _ in _keyed.count(text.encode()))


def _is_of_a_life(text: str, today: date) -> bool:
    found = _DAY.fullmatch(text)
    numbers = found.groups() if found else ()
    if not found and (french := _FRENCH_DAY.fullmatch(text)):
        numbers = french.groups()[::-1]
    if not numbers:
        return False
    try:
        day = date(*map(int, numbers))
    except ValueError:
        return False
    return _YOUNGEST_YEARS <= today.year - day.year <= _OLDEST_YEARS
