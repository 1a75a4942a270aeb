"""Whether a statement reads what a database consists of, and not what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.terms.facts import StatementFacts

_INFORMATION: Final = "information_schema"
_CATALOG: Final = "pg_catalog"
# Relations of the catalog that tell of tables and columns. Not those of types, settings, locks or
# sessions, which drivers and monitors ask for all day.
_DEFINITIONS: Final = frozenset(
    {
        *("pg_class", "pg_attribute", "pg_tables", "pg_views", "pg_matviews", "pg_indexes"),
        *("pg_constraint", "pg_stat_user_tables", "pg_stat_all_tables", "pg_proc"),
        *("pg_statio_user_tables", "pg_statio_all_tables", "pg_description", "pg_rewrite"),
    }
)


def reads_definitions(facts: StatementFacts) -> bool:
    """Whether some relation that is read tells of tables, columns or functions."""
    return any(
        one.schema == _INFORMATION or (one.schema == _CATALOG and one.name in _DEFINITIONS)
        for one in facts.relations
    )
