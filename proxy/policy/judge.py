"""Facts to a judgement: which rules hold, what they weigh together, and what follows.

Pure: the same policy, principal and facts give the same judgement. A rule that raises is an error
of ours, and passes on: whoever asked fails closed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.policy.facts_view import BOUND, FactValue, FactValues
from proxy.policy.holding import exempted_by, holds
from proxy.policy.masking import HINT, plan
from proxy.terms.finding import Action, Finding, Judgement, Mode
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from proxy.policy.policy import Policy, Rule
    from proxy.terms.facts import StatementFacts
    from proxy.terms.mask import Masking
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
    findings = tuple(
        finding
        for rule in policy.rules
        if (finding := finding_of(policy, rule, values, facts)) is not None
        and exempted_by(rule, values) is None
    )
    return conclude(policy, findings)


def finding_of(
    policy: Policy, rule: Rule, values: FactValues, facts: StatementFacts
) -> Finding | None:
    """Return the finding of a rule, exceptions aside; None: it does not hold, or masks nothing.

    A rule that masks holds for an opaque statement as well, unless it surely does not.
    """
    opaque = facts.opaque is not None and rule.mask is None
    if not holds(rule, values, opaque=opaque):
        return None
    if rule.mask is None:
        return found(rule, values)
    return _of_mask(rule, values, facts, plan([rule], facts, policy.schema_map))


def _of_mask(
    rule: Rule, values: FactValues, facts: StatementFacts, masking: Masking
) -> Finding | None:
    """Return what a rule masks, or that it cannot and refuses."""
    if masking.obstacle is None and not any(masking.columns):
        return None
    finding = found(rule, values)
    if masking.obstacle is None:
        assert facts.output is not UNKNOWN
        named = [
            f"{column.name[:_NAME_LENGTH]} {how.value}"
            for column, how in zip(facts.output, masking.columns, strict=True)
            if how is not None
        ]
        return replace(finding, evidence=(*finding.evidence, ("masks", ", ".join(named))))
    observed = rule.mode is Mode.OBSERVE
    return replace(
        finding,
        action=Action.ALLOW if observed else max(Action.BLOCK, rule.action),
        explanation=masking.obstacle,
        evidence=(*finding.evidence, ("masks", "none: it cannot be masked")),
        hint=HINT,
    )


def conclude(policy: Policy, findings: tuple[Finding, ...]) -> Judgement:
    """Return what follows from findings: their sum, and the strongest of all they ask for."""
    score = min(MAX_SCORE, sum(finding.weight for finding in findings))
    verdict = max((finding.action for finding in findings), default=Action.ALLOW)
    if score >= policy.thresholds.block:
        verdict = max(verdict, Action.BLOCK)
    elif score >= policy.thresholds.flag:
        verdict = max(verdict, Action.FLAG)
    return Judgement(verdict, score, findings)


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
