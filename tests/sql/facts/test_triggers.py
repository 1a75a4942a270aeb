"""What triggers of subject relations copy, and where to."""

from __future__ import annotations

from copy import deepcopy

import pytest

from proxy.sql import build_catalog
from proxy.sql.facts.triggers import copied_by_triggers
from proxy.terms.relation import Relation
from tests.data.lab_catalog import LAB_MAP, LAB_RESULTS

PATIENT, ANALYSE = "16406", "16465"


@pytest.mark.parametrize(
    ("body", "on", "copies"),
    [
        ("insert into lab.analyse(code) values (new.nir)", PATIENT, True),
        ("insert into lab.analyse(code) select old.nir || new.last_name", PATIENT, True),
        ("insert into lab.analyse select to_jsonb(new)::text", PATIENT, True),
        ("insert into lab.analyse(code) values (tg_op)", PATIENT, False),
        ("insert into lab.analyse(b_coef) values (new.id)", PATIENT, False),
        (
            "insert into lab.audit(patient_id, detail) values (new.id, to_jsonb(new))",
            PATIENT,
            False,
        ),
        ("new.nir := upper(new.nir)", PATIENT, False),
        ("insert into lab.medecin(phone) values (new.code)", ANALYSE, False),
        ("execute 'insert into ' || tg_argv[0] using new.nir", PATIENT, False),
    ],
)
def test_a_log_of_changes_holds_subjects(body: str, on: str, copies: bool) -> None:
    """Unless only keys go there, it is mapped, or nothing of a subject is in it."""
    results = deepcopy(LAB_RESULTS)
    text = (
        "CREATE FUNCTION lab.log() RETURNS trigger LANGUAGE plpgsql AS"
        f" $f$ begin {body}; return new; end $f$"
    )
    results[5].append(["40000", "lab", "log", "f", "v", "plpgsql", "f", "", "dba", text, on])
    found = copied_by_triggers(build_catalog(results, LAB_MAP), LAB_MAP)

    assert found == ({Relation("lab", "analyse")} if copies else set())
