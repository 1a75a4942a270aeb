"""Subject keys: one subject is one hash, whatever the format, and the hash tells nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.keys import HASH_BYTES, canonical_value, hash_key

INT8, INT2, INT4, TEXT, BPCHAR = 20, 21, 23, 25, 1042
SECRET = b"a secret of the tests"


@pytest.mark.parametrize(
    ("value", "type_oid", "form", "canonical"),
    [
        (b"42", INT8, 0, b"42"),
        (b"\0\0\0\0\0\0\0*", INT8, 1, b"42"),
        (b"\0\0\0*", INT4, 1, b"42"),
        (b"\0*", INT2, 1, b"42"),
        (b"\xff\xff\xff\xff", INT4, 1, b"-1"),
        (b"190017511800101", BPCHAR, 0, b"190017511800101"),
        (b"1900175         ", BPCHAR, 0, b"1900175"),
        (b"1900175         ", BPCHAR, 1, b"1900175"),
        (b" 7", TEXT, 0, b" 7"),
        (b"", TEXT, 0, b""),
        (b"\0\0*", INT4, 1, b"\0\0*"),  # not an int4: as it stands
    ],
)
def test_canonical_value(value: bytes, type_oid: int, form: int, canonical: bytes) -> None:
    """Integers in decimal, text without the padding of char(n), anything else as it is."""
    assert canonical_value(value, type_oid, form) == canonical


@given(
    st.sampled_from([(INT2, 2), (INT4, 4), (INT8, 8)]).flatmap(
        lambda kind: st.tuples(
            st.just(kind), st.integers(-(2 ** (8 * kind[1] - 1)), 2 ** (8 * kind[1] - 1) - 1)
        )
    )
)
def test_text_and_binary_are_one_subject(case: tuple[tuple[int, int], int]) -> None:
    """Any integer key is the same in both formats and in each width that holds it."""
    (type_oid, size), number = case
    binary = number.to_bytes(size, "big", signed=True)

    assert canonical_value(binary, type_oid, 1) == canonical_value(
        str(number).encode(), type_oid, 0
    )


@given(st.binary(max_size=20), st.integers(0, 3000), st.integers(0, 2))
def test_any_value_has_a_canonical_form(value: bytes, type_oid: int, form: int) -> None:
    """No value of any type raises, and what is canonical stays so."""
    canonical = canonical_value(value, type_oid, form)

    assert canonical_value(canonical, TEXT, 0) == canonical


def test_a_hash_depends_on_secret_space_and_value() -> None:
    """Another of any of them is another hash; the same three are the same hash."""
    hashes = {
        hash_key(SECRET, "patient.id", b"42"),
        hash_key(SECRET, "patient.id", b"43"),
        hash_key(SECRET, "patient.nir", b"42"),
        hash_key(b"another", "patient.id", b"42"),
    }

    assert len(hashes) == 4
    assert {len(one) for one in hashes} == {HASH_BYTES}
    assert hash_key(SECRET, "patient.id", b"42") in hashes


def test_space_and_value_do_not_run_together() -> None:
    """Where the space ends is part of what is hashed."""
    assert hash_key(SECRET, "a", b"bc") != hash_key(SECRET, "ab", b"c")


def test_a_hash_does_not_hold_the_value() -> None:
    """A NIR is not to be found in what is kept of it."""
    assert b"1900175" not in hash_key(SECRET, "patient.nir", b"190017511800101")
