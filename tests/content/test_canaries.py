"""The watch finds planted subjects in bytes; their file is read back or refused with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.content.canaries import Canary, CanaryWatch, read_canaries, write_canaries
from proxy.errors import ConfigurationError

CANARIES = (
    Canary("canary-1", "lab.patient", "id", "7123456789", ("285057800608436", "TREVANSIQUIVAL")),
    Canary("canary-2", "lab.patient", "id", "8123456789", ("0639980123", "a.b@example.test")),
)
WATCH = CanaryWatch(CANARIES)
SHORT = {"id": "a", "relation": "b", "key_column": "c", "key": "d", "marks": ["short"]}


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 1))
def test_a_canary_is_found_whatever_is_around_it(before: bytes, after: bytes, which: int) -> None:
    """And it is told which one it was."""
    canary = CANARIES[which]

    assert WATCH.find(before + canary.marks[0].encode() + after) == canary.id


@given(st.text(alphabet="0123456789abcdefghij@. -", max_size=12))
def test_nothing_is_found_where_none_is(text: str) -> None:
    """Digits, letters and addresses of others are nobody's canary."""
    assert WATCH.find(text.encode()) is None or any(
        mark.lower() in text.replace(" ", "") for canary in CANARIES for mark in canary.marks
    )


def test_without_canaries_nothing_is_looked_for() -> None:
    """An empty file is lawful."""
    watch = CanaryWatch(())

    assert (watch.find(b"anything"), watch.longest) == (None, 0)


def test_marks_of_the_syntax_of_patterns_are_taken_as_they_are() -> None:
    """A mark is a text, whatever its characters mean elsewhere."""
    watch = CanaryWatch([Canary("c", "r", "k", "1", (".*[a-z]+(",))])

    assert watch.find(b"x .*[a-z]+( y") == "c"
    assert watch.find(b"abcdefgh") is None


def test_a_file_is_read_as_it_was_written() -> None:
    """Nothing is lost on the way."""
    assert read_canaries(write_canaries(CANARIES), "f") == CANARIES


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "f:1:2: Expecting property name"),
        ("[]", "f: no file of canaries, expected format 1"),
        ('{"format": 2}', "f: no file of canaries, expected format 1"),
        ('{"format": 1}', "f: 'canaries' is no list"),
        ('{"format": 1, "canaries": [3]}', "f: canary 1: 'id' is no text"),
        (
            json.dumps({"format": 1, "canaries": [SHORT]}),
            "f: canary 1: the mark 'short' is no text of 7 bytes or more",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(text: str, problem: str) -> None:
    """Nobody goes on without the canaries that he believes to have."""
    with pytest.raises(ConfigurationError) as caught:
        read_canaries(text, "f")

    assert caught.value.problems[0].startswith(problem)
