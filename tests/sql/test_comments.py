"""What the last comment of a text says, and what looks like one and is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import accel
from proxy.sql.comments import said_in_comment
from proxy.sql.template import cut_literals

BOTH = pytest.mark.parametrize("cut", [cut_literals, accel.cut_literals], ids=["python", "accel"])


def said(text: str | bytes, encoding: str = "UTF8") -> dict[str, str]:
    raw = text if isinstance(text, bytes) else text.encode()
    found = [
        dict(said_in_comment(raw, encoding, cut)) for cut in (cut_literals, accel.cut_literals)
    ]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1 /*user='alice'*/", {"user": "alice"}),
        ("select 1 /*user='alice'*/ ;\n", {"user": "alice"}),
        ("select 1; /*user='alice'*/", {"user": "alice"}),
        ("select 1 /* user='alice' , route='x' */", {"user": "alice", "route": "x"}),
        ("select 1 /*route='/polls/%5Bid%5D',user='a'*/", {"route": "/polls/[id]", "user": "a"}),
        ("select 1 /*user='dr.%20L%C3%A9a'*/", {"user": "dr. Léa"}),
        ("select 1 /*user='dr. Léa'*/", {"user": "dr. Léa"}),
        ("select 1 /*user='o%27hara'*/", {"user": "o'hara"}),
        ("select 1 /*user='o\\'hara'*/", {"user": "o'hara"}),
        ("select 1 /*user='a+b'*/", {"user": "a+b"}),  # a plus is no space
        ("select 1 /*user=''*/", {"user": ""}),
        ("select 1 /*route='x'*/ /*user='alice'*/", {"route": "x", "user": "alice"}),
        ("select 1 /*user='alice'*//*route='x'*/;", {"route": "x", "user": "alice"}),
        ("select 1 /* a note */ /*user='alice'*/", {"user": "alice"}),
        ("select 1 /*user='%252F'*/", {"user": "%2F"}),  # decoded once
        ("select /*+ SeqScan(p) */ 1 /*user='alice'*/", {"user": "alice"}),
        ("select 'it''s /* no' /*user='alice'*/", {}),  # a lexer may see another text there
        ("select 'plain' /*user='alice'*/", {"user": "alice"}),
        ("select $$ /*user='mallory'*/ $$ /*user='alice'*/", {"user": "alice"}),
        ("select 1 as \"/*user='mallory'*/\" /*user='alice'*/", {"user": "alice"}),
    ],
)
def test_what_it_says(text: str, expected: dict[str, str]) -> None:
    """Keys and values as sqlcommenter writes them, decoded once."""
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "",
        "select '/*user=\"x\"*/'",
        "select '/*user=''mallory''*/'",
        "select $$/*user='mallory'*/$$",
        "select $a$ /*user='mallory'*/",  # the string does not end
        "select 1 -- /*user='mallory'*/",
        "select 1 /*user='mallory'*/ -- ",
        "select 1 /*user='mallory'*/ --' and id = 1 /*user='alice'*/",
        "select /*user='mallory'*/ 1",  # in the middle
        "/*user='mallory'*/ select 1",
        "select 1 /*user='mallory'*/ where true /*user='alice'*/",  # two of them
        "select 1 /*user='mallory'*//*user='alice'*/",
        "select 1 /*user='alice'*/ /* a note */",
        "select 1 /*user='a',user='b'*/ /*user='alice'*/",
        "select 1 /*user='mallory'*/; /*user='alice'*/",
        "select 1 /*user='mallory'*/ /*user='alice'*/",
        "select 1 /* /*user='mallory'*/ */",  # nested
        "select 1 /*user='a'/*,user='b'*/*/",
        "select 1 /*/*user='alice'*/",  # does not end
        "select 1 /*user='alice'",
        "select 1 /*user=alice*/",
        "select 1 /*user='alice*/",
        "select 1 /*user='a''b'*/",
        "select 1 /*user='alice' route='x'*/",
        "select 1 /*user='al%ice'*/",
        "select 1 /*user='%2'*/",
        "select 1 /*user='\x01'*/",
        "select 1 /*user='al\nice'*/",
        "select 1 /**/",
        "select 1 /***/",
        "select 1 */",
        "select E'\\'' /*user='mallory'*/",  # which of two lexers is right is not guessed
        "select 1 /*user='" + "a" * 9000 + "'*/",
        "select 1 /*user='alice'*/, 2",
        "select 1 /*user='mallory'*/; drop table x",
    ],
)
def test_what_says_nothing(text: str) -> None:
    """A string, a comment elsewhere, a second one, or another form is nobody's word."""
    assert said(text) == {}


@pytest.mark.parametrize("value", ["%FF", "%C3", "%C3%28", "%ED%A0%80"])
def test_a_value_that_is_no_utf_8_is_left_out(value: str) -> None:
    """What it names is not known."""
    assert said(f"select 1 /*route='x',user='{value}'*/") == {"route": "x"}


def test_a_key_said_twice_is_left_out() -> None:
    """In whatever spelling: which of the two is meant is not known."""
    assert said("select 1 /*user='a',user='b'*/") == {}
    assert said("select 1 /*user='a',%75ser='b',x='y'*/") == {"x": "y"}


def test_the_encoding_is_that_of_the_session() -> None:
    """And one that hides quotes says nothing."""
    text = "select 1 /*user='Léa'*/"

    assert said(text.encode("latin-1"), "LATIN1") == {"user": "Léa"}
    assert said(text.encode("latin-1"), "UTF8") == {}
    assert said(text.encode(), "SJIS") == {}
    assert said(b"select 1\0 /*user='x'*/") == {}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_name_that_is_encoded_arrives(name: str) -> None:
    """Percent-encoded byte by byte, as all of its implementations may."""
    encoded = "".join(f"%{octet:02X}" for octet in name.encode())

    assert said(f"select 1 /*user='{encoded}'*/") == {"user": name}


@given(st.text("a'/*-$\\ ,=%;\nE\"", max_size=30))
def test_nothing_before_it_changes_what_it_says(text: str) -> None:
    """Whatever stands before: the name behind is said, or nothing is."""
    assert said(text + " /*user='alice'*/").get("user", "alice") == "alice"
