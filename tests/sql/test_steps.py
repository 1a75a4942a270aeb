"""The constants of a text, and how each is used."""

from __future__ import annotations

import pytest

from proxy.sql.steps import Step, Use, steps_of
from proxy.sql.template import cut_literals
from proxy.terms.facts import Parameter

BEYOND, OTHER = Use.BEYOND, Use.OTHER


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("select 1", [(OTHER, "1")]),
        ("select nir from p where id = 7", [(OTHER, "7")]),
        ("select nir from p where id>7 limit 50", [(BEYOND, "7"), (OTHER, "50")]),
        ("select nir from p where nir >= ( 'x' )", [(BEYOND, "x")]),
        ("select nir from p limit 50 offset 100", [(OTHER, "50"), (BEYOND, "100")]),
        ("select nir from p where n LIKE 'A%'", [(BEYOND, "A%")]),
        ("select nir from p where id between 1 and $2", [(BEYOND, "1"), (BEYOND, Parameter(2))]),
        ("select nir from p where id in (1, $1)", [(OTHER, "1"), (OTHER, Parameter(1))]),
        ("select nir from p", []),
    ],
)
def test_constants_in_order(text: str, steps: list[tuple[Use, str | Parameter]]) -> None:
    """Literals and parameters as they stand; what begins a range or page is told apart."""
    template = cut_literals(text)
    assert template is not None

    assert steps_of(text, template) == tuple(Step(use, value) for use, value in steps)
