"""What PostgreSQL's planner reads for a statement is in Vigie's facts, or the statement is opaque.

Generated statements over the laboratory's schema, with names in every spelling. The planner is the
judge of what is read; a statement that it does not take proves nothing and is not counted.
``python -m tests.integration.differential`` does the same with the statements of a file.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from proxy.cli.live import read_catalog
from proxy.sql import Analyser
from tests.data.lab_catalog import LAB_MAP
from tests.integration.differential import EXPLAINED, Outcome, compare_all

if TYPE_CHECKING:
    from proxy.demo.lab import Lab

STATEMENTS = 400
RELATIONS = [
    ("patient", "nir"), ("lab.patient", "last_name"), ('"patient"', "nir"), ("PATIENT", "Nir"),
    ('lab . "patient"', '"nir"'), ("lab/**/.patient", "nir"), ('U&"p\\0061tient"', "nir"),
    ("only patient", "nir"), ("resultat", "value"), ("lab.resultat_archive", "value"),
    ("v_patient_resultat", "nir"), ("lab.v_worklist", "last_name"), ("v_stock_tubes", "ref_tube"),
    ("mv_patient", "nir"), ("lab.facture", "acte_codes"), ("lab.analyse", "libelle"),
    ("echantillon", "barcode"), ("lab.prescription", "id"), ("pg_catalog.pg_class", "relname"),
    ("generate_series(1, 3) g(nir)", "nir"), ("(values ('a')) v(nir)", "nir"),
]  # fmt: skip
QUERIES = [
    "select {c} from {r}",
    "select x.{c}::text as c from {r} x",
    "select {c} from {r} where {c} is not null order by 1 limit 3",
    "select max({c}::text) as c from {r} group by length({c}::text)",
    "select distinct on ({c}) {c} from {r}",
    "select (select {c}::text from {r} offset 1 limit 1) as c",
    "select array(select {c}::text from {r}) as c",
    "select case when exists (select from {r}) then 1 end as c",
    "select 1 as c where 'x' not in (select {c}::text from {r} where {c} is not null)",
    "select count(*) over (order by {c}) as c from {r}",
    "select j.c from (select {c}::text c from {r}) j, lateral (select j.c) k",
    "select string_agg({c}::text, ',' order by {c}) filter (where {c} is not null) as c from {r}",
    "/* select /* nested */ */ select $a$from {r}$a$ as c from {r} -- {r}",
]
WRAPPERS = [
    "{q}",
    "select * from ({q}) s",
    "with s as ({q}) select * from s",
    "with s as materialized ({q}), t as (table s) select * from t, s",
    "with patient as ({q}) select * from patient",
    "with recursive s(c) as ((select c::text from ({q}) a(c)) union select c from s) table s",
    "({q}) union all ({p})",
    "({q}) except ({p})",
    "select (a).* from (select s as a from ({q}) s offset 0) b",
    "select * from ({q}) s natural full join ({p}) t",
    "select * from ({q}) s(c) where exists (select from ({p}) t(d) where d::text = c::text)",
    "select row_to_json(s) from ({q}) s",
    "explain select 1",
    "declare c cursor for {q}",
    "create temp table made as {q}",
    "update patient set sex = sex where nir in (select c::text from ({q}) s(c)) returning nir",
    "insert into patient (nir) select c::text from ({q}) s(c) on conflict do nothing returning nir",
    "delete from lab.facture using ({q}) s(c) where acte_codes = c::text",
    "merge into patient p using ({q}) s(c) on p.nir = s.c::text when matched then delete",
]


def generated(chance: Random) -> str:
    """Return one statement."""
    query = _query(chance)
    for _ in range(chance.randint(0, 2)):
        query = chance.choice(WRAPPERS[:12]).format(q=query, p=_query(chance))
    return chance.choice(WRAPPERS).format(q=query, p=_query(chance))


def _query(chance: Random) -> str:
    relation, column = chance.choice(RELATIONS)
    return chance.choice(QUERIES).format(r=relation, c=column)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_the_planner_reads_is_in_the_facts(lab: Lab, seed: int) -> None:
    """No relation of subjects is missed; most statements are understood."""
    password = lab.passwords["lims_app"]
    url = f"postgresql://lims_app:{password}@{lab.host}:{lab.port}/{lab.database}"
    chance = Random(seed)  # noqa: S311 - the same statements each time
    catalog = read_catalog(url, LAB_MAP)
    found = compare_all(
        [generated(chance) for _ in range(STATEMENTS)], url, Analyser(LAB_MAP), catalog
    )

    assert found.missed == []
    assert found.planned > STATEMENTS // 3
    assert found.opaque < found.planned // 20


def test_the_comparison_sees_a_miss() -> None:
    """With facts that say nothing, every relation of the plan is a miss."""
    outcome = Outcome()
    outcome.judge("select nir from patient", [("lab", "patient")], frozenset(), opaque=None)

    assert outcome.missed == [("select nir from patient", "lab.patient")]
    assert EXPLAINED == {}
