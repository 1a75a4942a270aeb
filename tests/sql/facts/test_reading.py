"""Columns that are more than given as they are: each use of an identity is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.terms.column_class import ColumnClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts

USES = [
    "select id from patient where nir = '1'",
    "select id from patient where nir is null",
    "select upper(nir) from patient",
    "select nir::text from patient",
    "select nir || 'x' from patient",
    "select count(nir) from patient",
    "select string_agg(nir, ',') from patient",
    "select max(last_name) from patient group by id",
    "select row(p.*) from patient p",
    "select row(p) from patient p",
    "select count(p) from patient p",
    "select (p).nir from patient p",
    "select case when nir > '2' then 1 end from patient",
    "select id from patient order by nir",
    "select id, nir from patient order by 2",
    "select id, nir as x from patient order by x",
    "select * from patient order by last_name desc",
    "select distinct nir from patient",
    "select distinct on (nir) id from patient",
    "select distinct on (2) id, nir from patient",
    "select id, nir n from patient union select 1, 'x'",
    "select nir from patient intersect all select 'x'",
    "select nir from patient except select 'x'",
    "select nir from patient group by nir",
    "select nir as x from patient group by x",
    "select id, nir from patient group by 1, 2",
    "select nir, count(*) from patient group by rollup (1)",
    "select id from patient group by id having min(nir) > '2'",
    "select id, rank() over (order by nir) from patient",
    "select id, count(*) over w from patient window w as (partition by nir)",
    "select a.id from patient a join patient b using (nir)",
    "select a.id from patient a natural join patient b",
    "select a.id from patient a join patient b on a.nir = b.nir",
    "select id from patient where exists (select 1 where nir = '1')",
    "select id from patient where id in (select id from patient where nir = '1')",
    "select id from patient where '1' in (select nir from patient)",
    "select (select nir from patient where id = 1)",
    "select array(select nir from patient)",
    "select id from (select id, nir from patient) x where nir = '1'",
    "with x as (select id, nir n from patient) select id from x where n = '1'",
    "with x as (select nir n from patient) select id from patient, x where n < '1'",
    "select x from patient p, lateral (values (p.nir)) v(x)",
    "select g from patient p, lateral unnest(array[p.nir]) g",
    "select id from patient limit (select length(nir) from patient where id = 1)",
    "update patient set phone = nir where id = 1",
    "update patient set (phone, email) = (select nir, nir from patient where id = 2)",
    "update patient set phone = 'x' where nir = '1'",
    "delete from patient where nir = '1'",
    "insert into medecin (last_name) select nir from patient",
    "insert into patient (id) values (1) on conflict (id) do update set phone = patient.nir",
    "create table t as select nir from patient",
    "select nir into temp t from patient",
    "create view v as select nir from patient",
    "explain select id from patient where nir = '1'",
    "declare c cursor for select id from patient order by nir",
    "prepare q as select id from patient where nir = $1",
    "copy (select id from patient where nir like '1%') to stdout",
    "with recursive r(n, t) as (select 1, nir from patient union table r) select n from r",
]
PLAIN = [
    "select nir from patient",
    "select * from patient where id = 1",
    "select p.* from patient p order by id",
    "select (p).* from patient p",
    "select x.n from (select nir n from patient) x",
    "with x as (select * from patient) select nir from x where id > 3",
    "select nir from patient union all select 'x'",
    "select id, nir from patient order by 1",
    "select nir n, id from patient order by id desc limit 3",
    "select distinct on (id) id, nir from patient",
    "select p.nir, r.value from patient p join resultat r on r.patient_id = p.id",
    "select id from patient where exists (select nir from patient)",
    "select count(*) from patient",
    "update patient set nir = 'x' where id = 1 returning nir",
    "insert into patient (id, nir) values (1, 'x') returning id, nir",
    "copy lab.patient to stdout",
    "declare c cursor for select nir from patient",
    "select ref_tube from v_stock_tubes",
]


@pytest.mark.parametrize("sql", USES)
def test_a_use_is_seen(facts: Callable[[str], StatementFacts], sql: str) -> None:
    """In predicates, expressions, orders, groups and writes, through queries and by number."""
    assert ColumnClass.IDENTITY in facts(sql).used_classes


@pytest.mark.parametrize("sql", PLAIN)
def test_a_column_that_is_only_given_is_not_used(
    facts: Callable[[str], StatementFacts], sql: str
) -> None:
    """Through views, WITH, subqueries and UNION ALL it is still the column."""
    assert facts(sql).used_classes.isdisjoint({ColumnClass.IDENTITY, ColumnClass.UNKNOWN})


def test_a_union_keeps_the_class_that_is_less_sensitive(
    facts: Callable[[str], StatementFacts],
) -> None:
    """A health value in a column of names is still one."""
    found = facts("select last_name from patient union all select value_text from resultat")

    assert isinstance(found.output, tuple)
    assert found.output[0].classes == {ColumnClass.IDENTITY, ColumnClass.HEALTH}
