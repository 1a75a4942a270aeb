"""The stories beside the rules: each rule holds where it should, and not next to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from proxy.policy import Policy, judge, load_policy
from proxy.sql import Analyser, build_catalog
from proxy.terms.behaviour import Behaviour
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.principal import Principal
from tests.data.lab_catalog import LAB_RESULTS

RULES: Final = Path(__file__).resolve().parents[2] / "rules"
FILES: Final = sorted((RULES / "tests").glob("*.test.yaml"))


class Step(NamedTuple):
    """One statement (or message) of a story, and what must follow."""

    role: str
    statement: str | None
    kind: str | None
    expect: dict[str, Any]
    facts: dict[str, Any]  # what other witnesses than the parsers found
    behaviour: dict[str, Any]  # what came before


def steps() -> list[tuple[str, Step]]:
    found = []
    for path in FILES:
        for story in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for number, step in enumerate(story["story"], 1):
                label = f"{path.name}: {story['name']}, step {number}"
                said = Step(
                    story["role"],
                    step.get("statement"),
                    step.get("kind"),
                    step["expect"],
                    step.get("facts", {}),
                    step.get("behaviour", {}),
                )
                found.append((label, said))
    return found


def load() -> Policy:
    paths = [*sorted((RULES / "base").glob("*.yaml"))]
    paths += sorted((RULES / "sites" / "lab-demo").glob("*.yaml"))
    files = {path.relative_to(RULES).as_posix(): path.read_text("utf-8") for path in paths}
    return load_policy(files, today=date(2026, 11, 24))


POLICY: Final = load()
LAB: Final = build_catalog(LAB_RESULTS, POLICY.schema_map)
ANALYSER: Final = Analyser(POLICY.schema_map)
STEPS: Final = steps()


def facts_of(step: Step) -> StatementFacts:
    if step.kind is not None:
        return StatementFacts(Kind(step.kind))
    assert step.statement is not None
    (found,) = ANALYSER.analyse(step.statement.encode(), encoding="UTF8", catalog=LAB)
    return replace(found, **step.facts, behaviour=Behaviour(**step.behaviour))


@pytest.mark.parametrize("step", [step for _, step in STEPS], ids=[label for label, _ in STEPS])
def test_story(step: Step) -> None:
    """A step of a story has the verdict, score and findings written beside it."""
    judgement = judge(POLICY, Principal(step.role, "lab"), facts_of(step))

    assert [finding.rule for finding in judgement.findings] == step.expect["findings"]
    assert judgement.verdict.name.lower() == step.expect["verdict"]
    assert judgement.score == step.expect.get("score", judgement.score)
    assert not set(step.expect.get("without", ())) & set(step.expect["findings"])


def test_every_rule_has_a_story_for_and_one_against() -> None:
    """No rule is without a statement that it holds for and one near it that it lets pass."""
    ids = {rule.id for rule in POLICY.rules}
    held = {one for _, step in STEPS for one in step.expect["findings"]}
    spared = {one for _, step in STEPS for one in step.expect.get("without", ())}

    assert ids - held == set()
    assert ids - spared == set()


def test_no_document_that_a_rule_refers_to_is_missing() -> None:
    """The references of rules are files of this project."""
    named = {
        reference
        for path in RULES.glob("**/*.yaml")
        for rule in (yaml.safe_load(path.read_text("utf-8")) or {}).get("rules", ())
        for reference in rule["references"]
    }

    assert {one for one in named if not (RULES.parent / one).is_file()} == set()
