"""YAML to plain values with their places, without the surprises of YAML 1.1."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ConfigurationError
from proxy.policy.yaml_marks import read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("17", 17),
        ("-3", -3),
        ("0", 0),
        ("017", "017"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("2027-03-31", "2027-03-31"),
        ("1.5", 1.5),
        (".5", ".5"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("<<", "<<"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    """Only what looks like a number, true, false or null is one; the rest is text."""
    found = read_document(f"[{text}]" if text else "a:", "f.yaml").value

    actual = found[0] if text else found["a"]
    assert actual == value
    assert type(actual) is type(value)


def test_places_of_values_and_keys() -> None:
    """Every value knows its line and column, and so does every key."""
    document = read_document("a: 1\nb:\n  - {c: x, d: [y]}\n", "f.yaml")

    assert document.value == {"a": 1, "b": [{"c": "x", "d": ["y"]}]}
    assert document.at(("b", 0, "d", 0)) == "f.yaml:3:16"
    assert document.at(("b", 0, "d"), key=True) == "f.yaml:3:12"
    assert document.at(("b", 0, "nowhere")) == "f.yaml:3:5"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "2:1: key 'a' is written twice, first in line 1"),
        ("a: {b: 1, b: {c: 2}}", "1:11: key 'b' is written twice, first in line 1"),
        ("a: &x [1]\nb: *x", "2:4: alias '*x', expected the value itself"),
        ("a: !!set {x}", "1:4: tag 'tag:yaml.org,2002:set', expected a plain value"),
        ("a: !x 1", "1:4: tag '!x', expected a plain value"),
        ("a: [1", "2:1: did not find expected ',' or ']'"),
        ("a: 1\n---\nb: 2", "2:1: second document begins, expected one in each file"),
        ("? [a]\n: b", "1:3: a key is a list or mapping, expected a word"),
        ("a: " + "[" * 40, "1:35: nested more than 32 deep"),
        ("a: \x01", "1:1: holds characters that YAML does not allow"),
        ("a: \ud800", "1:1: holds characters that YAML does not allow"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    """What could be read in two ways, or is out of place here, is refused with its place."""
    with pytest.raises(ConfigurationError) as caught:
        read_document(text, "f.yaml")

    assert caught.value.problems == [f"f.yaml:{problem}"]


def test_the_bomb_of_aliases_is_refused_before_it_grows() -> None:
    """References to references are never expanded."""
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))]

    with pytest.raises(ConfigurationError) as caught:
        read_document("\n".join(lines), "f.yaml")

    assert len(caught.value.problems) == 58


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text("abc: #-'\"no12", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcno", max_size=4), inner)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_quoted_comes_back(value: Any) -> None:
    """JSON is YAML: a value written as JSON is read as it was."""
    import json  # noqa: PLC0415

    assert read_document(json.dumps({"v": value}), "f.yaml").value == {"v": value}
