"""Questions about parts of an identity, and those of everyday work that look like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.terms.facts import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts

PROBES = [
    "select 1 from patient where id = 7 and substr(nir, 3, 1) > '4'",
    "select true from patient where id = 7 and substring(nir from 3 for 1) = '4'",
    "select count(*) from patient where id = 7 and nir like '1840%'",
    "select count(*) from patient where id in (7) and nir between '18' and '19'",
    "select exists(select 1 from patient where id = 7 and ascii(last_name) > 77)",
    "select 1 from patient where id = 7 and nir > '184'",
    (
        "select id, nir, last_name from patient where id = 1 and ascii(substring((select"
        " coalesce(cast(nir as text), ' ') from patient order by nir offset 5 limit 1)::text"
        " from 3 for 1)) > 52"
    ),
    "select id, nir from patient where id = 1 and (select nir from patient offset 5 limit 1) > '2'",
    "select * from patient where id = 1 and left((select nir from patient where id = 2), 1) = '2'",
    "select * from patient where id = 1 and (select left(nir, 1) from patient where id = 2) = '2'",
    (
        "select * from patient where id = case when substr((select nir from patient limit 1), 1, 1)"
        " = '1' then 1 else 2 end"
    ),
    "select 1 from patient where id = 7 and nir ~ '^184'",
    "select 1/(case when (select right(nir, 1)::int from patient where id = 7) > 4 then 0 end)",
    "select case when get_byte(nir::bytea, 3) > 50 then 1 end from patient where id = 7",
    "select 1 from (select nir from patient offset 5 limit 1) x where left(nir, 1) = '2'",
    "update patient set sex = sex where id = 7 and left(nir, 1) = '2'",
    "with x as (select left(nir, 1) c from patient where id = 7) select 1 from x where c = '2'",
    "with x as (select left(nir, 1) c from patient where id = 7) select 1 from x where c::int = 2",
    "select count(*) from generate_series(1, (select right(nir, 6)::int from patient where id=7))",
    "select 1 from generate_series(1, 9) limit (select left(nir, 1)::int from patient where id=7)",
    "select pg_sleep(right(nir, 1)::int) from patient where id = 7",
]
EVERYDAY = [
    "select count(*) from patient where nir = '184017512345678'",
    "select exists(select 1 from patient where nir = $1)",
    "select 1 from patient where lower(last_name) = lower($1) and birth_date = $2",
    "select id, last_name from patient where last_name ilike 'dup%' limit 20",
    "select count(*) from patient where last_name ilike '%dup%'",
    "select count(*) from patient where left(nir, 1) = '2'",
    "select last_name from patient where id = 7 and nir like '1%'",
    "select id, nir from patient where nir = (select nir from patient where id = 7)",
    "select id from patient where (select last_name from patient where id = 7) = 'DUPONT'",
    "select nir from patient where left(nir, 3) = (select left(nir, 3) from patient where id = 7)",
    "select id, nir from patient where last_name like (select upper($1) || '%')",
    "select 1 from resultat where patient_id = 7 and value > 4",
    "select 1 from patient where id = 7 and birth_date < '1961-02-03'",
    "update patient set last_name = 'X' where id = 7 and nir = '184'",
    "select unnest(string_to_array(email, '@')) from patient where id = 7",
    "select pg_sleep(1)",
    "select 1 from generate_series(1, 9) limit 3",
]


@pytest.mark.parametrize("sql", PROBES)
def test_a_question_about_a_part_is_seen(facts: Callable[[str], StatementFacts], sql: str) -> None:
    """Comparisons of a computed part, order and patterns of one patient, numbers of rows."""
    assert facts(sql).probes_identity


@pytest.mark.parametrize("sql", EVERYDAY)
def test_everyday_questions_are_not(facts: Callable[[str], StatementFacts], sql: str) -> None:
    """A whole value, a search that shows what it finds, statistics over many."""
    assert not facts(sql).probes_identity


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from generate_series(1, (select right(nir, 6)::int from patient limit 1))",
        "select 1 from generate_series(1, 9) limit (select left(nir, 1)::int from patient limit 1)",
        "select row_number() over () from patient p, generate_series(1, right(p.nir, 6)::int)",
    ],
)
def test_a_number_of_rows_carries_what_says_it(
    facts: Callable[[str], StatementFacts], sql: str
) -> None:
    """Counting what a subject's value made is that value."""
    output = facts(sql).output

    assert isinstance(output, tuple)
    assert [column.provenance for column in output] == [Provenance.DERIVED]


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select value_text from resultat where patient_id between 7 and 7", True),
        ("select value_text from resultat where patient_id % 10000 = 5", True),
        ("select value_text from resultat where patient_id in (7)", True),
        ("select value_text from resultat where patient_id = any($1)", True),
        (("select value from resultat r join patient p on p.id = r.patient_id "
         "where upper(p.last_name) = 'X'"), True),
        (("select value from resultat where patient_id in "
         "(select id from patient where nir = $1)"), True),
        (("with p as (select id from patient where last_name like 'X%') "
         "select value from resultat r, p where p.id = r.patient_id"), True),
        ("select value from resultat where analyse_code = 'GLU'", False),
        (("select value from resultat r join patient p on p.id = r.patient_id "
         "where p.sex = 'F'"), False),
        ("select value from resultat where patient_id is not null", False),
    ],
)  # fmt: skip
def test_whose_values_these_are(
    facts: Callable[[str], StatementFacts], sql: str, names: bool
) -> None:
    """A predicate with a constant on a key or identity tells it, as a column beside would."""
    assert facts(sql).names_subject is names
