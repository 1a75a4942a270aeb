"""named_keys: the subjects that the predicates of a statement name."""

from __future__ import annotations

import struct

import pytest

from proxy.session.bound_keys import NO_KEYS, named_keys, row_limit
from proxy.terms.facts import KeyFilter, Kind, Literal, Parameter, StatementFacts

SPACE = "patient.id"


def facts(*values: Literal | Parameter, is_array: bool = False) -> StatementFacts:
    return StatementFacts(Kind.SELECT, key_filters=(KeyFilter(SPACE, values, is_array),))


def array(*values: int) -> bytes:
    head = struct.pack(">iiIii", 1, 0, 20, len(values), 1)
    return head + b"".join(struct.pack(">iq", 8, value) for value in values)


@pytest.mark.parametrize(
    ("found", "parameters", "formats", "expected"),
    [
        (facts(Literal("7")), (), (), [b"7"]),
        (facts(Parameter(1), Parameter(2)), (b"7", b"8"), (), [b"7", b"8"]),
        (facts(Parameter(1)), ((7).to_bytes(8, "big"),), (1,), [b"7"]),
        (facts(Parameter(2)), (b"x", (7).to_bytes(4, "big")), (0, 1), [b"7"]),
        (facts(Parameter(1)), (None,), (), []),
        (facts(Parameter(1), is_array=True), (b"{7, 8}",), (), [b"7", b"8"]),
        (facts(Parameter(1), is_array=True), (b"{7,NULL}",), (), [b"7"]),
        (facts(Parameter(1), is_array=True), (array(7, 8),), (1,), [b"7", b"8"]),
        (facts(Parameter(1), is_array=True), (bytes(12),), (1,), []),
    ],
)
def test_keys_that_can_be_read(
    found: StatementFacts,
    parameters: tuple[bytes | None, ...],
    formats: tuple[int, ...],
    expected: list[bytes],
) -> None:
    """As literals or parameters, in text or binary, one or an array of them."""
    assert named_keys(found, parameters, formats) == tuple((SPACE, one) for one in expected)


@pytest.mark.parametrize(
    ("parameters", "formats"),
    [
        ((), ()),
        ((b"{{7}}",), ()),
        ((b'{"7"}',), ()),
        ((b"7",), ()),
        ((b"\0",), (1,)),
        ((array(7)[:-1],), (1,)),
        ((array(7) + b"\0",), (1,)),
        ((struct.pack(">i", 2) + bytes(30),), (1,)),
    ],
)
def test_one_that_cannot_be_read_names_nobody(
    parameters: tuple[bytes, ...], formats: tuple[int, ...]
) -> None:
    """Then nothing is known to be bounded by the keys."""
    found = facts(Parameter(1), is_array=True)

    assert named_keys(found, parameters, formats) == NO_KEYS


def test_a_limit_is_read_in_both_formats() -> None:
    """NULL is no limit; what is no number is an error."""
    one = Parameter(1)

    assert row_limit(one, [b"5"], []) == 5
    assert row_limit(one, [(5).to_bytes(8, "big")], [1]) == 5
    assert row_limit(one, [None], []) is None
    with pytest.raises(ValueError, match="five"):
        row_limit(one, [b"five"], [])
