"""redact: no value comes through, names do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.redact import redact

MARKER = "Zo\u00eb-Marqueur"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("reads every row of lab.patient", "reads every row of lab.patient"),
        ("nom = 'Dupont' AND x = 1", "nom = ? AND x = 1"),
        ("nom = 'O''Brien'", "nom = ?"),
        (r"nom = E'a\'b' AND y", "nom = E? AND y"),
        ("nom = 'never closed", "nom = ?"),
        ("$$a 'b' c$$ rest", "? rest"),
        ("$tag$a $$ b$tag$ rest", "? rest"),
        ("id = $1 AND nir = $2", "id = $1 AND nir = $2"),
        ("nir 284057505612345", "nir ?"),
        ("nir 2 84 05 75 056 123 45 end", "nir ? end"),
        ("tel 06.12.34.56.78", "tel ?"),
        ("LIMIT 1000 port 5432", "LIMIT 1000 port 5432"),
        ('"Patient" p', '"Patient" p'),
        ("", ""),
    ],
)
def test_values_go_and_names_stay(text: str, redacted: str) -> None:
    """Quoted strings and long runs of digits become ``?``, the rest is untouched."""
    assert redact(text) == redacted


@given(st.text(max_size=20), st.sampled_from(["'{}'", "E'{}'", "$${}$$", "$q${}$q$", "'{}"]))
def test_a_quoted_marker_never_comes_through(before: str, quote: str) -> None:
    """Whatever stands before a quoted value, it is hidden, unless that text quotes it away."""
    plain = before.replace("'", "").replace("$", "").replace("\\", "")

    assert MARKER not in redact(f"{plain} {quote.format(MARKER)}")


@given(st.text(alphabet="ab'$\\ 0123456789.-", max_size=60))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    """There is nothing left to find in a redacted text."""
    once = redact(text)

    assert redact(once) == once
