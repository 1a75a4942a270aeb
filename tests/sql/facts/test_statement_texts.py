"""Texts of others' statements are told from everything else about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.sql.facts.statement_texts import holds_texts
from proxy.terms.facts import SideDoor
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.terms.facts import StatementFacts


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ("select query from pg_stat_activity", [True]),
        ("select pid, upper(a.query) q from pg_catalog.pg_stat_activity a", [False, True]),
        ("select * from pg_stat_activity where state = 'active'", [True]),
        ("select query, state from (select * from pg_stat_activity) a", [True, True]),
        ("with a as (table pg_stat_activity) select count(*) from a", [False]),
        ("select a from pg_stat_activity a", [True]),
        ("select string_agg(query, '') from pg_stat_activity", [True]),
        ("select pg_stat_get_backend_activity(1)", [True]),
        ("select * from pg_stat_get_activity(null)", [True]),
        ("select query from pg_stat_statements", [True]),
        ("select statement, name from pg_cursors", [False, False]),
        ("select * from pg_prepared_statements", [False]),
        ("select pid, state, wait_event, query_start from pg_stat_activity", [False] * 4),
        ("select count(*) from pg_stat_activity where query like 'v%'", [False]),
        ("select query from lab.analyse a, lateral (select a.code as query) b", [False]),
    ],
)
def test_texts(facts: Callable[[str], StatementFacts], text: str, shows: list[bool]) -> None:
    """By column, also through a star; what only counts or filters by them shows none."""
    found = facts(text)

    assert found.output is not UNKNOWN
    assert [holds_texts(one.sources) for one in found.output] == shows
    assert (SideDoor.STATEMENT_TEXTS in found.side_doors) == any(shows)
    assert found.reads_subjects == any(shows)
