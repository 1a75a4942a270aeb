"""What a call really reads is in Vigie's facts of it, or the function is unknown.

The judge is PostgreSQL: a transaction holds a lock on each relation it has read, through whatever
functions. The definitions are those that the server gives back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from proxy.demo.postgres import SUPERUSER
from proxy.sql import CATALOG_QUERY, Analyser, build_catalog
from tests.sql.facts.test_bodies import FUNCTIONS, MAP

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.sql import Catalog
    from proxy.terms.facts import StatementFacts

pytestmark = pytest.mark.integration

CALLS = [
    "select * from lab.by_id(17)", "select lab.nir_of(17)", "select * from lab.everybody()",
    "select lab.how_many()", "select lab.packed()", "select lab.discards()",
    "select lab.age('2000-01-01'::date)", "select * from lab.those(1, 2)",
    "select * from lab.shadowed('x')", "select * from lab.by_default()", "select lab.logs('x')",
    "select lab.calls(5)", "select lab.factorial(4)", "select lab.identifies()",
    "select * from lab.p_by_id(17)", "select lab.p_into(17)", "select * from lab.p_two('1')",
    "select lab.p_gathers()", "select lab.p_spells(3)", "select * from lab.p_mixes(17)",
    "select lab.p_shows(4)", "select lab.p_built('patient')", "select * from lab.p_executes(17)",
    "select lab.p_pure(1, 2)", "select lab.p_folds(5)", "select lab.p_hidden()",
    "select lab.by_trigger(5)", "call lab.procedure(5, null)",
    "select * from lab.v_worklist w, lateral lab.by_id(w.id) limit 1",
    "select (select lab.nir_of(p.id)) from lab.patient p limit 1",
    "do $$ begin perform lab.p_into(4); end $$",
]  # fmt: skip
MORE = [
    (
        "create function lab.by_trigger(p_id bigint) returns void language plpgsql as $$"
        " begin update lab.patient set city = city where id = p_id; end $$"
    ),
    (
        "create procedure lab.procedure(p_id bigint, inout x text) language plpgsql as $$"
        " begin select nir into x from lab.patient where id = p_id; end $$"
    ),
]
# Its making holds a lock on what it reads: so it comes last.
ATOMIC = (
    "create function lab.atomic(p_id bigint) returns text language sql begin atomic"
    " select last_name from patient where id = p_id; end"
)
LOCKED = """
select n.nspname || '.' || c.relname from pg_locks l join pg_class c on c.oid = l.relation
join pg_namespace n on n.oid = c.relnamespace
where l.pid = pg_backend_pid() and l.database = (select oid from pg_database
    where datname = current_database()) and c.oid >= 16384 and c.relkind in ('r', 'v', 'm', 'p')
"""


def read_within(connection: psycopg.Connection) -> Catalog:
    """Return the catalog as this transaction sees it."""
    results = []
    for text in CATALOG_QUERY.split(";\n"):
        rows = connection.execute(text.encode()).fetchall()
        results.append([[_as_text(value) for value in row] for row in rows])
    return build_catalog(results, MAP)


def _as_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "t" if value else "f"
    return None if value is None else str(value)


def locked(connection: psycopg.Connection, call: str) -> set[str]:
    """Return what a call has read; nothing of one that failed, whose locks are gone."""
    connection.execute("savepoint before")
    try:
        connection.execute(call.encode())
        return {str(name) for (name,) in connection.execute(LOCKED.encode())}
    except psycopg.Error:
        return set()
    finally:
        connection.execute("rollback to savepoint before")


def test_what_is_read_within_is_known(lab: Lab) -> None:
    """For functions of all kinds; nothing of them is left behind."""
    with lab.connect(SUPERUSER) as connection:
        connection.autocommit = False
        connection.execute("set local search_path to lab, public")
        connection.execute("set local check_function_bodies to off")
        for name, (head, options, body) in FUNCTIONS.items():
            if options.startswith("c") or name == "p_file":
                continue
            made = f"create or replace function lab.{name}{head} language {options}"
            connection.execute(f"{made} as $f$ {body} $f$".encode())
        for text in MORE:
            connection.execute(text.encode())
        catalog = read_within(connection)
        analyser, missed, known, ran = Analyser(MAP), [], 0, 0
        for call in CALLS:
            (facts,) = analyser.analyse(call.encode(), encoding="UTF8", catalog=catalog)
            read = locked(connection, call)
            ran += bool(read)
            if facts.opaque is not None or facts.unknown_functions:
                continue
            known += 1
            missed += [(call, one) for one in read - _named(facts)]
        connection.execute(ATOMIC.encode())
        (parsed,) = analyser.analyse(
            b"select lab.atomic(5)", encoding="UTF8", catalog=read_within(connection)
        )
        connection.rollback()

    assert "lab.patient" in _named(parsed)
    assert parsed.bounded_by_keys
    assert missed == []
    assert known > 20
    assert ran > 20


def _named(facts: StatementFacts) -> set[str]:
    return {str(one) for one in facts.relations | facts.writes | facts.unknown_relations}
