"""Ending a running result so that frontend, driver and backend agree on it (ADR 0003).

The rest of the rows is dropped and the backend is told to cancel. If its error comes, it is
rewritten. If the backend had finished before, it is made to raise one after all: a result must
never look complete when it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.session.commands import CancelBackend
from proxy.session.pending import ExecutePending, SyncPending
from proxy.session.state import Cut
from proxy.wire.backend import Tag
from proxy.wire.encode import FLUSH, SYNC

if TYPE_CHECKING:
    from proxy.session.completions import Completions
    from proxy.session.pending import Pending
    from proxy.session.refusal import Refusal
    from proxy.session.state import State
    from proxy.wire.frames import Frame, Piece, Run


class Cutting:
    """Drops what may not leave and sees to the error."""

    def __init__(self, state: State, completions: Completions) -> None:
        self._state = state
        self._completions = completions

    def begin(self, refusal: Refusal, *, terminates: bool = False) -> None:
        """End the result of the first pending message."""
        state = self._state
        if state.backend_key is not None:
            state.out.append(CancelBackend(*state.backend_key))
            state.cancelling = True
        # a WAL sender takes no Execute, by which it would be made to raise
        if terminates or state.is_walsender or not self._is_last():
            state.fail(refusal.sqlstate, refusal.message, detail=refusal.detail, hint=refusal.hint)
            return
        state.cut = Cut(refusal)
        state.flush()  # no Sync is taken before its end is known

    def _is_last(self) -> bool:
        """Whether nothing but a Sync was sent after what is cut."""
        behind = list(self._state.pending)[1:]
        return not behind or (len(behind) == 1 and isinstance(behind[0], SyncPending))

    def take(self, shape: Frame | Run | Piece, head: Pending) -> None:
        """Take one message of a result that is being cut; an ErrorResponse goes elsewhere."""
        state = self._state
        match shape.tag:
            case Tag.COMMAND_COMPLETE | Tag.PORTAL_SUSPENDED | Tag.EMPTY_QUERY_RESPONSE:
                self._completions.completed(head, suspended=shape.tag == Tag.PORTAL_SUSPENDED)
                if isinstance(head, ExecutePending) and not state.pending:
                    self._finish(before_sync=True)
            case Tag.READY_FOR_QUERY:
                self._completions.ready(shape.raw[-1], head)
                self._finish(before_sync=False)
            case _:
                pass  # a row, or what comes with rows

    def cancel_is_done(self) -> None:
        """The backend has taken the CancelRequest: it can hit nothing that comes now."""
        self._state.cancelling = False
        self._raise()

    def _finish(self, *, before_sync: bool) -> None:
        cut = self._state.cut
        assert cut is not None
        cut.finished, cut.before_sync = True, before_sync
        self._raise()

    def _raise(self) -> None:
        """Make the backend raise, once a stray cancel can no longer hit what is sent for it."""
        state = self._state
        cut = state.cut
        if cut is None or not cut.finished or state.cancelling:
            return
        state.cut = None
        state.push(ExecutePending("", refusal=cut.refusal))
        if not cut.before_sync:
            state.push(SyncPending())
        # an Execute leaves the unnamed statement alone, as a result that failed would have
        state.to_backend(cut.refusal.execute() + (FLUSH if cut.before_sync else SYNC))
