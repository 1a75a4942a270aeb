"""What a name says, in French or English, with accents, abbreviations, prefixes, in any case.

A name is cut into words (``dateNaissance``, ``DAT_NAIS``, ``d_naissance``); a phrase of
``lexicon.yaml`` that stands in them says what the column is. Longer phrases win over shorter ones.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Final

import yaml

from proxy.terms.column_class import ColumnClass

_GLUED_CHARACTERS: Final = 6  # a phrase of so many is found within a word, too


class Meaning(StrEnum):
    """What a column holds, as its name has it."""

    NIR = "NIR"
    IDENTIFIER = "identifier of a patient"
    LAST_NAME = "family name"
    FIRST_NAME = "first name"
    FULL_NAME = "name"
    ADDRESS = "address"
    PHONE = "phone number"
    EMAIL = "e-mail address"
    IBAN = "bank account"
    PHOTO = "picture"
    BIRTH_DATE = "birth date"
    BIRTH_PLACE = "birth place"
    SEX = "sex"
    POSTCODE = "post code"
    CITY = "town"
    INSURER = "insurer"
    LIFE = "circumstances of life"
    HEALTH = "health"
    RPPS = "number of a doctor"
    FREE_TEXT = "free text"


CLASSES: Final = {
    Meaning.NIR: ColumnClass.IDENTITY,
    Meaning.IDENTIFIER: ColumnClass.KEY,
    Meaning.LAST_NAME: ColumnClass.IDENTITY,
    Meaning.FIRST_NAME: ColumnClass.IDENTITY,
    Meaning.FULL_NAME: ColumnClass.IDENTITY,
    Meaning.ADDRESS: ColumnClass.IDENTITY,
    Meaning.PHONE: ColumnClass.IDENTITY,
    Meaning.EMAIL: ColumnClass.IDENTITY,
    Meaning.IBAN: ColumnClass.IDENTITY,
    Meaning.PHOTO: ColumnClass.IDENTITY,
    Meaning.BIRTH_DATE: ColumnClass.QUASI,
    Meaning.BIRTH_PLACE: ColumnClass.QUASI,
    Meaning.SEX: ColumnClass.QUASI,
    Meaning.POSTCODE: ColumnClass.QUASI,
    Meaning.CITY: ColumnClass.QUASI,
    Meaning.INSURER: ColumnClass.QUASI,
    Meaning.LIFE: ColumnClass.QUASI,
    Meaning.HEALTH: ColumnClass.HEALTH,
    Meaning.FREE_TEXT: ColumnClass.IDENTITY,  # whatever was typed, names among it
    Meaning.RPPS: ColumnClass.NONE,
}
_FILE: Final = resources.files("proxy.policy.draft").joinpath("lexicon.yaml")
_SAID: Final = yaml.safe_load(_FILE.read_text("utf-8"))


def _words(group: str) -> frozenset[str]:
    return frozenset(_SAID["words"][group].split(", "))


# Whom a relation, or the owner of a column, is about.
_SUBJECT: Final = _words("subject")
_STAFF: Final = _words("staff")
_OF_ANYBODY: Final = _words("anybody")
_HEALTH: Final = _words("health")
_IDENTIFIERS: Final = _words("identifier")
_NUMBERS: Final = _words("number")
_PREFIXES: Final = _words("prefix")
_LINKS: Final = _words("link")
WEAK: Final = _words("weak")  # say something of health only in a relation of such a name


@lru_cache(maxsize=8192)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case, without accents."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    found = re.findall(r"[a-z]+[0-9]*|[0-9]+", parted.lower())
    return tuple(_without_number(word) for word in found)


def _without_number(word: str) -> str:
    """Return ``adr1`` as ``adr``; what has a number of its own keeps it."""
    return word if word in {"cim10", "icd10", "hl7"} else word.rstrip("0123456789") or word


def _compiled() -> dict[tuple[str, ...], Meaning]:
    return {
        tuple(phrase.split()): meaning
        for meaning in Meaning
        for phrase in _SAID["phrases"][meaning.name.lower()].split(", ")
    }


_PHRASES: Final = _compiled()
_LONGEST: Final = max(map(len, _PHRASES))
_GLUED: Final = sorted(
    (
        ("".join(phrase), meaning)
        for phrase, meaning in _PHRASES.items()
        if len("".join(phrase)) >= _GLUED_CHARACTERS and meaning is not Meaning.FREE_TEXT
    ),
    key=lambda one: -len(one[0]),
)


@lru_cache(maxsize=8192)
def meaning_of(name: str) -> tuple[Meaning, str] | None:
    """Return what a column's name says and the phrase that says it; None: nothing known."""
    words = tuple(word for word in words_of(name) if word not in _LINKS)
    for size in range(min(_LONGEST, len(words)), 0, -1):
        for at in range(len(words) - size, -1, -1):
            phrase = words[at : at + size]
            found = _PHRASES.get(phrase)
            if found is not None:
                return found, " ".join(phrase)
    glued = "".join(words)
    for phrase_glued, meaning in _GLUED:
        if phrase_glued in glued:
            return meaning, phrase_glued
    return None


def is_key_like(name: str) -> bool:
    """Whether the name is that of a number or code that stands for something."""
    words = words_of(name)
    return not _IDENTIFIERS.isdisjoint(words) or any(
        (word[:2] == "id" and word[2:] in _SUBJECT) or word[-2:] == "id" for word in words
    )


def numbers_something(name: str, phrase: str = "") -> bool:
    """Whether the name is that of a number which only points at something.

    ``phrase``: of the name, whose words are known.
    """
    return not (_NUMBERS - {*phrase.split()}).isdisjoint(words_of(name))


def names_subject(name: str) -> bool:
    """Whether a name says that it is about patients."""
    return any(
        word in _SUBJECT
        or (word[:2] == "id" and word[2:] in _SUBJECT)
        or (word[-2:] == "id" and word[:-2] in _SUBJECT)
        for word in _told(name)
    )


def names_staff(name: str) -> bool:
    """Whether the name of a relation says that it is about doctors, users, or things."""
    return not _STAFF.isdisjoint(_told(name))


def is_of_others(name: str) -> bool:
    """Whether the name of a column says that it is of a doctor or a user, or made by one."""
    return not names_subject(name) and not (_STAFF - _OF_ANYBODY).isdisjoint(words_of(name))


def names_health(name: str) -> bool:
    """Whether the name of a relation says that it holds what is known of someone's health."""
    return not _HEALTH.isdisjoint(_told(name))


def is_bare_key(name: str) -> bool:
    """Whether the name says of a key no more than that it is one, or of a patient."""
    words = set(_told(name))
    return is_key_like(name) and words <= _IDENTIFIERS | _SUBJECT | _PREFIXES | {
        f"id{word}" for word in _SUBJECT
    } | {f"{word}id" for word in _SUBJECT}


def _told(name: str) -> tuple[str, ...]:
    words = words_of(name)
    return words[1:] if len(words) > 1 and words[0] in _PREFIXES else words
