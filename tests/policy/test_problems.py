"""Wording of problems."""

from __future__ import annotations

import pytest

from proxy.policy.problems import show, suggest


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("row_bouns", ["row_bound", "role"], "did you mean 'row_bound'?"),
        ("zzz", ["b", "a"], "expected one of a, b"),
        ("zzz", [], "expected none"),
        (
            "zzz",
            list("abcdefghijklmn"),
            "expected one of a, b, c, d, e, f, g, h, i, j, k, l and 2 more",
        ),
    ],
)
def test_suggestions(name: str, known: list[str], said: str) -> None:
    """The nearest name, else all of them, else that there are none."""
    assert suggest(name, known) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "nothing"),
        (True, "true"),
        ([], "an empty list"),
        ({"a": 1}, "a mapping"),
        (5, "5"),
        ("x" * 50, "'" + "x" * 40 + "...'"),
    ],
)
def test_values(value: object, said: str) -> None:
    """A value is named as the file has it, and never at length."""
    assert show(value) == said
