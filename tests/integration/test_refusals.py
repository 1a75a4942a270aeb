"""A refused statement, however it comes: a clear error, and everybody agrees on what happened."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

from proxy.wire.encode import SYNC, query
from tests.integration import bare
from tests.integration.conftest import marked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.integration.conftest import RunProgram

pytestmark = pytest.mark.integration

Connection = psycopg.Connection[Any]
ROLE = "lims_app"
REFUSED = "42501"
EVERYBODY = "select nir, last_name from lab.patient"
INSERT = "insert into lab.audit (action) values (%s)"
DETAIL = re.compile(r"^Rule (EX\d{3}), finding ([0-9a-f]{12})\.$")


def by_query(connection: Connection) -> None:
    result = connection.pgconn.exec_(EVERYBODY.encode())
    if result.status == ExecStatus.FATAL_ERROR:
        raise error_from_result(result)


def by_several_in_one_query(connection: Connection) -> None:
    result = connection.pgconn.exec_(f"select 1; {EVERYBODY}; select 2".encode())
    if result.status == ExecStatus.FATAL_ERROR:
        raise error_from_result(result)


def by_parse(connection: Connection) -> None:
    result = connection.pgconn.prepare(b"everybody", EVERYBODY.encode())
    if result.status == ExecStatus.FATAL_ERROR:
        raise error_from_result(result)


def by_parameters(connection: Connection) -> None:
    connection.execute(f"{EVERYBODY} where id > %s".encode(), [0], binary=True)


def by_a_bound_limit(connection: Connection) -> None:
    connection.execute(f"{EVERYBODY} limit %s".encode(), [100_000])


def by_stream(connection: Connection) -> None:
    with connection.cursor() as cursor:
        for _row in cursor.stream(EVERYBODY):
            pytest.fail("a row came")


def by_copy(connection: Connection) -> None:
    with connection.cursor() as cursor, cursor.copy(b"copy lab.patient to stdout") as copy:
        for _block in copy:
            pytest.fail("a row came")


def by_copy_of_a_query(connection: Connection) -> None:
    text = f"copy ({EVERYBODY}) to stdout (format binary)"
    with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
        for _block in copy:
            pytest.fail("a row came")


def by_text(text: str) -> Callable[[Connection], None]:
    def act(connection: Connection) -> None:
        connection.execute(text.encode())

    return act


WAYS: dict[str, Callable[[Connection], None]] = {
    "Query": by_query,
    "several statements": by_several_in_one_query,
    "Parse": by_parse,
    "Parse with parameters": by_parameters,
    "Bind of a LIMIT": by_a_bound_limit,
    "stream": by_stream,
    "COPY of a table": by_copy,
    "COPY of a query": by_copy_of_a_query,
    "PREPARE": by_text(f"prepare everybody as {EVERYBODY}"),
    "DECLARE": by_text(f"declare everybody cursor with hold for {EVERYBODY}"),
    "EXPLAIN ANALYZE": by_text(f"explain analyze create temp table mine as {EVERYBODY}"),
    "CREATE TABLE AS": by_text(f"create temp table mine as {EVERYBODY}"),
    "SELECT INTO": by_text("select nir into temp table mine from lab.patient"),
    "INSERT SELECT": by_text(
        "insert into lab.analyse (code, libelle) select nir, last_name from lab.patient"
    ),
    "view": by_text("select * from lab.v_stock_tubes"),
    "view of its own": by_text(f"create temp view mine as {EVERYBODY}"),
    "folded": by_text("select json_agg(p) from lab.patient p"),
    "error text": by_text("select string_agg(nir, ',')::int from lab.patient"),
    "function": by_text("select * from lab.export_patients()"),
    "function that nobody described": by_text("select lab.lab_json(10000)"),
    "SQL as text": by_text(f"select query_to_xml('{EVERYBODY}', true, true, '')"),
    "DO": by_text("do $$ begin execute 'a' || 1; end $$"),
    "CTE": by_text(f"with everybody as materialized ({EVERYBODY}) table everybody"),
    "UNION": by_text(f"select 'a', 'b' union all {EVERYBODY}"),
    "file": by_text("select pg_read_file('pg_hba.conf')"),
    "syntax": by_text("selec nir from lab.patient"),
    "lexer": by_text("set standard_conforming_strings = off"),
    "role": by_text("set role biologist"),
}


def refused(connection: Connection, way: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        WAYS[way](connection)
    return caught.value


@pytest.mark.parametrize("way", WAYS)
def test_the_driver_is_told_why(lab: Lab, enforcing: VigieProcess, way: str) -> None:
    """SQLSTATE 42501, the rule and the finding in DETAIL; the next statement works."""
    with lab.connect(ROLE, enforcing.port) as connection:
        error = refused(connection, way)
        status = connection.info.transaction_status
        after = connection.execute("select 1").fetchone()

    found = DETAIL.match(error.diag.message_detail or "")
    assert (error.sqlstate, error.diag.severity) == (REFUSED, "ERROR"), str(error)
    assert (error.diag.message_primary or "").startswith("query refused: ")
    assert found is not None, error.diag.message_detail
    assert error.diag.message_hint
    assert error.diag.statement_position is None
    assert found[2] in {one["finding_id"] for one in records(enforcing.audit)}
    assert "vigie_refused" not in str(error)
    assert (status, after) == (TransactionStatus.IDLE, (1,))


@pytest.mark.parametrize("way", WAYS)
def test_a_transaction_aborts(lab: Lab, enforcing: VigieProcess, way: str, mark: str) -> None:
    """As after any other error: 25P02 until its end, COMMIT gives ROLLBACK, nothing is kept."""
    with lab.connect(ROLE, enforcing.port) as connection:
        connection.execute("begin")
        connection.execute(INSERT, [mark])
        refused(connection, way)
        failed = connection.info.transaction_status
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        end = connection.execute("commit").statusmessage
        after = connection.execute("select 1").fetchone()

    assert (failed, end, after) == (TransactionStatus.INERROR, "ROLLBACK", (1,))
    assert marked(lab, mark) == 0


def insert_before(connection: Connection, way: str, mark: str) -> None:
    """Insert, then do what is refused, within a transaction or savepoint."""
    with connection.transaction():
        connection.execute(INSERT, [mark])
        WAYS[way](connection)


@pytest.mark.parametrize("way", ["Query", "Parse with parameters", "COPY of a table", "DECLARE"])
def test_a_savepoint_saves_what_came_before(
    lab: Lab, enforcing: VigieProcess, way: str, mark: str
) -> None:
    """ROLLBACK TO brings the transaction back, and what was before it is committed."""
    with lab.connect(ROLE, enforcing.port) as connection:
        with connection.transaction():
            connection.execute(INSERT, [mark])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                insert_before(connection, way, mark)
            inside = connection.info.transaction_status
        outside = connection.info.transaction_status

    assert (inside, outside) == (TransactionStatus.INTRANS, TransactionStatus.IDLE)
    assert marked(lab, mark) == 1


def insert_around(connection: Connection, mark: str) -> None:
    """Send insert, what is refused, insert before one Sync."""
    with connection.pipeline():
        connection.execute(INSERT, [mark])
        connection.execute(EVERYBODY)
        connection.execute(INSERT, [mark])


def test_in_a_pipeline_all_up_to_the_sync_is_undone(
    lab: Lab, enforcing: VigieProcess, mark: str
) -> None:
    """Insert, refused, insert: no insert is kept; what follows the Sync runs."""
    with lab.connect(ROLE, enforcing.port) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            insert_around(connection, mark)
        after = connection.execute("select 1").fetchone()

    assert after == (1,)
    assert marked(lab, mark) == 0


def test_the_error_keeps_its_place_among_the_answers(lab: Lab, enforcing: VigieProcess) -> None:
    """Extended queries sent at once: the first is answered, the refused one, no other."""
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        wire.send(
            *(bare.parse("", "select 1"), bare.bind("", ""), bare.execute("")),
            *(bare.parse("", EVERYBODY), bare.bind("", ""), bare.execute("")),
            *(bare.parse("", "select 3"), bare.bind("", ""), bare.execute("")),
            *(SYNC, query(b"select 4")),
        )
        first, second = wire.receive_to(), wire.receive_to()

    assert bare.tags(first) == "12DCEZ"
    assert bare.tags(second) == "TDCZ"
    assert bare.error(first)["C"] == REFUSED


def test_a_refused_name_stays_free(lab: Lab, enforcing: VigieProcess) -> None:
    """A name whose Parse was refused can be used; the statement of before does not run for it."""
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        wire.send(bare.parse("", "select 1"), bare.parse("s", EVERYBODY), SYNC)
        refusal = wire.receive_to()
        wire.send(bare.bind("", "s"), bare.execute(""), SYNC)
        unknown = wire.receive_to()
        wire.send(bare.parse("s", "select 2"), bare.bind("", "s"), bare.execute(""), SYNC)
        used = wire.receive_to()

    assert bare.error(refusal)["C"] == REFUSED
    assert bare.error(unknown)["C"] == "26000"
    assert "vigie" not in bare.error(unknown)["M"]
    assert bare.tags(used) == "12DCZ"


@pytest.mark.parametrize(
    "by_bind",
    [False, True],
)
def test_a_bound_limit_of_what_sql_prepared_is_refused(
    lab: Lab, enforcing: VigieProcess, by_bind: bool
) -> None:
    """PREPARE, then EXECUTE or Bind with a LIMIT over any screen: as if it stood in the text."""
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        wire.send(query(b"prepare p(int) as select nir from lab.patient limit $1"))
        wire.receive_to()
        if by_bind:
            wire.send(bare.bind("", "p", "100000"), bare.execute(""), SYNC)
        else:
            wire.send(query(b"execute p(100000)"))
        answers = wire.receive_to()

    assert "D" not in bare.tags(answers)
    assert bare.error(answers)["C"] == REFUSED


@pytest.mark.parametrize("begin", [False, True])
def test_function_call_is_refused(lab: Lab, enforcing: VigieProcess, begin: bool) -> None:
    """The FunctionCall message has its own rule; its answer is an error and ReadyForQuery."""
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        if begin:
            wire.send(query(b"begin"))
            wire.receive_to()
        wire.send(bare.call(1598))  # random()
        answers = wire.receive_to()
        wire.send(query(b"rollback"))
        wire.receive_to()
        wire.send(query(b"select 1"))
        after = wire.receive_to()

    assert bare.tags(answers) == "EZ"
    assert bare.error(answers)["C"] == REFUSED
    assert bare.error(answers)["D"].startswith("Rule EX911, finding ")
    assert answers[-1][1] == (b"E" if begin else b"I")
    assert bare.tags(after) == "TDCZ"


@pytest.mark.parametrize("value", ["database", "true", "yes", "1"])
def test_replication_is_refused_before_the_login(
    lab: Lab, enforcing: VigieProcess, value: str
) -> None:
    """A start-up for replication: one FATAL error, closed; no password was asked for."""
    with bare.dialled(enforcing.port) as wire:
        wire.send(bare.startup(user="backup", database=lab.database, replication=value))
        answers = wire.receive_to()

    error = bare.error(answers)
    assert bare.tags(answers) == "E"
    assert (error["S"], error["C"]) == ("FATAL", REFUSED)
    assert error["M"].startswith("connection refused: ")
    assert re.match(r"Rule EX912, finding ", error["D"])


@pytest.mark.parametrize(
    "parameters",
    [
        {"options": "-c standard_conforming_strings=off"},
        {"standard_conforming_strings": "off"},
        {"client_encoding": "SJIS"},
        {"role": "biologist"},
        {"options": "-crole=biologist"},
    ],
    ids=str,
)
def test_settings_of_a_start_up_are_judged(
    lab: Lab, enforcing: VigieProcess, parameters: dict[str, str]
) -> None:
    """What SET may not do, a start-up may not either."""
    with bare.dialled(enforcing.port) as wire:
        wire.send(bare.startup(user=ROLE, database=lab.database, **parameters))
        answers = wire.receive_to()

    assert bare.tags(answers) == "E"
    assert bare.error(answers)["C"] == REFUSED


def test_asyncpg_is_told(lab: Lab, enforcing: VigieProcess, mark: str) -> None:
    """Its own class for 42501, with the DETAIL; its transaction rolls back, its session goes on."""

    async def act() -> tuple[list[asyncpg.PostgresError], object]:
        errors = []
        connection = await asyncpg.connect(
            host=lab.host,
            port=enforcing.port,
            user=ROLE,
            password=lab.passwords[ROLE],
            database=lab.database,
            ssl=False,
            timeout=20,
        )
        try:
            for statement in (EVERYBODY, f"{EVERYBODY} where id > 0"):
                try:
                    async with connection.transaction():
                        await connection.execute(INSERT.replace("%s", "$1"), mark)
                        await connection.fetch(statement)
                except asyncpg.PostgresError as error:
                    errors.append(error)
            return errors, await connection.fetchval("select 1")
        finally:
            await connection.close()

    errors, after = asyncio.run(act())

    assert [type(one) for one in errors] == [asyncpg.InsufficientPrivilegeError] * 2
    assert all(DETAIL.match(one.detail) for one in errors)
    assert after == 1
    assert marked(lab, mark) == 0


def test_psql_shows_rule_and_hint(lab: Lab, enforcing: VigieProcess, run: RunProgram) -> None:
    """A person sees what was refused and whom to ask, and psql goes on."""
    done = run(
        "psql", "-X", "-At", role=ROLE, port=enforcing.port, stdin=f"{EVERYBODY};\nselect 7;"
    )

    assert done.stdout == "7\n"
    assert re.search(
        r"^ERROR:  query refused: reads every row of lab\.patient$", done.stderr, re.MULTILINE
    )
    assert re.search(r"^DETAIL:  Rule EX101, finding [0-9a-f]{12}\.$", done.stderr, re.MULTILINE)
    assert "\nHINT:  " in done.stderr
    assert str(lab.patients) not in done.stderr


def test_pg_dump_of_an_application_role_is_refused(
    lab: Lab, enforcing: VigieProcess, run: RunProgram
) -> None:
    """It stops with the rule, and no patient is in what it wrote."""
    done = run("pg_dump", "--table=lab.patient", role=ROLE, port=enforcing.port)

    assert done.returncode != 0
    assert "Rule EX10" in done.stderr
    known = lab.keys()
    assert not [key for key in known if key.decode() in done.stdout]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
