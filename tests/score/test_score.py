"""A short score: some attacks of every kind get no more than their budget, work is not disturbed.

``make score`` runs the whole corpus.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.score import judge
from tests.score.__main__ import RESULTS
from tests.score.cases import CORPUS, read_attacks, read_benign
from tests.score.laboratory import opened_laboratory
from tests.score.model import AttackResult, BenignResult, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.demo.vigie_process import VigieProcess
    from proxy.policy import Policy
    from tests.score.cases import Attack, Benign
    from tests.score.laboratory import Laboratory

pytestmark = pytest.mark.integration

# A way out each: rows, keys one by one, COPY, a cursor, an error, a notice, a function, a trick.
SHORT = {"E001", "E036", "E099", "E144", "E157", "E164", "E196", "E212"}
ATTACKS = [case for case in read_attacks() if case.id in SHORT]
BENIGN = [case for case in read_benign() if len(case.statements) == 1]


@pytest.fixture(scope="module")
def laboratory() -> Iterator[tuple[Laboratory, Path]]:
    """The corpus' own laboratory, and a folder that its database may write."""
    with opened_laboratory() as opened:
        yield opened


@pytest.fixture(scope="module")
def policy() -> Policy:
    """What Vigie enforces."""
    return judge.load_site()


@pytest.fixture(scope="module")
def at_work(laboratory: tuple[Laboratory, Path]) -> Iterator[VigieProcess]:
    """One Vigie for all the work, as a site has it."""
    with judge.running_vigie(laboratory[0]) as vigie:
        yield vigie


@pytest.mark.parametrize("case", ATTACKS, ids=lambda case: case.id)
def test_an_attack_gets_no_more_than_its_budget(
    case: Attack, laboratory: tuple[Laboratory, Path], policy: Policy
) -> None:
    """Directly it gets everybody that it was written for; through Vigie at most the budget."""
    database, folder = laboratory

    with judge.running_vigie(database) as vigie:
        result = judge.judge_attack(case, database, policy, folder / "leak", vigie)

    assert result.fault == ""
    assert result.leaked < result.direct or result.direct < (result.budget or 0)


@pytest.mark.parametrize("case", BENIGN, ids=lambda case: case.id)
def test_work_is_as_it_was(
    case: Benign, laboratory: tuple[Laboratory, Path], at_work: VigieProcess
) -> None:
    """The same errors, the same rows, and no finding where none is expected."""
    result = judge.judge_benign(case, laboratory[0], at_work)

    assert result.fault == ""


def test_the_figures_are_those_of_the_comparison() -> None:
    """Caught is under a tenth of direct; net takes what was disturbed off."""

    def attack(direct: int, leaked: int) -> AttackResult:
        return AttackResult(
            "E1",
            "t",
            "t",
            "r",
            direct,
            leaked,
            600,
            "",
            "",
            "",
            (),
            0.0,
        )

    work = [BenignResult("B1", "c", "t", "r", "allow", touched, ()) for touched in ("", "blocked")]

    found = summarise([attack(20_000, 1_999), attack(20_000, 2_000), attack(3, 0)], work)

    assert (found.caught_percent, found.nothing_percent, found.over_budget) == (66.7, 33.3, 2)
    assert found.disturbed_percent == 50.0
    assert found.net == pytest.approx(16.7)


def test_the_readme_shows_the_last_score() -> None:
    """The row of the comparison is that of results/latest.json, which the command writes."""
    found = json.loads((RESULTS / "latest.json").read_text())["summary"]
    row = (
        f"| **Vigie**, site `lab-demo` | **{found['caught_percent']} %** "
        f"| **{found['few_percent']} %** | **{found['leaked_percent']} %** "
        f"| **{found['disturbed_percent']} %** | **{found['net']:+.0f}** |"
    )

    assert row in (CORPUS.parents[1] / "README.md").read_text()
    assert found["over_budget"] == 0
