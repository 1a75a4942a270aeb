"""Where PostgreSQL shows the texts of statements: literals in them say who was looked up.

Others' of ``pg_stat_activity`` and ``pg_stat_statements``; ``pg_prepared_statements`` and
``pg_cursors`` show what the session itself has sent. Columns of their own relations only: a view of
the site's over one of them is not seen.

Source: PostgreSQL documentation, "Monitoring Database Activity", "pg_stat_statements".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sql.facts.value import Value
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance
from proxy.terms.relation import Column, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COLUMNS: Final[Mapping[str, str]] = {
    "pg_stat_activity": "query",
    "pg_stat_statements": "query",
    "pg_stat_monitor": "query",
}
# What these relations have beside the text; a column that is not here counts as the text.
_OTHER_NAMES: Final = """
datid datname pid leader_pid usesysid usename application_name client_addr client_hostname
client_port backend_start xact_start query_start state_change wait_event_type wait_event state
backend_xid backend_xmin query_id backend_type
"""
OTHERS: Final = frozenset(_OTHER_NAMES.split())
FUNCTIONS: Final = frozenset(
    {"pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_stat_statements"}
)
_ANYWHERE: Final = ""  # the schema of an extension is the site's choice


def text_value(name: str) -> Value:
    """Return what a text of the view or function of this name carries."""
    column = Column(Relation(_ANYWHERE, name), COLUMNS.get(name, "query"))
    return Value(Provenance.DIRECT, ColumnClass.IDENTITY, frozenset({column}))


def holds_texts(sources: Iterable[Column]) -> bool:
    """Whether some of the sources are texts of statements."""
    return any(
        one.relation.schema == _ANYWHERE
        and (one.relation.name in COLUMNS or one.relation.name in FUNCTIONS)
        for one in sources
    )
