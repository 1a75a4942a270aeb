"""Keys of NIR and RPPS numbers."""

from __future__ import annotations

import pytest

from proxy.demo.nir import NIR, has_luhn_key, is_nir, luhn_key, nir_key


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("2550814168025", "38"),  # the example of the Ministry's own explanation
        ("1840575123001", f"{97 - 1840575123001 % 97:02d}"),
        ("273052A009123", f"{97 - 2730519009123 % 97:02d}"),
        ("180112B112004", f"{97 - 1801118112004 % 97:02d}"),
        ("1997197411105", f"{97 - 1997197411105 % 97:02d}"),  # overseas: three digits
    ],
)
def test_key_is_97_minus_the_remainder(body: str, key: str) -> None:
    """Corsica's letters count as 19 and 18; the key has two digits."""
    assert nir_key(body) == key
    assert is_nir(body + key)


@pytest.mark.parametrize(
    "text", ["255081416802539", "2550814168025", "", "25508141680253X", "A" * 15]
)
def test_what_is_no_nir(text: str) -> None:
    """A wrong key, a missing key or other characters are not a NIR."""
    assert not is_nir(text)


def test_too_short_a_body_is_an_error() -> None:
    """A key is of 13 characters, no fewer."""
    with pytest.raises(ValueError, match="13 characters, not 3"):
        nir_key("255")


@pytest.mark.parametrize("number", ["10005173140", "79927398713", "73282932000074"])
def test_luhn_holds_for_published_numbers(number: str) -> None:
    """An RPPS number, the example of Luhn's rule, a SIRET."""
    assert has_luhn_key(number)
    assert luhn_key(number[:-1]) == number[-1]


def test_a_changed_digit_breaks_luhn() -> None:
    """The key is there to catch a slip."""
    assert not has_luhn_key("10005173149")


def test_pattern_finds_a_nir_after_a_byte_that_looks_like_a_digit() -> None:
    """The length of a message may be the character 1; the NIR behind it is found."""
    assert b"255081416802538" in NIR.findall(b"d\x00\x00\x001255081416802538\tMARTIN")
