"""What one column seems to hold, by its values, its name, its comment and its type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from proxy.policy.draft.live_schema import Look
from proxy.policy.draft.names import Meaning, is_key_like, meaning_of, words_of

if TYPE_CHECKING:
    from proxy.policy.draft.live_schema import LiveColumn

FEW_SEEN: Final = 5  # values from which on looks count
MOST: Final = 0.8
_DAYS_OF_BIRTH: Final = 0.3  # of birth dates are so old; of other days hardly any
_FEW_SEXES: Final = 3
_TEXTS: Final = re.compile(r"(text|character|name|citext|varchar|\"char\")")
_NUMBERS: Final = re.compile(r"(smallint|integer|bigint|numeric|double|real)")
_DAYS: Final = re.compile(r"(date|timestamp)")
_PACKED: Final = re.compile(r"(jsonb?|xml|hstore|bytea)")
_BY_LOOK: Final = (
    (Meaning.NIR, (Look.NIR, Look.NIR_SHAPE)),
    (Meaning.EMAIL, (Look.EMAIL,)),
    (Meaning.IBAN, (Look.IBAN,)),
    (Meaning.PHONE, (Look.PHONE,)),
    (Meaning.RPPS, (Look.RPPS,)),
)
_TEXT_ONLY: Final = frozenset(
    {Meaning.LAST_NAME, Meaning.FIRST_NAME, Meaning.FULL_NAME, Meaning.ADDRESS, Meaning.EMAIL}
)
_KEYED: Final = frozenset({Look.NIR, Look.EMAIL, Look.IBAN})  # a look that is no chance


class Surety(IntEnum):
    """How sure a proposal is."""

    UNSURE = 0
    LIKELY = 1
    SURE = 2


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column seems to hold. ``phrase``: of its name; empty: by its values."""

    meaning: Meaning
    why: str
    surety: Surety
    phrase: str = ""


def guess(column: LiveColumn) -> Guess | None:
    """Return what a column seems to hold; None: nothing that the lexicon knows."""
    if column.type == "boolean":
        return None
    named = _by_name(column)
    looks = column.looks
    if looks.seen >= FEW_SEEN and not _DAYS.match(column.type):
        for meaning, wanted in _BY_LOOK:
            share = looks.share(*wanted)
            if share < MOST:
                continue
            agrees = named is not None and named.meaning is meaning
            keyed = looks.share(*(_KEYED & {*wanted})) >= MOST
            said = f"{share:.0%} of {looks.seen} values look like one ({meaning})"
            if agrees and named is not None:
                said = f"{named.why}, {said}"
            surety = Surety.SURE if agrees or keyed else Surety.LIKELY
            return Guess(meaning, said, surety, named.phrase if agrees and named else "")
    if named is not None and named.meaning is Meaning.NIR and looks.seen >= FEW_SEEN:
        said = f"{named.why}, but its values do not look like one"
        return Guess(Meaning.NIR, said, Surety.UNSURE, named.phrase)
    return named


def guess_of_person(column: LiveColumn) -> Guess | None:
    """Return what a column without a telling name holds in a relation that describes people."""
    looks = column.looks
    if looks.seen < FEW_SEEN or column.is_unique:
        return None
    if _DAYS.match(column.type) or _TEXTS.match(column.type):
        share = looks.share(Look.BIRTH_DATE)
        if share >= _DAYS_OF_BIRTH:
            said = f"{share:.0%} of {looks.seen} values are days more than 25 years ago"
            return Guess(Meaning.BIRTH_DATE, said, Surety.LIKELY)
    if not _TEXTS.match(column.type):
        return None
    if looks.share(Look.POSTCODE) >= MOST and looks.distinct > 1:
        return Guess(Meaning.POSTCODE, "values look like post codes", Surety.LIKELY)
    if looks.share(Look.SEX) == 1 and 1 < looks.distinct <= _FEW_SEXES:
        return Guess(Meaning.SEX, "values look like a sex", Surety.UNSURE)
    return None


def guess_beside_nir(column: LiveColumn) -> Guess | None:
    """Return what a text without a telling name may be, in a relation that has NIRs."""
    looks = column.looks
    if looks.seen < FEW_SEEN or not _TEXTS.match(column.type) or is_key_like(column.name):
        return None
    if 2 * looks.distinct < looks.seen:
        return None
    why = "a text beside NIRs, hardly twice the same: it may be a name"
    return Guess(Meaning.FULL_NAME, why, Surety.UNSURE)


def is_packed(column: LiveColumn) -> bool:
    """Whether a value may hold anything, of anybody."""
    return _PACKED.match(column.type) is not None


def fits(left: str, right: str) -> bool:
    """Whether two types may hold the same keys."""
    return any(kind.match(left) and kind.match(right) for kind in (_TEXTS, _NUMBERS)) or (
        left == right
    )


def _by_name(column: LiveColumn) -> Guess | None:
    found = meaning_of(column.name)
    if found is not None and _may_hold(column.type, found[0]):
        meaning, phrase = found
        whole = len(phrase.split()) == len(words_of(column.name))
        surety = Surety.SURE if whole else Surety.LIKELY
        return Guess(meaning, f"its name says {meaning}", surety, phrase)
    told = meaning_of(column.comment) if column.comment else None
    if told is not None and _may_hold(column.type, told[0]) and told[0] is not Meaning.FREE_TEXT:
        return Guess(told[0], f"its comment says {told[0]}", Surety.LIKELY, told[1])
    return None


def _may_hold(type_name: str, meaning: Meaning) -> bool:
    """Whether values of a type may be of this meaning."""
    if _DAYS.match(type_name):
        return meaning in {Meaning.BIRTH_DATE, Meaning.LIFE}
    if meaning in _TEXT_ONLY:
        return _TEXTS.match(type_name) is not None
    if meaning is Meaning.NIR:
        return _TEXTS.match(type_name) is not None or type_name.startswith(("bigint", "numeric"))
    if meaning is Meaning.BIRTH_DATE:
        return not _PACKED.match(type_name)
    if meaning is Meaning.FREE_TEXT:
        return not _NUMBERS.match(type_name)
    return True
