"""Create the synthetic laboratory in a PostgreSQL: tables, rows by COPY, views, roles.

The schema is that of ``rules/sites/lab-demo``. Same seed, same day, same number: same data.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

from proxy.demo.analyses import catalogue_rows
from proxy.demo.people import People
from proxy.demo.postgres import HOST, SUPERUSER
from proxy.demo.records import Records, staff_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENTS: Final = 491_840  # of the leak of 2021
DATABASE: Final = "lab"
SEED: Final = 2021
ROLES: Final = (
    "lims_app", "biologist", "secretary", "billing", "dashboard", "export_job", "backup", "dba",
)  # fmt: skip
EXTENSIONS: Final = (
    "dblink", "postgres_fdw", "pg_trgm", "tablefunc", "file_fdw", "xml2", "pageinspect", "lo",
)  # fmt: skip
_BLOCK: Final = 20_000
_COLUMNS: Final = {"audit": "(at, actor, action, patient_id, detail)"}


@dataclass(frozen=True, slots=True)
class Lab:
    """A laboratory's database and how to reach it, directly or through another port."""

    port: int
    patients: int
    passwords: dict[str, str] = field(repr=False)
    host: str = HOST
    database: str = DATABASE
    programs: Path = Path("/usr/bin")  # where psql and pg_dump are

    def dsn(self, role: str, port: int | None = None) -> str:
        """Return the connection string of ``role``; ``port`` instead of the server's own."""
        return (
            f"host={self.host} port={port or self.port} dbname={self.database} user={role} "
            f"password={self.passwords[role]} sslmode=disable"
        )

    def connect(self, role: str, port: int | None = None) -> psycopg.Connection:
        """Return an autocommit connection of ``role``."""
        return psycopg.connect(self.dsn(role, port), autocommit=True)

    def keys(self) -> frozenset[bytes]:
        """Return the NIRs of all patients, as they stand in the database."""
        with (
            self.connect(SUPERUSER) as connection,
            connection.cursor() as cursor,
            cursor.copy(b"copy lab.patient (nir) to stdout") as copy,
        ):
            return frozenset(b"".join(bytes(block) for block in copy).split())


def create_lab(
    port: int,
    password: str,
    patients: int = PATIENTS,
    *,
    seed: int = SEED,
    today: date | None = None,
    programs: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Lab:
    """Create the database ``lab`` on the server at ``port`` and fill it.

    Args:
        port: of a server on the loopback address.
        password: of its superuser.
        patients: how many.
        seed: the same gives the same data,
        today: on the same day.
        programs: folder of psql and pg_dump.
        progress: called with (what, done, of all) as the work goes on.
    """
    passwords = {role: secrets.token_urlsafe(12) for role in ROLES} | {SUPERUSER: password}
    lab = Lab(port, patients, passwords, programs=programs or Path("/usr/bin"))
    with psycopg.connect(
        host=HOST, port=port, user=SUPERUSER, password=password, autocommit=True
    ) as maintenance:
        maintenance.execute(f"create database {DATABASE}".encode())
    with psycopg.connect(lab.dsn(SUPERUSER)) as connection:
        # One transaction: tables made in it need no log of their rows.
        _execute(connection, "tables.sql")
        for table, rows, done in generate(patients, seed, today or date.today()):  # noqa: DTZ011
            copy_rows(connection, table, rows)
            progress("rows", done, patients)
    _index(lab, progress)
    with lab.connect(SUPERUSER) as connection:
        for role in ROLES:
            statement = f"create role {role} login password '{passwords[role]}'"
            connection.execute(statement.encode())
        _execute(connection, "objects.sql")
        _create_extensions(connection)
        connection.execute("analyze")
    progress("ready", patients, patients)
    return lab


def generate(patients: int, seed: int, today: date) -> Iterator[tuple[str, str, int]]:
    """Yield (table, rows in COPY's text format, patients' worth of work done), parents first."""
    people = People(seed, today)
    yield "app_user", staff_rows(), 0
    yield "analyse", catalogue_rows(), 0
    yield "medecin", people.doctors(), 0
    for first in range(1, patients + 1, _BLOCK):
        last = min(first + _BLOCK - 1, patients)
        yield "patient", people.block(first, last), last // 3
    records = Records(people, patients, seed, today)
    for first in range(1, records.orders + 1, _BLOCK):
        last = min(first + _BLOCK - 1, records.orders)
        for table, rows in records.block(first, last).items():
            yield table, rows, patients // 3 + patients * last // records.orders // 2
    for table, rows in records.rest().items():
        yield table, rows, patients


def copy_rows(connection: psycopg.Connection, table: str, rows: str) -> None:
    """Load rows in COPY's text format into a table of the schema ``lab``."""
    statement = f"copy lab.{table} {_COLUMNS.get(table, '')} from stdin"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(rows)


def _index(lab: Lab, progress: Callable[[str, int, int], None]) -> None:
    """Make keys and indexes, the tables shared out over two sessions."""
    statements = [line for line in _text("indexes.sql").splitlines() if not line.startswith("--")]
    shares: list[list[str]] = [[], []]
    made: list[str] = []
    for statement in statements:
        shares[".patient " in statement].append(statement)

    def make(share: list[str]) -> None:
        with lab.connect(SUPERUSER) as connection:
            for statement in share:
                connection.execute(statement.encode())
                made.append(statement)
                progress("indexes", len(made), len(statements))

    with ThreadPoolExecutor(len(shares)) as pool:
        list(pool.map(make, shares))


def _create_extensions(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "select name from pg_available_extensions where name = any(%s)", [list(EXTENSIONS)]
    )
    for (name,) in rows.fetchall():
        connection.execute(f'create extension "{name}"'.encode())


def _execute(connection: psycopg.Connection, resource: str) -> None:
    connection.execute(_text(resource).encode(), prepare=False)


def _text(resource: str) -> str:
    return resources.files("proxy.demo").joinpath(resource).read_text("utf-8")
