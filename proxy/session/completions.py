"""What follows when the backend has carried something out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.errors import WireError
from proxy.session.commands import Released
from proxy.session.pending import (
    BindPending,
    CopyEndPending,
    ExecutePending,
    FunctionPending,
    QueryPending,
    SyncPending,
)
from proxy.session.state import IDLE
from proxy.session.statements import Portal, unknown_name
from proxy.terms.facts import Kind, StatementFacts

if TYPE_CHECKING:
    from proxy.session.names import Names
    from proxy.session.pending import Pending
    from proxy.session.results import Result
    from proxy.session.state import State


class Completions:
    """Keeps names, transaction, catalog and search_path in step with the backend."""

    def __init__(self, state: State, names: Names) -> None:
        self._state = state
        self._names = names

    def bound(self, pending: BindPending) -> None:
        """A portal was made, of what the backend knows by that name now."""
        registry = self._state.registry
        prepared = registry.prepared.get(pending.statement)
        portal = pending.portal
        if prepared is None:
            portal.facts = unknown_name(portal.facts, "prepared statement")
        elif prepared.text != portal.text:
            portal.facts, portal.text = self._names.current(prepared), prepared.text
        registry.open(pending.name, portal)

    def completed(self, head: Pending, *, suspended: bool) -> None:
        """A statement is done (or a portal has given as many rows as it was asked for)."""
        state = self._state
        match head:
            case QueryPending():
                self.released(head.result)
                if head.index < len(head.statements):
                    self._take_effect(head.statements[head.index], None)
                head.index += 1
                head.result, head.described = None, False
            case ExecutePending():
                portal = state.registry.portals.get(head.name)
                self.released(head.result or (portal.result if portal else None))
                if portal is not None and not suspended:
                    self._take_effect(portal.facts, portal)
                state.pop()
            case _:
                raise WireError(f"a statement completes, but {type(head).__name__} is first")

    def ready(self, status: int, head: Pending) -> None:
        """The backend waits for the next message."""
        state = self._state
        if not isinstance(head, QueryPending | SyncPending | FunctionPending):
            raise WireError(f"ReadyForQuery, but {type(head).__name__} is not answered")
        if isinstance(head, FunctionPending):
            self.released(head.result)
        state.pop()
        state.status = status
        state.copying_in = False
        if status == IDLE:
            state.registry.end_transaction()
            if state.changed_catalog:  # visible to others only now
                state.changed_catalog = False
                state.context.catalogs.changed(state.reader.database)

    def copying_in(self, head: Pending) -> None:
        """The backend reads COPY data, and ignores each Sync until it has its end."""
        state = self._state
        ahead = list(state.pending)[1:]
        kept: list[Pending] = [head]
        ended = False
        for one in ahead:
            if isinstance(one, CopyEndPending):
                ended = True
            elif isinstance(one, SyncPending) and not ended:
                state.settle(one)
            elif not ended:
                # the backend takes it for damaged COPY data; what would answer it is not known
                raise WireError("a message other than CopyData was sent while COPY begins")
            else:
                kept.append(one)
        state.pending.clear()
        state.pending.extend(kept)
        state.copying_in = not ended

    def released(self, result: Result | None) -> None:
        """Count what left."""
        if result is None:
            return
        rows, size = result.take_counts()
        if rows or size:
            self._state.out.append(Released(result.plan.method, rows, size))

    def _take_effect(self, facts: StatementFacts, portal: Portal | None) -> None:
        state = self._state
        state.registry.apply(facts, portal)
        database = state.reader.database
        if facts.stages:
            state.context.catalogs.taint(database, facts.writes | facts.creates)
        if facts.changes_catalog:
            state.context.catalogs.changed(database)
            state.changed_catalog = True
        runs_code = facts.kind in {Kind.DO, Kind.CALL} or bool(facts.unknown_functions)
        if facts.changes_session or facts.changes_catalog or runs_code:
            state.path, state.path_failed, state.changed_path = None, False, True
