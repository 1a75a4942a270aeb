"""What is allowed passes as if nothing stood between: every message is compared, both ways."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import asyncpg
import psycopg
import pytest
from psycopg import sql
from psycopg.pq import Trace, TransactionStatus

from proxy.demo.postgres import SUPERUSER
from proxy.wire.encode import FLUSH, SYNC, copy_fail, frame, query
from tests.integration import bare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie
    from tests.integration.conftest import RunProgram

pytestmark = pytest.mark.integration

Connection = psycopg.Connection[Any]
Scenario = Callable[[Connection], object]
MIB = 1024 * 1024
ROLE = "dba"  # may make what it likes, and is held back only by its budget
SCHEMA = """
create schema mirror;
create table mirror.thing (
  id int primary key, name text not null unique, at timestamptz, weight numeric check (weight > 0)
);
insert into mirror.thing
  select n, 'thing ' || n, timestamptz '2026-01-01' + n * interval '1 day', n / 7.0
  from generate_series(1, 500) n;
create table mirror.big (id int, content bytea);
"""


@pytest.fixture(scope="module")
def through(lab: Lab, module_vigie: StartVigie) -> Iterator[VigieProcess]:
    """A proxy in front of the laboratory and a schema of nobody's data."""
    with lab.connect(SUPERUSER) as connection:
        connection.execute(SCHEMA.encode())
    yield module_vigie()
    with lab.connect(SUPERUSER) as connection:
        connection.execute("drop schema mirror cascade")


def attempt(connection: Connection, statement: str) -> None:
    """Run a statement that may fail; what came back is in the trace."""
    try:
        cursor = connection.execute(statement.encode())
        while cursor.nextset():
            pass
    except psycopg.Error:
        pass


def each(*statements: str) -> Scenario:
    def scenario(connection: Connection) -> object:
        for statement in statements:
            attempt(connection, statement)
        return connection.info.transaction_status

    return scenario


def values_of_many_types(connection: Connection) -> object:
    text = (
        "select %s::int, %s::text, %s::numeric, null, true, '{1,2}'::int[], %s::jsonb,"
        " '\\x00ff'::bytea, row(1, 'a'), interval '1 day', 'é€😀'"
    )
    values = (7, "it's", 1.5, '{"a": 1}')
    rows = [connection.execute(text, values).fetchall()]
    rows += [connection.execute(text, values, binary=True).fetchall()]
    return rows


def prepared_statements(connection: Connection) -> object:
    found = [
        connection.execute("select name from mirror.thing where id = %s", [n], prepare=True)
        for n in (1, 2, 9999)
    ]
    attempt(connection, "deallocate all")
    attempt(connection, "discard all")
    return [cursor.fetchall() for cursor in found]


def cursors(connection: Connection) -> object:
    with connection.transaction(), connection.cursor("walk", scrollable=True) as cursor:
        cursor.execute("select id, name from mirror.thing order by id")
        found: list[object] = [cursor.fetchmany(7), cursor.fetchone()]
        cursor.scroll(-3)
        found.append(cursor.fetchmany(200))
    with connection.cursor("held", withhold=True) as cursor:
        cursor.execute("select id from mirror.thing order by id limit 20")
        found.append(cursor.fetchall())
    return found


def a_pipeline_of_a_thousand(connection: Connection) -> object:
    with connection.pipeline():
        found = [connection.execute("select %s::int + 1", [n]) for n in range(1000)]
    return [cursor.fetchone() for cursor in found]


def a_pipeline_with_an_error(connection: Connection) -> object:
    outcomes: list[object] = []
    with connection.pipeline() as pipeline:
        for n in (1, 0, 2):
            cursor = connection.execute("select 10 / %s::int", [n])
            try:
                outcomes.append(cursor.fetchone())
            except psycopg.Error as error:
                outcomes.append(error.sqlstate)
        try:
            pipeline.sync()
        except psycopg.Error as error:
            outcomes.append(error.sqlstate)
        outcomes.append(connection.execute("select 5").fetchone())
    return outcomes


def nested_transactions(connection: Connection) -> object:
    seen = []
    with connection.transaction():
        attempt(connection, "update mirror.thing set weight = weight where id < 10")
        for statement in ("select 1", "select 1 / 0", "insert into mirror.thing values (1, 'x')"):
            try:
                with connection.transaction():
                    connection.execute(statement.encode())
            except psycopg.Error as error:
                seen.append((error.sqlstate, connection.info.transaction_status))
    return seen, connection.info.transaction_status


def a_failed_transaction(connection: Connection) -> object:
    seen = []
    for statement in ("begin", "select 1 / 0", "select 1", "commit", "select 1"):
        attempt(connection, statement)
        seen.append(connection.info.transaction_status)
    return seen


def copy_both_ways(connection: Connection) -> object:
    found = []
    for form in ("text", "csv, header", "binary"):
        out = f"copy (select * from mirror.thing order by id) to stdout (format {form})"
        with connection.cursor() as cursor, cursor.copy(out.encode()) as copy:
            rows = b"".join(bytes(block) for block in copy)
        into = f"copy mirror.thing from stdin (format {form})"
        with connection.transaction(force_rollback=True), connection.cursor() as cursor:
            cursor.execute("delete from mirror.thing")
            with cursor.copy(into.encode()) as copy:
                copy.write(rows)
            found.append((rows, cursor.statusmessage))
    return found


def give_up() -> NoReturn:
    raise KeyError("the frontend gives up")


def a_copy_that_fails(connection: Connection) -> object:
    seen = []
    for rows in ("1\tx\n", "nonsense\n", "600\tok\t\\N\t1\n601\n"):
        try:
            with (
                connection.cursor() as cursor,
                cursor.copy(b"copy mirror.thing from stdin") as copy,
            ):
                copy.write(rows)
        except psycopg.Error as error:
            seen.append((error.sqlstate, error.diag.context))
    try:
        with connection.cursor() as cursor, cursor.copy(b"copy mirror.thing from stdin"):
            give_up()
    except KeyError:
        seen.append((None, None))
    return seen, connection.info.transaction_status


SCENARIOS: dict[str, Scenario] = {
    "results": each(
        "select 1",
        "",
        "select 1; select 'two'; update mirror.thing set name = name where id = 3",
        "table mirror.thing",
        "values (1, null), (2, '')",
        "select",
        "show work_mem",
        "explain (costs off) select * from mirror.thing where id = 1",
        "insert into mirror.thing values (1000, 'new') returning *",
        "delete from mirror.thing where id = 1000",
        "with gone as (delete from mirror.thing where id = 0 returning *) table gone",
    ),
    "errors": each(
        "selec 1",
        "select 1 / 0",
        "select * from nowhere",
        "select missing from mirror.thing",
        "insert into mirror.thing values (1, 'again')",
        "insert into mirror.thing values (1000, null)",
        "insert into mirror.thing values (1000, 'thing 1000', null, -1)",
        "select 'x'::int",
        "select 1; select 1 / 0; select 2",
        "do $$ begin raise exception 'own' using errcode = 'P0042', detail = 'd', hint = 'h',"
        " schema = 's', table = 't', column = 'c', constraint = 'k', datatype = 'y'; end $$",
    ),
    "notices": each(
        "drop table if exists mirror.nothing",
        "do $$ begin raise notice 'n'; raise warning 'w'; raise info 'i' using hint = 'h'; end $$",
    ),
    "settings": each(
        "set application_name = 'something else'",
        "set timezone = 'Europe/Paris'",
        "set client_encoding = 'latin1'",
        "select 'é'",
        "reset client_encoding",
        "begin",
        "set local timezone = 'UTC'",
        "commit",
        "set datestyle = 'german'",
        "discard all",
    ),
    "statements of SQL": each(
        "prepare one (int) as select name from mirror.thing where id = $1",
        "execute one (5)",
        "deallocate one",
        "execute one (5)",
        "begin",
        "declare c cursor for select id from mirror.thing order by id",
        "fetch 3 from c",
        "move 2 in c",
        "fetch backward 1 from c",
        "close c",
        "fetch 1 from c",
        "rollback",
    ),
    "types": values_of_many_types,
    "prepared statements": prepared_statements,
    "cursors": cursors,
    "a pipeline of a thousand": a_pipeline_of_a_thousand,
    "a pipeline with an error": a_pipeline_with_an_error,
    "savepoints": nested_transactions,
    "a failed transaction": a_failed_transaction,
    "copy": copy_both_ways,
    "a copy that fails": a_copy_that_fails,
}


def traced(
    lab: Lab, port: int | None, scenario: Scenario
) -> tuple[object, list[bytes], list[bytes]]:
    """Return what a scenario gives, and every message of it, by direction, as libpq saw them.

    Without Flush, which psycopg sends when it has to wait.
    """
    with lab.connect(ROLE, port) as connection, tempfile.TemporaryFile() as file:
        notices: list[str | None] = []
        connection.add_notice_handler(lambda one: notices.append(one.message_primary))
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        found = scenario(connection)
        connection.pgconn.untrace()
        file.seek(0)
        lines = file.read().splitlines()
        return (
            (found, notices, connection.info.transaction_status),
            [line for line in lines if line.startswith(b"B")],
            [line for line in lines if line.startswith(b"F") and not line.endswith(b"Flush")],
        )


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_message_is_the_same(lab: Lab, through: VigieProcess, name: str) -> None:
    """Types, rows, tags, statuses and each field of errors: libpq's trace shows no difference."""
    found = traced(lab, through.port, SCENARIOS[name])

    expected = traced(lab, None, SCENARIOS[name])
    assert found[1] == expected[1]
    assert found[2] == expected[2]
    assert found[0] == expected[0]
    assert len(found[1]) > 3


BARE: dict[str, tuple[bytes, int]] = {  # what is sent at once, and how many Z come
    "names": (
        bare.parse("a", "select id from mirror.thing where id < $1")
        + bare.describe("S", "a")
        + bare.bind("p", "a", "4")
        + bare.describe("P", "p")
        + bare.execute("p")
        + bare.close("P", "p")
        + bare.close("S", "a")
        + bare.close("S", "never made")
        + SYNC,
        1,
    ),
    "a portal in slices": (
        bare.parse("", "select id from mirror.thing order by id limit 10")
        + bare.bind("", "")
        + bare.execute("", 4)
        + bare.execute("", 4)
        + bare.execute("", 4)
        + SYNC,
        1,
    ),
    "flush": (
        bare.parse("f", "select 1") + FLUSH + bare.bind("", "f") + bare.execute("") + FLUSH + SYNC,
        1,
    ),
    "a name twice": (
        bare.parse("t", "select 1") + bare.parse("t", "select 2") + SYNC + query(b"select 3"),
        2,
    ),
    "unknown names": (
        bare.bind("", "none") + bare.execute("") + SYNC + bare.execute("none") + SYNC,
        2,
    ),
    "several statements in one Parse": (bare.parse("", "select 1; select 2") + SYNC, 1),
    "two errors before one Sync": (
        bare.parse("", "select 1 / 0")
        + bare.bind("", "")
        + bare.execute("")
        + bare.parse("", "selec 1")
        + SYNC,
        1,
    ),
    "queries sent ahead": (query(b"select 1") + query(b"select 1 / 0") + query(b""), 3),
    "empty text": (bare.parse("", "") + bare.bind("", "") + bare.execute("") + SYNC, 1),
    "copy data out of place": (frame(ord("d"), b"1\n") + query(b"select 1"), 1),
    "copy that is given up": (query(b"copy mirror.thing from stdin") + copy_fail(b"enough"), 1),
    "wrong number of parameters": (
        bare.parse("", "select $1::int") + bare.bind("", "") + bare.execute("") + SYNC,
        1,
    ),
}


@pytest.mark.parametrize("name", BARE)
def test_every_byte_is_the_same(lab: Lab, through: VigieProcess, name: str) -> None:
    """Orders of messages that drivers seldom use, answered as the database answers them."""
    sent, readies = BARE[name]
    found = []
    for port in (None, through.port):
        with bare.logged_in(lab, ROLE, port) as wire:
            wire.send(sent)
            found.append([wire.receive_to() for _ in range(readies)])

    assert found[1] == found[0]


@pytest.mark.parametrize("body", [b"select 1", b"select 1\0\0", b"select\0 1\0", b""])
def test_a_malformed_query_is_an_error_as_with_the_database(
    lab: Lab, through: VigieProcess, body: bytes
) -> None:
    """A text that does not end in its one zero byte: the same SQLSTATE, and the session goes on."""
    found = []
    for port in (None, through.port):
        with bare.logged_in(lab, ROLE, port) as wire:
            wire.send(frame(ord("Q"), body))
            answers = wire.receive_to()
            wire.send(query(b"select 2"))
            found.append((bare.error(answers)["C"], bare.tags(answers), wire.receive_to()))

    assert found[1] == found[0]


def test_large_values_pass_whole(lab: Lab, through: VigieProcess) -> None:
    """Five MB as a parameter, as a row and by COPY, in text and in binary format."""
    value = os.urandom(5 * MIB)
    with lab.connect(ROLE, through.port) as connection:
        connection.execute("insert into mirror.big values (1, %s)", [value])
        found = [
            connection.execute("select content from mirror.big", binary=binary).fetchall()
            for binary in (False, True)
        ]
        with connection.cursor() as cursor, cursor.copy("copy mirror.big to stdout") as copy:
            rows = list(copy.rows())

    assert found == [[(value,)], [(value,)]]
    assert rows == [("1", f"\\x{value.hex()}")]


def test_a_large_text_passes(lab: Lab, through: VigieProcess) -> None:
    """A statement of a megabyte is read elsewhere, and answered."""
    text = "select length('" + "é" * (MIB // 2) + "')"
    with lab.connect(ROLE, through.port) as connection:
        found = connection.execute(text.encode()).fetchone()

    assert found == (MIB // 2,)


def test_the_process_id_is_the_backends(lab: Lab, through: VigieProcess) -> None:
    """Drivers compare it with notifications, people with pg_stat_activity."""
    with lab.connect(ROLE, through.port) as connection:
        found = connection.execute("select pg_backend_pid()").fetchone()

        assert found == (connection.info.backend_pid,)
        assert connection.info.parameter_status("server_version") is not None


def test_notifications_arrive(lab: Lab, through: VigieProcess) -> None:
    """From another session, through Vigie or not, with the sender's process id."""
    with (
        lab.connect(ROLE, through.port) as listening,
        lab.connect(ROLE, through.port) as one,
        lab.connect(ROLE) as other,
    ):
        listening.execute("listen news")
        one.execute("notify news, 'a'")
        other.execute("notify news, 'b'")
        found = [*listening.notifies(timeout=10, stop_after=2)]
        senders = [one.info.backend_pid, other.info.backend_pid]

    assert [(note.channel, note.payload) for note in found] == [("news", "a"), ("news", "b")]
    assert [note.pid for note in found] == senders


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_tls_that_is_preferred_is_done_without(lab: Lab, through: VigieProcess, mode: str) -> None:
    """SSLRequest and GSSENCRequest are declined, and libpq goes on in plain text."""
    dsn = lab.dsn(ROLE, through.port).replace(
        "sslmode=disable", f"sslmode={mode} gssencmode=prefer"
    )
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        assert not connection.pgconn.ssl_in_use


def test_tls_that_is_required_ends_with_a_clear_message(lab: Lab, through: VigieProcess) -> None:
    """The driver's own words, not a connection that hangs."""
    dsn = lab.dsn(ROLE, through.port).replace("sslmode=disable", "sslmode=require")
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        psycopg.connect(dsn)


def test_encryption_is_declined_twice_and_the_login_goes_on(
    lab: Lab, through: VigieProcess
) -> None:
    """GSSENCRequest, SSLRequest, then a StartupMessage, on one connection."""
    with bare.dialled(through.port) as wire:
        wire.send(bare.GSSENC_REQUEST)
        first = wire.socket.recv(10)
        wire.send(bare.SSL_REQUEST)
        second = wire.socket.recv(10)
        wire.send(bare.startup(user=ROLE, database=lab.database))
        answer = wire.receive()

    assert (first, second) == (b"N", b"N")
    assert answer is not None
    assert answer[0] == "R"


async def asyncpg_session(lab: Lab, port: int) -> list[object]:
    """Use what asyncpg has: its own codecs, cursors, COPY, many parameters."""
    connection = await asyncpg.connect(
        host=lab.host,
        port=port,
        user=ROLE,
        password=lab.passwords[ROLE],
        database=lab.database,
        ssl=False,
        timeout=20,
    )
    try:
        found: list[object] = [
            await connection.fetch("select * from mirror.thing where id < $1 order by id", 30),
            await connection.fetchval("select $1::int[]", [1, 2, 3]),
            await connection.fetchrow("select $1::jsonb, $2::timestamptz", '{"a": 1}', None),
        ]
        statement = await connection.prepare("select id from mirror.thing order by id")
        async with connection.transaction():
            cursor = await statement.cursor()
            found += [await cursor.fetch(10), await cursor.fetch(1000)]
        transaction = connection.transaction()
        await transaction.start()
        await connection.executemany(
            "insert into mirror.thing values ($1, $2)", [(n, f"n{n}") for n in range(2000, 2100)]
        )
        found.append(await connection.fetchval("select count(*) from mirror.thing"))
        await transaction.rollback()
        try:
            await connection.fetch("select 1 / 0")
        except asyncpg.PostgresError as error:
            found.append(error.as_dict())
        chunks: list[bytes] = []

        async def keep(chunk: bytes) -> None:
            chunks.append(chunk)

        found.append(
            await connection.copy_from_query(
                "select id, name from mirror.thing order by id", output=keep, format="csv"
            )
        )
        found.append(b"".join(chunks))
        await connection.reset()
        return found
    finally:
        await connection.close()


def test_asyncpg_sees_the_same(lab: Lab, through: VigieProcess) -> None:
    """Its own protocol implementation: prepared and binary throughout."""
    found = asyncio.run(asyncpg_session(lab, through.port))

    assert found == asyncio.run(asyncpg_session(lab, lab.port))


@pytest.mark.parametrize("role", ["dba", "lims_app"])
def test_psql_describes_the_same(through: VigieProcess, run: RunProgram, role: str) -> None:
    """Its backslash commands read a good part of pg_catalog."""
    commands = (
        r"\d \d+ lab.patient \d+ lab.v_worklist \d+ lab.resultat_archive \dt+ lab.* \di \dv \dm"
        r" \df+ lab.* \sf lab.age \dn+ \dp \du \l \dx \dT \do lab.* \dRp \dew \db \conninfo"
    )
    script = commands.replace(r" \d", "\n\\d").replace(r" \s", "\n\\s").replace(r" \l", "\n\\l")
    script = script.replace(r" \conninfo", "\n\\set FETCH_COUNT 7\nselect * from lab.analyse;\n")
    outputs = []
    for port in (None, through.port):
        done = run("psql", "-X", "--no-align", role=role, port=port, stdin=script)
        outputs.append((done.returncode, done.stdout, done.stderr))

    assert outputs[1] == outputs[0]
    assert "patient_pkey" in outputs[0][1]


def test_pg_dump_of_everything_is_the_same(
    lab: Lab, through: VigieProcess, run: RunProgram
) -> None:
    """The backup passes whole, byte for byte, schema and rows."""
    dumps = []
    for port in (None, through.port):
        done = run("pg_dump", "--exclude-schema=mirror", role="backup", port=port)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        dumps.append(
            [line for line in lines if not line.startswith((r"\restrict", r"\unrestrict"))]
        )

    assert dumps[1] == dumps[0]
    assert len(dumps[0]) > lab.patients


class Bench(NamedTuple):
    """pgbench's database, and how to reach it directly."""

    name: str
    dsn: str


@pytest.fixture(scope="module")
def bench(lab: Lab, through: VigieProcess, run: RunProgram) -> Iterator[Bench]:
    """A database of its own, filled by ``pgbench -i`` through the proxy."""
    with lab.connect(SUPERUSER) as connection:
        connection.execute("create database bench owner dba")
        done = run("pgbench", "-i", "-q", role=ROLE, port=through.port, database="bench")
        assert done.returncode == 0, done.stderr
        yield Bench("bench", lab.dsn(ROLE).replace("dbname=lab", "dbname=bench"))
        connection.execute("drop database bench with (force)")


PIPELINE = r"""
\set aid random(1, 100000)
begin;
\startpipeline
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :aid, 1, now());
\endpipeline
commit;
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    path = tmp_path / "pipeline"
    path.write_text(PIPELINE)
    return str(path)


@pytest.mark.parametrize(
    "options",
    [
        ("-M", "simple"),
        ("-M", "extended"),
        ("-M", "prepared"),
        ("-M", "simple", "-C", "-S"),
        ("-M", "extended", "-f", "pipeline"),
        ("-M", "prepared", "-f", "pipeline"),
    ],
    ids=" ".join,
)
def test_pgbench_completes_every_transaction(
    through: VigieProcess, run: RunProgram, bench: Bench, options: tuple[str, ...], pipeline: str
) -> None:
    """Four sessions at once; the sums of its tables agree afterwards."""
    chosen = [pipeline if option == "pipeline" else option for option in options]
    done = run(
        *("pgbench", "-n", "-c", "4", "-j", "2", "-t", "25", *chosen),
        role=ROLE,
        port=through.port,
        database=bench.name,
    )
    sums = "select (select sum(abalance) from pgbench_accounts), sum(delta) from pgbench_history"
    with psycopg.connect(bench.dsn) as connection:
        accounts, history = connection.execute(sums.encode()).fetchone() or (0, 1)

    assert (done.returncode, "100/100" in done.stdout) == (0, True), done.stderr
    assert (accounts or 0) == (history or 0)


def test_the_status_of_a_transaction_is_told(lab: Lab, through: VigieProcess) -> None:
    """Idle, in a transaction, failed: as the driver sees them."""
    with lab.connect(ROLE, through.port) as connection:
        seen = []
        for statement in ("begin", "select 1 / 0", "rollback"):
            attempt(connection, statement)
            seen.append(connection.info.transaction_status)

    assert seen == [
        TransactionStatus.INTRANS,
        TransactionStatus.INERROR,
        TransactionStatus.IDLE,
    ]


def test_sessions_come_and_go(lab: Lab, through: VigieProcess) -> None:
    """Connections come and go; each is answered."""
    found = []
    for _ in range(40):
        with lab.connect(ROLE, through.port) as connection:
            found.append(connection.execute(sql.SQL("select {}").format(1)).fetchone())

    assert found == [(1,)] * 40
