"""Whether a rule holds for the facts of a statement, and what exempts from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.policy.facts_view import FactValues
    from proxy.policy.policy import Exemption, Rule


def holds(rule: Rule, values: FactValues, *, opaque: bool) -> bool:
    """Whether a rule holds, its exceptions aside: unknown counts as a match, except in ``unless``.

    Of an opaque statement nearly all is unknown, and every rule would hold at once. So it is the
    business of the rules on opaque statements; the others need certainty there.
    """
    truth = rule.when(values)
    if truth is False or (truth is None and opaque and not rule.reads_opaque):
        return False
    return rule.unless is None or rule.unless(values) is not True


def exempted_by(rule: Rule, values: FactValues) -> Exemption | None:
    """Return the exception that applies for sure, if there is one."""
    return next((one for one in rule.exemptions if one.unless(values) is True), None)
