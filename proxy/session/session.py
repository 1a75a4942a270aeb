"""One session: an event in, commands out.

    frontend bytes -> frames -> inbound  -> judged, then to the backend, replaced or refused
    backend bytes  -> frames -> outbound -> charged, then to the frontend, or cut

Nothing here waits. What must be waited for (a worker, a cancel, the catalog, the end of a result
that may be cut) is in the state, and the frontend's messages stay unread until it has come.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final, assert_never

from proxy import accel
from proxy.errors import WireError
from proxy.session.channel_binding import ChannelBinding
from proxy.session.commands import (
    CancelBackend,
    Command,
    Ended,
    InternalFault,
    ProtocolFault,
    Refused,
    SendBackend,
    SendFrontend,
    UpstreamFault,
)
from proxy.session.completions import Completions
from proxy.session.cutting import Cutting
from proxy.session.events import (
    BackendBytes,
    BackendClosed,
    BackendEncrypted,
    BackendUnreachable,
    CancelDone,
    Drain,
    EncryptionBroken,
    Event,
    FrontendBytes,
    FrontendClosed,
    FrontendEncrypted,
    IdleTooLong,
    LoginTimeout,
    PolicyChanged,
    Shutdown,
    WorkerAnswered,
)
from proxy.session.inbound import Inbound
from proxy.session.lane import Lane
from proxy.session.metering import Metering
from proxy.session.names import Names
from proxy.session.opening import Encryption, Opening
from proxy.session.outbound import Outbound
from proxy.session.own_query import OwnQuery
from proxy.session.pending import DescribePending
from proxy.session.phases import Phase
from proxy.session.planning import Planning
from proxy.session.speaking import Speaking
from proxy.session.state import IDLE, State
from proxy.session.waiting import Waiting
from proxy.wire import backend, frontend
from proxy.wire.frames import FrameReader

if TYPE_CHECKING:
    from proxy.accel.lane_state import LaneState
    from proxy.session.context import Context
    from proxy.wire.frames import Frame, Piece, Run

BACKEND_CEILING_BYTES: Final = 1 << 20  # a larger row is charged by its header and passes in pieces


class Session:
    """One frontend connection with its backend connection.

    Args:
        context: shared by all sessions.
        address: of the frontend, without port.
        encryption: what its listener asks of it.
        listener: the address that it came in by, as the settings have it.
    """

    def __init__(
        self,
        context: Context,
        address: str = "",
        encryption: Encryption = Encryption.NOT_OFFERED,
        listener: str = "",
    ) -> None:
        self._state = state = State(context, context.new_id(), address, listener)
        self._frontend = FrameReader(
            tags=frontend.TAGS,
            bulk_tags=frontend.BULK_TAGS,
            ceiling_bytes=context.max_statement_bytes,
            find_end=accel.end_of_run,
            largest=frontend.LARGEST,
        )
        self._backend = FrameReader(
            tags=backend.TAGS,
            bulk_tags=backend.BULK_TAGS,
            ceiling_bytes=BACKEND_CEILING_BYTES,
            find_end=accel.end_of_run,
        )
        self._names = names = Names(state)
        own_query = OwnQuery(state)
        completions = Completions(state, names)
        self._opening = Opening(state, encryption)
        self._channel_binding = ChannelBinding(state)
        self._cutting = Cutting(state, completions)
        planning = Planning(state)
        speaking = Speaking(state, names)
        self._inbound = Inbound(state, names, self._channel_binding, planning, speaking)
        self._waiting = Waiting(state, own_query)
        metering = Metering(state, names, self._cutting)
        self._outbound = Outbound(
            state,
            metering,
            self._cutting,
            completions,
            (own_query, planning),
            channel_binding=self._channel_binding,
            speaking=speaking,
        )
        self._lane = Lane(state)
        self._in_hand: Frame | Run | Piece | None = None
        self._is_blind = False  # observe mode: an error of ours ended the observation

    @property
    def session_id(self) -> str:
        """Return 12 hex digits, those of its audit records."""
        return self._state.session_id

    @property
    def is_ready(self) -> bool:
        """Whether the login is over."""
        return self._state.phase is Phase.READY

    @property
    def holds_frontend(self) -> bool:
        """Whether the frontend should not be read: what it sent has to wait."""
        ahead = self._frontend.pending_bytes
        return self._in_hand is not None or self._waiting.has_sent_ahead(ahead)

    @property
    def heard_at(self) -> float:
        """Return when the frontend sent something."""
        return max(self._state.heard_at, self._lane.passing.heard_at)

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is under way, within a transaction or not: the frontend has its turn."""
        state = self._state
        return (
            state.phase is Phase.READY
            and not (state.pending or state.segment_open or state.skipping)
            and self._in_hand is None
            and not (self._is_blind or self._lane.is_under_way)
        )

    @property
    def asks(self) -> bool:
        """Whether a question of Vigie's own is under way at the backend."""
        return self._state.own_query

    @property
    def is_in_transaction(self) -> bool:
        """Whether the backend was within a transaction when it last said so."""
        return self._state.status != IDLE

    def end(self) -> None:
        """Both connections are gone: make room for others."""
        state, admission = self._state, self._state.context.admission
        if state.has_entered:
            admission.leave(state.address)
        if state.has_logged_in:
            admission.log_out(state.decisions.principal.role)
        state.has_entered = state.has_logged_in = False

    @property
    def lane(self) -> LaneState:
        """Return what decides which chunks pass as they are, without asking here."""
        return self._lane.passing

    def passes_frontend(self, chunk: bytes, now: float) -> bool:
        """Whether a chunk of the frontend goes to the backend as it is; else ``handle`` it."""
        self._state.now = self._state.heard_at = now
        return self._lane.take_frontend(chunk)

    def passes_backend(self, chunk: bytes, now: float) -> bool:
        """Whether a chunk of the backend goes to the frontend as it is; else ``handle`` it."""
        return self._lane.take_backend(chunk, now)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Return what is to be done. Errors: none.

        Args:
            event: what happened.
            now: seconds of a clock that never goes backward.
        """
        state = self._state
        state.now = now
        state.out = []
        if state.phase is Phase.CLOSED:
            return state.out  # both sides are being closed; nothing is collected for later
        if self._lane.release(event):
            return state.out
        try:
            self._adopt()
            was_at_rest = self._lane.close()
            is_within = self._backend.pending_bytes or self._backend.is_within_message
            self._dispatch(event)
            if was_at_rest and isinstance(event, FrontendBytes):
                self._lane.watch(event.chunk, state.out)
            elif isinstance(event, BackendBytes) and self._is_at_rest:
                # nothing is learnt from a chunk that begins in the middle of a message
                self._lane.learn(b"" if is_within else event.chunk)
        except WireError as error:
            side = "frontend" if isinstance(event, FrontendBytes) else "backend"
            state.out.append(ProtocolFault(side, str(error)))
            self._give_up(error.sqlstate, str(error))
        except Exception as error:  # noqa: BLE001 - fail closed
            shown = "".join(traceback.format_tb(error.__traceback__))
            state.out.append(InternalFault("session", type(error).__name__, shown))
            self._give_up("XX000", "internal error of Vigie")
        state.hold_back()
        return state.out

    @property
    def _is_at_rest(self) -> bool:
        return (
            self._in_hand is None
            and not self._is_blind
            and not self._frontend.pending_bytes
            and not self._backend.pending_bytes
        )

    def _adopt(self) -> None:
        """Take over what the lane has passed to the backend, as if it had come this way."""
        chunk = self._lane.take_under_way()
        if chunk is None:
            return
        state = self._state
        kept, state.out = state.out, []
        self._frontend.feed(chunk)
        state.adopting = True
        while (shape := self._frontend.take()) is not None:
            self._inbound.take(shape)
        state.adopting = state.has_asked = False
        taken = state.out
        state.out = [*kept, *(one for one in taken if not isinstance(one, SendBackend))]
        if any(getattr(one, "refusal", None) is not None for one in state.pending):
            state.fail("42501", "query refused: what it reads has changed under way")

    def _dispatch(self, event: Event) -> None:
        state = self._state
        match event:
            case FrontendBytes(chunk):
                state.heard_at = state.now
                self._take_frontend(chunk)
            case BackendBytes(chunk):
                self._take_backend(chunk)
            case FrontendEncrypted():
                self._opening.encrypted(event)
                self._channel_binding.frontend_encrypted(event)
            case BackendEncrypted():
                self._channel_binding.backend_encrypted(event)
            case EncryptionBroken(side, reason):
                self._encryption_broken(side, reason)
            case FrontendClosed():
                state.close(terminate=not state.terminated and state.phase is not Phase.OPENING)
            case BackendClosed():
                self._backend_closed()
            case BackendUnreachable(reason):
                state.out.append(UpstreamFault(reason))
                state.fail("08006", f"cannot connect to the database: {reason}")
            case CancelDone():
                self._cutting.cancel_is_done()
                self._read_frontend()
            case WorkerAnswered(text, outcome):
                state.context.analyser.accept(text, state.encoding, outcome)
                state.waits_for_worker = False
                self._read_frontend()
            case LoginTimeout():
                if state.phase in {Phase.OPENING, Phase.AUTHENTICATION}:
                    state.out.append(Ended("login_timeout"))
                    state.fail("08006", "the login was not complete in time")
            case IdleTooLong():
                self._end_for_idleness()
            case PolicyChanged():
                self._lane.forget()
                state.policy_changed()
                self._names.read_portals_again()
            case Drain():
                self._drain()
            case Shutdown():
                if state.pending and state.backend_key is not None:
                    state.out.append(CancelBackend(*state.backend_key))
                self._end()
            case _:
                assert_never(event)

    def _end(self) -> None:
        state = self._state
        if state.phase is Phase.CLOSED:
            return
        state.out.append(Ended("stopping"))
        if state.phase is Phase.READY:
            state.fail("57P01", "terminating connection due to administrator command")
        else:
            state.fail("57P03", "the database system is shutting down")

    def _drain(self) -> None:
        """End if idle; else take nothing more than what the transaction needs, until told again.

        Not at once behind its ReadyForQuery: libpq takes an error that it reads together with
        that for a notice, and does not know why the connection was closed.
        """
        state = self._state
        state.draining = True
        if state.phase is not Phase.READY or (state.is_idle and not self._is_blind):
            self._end()

    def _end_for_idleness(self) -> None:
        if not self.is_waiting:
            return
        state = self._state
        if self.is_in_transaction:
            state.out.append(Ended("idle_in_transaction"))
            state.fail("25P03", "terminating connection due to idle-in-transaction timeout")
        else:
            state.out.append(Ended("idle"))
            state.fail("57P05", "terminating connection due to idle-session timeout")

    def _take_frontend(self, chunk: bytes) -> None:
        state = self._state
        if self._is_blind:
            state.to_backend(chunk)
            return
        if state.terminated:
            return  # nobody reads what follows
        rest = self._opening.take(chunk) if state.phase is Phase.OPENING else chunk
        if rest:
            self._frontend.feed(rest)
            self._read_frontend()
        self._waiting.check_sent_ahead(self._frontend.pending_bytes)

    def _read_frontend(self) -> None:
        """Take the frontend's messages as long as nothing makes them wait."""
        state = self._state
        while state.phase is not Phase.CLOSED and not state.terminated:
            shape = self._in_hand or self._frontend.take()
            self._in_hand = shape
            if shape is None or self._waiting.must_wait(shape):
                return
            before = len(state.out)
            try:
                taken = self._inbound.take(shape)
            except Exception:
                del state.out[before:]  # in observe mode the message is passed on as it came
                raise
            if taken:
                self._in_hand = None

    def _take_backend(self, chunk: bytes) -> None:
        state = self._state
        if self._is_blind:
            state.to_frontend(chunk)
            return
        self._backend.feed(chunk)
        while state.phase is not Phase.CLOSED:
            before = len(state.out)
            shape = self._backend.take()
            if shape is None:
                break
            try:
                self._outbound.take(shape)
            except Exception:
                if not self._is_bound:  # what was in hand must not be lost
                    del state.out[before:]
                    state.to_frontend(shape.raw)
                raise
        self._read_frontend()
        self._waiting.check_sent_ahead(self._frontend.pending_bytes)

    def _encryption_broken(self, side: str, reason: str) -> None:
        state = self._state
        state.out.append(ProtocolFault(side, f"TLS: {reason}"))
        if side == "backend":
            self._backend_closed()
            return
        if state.phase is Phase.OPENING:
            state.out.append(Refused())
        state.close(terminate=state.phase is not Phase.OPENING)

    def _backend_closed(self) -> None:
        state = self._state
        if state.failed_hard or state.terminated or self._is_blind:
            state.close(terminate=False)
            return
        state.out.append(UpstreamFault("lost"))
        if self._backend.is_within_message:  # an error cannot be told in the middle of a message
            state.close(terminate=False)
        else:
            state.fail("08006", "the connection to the database was lost")

    @property
    def _is_bound(self) -> bool:
        """Whether nothing may pass as it came: an answer to a message of ours must not, ever."""
        state = self._state
        is_ours = any(isinstance(one, DescribePending) and one.own for one in state.pending)
        is_login = state.phase is Phase.OPENING or self._channel_binding.is_relaying
        return state.context.enforces or state.own_query or is_ours or is_login

    def _give_up(self, sqlstate: str, message: str) -> None:
        """End the session; in observe mode, which may not interfere, only its observation."""
        state = self._state
        if self._is_bound:
            state.fail(sqlstate, message)
            return
        self._is_blind = True
        held = self._in_hand.raw if self._in_hand is not None else b""
        self._in_hand = None
        state.out += [
            SendBackend(held + self._frontend.take_rest()),
            SendFrontend(self._backend.take_rest()),
        ]
