"""PostgreSQL's grammar: what it refuses, it refuses with a reason and a place."""

from __future__ import annotations

import pytest

from proxy.sql.grammar import GrammarError, parse


def test_statements_are_parsed() -> None:
    """Each statement is a node with its place in the text."""
    first, second = parse("select 1;table x")
    assert "SelectStmt" in first["stmt"]
    assert second["stmt_location"] == 9


@pytest.mark.parametrize(
    ("text", "reason", "at"),
    [
        ("selec 'secret'", "syntax error at or near", 0),
        ("select 1 from from", "syntax error at or near", 14),
        ("select 'secret", "unterminated quoted string at or near", 7),
        ("select 1\0", "nul", 8),
        ("select '\ud800'", "encoding", 8),
    ],
)
def test_errors_quote_nothing(text: str, reason: str, at: int) -> None:
    """The reason is the message without what it quotes."""
    with pytest.raises(GrammarError) as raised:
        parse(text)
    assert (raised.value.reason, raised.value.at) == (reason, at)
