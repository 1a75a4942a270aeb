"""A value is found in every form that a statement can give it, and short forms are left out."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.content.forms import FEWEST_BYTES, forms_of

NIR = "285057800608436"
NAME = "TREVANSIQUIVAL"


def found(value: str, octets: bytes) -> bool:
    return any(form in octets for form in forms_of(value))


@given(st.binary(max_size=20), st.binary(max_size=20), st.sampled_from([NIR, NAME]))
def test_base64_hides_nothing_wherever_it_begins(before: bytes, after: bytes, value: str) -> None:
    """Three alignments are all there are; what stands around spoils only the ends."""
    octets = before + value.encode() + after

    assert found(value, base64.b64encode(octets))
    assert found(value, octets.hex().encode())
    assert found(value, octets.hex().upper().encode())


@pytest.mark.parametrize(
    "octets",
    [
        NIR.encode(),
        NIR[::-1].encode(),
        b"2 85 05 78 006 084 36",
        b"\0\0\0\x08" + int(NIR).to_bytes(8, "big"),
        hashlib.md5(NIR.encode(), usedforsecurity=False).hexdigest().encode(),
        hashlib.sha256(NIR.encode()).digest(),
        base64.b64encode(hashlib.sha1(NIR.encode(), usedforsecurity=False).digest()),
    ],
)
def test_a_nir_is_found(octets: bytes) -> None:
    """As people write it, backwards, as a number, and as what stands for it."""
    assert found(NIR, b"x" + octets + b"y")


@pytest.mark.parametrize("octets", [NAME, NAME.lower(), NAME.capitalize(), NAME[::-1].lower()])
def test_a_name_is_found(octets: str) -> None:
    """In small letters, in large ones, and backwards."""
    assert found(NAME, octets.encode())


def test_four_bytes_are_looked_for_with_their_length_only() -> None:
    """Four bytes are in other data by chance; a value of the wire has its length before."""
    key = "1987654321"

    assert found(key, b"\0\0\0\x04" + int(key).to_bytes(4, "big"))
    assert not found(key, int(key).to_bytes(4, "big"))


@given(st.text(alphabet="0123456789abcXYZ", min_size=1, max_size=20))
def test_no_form_is_too_short_to_be_somebodys(value: str) -> None:
    """A form that chance may write is no sign of anybody."""
    assert all(len(form) >= FEWEST_BYTES for form in forms_of(value))
