"""An explanation is enough to do the sum again."""

from __future__ import annotations

from proxy.policy import explain, judge
from proxy.policy.facts_view import FACTS
from proxy.terms.facts import Kind, StatementFacts, SubjectFilter
from proxy.terms.principal import Principal
from tests.policy.texts import load_with

APP = Principal("lims_app", "lab")
TWO = """
rules:
  - {id: EX150, title: t, severity: low, weight: 15, explain: e, why: w, when: {kind: {is: select}}}
  - {id: EX151, title: t, severity: low, weight: 10, explain: e, why: w, when: {kind: {is: select}}}
"""


def test_the_sum_is_written_out() -> None:
    """Each weight stands there with its rule."""
    facts = StatementFacts(Kind.SELECT, subject_filter=SubjectFilter.KEY)

    found = explain(load_with(TWO), APP, facts)

    assert found.sum == "15 (EX150) + 10 (EX151) = 25"
    assert found.because == "score 25 reaches 20, where statements are flagged"
    assert [name for name, _ in found.facts] == list(FACTS)


def test_the_rule_that_asks_is_named() -> None:
    """A hard action is named before the score."""
    found = explain(load_with(TWO), APP, StatementFacts(Kind.SELECT))

    assert found.because == "EX101 asks for it"


def test_nothing_held() -> None:
    """A statement that no rule holds for has a reason too."""
    facts = StatementFacts(Kind.DO, subject_filter=SubjectFilter.KEY)

    found = explain(load_with(TWO), APP, facts)

    assert found.held == ()
    assert (found.sum, found.because) == ("0", "no rule asks for more, and score 0 is below 20")


def test_an_exception_is_shown_with_its_owner() -> None:
    """A rule that an exception lifted stands there, and does not count."""
    policy = load_with(
        TWO + "exceptions: [{rule: EX150, unless: {role: {is: lims_app}}, owner: officer,"
        " expires: 2027-01-01, why: w}]"
    )
    facts = StatementFacts(Kind.SELECT, subject_filter=SubjectFilter.KEY)

    found = explain(policy, APP, facts)

    owners = [(one.finding.rule, one.exemption and one.exemption.owner) for one in found.held]
    assert owners == [("EX150", "officer"), ("EX151", None)]
    assert found.judgement == judge(policy, APP, facts)
    assert found.sum == "10 (EX151) = 10"
