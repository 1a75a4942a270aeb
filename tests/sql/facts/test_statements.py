"""Kinds of statements, what they write and make, and names of cursors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.terms.facts import Kind
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts

    Facts = Callable[[str], StatementFacts]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("table patient", "select"),
        ("values (1)", "select"),
        ("insert into patient(id) values (1)", "insert"),
        ("merge into patient p using qc_mesure a on false when matched then delete", "merge"),
        ("copy (select 1) to stdout", "copy_out"),
        ("copy patient from stdin", "copy_in"),
        ("declare c cursor for select 1", "declare"),
        ("move all in c", "fetch"),
        ("close all", "close"),
        ("prepare p as select 1", "prepare"),
        ("execute p(1)", "execute"),
        ("deallocate all", "deallocate"),
        ("explain select 1", "explain"),
        ("explain (analyze off) select 1", "explain"),
        ("explain analyze select 1", "explain_analyze"),
        ("do $$ begin end $$", "do"),
        ("call lab.valider(1,2)", "call"),
        ("select 1 into x", "create_table_as"),
        ("create table x as select 1", "create_table_as"),
        ("create materialized view x as select 1", "create_table_as"),
        ("create view x as select 1", "create_view"),
        ("create function f() returns int language sql as 'select 1'", "create_code"),
        ("create operator @@@ (function=f, leftarg=int)", "create_code"),
        ("create aggregate a(int) (sfunc=f, stype=int)", "create_code"),
        ("create rule r as on insert to patient do nothing", "create_code"),
        ("create extension dblink", "create_code"),
        ("create table x(a int)", "ddl"),
        ("alter table patient add x int", "ddl"),
        ("drop table patient", "ddl"),
        ("create index on patient(id)", "ddl"),
        ("truncate patient", "ddl"),
        ("grant select on patient to x", "grant"),
        ("set x.y=1", "set"),
        ("discard all", "set"),
        ("show all", "show"),
        ("begin isolation level serializable read only", "transaction"),
        ("savepoint a", "transaction"),
        ("vacuum patient", "maintenance"),
        ("lock table patient", "maintenance"),
        ("notify c", "notify"),
        ("unlisten *", "listen"),
        ("-- nothing", "empty"),
        ("selec 1", "opaque"),
    ],
)
def test_kind(facts: Facts, text: str, kind: str) -> None:
    """The kind is the grammar's, never a guess from the first word."""
    assert facts(text).kind is Kind(kind)


def test_cursor_and_prepared_names(facts: Facts) -> None:
    """Names bind a later FETCH or EXECUTE to the facts of the query."""
    declared = facts("declare c cursor for select nir from patient")
    assert (declared.cursor, declared.returns_rows) == ("c", False)
    assert declared.subject_relations == {Relation("lab", "patient")}
    assert facts("fetch 20 from c").row_bound == 20
    assert facts("fetch all from c").row_bound is None
    assert facts("fetch backward 7 from c").row_bound == 7
    assert facts("prepare p as select nir from patient").prepared == "p"
    assert facts("execute p").returns_rows


@pytest.mark.parametrize(
    "text",
    [
        "create table staging.x as select nir from patient",
        "select nir into temp x from patient",
        "create materialized view staging.x as select nir::bigint*3 from patient",
        "insert into qc_mesure(automate) select nir from patient",
        "insert into qc_mesure(automate) values ((select string_agg(nir,'') from patient))",
        "update qc_mesure set automate=p.nir from patient p",
        (
            "merge into qc_mesure m using patient p on m.id=p.id when not matched then"
            " insert (id,automate) values (p.id,p.nir)"
        ),
        "update patient set address=(select string_agg(nir,'') from patient) where id=1",
        "with x as (insert into qc_mesure(automate) select nir from patient) select 1",
    ],
)
def test_copies_of_subjects_are_staging(facts: Facts, text: str) -> None:
    """Data of subjects in another relation, or of many in one value, is a copy."""
    assert facts(text).stages


@pytest.mark.parametrize(
    "text",
    [
        (
            "insert into resultat_archive select id,patient_id,analyse_code,value,unit,validated_at"
            " from resultat"
        ),
        "create temp table q(id bigint)",
        "create table x as select count(*) from patient",
        "create table x as select code from lab.analyse",
        "update patient set city=initcap(city)",
        "insert into qc_mesure(id,value) values (1,2.5)",
        "explain create table x as select nir from patient",
    ],
)
def test_moves_within_their_place_are_not(facts: Facts, text: str) -> None:
    """Archiving, corrections and statistics stage nothing."""
    assert not facts(text).stages


@pytest.mark.parametrize(
    "text",
    [
        "update patient set address=(select nir from patient where id=2) where id=1",
        "update patient p set address=q.nir from patient q where p.id=1 and q.id=2",
        "update resultat set value_text=(select last_name from patient where id=2) where id=1",
        "update resultat r set value_text=p.nir from patient p where p.id=r.patient_id",
        (
            "insert into commentaire_pathologie(id,patient_id,texte)"
            " select id,7,last_name from patient where id=2"
        ),
        "insert into resultat(id,patient_id,unit) select id,patient_id,value_text from resultat",
        (
            "merge into patient p using patient q on p.id=1 and q.id=2"
            " when matched then update set address=q.nir"
        ),
    ],
)
def test_another_subjects_row_is_another_place(facts: Facts, text: str) -> None:
    """There, or in a column that nobody counts, a value would be received as something else."""
    assert facts(text).stages


@pytest.mark.parametrize(
    "text",
    [
        "update patient p set address=q.city from patient q where q.id=p.id",
        "update patient set city=upper(address) where id=1",
        (
            "update resultat r set flag=case when r.value > a.ref_high then 'H' end from analyse a"
            " where a.code=r.analyse_code"
        ),
        "insert into patient(id,nir,last_name) values (1,'x','y')",
        "insert into commentaire_pathologie(id,patient_id,texte) values (1,2,'x')",
        (
            "insert into resultat_archive(id,patient_id,value) select r.id,r.patient_id,r.value"
            " from resultat r join patient p on p.id=r.patient_id where p.city='Brest'"
        ),
    ],
)
def test_a_subjects_own_row_is_no_other_place(facts: Facts, text: str) -> None:
    """Corrections, and archives that keep the key, stage nothing."""
    assert not facts(text).stages


def test_what_a_statement_makes(facts: Facts) -> None:
    """New and renamed relations are named with their schema."""
    assert facts("create table x as select 1").creates == {Relation("lab", "x")}
    assert facts("create temp table x(a int)").creates == {Relation("pg_temp", "x")}
    assert facts("alter table lab.patient rename to y").creates == {Relation("lab", "y")}
    assert facts("delete from patient").writes == {Relation("lab", "patient")}


@pytest.mark.parametrize(
    "text",
    [
        "do $$ begin execute 'select ' || 1; end $$",
        "call lab.unheard_of()",
        "select 1 where",
        "execute p(lab.lab_json())",
    ],
)
def test_what_cannot_be_read_is_opaque(facts: Facts, text: str) -> None:
    """Opaque is said, with a reason that quotes nothing."""
    assert facts(text).opaque
    assert facts(text).reads_subjects


def test_session_and_catalog_changes(facts: Facts) -> None:
    """Only what changes how later statements are read is a change of the session."""
    for text in ("set search_path=x", "reset all", "discard all", "set role x"):
        assert facts(text).changes_session
    for text in ("set statement_timeout=1", "set time zone 'UTC'", "begin"):
        assert not facts(text).changes_session
    for text in ("create temp table x(a int)", "select 1 into x", "do $$ x $$", "drop view v"):
        assert facts(text).changes_catalog
    assert not facts("truncate patient").changes_catalog
