"""Reading of INSERT, UPDATE, DELETE and MERGE, and of what they copy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.sql.facts.filters import conjuncts, read_conditions, read_filters, strongest
from proxy.sql.facts.from_clause import read_from
from proxy.sql.facts.outputs import read_targets, value_of
from proxy.sql.facts.relations import note_read, read_relation, resolve
from proxy.sql.facts.scope import Item, Result, Scope
from proxy.sql.facts.staging import Put, note_staging, puts_of_insert
from proxy.sql.facts.tree import Node, strings
from proxy.sql.facts.value import NOTHING, UNKNOWN_VALUE, Named, Value, combine, derive, unite
from proxy.terms.facts import SubjectFilter
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.sql.facts.reading import Reading


def read_write(reading: Reading, kind: str, body: Node, parent: Scope | None) -> Result:
    """Return what RETURNING gives, and note what is read, written and copied. Errors: none."""
    from proxy.sql.facts.queries import read_with  # noqa: PLC0415

    outside = reading.level
    reading.level = reading.new_level(counts=outside.counts)
    scope = Scope(parent)
    try:
        read_with(reading, body.get("withClause"), scope)
        strength = SubjectFilter.NONE
        returning = body.get("returningClause", {}).get("exprs", ())
        written = note_write(reading, body.get("relation", {}))
        match kind:
            case "InsertStmt":
                strength = _read_insert(reading, body, scope, written, bool(returning))
            case "MergeStmt":
                strength = _read_merge(reading, body, scope, written)
            case _:
                strength = _read_change(reading, kind, body, scope, written)
        columns = read_targets(reading, returning, scope)
        if _has_rules(reading, written):
            columns = (*columns, Named("*", UNKNOWN_VALUE))
        contributes = frozenset(reading.level.contributes)
    finally:
        reading.level = outside
    return Result(columns, contributes, (contributes,), strength, outer=tuple(scope.outer))


def note_write(reading: Reading, relation: Node) -> tuple[Relation, ...]:
    """Note a relation that is written, and return what its name may stand for."""
    schema, name = str(relation.get("schemaname", "")), str(relation.get("relname", ""))
    reading.named_relations.add((schema, name))
    found = resolve(reading, schema, name)
    if not found:
        reading.unknown_relations.add(Relation(schema, name))
        found = (Relation(schema, name),)
    reading.writes.update(found)
    return found


def _has_rules(reading: Reading, written: Sequence[Relation]) -> bool:
    """Whether a rule may make the statement read subjects' data instead."""
    catalog = reading.catalog
    if catalog is None:
        return False
    for relation in written:
        found = catalog.relations.get(catalog.oids.get(relation, 0))
        if found is not None and found.kind not in "vm" and relation in catalog.view_sources:
            return note_read(reading, [relation])
    return False


def _read_target(reading: Reading, body: Node, scope: Scope) -> None:
    """Put the written relation into the scope: its rows are read."""
    relation: Node = body.get("relation", {})
    item = read_relation(reading, relation)
    alias = relation.get("alias", {})
    item = item.renamed(str(alias.get("aliasname", "")), strings(alias.get("colnames", ())))
    scope.items.insert(0, item)
    scope.visible[:0] = item.visible


def _put_values(scope: Scope, values: Mapping[str, Value] | None, every: Value) -> None:
    """Let the target's columns carry what is put in them: RETURNING shows it.

    Args:
        scope: its first entry is the target.
        values: by column; None: which goes where is not known.
        every: all of them together.
    """
    if every.tells_nothing:
        return
    target = scope.items[0]
    shown = len(target.visible)
    columns = tuple(
        Named(column.name, unite(column.value, (values or {}).get(column.name, NOTHING)))
        if values is not None
        else Named(column.name, derive(combine((column.value, every))))
        for column in target.visible
    )
    opened = target.columns is None
    rest = derive(combine((target.rest, every))) if opened else target.rest
    if opened:
        columns = (Named("*", rest),)
    scope.items[0] = replace(target, columns=None if opened else columns, rest=rest)
    scope.visible[:shown] = columns


def _read_insert(
    reading: Reading,
    body: Node,
    scope: Scope,
    written: Sequence[Relation],
    returns: bool,  # noqa: FBT001
) -> SubjectFilter:
    level = reading.level
    counts, level.counts = level.counts, False
    result = Result()
    if body.get("selectStmt"):
        result = reading.read_query(reading, body["selectStmt"], scope)
    level.counts = counts
    values = [column.value for column in result.columns]
    reading.use(*values)
    puts = puts_of_insert(reading, body, written, values)
    conflict: Node = body.get("onConflictClause", {})
    if returns or conflict.get("targetList"):
        _read_target(reading, body, scope)
        every = combine(values)
        _put_values(scope, None, every)
        if not every.tells_nothing:
            level.contributes |= result.contributes
    if conflict:
        inner = Scope(scope, [Item("excluded", "", None, combine(values))])
        puts.extend(_assigned(reading, conflict, inner))
        parts = [conflict.get("whereClause"), conflict.get("infer", {}).get("whereClause")]
        read_conditions(reading, [part for part in parts if part], inner)
    note_staging(reading, written, puts)
    return result.strength


def _assigned(reading: Reading, body: Node, scope: Scope) -> list[Put]:
    targets: list[Node] = [one.get("ResTarget", {}) for one in body.get("targetList", ())]
    return [
        Put(str(target.get("name")), value_of(reading, target.get("val"), scope))
        for target in targets
    ]


def _read_change(
    reading: Reading, kind: str, body: Node, scope: Scope, written: Sequence[Relation]
) -> SubjectFilter:
    strength = read_from(reading, body.get("fromClause") or body.get("usingClause") or (), scope)
    _read_target(reading, body, scope)
    where = conjuncts(body.get("whereClause"))
    read_conditions(reading, where, scope)
    if where:
        strength = strongest(strength, read_filters(reading, where, scope, where=True))
    if kind == "UpdateStmt":
        puts = _assigned(reading, body, scope)
        note_staging(reading, written, puts, own=scope.items[0].members)
        values = {str(put.column): put.value for put in puts}
        _put_values(scope, values, combine(values.values()))
    return strength


def _read_merge(
    reading: Reading, body: Node, scope: Scope, written: Sequence[Relation]
) -> SubjectFilter:
    source = body.get("sourceRelation")
    read_from(reading, [source] if source else [], scope)
    _read_target(reading, body, scope)
    on = conjuncts(body.get("joinCondition"))
    read_conditions(reading, on, scope)
    puts: list[Put] = []
    every: list[Put] = []
    for clause in body.get("mergeWhenClauses", ()):
        when: Node = clause.get("MergeWhenClause", {})
        if when.get("condition"):
            read_conditions(reading, [when["condition"]], scope)
        assigned = _assigned(reading, when, scope)
        inserted = [value_of(reading, node, scope) for node in when.get("values", ())]
        if inserted:
            listed = {"cols": when.get("targetList", ())}
            puts.extend(puts_of_insert(reading, listed, written, inserted))
        else:
            every.extend(assigned)
            note_staging(reading, written, assigned, own=scope.items[0].members)
    note_staging(reading, written, puts)
    _put_values(scope, None, combine([NOTHING, *(put.value for put in [*puts, *every])]))
    return SubjectFilter.OPEN
