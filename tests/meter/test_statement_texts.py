"""What the text of a statement names: its literals."""

from __future__ import annotations

import pytest

from proxy.meter.plan import ChargePlan, plan_charge
from proxy.meter.rows import RowCharger
from proxy.meter.statement_texts import named_in
from proxy.sql import Analyser
from proxy.terms.budget import Method
from proxy.wire.backend import ResultColumn
from tests.data.lab_catalog import LAB, LAB_MAP


@pytest.mark.parametrize(
    ("text", "names", "more"),
    [
        ("select * from patient where nir = '1930123'", ["1930123"], 0),
        ("select * from patient where nir in ('1', '2', '2')", ["1", "2", "2"], 0),
        ("select * from patient where id = 4242 limit 50", [], 0),
        ("select * from patient where nir = 193012300100096", ["193012300100096"], 0),
        ("select * from patient where id = $1", [], 0),
        ("select * from patient where last_name = 'DUPO", ["DUPO"], 0),
        (f"select '{'1' * 60}'", [], 60),
        ("", [], 0),
    ],
)
def test_literals_name_subjects(text: str, names: list[str], more: int) -> None:
    """Short ones one each; long ones by their bytes; keys, limits and parameters nobody."""
    assert named_in(text.encode()) == ([name.encode() for name in names], more)


def test_what_cannot_be_cut_is_not_read() -> None:
    """It is charged by its bytes."""
    assert named_in(rb"select E'\'' || 'x'") is None


def test_the_same_literal_is_one_subject() -> None:
    """However often it is shown, in one text or in the next."""
    plan = ChargePlan(Method.ROWS, texts=(1,))
    charger = RowCharger(plan, secret=b"s", bytes_per_subject=6)
    first = charger.charge_row([b"7", b"select 'a', 'b', 'a'"], 40)
    second = charger.charge_row([b"8", b"update t set x = 'b'"], 40)

    assert (len(first.groups), first.anonymous) == (2, 0)
    assert set(second.groups) < set(first.groups)
    assert charger.charge_row([b"8", None], 40).groups == ()
    assert charger.charge_row([b"8", rb"select E'\''"], 40).anonymous == 2


@pytest.mark.parametrize(
    ("text", "columns", "texts", "packed"),
    [
        ("select pid, query from pg_stat_activity where pid = 3", [(12250, 23), (12250, 25)],
         (1,), ()),
        ("select * from pg_stat_activity where pid = 3", [(12250, 23), (12250, 25)], (1,), ()),
        ("select *, md5(query) from pg_stat_activity where pid = 3", [(12250, 23), (0, 25)],
         (), (1,)),
        ("select encode(query::bytea, 'hex') from pg_stat_activity where pid = 3", [(0, 25)],
         (), (0,)),
    ],
)  # fmt: skip
def test_plans(
    text: str, columns: list[tuple[int, int]], texts: tuple[int, ...], packed: tuple[int, ...]
) -> None:
    """A text as it is stored is read; one in disguise is charged by its bytes."""
    (facts,) = Analyser(LAB_MAP).analyse(text.encode(), encoding="UTF8", catalog=LAB)
    described = [
        ResultColumn(f"c{index}", table, index + 1, type_oid, 0)
        for index, (table, type_oid) in enumerate(columns)
    ]
    plan = plan_charge(facts, described, LAB)

    assert (plan.texts, plan.packed) == (texts, packed)
