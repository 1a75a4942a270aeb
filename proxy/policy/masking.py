"""Whether a statement's result can be masked, and column by column how.

A column of a masked class may only be given as it is, through views, WITH and subqueries; then its
values are masked on the wire. Wherever else it takes part, the rows or another value would tell
what the mask hides: a predicate answers a question, an order gives a rank, a cast fails with the
value in its error. Such a statement is refused. What is unknown counts as a masked column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.policy.facts_view import FactValues
from proxy.policy.holding import exempted_by, holds
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, Provenance, SideDoor, StatementFacts
from proxy.terms.finding import Mode
from proxy.terms.mask import How, Masking, strictest
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.policy.policy import Policy, Rule
    from proxy.terms.facts import OutputColumn
    from proxy.terms.principal import Principal
    from proxy.terms.relation import Relation
    from proxy.terms.schema_map import SchemaMap

HINT: Final = (
    "Select masked columns as they are, or leave them out; narrow by keys or columns without a"
    " mask. Ask who runs Vigie if that is not enough."
)
# Kinds that run or make code, or move data, where nothing says which columns take part.
_BLIND: Final = {
    Kind.CREATE_CODE: "defines code",
    Kind.FUNCTION_CALL: "calls a function by its number",
    Kind.REPLICATION: "is a replication",
    Kind.EXPLAIN_ANALYZE: "EXPLAIN ANALYZE shows sizes and numbers of rows",
}
_MAKES: Final = frozenset({Kind.DDL, Kind.CREATE_TABLE_AS, Kind.CREATE_VIEW})
_DOORS: Final = frozenset(SideDoor) - {SideDoor.SESSION_IDENTITY, SideDoor.LEXER_SETTING}


def masking_of(policy: Policy, principal: Principal, facts: StatementFacts) -> Masking | None:
    """Return what is to be masked of a statement's result; None: no rule asks for a mask.

    Rules in mode ``observe`` mask nothing.
    """
    if not policy.masks:
        return None
    values = FactValues(facts, principal)
    rules = [
        rule
        for rule in policy.masks
        if rule.mode is Mode.ENFORCE
        and holds(rule, values, opaque=False)
        and exempted_by(rule, values) is None
    ]
    return plan(rules, facts, policy.schema_map) if rules else None


def plan(rules: Iterable[Rule], facts: StatementFacts, schema_map: SchemaMap) -> Masking:
    """Return what these rules, which hold, mask of a statement's result."""
    rules = tuple(rules)
    hows: dict[ColumnClass, How] = {}
    for rule in rules:
        for column_class, how in (rule.mask or {}).items():
            hows[column_class] = strictest(hows.get(column_class), how) or how
    columns: tuple[How | None, ...] = ()
    if facts.output is not UNKNOWN:
        columns = tuple(how_of(hows, column.classes) for column in facts.output)
    return Masking(
        rule=rules[0].id,
        hows=hows,
        columns=columns,
        obstacle=_obstacle(hows, facts, schema_map),
        reaches=facts.reads_subjects or bool(facts.writes) or facts.kind in _BLIND,
        title=rules[0].title,
    )


def how_of(hows: Mapping[ColumnClass, How], classes: Iterable[ColumnClass]) -> How | None:
    """Return the strictest mask of these classes; None: there is none."""
    found: How | None = None
    for column_class in classes:
        found = strictest(found, hows.get(column_class))
    return found


def _obstacle(
    hows: Mapping[ColumnClass, How], facts: StatementFacts, schema_map: SchemaMap
) -> str | None:
    """Return why the result cannot be masked safely; None: it can."""
    if facts.kind in _BLIND and (facts.kind is not Kind.EXPLAIN_ANALYZE or facts.reads_subjects):
        return f"{_BLIND[facts.kind]}, and masked columns may be in it"
    makes = facts.drops or (facts.kind in _MAKES and bool(facts.creates))
    if facts.changes_catalog and not makes and facts.kind is not Kind.GRANT:
        return "changes a relation, and masked columns may be in it"
    doors = facts.side_doors & _DOORS
    if doors:
        return f"leaves no result that can be masked ({min(doors).value})"
    if not facts.reads_subjects and not facts.writes:
        return None
    if facts.opaque is not None:
        return "cannot be understood, so nothing in it can be masked"
    unknown = [*map(str, facts.unknown_relations), *facts.unknown_functions]
    if unknown:
        return f"uses {min(unknown)}, of which nobody knows what it gives"
    if facts.subject_functions:
        return f"calls {min(facts.subject_functions)}, whose rows are not masked"
    if facts.disagreements:
        return "is read differently by two readers, so nothing in it can be masked"
    written = _hashed_in(facts, hows, schema_map)
    if written is not None:
        return f"writes {written}, whose columns are hashed, so that a hash could be tried out"
    masked = frozenset(hows)
    used = facts.used_classes & (masked | {ColumnClass.UNKNOWN})
    if used:
        named = ", ".join(sorted(used))
        return f"uses masked columns ({named}) in a predicate, expression, order, group or write"
    if facts.output is UNKNOWN:
        return "gives columns that are not known"
    hashed = frozenset(one for one, how in hows.items() if how is How.HASH)
    return next(
        (found for one in facts.output if (found := _not_as_it_is(one, masked, hashed))), None
    )


def _hashed_in(
    facts: StatementFacts, hows: Mapping[ColumnClass, How], schema_map: SchemaMap
) -> Relation | None:
    """Return a relation that is written and has a column whose values are hashed."""
    if not facts.writes or How.HASH not in hows.values():
        return None
    touched = facts.writes | facts.subject_relations
    return next(
        (
            column.relation
            for column, column_class in schema_map.classes.items()
            if column.relation in touched and hows.get(column_class) is How.HASH
        ),
        None,
    )


def _not_as_it_is(
    column: OutputColumn, masked: frozenset[ColumnClass], hashed: frozenset[ColumnClass]
) -> str | None:
    classes = column.classes
    if ColumnClass.UNKNOWN in classes or column.provenance is Provenance.UNKNOWN:
        return "gives a column whose source is not known"
    found = classes & masked
    if found and column.provenance is Provenance.DIRECT:
        if classes & hashed and not column.is_one_column:
            return "puts other values beside hashed ones, so that a hash could be tried out"
        return None
    if not found:
        return None
    return f"computes a column from masked ones ({', '.join(sorted(found))})"
