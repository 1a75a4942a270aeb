"""Messages from the backend: kept in step with what was asked, charged, released or cut.

Source: PostgreSQL documentation, "Message Flow", "Message Formats".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import WireError
from proxy.session.admission import TOO_MANY
from proxy.session.commands import LoggedIn, LoginFailed, Refused, RegisterKey
from proxy.session.noticing import note_error
from proxy.session.pending import (
    BindPending,
    ClosePending,
    DescribePending,
    ExecutePending,
    FunctionPending,
    OwnQueryPending,
    ParsePending,
    PlanPending,
    QueryPending,
    SyncPending,
)
from proxy.session.phases import ANSWERS, LOGIN, Phase
from proxy.session.speaking import report
from proxy.wire.backend import Tag, decode_fields, decode_key_data, decode_parameter_status
from proxy.wire.encode import backend_key_data
from proxy.wire.frames import Frame, Piece, Run

if TYPE_CHECKING:
    from proxy.session.channel_binding import ChannelBinding
    from proxy.session.completions import Completions
    from proxy.session.cutting import Cutting
    from proxy.session.metering import Metering
    from proxy.session.own_query import OwnQuery
    from proxy.session.pending import Pending
    from proxy.session.planning import Planning
    from proxy.session.speaking import Speaking
    from proxy.session.state import State

_AUTHENTICATION_OK: Final = bytes(4)
_ASKS_NOTHING: Final = frozenset({_AUTHENTICATION_OK, b"\0\0\0\x0c"})  # and SASLFinal
_HARD: Final = frozenset({b"FATAL", b"PANIC"})
_IN_PIECES: Final = frozenset({Tag.DATA_ROW, Tag.COPY_DATA, Tag.FUNCTION_CALL_RESPONSE})


class Outbound:
    """Takes whole messages of the backend in order."""

    def __init__(
        self,
        state: State,
        metering: Metering,
        cutting: Cutting,
        completions: Completions,
        own: tuple[OwnQuery, Planning],
        *,
        channel_binding: ChannelBinding,
        speaking: Speaking,
    ) -> None:
        self._state = state
        self._channel_binding = channel_binding
        self._metering = metering
        self._cutting = cutting
        self._completions = completions
        self._own_query, self._planning = own
        self._speaking = speaking

    def take(self, shape: Frame | Run | Piece) -> None:
        """Take one message, or a run of rows. Errors: WireError if it may not come now."""
        state = self._state
        if isinstance(shape, Piece) and shape.tag not in _IN_PIECES:
            raise WireError(f"message {chr(shape.tag)!r} has {shape.size} bytes, and is no row")
        if state.phase is Phase.AUTHENTICATION:
            self._authentication(shape)
            return
        if state.trust is not None:
            self._speaking.now(state.pending[0] if state.pending else None)
        match shape.tag:
            case Tag.PARAMETER_STATUS:
                self._parameter_status(shape)
                return
            case Tag.NOTICE_RESPONSE:
                self._notice(shape)
                return
            case Tag.NOTIFICATION_RESPONSE:
                if self._metering.admits_notification(shape.raw):
                    state.to_frontend(shape.raw)
                return
            case Tag.ERROR_RESPONSE:
                self._error(shape)
                return
            case _:
                pass
        if not state.pending:
            raise WireError(f"message {chr(shape.tag)!r} answers nothing")
        head = state.pending[0]
        if isinstance(head, OwnQueryPending):
            self._own_query.take(shape, head)
        elif isinstance(head, PlanPending):
            self._planning.take(shape, head)
        elif state.cut is not None:
            self._cutting.take(shape, head)
        else:
            self._answer(shape, head)

    def _answer(self, shape: Frame | Run | Piece, head: Pending) -> None:
        """Take what answers the first pending message."""
        state = self._state
        if shape.tag not in ANSWERS[type(head)]:
            raise WireError(f"message {chr(shape.tag)!r} does not answer {type(head).__name__}")
        match shape.tag:
            case Tag.DATA_ROW | Tag.COPY_DATA | Tag.FUNCTION_CALL_RESPONSE:
                self._metering.rows(shape, head)
            case Tag.ROW_DESCRIPTION if isinstance(shape, Frame):
                self._metering.described(shape, head)
            case Tag.COPY_OUT_RESPONSE | Tag.COPY_BOTH_RESPONSE:
                self._metering.copying(head)
                state.to_frontend(shape.raw)
            case Tag.COPY_IN_RESPONSE:
                self._completions.copying_in(head)
                state.to_frontend(shape.raw)
            case Tag.COMMAND_COMPLETE | Tag.EMPTY_QUERY_RESPONSE | Tag.PORTAL_SUSPENDED:
                self._completions.completed(head, suspended=shape.tag == Tag.PORTAL_SUSPENDED)
                state.to_frontend(shape.raw)
            case Tag.READY_FOR_QUERY:
                self._completions.ready(shape.raw[-1], head)
                state.to_frontend(shape.raw)
            case Tag.COPY_DONE | Tag.PARAMETER_DESCRIPTION:
                state.to_frontend(shape.raw)
            case _:
                self._step(shape, head)

    def _step(self, shape: Frame | Run | Piece, head: Pending) -> None:
        """Take an answer without data."""
        state = self._state
        is_own = False
        match (shape.tag, head):
            case (Tag.PARSE_COMPLETE, ParsePending(name=name, prepared=prepared)):
                state.registry.prepare(name, prepared)
            case (Tag.BIND_COMPLETE, BindPending()):
                self._completions.bound(head)
            case (Tag.CLOSE_COMPLETE, ClosePending(kind="S", name=name)):
                state.registry.deallocate(name)
            case (Tag.CLOSE_COMPLETE, ClosePending(name=name)):
                state.registry.close(name)
            case (Tag.NO_DATA, DescribePending(own=is_own)):
                pass
            case _:
                raise WireError(f"message {chr(shape.tag)!r} does not answer {type(head).__name__}")
        state.pop()
        if not is_own:
            state.to_frontend(shape.raw)

    # at any time

    def _parameter_status(self, shape: Frame | Run | Piece) -> None:
        state = self._state
        name, value = decode_parameter_status(shape.raw[5:])
        if name == "client_encoding":
            state.encoding = value
        elif name == "standard_conforming_strings":
            state.conforming = value == "on"
        report(state, name, value, is_default=state.phase is Phase.AUTHENTICATION)
        if state.own_query or self._metering.admits_setting(value):
            state.to_frontend(shape.raw)

    def _notice(self, shape: Frame | Run | Piece) -> None:
        state = self._state
        if state.own_query:
            return
        if self._metering.admits_notice(decode_fields(shape.raw[5:])):
            state.to_frontend(shape.raw)

    def _error(self, shape: Frame | Run | Piece) -> None:
        state = self._state
        fields = decode_fields(shape.raw[5:])
        if fields.get("V", fields.get("S", b"")) in _HARD:
            state.failed_hard = True
            state.to_frontend(self._metering.masks.text(shape.tag, shape.raw, fields))
            return
        head = state.pending[0] if state.pending else None
        if isinstance(head, OwnQueryPending):
            self._own_query.take(shape, head)
            return
        if isinstance(head, PlanPending):
            self._planning.take(shape, head)
            return
        if state.followed is not None:
            state.followed.failed()
        if state.cut is None and getattr(head, "refusal", None) is None:
            note_error(state, fields.get("C"))
        state.to_frontend(self._answer_error(shape.raw, fields, head))
        match head:
            case None | SyncPending():
                pass
            case QueryPending():
                self._completions.released(head.result)
                head.index = len(head.statements)
                if state.copying is head:  # it may be that of a Query behind it
                    state.copying = None
            case FunctionPending():
                head.failed = True
            case _:
                if isinstance(head, ExecutePending):
                    self._completions.released(self._metering.result_of(head))
                state.skip_to_sync()

    def _answer_error(self, raw: bytes, fields: dict[str, bytes], head: Pending | None) -> bytes:
        """Return what the frontend is told: our refusal where the error comes from it."""
        state = self._state
        if state.cut is not None:
            cut, state.cut = state.cut, None
            return cut.refusal.to_error()
        refusal = getattr(head, "refusal", None)
        if refusal is not None and refusal.is_answer(raw):
            answer: bytes = refusal.answer(raw)
            return answer
        shown = self._metering.masks.text(Tag.ERROR_RESPONSE, raw, fields)
        spent = self._metering.charge_error(fields if shown is raw else decode_fields(shown[5:]))
        return shown if spent is None else spent.to_error()

    # before the first ReadyForQuery

    def _authentication(self, shape: Frame | Run | Piece) -> None:
        state = self._state
        if shape.tag not in LOGIN:
            raise WireError(f"message {chr(shape.tag)!r} before the first ReadyForQuery")
        match shape.tag:
            case Tag.BACKEND_KEY_DATA:
                process_id, theirs = decode_key_data(shape.raw[5:])
                # the process id is compared by drivers; only the secret is replaced
                ours = state.context.random_bytes(len(theirs))
                state.backend_key = (process_id, theirs)
                state.out.append(RegisterKey(process_id, ours, theirs))
                state.to_frontend(backend_key_data(process_id, ours))
            case Tag.PARAMETER_STATUS:
                self._parameter_status(shape)
            case Tag.READY_FOR_QUERY:
                state.phase, state.status = Phase.READY, shape.raw[-1]
                state.out.append(LoggedIn())
                state.to_frontend(shape.raw)
                self._own_query.begin()
            case Tag.ERROR_RESPONSE:
                state.failed_hard = True
                state.out.append(LoginFailed())
                state.to_frontend(shape.raw)
            case Tag.NEGOTIATE_PROTOCOL_VERSION if state.unasked is not None:
                state.to_frontend(state.unasked.told(shape.raw[5:]))
                state.unasked = None
            case Tag.AUTHENTICATION:
                if state.unasked is not None:  # the backend knows all that it was asked for
                    state.to_frontend(state.unasked.told())
                    state.unasked = None
                self._channel_binding.authentication(shape.raw)
                waits = shape.raw[5:9] not in _ASKS_NOTHING
                state.is_asked = waits and not self._channel_binding.is_relaying
                if shape.raw[5:] == _AUTHENTICATION_OK:
                    self._let_in()
            case Tag.NEGOTIATE_PROTOCOL_VERSION | Tag.NOTICE_RESPONSE:
                state.to_frontend(shape.raw)
            case _:
                raise WireError(f"message {chr(shape.tag)!r} before the first ReadyForQuery")

    def _let_in(self) -> None:
        """The backend knows who it is; one session too many of that role ends here."""
        state = self._state
        reason = state.context.admission.log_in(state.decisions.principal.role)
        if reason is None:
            state.has_logged_in = True
            return
        state.out.append(Refused("too_many_of_role"))
        state.fail(TOO_MANY, reason)
