"""Work orders: what is inside is proven, and the rest is outside."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from proxy.policy.orders import outside, read_order, write_order
from proxy.sql import Analyser
from tests.data.lab_catalog import LAB, LAB_MAP

ANALYSER: Final = Analyser(LAB_MAP)
DATA: Final[dict[str, Any]] = {
    "format": 1,
    "id": "WO-20261125-0123abcd",
    "roles": ["export_job"],
    "subjects": 5000,
    "relations": ["lab.patient", "lab.resultat", "lab.resultat_urgent"],
    "columns": ["lab.patient.id", "lab.patient.nir", "lab.resultat.value"],
    "dates": {"column": "lab.resultat.validated_at", "begin": "2025-01-01", "end": "2026-01-01"},
    "begins": 1000,
    "ends": 5000,
    "reason": "SI-DEP",
    "by": "A. Martin",
}


def test_an_order_is_its_json() -> None:
    """Read and written it is the same, and always the same text: it is signed."""
    order = read_order(json.dumps(DATA))

    assert read_order(write_order(order)) == order
    assert write_order(read_order(write_order(order))) == write_order(order)
    assert order.budget.limit == 5000
    assert order.budget.window_seconds > order.ends - order.begins


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"subjects": 0}, "subjects"),
        ({"subjects": "5"}, "subjects"),
        ({"columns": []}, "columns"),
        ({"columns": ["nir"]}, "columns.0"),
        ({"relations": ["patient"]}, "relations.0"),
        ({"ends": 1000}, "ends: is not after begins"),
        ({"id": "../x"}, "id"),
        ({"more": 1}, "more"),
        ({"by": ""}, "by"),
        (
            {"dates": {"column": "a.b.c", "begin": "2026-01-01", "end": "2026-01-01"}},
            "dates: end is not after begin",
        ),
        ({"dates": {"column": "a.b.c", "begin": "x", "end": "2026-01-01"}}, "isoformat"),
    ],
)
def test_a_damaged_order_is_none(changes: dict[str, Any], problem: str) -> None:
    """It says what is wrong."""
    with pytest.raises(ValueError, match=problem):
        read_order(json.dumps(DATA | changes))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select nir from lab.patient", None),
        ("select id, nir from lab.patient where sex = 'F'", None),
        ("select upper(nir) from lab.patient", None),
        ("copy lab.patient (id, nir) to stdout", None),
        (
            (
                "copy (select p.nir, r.value from lab.patient p"
                " join lab.resultat r on r.patient_id = p.id) to stdout"
            ),
            None,
        ),
        ("select nir, last_name from lab.patient", "column lab.patient.last_name"),
        ("select * from lab.patient", "column lab.patient."),
        ("copy lab.patient to stdout", "column lab.patient."),
        ("select p from lab.patient p", "column"),
        ("select json_agg(p) from lab.patient p", "column"),
        ("select texte from lab.commentaire_pathologie", "relation lab.commentaire_pathologie"),
        ("select nir from lab.v_patient_resultat", "relation lab.v_patient_resultat"),
        ("copy (select nir from lab.patient) to '/tmp/x'", "kind copy_file"),
        ("delete from lab.patient returning nir", "kind delete"),
        ("create table x as select nir from lab.patient", "kind create_table_as"),
        ("explain analyze select nir from lab.patient", "kind explain_analyze"),
        ("select nir, my_own(nir) from lab.patient", "what may read"),
        ("select nir from lab.patient, elsewhere", "what may read"),
        ("do $$ begin execute 'a' || 1; end $$", "kind"),
    ],
)
def test_what_is_outside(statement: str, expected: str | None) -> None:
    """A column or relation too many, another sort of statement, anything that is not certain."""
    (facts,) = ANALYSER.analyse(statement.encode(), encoding="UTF8", catalog=LAB)

    found = outside(read_order(json.dumps(DATA)), facts)

    assert found is None if expected is None else expected in (found or "")
