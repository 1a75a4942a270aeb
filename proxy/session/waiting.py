"""When a message of the frontend has to wait, and what ends the waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.pending import ExecutePending, SyncPending
from proxy.session.phases import COPIES, SPEAKS, Phase
from proxy.wire.frontend import LARGEST_PASSWORD, Tag

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
        """Whether the message stays unread for now. Errors: WireError if it may never come."""
        state = self._state
        tag = shape.tag
        if tag == Tag.TERMINATE:
            return False
        if state.phase is Phase.AUTHENTICATION:
            return self._waits_for_login(tag)
        if tag not in SPEAKS:
            within = state.copying is not None and state.copying.ends > state.copying.copies
            if state.pending and not within:
                state.flush()  # what was asked before is answered first
                return True
            raise WireError(f"invalid frontend message type {tag}")
        if state.draining and state.is_idle:
            return True  # it will be told that the session has ended
        if state.waits_for_worker or state.own_query or state.cancelling or state.cut is not None:
            return True
        if state.waits_for_answers and state.pending:
            return True
        state.waits_for_answers = False
        if tag in _NEVER_WAIT:
            return False
        if state.copying is not None and tag != Tag.FLUSH:
            return self._copy_holds(tag)
        if state.guard is not None and self._guard_holds(tag):
            return True
        if state.is_full:
            state.flush()
            return True
        if tag not in _READ:
            return False
        if state.pending and tag != Tag.QUERY and state.registry.is_full:
            state.flush()  # what is under way may make room
            return True
        return self._is_unsettled() or self._own_query.is_needed(shape)

    def has_sent_ahead(self, pending_bytes: int) -> bool:
        """Whether a large message has begun before the login is over: it is not read on.

        Nobody knows yet who fills our memory; the rest of it stays in the frontend's socket.
        """
        is_large = pending_bytes > LARGEST_PASSWORD + 1
        return is_large and self._state.phase is Phase.AUTHENTICATION

    def check_sent_ahead(self, pending_bytes: int) -> None:
        """Errors: WireError if the backend waits for a password behind such a message."""
        if self._state.is_asked and self.has_sent_ahead(pending_bytes):
            said = f"{pending_bytes} bytes of another message"
            raise WireError(f"expected password response, got {said}")

    def _waits_for_login(self, tag: int) -> bool:
        """What is sent ahead waits; but the backend does not wait for two things at once."""
        if tag != Tag.PASSWORD and self._state.is_asked:
            raise WireError(f"expected password response, got message {chr(tag)!r}")
        self._state.is_asked = False
        return tag != Tag.PASSWORD

    def _copy_holds(self, tag: int) -> bool:
        """Nothing but its data may be sent ahead of a COPY that the frontend has not ended.

        The backend ignores a Sync within COPY and answers one behind a COPY that failed at its
        start: which of the two it would be is known only when CopyInResponse or an error comes.
        """
        copying = self._state.copying
        assert copying is not None
        if copying.ends <= copying.copies:
            self._state.flush()  # should it be no COPY after all, its end must be heard of
            return True
        if tag not in COPIES:
            raise WireError(f"message {chr(tag)!r} within COPY, expected CopyData or its end")
        return False

    def _guard_holds(self, tag: int) -> bool:
        """Nothing may be sent ahead of a result that may be cut, or a cut could not undo it."""
        state, guard = self._state, self._state.guard
        if tag == Tag.FLUSH:
            return False
        if not isinstance(guard, ExecutePending):
            return True
        is_synced = isinstance(state.pending[-1], SyncPending)
        if tag == Tag.SYNC and not is_synced and not guard.keeps_sync:
            return False
        state.flush()
        return True

    def _is_unsettled(self) -> bool:
        """What is under way may change how the next text has to be read."""
        state = self._state
        if not state.unsettled or not state.context.enforces:
            return False
        state.flush()
        return True
