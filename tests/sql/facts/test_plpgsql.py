"""The steps of a source in PL/pgSQL."""

from __future__ import annotations

import pytest

from proxy.sql.facts.plpgsql import read_source
from proxy.sql.facts.plpgsql_steps import Does
from proxy.sql.facts.plpgsql_tokens import Unreadable


def steps(source: str) -> list[tuple[str, str, tuple[str, ...], bool]]:
    """Return (what, text, targets, looped) of each step."""
    found = read_source(source).steps
    return [(one.does.value, one.text, one.targets, one.looped) for one in found]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x := 1; y = x; r.f := 2; a[1] := 3;",
         [("assign", "1", ("x",), False), ("assign", "x", ("y",), False),
          ("assign", "2", ("r",), False), ("assign", "3", ("a",), False)]),
        ("if a then b := 1; elsif c then null; else d := 2; end if;",
         [("test", "a", (), False), ("assign", "1", ("b",), False), ("test", "c", (), False),
          ("assign", "2", ("d",), False)]),
        ("select a, b into strict x, y from t;",
         [("run", "select a, b from t", ("x", "y"), False)]),
        ("insert into t values (1) returning id into x;",
         [("run", "insert into t values (1) returning id", ("x",), False)]),
        ("with w as (insert into t select 1) select 1 into x;",
         [("run", "with w as (insert into t select 1) select 1", ("x",), False)]),
        ("for r in select 1 loop return next r; end loop l;",
         [("each", "select 1", ("r",), True), ("return", "r", (), True)]),
        ("for i in reverse 9..1 by 2 loop null; end loop;",
         [("test", "9", (), True), ("assign", "9", ("i",), True), ("test", "1", (), True),
          ("assign", "1", ("i",), True), ("test", "2", (), True), ("assign", "2", ("i",), True)]),
        ("while a > 1 loop exit when b; end loop;",
         [("test", "a > 1", (), True), ("test", "b", (), True)]),
        ("case x when 1, 2 then y := 1; else null; end case;",
         [("test", "x", (), False), ("test", "1", (), False), ("test", "2", (), False),
          ("assign", "1", ("y",), False)]),
        ("execute 'select 1' into x using a, b;", [("dynamic", "'select 1'", ("x",), False)]),
        ("return query execute q using a;", [("return_dynamic", "q", (), False)]),
        ("raise exception 'no % of %', a, b using detail = c;",
         [("raise", "a", (), False), ("raise", "b", (), False), ("raise", "c", (), False)]),
        ("raise; return;", [("return", "", (), False)]),
        ("begin x := 1; exception when others or unique_violation then y := 2; end;",
         [("assign", "1", ("x",), False), ("assign", "2", ("y",), False)]),
        ("x := $a$ ; end; $a$ || E'\\';' || ';' /* ; /* ; */ */ -- ;\n ;",
         [("assign", "$a$ ; end; $a$ || E'\\';' || ';'", ("x",), False)]),
        ("get stacked diagnostics x = message_text, y = pg_exception_detail;",
         [("tell", "", ("x", "y"), False)]),
        ("<<l>> loop continue l when a; end loop;", [("test", "a", (), True)]),
        ("open c for select 1; fetch next from c into x; close c;",
         [("run", "select 1", ("c",), False), ("assign", '"c"', ("x",), False)]),
        ("call p(1); perform f(2); commit; rollback and chain;",
         [("run", "call p(1)", (), False), ("run", "SELECT f(2)", (), False)]),
    ],
)  # fmt: skip
def test_steps(body: str, expected: list[tuple[str, str, tuple[str, ...], bool]]) -> None:
    """What is assigned, asked, returned, shown and run, and whether over and over."""
    assert steps(f"begin {body} end") == expected


def test_declarations() -> None:
    """Variables, cursors with parameters, aliases and labels."""
    block = read_source(
        """
        <<outer>>
        declare
          a int := 1; b constant text not null default 'x'; "C" t%rowtype;
          d cursor (k int) for select k; e alias for $1;
        begin null; end outer;
        """
    )

    assert block.variables == ["a", "b", "C", "d", "k", "e"]
    assert block.aliases == {"e": "$1"}
    assert block.labels == {"outer"}
    assert [one.does for one in block.steps] == [Does.ASSIGN, Does.ASSIGN, Does.RUN]


@pytest.mark.parametrize(
    "source",
    [
        "begin x := 1; ",
        "begin end; select nir from patient",
        "begin x := 'a; end",
        "begin /* x := 1; end",
        "begin if a then x := 1; end",
        "begin x := $a$ ; end",
        "select 1",
        "",
        "end",
        "begin for x in 1.. loop end",
        "begin select 1 into x into y; end",
        "begin return \x00 1; end",
    ],
)
def test_what_is_no_block_is_unreadable(source: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Unreadable):
        read_source(source)
