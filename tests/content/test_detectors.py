"""What identifies people is counted in any form, and what only looks like it is not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.content.detectors import ContentWatch
from proxy.content.scanners import compile_pattern
from proxy.demo.nir import luhn_key, nir_key
from proxy.errors import ConfigurationError
from proxy.terms.budget import Measure

EVERY = ContentWatch(set(Measure), [r"badge-\d{4}"])
NIR = "285057800608441"


def counted(octets: bytes | str) -> dict[Measure, int]:
    return dict(EVERY.count(octets.encode() if isinstance(octets, str) else octets))


def with_key(parts: tuple[str, int, int, str, int, int]) -> str:
    sex, year, month, department, commune, order = parts
    body = f"{sex}{year:02}{month:02}{department}{commune:03}{order:03}"
    return body + nir_key(body)


nirs = st.tuples(
    st.sampled_from("12"),
    st.integers(0, 99),
    st.integers(1, 12),
    st.sampled_from(["35", "75", "2A", "2B", "99"]),
    st.integers(0, 999),
    st.integers(0, 999),
).map(with_key)


@given(nirs, st.text("xyz ,;", max_size=5), st.text("xyz ,;", max_size=5))
def test_a_nir_is_counted_as_it_is_written(nir: str, before: str, after: str) -> None:
    """Together, in groups, with Corsica's letters; once."""
    groups = (nir[:1], nir[1:3], nir[3:5], nir[5:7], nir[7:10], nir[10:13], nir[13:])

    for text in (nir, " ".join(groups), "-".join(groups)):
        assert counted(f"{before}{text}{after}")[Measure.NIR] == 1


@given(nirs.filter(str.isdigit), st.binary(max_size=9), st.binary(max_size=9))
def test_a_nir_is_counted_in_hexadecimal_and_base64(nir: str, before: bytes, after: bytes) -> None:
    """Wherever it begins within what was encoded."""
    assert counted(nir.encode().hex())[Measure.NIR] >= 1
    assert counted(base64.b64encode(before + nir.encode() + after))[Measure.NIR] >= 1


def test_nirs_side_by_side_are_counted_each() -> None:
    """A value of many glued together is as many."""
    assert counted("7" + NIR * 40 + "7")[Measure.NIR] == 40


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        (f"1000000000{luhn_key('1000000000')}", Measure.RPPS),
        ("06 39 98 01 23", Measure.PHONE),
        ("+33639980123", Measure.PHONE),
        ("02.61.91.01.23", Measure.PHONE),
        ("a.b+c@example.test", Measure.EMAIL),
        ("FR1420041010050500013M02606", Measure.IBAN),
        ("FR14 2004 1010 0505 0001 3M02 606", Measure.IBAN),
        ("badge-1234", Measure.PATTERN),
    ],
)
def test_each_is_counted_once(text: str, measure: Measure) -> None:
    """And nothing else is taken for it."""
    assert counted(f"<{text}>") == {measure: 1}


@pytest.mark.parametrize(
    "text",
    [
        "285057800608432",  # a wrong key
        "385057800608436",  # no sex
        "10000000001",  # no Luhn key
        "FR1520041010050500013M02606",  # a wrong key
        "2026-11-25 08:00:00+01",
        "0123456789012345678",
        "a@b",
        "not.an.address@",
        "badge-12",
        "select count(*) from patient",
    ],
)
def test_what_only_looks_like_it_is_not_counted(text: str) -> None:
    """A budget that counts what is none stops work."""
    assert counted(f" {text} ") == {}


def test_only_what_a_budget_wants_is_looked_for() -> None:
    """The rest costs nothing."""
    assert ContentWatch({Measure.EMAIL}).count(f"{NIR} a@example.test".encode()) == (
        (Measure.EMAIL, 1),
    )


@pytest.mark.parametrize("pattern", ["(", "(?=x)", r"(a)\1"])
def test_a_pattern_that_could_run_away_is_refused(pattern: str) -> None:
    """RE2 has no look-around and no back-references, so its time is bounded."""
    with pytest.raises(ConfigurationError, match="pattern"):
        compile_pattern(pattern)
