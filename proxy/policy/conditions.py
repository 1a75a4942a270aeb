"""Conditions over facts: read from YAML, compiled, and answered in three values.

A condition is ``all``, ``any`` or ``not``, or one fact with one operator. An answer is true, false
or ``None``: a fact was unknown and the rest does not decide (Kleene's strong logic).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from proxy.policy.facts_view import BOUND, FACTS, Fact, FactType, FactValue
from proxy.policy.problems import show, suggest
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from proxy.policy.yaml_marks import Document, Path

Truth = bool | None
Values = Mapping[str, FactValue]
Lists = Mapping[str, frozenset[str]]

_SETS: Final = ("any_in", "all_in", "none_in", "absent", "known", "matches")
OPERATORS: Final[Mapping[FactType, tuple[str, ...]]] = {
    FactType.TEXT: ("is", "any_in", "none_in", "absent", "known", "matches"),
    FactType.SET: _SETS,
    FactType.NUMBER: ("is", "at_least", "at_most", "absent", "known"),
    FactType.BOOLEAN: ("is", "known"),
}
WORDS: Final = ("all", "any", "not")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One fact, one operator, one operand. ``named``: the list that the operand came from."""

    fact: str
    operator: str
    operand: frozenset[str] | str | int | bool
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Every:
    """True if all parts are."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """True if one part is."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    part: Condition


Condition = Comparison | Every | Some | Not
Compiled = Callable[[Values], Truth]


def comparisons_of(condition: Condition) -> Iterator[Comparison]:
    """Yield every test of a condition, in the order written."""
    match condition:
        case Comparison():
            yield condition
        case Not(part):
            yield from comparisons_of(part)
        case Every(parts) | Some(parts):
            for part in parts:
                yield from comparisons_of(part)


def answer(test: Comparison, value: FactValue) -> Truth:
    """Return what a test says of a value."""
    return _OPERATIONS[test.operator](value, test.operand)


def compile_condition(condition: Condition) -> Compiled:
    """Return a function from the values of facts to true, false or None."""
    match condition:
        case Comparison():
            return _compile_test(condition)
        case Not(part):
            inner = compile_condition(part)

            def opposite(values: Values) -> Truth:
                found = inner(values)
                return None if found is None else not found

            return opposite
        case Every(parts):
            return _compile_parts(parts, decisive=False)
        case Some(parts):
            return _compile_parts(parts, decisive=True)


def _compile_test(test: Comparison) -> Compiled:
    operation, operand, fact = _OPERATIONS[test.operator], test.operand, test.fact

    def ask(values: Values) -> Truth:
        return operation(values[fact], operand)

    return ask


def _compile_parts(parts: tuple[Condition, ...], *, decisive: bool) -> Compiled:
    """``all`` is decided by a false, ``any`` by a true."""
    inner = tuple(map(compile_condition, parts))

    def ask(values: Values) -> Truth:
        unknown = False
        for part in inner:
            found = part(values)
            if found is decisive:
                return decisive
            unknown |= found is None
        return None if unknown else not decisive

    return ask


def _is(value: FactValue, operand: Any) -> Truth:
    return None if value is UNKNOWN or value is BOUND else value == operand


def _any_in(value: FactValue, operand: Any) -> Truth:
    if isinstance(value, frozenset):
        return not value.isdisjoint(operand)
    return None if value is UNKNOWN else value in operand


def _all_in(value: FactValue, operand: Any) -> Truth:
    """Of nothing at all, it is false: an empty set must not make a rule hold."""
    if isinstance(value, frozenset):
        return bool(value) and value <= operand
    return None if value is UNKNOWN else value in operand


def _none_in(value: FactValue, operand: Any) -> Truth:
    found = _any_in(value, operand)
    return None if found is None else not found


def _at_least(value: FactValue, operand: Any) -> Truth:
    if value is UNKNOWN or value is BOUND:
        return None
    return isinstance(value, int) and value >= operand


def _at_most(value: FactValue, operand: Any) -> Truth:
    if value is UNKNOWN or value is BOUND:
        return None
    return isinstance(value, int) and value <= operand


def _absent(value: FactValue, operand: Any) -> Truth:
    if value is UNKNOWN:
        return None
    return (value is None or value in (frozenset(), "")) is operand


def _known(value: FactValue, operand: Any) -> Truth:
    return (value is not UNKNOWN and value is not BOUND) is operand


def _matches(value: FactValue, operand: Any) -> Truth:
    if value is UNKNOWN:
        return None
    pattern = glob(operand)
    names = value if isinstance(value, frozenset) else () if value is None else (str(value),)
    return any(pattern.fullmatch(name) for name in names)


_GLOBS: dict[str, re.Pattern[str]] = {}  # patterns come from rule files: as many as these have


def glob(pattern: str) -> re.Pattern[str]:
    """Return the expression of a name pattern: ``*`` any characters, ``?`` one."""
    found = _GLOBS.get(pattern)
    if found is None:
        text = "".join({"*": ".*", "?": "."}.get(one) or re.escape(one) for one in pattern)
        found = _GLOBS[pattern] = re.compile(text, re.DOTALL)
    return found


_OPERATIONS: Final[Mapping[str, Callable[[FactValue, Any], Truth]]] = {
    "is": _is,
    "any_in": _any_in,
    "all_in": _all_in,
    "none_in": _none_in,
    "at_least": _at_least,
    "at_most": _at_most,
    "absent": _absent,
    "known": _known,
    "matches": _matches,
}


class _RefusedError(Exception):
    """This part is wrong; the problem has been noted."""


class ConditionReader:
    """Reads conditions of one document, and collects what is wrong with them."""

    def __init__(self, document: Document, lists: Lists, problems: list[str]) -> None:
        self._document = document
        self._lists = lists
        self._problems = problems

    def read(self, value: Any, path: Path) -> Condition | None:
        """Return the condition at a path; None after a problem."""
        try:
            return self._read(value, path)
        except _RefusedError:
            return None

    def _read(self, value: Any, path: Path) -> Condition:
        if not isinstance(value, dict) or not value:
            kind = "empty condition" if value in (None, {}, []) else f"condition is {show(value)}"
            raise self._refused(path, f"{kind}, expected all, any, not or a fact")
        if len(value) > 1:
            raise self._refused(
                path, f"{len(value)} conditions side by side, expected all: or any:"
            )
        ((word, inner),) = value.items()
        inside = (*path, word)
        match word:
            case "not":
                return Not(self._read(inner, inside))
            case "all" | "any":
                return self._read_parts(word, inner, inside)
            case _:
                return self._read_test(word, inner, inside)

    def _refused(self, path: Path, what: str, *, key: bool = False) -> _RefusedError:
        self._problems.append(f"{self._document.at(path, key=key)}: {what}")
        return _RefusedError()

    def _read_parts(self, word: str, value: Any, path: Path) -> Condition:
        if not isinstance(value, list):
            raise self._refused(path, f"'{word}' is {show(value)}, expected a list of conditions")
        if not value:
            raise self._refused(path, f"'{word}' is an empty list, expected conditions")
        parts = [self.read(one, (*path, index)) for index, one in enumerate(value)]
        good = tuple(part for part in parts if part is not None)
        if len(good) < len(parts):
            raise _RefusedError
        return Every(good) if word == "all" else Some(good)

    def _read_test(self, name: str, value: Any, path: Path) -> Comparison:
        fact = FACTS.get(name)
        if fact is None:
            hint = suggest(name, [*FACTS, *WORDS])
            raise self._refused(path, f"unknown fact '{name}', {hint}", key=True)
        if not isinstance(value, dict) or len(value) != 1:
            shown = f"{len(value)} operators" if isinstance(value, dict) else show(value)
            raise self._refused(path, f"'{name}' is {shown}, expected one operator")
        ((operator, operand),) = value.items()
        inside = (*path, operator)
        allowed = OPERATORS[fact.type]
        if operator not in allowed:
            what = f"unknown operator '{operator}' for the {fact.type} '{name}'"
            raise self._refused(inside, f"{what}, {suggest(operator, allowed)}", key=True)
        return self._read_operand(Comparison(name, operator, ""), fact, operand, inside)

    def _read_operand(self, test: Comparison, fact: Fact, value: Any, path: Path) -> Comparison:
        operator = test.operator
        if operator in {"any_in", "all_in", "none_in"}:
            return self._read_list(test, fact, value, path)
        if operator in {"absent", "known"} or fact.type is FactType.BOOLEAN:
            if not isinstance(value, bool):
                raise self._refused(path, f"'{operator}' is {show(value)}, expected true or false")
        elif fact.type is FactType.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int):
                raise self._refused(path, f"'{operator}' is {show(value)}, expected an integer")
        elif not isinstance(value, str) or not value:
            raise self._refused(path, f"'{operator}' is {show(value)}, expected text")
        elif operator == "matches" and not set(value) - {"*"}:
            raise self._refused(
                path, f"pattern '{value}' matches every name, expected a narrower one"
            )
        elif operator == "is" and not self._accept(test, fact, value, path):
            raise _RefusedError
        return Comparison(test.fact, operator, value)

    def _read_list(self, test: Comparison, fact: Fact, value: Any, path: Path) -> Comparison:
        if isinstance(value, str) and value.startswith("$"):
            name = value[1:]
            if name not in self._lists:
                hint = suggest(value, [f"${known}" for known in self._lists])
                raise self._refused(path, f"unknown list '{value}', {hint}")
            members = self._lists[name]
            for member in sorted(members - fact.values) if fact.values else ():
                hint = suggest(member, fact.values)
                what = f"list '{value}' has '{member}', no value of '{test.fact}', {hint}"
                raise self._refused(path, what)
            return Comparison(test.fact, test.operator, members, name)
        if not isinstance(value, list) or not value:
            raise self._refused(
                path, f"'{test.operator}' is {show(value)}, expected a list or $list"
            )
        good = [self._accept(test, fact, one, (*path, i)) for i, one in enumerate(value)]
        if not all(good):
            raise _RefusedError
        return Comparison(test.fact, test.operator, frozenset(value))

    def _accept(self, test: Comparison, fact: Fact, value: Any, path: Path) -> bool:
        """Whether a member of a list may stand there; if not, say so."""
        if not isinstance(value, str) or not value:
            self._refused(path, f"entry is {show(value)}, expected text")
        elif value.startswith("$"):
            what = f"list '{value}' within a list, expected {test.operator}: {value}"
            self._refused(path, what)
        elif fact.values and value not in fact.values:
            hint = suggest(value, fact.values)
            self._refused(path, f"'{value}' is no value of '{test.fact}', {hint}")
        else:
            return True
        return False
