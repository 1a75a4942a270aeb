"""The template of a text: literals out, everything else as it is, and nothing at a doubt."""

from __future__ import annotations

import pytest

from proxy.sql.template import cut_literals, display


@pytest.mark.parametrize(
    ("text", "shown", "values"),
    [
        ("select 1", "select ?", ["1"]),
        ("where a='x''y' and b=.5e3", "where a=? and b=?", ["x'y", ".5e3"]),
        ('select a1, "b 2" from t3', 'select a1, "b 2" from t3', []),
        ("select $1,$2 limit 10", "select $1,$2 limit ?", ["10"]),
        ("select $a$ 'x' 1 $a$, 2", "select $a$ 'x' 1 $a$, ?", ["2"]),
        ("select 1 -- it's 2\n, 3", "select ?  \n, ?", ["1", "3"]),
        ("select /* 'a /* 1 */ */ 4", "select   ?", ["4"]),
        ("/* a */select 12345/**/, 'abc' -- b", " select ? , ?  ", ["12345", "abc"]),
        ("select 5 #-- '\n 3, nir -- '", "select ? # \n ?, nir  ", ["5", "3"]),
        ("select x[1:2]", "select x[?:?]", ["1", "2"]),
    ],
)
def test_literals_are_cut_where_postgresql_sees_them(
    text: str, shown: str, values: list[str]
) -> None:
    """Plain strings, numbers and comments go; names, parameters and dollar quotes stay."""
    template = cut_literals(text)
    assert template is not None
    assert display(template) == shown
    assert [slot.value for slot in template.slots] == values


@pytest.mark.parametrize(
    "text",
    [
        "select E'a\\'b'",
        "select U&'x'",
        "select n'x'",
        "select b'1'",
        "select 'a'\n'b'",
        "select 'a' -- c\n 'b'",
        "select 1from t",
        "select 0x1f",
        "select 'open",
        'select "open',
        "select $a$ open",
        "select /* open",
        "select '$a$ -- '",
        "select \x01",
    ],
)
def test_a_doubt_gives_no_template(text: str) -> None:
    """Whatever servers or parsers may lex otherwise is kept by its exact text only."""
    assert cut_literals(text) is None


def test_a_string_is_not_a_number() -> None:
    """A literal of another kind makes another template: the tree may differ."""
    number, string = cut_literals("select f(1)"), cut_literals("select f('1')")
    assert number is not None
    assert string is not None
    assert number.text != string.text
