"""A database that is asked: its catalog, as the proxy would read it, and its planner."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg

from proxy.errors import ConfigurationError
from proxy.sql import CATALOG_QUERY, build_catalog
from proxy.sql.planner import explain_text, may_be_planned, planned_query, read_plan
from proxy.terms.facts import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql import Catalog
    from proxy.sql.planner import Plan
    from proxy.terms.facts import StatementFacts
    from proxy.terms.schema_map import SchemaMap

Results: TypeAlias = "list[list[list[str | None]]]"

_SECONDS: Final = 10.0
_NAME: Final = "vigie_plan"
_SETTINGS: Final = (
    "default_transaction_read_only = on",
    f"statement_timeout = {_SECONDS * 1000:.0f}",
    "plan_cache_mode = force_generic_plan",
)
FAULTS: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, or why there is none."""

    plan: Plan | None
    reason: str = ""


def read_catalog(url: str, schema_map: SchemaMap) -> Catalog:
    """Return the catalog as the URL's role sees it. Errors: ConfigurationError."""
    return asyncio.run(_read_catalog(url, schema_map))


def plan_statements(url: str, statements: Sequence[StatementFacts]) -> list[Planned]:
    """Return the plan of each statement, made read-only and never run. Errors: ConfigurationError.

    A statement that needs an earlier one of the same text to have run has no plan.
    """
    return asyncio.run(_plan(url, statements))


async def connect(url: str) -> asyncpg.Connection[Any]:
    """Return a connection to the database of ``--against``. Errors: ConfigurationError."""
    try:
        return await asyncpg.connect(url, timeout=_SECONDS, command_timeout=_SECONDS)
    except (ValueError, *FAULTS) as error:
        said = f"--against: {type(error).__name__}: {error}"
        hint = "expected postgresql://ROLE@HOST:PORT/DATABASE of a database that answers"
        raise ConfigurationError([f"{said}, {hint}"]) from error


async def _read_catalog(url: str, schema_map: SchemaMap) -> Catalog:
    connection = await connect(url)
    try:
        return build_catalog(await read_results(connection), schema_map)
    except FAULTS as error:
        raise ConfigurationError([f"--against: catalog not read: {error}"]) from error
    finally:
        await connection.close()


async def read_results(connection: asyncpg.Connection[Any]) -> Results:
    """Return what ``CATALOG_QUERY`` gives, as ``build_catalog`` takes it."""
    results = []
    for text in CATALOG_QUERY.split(";\n"):
        rows = await connection.fetch(text)
        results.append([[_as_text(value) for value in row.values()] for row in rows])
    return results


def _as_text(value: object) -> str | None:
    """Return a value as the wire's text format has it."""
    match value:
        case None:
            return None
        case bool():
            return "t" if value else "f"
        case bytes():
            return value.decode()
        case _:
            return str(value)


async def _plan(url: str, statements: Sequence[StatementFacts]) -> list[Planned]:
    connection = await connect(url)
    try:
        for setting in _SETTINGS:
            await connection.execute(f"SET {setting}")
        return [await _plan_one(connection, facts) for facts in statements]
    finally:
        await connection.close()


async def _plan_one(connection: asyncpg.Connection[Any], facts: StatementFacts) -> Planned:
    if not may_be_planned(facts):
        return Planned(None, "not asked: what it would run is not known to be harmless")
    query: str | None = facts.text
    if facts.kind is Kind.COPY_OUT:
        found = planned_query(facts.text.encode())
        query = None if found is None else found.decode()
    if query is None:
        return Planned(None, "not asked: a COPY of a whole relation has no query")
    try:
        # by Parse, which takes one statement only; a plan for NULL would be one that reads nothing
        await (await connection.prepare(f"PREPARE {_NAME} AS {query}")).fetch()
        typed = "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1"
        count = await connection.fetchval(typed, _NAME)
        given = f"({', '.join(['NULL'] * count)})" if count else ""
        text = explain_text(f"EXECUTE {_NAME}{given}".encode()).decode()
        answer = await connection.fetchval(text)
        await connection.execute(f"DEALLOCATE {_NAME}")
        return Planned(read_plan(answer))
    except (ValueError, *FAULTS) as error:
        return Planned(None, f"no plan: {type(error).__name__}")
