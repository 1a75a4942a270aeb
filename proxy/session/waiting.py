"""When a message of the frontend has to wait, and what ends the waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.session.pending import ExecutePending, SyncPending
from proxy.session.state import Phase
from proxy.wire.encode import FLUSH
from proxy.wire.frontend import Tag

if TYPE_CHECKING:
    from proxy.session.own_query import OwnQuery
    from proxy.session.state import State
    from proxy.wire.frames import Frame, Piece, Run

_NEVER_WAIT: Final = frozenset({Tag.COPY_DATA, Tag.COPY_DONE, Tag.COPY_FAIL})
_READ: Final = frozenset({Tag.QUERY, Tag.PARSE, Tag.BIND})


class Waiting:
    """Decides for the next message of the frontend."""

    def __init__(self, state: State, own_query: OwnQuery) -> None:
        self._state = state
        self._own_query = own_query

    def must_wait(self, shape: Frame | Run | Piece) -> bool:
        """Whether the message stays unread for now."""
        state = self._state
        tag = shape.tag
        if tag == Tag.TERMINATE:
            return False
        if state.phase is Phase.AUTHENTICATION:
            return tag != Tag.PASSWORD
        if state.waits_for_worker or state.own_query or state.cancelling or state.cut is not None:
            return True
        if tag in _NEVER_WAIT:
            return False
        if state.guard is not None and self._guard_holds(tag):
            return True
        if tag not in _READ:
            return False
        return self._is_unsettled() or self._own_query.is_needed()

    def _guard_holds(self, tag: int) -> bool:
        """Nothing may be sent ahead of a result that may be cut, or a cut could not undo it."""
        state, guard = self._state, self._state.guard
        if not isinstance(guard, ExecutePending) or tag == Tag.FLUSH:
            return tag != Tag.FLUSH
        is_synced = isinstance(state.pending[-1], SyncPending)
        if tag == Tag.SYNC and not is_synced and not guard.keeps_sync:
            return False
        if not is_synced:
            self._flush(guard)
        return True

    def _is_unsettled(self) -> bool:
        """What is under way may change how the next text has to be read."""
        state = self._state
        if not state.unsettled or not state.context.enforces:
            return False
        last = state.pending[-1]
        if isinstance(last, ExecutePending):
            self._flush(last)
        return True

    def _flush(self, execute: ExecutePending) -> None:
        if not execute.flushed:
            execute.flushed = True
            self._state.to_backend(FLUSH)
