"""Bodies in PL/pgSQL: what their variables may hold, and what they return.

Which step is taken, and how often, nobody can tell. So a variable holds whatever any step may put
into it, found by reading all steps until nothing is added; then they are read once more, for what
they read and write. A value that a variable gathers over and over is one of many rows; what is
asked on the way tells on what is returned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.binding import bind, held
from proxy.sql.facts.outline import QUERIES
from proxy.sql.facts.outputs import value_of
from proxy.sql.facts.plpgsql import read_source
from proxy.sql.facts.plpgsql_steps import Block, Does, Step
from proxy.sql.facts.plpgsql_tokens import Unreadable
from proxy.sql.facts.queries import unite_results
from proxy.sql.facts.routine import parse_body
from proxy.sql.facts.running import run_statement
from proxy.sql.facts.scope import Item, Result, Scope
from proxy.sql.facts.tree import Node, constant_text, unwrap, without_casts
from proxy.sql.facts.value import (
    NOTHING,
    UNKNOWN_VALUE,
    Named,
    Value,
    combine,
    fold,
)
from proxy.sql.facts.variables import WORDS, Variable, gathering
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import SubjectFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.routine import Routine

_MOST_PASSES: Final = 5
# What every body has beside its variables.
_SPECIAL_NAMES: Final = """
found tg_name tg_when tg_level tg_op tg_relid tg_relname tg_table_name tg_table_schema tg_nargs
tg_argv tg_event tg_tag sqlstate
"""
_SPECIAL: Final = frozenset(_SPECIAL_NAMES.split())
_SHOWN: Final = frozenset({ColumnClass.NONE, ColumnClass.KEY})
_SQL_TEXT: Final = frozenset({Does.DYNAMIC, Does.RETURN_DYNAMIC})


@dataclass(slots=True)
class _Returned:
    """What is returned, step by step. ``queried``: by queries alone."""

    result: Result | None = None
    queried: bool = True

    def take(self, result: Result) -> None:
        """Add one more return."""
        self.result = result if self.result is None else unite_results(self.result, result)


@dataclass(slots=True)
class _Pass:
    """One reading of all steps."""

    asked: list[Value] = field(default_factory=list)  # by conditions
    computed: list[Value] = field(default_factory=list)
    strengths: list[SubjectFilter] = field(default_factory=list)
    returned: _Returned = field(default_factory=_Returned)


def read_block(
    reading: Reading,
    routine: Routine,
    arguments: Sequence[Node],
    rows: Mapping[str, tuple[Named, ...]] | None = None,
) -> tuple[Result, list[Value]]:
    """Return what a body gives, and what it computes on the way. Errors: ``Unreadable``.

    ``rows``: what it holds at first beside its arguments: the rows that a trigger is for.
    """
    block = read_source(routine.source or "")
    reader = _BlockReader(reading, routine, block, arguments)
    for name, columns in (rows or {}).items():
        reader.hold(name, columns)
    return reader.read()


class _BlockReader:
    """Reads one body."""

    def __init__(
        self, reading: Reading, routine: Routine, block: Block, arguments: Sequence[Node]
    ) -> None:
        self._reading = reading
        self._routine = routine
        self._block = block
        self._arguments = arguments
        self._qualifiers = frozenset({routine.name, *block.labels})
        self._assigned = [name for step in block.steps for name in step.targets]
        self._held = {
            name: Variable() for name in (*block.variables, *routine.outputs, *self._assigned)
        }
        self._constant: dict[str, Node] = {}
        self._numbered = list(arguments)
        for name, node in zip(routine.inputs, arguments, strict=True):
            self._give(name, node)
        for alias, name in block.aliases.items():
            self._alias(alias, name)
        for name in gathering(block.steps):
            self._held.setdefault(name, Variable()).gathers = True

    def hold(self, name: str, columns: tuple[Named, ...]) -> None:
        """Let a variable hold a row."""
        value = combine(column.value for column in columns)
        self._held[name] = Variable(value, columns)

    def _give(self, name: str, node: Node) -> None:
        """Let a parameter hold an argument."""
        if not name:
            return
        if name in self._assigned:
            value = value_of(self._reading, node, Scope())
            self._held[name] = Variable(value)
        else:
            self._held.pop(name, None)
            self._constant[name] = node

    def _alias(self, alias: str, name: str) -> None:
        if name.startswith("$"):
            index = int(name[1:]) - 1
            if index >= len(self._arguments) or alias in self._assigned:
                raise Unreadable("has an alias for a parameter that it assigns to")
            self._held.pop(alias, None)
            self._constant[alias] = self._arguments[index]
        elif name in self._constant and alias not in self._assigned:
            self._held.pop(alias, None)
            self._constant[alias] = self._constant[name]
        else:
            raise Unreadable("has an alias for a variable")

    def read(self) -> tuple[Result, list[Value]]:
        """Read until the variables hold no more; then for good."""
        real = self._reading
        before: object = None
        for _ in range(_MOST_PASSES):
            self._pass(real.apart(is_trial=real.is_trial, bodies=real.bodies))
            now = {name: (one.value, one.columns) for name, one in self._held.items()}
            if now == before:
                break
            before = now
        else:
            self._give_up()
        occurred = real.occurrences
        found = self._pass(real, last=True)
        return self._result(found, occurred)

    def _give_up(self) -> None:
        """Take every variable for all of them together: they did not come to rest."""
        everything = fold(combine(one.value for one in self._held.values()))
        for one in self._held.values():
            one.value, one.columns, one.gathers = everything, None, True

    def _pass(self, reading: Reading, *, last: bool = False) -> _Pass:
        self._reading = reading
        found = _Pass()
        for step in self._block.steps:
            self._take(step, found, last=last)
        return found

    def _result(self, found: _Pass, occurred: int) -> tuple[Result, list[Value]]:
        reading, routine = self._reading, self._routine
        returned = found.returned
        if routine.outputs and (returned.result is None or not returned.queried):
            returned.queried = False
            returned.take(Result(self._out()))
        result = returned.result or Result()
        asked = combine(found.asked)
        if self._block.catches:  # whether something failed may be all that is returned
            asked = combine([asked, *found.computed])
        columns = result.columns
        if not asked.tells_nothing:
            columns = tuple(Named(one.name, combine([one.value, asked])) for one in columns)
        # what variables hold is of other rows than those of the query that returns them
        mixed = not returned.queried or not asked.tells_nothing or self._holds()
        if mixed and any(not one.value.tells_nothing for one in columns):
            contributes = frozenset(range(occurred + 1, reading.occurrences + 1))
            result = replace(
                result,
                contributes=contributes,
                branches=(contributes,),
                strength=_weakest(found.strengths),
            )
            reading.mixes |= not returned.queried or not asked.tells_nothing
        result = replace(result, columns=columns)
        return result, found.computed

    def _holds(self) -> bool:
        """Whether some variable has something of a subject."""
        return any(not one.value.tells_nothing for one in self._held.values())

    # steps

    def _take(self, step: Step, found: _Pass, *, last: bool) -> None:
        match step.does:
            case Does.RETURN_QUERY:
                found.returned.take(self._query(step.text, found))
            case Does.RETURN:
                found.returned.take(self._return(step.text, found))
                found.returned.queried = False
            case Does.TEST:
                found.asked += self._values(step.text, found)
            case Does.RAISE:
                self._raise(step.text, found)
            case Does.TELL:
                self._put(step, Result((Named("*", NOTHING),)), last=last)
            case Does.ASSIGN | Does.EACH | Does.RUN:
                self._put(step, self._assigned_by(step, found), last=last)
            case _ if step.does in _SQL_TEXT:
                self._dynamic(step, found, last=last)
            case _:
                raise Unreadable("has a step that is not known")

    def _assigned_by(self, step: Step, found: _Pass) -> Result:
        if step.does is not Does.ASSIGN:
            return self._query(step.text, found)
        known = self._row(step.text)
        if known is not None:
            return Result(known)
        return self._query(f"SELECT {step.text}", found)

    def _put(self, step: Step, result: Result, *, last: bool) -> None:
        """Let the targets of a step hold what a query gives."""
        targets, columns = step.targets, result.columns
        if not targets:
            return
        everything = combine(column.value for column in columns)
        opened = any(column.name == "*" for column in columns)
        is_row = len(targets) == 1 and not step.partly
        for index, name in enumerate(targets):
            variable = self._held.setdefault(name, Variable())
            if is_row:
                single = columns[0].value if len(columns) == 1 and not opened else everything
                shown = columns if len(columns) > 1 and not opened else None
            else:
                spread = not opened and len(targets) == len(columns)
                single = columns[index].value if spread else everything
                shown = None
            if not last:
                single = _unplaced(single)
                shown = None if shown is None else tuple(
                    Named(one.name, _unplaced(one.value)) for one in shown
                )  # fmt: skip
                variable.take(shown, single)
            elif self._assigned.count(name) == 1 and not variable.gathers:
                variable.value, variable.columns = single, shown  # with the place it comes from

    def _query(self, text: str, found: _Pass) -> Result:
        """Read one statement. Errors: ``Unreadable``."""
        statements = parse_body(text)
        if len(statements) != 1:
            raise Unreadable("has several statements where one is expected")
        return self._statement(statements[0], found, self._numbered)

    def _statement(self, tree: Node, found: _Pass, numbered: Sequence[Node]) -> Result:
        named = {**self._constant}
        for name, one in self._held.items():
            if one.columns is None:
                named[name] = held(one.value, fixed=self._is_fixed(name))
        bound = bind(self._reading, tree, named, numbered, self._qualifiers)
        kind, body = unwrap(bound)
        if kind not in QUERIES or "intoClause" in body:
            run_statement(self._reading, bound)
            return Result()
        result = self._reading.read_query(self._reading, bound, self._scope())
        found.computed += [column.value for column in result.columns]
        if result.contributes:
            found.strengths.append(result.strength)
        return result

    def _is_fixed(self, name: str) -> bool:
        """Whether a variable is the same throughout a call, once it is set."""
        if not self._held[name].value.tells_nothing:
            return False
        return all(
            step.does is Does.ASSIGN and not step.looped and not step.partly
            for step in self._block.steps
            if name in step.targets
        )

    def _scope(self) -> Scope:
        plain = [Named(name, value_of(self._reading, node, Scope()))
                 for name, node in self._constant.items()]  # fmt: skip
        plain += [Named(name, one.value) for name, one in self._held.items() if one.columns is None]
        plain += [Named(name, NOTHING) for name in _SPECIAL - self._held.keys()]
        if self._block.catches:
            plain.append(Named("sqlerrm", UNKNOWN_VALUE if self._tells() else NOTHING))
        rows = [
            Item(name, "", one.columns, NOTHING)
            for name, one in self._held.items()
            if one.columns is not None
        ]
        fields = [Item(one.name, "", None, one.value) for one in plain]
        return Scope(None, [*rows, *fields], plain)

    def _tells(self) -> bool:
        return bool(self._reading.subject_relations or self._reading.unknown_relations)

    def _values(self, text: str, found: _Pass) -> list[Value]:
        if not text.strip():
            return []
        return [column.value for column in self._query(f"SELECT {text}", found).columns]

    def _raise(self, text: str, found: _Pass) -> None:
        self._reading.tells_others = True
        if any(value.column_class not in _SHOWN for value in self._values(text, found)):
            raise Unreadable("shows subjects' data in a message")

    def _return(self, text: str, found: _Pass) -> Result:
        if not text.strip():
            return Result(self._out())
        row = self._row(text)
        if row is not None:
            return Result(row)
        return self._query(f"SELECT {text}", found)

    def _row(self, text: str) -> tuple[Named, ...] | None:
        """Return the columns of the variable that the text is nothing but the name of."""
        word = text.strip().strip('"')
        if WORDS.fullmatch(word) is None:
            return None
        one = self._held.get(word if '"' in text else word.lower())
        return None if one is None or one.columns is None else one.columns

    def _out(self) -> tuple[Named, ...]:
        return tuple(
            Named(
                name,
                self._held[name].value
                if name in self._held
                else value_of(self._reading, self._constant.get(name), Scope()),
            )
            for name in self._routine.outputs
        )

    def _dynamic(self, step: Step, found: _Pass, *, last: bool) -> None:
        """Read EXECUTE of a constant text. Errors: ``Unreadable`` for any other."""
        (expression,) = parse_body(f"SELECT {step.text}")
        targets = expression.get("SelectStmt", {}).get("targetList", ())
        node = targets[0].get("ResTarget", {}).get("val", {}) if len(targets) == 1 else {}
        constant = without_casts(node).get("A_Const")
        text = None if constant is None else constant_text(constant)
        if text is None:
            raise Unreadable("executes a text that is put together when it runs")
        numbered = [self._used(one, found) for one in step.using]
        result = Result()
        for statement in parse_body(text):
            tree = bind(self._reading, statement, {}, numbered, frozenset())
            if unwrap(tree)[0] in QUERIES:
                result = self._reading.read_query(self._reading, tree, None)
                found.computed += [column.value for column in result.columns]
                if result.contributes:
                    found.strengths.append(result.strength)
            else:
                run_statement(self._reading, tree)
        if step.does is Does.RETURN_DYNAMIC:
            found.returned.take(result)
        else:
            self._put(step, result, last=last)

    def _used(self, text: str, found: _Pass) -> Node:
        """Return what stands for an expression of USING."""
        value = combine(self._values(text, found))
        name = text.strip().lower()
        constant = self._constant.get(name)
        if constant is not None:
            return constant
        fixed = name in self._held and self._is_fixed(name)
        return held(value, fixed=fixed)


def _unplaced(value: Value) -> Value:
    return replace(value, place=None)


def _weakest(strengths: Iterable[SubjectFilter]) -> SubjectFilter:
    order = list(SubjectFilter)
    return min(strengths, key=order.index, default=SubjectFilter.NONE)
