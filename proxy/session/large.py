"""Messages of the frontend that are larger than what is read at once: passed on in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.names import as_backend
from proxy.session.pending import BindPending
from proxy.session.statements import Portal, Prepared
from proxy.terms.facts import Kind, StatementFacts
from proxy.wire.frames import HEADER_BYTES
from proxy.wire.frontend import Tag, decode_bind_names

if TYPE_CHECKING:
    from proxy.session.names import Names
    from proxy.session.speaking import Speaking
    from proxy.session.state import State
    from proxy.wire.frames import Piece

EMPTY: Final = StatementFacts(Kind.OPAQUE, opaque="malformed message")
_STREAMED: Final = frozenset({Tag.COPY_DATA, Tag.BIND, Tag.COPY_FAIL})


class Large:
    """Takes pieces; what has to be read whole is refused by its header."""

    def __init__(self, state: State, names: Names, speaking: Speaking) -> None:
        self._state = state
        self._names = names
        self._speaking = speaking

    def take(self, piece: Piece) -> None:
        """Pass on a part of such a message."""
        state = self._state
        if piece.tag not in _STREAMED:
            limit = state.context.max_statement_bytes
            said = f"message {chr(piece.tag)!r} has {piece.size} bytes, limit {limit}"
            if not state.context.enforces:
                raise WireError(said)
            state.fail("54000", said, hint="Send large values as parameters or by COPY.")
            return
        if piece.last and piece.tag == Tag.COPY_FAIL:
            state.end_copy()
        if piece.first and piece.tag == Tag.BIND and not self._bind_large(piece):
            return
        state.to_backend(piece.raw)

    def _bind_large(self, piece: Piece) -> bool:
        """Judge a Bind by its head: its parameters pass unread. False: the session ends."""
        state = self._state
        names = decode_bind_names(piece.raw[HEADER_BYTES:])
        if names is None:
            raise WireError("Bind has no names")
        portal_name, name = as_backend(names[0]), as_backend(names[1])
        prepared = self._names.prepared(name)
        if prepared is None:
            if state.context.enforces:
                state.fail("26000", f"prepared statement {name!r} does not exist")
                return False
            prepared = Prepared(EMPTY)
        portal = Portal(self._names.current(prepared), prepared.text)
        self._speaking.ahead(prepared.text, [portal.facts])
        decision = state.decisions.decide(self._names.resolve_ahead([portal.facts]), state.out)
        refusal = decision.refusal
        if refusal is not None and state.doomed is None:  # no other Bind can take its place now
            state.fail(refusal.sqlstate, refusal.message, detail=refusal.detail, hint=refusal.hint)
            return False
        state.push(BindPending(portal_name, name, portal))
        return True
