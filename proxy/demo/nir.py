"""The French NIR (social security number) and the Luhn key of RPPS numbers.

A NIR is 13 characters (sex, year, month, department, commune, order) and a key of two digits,
97 - (number mod 97), where Corsica's 2A counts as 19 and 2B as 18.

Source: INSEE, "Numéro d'inscription au répertoire"; Agence du Numérique en Santé, "Identifiant
national RPPS" (Luhn).
"""

from __future__ import annotations

import re
from typing import Final

# Overlapping, for what stands before one may look like a digit: the length of a message does.
NIR: Final = re.compile(rb"(?=([12]\d{5}[0-9AB]\d{8}))")
_BODY: Final = 13
_MODULUS: Final = 97


def nir_key(body: str) -> str:
    """Return the two digits of the key of the 13 characters ``body``.

    Raises:
        ValueError: ``body`` is not 13 characters of a NIR.
    """
    if len(body) != _BODY:
        raise ValueError(f"a NIR without key has {_BODY} characters, not {len(body)}")
    number = int(body.replace("2A", "19", 1).replace("2B", "18", 1) if body[6] >= "A" else body)
    return f"{_MODULUS - number % _MODULUS:02d}"


def is_nir(text: str) -> bool:
    """Whether 15 characters are a NIR with the right key."""
    try:
        return nir_key(text[:_BODY]) == text[_BODY:]
    except ValueError:
        return False


def luhn_key(digits: str) -> str:
    """Return the digit that makes ``digits`` plus itself hold by Luhn's rule."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of two digits
    return str(-total % 10)


def has_luhn_key(digits: str) -> bool:
    """Whether the last of ``digits`` is the Luhn key of the others."""
    return luhn_key(digits[:-1]) == digits[-1]
