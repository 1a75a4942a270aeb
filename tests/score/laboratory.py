"""The laboratory of the corpus in a real PostgreSQL, its people known to the judge."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final

import psycopg

from proxy.demo.postgres import SUPERUSER, EmbeddedPostgres
from proxy.errors import VigieError
from tests.score.cases import CORPUS
from tests.score.frontend import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE: Final = "lab"
PATIENTS: Final = 20_000
SETTINGS: Final = {
    "wal_level": "logical",  # one attack reads the log of changes
    "max_prepared_transactions": "10",
    "max_connections": "300",
    "autovacuum": "off",  # what the statistics hold is part of an attack
}


class Laboratory:
    """A database full of invented patients; ``nirs`` and ``emails`` give a patient's number."""

    def __init__(self, port: int, programs: Path) -> None:
        self.port = port
        self.database = DATABASE
        self._programs = programs
        self.superuser = psycopg.connect(
            host=HOST, port=port, user=SUPERUSER, dbname=DATABASE, autocommit=True
        )
        rows = self.superuser.execute("select id, nir, email from lab.patient order by id")
        people = rows.fetchall()
        self.nirs: dict[str, int] = {nir: number for number, nir, _ in people}
        self.emails: dict[str, int] = {email: number for number, _, email in people}
        self.nir_of: dict[int, str] = {number: nir for number, nir, _ in people}

    @cached_property
    def digests(self) -> dict[str, int]:
        """Return the patients by the MD5 of their NIR."""
        return {
            hashlib.md5(nir.encode(), usedforsecurity=False).hexdigest(): number
            for nir, number in self.nirs.items()
        }

    @cached_property
    def extensions(self) -> frozenset[str]:
        """Return the names of the extensions that are there."""
        rows = self.superuser.execute("select extname from pg_extension").fetchall()
        return frozenset(name for (name,) in rows)

    def function(self, name: str) -> int:
        """Return the number of a function, given as name or with its arguments' types."""
        kind = b"regprocedure" if "(" in name else b"regproc"
        row = self.superuser.execute(b"select %s::" + kind + b"::oid", [name]).fetchone()
        assert row is not None
        return int(row[0])

    def execute(self, statements: tuple[str, ...]) -> None:
        """Run statements as the superuser, directly."""
        for statement in statements:
            self.superuser.execute(statement.encode())

    def clean_up(self, statements: tuple[str, ...]) -> None:
        """Run statements that undo what an attack may have made, if it came so far."""
        for statement in statements:
            with contextlib.suppress(psycopg.errors.UndefinedObject):
                self.superuser.execute(statement.encode())

    def pg_dump(self, port: int, role: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        """Run pg_dump through ``port``."""
        program = str(self._programs / "pg_dump")
        command = [program, "-h", HOST, "-p", str(port), "-U", role, *options, self.database]
        return subprocess.run(command, check=False, capture_output=True, timeout=300)


@contextmanager
def opened_laboratory(patients: int = PATIENTS) -> Iterator[tuple[Laboratory, Path]]:
    """Start a PostgreSQL that trusts everybody, fill it; gives also a folder that it may write."""
    with EmbeddedPostgres(settings=SETTINGS) as postgres:
        trust = postgres.base / "data" / "pg_hba.conf"
        trust.write_text(f"host all all {HOST}/32 trust\nhost replication all {HOST}/32 trust\n")
        _psql(postgres, "postgres", "-c", "select pg_reload_conf()")
        _psql(postgres, "postgres", "-c", f"create database {DATABASE}")
        _psql(postgres, DATABASE, "-v", f"npat={patients}", "-f", str(CORPUS / "lab.sql"))
        laboratory = Laboratory(postgres.port, postgres.binaries.folder)
        try:
            yield laboratory, postgres.base
        finally:
            laboratory.superuser.close()


def _psql(postgres: EmbeddedPostgres, database: str, *options: str) -> None:
    to = ["-h", HOST, "-p", str(postgres.port), "-U", SUPERUSER, "-d", database]
    done = subprocess.run(
        [postgres.binaries.path("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", *to, *options],
        check=False,
        capture_output=True,
        text=True,
        env={"PGPASSWORD": postgres.password, "PGCLIENTENCODING": "UTF8"},
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise VigieError(f"psql {' '.join(options)} failed:\n{done.stderr[-2000:]}")
