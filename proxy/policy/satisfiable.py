"""Whether a condition can hold at all, and whether it can fail to.

A rule that never holds protects nothing and one that always holds says nothing: neither loads.
For each fact, representative values are tried; what matters of them is how its tests answer.
"""

from __future__ import annotations

from itertools import combinations, product
from math import prod
from typing import TYPE_CHECKING, Final

from proxy.policy.conditions import Comparison, Condition, Every, Not, Some, answer, comparisons_of
from proxy.policy.facts_view import FACTS, FactType, FactValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_COMBINATIONS: Final = 65536  # beyond, nothing is claimed
_MAX_SUBSETS: Final = 6
_OTHER: Final = "some other name"

_Answers = dict[Comparison, bool]


def outcomes(condition: Condition) -> frozenset[bool]:
    """Return which of true and false the condition can be, for values that are known."""
    by_fact: dict[str, list[Comparison]] = {}
    for test in dict.fromkeys(comparisons_of(condition)):
        by_fact.setdefault(test.fact, []).append(test)
    ways = [_ways(name, tests) for name, tests in by_fact.items()]
    if prod(map(len, ways)) > _MAX_COMBINATIONS:
        return frozenset({True, False})
    found: set[bool] = set()
    for chosen in product(*ways):
        answers: _Answers = {}
        for part in chosen:
            answers.update(part)
        found.add(_evaluate(condition, answers))
        if len(found) > 1:
            break
    return frozenset(found)


def _evaluate(condition: Condition, answers: Mapping[Comparison, bool]) -> bool:
    match condition:
        case Comparison():
            return answers[condition]
        case Not(part):
            return not _evaluate(part, answers)
        case Every(parts):
            return all(_evaluate(part, answers) for part in parts)
        case Some(parts):
            return any(_evaluate(part, answers) for part in parts)


def _ways(name: str, tests: list[Comparison]) -> list[_Answers]:
    """Return each way in which the tests of one fact can answer together."""
    found: dict[tuple[bool, ...], _Answers] = {}
    for value in _candidates(name, tests):
        answers = tuple(bool(_ask(test, value)) for test in tests)
        found.setdefault(answers, dict(zip(tests, answers, strict=True)))
    return list(found.values())


def _ask(test: Comparison, value: FactValue) -> bool | None:
    if test.named and not test.operand:  # a list that the site has yet to fill
        return answer(Comparison(test.fact, test.operator, frozenset({f"${test.named}"})), value)
    return answer(test, value)


def _candidates(name: str, tests: list[Comparison]) -> Iterable[FactValue]:
    fact = FACTS[name]
    match fact.type:
        case FactType.BOOLEAN:
            return (True, False)
        case FactType.NUMBER:
            numbers = [test.operand for test in tests if type(test.operand) is int]
            return (None, 0, *(near for n in numbers for near in (n - 1, n, n + 1) if near >= 0))
        case FactType.TEXT:
            mentioned = sorted(frozenset[str]().union(*map(_mentioned, tests)))
            unfilled = [name for name in mentioned if name.startswith("$")]
            return (None, *(fact.values or (*mentioned, _OTHER)), *unfilled)
        case FactType.SET:
            return _candidate_sets(fact.values, [_mentioned(test) for test in tests])


def _mentioned(test: Comparison) -> frozenset[str]:
    """Return names that the test tells apart from others."""
    if isinstance(test.operand, frozenset):
        return test.operand or frozenset({f"${test.named}"})
    if test.operator == "matches":
        return frozenset({str(test.operand).replace("*", "x").replace("?", "x")})
    return frozenset({test.operand}) if isinstance(test.operand, str) else frozenset()


def _candidate_sets(closed: frozenset[str], mentioned: list[frozenset[str]]) -> set[frozenset[str]]:
    every = frozenset().union(*mentioned)
    others = closed - every if closed else frozenset({_OTHER})
    found = {frozenset[str](), every, every | others, frozenset(sorted(others)[:1])}
    few = mentioned[:_MAX_SUBSETS]
    for count in range(1, len(few) + 1):
        for chosen in combinations(few, count):
            inside = chosen[0].intersection(*chosen)
            without = every.difference(*chosen)
            found |= {
                inside,
                without,
                inside - frozenset().union(*(m for m in few if m not in chosen)),
            }
            found |= {without | others}
    return found
