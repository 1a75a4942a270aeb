"""RowCharger: what one row costs under each plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.meter.keys import hash_key
from proxy.meter.ledger import Charge
from proxy.meter.plan import BY_BYTES, FREE, ChargePlan, KeyColumn
from proxy.meter.rows import RowCharger
from proxy.terms.budget import Method
from tests.strategies import values

ID = KeyColumn(0, "patient.id", 20, 0)
NIR = KeyColumn(1, "patient.nir", 1042, 0)
LINKED = ChargePlan(Method.KEYS, keys=(ID, NIR), linked=True, values=(2,))
APART = ChargePlan(Method.ROWS, keys=(ID,), values=(1, 2))
PACKED = ChargePlan(Method.BYTES, keys=(ID,), packed=(1,))


def charger(plan: ChargePlan) -> RowCharger:
    return RowCharger(plan, secret=b"s", bytes_per_subject=6)


def hashed(space: str, value: bytes) -> bytes:
    return hash_key(b"s", space, value)


@pytest.mark.parametrize(
    ("plan", "row", "groups", "anonymous"),
    [
        (LINKED, [b"7", b"184", b"A"], [["patient.id 7", "patient.nir 184"]], 0),
        (LINKED, [b"7", None, b"A"], [["patient.id 7"]], 0),
        (LINKED, [None, None, b"A"], [], 1),
        (LINKED, [None, b"   ", b"A"], [], 1),
        (LINKED, [None, b"", None], [], 0),
        (LINKED, [None, None, None], [], 0),
        (APART, [b"7", b"A", b"B"], [["patient.id 7"]], 2),
        (APART, [b"7", None, None], [["patient.id 7"]], 0),
        (PACKED, [b"7", b"1234567"], [["patient.id 7"]], 2),
        (PACKED, [b"7", None], [["patient.id 7"]], 0),
        (FREE, [b"7", b"A"], [], 0),
        (ChargePlan(Method.FREE, counts_rows=True), [b"7"], [], 0),
        (BY_BYTES, [b"1234567", None, b"1"], [], 2),
        (BY_BYTES, [], [], 0),
        (ChargePlan(Method.BOUND, fixed=(("patient.id", b"3"),)), [b"x"], [["patient.id 3"]], 0),
    ],
)
def test_what_a_row_costs(
    plan: ChargePlan, row: list[bytes | None], groups: list[list[str]], anonymous: int
) -> None:
    """By keys where they are there, else by values, else by bytes; a blank key is none."""
    told = [tuple(hashed(*_split(one)) for one in group) for group in groups]

    assert charger(plan).charge_row(row, 50) == Charge(
        groups=tuple(told), anonymous=anonymous, rows=1, size_bytes=50
    )


def _split(told: str) -> tuple[str, bytes]:
    space, _, value = told.partition(" ")
    return space, value.encode()


def test_a_key_is_one_in_text_and_binary() -> None:
    """The same patient costs once, whatever format the frontend asks for."""
    binary = ChargePlan(Method.KEYS, keys=(KeyColumn(0, "patient.id", 20, 1),))
    text = ChargePlan(Method.KEYS, keys=(ID,))

    found = charger(binary).charge_row([(7).to_bytes(8, "big")], 9)

    assert found == charger(text).charge_row([b"7"], 9)


@pytest.mark.parametrize("plan", [LINKED, APART, PACKED])
def test_a_row_with_fewer_values_than_its_description_is_refused(plan: ChargePlan) -> None:
    """The backend is out of its mind; nothing can be said of the row."""
    with pytest.raises(WireError, match=r"^a row has 1 values, expected at least [23]$"):
        charger(plan).charge_row([b"7"], 9)


@pytest.mark.parametrize(
    ("plan", "anonymous"),
    [(LINKED, 1), (APART, 100), (PACKED, 100), (BY_BYTES, 100)],
)
def test_an_unread_row_costs_its_bytes(plan: ChargePlan, anonymous: int) -> None:
    """Only one that is known to be about one subject costs one."""
    assert charger(plan).charge_unread(600) == Charge(anonymous=anonymous, rows=1, size_bytes=600)


def test_an_unread_row_of_named_subjects_costs_those() -> None:
    """The predicates name them, however large the row is."""
    plan = ChargePlan(Method.BOUND, fixed=(("patient.id", b"3"),))

    assert charger(plan).charge_unread(600) == Charge(
        groups=((hashed("patient.id", b"3"),),), rows=1, size_bytes=600
    )


def test_an_unread_row_of_keys_alone_is_a_row() -> None:
    """Keys without identities are no disclosed subjects."""
    plan = ChargePlan(Method.FREE, counts_rows=True)

    assert charger(plan).charge_unread(600) == Charge(rows=1, size_bytes=600)


@given(values, st.integers(0, 100))
def test_more_values_never_cost_less(row: list[bytes | None], size: int) -> None:
    """By bytes, a row with a value more costs as much or more."""
    found = charger(BY_BYTES)
    before = found.charge_row(row, size).anonymous

    assert found.charge_row([*row, b"more"], size).anonymous >= before
