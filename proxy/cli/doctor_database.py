"""What the doctor sees in the database: rights, settings, ways around Vigie, and what fits."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import asyncpg

from proxy.cli.canary import verify_rows
from proxy.cli.doctor_files import Level, Told
from proxy.cli.live import FAULTS, connect, read_results
from proxy.errors import ConfigurationError, VigieError
from proxy.net import clock
from proxy.policy.drift import find_drift
from proxy.settings.canary_file import read_canary_file
from proxy.sql import build_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from proxy.cli.loading import Loaded
    from proxy.policy import Policy
    from proxy.sql import Catalog
    from proxy.terms.schema_map import SchemaMap

_OLDEST: Final = 130000
_NEWEST: Final = 190000
_CLOCK_SECONDS: Final = 5.0
_MOST: Final = 10  # lines about one thing
_SETTINGS: Final = (
    "standard_conforming_strings", "server_encoding", "password_encryption", "ssl",
    "listen_addresses", "max_connections", "superuser_reserved_connections",
)  # fmt: skip
# What the doctor needs, how it is given, and whether it is: docs/doctor.md
_HBA_GRANT: Final = (
    "grant select on pg_hba_file_rules to {role};"
    " grant execute on function pg_hba_file_rules() to {role}"
)
_HBA_ASKS: Final = (
    "select has_table_privilege('pg_hba_file_rules', 'select')"
    " and has_function_privilege('pg_hba_file_rules()', 'execute')"
)
_WANTED: Final = (
    ("pg_monitor", "grant pg_monitor to {role}", "select pg_has_role('pg_monitor', 'usage')"),
    ("pg_hba_file_rules", _HBA_GRANT, _HBA_ASKS),
)
_POWERS: Final = """
select rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
  array(select p.rolname::text from pg_roles p where p.rolname = any (array['pg_read_all_data',
    'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
    'pg_execute_server_program', 'pg_signal_backend'])
    and not r.rolsuper and pg_has_role(r.oid, p.oid, 'member')) as powers
from pg_roles r where r.rolcanlogin order by 1
"""
_SESSIONS: Final = """
select distinct usename::text as role, host(client_addr) as address from pg_stat_activity
where datname = current_database() and backend_type = 'client backend'
  and pid <> pg_backend_pid() and client_addr is not null
  and host(client_addr) is distinct from host(inet_client_addr())
  and host(client_addr) !~ '^(127\\.|::1)'
"""
_HBA: Final = """
select line_number, type, database, user_name, address, netmask, auth_method
from pg_hba_file_rules where error is null order by line_number
"""
_LEADING_OUT: Final = {
    "dblink": "connects from the database itself, past Vigie",
    "postgres_fdw": "connects from the database itself, past Vigie",
    "file_fdw": "reads files of the machine",
    "adminpack": "writes files of the machine",
    "pageinspect": "shows rows as they lie on disk",
    "plpython3u": "runs any code in the database",
    "plperlu": "runs any code in the database",
    "pltclu": "runs any code in the database",
}


def look_at_database(loaded: Loaded, url: str) -> Iterator[Told]:
    """Yield how the database stands, asked itself by the role of the URL."""
    try:
        yield from asyncio.run(_all(loaded, url))
    except ConfigurationError as error:
        for problem in error.problems:
            yield Told(Level.FAIL, "database", problem, "start it, or correct the URL")


async def _all(loaded: Loaded, url: str) -> list[Told]:
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute("set local statement_timeout = '10s'")
            return [told async for told in _look(connection, loaded, url)]
    except FAULTS as error:
        raise ConfigurationError([f"--against: {type(error).__name__}: {error}"]) from error
    finally:
        await connection.close()


async def _look(
    connection: asyncpg.Connection[Any], loaded: Loaded, url: str
) -> AsyncIterator[Told]:
    for told in _is_itself(loaded, url):
        yield told
    async for told in _database(connection, loaded):
        yield told
    roles = await connection.fetch(_POWERS)
    async for told in _own_rights(connection, roles):
        yield told
    for told in (*_powerful(roles), *_roles_of(loaded.policy, {row["rolname"] for row in roles})):
        yield told
    async for told in _ways_around(connection):
        yield told
    catalog = build_catalog(await read_results(connection), loaded.policy.schema_map)
    for told in (*_map(loaded.policy.schema_map, catalog), *_rules(loaded.policy, catalog)):
        yield told
    if loaded.settings.canaries is not None:
        async for told in _canaries(connection, loaded):
            yield told


def _is_itself(loaded: Loaded, url: str) -> Iterator[Told]:
    parts = urlsplit(url)
    listened = {(one.host, one.port) for one in loaded.settings.listen if not one.path}
    if (parts.hostname, parts.port) in listened:
        what = "the URL is that of Vigie: what it sees is what Vigie lets it see"
        yield Told(Level.WARN, "database", what, "give the URL of the database itself")


async def _database(connection: asyncpg.Connection[Any], loaded: Loaded) -> AsyncIterator[Told]:
    number = int(await connection.fetchval("show server_version_num"))
    level = Level.OK if _OLDEST <= number < _NEWEST else Level.WARN
    todo = "" if level is Level.OK else "Vigie is tested on PostgreSQL 13 to 18"
    yield Told(level, "database", f"PostgreSQL {connection.get_server_version().major}", todo)
    rows = await connection.fetch(
        "select name, setting from pg_settings where name = any ($1)", list(_SETTINGS)
    )
    said = {row["name"]: row["setting"] for row in rows}
    wanted = (
        ("standard_conforming_strings", "on", Level.FAIL, "a backslash would quote in strings"),
        ("server_encoding", "UTF8", Level.WARN, "names and values may be read in another way"),
        ("password_encryption", "scram-sha-256", Level.WARN, "MD5 passwords can be replayed"),
    )
    for name, value, level, why in wanted:
        if said.get(name) == value:
            yield Told(Level.OK, "database", f"{name} is {value}")
        else:
            what = f"{name} is {said.get(name, 'not shown')}: {why}"
            yield Told(level, "database", what, f"set it to {value}")
    room = int(said["max_connections"]) - int(said["superuser_reserved_connections"])
    most = loaded.settings.limits.connections
    if most == 0 or most > room:
        what = f"Vigie lets in {most or 'any number of'} sessions, the database {room}"
        todo = f"limits.connections: {room}"
        yield Told(Level.WARN, "database", what, todo)
    apart = abs(float(await connection.fetchval("select extract(epoch from clock_timestamp())"))
                - clock.wall())  # fmt: skip
    if apart > _CLOCK_SECONDS:
        what = f"the clocks are {apart:.0f} s apart: audit log and database do not tell one story"
        yield Told(Level.WARN, "clock", what, "have both set by NTP")
    else:
        yield Told(Level.OK, "clock", f"within {_CLOCK_SECONDS:.0f} s of the database's")


async def _own_rights(connection: asyncpg.Connection[Any], roles: list[Any]) -> AsyncIterator[Told]:
    role = await connection.fetchval("select session_user::text")
    row = next((one for one in roles if one["rolname"] == role), None)
    powers = [] if row is None else _powers_of(row)
    writes = await connection.fetch(
        "select c.oid::regclass::text as name from pg_class c join pg_namespace n"
        " on n.oid = c.relnamespace where c.relkind in ('r', 'p') and n.nspname !~ '^pg_'"
        " and n.nspname <> 'information_schema'"
        " and has_table_privilege(c.oid, 'insert, update, delete, truncate') order by 1 limit 3"
    )
    if powers:
        what = f"{role} is more than the doctor needs: {', '.join(powers)}"
        yield Told(Level.WARN, "rights", what, "use vigie_doctor, see docs/doctor.md")
    elif writes:
        what = f"{role} may write, as to {writes[0]['name']}; the doctor only reads"
        yield Told(
            Level.WARN, "rights", what, f"revoke insert, update, delete, truncate from {role}"
        )
    else:
        yield Told(Level.OK, "rights", f"{role} only reads")
    for name, grant, asks in _WANTED:
        if not await connection.fetchval(asks):
            what = f"{role} may not use {name}: part of what matters cannot be seen"
            yield Told(Level.WARN, "rights", what, grant.format(role=role))


def _powers_of(row: Any) -> list[str]:
    names = {
        "rolsuper": "superuser",
        "rolcreaterole": "createrole",
        "rolcreatedb": "createdb",
        "rolreplication": "replication",
        "rolbypassrls": "bypassrls",
    }
    return [word for name, word in names.items() if row[name]] + list(row["powers"])


def _powerful(roles: list[Any]) -> Iterator[Told]:
    """Yield who could leave by another way than rows: files, programs, the log of changes."""
    for row in roles:
        powers = {*_powers_of(row)} & {
            *("superuser", "replication", "pg_read_server_files", "pg_write_server_files"),
            "pg_execute_server_program",
        }
        if powers and row["rolname"] != "postgres":
            what = f"{row['rolname']} is {', '.join(sorted(powers))}: it has ways past any budget"
            yield Told(Level.WARN, "roles", what, f"take it away, or watch {row['rolname']}")


def _roles_of(policy: Policy, roles: set[str]) -> Iterator[Told]:
    absent = sorted(policy.named_roles - roles)
    if absent:
        what = f"budgets name roles that cannot log in here: {', '.join(absent)}"
        yield Told(Level.WARN, "roles", what, "correct their names")
    others = sorted(roles - policy.named_roles - {"postgres"})
    if others:
        what = f"without a budget of their own: {', '.join(others[:_MOST])}"
        yield Told(Level.OK, "roles", f"{what}; they have that of every other role")


async def _ways_around(connection: asyncpg.Connection[Any]) -> AsyncIterator[Told]:
    found = False
    for row in (await connection.fetch(_SESSIONS))[:_MOST]:
        found = True
        what = f"{row['role']} is connected from {row['address']}, not from this machine"
        yield Told(Level.WARN, "around", what, "let it connect to Vigie; see pg_hba.conf")
    own = await connection.fetchval("select host(inet_client_addr())")
    try:
        async with connection.transaction():
            rules = await connection.fetch(_HBA)
    except asyncpg.PostgresError:
        rules = []  # said among the rights
    for row in rules:
        told = _hba(row, own)
        if told is not None:
            found = True
            yield told
    if rules and not found:
        yield Told(Level.OK, "around", "pg_hba.conf lets no other machine in, and none is")
    rows = await connection.fetch("select extname::text from pg_extension order by 1")
    for name in (row["extname"] for row in rows):
        if name in _LEADING_OUT:
            what = f"extension {name} {_LEADING_OUT[name]}"
            yield Told(Level.WARN, "around", what, f"drop extension {name}, if nobody needs it")


def _hba(row: Any, own: str | None) -> Told | None:
    """Return what is wrong with a line of pg_hba.conf: who may come by it past Vigie."""
    where = f"pg_hba.conf line {row['line_number']}"
    method, who = row["auth_method"], ", ".join(row["user_name"])
    if method == "reject" or row["database"] == ["replication"]:
        return None
    if method == "trust":
        what = f"{where}: {who} needs no password"
        return Told(Level.FAIL, "around", what, "scram-sha-256 instead of trust")
    if row["type"] == "local" or _is_own(row["address"], row["netmask"], own):
        return None
    what = f"{where}: {who} may come from {row['address']} without Vigie"
    return Told(Level.WARN, "around", what, "let only the address of Vigie in")


def _is_own(address: str | None, netmask: str | None, own: str | None) -> bool:
    """Whether an address of pg_hba.conf is this machine's, as the database sees it."""
    if address is None or address in {"samehost", "localhost"}:
        return address is not None
    try:
        bits = "" if netmask is None else f"/{int(ip_address(netmask)).bit_count()}"
        network = ip_network(f"{address}{bits}", strict=False)
    except ValueError:
        return False  # a name, all, samenet
    if network.is_loopback:
        return True
    return own is not None and network.num_addresses == 1 and ip_address(own) in network


def _map(schema_map: SchemaMap, catalog: Catalog) -> Iterator[Told]:
    found = find_drift(schema_map, catalog)
    for drift in found[:_MOST]:
        yield Told(Level.WARN, "schema map", str(drift), "correct the map: docs/schema-map.md")
    if len(found) > _MOST:
        what = f"and {len(found) - _MOST} differences more"
        yield Told(Level.WARN, "schema map", what, "vigie check --against URL")
    if not found:
        yield Told(Level.OK, "schema map", "fits the database")


def _rules(policy: Policy, catalog: Catalog) -> Iterator[Told]:
    """Yield rules that name what is not there, and so can never hold by it."""
    there = {
        "relations": {str(one) for one in catalog.oids},
        "functions": {str(one.function) for found in catalog.functions.values() for one in found},
    }
    found = False
    for rule in policy.rules:
        for test in rule.tests:
            names = test.operand if isinstance(test.operand, frozenset) else frozenset()
            has = there.get(test.fact)
            absent = sorted(
                one for one in names if "." in one and has is not None and one not in has
            )
            if has is not None and absent and len(absent) == len(names):
                found = True
                what = f"{rule.id} can never hold by {test.fact}: no {', '.join(absent)} is there"
                yield Told(Level.WARN, "rules", what, "correct the name, or remove the rule")
    if not found:
        yield Told(Level.OK, "rules", f"{len(policy.rules)} rules name what is there")


async def _canaries(connection: asyncpg.Connection[Any], loaded: Loaded) -> AsyncIterator[Told]:
    assert loaded.settings.canaries is not None
    try:
        planted = read_canary_file(loaded.settings.canaries)
    except VigieError:
        return  # said among the files
    problems = await verify_rows(connection, planted)
    for problem in problems[:_MOST]:
        if "cannot be read" in problem:
            todo = "vigie canary verify, by a role that may read it"
            yield Told(Level.WARN, "canaries", problem, todo)
        else:
            yield Told(Level.FAIL, "canaries", problem, "vigie canary plant")
    if not problems:
        yield Told(Level.OK, "canaries", f"{len(planted)} are where they were planted")
