"""The stories of budgets beside the rules: what leaves, and what is stopped by which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from proxy.meter.ledger import Charge, Ledger
from proxy.terms.principal import Principal
from tests.rules.test_stories import POLICY, RULES

if TYPE_CHECKING:
    from proxy.meter.ledger import Account

STORIES: Final = [
    story
    for path in sorted((RULES / "tests").glob("*.usage.yaml"))
    for story in yaml.safe_load(path.read_text("utf-8"))["tests"]
]


class Teller:
    """Gives patients to one account, and knows which were given before."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._given = 0

    def give(self, step: dict[str, Any], now: float) -> str | None:
        """Charge a step; return the budget that stops it."""
        again = range(step.get("again", 0))
        new = range(self._given, self._given + step.get("new", 0))
        charge = Charge(
            groups=tuple((b"%d" % number,) for number in (*again, *new)),
            rows=step.get("rows", 0),
            statements=step.get("questions", 0),
            questions=step.get("questions", 0),
            telling_errors=step.get("telling_errors", 0),
            canaries=step.get("canaries", 0),
        )
        stopped = self._account.admit(charge, now)
        if stopped is None:
            self._given += len(new)
        return None if stopped is None else stopped.id


@pytest.mark.parametrize("story", STORIES, ids=[story["name"] for story in STORIES])
def test_story(story: dict[str, Any]) -> None:
    """Each step leaves, or is stopped by the budget that is written beside it."""
    role = story["role"]
    teller = Teller(Ledger().account(Principal(role, "lab"), POLICY.budgets_for(role)))

    for step in story["story"]:
        for number in range(step.get("repeat", 1)):
            now = float(step["at_seconds"] + number * step.get("every_seconds", 0))
            assert teller.give(step, now) == step["stopped_by"], (step, number)


def test_every_budget_that_cuts_has_a_story() -> None:
    """And each is stopped by it where it should, and not before."""
    cutting = {budget.id for budget in POLICY.budgets if budget.limit is not None}
    stopped = {step["stopped_by"] for story in STORIES for step in story["story"]}

    assert cutting == stopped - {None}
