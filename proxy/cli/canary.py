"""``vigie canary plant|list|verify``: subjects that nobody has a reason to read.

They are rows in the site's own database and marks in a file beside Vigie; nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg

from proxy.cli.canary_identity import invent
from proxy.cli.complaints import complain
from proxy.cli.loading import load
from proxy.content.canaries import Canary
from proxy.content.forms import FEWEST_BYTES
from proxy.errors import ConfigurationError, VigieError
from proxy.settings.canary_file import read_canary_file, write_canary_file
from proxy.terms.column_class import ColumnClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from proxy.cli.options import Options
    from proxy.terms.schema_map import SchemaMap

_COLUMNS: Final = """
select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull and not a.atthasdef
  and a.attidentity = '' as needed
from pg_attribute a where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped
"""
_KEYS: Final = {"bigint": (7_000_000_000, 9_000_000_000), "integer": (1_200_000_000, 2_000_000_000)}
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class _Place:
    """The file, those that are in it, and how many are to come."""

    path: Path
    known: Sequence[Canary]
    count: int


class CannotPlantError(VigieError):
    """A canary cannot stand in this relation; the message says what it needs."""


def plant(
    options: Options,
    url: str,
    path: Path,
    *,
    relation: str | None,
    count: int,
    values: Mapping[str, str],
) -> int:
    """Insert ``count`` canaries, remember them in ``path``, and return the exit status.

    Args:
        options: of the site, whose schema map says where patients are.
        url: of the database; the role needs INSERT and SELECT on the relation.
        path: the file of the canaries; those that are in it stay.
        relation: ``schema.name``; None: the one relation with most identities.
        count: how many.
        values: for columns that Vigie cannot fill, by name.
    """
    known = read_canary_file(path) if path.exists() else ()
    schema_map = load(options).policy.schema_map
    target = relation or _richest(schema_map)
    place = _Place(path, known, count)
    planted = asyncio.run(_plant(url, target, schema_map, values, place))
    for canary in planted:
        sys.stdout.write(f"{canary.id} in {canary.relation}, {len(canary.marks)} marks\n")
    sys.stdout.write(f"{len(known) + len(planted)} canaries in {path}; set canaries: {path}\n")
    return 0


def list_canaries(path: Path, *, as_json: bool) -> int:
    """Write which canaries there are, without their marks."""
    found = read_canary_file(path)
    rows = [{"id": one.id, "relation": one.relation, "marks": len(one.marks)} for one in found]
    if as_json:
        sys.stdout.write(json.dumps({"canaries": rows}) + "\n")
        return 0
    for row in rows:
        sys.stdout.write(f"{row['id']}  {row['relation']}  {row['marks']} marks\n")
    return 0


def verify(url: str, path: Path, *, as_json: bool) -> int:
    """See that each canary is in the database as it was planted; 1 if one is not."""
    found = read_canary_file(path)
    problems = asyncio.run(_verify(url, found))
    if as_json:
        sys.stdout.write(json.dumps({"canaries": len(found), "problems": problems}) + "\n")
    elif problems:
        complain(problems)
    else:
        sys.stdout.write(f"{len(found)} canaries are where they were planted\n")
    return 1 if problems else 0


def _richest(schema_map: SchemaMap) -> str:
    """Return the relation with a key and the most identities; the shorter name of equals."""
    counts: dict[str, int] = {}
    for column, what in schema_map.classes.items():
        if what is ColumnClass.IDENTITY:
            counts[str(column.relation)] = counts.get(str(column.relation), 0) + 1
    if not counts:
        raise ConfigurationError(["schema_map: no column of class identity, say --relation"])
    return min(counts, key=lambda name: (-counts[name], len(name), name))


@dataclass(frozen=True, slots=True)
class _Ground:
    """Where canaries are planted. ``kinds``: types of its columns; ``needed``: those it wants."""

    connection: Any
    relation: str
    key: str
    kinds: Mapping[str, str]
    needed: frozenset[str]
    given: Mapping[str, str]


async def _plant(
    url: str, target: str, schema_map: SchemaMap, given: Mapping[str, str], place: _Place
) -> list[Canary]:
    connection = await _connect(url)
    try:
        columns = await connection.fetch(_COLUMNS, target)
        kinds = {str(column["attname"]): str(column["format_type"]) for column in columns}
        ground = _Ground(
            connection,
            target,
            _key_column(target, schema_map, list(kinds)),
            kinds,
            frozenset(str(column["attname"]) for column in columns if column["needed"]),
            given,
        )
        async with connection.transaction():
            first = len(place.known) + 1
            planted = [await _canary(ground, n) for n in range(first, first + place.count)]
            # before the rows can be seen: a row that nobody watches for would be a false patient
            write_canary_file(place.path, [*place.known, *planted])
    except asyncpg.PostgresError as error:
        raise CannotPlantError(f"{target}: {error}") from None
    finally:
        await connection.close()
    return planted


async def _canary(ground: _Ground, number: int) -> Canary:
    row, marks = await _row(ground)
    await _insert(ground, row)
    key = row[ground.key]
    if len(key) >= FEWEST_BYTES:
        marks = tuple(dict.fromkeys([*marks, key]))
    return Canary(f"canary-{number}", ground.relation, ground.key, key, marks)


async def _row(ground: _Ground) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the values of a row that no other row has, and its marks."""
    chance = random.SystemRandom()
    for _ in range(_TRIES):
        identity = invent(chance, datetime.now(tz=UTC).date())
        row: dict[str, str] = {}
        for name, kind in ground.kinds.items():
            value = ground.given.get(name, identity.value_for(name))
            if name == ground.key and value is None:
                value = _new_key(ground.relation, name, kind, chance)
            if value is not None:
                row[name] = str(value)
            elif name in ground.needed:
                raise CannotPlantError(f"{ground.relation}.{name}: needs --value {name}=...")
        marks = identity.marks_in(frozenset(row) - frozenset(ground.given))
        if not marks:
            raise CannotPlantError(
                f"{ground.relation}: no column for a name, a NIR, a phone or an e-mail"
            )
        if not await _stands(ground, row, [*marks, row[ground.key]]):
            return row, marks
    raise CannotPlantError(f"{ground.relation}: {_TRIES} invented patients are all there already")


def _new_key(target: str, name: str, kind: str, chance: random.Random) -> str:
    if kind == "uuid":
        return str(UUID(int=chance.getrandbits(128)))
    if kind not in _KEYS:
        raise CannotPlantError(f"{target}.{name} is {kind}: needs --value {name}=...")
    return str(chance.randrange(*_KEYS[kind]))


async def _stands(ground: _Ground, row: Mapping[str, str], marks: Sequence[str]) -> bool:
    """Whether any column already holds one of these values."""
    tests = " or ".join(f"{_quoted(name)}::text = any($1)" for name in row)
    text = f"select exists (select 1 from {_name(ground.relation)} where {tests})"
    return bool(await ground.connection.fetchval(text, list(marks)))


async def _insert(ground: _Ground, row: Mapping[str, str]) -> None:
    names = ", ".join(map(_quoted, row))
    # each goes as text and is cast there: a value from the command line has no type
    places = ", ".join(f"${n}::text::{ground.kinds[name]}" for n, name in enumerate(row, 1))
    await ground.connection.execute(
        f"insert into {_name(ground.relation)} ({names}) overriding system value values ({places})",
        *row.values(),
    )


def _key_column(target: str, schema_map: SchemaMap, columns: Sequence[str]) -> str:
    keys = {
        column.name: schema_map.classes.get(column)
        for column in schema_map.keys
        if str(column.relation) == target and column.name in columns
    }
    plain = [name for name, what in keys.items() if what is ColumnClass.KEY]
    if not keys:
        raise CannotPlantError(f"{target} has no subject key in the schema map")
    return min(plain or keys)


async def _verify(url: str, canaries: Sequence[Canary]) -> list[str]:
    connection = await _connect(url)
    try:
        return await verify_rows(connection, canaries)
    finally:
        await connection.close()


async def verify_rows(connection: Any, canaries: Sequence[Canary]) -> list[str]:
    """Return which canaries are not in the database as they were planted, and why."""
    problems: list[str] = []
    for canary in canaries:
        text = (
            f"select row_to_json(c)::text from {_name(canary.relation)} c"
            f" where {_quoted(canary.key_column)}::text = $1"
        )
        try:
            async with connection.transaction():
                row = await connection.fetchval(text, canary.key)
        except asyncpg.PostgresError as error:
            problems.append(f"{canary.id}: {canary.relation} cannot be read: {error}")
            continue
        if row is None:
            problems.append(f"{canary.id}: no row in {canary.relation}; plant another one")
            continue
        held = {str(value) for value in json.loads(row).values()}
        if not set(canary.marks) <= {value.strip() for value in held}:
            problems.append(f"{canary.id}: its row in {canary.relation} was changed")
    return problems


async def _connect(url: str) -> Any:
    try:
        return await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise CannotPlantError(f"the database cannot be reached: {error}") from None


def _name(relation: str) -> str:
    schema, _, name = relation.rpartition(".")
    return f"{_quoted(schema)}.{_quoted(name)}" if schema else _quoted(name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
