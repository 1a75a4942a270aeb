"""The database of the benchmark: the demonstration laboratory and pgbench's tables, one role.

The role ``bench`` has the rights of an application and owns pgbench's tables. The rules are the
shipped ones with the demonstration's site; a file beside them gives the role budgets that count
and never stand in the way.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bench.model import BenchError
from proxy.demo.lab import DATABASE, create_lab
from proxy.demo.postgres import HOST, SUPERUSER, EmbeddedPostgres
from proxy.demo.vigie_process import SITE
from proxy.net import clock

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from bench.model import Scale
    from proxy.demo.lab import Lab

ROLE: Final = "bench"
SETTINGS: Final = {  # nothing is replicated, and nothing runs by itself between two measures
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "max_connections": "700",
    "shared_buffers": "512MB",
}
_PGBENCH_SCALE_ROWS: Final = 100_000
_BUDGETS: Final = f"""\
# Counted like any other role's, and never spent: what is measured is the counting.
format: 1
budgets:
  - id: EX591
    title: Patients for the benchmark
    measure: distinct_subjects
    roles: [{ROLE}]
    window_seconds: 3600
    limit: 1000000000
    why: A limit keeps the distinct patients in memory; null would only count.
    tags: [budget]
  - id: EX592
    title: Rows for the benchmark
    measure: rows
    roles: [{ROLE}]
    window_seconds: 3600
    limit: 1000000000000
    why: The same for rows.
    tags: [budget]
  - id: EX593
    title: Questions of the benchmark
    measure: questions
    roles: [{ROLE}]
    window_seconds: 3600
    limit: 1000000000000
    why: The same for counts.
    tags: [budget]
exceptions:
  - rule: EX113
    unless:
      role: {{is: {ROLE}}}
    owner: bench
    expires: EXPIRES
    why: it reads in bulk
  - rule: EX301
    unless:
      role: {{is: {ROLE}}}
    owner: bench
    expires: EXPIRES
    why: it asks the same again and again
"""
_NIRS: Final = f"""\
format: 1
budgets:
  - id: EX594
    title: NIRs for the benchmark
    measure: nir
    roles: [{ROLE}]
    window_seconds: 3600
    limit: 1000000000000
    why: What leaves is looked through for them.
    tags: [budget]
exceptions:
  - rule: EX103
    unless:
      role: {{is: {ROLE}}}
    owner: bench
    expires: EXPIRES
    why: it reads identities in bulk
  - rule: EX105
    unless:
      role: {{is: {ROLE}}}
    owner: bench
    expires: EXPIRES
    why: it reads identities in bulk
  - rule: EX106
    unless:
      role: {{is: {ROLE}}}
    owner: bench
    expires: EXPIRES
    why: it copies identities out in bulk
"""
_DAYS: Final = 2  # that what the role is exempted from lasts: longer than a run
_ROLE_SQL: Final = f"""
create schema {ROLE} authorization {ROLE};
create unlogged table {ROLE}.sink (id int, label text, amount numeric);
alter table {ROLE}.sink owner to {ROLE};
grant usage on schema lab to {ROLE};
grant select on all tables in schema lab to {ROLE};
alter role {ROLE} in database {DATABASE} set search_path = {ROLE}, lab
"""
_MORE_RESULTS: Final = """
set session_replication_role = replica;  -- copies of rows that are sound: no key is looked up
insert into lab.resultat
  select r.id + n * 10000000::bigint, r.patient_id, r.echantillon_id, r.analyse_code, r.value,
    r.value_text, r.unit, r.ref_low, r.ref_high, r.flag, r.status, r.entered_by, r.validated_by,
    r.validated_at
  from only lab.resultat r, generate_series(1, %d) n;
reset session_replication_role;
"""


@dataclass(frozen=True, slots=True)
class Database:
    """The filled database: where it listens, and how the role logs in."""

    lab: Lab
    password: str
    results: int  # rows of lab.resultat
    accounts: int  # rows of pgbench_accounts
    version: str

    def program(self, name: str) -> str:
        """Return the path of one of PostgreSQL's programs."""
        path = self.lab.programs / name
        found = str(path) if path.is_file() else shutil.which(name)
        if found is None:
            raise BenchError(f"{name} is missing: apt-get install postgresql, which has it")
        return found

    def environment(self, port: int) -> dict[str, str]:
        """Return the variables with which PostgreSQL's programs log in through ``port``."""
        return {
            "PGHOST": HOST,
            "PGPORT": str(port),
            "PGDATABASE": DATABASE,
            "PGUSER": ROLE,
            "PGPASSWORD": self.password,
            "PGSSLMODE": "disable",
            "PGGSSENCMODE": "disable",
        }

    def connect(self, port: int) -> psycopg.Connection:
        """Return an autocommit connection of the role through ``port``."""
        return self.lab.connect(ROLE, port)


def fill(postgres: EmbeddedPostgres, scale: Scale) -> Database:
    """Create the laboratory, the role and pgbench's tables in a running PostgreSQL."""
    lab = create_lab(
        postgres.port, postgres.password, scale.patients, programs=postgres.binaries.folder
    )
    password = lab.passwords[ROLE] = secrets.token_urlsafe(12)
    accounts = max(_PGBENCH_SCALE_ROWS, scale.bulk_rows)
    with lab.connect(SUPERUSER) as connection:
        connection.execute(f"create role {ROLE} login password '{password}'".encode())
        connection.execute(_ROLE_SQL.encode())
        results = _add_results(connection, scale.bulk_rows)
    database = Database(lab, password, results, accounts, postgres.binaries.version)
    pgbench_scale = str(accounts // _PGBENCH_SCALE_ROWS)
    subprocess.run(
        [database.program("pgbench"), "-i", "-q", "-I", "dtGp", "-s", pgbench_scale],
        check=True,
        capture_output=True,
        env=database.environment(lab.port),
    )
    with lab.connect(SUPERUSER) as connection:
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
    return database


def make_site(folder: Path) -> Path:
    """Make the site's rules in ``folder`` and return where they are."""
    site = folder / "site"
    shutil.copytree(SITE, site)
    (site / "bench.yaml").write_text(_dated(_BUDGETS), "utf-8")
    return site


def with_nirs(site: Path, folder: Path) -> Path:
    """Make a copy of a site in ``folder`` with a budget of NIRs; return where it is.

    Its role may read identities in bulk there.
    """
    copy = folder / "site"
    shutil.copytree(site, copy)
    (copy / "nirs.yaml").write_text(_dated(_NIRS), "utf-8")
    return copy


def _dated(rules: str) -> str:
    """Return rules whose exceptions end after the run."""
    expires = datetime.fromtimestamp(clock.wall(), UTC).date() + timedelta(days=_DAYS)
    return rules.replace("EXPIRES", expires.isoformat())


def _add_results(connection: psycopg.Connection, wanted: int) -> int:
    """Multiply the laboratory's results until there are enough rows; return how many there are."""
    first = _count_results(connection)
    copies = -(-wanted // first) - 1
    if copies > 0:
        connection.execute((_MORE_RESULTS % copies).encode())
    return _count_results(connection)


def _count_results(connection: psycopg.Connection) -> int:
    row = connection.execute("select count(*) from lab.resultat").fetchone()
    return int(row[0]) if row else 0
