"""Facts to a judgement: which rules hold, what they weigh together, and what follows.

Pure: the same policy, principal and facts give the same judgement. A rule that raises is an error
of ours, and passes on: whoever asked fails closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.policy.facts_view import BOUND, FactValue, FactValues
from proxy.terms.finding import Action, Finding, Judgement, Mode
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from proxy.policy.policy import Exemption, Policy, Rule
    from proxy.terms.facts import StatementFacts
    from proxy.terms.principal import Principal

MAX_SCORE: Final = 100
_SHOWN: Final = 4  # names of a set
_NAME_LENGTH: Final = 63  # of PostgreSQL
_NOTHING: Final = frozenset({"none", "absent"})
_LARGE: Final = 1_000_000  # beyond, a number is not shown: it might be a subject's


def judge(policy: Policy, principal: Principal, facts: StatementFacts) -> Judgement:
    """Return the judgement on one statement.

    Rules in mode ``observe`` are findings that weigh nothing. Cost: one pass over the rules.
    """
    values = FactValues(facts, principal)
    opaque = facts.opaque is not None
    findings = tuple(
        found(rule, values)
        for rule in policy.rules
        if holds(rule, values, opaque=opaque) and exempted_by(rule, values) is None
    )
    return conclude(policy, findings)


def conclude(policy: Policy, findings: tuple[Finding, ...]) -> Judgement:
    """Return what follows from findings: their sum, and the strongest of all they ask for."""
    score = min(MAX_SCORE, sum(finding.weight for finding in findings))
    verdict = max((finding.action for finding in findings), default=Action.ALLOW)
    if score >= policy.thresholds.block:
        verdict = max(verdict, Action.BLOCK)
    elif score >= policy.thresholds.flag:
        verdict = max(verdict, Action.FLAG)
    return Judgement(verdict, score, findings)


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


def found(rule: Rule, values: FactValues) -> Finding:
    """Return the finding of a rule that holds."""
    evidence = tuple((name, display(values[name])) for name in rule.facts)
    observed = rule.mode is Mode.OBSERVE
    return Finding(
        rule=rule.id,
        title=rule.title,
        severity=rule.severity,
        action=Action.ALLOW if observed else rule.action,
        weight=0 if observed else rule.weight,
        explanation=explanation_of(rule, values),
        evidence=(*evidence, ("mode", "observe")) if observed else evidence,
    )


def explanation_of(rule: Rule, values: FactValues) -> str:
    """Return the sentence of a rule, the values of facts put in."""
    if "{" not in rule.explanation:
        return rule.explanation
    return rule.explanation.format_map(_Shown(values))


class _Shown(dict[str, str]):
    def __init__(self, values: FactValues) -> None:
        super().__init__()
        self._values = values

    def __missing__(self, names: str) -> str:
        """Show one fact, or those of ``a|b`` that there are."""
        shown = [display(self._values[name]) for name in names.split("|")]
        return ", ".join([one for one in shown if one not in _NOTHING] or shown[:1])


def display(value: FactValue) -> str:
    """Return a value for people: short, and with nothing in it that could be a subject's."""
    match value:
        case None:
            return "absent"
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value) if value < _LARGE else f"{_LARGE} or more"
        case frozenset():
            names = [name[:_NAME_LENGTH] for name in sorted(value)[:_SHOWN]]
            more = f" and {len(value) - _SHOWN} more" if len(value) > _SHOWN else ""
            return (", ".join(names) + more) or "none"
        case str():
            return value[:_NAME_LENGTH] or "none"
        case _ if value is BOUND:
            return "bound later"
        case _:
            assert value is UNKNOWN
            return "unknown"
