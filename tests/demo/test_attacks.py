"""The attacks work: without Vigie, each brings patients home, counted on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo.attacks import ATTACKS, Attack, carry_out
from proxy.demo.report import BUDGETS

if TYPE_CHECKING:
    from proxy.demo.lab import Lab

pytestmark = pytest.mark.integration
# What an attack can get from 300 patients; the others get all of them.
FEWER = {"months", "sessions"}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_direct_attack_gets_the_patients(attack: Attack, lab: Lab) -> None:
    """Nothing in PostgreSQL stops a role from reading what it may read."""
    outcome = carry_out(attack, lab, lab.port, lab.keys())

    assert len(outcome.subjects) == lab.patients or attack.name in FEWER
    assert len(outcome.subjects) > 20
    assert attack.role in BUDGETS
