"""Large texts: asked for, parsed elsewhere, and taken back."""

from __future__ import annotations

import pytest

from proxy.sql import Analyser
from proxy.sql.worker import parse_in_worker
from tests.data.lab_catalog import LAB, LAB_MAP

_KEYS = ",".join(str(number) for number in range(5000))
_ROWS = ",".join(f"({number},{number}.5)" for number in range(3000))


@pytest.mark.parametrize(
    ("text", "keys", "bounded"),
    [
        (f"select nir from patient where id in ({_KEYS})", 5000, True),
        (f"insert into resultat(id,value) values {_ROWS}", 0, False),
        (f"select nir /* {'x' * 20000} */ from patient where id=5", 1, True),
    ],
)
def test_a_large_text_is_read_by_a_worker(text: str, keys: int, bounded: bool) -> None:
    """Until the outcome is there the text is opaque; then its facts are those of any other."""
    analyser = Analyser(LAB_MAP)
    raw = text.encode()
    assert analyser.needs_worker(raw)
    (before,) = analyser.analyse(raw, encoding="UTF8", catalog=LAB)
    assert before.opaque
    task = analyser.parse_task(raw, "UTF8")
    assert task == text
    analyser.accept(raw, "UTF8", parse_in_worker(task))
    (after,) = analyser.analyse(raw, encoding="UTF8", catalog=LAB)
    assert after.opaque is None
    assert sum(len(key.values) for key in after.key_filters) == keys
    assert after.bounded_by_keys is bounded
    assert analyser.parse_task(raw, "UTF8") is None


def test_what_a_worker_refuses_is_opaque() -> None:
    """An error or a depth that cannot be read comes back as a reason."""
    analyser = Analyser(LAB_MAP)
    for text, reason in (
        ("select nir" + "||''" * 5000 + " from patient", "too deep"),
        ("selec " + "x" * 20000, "syntax error at or near"),
    ):
        raw = text.encode()
        analyser.accept(raw, "UTF8", parse_in_worker(text))
        (found,) = analyser.analyse(raw, encoding="UTF8", catalog=LAB)
        assert found.opaque == reason
