"""What a draft of a schema map needs of a live database: names, types, keys, and looks of samples.

All of it in one transaction that is READ ONLY, with a time limit for each statement and one for all
of it. A sample is looked at and dropped: it is in no result, no message and no file.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from proxy.cli.live import FAULTS, connect, read_results
from proxy.errors import ConfigurationError
from proxy.net import clock
from proxy.policy.draft.live_schema import LiveColumn, LiveFunction, LiveRelation, LiveSchema
from proxy.policy.draft.looks import looks_of
from proxy.policy.drift import drift_of_values, find_drift
from proxy.sql import build_catalog
from proxy.terms.relation import Column, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from proxy.cli.live import Results
    from proxy.policy.drift import Drift
    from proxy.terms.schema_map import SchemaMap

_STATEMENT_SECONDS: Final = 2
_CHECK_SECONDS: Final = 10.0
_ROWS: Final = 200
_CHARACTERS: Final = 256  # of a value; what is beyond is not looked at
_PAGES: Final = 50  # of a large relation, at random
_LARGE_ROWS: Final = 10_000
_MINE: Final = """
 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind = any ('{r,p,f,v,m}') and c.relpersistence <> 't'
   and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
   and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_class'::regclass
     and d.objid = c.oid and d.deptype = 'e')
"""
_RELATIONS: Final = f"""
select c.oid::int8 as oid, n.nspname, c.relname, c.relkind::text as kind, c.reltuples,
  coalesce(obj_description(c.oid, 'pg_class'), '') as comment,
  has_table_privilege(c.oid, 'select') as may_read,
  case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end as definition,
  array(select i.inhparent::int8 from pg_catalog.pg_inherits i where i.inhrelid = c.oid) as parents
{_MINE} order by n.nspname, c.oid
"""
_COLUMNS: Final = f"""
select a.attrelid::int8 as oid, a.attnum, a.attname,
  format_type(case when t.typtype = 'd' then t.typbasetype else a.atttypid end,
    case when t.typtype = 'd' then t.typtypmod else a.atttypmod end) as type,
  coalesce(col_description(a.attrelid, a.attnum), '') as comment,
  coalesce(bool_or(i.indisunique), false) as is_unique,
  coalesce(bool_or(i.indisprimary), false) as is_primary
from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_index i on i.indrelid = a.attrelid and i.indnkeyatts = 1
  and i.indkey[0] = a.attnum and i.indpred is null and i.indisvalid
where a.attnum > 0 and not a.attisdropped and a.attrelid in (select c.oid {_MINE})
group by 1, 2, 3, 4, 5 order by 1, 2
"""
_REFERENCES: Final = """
select conrelid::int8 as source, conkey, confrelid::int8 as target, confkey
from pg_catalog.pg_constraint where contype = 'f' order by oid
"""
_FUNCTIONS: Final = """
select n.nspname || '.' || p.proname as name, p.prorettype = 'trigger'::regtype as is_trigger,
  t.typrelid::int8 as row_of
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_type t on t.oid = p.prorettype
where p.oid >= 16384 and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_proc'::regclass
    and d.objid = p.oid and d.deptype = 'e')
order by 1
"""
_LOOKED_AT: Final = (
    "text", "character", "varchar", "citext", "bigint", "numeric", "date", "json", "jsonb", "xml",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiveRead:
    """All that was read. ``results``: of ``CATALOG_QUERY``; ``definitions``: queries of views."""

    schema: LiveSchema
    definitions: Mapping[Relation, str]
    results: Results


def read_live_schema(url: str, today: date, *, seconds: float, samples: bool) -> LiveRead:
    """Return what the URL's role can see of its database.

    Args:
        url: of the database.
        today: of the reader, to know birth dates by.
        seconds: for all samples together.
        samples: whether values are looked at at all.

    Errors: ConfigurationError.
    """
    return asyncio.run(_read(url, today, seconds=seconds, samples=samples))


@dataclass(frozen=True, slots=True)
class _Row:
    """A relation with the planner's count of its rows; below 0: it was never analysed."""

    relation: LiveRelation
    rows: float
    may_read: bool


def drift_from(url: str, schema_map: SchemaMap) -> tuple[Drift, ...]:
    """Return where a database does not fit the schema map, its values looked at as for a draft.

    Errors: ConfigurationError.
    """
    live = read_live_schema(url, datetime.now(tz=UTC).date(), seconds=_CHECK_SECONDS, samples=True)
    by_name = find_drift(schema_map, build_catalog(live.results, schema_map))
    places = {one.place for one in by_name}
    by_value = (one for one in drift_of_values(schema_map, live.schema) if one.place not in places)
    return (*by_name, *by_value)


async def _read(url: str, today: date, *, seconds: float, samples: bool) -> LiveRead:
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            limits = f"statement_timeout = '{_STATEMENT_SECONDS * 5}s'", "lock_timeout = '500ms'"
            for limit in limits:
                await connection.execute(f"set local {limit}")
            results = await read_results(connection)
            relations, definitions = await _relations(connection)
            names = {oid: row.relation for oid, row in relations.items()}
            schema = LiveSchema(
                {one.relation: one for one in names.values()},
                await _references(connection, names),
                await _functions(connection, names),
            )
            await connection.execute(f"set local statement_timeout = '{_STATEMENT_SECONDS}s'")
            sampler = _Sampler(connection, today, clock.now() + seconds if samples else None)
            # small relations first: the large ones have what is left of the time
            for row in sorted(relations.values(), key=lambda one: one.rows):
                looked = await sampler.look(row)
                sampled = {**schema.relations, looked.relation: looked}
                schema = replace(schema, relations=sampled)
        return LiveRead(schema, definitions, results)
    except FAULTS as error:
        said = f"--against: the catalog was not read: {type(error).__name__}: {error}"
        raise ConfigurationError([said]) from error
    finally:
        await connection.close()


async def _relations(
    connection: asyncpg.Connection[Any],
) -> tuple[dict[int, _Row], dict[Relation, str]]:
    rows = await connection.fetch(_RELATIONS)
    names = {row["oid"]: Relation(row["nspname"], row["relname"]) for row in rows}
    columns: dict[int, list[LiveColumn]] = {}
    for row in await connection.fetch(_COLUMNS):
        column = LiveColumn(
            row["attname"], row["type"], row["comment"], row["is_unique"], row["is_primary"]
        )
        columns.setdefault(row["oid"], []).append(column)
    found = {}
    for row in rows:
        oid, parents = row["oid"], tuple(names[one] for one in row["parents"] if one in names)
        has = tuple(columns.get(oid, ()))
        relation = LiveRelation(names[oid], row["kind"], has, row["comment"], parents)
        found[oid] = _Row(relation, row["reltuples"], row["may_read"])
    definitions = {names[row["oid"]]: row["definition"] for row in rows if row["definition"]}
    return found, definitions


async def _references(
    connection: asyncpg.Connection[Any], relations: Mapping[int, LiveRelation]
) -> dict[Column, Column]:
    numbers = {
        (row["oid"], row["attnum"]): row["attname"] for row in await connection.fetch(_COLUMNS)
    }
    found: dict[Column, Column] = {}
    for row in await connection.fetch(_REFERENCES):
        source, target = relations.get(row["source"]), relations.get(row["target"])
        if source is None or target is None:
            continue
        for here, there in zip(row["conkey"], row["confkey"], strict=True):
            column = Column(source.relation, numbers[row["source"], here])
            found[column] = Column(target.relation, numbers[row["target"], there])
    return found


async def _functions(
    connection: asyncpg.Connection[Any], relations: Mapping[int, LiveRelation]
) -> tuple[LiveFunction, ...]:
    found = []
    for row in await connection.fetch(_FUNCTIONS):
        of = relations.get(row["row_of"])
        relation = None if of is None else of.relation
        found.append(LiveFunction(row["name"], row["is_trigger"], relation))
    return tuple(found)


class _Sampler:
    """Looks at values of one relation after the other, until its time is over.

    Args:
        connection: in a transaction that is read-only.
        today: of the reader, to know birth dates by.
        ends_at: when the time is over; None: nothing is looked at.
    """

    def __init__(
        self, connection: asyncpg.Connection[Any], today: date, ends_at: float | None
    ) -> None:
        self._connection = connection
        self._today = today
        self._ends_at = ends_at

    async def look(self, row: _Row) -> LiveRelation:
        """Return the relation with what its values look like, or with why it has none."""
        relation = row.relation
        if relation.kind in {"v", "p"} or self._ends_at is None:
            return relation  # a view by its query, a partitioned table by its partitions
        wanted = [one for one in relation.columns if one.type.startswith(_LOOKED_AT)]
        if not wanted:
            return relation
        reason = "it is not of this server" if relation.kind == "f" else ""
        reason = reason or ("" if row.may_read else "the role may not read it")
        reason = reason or ("" if clock.now() < self._ends_at else "the time was over")
        if reason:
            return replace(relation, unsampled=reason)
        try:
            async with self._connection.transaction():
                values = await self._connection.fetch(_sample_of(row, wanted))
        except asyncpg.QueryCanceledError:
            return replace(relation, unsampled="it took too long")
        except asyncpg.PostgresError as error:
            return replace(relation, unsampled=type(error).__name__)
        looks = {
            column.name: looks_of((one[number] for one in values), self._today)
            for number, column in enumerate(wanted)
        }
        columns = tuple(
            replace(column, looks=looks[column.name]) if column.name in looks else column
            for column in relation.columns
        )
        return replace(relation, columns=columns)


def _sample_of(row: _Row, columns: Iterable[LiveColumn]) -> str:
    """Return what reads a few rows: of a large relation from a few pages at random."""
    named = ", ".join(f"left({_identifier(one.name)}::text, {_CHARACTERS})" for one in columns)
    where = row.relation.relation
    text = f"select {named} from only {_identifier(where.schema)}.{_identifier(where.name)}"
    if row.rows > _LARGE_ROWS and row.relation.kind == "r":
        percent = min(100.0, 100 * _PAGES * _ROWS / row.rows)
        text += f" tablesample system ({percent:.6f})"
    return f"{text} limit {_ROWS}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
