"""What each output column carries: everyday queries and ways around, both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.terms.column_class import ColumnClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts

    Facts = Callable[[str], StatementFacts]


def carried(found: StatementFacts) -> list[str]:
    """Return each column as provenance/class, with * for a subject key."""
    assert isinstance(found.output, tuple)
    return [
        f"{column.provenance.value}/{column.column_class.value}{'*' if column.key_space else ''}"
        for column in found.output
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select id, nir, created_at from patient", "direct/key* direct/identity* direct/none"),
        ("select 1, 'nir', null, $1", "none/none none/none none/none none/none"),
        ("select code, libelle from lab.analyse", "none/none none/none"),
        ("select nir||'' from patient", "derived/identity"),
        ("select (select nir from patient where id=1)", "derived/identity"),
        ("select p from patient p", "derived/identity"),
        ("select p::text, row_to_json(p) from patient p", "derived/identity derived/identity"),
        ("select (p).nir, (p).created_at from patient p", "direct/identity* direct/none"),
        ("select x.n from (select nir n from patient) x", "direct/identity*"),
        ("with c(a) as (select nir from patient) select a from c", "direct/identity*"),
        ("with patient as (select * from patient) select nir from patient", "direct/identity*"),
        ("with t as (table patient) select t.nir, lab.analyse.code from t, lab.analyse",
         "direct/identity* none/none"),
        ("select a2 from patient z(a1,a2)", "direct/identity*"),
        ("select nir from patient union all select 'x'", "direct/identity*"),
        ("select id from patient union select patient_id from resultat", "direct/key*"),
        ("select libelle from lab.analyse union all select nir::text from patient",
         "derived/identity"),
        ("select id from patient p join mv_patient m using (id)", "direct/key*"),
        ("select n from lab.patient, lateral regexp_split_to_table(nir,'') n", "derived/identity"),
        ("select case when nir like '1%' then 1 end from patient", "derived/identity"),
        ("select nir > '2', id = 5, nir is null from patient",
         "derived/identity derived/key none/none"),
        ("select exists(select 1 from patient where nir='x')", "none/none"),
        ("select exists(select 1 where p.nir like '1%') from patient p", "derived/identity"),
        ("select coalesce(nir,'x'), greatest(nir,'y'), array[nir], row(nir) from patient",
         "derived/identity derived/identity derived/identity derived/identity"),
        ("select json_build_object('n', nir), xmlelement(name a, nir) from patient",
         "derived/identity derived/identity"),
        ("select ref_tube from v_stock_tubes", "unknown/unknown"),
        ("select n from mv_stats_mois", "none/none"),
        ("select * from lab.search_patient('x')",
         "direct/key* direct/identity* direct/identity direct/identity direct/quasi"),
        ("select lab.lab_json()", "unknown/unknown"),
        ("select lab.age(birth_date) from patient", "derived/quasi"),
        ("select ctid from patient", "derived/key"),
        ("select q.export_patients, (q).lab_json from qc_mesure q",
         "unknown/unknown unknown/unknown"),
        ("select value from resultat_urgent", "direct/health"),
        ("select count from (select count(*) from patient) x", "none/none"),
        ("select most_common_vals::text from pg_stats", "unknown/unknown"),
        ("select attname from pg_stats", "none/none"),
    ],
)  # fmt: skip
def test_output(facts: Facts, text: str, expected: str) -> None:
    """A column is as sensitive as the most sensitive thing it is made of."""
    assert carried(facts(text)) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select count(*), count(nir), count(distinct nir) from patient", "none none none"),
        ("select avg(value), sum(value), stddev(value) from resultat", "none none none"),
        ("select sum(nir::bigint), avg(id) from patient", "derived derived"),
        ("select max(nir), min(value) from patient p join resultat r on r.patient_id=p.id",
         "derived derived"),
        ("select percentile_cont(0.5) within group (order by value) from resultat", "none"),
        ("select percentile_disc(0.5) within group (order by value) from resultat", "derived"),
        ("select percentile_disc(array[0.1,0.2]) within group (order by nir) from patient",
         "folded"),
        ("select string_agg(nir,',') from patient", "folded"),
        ("select array_agg(nir), json_agg(p), jsonb_object_agg(id,nir) from patient p",
         "folded folded folded"),
        ("select xmlagg(xmlforest(nir)), json_arrayagg(nir) from patient", "folded folded"),
        ("select array(select nir from patient)", "folded"),
        ("select string_agg(nir,',') over () from patient", "folded"),
        ("select length(string_agg(nir,',')) from patient", "folded"),
        ("select max(a) from (select array_agg(nir) a from patient) x", "folded"),
        ("select string_agg(code,',') from lab.analyse", "none"),
        ("select upper('json_agg')", "none"),
        # a mean of one value is that value
        ("select patient_id, avg(value) from resultat group by 1", "direct derived"),
        ("select avg(value) from resultat where patient_id=5", "derived"),
        ("select avg(value) over (partition by id) from resultat", "derived"),
        ("select min(patient_id), avg(value) from resultat group by id", "derived derived"),
        ("select analyse_code, avg(value) from resultat group by 1", "direct none"),
        # asked bit by bit
        ("select count(*) filter (where nir like '1%') from patient", "derived"),
        ("select sum(case when nir like '1%' then 1 else 0 end) from patient", "derived"),
        ("select count(*) filter (where sex='F') from patient", "none"),
        # a recursive query folds without an aggregate
        (("with recursive t(i,a) as (select 0,'' union all select i+1, a||nir from t"
         " join patient p on p.id=i+1) select a, i from t"), "folded folded"),
        ("with recursive t(i) as (select 1 union all select i+1 from t where i<9) select i from t",
         "none"),
        (("with recursive w as (select id,nir from patient where id=1 union all select p.id,p.nir"
         " from w join patient p on p.id=w.id+1) select nir from w"), "direct"),
    ],
)  # fmt: skip
def test_aggregates(facts: Facts, text: str, expected: str) -> None:
    """Counting tells nothing, picking one value, folding all of them."""
    found = [column.split("/")[0] for column in carried(facts(text))]
    assert found == expected.split()


def test_a_star_over_an_unknown_relation_is_unknown(facts: Facts) -> None:
    """Columns that no catalog tells of are the most sensitive."""
    found = facts("select * from nowhere")
    assert carried(found) == ["unknown/unknown"]
    assert found.unknown_relations
    assert found.reads_subjects


def test_returning_shows_what_was_put_in(facts: Facts) -> None:
    """INSERT .. RETURNING of a harmless relation gives the values that were inserted."""
    found = facts("insert into qc_mesure(automate) select nir from patient returning automate")
    assert carried(found) == ["derived/identity"]
    found = facts("update qc_mesure set automate=(select string_agg(nir,'') from patient)"
                  " returning automate, id")  # fmt: skip
    assert carried(found) == ["folded/identity", "none/none"]
    assert found.stages


def test_classes_of_the_output(facts: Facts) -> None:
    """The classes are those of what leaves; a count brings none."""
    assert facts("select count(*) from patient").classes == frozenset()
    assert facts("select nir, id from patient").classes == {
        ColumnClass.IDENTITY,
        ColumnClass.KEY,
    }
    assert facts("explain select nir from patient").classes == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select lab.age(date '2000-01-01')", False),
        ("select count(*) from lab.f_inline('2000-01-01')", True),
        ("select 1 from lab.search_patient('x') s where s.nir::int = 1", True),
        ("select lab.patient_json(5)", True),
    ],
)
def test_a_function_of_subjects_is_a_way_to_them(facts: Facts, text: str, expected: bool) -> None:
    """Whatever it is asked for, and also where nothing of it is in the output."""
    assert facts(text).reads_subjects is expected
