"""How predicates narrow subjects, and which keys hold a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.terms.facts import KeyFilter, Literal, Parameter, SubjectFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts

    Facts = Callable[[str], StatementFacts]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("true", "open"),
        ("id>0", "open"),
        ("id is not null", "open"),
        ("nir ~ '.*'", "open"),
        ("id<>-1", "open"),
        ("last_name='A' or last_name<>'A'", "open"),
        ("md5(nir)=md5(nir)", "open"),
        ("(nir is not null)=true", "open"),
        ("abs(hashtext(nir))%16=3", "open"),
        ("last_name like '%x'", "open"),
        ("last_name not like 'x%'", "open"),
        ("last_name like $1", "open"),
        ("birth_date='1962-03-11'", "selective"),
        ("lower(last_name)=lower('Martin')", "selective"),
        ("last_name ilike 'mar%'", "selective"),
        ("birth_date>='1962-03-11' and birth_date<'1962-04-11'", "selective"),
        ("birth_date='1950-05-05' or (last_name='D' and first_name='M')", "selective"),
        ("id=5", "key"),
        ("5=id and sex='M'", "key"),
        ("id in (1,2,$1)", "key"),
        ("id=any($1::bigint[])", "key"),
        ("id=any(array[1,2])", "key"),
        ("nir::text=$1", "key"),
        ("id=5 or id=6", "key"),
        ("id=5 or true", "open"),
        ("not id=5", "open"),
        ("nir::char(1)='2'", "selective"),
    ],
)
def test_strength(facts: Facts, predicate: str, expected: str) -> None:
    """A predicate without a known narrowing is open, however it looks."""
    found = facts(f"select nir from patient where {predicate}")
    assert found.subject_filter is SubjectFilter(expected)


def test_no_predicate_is_none(facts: Facts) -> None:
    """A query without WHERE narrows nothing."""
    assert facts("select nir from patient").subject_filter is SubjectFilter.NONE


def test_key_values_are_kept(facts: Facts) -> None:
    """Keys come with their values, parameters by number, arrays as one value."""
    found = facts("select nir from patient where id in (1,$2) and nir='x'")
    assert [(key.space, key.values) for key in found.key_filters] == [
        ("patient.id", (Literal("1", 0), Parameter(2))),
        ("patient.nir", (Literal("x", 1),)),
    ]
    (only,) = facts("select nir from patient where id=any('{1,2}')").key_filters
    assert only == KeyFilter("patient.id", (Literal("{1,2}", 0),), is_array=True)


@pytest.mark.parametrize(
    ("text", "one_subject", "bounded"),
    [
        ("select nir from patient where id=1", True, True),
        ("select nir from patient where id=1 or id=2", True, False),
        ("select nir from patient where not id=1", True, False),
        ("select string_agg(nir,',') from patient where id in (1,2)", False, True),
        ("select p.nir, r.value from patient p join resultat r on r.patient_id=p.id where p.id=1",
         True, True),
        ("select p.nir, r.value from patient p, resultat r where r.patient_id=p.id and p.id=1",
         True, True),
        ("select p.nir, r.value from patient p, resultat r where p.id=1", False, False),
        ("select p.nir, q.nir from patient p, patient q where p.id=1", False, False),
        ("select p.nir||q.nir from patient p join patient q on q.id=p.id+1", False, False),
        # outer joins: the preserved side is not held by the other
        (("select p.nir, r.value from patient p left join resultat r on r.patient_id=p.id"
         " where p.id=1"), True, True),
        (("select p.nir, r.value from patient p left join resultat r on r.patient_id=p.id"
         " where r.patient_id=1"), True, True),
        ("select p.nir from patient p left join resultat r on r.patient_id=p.id and p.id=1",
         True, False),
        (("select p.nir from patient p left join (select * from resultat where patient_id=1) r"
         " on r.patient_id=p.id"), True, False),
        (("select p.nir from patient p full join resultat r on r.patient_id=p.id"
         " where r.patient_id=1"), True, False),
        (("select p.nir, c.texte from (patient p cross join resultat r) left join"
         " commentaire_pathologie c on p.id=r.patient_id and c.patient_id=p.id"), False, False),
        # a query inside holds only itself
        ("select nir from patient where exists (select 1 from resultat r where r.patient_id=5)",
         True, False),
        (("select p.nir, (select value from resultat r where r.patient_id=p.id and r.patient_id=5"
         " limit 1) from patient p"), True, False),
        (("select p.nir, (select json_agg(r) from resultat r where r.patient_id=p.id)"
         " from patient p where p.id=5"), False, True),
        ("select x.nir from (select * from patient where id=5) x", True, True),
        ("with c as (select id,nir from patient) select a.nir, b.nir from c a, c b where a.id=5",
         False, False),
        ("with c as (select * from patient where id=5) select nir from c", True, True),
        # set operations: each branch for itself
        ("select nir from patient where id=1 union all select nir from patient where id=2",
         True, True),
        ("select nir from patient where id=1 union all select nir from patient", True, False),
        # groups
        (("select p.id, max(p.nir), max(r.value) from patient p join resultat r"
         " on r.patient_id=p.id group by p.id"), True, False),
        ("select city, max(nir), min(last_name) from patient group by city", False, False),
        ("select max(nir), min(last_name) from patient", False, False),
        ("select lag(nir) over (order by id), nir from patient", False, False),
        # functions of the map, and others
        ("select lab.patient_json(5)", True, True),
        ("select lab.patient_json(id) from patient", True, False),
        ("select lab.patient_json(id) from patient where id=5", True, True),
        ("select nir, lab.lab_json() from patient where id=5", False, False),
        ("select nir from patient where id=5 and lab.f_inline('x') is null", False, False),
        ("select id, nir from patient join mv_patient using (id, nir) where id=5", True, True),
        (("with recursive w as (select id,nir from patient where id=1 union all select p.id,p.nir"
         " from w join patient p on p.id=w.id+1) select nir from w"), False, False),
    ],
)  # fmt: skip
def test_subjects_of_rows(facts: Facts, text: str, one_subject: bool, bounded: bool) -> None:
    """Links and keys count only where they hold for every row that leaves."""
    found = facts(text)
    assert (found.one_subject_per_row, found.bounded_by_keys) == (one_subject, bounded)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("", None),
        ("limit 10", 10),
        ("limit '10'", 10),
        ("limit all", None),
        ("limit null", None),
        ("limit $1", Parameter(1)),
        ("fetch first 3 rows only", 3),
        ("fetch first row only", 1),
        ("offset 5", None),
    ],
)
def test_row_bound(facts: Facts, tail: str, expected: object) -> None:
    """The bound is LIMIT's of the outermost query."""
    assert facts(f"select nir from patient order by id {tail}").row_bound == expected


def test_a_bound_that_is_not_known(facts: Facts) -> None:
    """WITH TIES and computed limits bound nothing that could be stated."""
    for tail in ("fetch first 1 rows with ties", "limit (select 5)", "limit 5+5"):
        bound = facts(f"select nir from patient order by id {tail}").row_bound
        assert str(bound) == "Unknown.UNKNOWN"
    assert facts("select count(*) from patient").row_bound == 1
