"""Calls of the database's own functions are judged by what their bodies do."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from proxy.sql import Analyser, build_catalog
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance, SideDoor
from proxy.terms.relation import Relation
from proxy.terms.unknown import UNKNOWN
from tests.data.lab_catalog import LAB_MAP, LAB_RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.sql import Catalog
    from proxy.terms.facts import StatementFacts

PATIENT: Final = Relation("lab", "patient")
MAP: Final = replace(LAB_MAP, functions={})
# name: (parameters and result, language and options, body)
FUNCTIONS: Final[dict[str, tuple[str, str, str]]] = {
    "by_id": ("(p_id bigint) RETURNS SETOF patient", "sql STABLE",
              "select * from patient where id = p_id"),
    "nir_of": ("(p_id bigint) RETURNS text", "sql", "select nir from lab.patient where id = $1"),
    "everybody": ("() RETURNS TABLE(a bigint, b text)", "sql", "select id, nir from patient"),
    "how_many": ("() RETURNS bigint", "sql", "select count(*) from patient"),
    "packed": ("() RETURNS text", "sql", "select string_agg(nir, ',') from patient"),
    "discards": ("() RETURNS int", "sql",
                 "select array_agg(nir)::text::int from patient; select 1"),
    "age": ("(d date) RETURNS integer", "sql IMMUTABLE", "select (current_date - d) / 365"),
    "those": ("(VARIADIC ids bigint[]) RETURNS SETOF patient", "sql",
              "select * from patient where id = any(ids)"),
    "shadowed": ("(nir text) RETURNS SETOF text", "sql", "select nir from patient"),
    "by_default": ("(p_id bigint DEFAULT 7) RETURNS SETOF patient", "sql",
                   "select * from patient where id = p_id"),
    "logs": ("(m text) RETURNS void", "sql", "insert into lab.analyse(code) values (m)"),
    "elsewhere": ("() RETURNS SETOF text", "sql SET search_path TO 'public'",
                  "select nir from patient"),
    "calls": ("(p_id bigint) RETURNS text", "sql", "select lab.nir_of(p_id)"),
    "factorial": ("(n int) RETURNS int", "sql",
                  "select case when n = 0 then 1 else n * lab.factorial(n - 1) end"),
    "strange": ("() RETURNS int", "c", "strange"),
    "identifies": ("() RETURNS int", "sql SET role TO 'dba'", "select 1"),
    "p_by_id": ("(p_id bigint) RETURNS SETOF patient", "plpgsql",
                "begin return query select * from patient p where p.id = p_id; end"),
    "p_into": ("(p_id bigint) RETURNS text", "plpgsql",
               ("declare v text; begin select nir into v from patient where id = p_id;"
               " return v; end")),
    "p_two": ("(p_nir text) RETURNS SETOF resultat", "plpgsql",
              ("declare v bigint; begin select id into v from patient where nir = p_nir;"
              " return query select * from resultat r where r.patient_id = v; end")),
    "p_gathers": ("() RETURNS text", "plpgsql",
                  ("declare r record; acc text; begin for r in select * from patient loop"
                  " acc := concat(acc, r.nir); end loop; return acc; end")),
    "p_spells": ("(p_id bigint) RETURNS text", "plpgsql",
                 ("declare o text; begin for i in 1..15 loop if substr((select nir from patient"
                 " where id = p_id), i, 1) = '1' then o := o || '1'; end if; end loop;"
                 " return o; end")),
    "p_mixes": ("(p_id bigint) RETURNS TABLE(i bigint, n text)", "plpgsql",
                ("declare v text; begin select nir into v from patient where sex = 'F' limit 1;"
                " return query select p.id, v from patient p where p.id = p_id; end")),
    "p_shows": ("(p_id bigint) RETURNS void", "plpgsql",
                "begin raise notice '%', (select nir from patient where id = p_id); end"),
    "p_built": ("(t text) RETURNS SETOF text", "plpgsql",
                "begin return query execute format('select nir from %I', t); end"),
    "p_executes": ("(p_id bigint) RETURNS SETOF text", "plpgsql",
                   ("begin return query execute 'select nir::text from lab.patient where id = $1'"
                   " using p_id; end")),
    "p_pure": ("(a int, b int) RETURNS int", "plpgsql",
               "declare c int := a; begin for i in 1..b loop c := c + i; end loop; return c; end"),
    "p_folds": ("(p_id bigint) RETURNS text", "plpgsql",
                ("begin perform (select array_agg(nir) from patient)::text::int;"
                " return (select p.sex from patient p where p.id = p_id); end")),
    "p_parks": ("() RETURNS SETOF text", "plpgsql",
                ("begin insert into lab.analyse(code) select nir from patient;"
                 " return query select a.code from lab.analyse a; end")),
    "p_hidden": ("() RETURNS int", "plpgsql",
                 "#variable_conflict use_variable\nbegin return 1; end"),
    "p_file": ("() RETURNS text", "plpgsql", "begin return pg_read_file('/etc/passwd'); end"),
}  # fmt: skip


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """Return the laboratory's catalog with these functions."""
    results = deepcopy(LAB_RESULTS)
    results[5] = [row for row in results[5] if row[7]]
    for number, (name, (head, options, body)) in enumerate(FUNCTIONS.items()):
        language = options.split()[0]
        text = f"CREATE OR REPLACE FUNCTION lab.{name}{head} LANGUAGE {options} AS $f$ {body} $f$"
        row = [str(40000 + number), "lab", name, "f", "v", language, "f", "", "dba"]
        results[5].append([*row, text if language != "c" else None])
    results[6].append(["16588", str(40000 + [*FUNCTIONS].index("age"))])
    results[6].append(["16592", str(40000 + [*FUNCTIONS].index("everybody"))])
    return build_catalog(results, MAP)


@pytest.fixture(scope="module")
def facts(catalog: Catalog) -> Callable[[str], StatementFacts]:
    """Return a function from the text of one statement to its facts."""
    analyser = Analyser(MAP)

    def analyse(text: str) -> StatementFacts:
        (found,) = analyser.analyse(text.encode(), encoding="UTF8", catalog=catalog)
        return found

    return analyse


@pytest.mark.parametrize(
    ("text", "classes", "bounded"),
    [
        ("select * from lab.by_id(17)", "key identity quasi none", True),
        ("select * from lab.by_id($1)", "key identity quasi none", True),
        ("select lab.nir_of(17)", "identity", True),
        ("select lab.nir_of(id) from patient where id = 5", "identity", True),
        ("select lab.nir_of(id) from patient", "identity", False),
        ("select p.* from resultat r, lateral lab.by_id(r.patient_id) p where r.patient_id = 4",
         "key identity quasi none", True),
        ("select * from lab.everybody()", "key identity", False),
        ("select lab.how_many()", "", False),
        ("select * from lab.those(1, 2)", "key identity quasi none", True),
        ("select * from lab.those(variadic $1)", "key identity quasi none", True),
        ("select * from lab.shadowed('x')", "identity", False),
        ("select * from lab.by_default()", "key identity quasi none", True),
        ("select * from lab.by_id(p_id => 5)", "key identity quasi none", True),
        ("select lab.calls(5)", "identity", True),
        ("select * from lab.p_by_id(17)", "key identity quasi none", True),
        ("select lab.p_into(17)", "identity", True),
        ("select patient_id, value from lab.p_two('1')", "key health", True),
        ("select lab.p_spells(17)", "identity", True),
        ("select * from lab.p_mixes(17)", "key identity", False),
        ("select * from lab.p_executes(17)", "identity", True),
    ],
)  # fmt: skip
def test_what_is_read_within_is_read_by_the_caller(
    facts: Callable[[str], StatementFacts], text: str, classes: str, bounded: bool
) -> None:
    """With the caller's keys, and with the classes of what is returned."""
    found = facts(text)

    assert found.opaque is None
    assert not found.unknown_functions
    assert PATIENT in found.subject_relations
    assert {one.value for one in found.classes} <= set(classes.split())
    assert ("identity" in classes) <= ("identity" in {one.value for one in found.classes})
    assert found.bounded_by_keys == bounded


@pytest.mark.parametrize("text", ["packed()", "discards()", "p_gathers()", "p_folds(5)"])
def test_what_is_put_together_within_is_folded(
    facts: Callable[[str], StatementFacts], text: str
) -> None:
    """Also where it is gathered row by row, or only an error could show it."""
    found = facts(f"select lab.{text}")

    assert found.folds is True
    assert not found.bounded_by_keys


@pytest.mark.parametrize("text", ["age('2000-01-01')", "p_pure(1, 2)", "factorial(3)"])
def test_a_body_that_touches_nobody_is_harmless(
    facts: Callable[[str], StatementFacts], text: str
) -> None:
    """It is as a built-in: its result carries what its arguments do."""
    found = facts(f"select lab.{text}")

    assert not found.reads_subjects
    output = facts("select lab.age(birth_date) from patient where id = 3").output
    assert output is not UNKNOWN
    (column,) = output
    assert column.provenance is Provenance.DERIVED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("strange()", "is in c"),
        ("identifies()", "sets role"),
        ("p_shows(4)", "shows subjects' data in a message"),
        ("p_built('patient')", "executes a text that is put together when it runs"),
        ("p_hidden()", "variables hide columns (#variable_conflict use_variable)"),
    ],
)
def test_what_cannot_be_read_is_unknown_with_a_reason(
    facts: Callable[[str], StatementFacts], text: str, reason: str
) -> None:
    """As before bodies were read; ``vigie explain`` tells the reason."""
    name = f"lab.{text.partition('(')[0]}"
    found = facts(f"select lab.{text}")

    assert found.unknown_functions == {name}
    assert found.unread == ((name, reason),)
    assert found.output is UNKNOWN or found.output[0].provenance is Provenance.UNKNOWN


def test_names_mean_what_they_mean_within(facts: Callable[[str], StatementFacts]) -> None:
    """A function's own search_path decides, not its caller's."""
    found = facts("select * from lab.elsewhere()")

    assert Relation("", "patient") in found.unknown_relations


def test_writes_and_doors_within_are_the_callers(facts: Callable[[str], StatementFacts]) -> None:
    """What is passed in is copied; a file is a file."""
    assert facts("select lab.logs(nir) from patient").stages
    assert not facts("select lab.logs('x')").stages
    assert facts("select lab.logs('x')").writes == {Relation("lab", "analyse")}
    parked = facts("select * from lab.p_parks()")
    assert parked.stages
    assert parked.folds is UNKNOWN  # what was put there comes back
    found = facts("select lab.p_file()")
    assert SideDoor.FILE in found.side_doors


def test_a_view_may_call_what_is_harmless(facts: Callable[[str], StatementFacts]) -> None:
    """And nothing is said of it that the text does not have; any other function is unknown."""
    harmless = facts("select * from lab.v_worklist where id = 3")
    assert not harmless.unknown_functions
    assert not harmless.disagreements
    assert facts("select * from lab.v_stock_tubes").unknown_functions == {"lab.everybody"}


def test_a_function_that_may_be_another_by_now_is_not_read(catalog: Catalog) -> None:
    """In the text or transaction that makes functions, nobody knows what they do."""
    analyser = Analyser(MAP)
    text = b"create or replace function lab.age(date) returns int language sql as 'x';"
    both = analyser.analyse(text + b"select lab.age(now()::date)", encoding="UTF8", catalog=catalog)
    (later,) = analyser.analyse(
        b"select lab.age(now()::date)", encoding="UTF8", catalog=catalog.without_bodies()
    )

    assert both[1].unknown_functions == later.unknown_functions == {"lab.age"}


@pytest.mark.parametrize(
    ("body", "opaque"),
    [
        ("begin perform 1; end", False),
        (
            "begin if exists (select from pg_roles) then create table t (a int); end if; end",
            False,
        ),
        ("begin insert into lab.analyse(code) values ('a'); end", False),
        ("begin perform nir from lab.patient; end", True),
        ("begin delete from lab.patient; end", True),
        ("begin execute 'drop table ' || current_user; end", True),
        ("begin create function f() returns int language sql as 'select 1'; end", True),
        ("begin perform 1", True),
        ("begin raise notice '%', pg_read_file('x'); end", True),
    ],
)
def test_a_block_that_touches_nobody_is_not_opaque(
    facts: Callable[[str], StatementFacts], body: str, opaque: bool
) -> None:
    """It can show what it reads by messages alone, so it may read nobody."""
    assert (facts(f"do $$ {body} $$").opaque is not None) == opaque


@pytest.mark.parametrize(
    "sql",
    [
        "select * from lab.by_id(7)",
        "select lab.nir_of(7)",
        "select id from patient where id = 7 and lab.nir_of(7) = '1'",
        "select 1 where lab.shadowed('1') is not null",
        "select a from lab.everybody()",
        "select lab.calls(7)",
        "select * from lab.p_by_id(7)",
        "select 1 from patient where lab.p_into(7) = 'x'",
        "select count(*) from lab.p_two('1')",
        "select lab.p_gathers()",
        "select lab.p_spells(7)",
        "select * from lab.p_mixes(7)",
        "select * from lab.p_executes(7)",
        "select lab.p_folds(7)",
        "select lab.discards()",
    ],
)
def test_what_a_body_does_with_identities_is_a_use(
    facts: Callable[[str], StatementFacts], sql: str
) -> None:
    """Compared, put into a variable or given: a mask would have to be in the body."""
    found = facts(sql)

    assert ColumnClass.IDENTITY in found.used_classes or found.unknown_functions
