"""``SET vigie.user``: quotes where PostgreSQL wants them, and nothing else is touched."""

from __future__ import annotations

import pytest

from proxy.session.user_setting import with_quotes
from proxy.wire.encode import parse, query
from proxy.wire.frames import Frame


def texts(text: bytes) -> tuple[bytes, bytes]:
    """Return what becomes of a text by Query, and by Parse."""
    simple = with_quotes(Frame(ord("Q"), query(text))).raw
    extended = with_quotes(Frame(ord("P"), parse(b"s", text, bytes(4)))).raw
    assert int.from_bytes(simple[1:5], "big") == len(simple) - 1
    assert int.from_bytes(extended[1:5], "big") == len(extended) - 1
    return simple[5:-1], extended[5:].split(b"\0")[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"SET vigie.user = 'a'", b"SET vigie.\"user\" = 'a'"),
        (b" set\tlocal Vigie . USER to 'a'", b" set\tlocal vigie.\"user\" to 'a'"),
        (b"set session vigie.user=a; select 1", b'set session vigie."user"=a; select 1'),
        (b"reset vigie.user", b'reset vigie."user"'),
        (b"show vigie.user;", b'show vigie."user";'),
    ],
)
def test_quotes_are_added(text: bytes, expected: bytes) -> None:
    """At the beginning of a text, by both protocols."""
    assert texts(text) == (expected, expected)


@pytest.mark.parametrize(
    "text",
    [
        b"set vigie.\"user\" = 'a'",
        b"set vigie.username = 'a'",
        b"set vigie.user.x = 'a'",
        b"select 'set vigie.user = 1'",
        b"select 1; set vigie.user = 'a'",
        b"set myvigie.user = 'a'",
        b"",
    ],
)
def test_nothing_else_changes(text: bytes) -> None:
    """The backend says what it thinks of it."""
    assert texts(text) == (text, text)
