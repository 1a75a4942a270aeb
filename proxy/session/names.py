"""What a name means: to the backend as it is now, or as it will be when it gets there.

Source: PostgreSQL documentation, "Extended Query", "PREPARE", "DECLARE", "EXECUTE", "FETCH".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.pending import (
    BindPending,
    ClosePending,
    ExecutePending,
    ParsePending,
    QueryPending,
)
from proxy.session.statements import (
    NOT_MADE,
    Portal,
    Prepared,
    calls_code,
    inner_of,
    plain,
    prepared_by,
    run_by,
    unknown_name,
)
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.session.state import State


LONGEST_NAME: Final = 63  # bytes; NAMEDATALEN - 1


def as_backend(name: str) -> str:
    """Return a name of a message as the backend keeps it: longer ones are one and the same.

    Raises:
        WireError: it is not ASCII; what it is then depends on encodings, and two may be one.
    """
    if not name.isascii():
        raise WireError("a name of a prepared statement or portal is not ASCII")
    return name[:LONGEST_NAME]


class Names:
    """Looks names up. ``ahead``: with what is under way, and with what is being judged now."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._may_be_made_unseen = False

    def prepared(self, name: str) -> Prepared | None:
        """Return the prepared statement that the backend will know by this name."""
        for one in self._ahead():
            match one:
                case ParsePending(name=other, refusal=None) if other == name:
                    return one.prepared
                case ClosePending(kind="S", name=other) if other == name:
                    return None
                case StatementFacts(kind=Kind.PREPARE, prepared=other) if other == name:
                    return prepared_by(one)
                case StatementFacts() if _deallocates(one, name):
                    return None
                case _:
                    pass
        return self._state.registry.prepared.get(name)

    def portal(self, name: str) -> Portal | None:
        """Return the portal or cursor that the backend will know by this name."""
        for one in self._ahead():
            match one:
                case BindPending(name=other, refusal=None) if other == name:
                    return one.portal
                case ClosePending(kind="P", name=other) if other == name:
                    return None
                case StatementFacts(kind=Kind.DECLARE, cursor=other) if other == name:
                    return Portal(inner_of(one))
                case StatementFacts() if _closes(one, name):
                    return None
                case _:
                    pass
        return self._state.registry.portals.get(name)

    def sends(self, statements: Iterable[StatementFacts]) -> None:
        """Note what goes to the backend: code that it calls may make names that nobody sees."""
        catalog = self._state.catalog
        self._may_be_made_unseen |= any(calls_code(one, catalog) for one in statements)

    def nobody_made(self, resolved: Sequence[StatementFacts]) -> str | None:
        """Return what EXECUTE or FETCH, alone in its text, names, and the backend does not know."""
        if len(resolved) != 1 or resolved[0].kind not in {Kind.EXECUTE, Kind.FETCH}:
            return None
        facts = resolved[0]
        if self._may_be_made_unseen or not (facts.opaque or "").endswith(NOT_MADE):
            return None
        return facts.prepared if facts.kind is Kind.EXECUTE else facts.cursor

    def resolve_ahead(self, statements: Sequence[StatementFacts]) -> list[StatementFacts]:
        """Return the statements of one text with what EXECUTE and FETCH run, as it will be."""
        resolved: list[StatementFacts] = []
        for index, facts in enumerate(statements):
            before = statements[:index]
            prepared = portal = None
            if facts.prepared is not None:
                prepared = _made_before(before, facts.prepared) or self.prepared(facts.prepared)
            if facts.cursor is not None:
                portal = _declared_before(before, facts.cursor) or self.portal(facts.cursor)
            resolved.append(self._resolved(facts, prepared, portal))
        return resolved

    def resolve_now(self, facts: StatementFacts) -> StatementFacts:
        """Return a statement that runs now with what it runs, as the backend has confirmed it."""
        registry = self._state.registry
        prepared = registry.prepared.get(facts.prepared) if facts.prepared is not None else None
        portal = registry.portals.get(facts.cursor) if facts.cursor is not None else None
        return self._resolved(facts, prepared, portal)

    def current(self, prepared: Prepared) -> StatementFacts:
        """Return the facts of a prepared statement as the backend would plan it now."""
        state = self._state
        catalog = state.catalog
        if not prepared.text or (catalog is prepared.catalog and catalog is not None):
            return prepared.facts
        found = state.decisions.facts_of(
            prepared.text,
            prepared.encoding,
            catalog,
            conforming=prepared.conforming,
            out=state.out,
        )
        return inner_of(found[0]) if prepared.wrapped else found[0]

    def read_portals_again(self) -> None:
        """Find the facts of every portal and cursor anew: the policy is another one."""
        state = self._state
        for name in state.registry.portals.names():
            portal = state.registry.portals.get(name)
            if portal is None:
                continue
            found = state.decisions.facts_of(
                portal.text or portal.facts.text.encode(),
                state.encoding,
                state.catalog,
                conforming=state.conforming,
                out=state.out,
            )
            portal.facts = found[0] if portal.text else inner_of(found[0])
            portal.result = portal.planned_for = None

    def _resolved(
        self, facts: StatementFacts, prepared: Prepared | None, portal: Portal | None
    ) -> StatementFacts:
        match facts.kind:
            case Kind.EXECUTE:
                if prepared is None:
                    return unknown_name(facts, "prepared statement")
                return run_by(facts, self.current(prepared))
            case Kind.FETCH:
                if portal is None:
                    return unknown_name(facts, "cursor")
                return run_by(facts, portal.facts)
            case Kind.EXPLAIN | Kind.EXPLAIN_ANALYZE | Kind.CREATE_TABLE_AS if facts.prepared:
                if prepared is None:
                    return unknown_name(facts, "prepared statement")
                return _reads_as(facts, plain(self.current(prepared)))
            case _:
                return facts

    def _ahead(self) -> Iterator[object]:
        """Yield what will have happened before the next message, youngest first."""
        for pending in reversed(self._state.pending):
            match pending:
                case QueryPending(statements=statements, refusal=None):
                    yield from reversed(statements[pending.index :])
                case ExecutePending(facts=facts, refusal=None) if facts is not None:
                    yield facts
                case ParsePending() | BindPending() | ClosePending():
                    yield pending
                case _:
                    pass


def _reads_as(facts: StatementFacts, inner: StatementFacts) -> StatementFacts:
    """Return the facts of a statement that runs another and shows none of its rows."""
    return replace(
        facts,
        opaque=facts.opaque or inner.opaque,
        relations=facts.relations | inner.relations,
        subject_relations=facts.subject_relations | inner.subject_relations,
        unknown_relations=facts.unknown_relations | inner.unknown_relations,
        functions=facts.functions | inner.functions,
        unknown_functions=facts.unknown_functions | inner.unknown_functions,
        subject_functions=facts.subject_functions | inner.subject_functions,
        side_doors=facts.side_doors | inner.side_doors,
        used_classes=facts.used_classes
        | inner.used_classes
        | (_given(inner) if facts.kind is Kind.CREATE_TABLE_AS else frozenset()),
        stages=facts.stages and inner.reads_subjects,
        shape=None,
    )


def _given(facts: StatementFacts) -> frozenset[ColumnClass]:
    """Return all classes of what a statement gives."""
    if facts.output is UNKNOWN:
        return frozenset({ColumnClass.UNKNOWN})
    return frozenset[ColumnClass]().union(*(column.classes for column in facts.output))


def _made_before(statements: Sequence[StatementFacts], name: str) -> Prepared | None:
    for facts in reversed(statements):
        if facts.kind is Kind.PREPARE and facts.prepared == name:
            return prepared_by(facts)
        if _deallocates(facts, name):
            return None
    return None


def _declared_before(statements: Sequence[StatementFacts], name: str) -> Portal | None:
    for facts in reversed(statements):
        if facts.kind is Kind.DECLARE and facts.cursor == name:
            return Portal(inner_of(facts))
        if _closes(facts, name):
            return None
    return None


def _deallocates(facts: StatementFacts, name: str) -> bool:
    if not name:  # the unnamed one stays: it is none of those that SQL drops
        return False
    if facts.discards:
        return True
    return facts.kind is Kind.DEALLOCATE and facts.prepared in {None, name}


def _closes(facts: StatementFacts, name: str) -> bool:
    if facts.discards:  # ROLLBACK TO drops some, but no name becomes that of another
        return True
    return facts.kind is Kind.CLOSE and facts.cursor in {None, name}
