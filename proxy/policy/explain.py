"""Why a statement was judged as it was: enough that anyone can recompute it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.policy.facts_view import FACTS, FactValues
from proxy.policy.holding import exempted_by
from proxy.policy.judge import conclude, display, finding_of

if TYPE_CHECKING:
    from proxy.policy.policy import Exemption, Policy
    from proxy.terms.facts import StatementFacts
    from proxy.terms.finding import Finding, Judgement
    from proxy.terms.principal import Principal


@dataclass(frozen=True, slots=True)
class Held:
    """A rule that held, with what it says and the exception that lifted it, if one did."""

    finding: Finding
    why: str
    exemption: Exemption | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A judgement with its grounds. ``facts``: every fact with its value, in the order of FACTS.

    ``sum``: how the score adds up; ``because``: what the verdict follows from.
    """

    judgement: Judgement
    held: tuple[Held, ...]
    facts: tuple[tuple[str, str], ...]
    sum: str
    because: str


def explain(policy: Policy, principal: Principal, facts: StatementFacts) -> Explanation:
    """Return the judgement that ``judge`` gives, and why. Errors: those of ``judge``."""
    values = FactValues(facts, principal)
    held = tuple(
        Held(finding, rule.why, exempted_by(rule, values))
        for rule in policy.rules
        if (finding := finding_of(policy, rule, values, facts)) is not None
    )
    judgement = conclude(policy, tuple(one.finding for one in held if one.exemption is None))
    shown = tuple((name, display(values[name])) for name in FACTS)
    return Explanation(judgement, held, shown, _sum(judgement), _because(policy, judgement))


def _sum(judgement: Judgement) -> str:
    weights = [(one.rule, one.weight) for one in judgement.findings if one.weight]
    if not weights:
        return "0"
    total = sum(weight for _, weight in weights)
    terms = " + ".join(f"{weight} ({rule})" for rule, weight in weights)
    capped = f", at most {judgement.score}" if total > judgement.score else ""
    return f"{terms} = {total}{capped}"


def _because(policy: Policy, judgement: Judgement) -> str:
    asked = [
        one.rule for one in judgement.findings if one.action and one.action >= judgement.verdict
    ]
    if asked:
        return f"{', '.join(asked)} asks for it"
    limits = policy.thresholds
    if judgement.score >= limits.block:
        return f"score {judgement.score} reaches {limits.block}, where statements are refused"
    if judgement.score >= limits.flag:
        return f"score {judgement.score} reaches {limits.flag}, where statements are flagged"
    return f"no rule asks for more, and score {judgement.score} is below {limits.flag}"
