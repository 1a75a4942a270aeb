"""The compiled kernel and the one in Python: equal for any bytes."""

from __future__ import annotations

import importlib
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.accel import _python, template_from
from proxy.sql.template import MAX_TEMPLATE_CHARACTERS, cut_literals
from proxy.wire.encode import bind, describe_portal, execute, frame, parse, query

if TYPE_CHECKING:
    from types import ModuleType


def load() -> ModuleType:
    """Return the compiled kernel; where it must be there, its absence is a failure."""
    try:
        return importlib.import_module("vigie_native")
    except ImportError:
        if os.environ.get("PROXY_ACCEL") == "compiled":
            raise
        pytest.skip("no compiled kernel in this environment", allow_module_level=True)


compiled: Any = load()

WORDS = st.sampled_from(
    [
        *("select", "nir", "from", "patient", "where", "e", "E'", "b'", "u&'", 'U&"', "n", "1from"),
        *(
            "'",
            "''",
            "'a'",
            "'a''b'",
            "'$'",
            "'--'",
            "'/*'",
            '"',
            '"a"',
            '"a""b"',
            "$",
            "$1",
            "$1a",
        ),
        *("$$", "$a$", "$a$ ' $a$", "$1$", "--", "-- x\n", "/*", "*/", "/* /* */ */", "#--", "-"),
        *("1", "1.5", "1..2", ".5", ".", "1e5", "1e", "0x1", "1_0", "(", ")", "[", "]", ";", ","),
        *(
            "::",
            "\n",
            "\r",
            "\t",
            "\x0b",
            "\\",
            "{",
            "@>",
            "|/*",
            "|/",
            "\x01",
            "\x02",
            "\xe9",
            "\0",
        ),
    ]
)
TEXTS = st.lists(WORDS, max_size=12).map(" ".join) | st.lists(WORDS, max_size=12).map("".join)
PARAMETERS = st.lists(st.none() | st.binary(max_size=4), max_size=3)


def bound(parameters: list[bytes | None], formats: list[int], name: bytes) -> bytes:
    body = b"\0" + name + b"\0" + struct.pack(f">H{len(formats)}H", len(formats), *formats)
    body += struct.pack(">H", len(parameters))
    for one in parameters:
        body += struct.pack(">i", -1) if one is None else struct.pack(">i", len(one)) + one
    return frame(ord("B"), body + b"\0\1\0\1")


@given(TEXTS)
def test_templates_are_equal(text: str) -> None:
    """Any text has the same template in both, or none in both."""
    chunk = query(text.encode())

    template = _python.query_template(chunk)
    assert compiled.query_template(chunk) == template
    if template is not None:
        assert compiled.query_literals(chunk) == _python.query_literals(chunk)


@given(st.binary(max_size=40))
@example(b"Q\0\0\0\5\0")
@example(b"Q\0\0\0\6\0\0")
def test_any_bytes_are_equal(chunk: bytes) -> None:
    """Noise is refused by both."""
    assert compiled.query_template(chunk) == _python.query_template(chunk)
    assert compiled.extended_key(chunk) == _python.extended_key(chunk)
    assert compiled.answer_rows(chunk, b"", True) == _python.answer_rows(chunk, b"", True)


EXTENDED = st.tuples(
    st.sampled_from([b"", parse(b"s1", b"select $1")]),
    st.builds(
        bound,
        PARAMETERS,
        st.lists(st.integers(0, 1), max_size=3),
        st.sampled_from([b"", b"s1"]),
    ),
    st.sampled_from([b"", describe_portal(b"")]),
    st.just(execute(b"") + b"S\0\0\0\4"),
).map(b"".join)


@given(EXTENDED, st.integers(0, 200), st.binary(max_size=2))
def test_extended_queries_are_equal(chunk: bytes, cut_at: int, noise: bytes) -> None:
    """Sound extended queries, cut ones and damaged ones give the same key."""
    damaged = chunk[:cut_at] + noise + chunk[cut_at + len(noise) :]

    for one in (chunk, chunk[:cut_at], damaged, bind(b"", b"s1") + chunk):
        assert compiled.extended_key(one) == _python.extended_key(one)


@given(
    st.lists(st.sampled_from("DDDCZTEN"), max_size=6),
    st.binary(max_size=5),
    st.booleans(),
    st.integers(0, 80),
)
def test_answers_are_equal(tags: list[str], body: bytes, may_have_rows: bool, cut_at: int) -> None:
    """Whole answers, others and damaged ones are counted the same."""
    head = frame(ord("T"), b"\0\0")
    ready = frame(ord("Z"), b"I")
    chunk = head + b"".join(frame(ord(tag), body) for tag in tags)

    for one in (chunk, chunk + ready, chunk[:cut_at], (chunk + ready)[:cut_at]):
        expected = _python.answer_rows(one, head, may_have_rows)
        assert compiled.answer_rows(one, head, may_have_rows) == expected


@settings(max_examples=500)
@given(TEXTS | st.text(st.sampled_from("a1.'\"$-/*é€٣\n;()\ud800"), max_size=30))
@example("select 1٣")
@example("select 'é', 7 -- é\n, $1é")
@example("é" * MAX_TEMPLATE_CHARACTERS + " 1")
def test_literals_are_cut_the_same(text: str) -> None:
    """Template, slots, parameters, depth and comments: equal, beyond ASCII as well."""
    found = template_from(compiled.cut_literals)(text)

    assert found == cut_literals(text)
