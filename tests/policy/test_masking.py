"""What is masked of a statement, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.errors import ConfigurationError
from proxy.policy import Policy, judge
from proxy.policy.masking import masking_of
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, OutputColumn, Provenance, SideDoor, StatementFacts
from proxy.terms.finding import Action
from proxy.terms.mask import How
from proxy.terms.principal import Principal
from proxy.terms.relation import Relation
from proxy.terms.unknown import UNKNOWN
from tests.policy.texts import load_with

APP = Principal("app", "lab")
PATIENT = frozenset({Relation("lab", "patient")})
ID, IDENTITY, HEALTH = ColumnClass.KEY, ColumnClass.IDENTITY, ColumnClass.HEALTH


def column(
    column_class: ColumnClass, provenance: Provenance = Provenance.DIRECT, **more: object
) -> OutputColumn:
    """Return an output column of one stored one."""
    return OutputColumn("c", provenance, column_class, **{"is_one_column": True, **more})  # type: ignore[arg-type]


def facts(*output: OutputColumn, **more: object) -> StatementFacts:
    """Return the facts of a statement that reads patients."""
    kind = more.pop("kind", Kind.SELECT)
    given = {"subject_relations": PATIENT, "output": output, "returns_rows": True, **more}
    return StatementFacts(kind, **given)  # type: ignore[arg-type]


def mask_rule(number: int, line: str) -> str:
    """Return a rule that masks."""
    return (
        f"  - {{id: EX{number}, title: t, severity: low, explain: e, why: w,"
        f" when: {{role: {{is: app}}}}, {line}}}\n"
    )


def masked(*lines: str) -> Policy:
    """Return a policy with a rule for each line, and no other."""
    return only("".join(mask_rule(number, line) for number, line in enumerate(lines, 150)))


def only(rules: str) -> Policy:
    """Return a policy with these rules that mask."""
    found = load_with(f"rules:\n{rules}")
    return replace(found, rules=found.masks)


WHOLE = "mask: {classes: [identity], how: whole}"


def test_columns_by_class() -> None:
    """Of two rules the stricter mask is taken; what has no class of a mask is left."""
    policy = masked(
        "mask: {classes: [identity, health], how: partial}",
        "mask: [{classes: [identity], how: hash}, {classes: [quasi], how: whole}]",
    )
    both = column(IDENTITY, also=frozenset({ColumnClass.QUASI}))

    masking = masking_of(policy, APP, facts(column(ID), column(IDENTITY), column(HEALTH), both))

    assert masking is not None
    assert masking.obstacle is None
    assert masking.columns == (None, How.HASH, How.PARTIAL, How.WHOLE)
    assert masking_of(policy, Principal("other", "lab"), facts(column(IDENTITY))) is None


@pytest.mark.parametrize(
    "found",
    [
        facts(column(IDENTITY, Provenance.DERIVED)),
        facts(column(IDENTITY, Provenance.FOLDED)),
        facts(column(HEALTH, Provenance.DERIVED, also=frozenset({IDENTITY}))),
        facts(column(ColumnClass.UNKNOWN)),
        facts(column(HEALTH, Provenance.UNKNOWN)),
        facts(column(ID), used_classes=frozenset({IDENTITY})),
        facts(column(ID), used_classes=frozenset({ColumnClass.UNKNOWN})),
        facts(output=UNKNOWN),
        facts(opaque="syntax"),
        facts(column(ID), unknown_functions=frozenset({"f"})),
        facts(column(ID), unknown_relations=PATIENT),
        facts(column(ID), subject_functions=frozenset({"f"})),
        facts(column(ID), side_doors=frozenset({SideDoor.STATISTICS})),
        facts(kind=Kind.EXPLAIN_ANALYZE),
        StatementFacts(Kind.FUNCTION_CALL),
        StatementFacts(Kind.CREATE_CODE),
        StatementFacts(Kind.REPLICATION),
        StatementFacts(Kind.DDL, changes_catalog=True),
        StatementFacts(Kind.CALL, changes_catalog=True, creates=PATIENT),
        StatementFacts(Kind.DO, opaque="DO block"),
    ],
)
def test_what_cannot_be_masked_is_refused(found: StatementFacts) -> None:
    """With the rule that masks; in mode observe it is recorded and passes."""
    judgement = judge(masked(WHOLE), APP, found)
    observed = judge(masked(f"{WHOLE}, mode: observe"), APP, found)

    assert judgement.verdict is Action.BLOCK
    assert judgement.decisive is not None
    assert judgement.decisive.hint
    assert observed.verdict is Action.ALLOW
    assert ("mode", "observe") in observed.findings[0].evidence


@pytest.mark.parametrize(
    "found",
    [
        StatementFacts(Kind.SELECT),
        StatementFacts(Kind.TRANSACTION),
        StatementFacts(Kind.DDL, creates=PATIENT, changes_catalog=True),
        StatementFacts(Kind.GRANT, changes_catalog=True),
        StatementFacts(Kind.DDL, changes_catalog=True, drops=True),
        facts(column(ID), used_classes=frozenset({ID})),
        facts(column(HEALTH, Provenance.FOLDED)),
        facts(column(IDENTITY, Provenance.NONE)),
    ],
)
def test_what_is_not_masked_is_not_recorded(found: StatementFacts) -> None:
    """A rule that masks nothing of a statement is no finding of it."""
    assert judge(masked(WHOLE), APP, found).findings == ()


def test_a_rule_that_may_hold_for_what_is_opaque_holds() -> None:
    """It could reach what is masked: other rules leave that to those on opaque statements."""
    rule = mask_rule(150, WHOLE).replace(
        "{role: {is: app}}", "{relations: {any_in: [lab.patient]}}"
    )

    found = judge(only(rule), APP, StatementFacts(Kind.OPAQUE, opaque="syntax"))

    assert found.verdict is Action.BLOCK


def test_hashes_are_of_one_column_and_of_nothing_written() -> None:
    """Beside a value of one's own choice, a hash tells whose it is."""
    policy = masked("mask: {classes: [identity], how: hash}")
    united = facts(column(IDENTITY, is_one_column=False))
    written = facts(column(IDENTITY), writes=PATIENT, kind=Kind.UPDATE)

    assert masking_of(policy, APP, facts(column(IDENTITY))).obstacle is None  # type: ignore[union-attr]
    for one in (united, written):
        assert judge(policy, APP, one).verdict is Action.BLOCK
        assert judge(masked(WHOLE), APP, one).verdict is Action.ALLOW


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"{WHOLE}, weight: 5", "mask beside weight or action, expected a rule of its own"),
        ("mask: []", "mask is an empty list, expected classes and how"),
        (
            "mask: [{classes: [identity], how: hash}, {classes: [identity], how: whole}]",
            "class 'identity' is masked twice",
        ),
    ],
)
def test_a_mask_that_says_nothing_or_too_much(line: str, problem: str) -> None:
    """It does not load."""
    with pytest.raises(ConfigurationError) as caught:
        masked(line)

    assert caught.value.problems[0].endswith(problem)
