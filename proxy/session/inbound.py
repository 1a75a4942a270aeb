"""Messages from the frontend: judged, kept in step, and passed on or replaced.

Source: PostgreSQL documentation, "Message Flow".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.session.bound_keys import row_limit
from proxy.session.commands import AskWorker
from proxy.session.decisions import PASSES, Decision
from proxy.session.pending import (
    BindPending,
    ClosePending,
    CopyEndPending,
    DescribePending,
    ExecutePending,
    FunctionPending,
    ParsePending,
    QueryPending,
    SyncPending,
)
from proxy.session.refusal import Refusal, malformed, missing
from proxy.session.statements import Portal, Prepared, unknown_name
from proxy.terms.facts import Kind, Parameter, StatementFacts
from proxy.wire.encode import describe_portal
from proxy.wire.frames import HEADER_BYTES, Frame, Piece, Run
from proxy.wire.frontend import (
    Tag,
    decode_bind,
    decode_bind_names,
    decode_execute,
    decode_parse,
    decode_query,
    decode_target,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.session.commands import Command
    from proxy.session.names import Names
    from proxy.session.state import State
    from proxy.wire.frontend import Bind

_READS: Final = frozenset({Kind.SELECT, Kind.FETCH, Kind.SHOW, Kind.EXPLAIN})
_COPIES: Final = frozenset({Kind.COPY_OUT, Kind.COPY_IN})
_STREAMED: Final = frozenset({Tag.COPY_DATA, Tag.BIND, Tag.COPY_FAIL})


class Inbound:
    """Takes whole messages of the frontend, one by one, when nothing makes them wait."""

    def __init__(self, state: State, names: Names) -> None:
        self._state = state
        self._names = names

    def take(self, shape: Frame | Run | Piece) -> bool:
        """Take one message; False: its text is read elsewhere first, give it again then."""
        state = self._state
        match shape:
            case Frame(tag=Tag.QUERY):
                return self._query(shape)
            case Frame(tag=Tag.PARSE):
                return self._parse(shape)
            case Frame(tag=Tag.BIND):
                self._bind(shape)
            case Frame(tag=Tag.EXECUTE):
                self._execute(shape)
            case Frame(tag=Tag.FUNCTION_CALL):
                self._function_call(shape)
            case Frame(tag=Tag.TERMINATE):
                state.to_backend(shape.raw)
                state.close(terminate=False)
            case Piece():
                self._piece(shape)
            case _:
                self._step(shape)
        return True

    def _step(self, shape: Frame | Run) -> None:
        """Pass on a message that nothing is decided about, and keep in step."""
        state = self._state
        match shape.tag:
            case Tag.SYNC:
                if not state.copying_in:
                    state.skipping = False
                    state.doomed = None
                    state.segment_writes = False
                    state.push(SyncPending())
            case Tag.DESCRIBE:
                target = decode_target(shape.raw[HEADER_BYTES:])
                kind, name = (target.kind, target.name) if target else ("S", "")
                if kind == "P" and (portal := self._names.portal(name)) is not None:
                    portal.described = True
                state.push(DescribePending(kind, name))
            case Tag.CLOSE:
                target = decode_target(shape.raw[HEADER_BYTES:])
                kind, name = (target.kind, target.name) if target else ("S", "")
                state.push(ClosePending(kind, name))
            case Tag.COPY_DONE | Tag.COPY_FAIL:
                if state.copying_in:
                    state.copying_in = False
                else:
                    state.push(CopyEndPending())
            case _:
                pass
        state.to_backend(shape.raw)

    def _piece(self, piece: Piece) -> None:
        """Pass on a message that is larger than what is read at once."""
        state = self._state
        if piece.tag not in _STREAMED:
            state.fail(
                "54000",
                f"message {chr(piece.tag)!r} has {piece.size} bytes,"
                f" limit {state.context.max_statement_bytes}",
                hint="Send large values as parameters or by COPY.",
            )
            return
        if piece.first and piece.tag == Tag.BIND:
            names = decode_bind_names(piece.raw[HEADER_BYTES:])
            prepared = None if names is None else self._names.prepared(names[1])
            if names is None or prepared is None:
                state.fail("08P01", "invalid message format: Bind")
                return
            portal = Portal(prepared.facts, prepared.text)
            state.push(BindPending(names[0], names[1], portal))
        state.to_backend(piece.raw)

    # simple query

    def _query(self, frame: Frame) -> bool:
        state = self._state
        text = decode_query(frame.body)
        if text is None:
            self._send_query(frame, b"", (), malformed(state.context.new_id(), "Query"))
            return True
        if state.doomed is not None:
            self._send_query(frame, text, (), state.doomed)
            return True
        statements = self._facts(text)
        if statements is None:
            return False
        resolved = self._names.resolve_ahead(statements)
        absent = self._absent(resolved)
        if absent is not None:
            self._replace_absent(absent, resolved[0].kind, text, statements)
            return True
        decision = state.decisions.decide(resolved, state.out)
        if self._terminates(decision):
            return True
        guarded = state.context.enforces and any(
            facts.returns_rows and facts.reads_subjects for facts in resolved
        )
        self._send_query(frame, text, statements, decision.refusal, guarded=guarded)
        return True

    def _send_query(
        self,
        frame: Frame,
        text: bytes,
        statements: tuple[StatementFacts, ...],
        refusal: Refusal | None,
        *,
        guarded: bool = False,
    ) -> None:
        state = self._state
        state.push(QueryPending(text, statements, refusal, guarded and refusal is None))
        state.to_backend(frame.raw if refusal is None else refusal.query())

    def _absent(self, resolved: Sequence[StatementFacts]) -> Refusal | None:
        """Return what replaces EXECUTE or FETCH, alone in its text, of a name nobody made."""
        if len(resolved) != 1 or resolved[0].kind not in {Kind.EXECUTE, Kind.FETCH}:
            return None
        facts = resolved[0]
        name = facts.prepared if facts.kind is Kind.EXECUTE else facts.cursor
        if name is None or not (facts.opaque or "").endswith(NOT_MADE):
            return None
        return missing(self._state.context.new_id(), name)

    def _replace_absent(
        self, refusal: Refusal, kind: Kind, text: bytes, statements: tuple[StatementFacts, ...]
    ) -> None:
        state = self._state
        substitute = refusal.execute_statement() if kind is Kind.EXECUTE else refusal.fetch()
        state.push(QueryPending(text, statements, refusal))
        state.to_backend(substitute)

    # extended query

    def _parse(self, frame: Frame) -> bool:
        state = self._state
        parse = decode_parse(frame.body)
        if parse is None:
            state.doomed = malformed(state.context.new_id(), "Parse")
            state.push(ParsePending("", Prepared(_EMPTY), state.doomed))
            state.to_backend(state.doomed.parse())
            return True
        statements = self._facts(parse.text)
        if statements is None:
            return False
        facts = statements[0]
        if len(statements) > 1:  # the backend refuses it; should it not, nothing is known
            facts = replace(facts, opaque="several statements in one Parse", shape=None)
        refusal = state.doomed
        if refusal is None:
            decision = self._decide_quietly(facts)
            if self._terminates(decision):
                return True
            refusal = decision.refusal
        prepared = Prepared(facts, parse.text, state.catalog)
        state.push(ParsePending(parse.statement, prepared, refusal))
        if refusal is None:
            state.to_backend(frame.raw)
        else:
            state.doomed = refusal
            state.to_backend(refusal.parse(parse.statement.encode("latin-1")))
        return True

    def _decide_quietly(self, facts: StatementFacts) -> Decision:
        """Judge a Parse; what passes is told of when it runs."""
        told: list[Command] = []
        decision = self._state.decisions.decide(self._names.resolve_ahead([facts]), told)
        if decision is not PASSES:
            self._state.out += told
        return decision

    def _bind(self, frame: Frame) -> None:
        state = self._state
        bind = decode_bind(frame.body)
        if bind is None:
            refusal = malformed(state.context.new_id(), "Bind")
            self._send_bind(frame, "", "", Portal(_EMPTY), refusal)
            return
        prepared = self._names.prepared(bind.statement)
        if prepared is None:
            refusal = state.doomed or missing(state.context.new_id(), bind.statement)
            self._send_bind(frame, bind.portal, bind.statement, Portal(_EMPTY), refusal)
            return
        portal = Portal(
            self._names.current(prepared),
            prepared.text,
            parameters=bind.parameters,
            parameter_formats=bind.formats,
        )
        if state.doomed is not None:
            self._send_bind(frame, bind.portal, bind.statement, portal, None)
            return
        (resolved,) = self._names.resolve_ahead([_with_limit(portal.facts, bind)])
        decision = state.decisions.decide([resolved], state.out)
        if self._terminates(decision):
            return
        self._send_bind(frame, bind.portal, bind.statement, portal, decision.refusal)

    def _send_bind(
        self, frame: Frame, name: str, statement: str, portal: Portal, refusal: Refusal | None
    ) -> None:
        state = self._state
        state.push(BindPending(name, statement, portal, refusal))
        if refusal is None:
            state.to_backend(frame.raw)
        else:
            state.doomed = state.doomed or refusal
            state.to_backend(refusal.bind())

    def _execute(self, frame: Frame) -> None:
        state = self._state
        execute = decode_execute(frame.body)
        name = execute[0] if execute is not None else ""
        portal = self._names.portal(name)
        if portal is None or execute is None:
            refusal = state.doomed or (
                malformed(state.context.new_id(), "Execute")
                if execute is None
                else missing(state.context.new_id(), name)
            )
            state.doomed = refusal
            state.push(ExecutePending(name, refusal=refusal))
            state.to_backend(refusal.execute())
            return
        (facts,) = self._names.resolve_ahead([portal.facts])
        reads = facts.returns_rows and facts.reads_subjects
        if reads and not portal.described and facts.kind not in _COPIES:
            # what the portal gives is in its RowDescription alone, and the frontend did not ask
            portal.described = True
            state.push(DescribePending("P", name, own=True))
            state.to_backend(describe_portal(name.encode("latin-1")))
        writes = facts.kind not in _READS
        guarded = reads and state.context.enforces and state.doomed is None
        keeps_sync = guarded and (writes or state.segment_writes)
        state.push(ExecutePending(name, portal.facts, guarded, keeps_sync))
        state.segment_writes |= writes
        state.to_backend(frame.raw)

    def _function_call(self, frame: Frame) -> None:
        state = self._state
        facts = StatementFacts(Kind.FUNCTION_CALL)
        decision = state.decisions.decide([facts], state.out)
        if self._terminates(decision):
            return
        state.push(FunctionPending(facts, decision.refusal))
        state.to_backend(frame.raw if decision.refusal is None else decision.refusal.query())

    # shared

    def _facts(self, text: bytes) -> tuple[StatementFacts, ...] | None:
        """Return the facts of a text; None: a worker has to read it first."""
        state = self._state
        if state.awaited != text:
            task = state.context.analyser.parse_task(text, state.encoding)
            if task is not None:
                state.awaited, state.waits_for_worker = text, True
                state.out.append(AskWorker(text, task))
                return None
        state.awaited = None
        found = state.decisions.facts_of(
            text, state.encoding, state.catalog, conforming=state.conforming, out=state.out
        )
        if len(found) > 1 and any(facts.changes_session for facts in found):
            # what the first changes, the next is read with
            catalog = state.catalog
            blind = None if catalog is None else catalog.with_search_path(None)
            found = state.decisions.facts_of(
                text, state.encoding, blind, conforming=state.conforming, out=state.out
            )
        return found

    def _terminates(self, decision: Decision) -> bool:
        refusal = decision.refusal
        if refusal is None or not decision.terminates:
            return False
        state = self._state
        state.fail(refusal.sqlstate, refusal.message, detail=refusal.detail, hint=refusal.hint)
        return True


NOT_MADE: Final = unknown_name(StatementFacts(Kind.OTHER), "").opaque or ""
_EMPTY: Final = StatementFacts(Kind.OPAQUE, opaque="malformed message")


def _with_limit(facts: StatementFacts, bind: Bind) -> StatementFacts:
    """Return the facts with the number that LIMIT ``$n`` is bound to."""
    if not isinstance(facts.row_bound, Parameter):
        return facts
    try:
        bound = row_limit(facts.row_bound, bind.parameters, bind.formats)
    except ValueError:
        return facts
    return replace(facts, row_bound=bound)
