"""Messages from the frontend: judged, kept in step, and passed on or replaced.

Source: PostgreSQL documentation, "Message Flow".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.asking import Asking
from proxy.session.bound_keys import with_bound
from proxy.session.completions import may_unsettle
from proxy.session.decisions import PASSES, Decision
from proxy.session.following import Following
from proxy.session.large import EMPTY, Large
from proxy.session.names import as_backend
from proxy.session.pending import (
    BindPending,
    ClosePending,
    DescribePending,
    ExecutePending,
    FunctionPending,
    ParsePending,
    QueryPending,
    SyncPending,
)
from proxy.session.reading import read_text
from proxy.session.refusal import Refusal, malformed, missing, too_many
from proxy.session.showing import Showing
from proxy.session.statements import Portal, Prepared
from proxy.sql import replication_command
from proxy.terms.facts import Kind, StatementFacts
from proxy.wire.encode import describe_portal
from proxy.wire.frames import HEADER_BYTES, Frame, Piece, Run
from proxy.wire.frontend import (
    Tag,
    decode_bind,
    decode_execute,
    decode_parse,
    decode_query,
    decode_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.session.channel_binding import ChannelBinding
    from proxy.session.commands import Command
    from proxy.session.names import Names
    from proxy.session.planning import Planning
    from proxy.session.speaking import Speaking
    from proxy.session.state import State

_READS: Final = frozenset({Kind.SELECT, Kind.FETCH, Kind.SHOW, Kind.EXPLAIN})
_COPIES: Final = frozenset({Kind.COPY_OUT, Kind.COPY_IN})
_OPENS: Final = frozenset({Tag.PARSE, Tag.BIND, Tag.DESCRIBE, Tag.EXECUTE, Tag.CLOSE})
_ENDS: Final = frozenset({Tag.QUERY, Tag.FUNCTION_CALL})
_KEPT_PARAMETER_BYTES: Final = 1 << 16  # of larger ones it is not known what they name


class Inbound:
    """Takes whole messages of the frontend, one by one, when nothing makes them wait."""

    def __init__(
        self,
        state: State,
        names: Names,
        channel_binding: ChannelBinding,
        planning: Planning,
        speaking: Speaking,
    ) -> None:
        self._state = state
        self._names = names
        self._channel_binding = channel_binding
        self._planning = planning
        self._speaking = speaking
        self._large = Large(state, names, speaking)
        self._was_open = False  # an extended query, before this message
        self._asking = Asking(state)
        self._showing = Showing(state, speaking)
        self._following = Following(state)

    def take(self, shape: Frame | Run | Piece) -> bool:
        """Take one message; False: something has to be known first, give it again then."""
        state = self._state
        self._was_open = state.segment_open
        if shape.tag in _OPENS:
            state.segment_open = True
        elif shape.tag in _ENDS:
            state.segment_open = False
        match shape:
            case Frame(tag=Tag.QUERY):
                return self._query(self._showing.replaced(shape))
            case Frame(tag=Tag.PARSE):
                return self._parse(self._showing.replaced(shape))
            case Frame(tag=Tag.BIND):
                return self._bind(shape)
            case Frame(tag=Tag.EXECUTE):
                return self._execute(shape)
            case Frame(tag=Tag.FUNCTION_CALL):
                self._function_call(shape)
            case Frame(tag=Tag.PASSWORD):
                self._channel_binding.password(shape.raw, shape.raw[HEADER_BYTES:])
            case Frame(tag=Tag.TERMINATE):
                # the backend closes when it comes to it: behind the answers to what was sent before
                state.to_backend(shape.raw)
                state.terminated = True
            case Piece():
                self._large.take(shape)
            case _:
                self._step(shape)
        return True

    def _step(self, shape: Frame | Run) -> None:
        """Pass on a message that nothing is decided about, and keep in step."""
        state = self._state
        match shape.tag:
            case Tag.SYNC if state.copying is not None:
                return  # the backend ignores it within COPY, but not if COPY has just failed
            case Tag.SYNC:
                state.segment_open = state.skipping = state.segment_writes = False
                state.doomed = None
                state.push(SyncPending())
            case Tag.DESCRIBE:
                kind, name = _target_of(shape)
                if kind == "P" and (portal := self._names.portal(name)) is not None:
                    portal.described = True
                state.push(DescribePending(kind, name))
            case Tag.CLOSE:
                state.push(ClosePending(*_target_of(shape)))
            case Tag.COPY_DONE | Tag.COPY_FAIL:
                state.end_copy()
            case Tag.FLUSH if len(shape.raw) != HEADER_BYTES:
                # an error to the backend, which would then skip to a Sync
                raise WireError(f"Flush has {len(shape.raw)} bytes, expected {HEADER_BYTES}")
            case _:
                pass
        state.to_backend(shape.raw)

    # simple query

    def _query(self, frame: Frame) -> bool:
        state = self._state
        text = decode_query(frame.body)
        if text is None:
            self._send_query(frame, b"", (), self._refused(malformed, "Query"))
            return True
        if state.doomed is not None:
            self._send_query(frame, text, (), state.doomed)
            return True
        command = replication_command(text) if state.is_walsender else None
        statements = read_text(state, text) if command is None else (command,)
        if statements is None:
            return False
        resolved = self._names.resolve_ahead(statements)
        name = self._names.nobody_made(resolved)
        if name is not None and self._may_be_told():
            return False
        absent = None if name is None else self._refused(missing, name)
        if absent is not None:
            self._replace_absent(absent, resolved[0].kind, text, statements)
            return True
        if self._planning.must_ask(text, resolved, idle=not self._was_open):
            return False
        resolved = self._planning.witnessed(text, resolved)
        statements = tuple(self._planning.witnessed(text, statements))
        self._speaking.ahead(text, resolved)
        decision = self._asking.decide(self._following.add(text, resolved))
        if self._terminates(decision):
            return True
        if decision.refusal is None:
            self._names.sends(resolved)
        guarded = state.context.enforces and any(
            facts.returns_rows and facts.reads_subjects for facts in resolved
        )
        unsettles = any(may_unsettle(one, state.followed) for one in resolved)
        self._send_query(
            frame, text, statements, decision.refusal, guarded=guarded, unsettles=unsettles
        )
        return True

    def _refused(self, make: Callable[[str, str], Refusal], what: str) -> Refusal | None:
        """Return a refusal of what the backend would refuse as well; observing, it will."""
        context = self._state.context
        return make(context.new_id(), what) if context.enforces else None

    def _send_query(
        self,
        frame: Frame,
        text: bytes,
        statements: tuple[StatementFacts, ...],
        refusal: Refusal | None,
        *,
        guarded: bool = False,
        unsettles: bool = False,
    ) -> None:
        state = self._state
        pending = QueryPending(text, statements, refusal)
        if refusal is None:
            pending.guarded, pending.unsettles = guarded, unsettles
            pending.copies = sum(facts.kind is Kind.COPY_IN for facts in statements)
            pending.ends = pending.copies
        state.push(pending)
        state.to_backend(frame.raw if refusal is None else refusal.query())

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
            state.doomed = state.doomed or self._refused(malformed, "Parse")
            state.push(ParsePending("", Prepared(EMPTY), state.doomed))
            state.to_backend(frame.raw if state.doomed is None else state.doomed.parse())
            return True
        name = as_backend(parse.statement)
        statements = read_text(state, parse.text)
        if statements is None:
            return False
        facts = statements[0]
        if len(statements) > 1:  # the backend refuses it; should it not, nothing is known
            facts = replace(facts, opaque="several statements in one Parse", shape=None)
        refusal = state.doomed
        if refusal is None:
            resolved = self._names.resolve_ahead([facts])
            idle = not self._was_open
            if self._planning.must_ask(parse.text, resolved, types=parse.types, idle=idle):
                state.segment_open = self._was_open
                return False
            (facts,) = self._planning.witnessed(parse.text, [facts])
            self._speaking.ahead(parse.text, [facts])
            decision = self._decide_quietly(facts)
            if self._terminates(decision):
                return True
            refusal = decision.refusal
        prepared = Prepared(
            facts,
            parse.text,
            state.catalog,
            encoding=state.encoding,
            conforming=state.conforming,
        )
        if refusal is None and name and state.registry.prepared.is_full:
            refusal = self._refused(too_many, "prepared statements")
        state.push(ParsePending(name, prepared, refusal))
        if refusal is None:
            state.to_backend(frame.raw)
        else:
            state.doomed = refusal
            state.to_backend(refusal.parse(name.encode()))
        return True

    def _decide_quietly(self, facts: StatementFacts) -> Decision:
        """Judge a Parse; what passes is told of when it runs."""
        told: list[Command] = []
        decision = self._state.decisions.decide(self._names.resolve_ahead([facts]), told)
        if decision is not PASSES:
            self._state.out += told
        return decision

    def _may_be_told(self) -> bool:
        """Whether an answer under way may tell of a name: what drops it may fail."""
        state = self._state
        is_moot = state.doomed is not None or not state.context.enforces
        if not state.pending or state.adopting or is_moot:
            return False
        state.flush()
        state.segment_open, state.waits_for_answers = self._was_open, True
        return True

    def _bind(self, frame: Frame) -> bool:
        state = self._state
        bind = decode_bind(frame.body)
        if bind is None:
            self._send_bind(frame, "", "", Portal(EMPTY), self._refused(malformed, "Bind"))
            return True
        portal_name, name = as_backend(bind.portal), as_backend(bind.statement)
        prepared = self._names.prepared(name)
        if prepared is None and self._may_be_told():
            return False
        if prepared is None:
            refusal = state.doomed or self._refused(missing, bind.statement)
            self._send_bind(frame, portal_name, name, Portal(EMPTY), refusal)
            return True
        portal = Portal(
            self._names.current(prepared),
            prepared.text,
            parameters=bind.parameters,
            parameter_formats=bind.formats,
        )
        if portal.kept_bytes > _KEPT_PARAMETER_BYTES:
            portal.parameters = portal.parameter_formats = ()
        if state.doomed is not None:
            self._send_bind(frame, portal_name, name, portal, None)
            return True
        (resolved,) = self._names.resolve_ahead([portal.facts])
        resolved = with_bound(resolved, bind.parameters, bind.formats)
        self._speaking.ahead(prepared.text, [resolved])
        sent = (prepared.text, [resolved], bind.parameters, bind.formats)
        decision = self._asking.decide(self._following.add(*sent))
        if self._terminates(decision):
            return True
        refusal = decision.refusal
        if refusal is None and portal_name and state.registry.portals.is_full:
            refusal = self._refused(too_many, "portals")
        self._send_bind(frame, portal_name, name, portal, refusal)
        return True

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

    def _execute(self, frame: Frame) -> bool:
        state = self._state
        execute = decode_execute(frame.body)
        name = as_backend(execute[0]) if execute is not None else ""
        portal = self._names.portal(name)
        if portal is None and execute is not None and self._may_be_told():
            return False
        if portal is None or execute is None:
            told = (missing, execute[0]) if execute else (malformed, "Execute")
            missed = self._refused(*told)
            state.doomed = refusal = state.doomed or missed
            state.push(ExecutePending(name, refusal=refusal, unsettles=True))
            state.to_backend(frame.raw if refusal is None else refusal.execute())
            return True
        (facts,) = self._names.resolve_ahead([portal.facts])
        self._names.sends([facts])
        reads = facts.returns_rows and facts.reads_subjects
        if reads and not portal.described and facts.kind not in _COPIES:
            # what the portal gives is in its RowDescription alone, and the frontend did not ask
            portal.described = True
            state.push(DescribePending("P", name, own=True))
            state.to_backend(describe_portal(name.encode("latin-1")))
        writes = facts.kind not in _READS
        guarded = reads and state.context.enforces and state.doomed is None
        keeps_sync = guarded and (writes or state.segment_writes)
        copies = int(portal.facts.kind is Kind.COPY_IN and state.doomed is None)
        unsettles = may_unsettle(facts, state.followed)
        state.push(
            ExecutePending(
                name, portal.facts, guarded, keeps_sync, unsettles, copies=copies, ends=copies
            )
        )
        state.segment_writes |= writes
        state.to_backend(frame.raw)
        return True

    def _function_call(self, frame: Frame) -> None:
        state = self._state
        facts = StatementFacts(Kind.FUNCTION_CALL)
        self._speaking.ahead(b"")
        decision = state.decisions.decide([facts], state.out)
        if self._terminates(decision):
            return
        state.push(FunctionPending(facts, decision.refusal))
        state.to_backend(frame.raw if decision.refusal is None else decision.refusal.query())

    # shared

    def _terminates(self, decision: Decision) -> bool:
        refusal = decision.refusal
        if refusal is None or not decision.terminates:
            return False
        state = self._state
        state.fail(refusal.sqlstate, refusal.message, detail=refusal.detail, hint=refusal.hint)
        return True


def _target_of(shape: Frame | Run) -> tuple[str, str]:
    target = decode_target(shape.raw[HEADER_BYTES:])
    return (target.kind, as_backend(target.name)) if target else ("S", "")
