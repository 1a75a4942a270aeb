"""RunCharger: what a run of rows costs is the sum of its rows, in every kernel."""

from __future__ import annotations

import struct
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import WireError
from proxy.meter.copy_rows import SIGNATURE
from proxy.meter.keys import hash_key
from proxy.meter.plan import BY_BYTES, ChargePlan, KeyColumn
from proxy.meter.runs import RunCharger
from proxy.terms.budget import Method
from proxy.terms.facts import CopyFormat
from proxy.wire.encode import frame
from tests.kernels import each_kernel
from tests.strategies import lengthened

SECRET: Final = b"secret"
NIR: Final = KeyColumn(2, "patient.nir", 1042, 0)


def id_column(type_oid: int, form: int) -> KeyColumn:
    return KeyColumn(0, "patient.id", type_oid, form)


ids = st.builds(id_column, st.sampled_from([20, 21, 23, 25]), st.integers(0, 1))
keys = st.lists(ids | st.just(NIR), max_size=2, unique_by=lambda key: key.index).map(tuple)
indexes = st.lists(st.integers(0, 3), max_size=2, unique=True).map(tuple)
plans = st.builds(
    ChargePlan,
    st.just(Method.KEYS),
    keys=keys,
    linked=st.booleans(),
    values=indexes,
    packed=indexes,
    everything=st.booleans(),
    fixed=st.sampled_from([(), (("patient.id", b"3"), ("patient.id", b"4"))]),
)
integers = st.sampled_from([0, 1, 7, -1, 32767, -32768, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)])
binary = st.builds(
    lambda size, number: (number % 2 ** (8 * size)).to_bytes(size, "big"),
    st.sampled_from([2, 4, 8]),
    integers,
)
everyday = (
    integers.map(lambda one: str(one).encode()) | binary | st.sampled_from([b"", b" ", b"a "])
)
odd = st.binary(max_size=5) | st.sampled_from([b"\\N", b'"', b'a"b', b"\t", b",", b"x" * 130])
cells = st.none() | everyday | odd
rows = st.lists(cells, max_size=5)
whole_rows = st.lists(cells, min_size=4, max_size=4)


def data_row(values: list[bytes | None]) -> bytes:
    body = struct.pack(">h", len(values)) + b"".join(lengthened(one) for one in values)
    return frame(ord("D"), body)


def copied(form: CopyFormat | None, values: list[bytes | None]) -> bytes:
    match form:
        case CopyFormat.BINARY:
            body = struct.pack(">h", len(values)) + b"".join(lengthened(one) for one in values)
        case CopyFormat.CSV:
            body = b",".join(b"" if one is None else quoted(one) for one in values) + b"\n"
        case _:
            body = b"\t".join(b"\\N" if one is None else one for one in values) + b"\n"
    return frame(ord("d"), body)


def quoted(value: bytes) -> bytes:
    if value and not set(value) & set(b'",\n\r'):
        return value
    return b'"' + value.replace(b'"', b'""') + b'"'


def outcome(charger: Any, raw: bytes, *, keeps: bool) -> Any:
    found = charger.charge_run(raw, keeps=keeps)
    return None if found is None else ([tuple(group) for group in found[0]], *found[1:])


def one_by_one(plan: ChargePlan, raw: bytes, form: CopyFormat | None, *, keeps: bool) -> Any:
    """Return the sum of the rows; None: one is damaged."""
    charger = RunCharger(plan, SECRET, 6, form, 4)
    try:
        charges = [one for _, _, one in charger.charges(raw, copies=form is not None) if one]
    except WireError:
        return None
    groups = [] if plan.fixed else [group for one in charges for group in one.groups]
    return (
        groups if keeps else [],
        0 if keeps else len(groups),
        sum(one.anonymous for one in charges),
        sum(one.rows for one in charges),
        sum(one.size_bytes for one in charges),
    )


@each_kernel
@given(plans, st.lists(rows.map(data_row) | st.binary(max_size=9).map(lambda b: frame(68, b))))
@example(BY_BYTES, [data_row([b"1234567", None])])
@example(ChargePlan(Method.BOUND, packed=(0,), fixed=(("patient.id", b"3"),)), [data_row([b"0"])])
def test_rows_cost_together_what_they_cost_alone(
    kernel: Any, plan: ChargePlan, frames: list[bytes]
) -> None:
    """For any plan and rows, damaged ones among them."""
    raw = b"".join(frames)

    for keeps in (True, False):
        found = outcome(kernel.RunCharger(plan, SECRET, 6), raw, keeps=keeps)
        assert found is None or found == one_by_one(plan, raw, None, keeps=keeps)


copy_bodies = (
    st.binary(max_size=12)
    | st.lists(st.sampled_from([b'"', b",", b"a", b"\t", b"\\N", b" "]), max_size=9).map(
        lambda parts: b"".join(parts) + b"\n"
    )
    | st.sampled_from(
        [SIGNATURE + bytes(8), SIGNATURE + b"\0\0\0\0\xff\0\0\0", b"\xff\xff", b"\0\0"]
    )
)
copies = st.sampled_from(CopyFormat).flatmap(
    lambda form: st.tuples(
        st.just(form),
        st.lists(
            (whole_rows | rows).map(lambda values: copied(form, values))
            | copy_bodies.map(lambda body: frame(ord("d"), body))
        ),
    )
)


@each_kernel
@given(plans, copies)
def test_copied_rows_cost_together_what_they_cost_alone(
    kernel: Any, plan: ChargePlan, told: tuple[CopyFormat, list[bytes]]
) -> None:
    """For any format; where rows cannot be taken apart they cost their bytes, as alone."""
    form, frames = told
    raw = b"".join(frames)

    for keeps in (True, False):
        found = outcome(kernel.RunCharger(plan, SECRET, 6, form, 4), raw, keeps=keeps)
        assert found is None or found == one_by_one(plan, raw, form, keeps=keeps)


@each_kernel
@pytest.mark.parametrize("form", [None, CopyFormat.TEXT, CopyFormat.CSV, CopyFormat.BINARY])
def test_everyday_rows_are_charged_at_once(kernel: Any, form: CopyFormat | None) -> None:
    """None is always right, but not what makes a result fast: it is for what is rare."""
    binary = form is CopyFormat.BINARY
    number = struct.pack(">q", -42) if binary else b"-42"
    key = id_column(20, int(binary))
    plan = ChargePlan(Method.KEYS, keys=(key, NIR), linked=True, values=(1,), packed=(3,))
    values: list[bytes | None] = [number, b"A,B", b"184 ", b"1234567"]
    raw = data_row(values) if form is None else copied(form, values)

    found = outcome(kernel.RunCharger(plan, SECRET, 6, form, 4), raw * 3, keeps=True)

    keys = (hash_key(SECRET, "patient.id", b"-42"), hash_key(SECRET, "patient.nir", b"184"))
    assert found == ([keys] * 3, 0, 6, 3, 3 * len(raw))


@each_kernel
@given(st.binary(min_size=1, max_size=64), st.text(max_size=20), st.binary(min_size=1, max_size=60))
def test_a_key_is_hashed_the_same_everywhere(
    kernel: Any, secret: bytes, space: str, value: bytes
) -> None:
    """What one kernel has charged, another one knows again."""
    plan = ChargePlan(Method.KEYS, keys=(KeyColumn(0, space, 25, 0),), linked=True)

    found = kernel.RunCharger(plan, secret, 6).charge_run(data_row([value]), keeps=True)

    plain = value.rstrip(b" ")
    assert list(found[0]) == ([(hash_key(secret, space, plain),)] if plain else [])


@each_kernel
@given(st.lists(rows.map(data_row), min_size=1), st.binary(max_size=8), st.integers(4, 60))
def test_a_run_ends_where_its_frames_do(
    kernel: Any, frames: list[bytes], rest: bytes, largest: int
) -> None:
    """At another tag, at a frame that is too large, at one of which a part is missing."""
    fitting = 0
    while fitting < len(frames) and len(frames[fitting]) - 1 <= largest:
        fitting += 1
    stream = bytearray(b"Z" + b"".join(frames) + b"C" + rest)

    found = kernel.end_of_run(stream, 1, ord("D"), largest)

    assert found == (1 + sum(map(len, frames[:fitting])), fitting)
    missing = bytearray(b"".join(frames)[:-1])
    assert kernel.end_of_run(missing, 0, ord("D"), 1000)[1] == len(frames) - 1
