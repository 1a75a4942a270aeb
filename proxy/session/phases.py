"""The order of messages: which may come when, and what comes after. The one table of it.

What may not come is a protocol error, told to the frontend by 08P01 and to the backend by the end
of the session. ``docs/phases.py`` makes the diagram of the documentation from it.

Source: PostgreSQL documentation, "Message Flow".
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

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
from proxy.wire import backend, frontend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.session.pending import Pending
    from proxy.session.state import State

F: Final = frontend.Tag
B: Final = backend.Tag


class Phase(Enum):
    """Where a session stands. Within READY the pending messages tell the rest: see ``Flow``."""

    OPENING = "opening"  # untagged messages
    AUTHENTICATION = "authentication"  # from the StartupMessage to the first ReadyForQuery
    READY = "ready"
    CLOSED = "closed"


class Flow(Enum):
    """A phase, as fine as the order of messages is."""

    OPENING = "opening"
    AUTHENTICATION = "authentication"
    READY = "ready"  # nothing is under way
    SIMPLE = "simple query"
    EXTENDED = "extended query"
    SKIPPING = "skipping to Sync"  # the backend discards what comes, after an error
    COPY_IN = "copy in"  # within a simple query
    EXTENDED_COPY_IN = "copy in, extended"
    CLOSED = "closed"


class Fate(Enum):
    """What becomes of a message of the frontend."""

    DECIDED = "decided"
    PASSED = "forwarded"
    WAITS = "held back"  # until the login is over; an error if the backend waits for another
    IGNORED = "ignored"  # as PostgreSQL does
    ENDS = "ends the session"


_SPEAKS: Final = {
    **dict.fromkeys((F.QUERY, F.PARSE, F.BIND, F.EXECUTE, F.FUNCTION_CALL), Fate.DECIDED),
    **dict.fromkeys((F.DESCRIBE, F.CLOSE, F.FLUSH, F.SYNC), Fate.PASSED),
    # outside of COPY the backend ignores them: it may have failed while they were sent
    **dict.fromkeys((F.COPY_DATA, F.COPY_DONE, F.COPY_FAIL), Fate.PASSED),
    F.TERMINATE: Fate.ENDS,
}
_COPIES: Final = {
    **dict.fromkeys((F.COPY_DATA, F.COPY_DONE, F.COPY_FAIL, F.FLUSH), Fate.PASSED),
    F.SYNC: Fate.IGNORED,
    F.TERMINATE: Fate.ENDS,
}
FRONTEND: Final[Mapping[Flow, Mapping[frontend.Tag, Fate]]] = {
    Flow.OPENING: {},
    Flow.AUTHENTICATION: {
        F.PASSWORD: Fate.PASSED,
        F.TERMINATE: Fate.ENDS,
        **dict.fromkeys(set(_SPEAKS) - {F.TERMINATE}, Fate.WAITS),
    },
    # whatever is under way, more may be sent ahead of its answer
    **dict.fromkeys((Flow.READY, Flow.SIMPLE, Flow.EXTENDED, Flow.SKIPPING), _SPEAKS),
    **dict.fromkeys((Flow.COPY_IN, Flow.EXTENDED_COPY_IN), _COPIES),
    Flow.CLOSED: dict.fromkeys(F, Fate.IGNORED),
}
"""What may come from the frontend, by phase; everything else is a protocol error."""

SPEAKS: Final = frozenset(_SPEAKS)
COPIES: Final = frozenset(_COPIES)

AT_ANY_TIME: Final = frozenset(
    {B.PARAMETER_STATUS, B.NOTICE_RESPONSE, B.NOTIFICATION_RESPONSE, B.ERROR_RESPONSE}
)
LOGIN: Final = frozenset(
    {
        *(B.AUTHENTICATION, B.NEGOTIATE_PROTOCOL_VERSION, B.BACKEND_KEY_DATA, B.READY_FOR_QUERY),
        *(B.PARAMETER_STATUS, B.NOTICE_RESPONSE, B.ERROR_RESPONSE),
    }
)
"""What may come from the backend during authentication."""

_RESULT: Final = (
    *(B.DATA_ROW, B.COMMAND_COMPLETE, B.EMPTY_QUERY_RESPONSE),
    *(B.COPY_IN_RESPONSE, B.COPY_OUT_RESPONSE, B.COPY_DATA, B.COPY_DONE),
)
_ANY: Final = frozenset(B)
ANSWERS: Final[Mapping[type[Pending], frozenset[int]]] = {
    QueryPending: frozenset({*_RESULT, B.ROW_DESCRIPTION, B.COPY_BOTH_RESPONSE, B.READY_FOR_QUERY}),
    ParsePending: frozenset({B.PARSE_COMPLETE}),
    BindPending: frozenset({B.BIND_COMPLETE}),
    DescribePending: frozenset({B.PARAMETER_DESCRIPTION, B.ROW_DESCRIPTION, B.NO_DATA}),
    ExecutePending: frozenset({*_RESULT, B.PORTAL_SUSPENDED}),
    ClosePending: frozenset({B.CLOSE_COMPLETE}),
    SyncPending: frozenset({B.READY_FOR_QUERY}),
    FunctionPending: frozenset({B.FUNCTION_CALL_RESPONSE, B.READY_FOR_QUERY}),
    # Vigie's own: several messages at once, of which no answer goes on
    OwnQueryPending: _ANY,
    PlanPending: _ANY,
}
"""What answers a message, beside what comes at any time; everything else is a protocol error."""

_BEGINS: Final = (F.PARSE, F.BIND, F.DESCRIBE, F.EXECUTE, F.CLOSE)
_ENDS_COPY: Final = (F.COPY_DONE, F.COPY_FAIL)
FRONTEND_MOVES: Final[Mapping[tuple[Flow, frontend.Tag], Flow]] = {
    **{(flow, F.QUERY): Flow.SIMPLE for flow in (Flow.READY, Flow.EXTENDED)},
    **{(flow, F.FUNCTION_CALL): Flow.SIMPLE for flow in (Flow.READY, Flow.EXTENDED)},
    **{(Flow.READY, tag): Flow.EXTENDED for tag in (*_BEGINS, F.SYNC)},
    **{(Flow.SIMPLE, tag): Flow.EXTENDED for tag in (*_BEGINS, F.SYNC)},
    (Flow.SKIPPING, F.SYNC): Flow.EXTENDED,
    **{(Flow.COPY_IN, tag): Flow.SIMPLE for tag in _ENDS_COPY},
    **{(Flow.EXTENDED_COPY_IN, tag): Flow.EXTENDED for tag in _ENDS_COPY},
    **{(flow, F.TERMINATE): Flow.CLOSED for flow in FRONTEND if flow is not Flow.OPENING},
}
"""What comes after a message of the frontend; where nothing is said, the phase stays."""

BACKEND_MOVES: Final[Mapping[tuple[Flow, backend.Tag], Flow]] = {
    (Flow.AUTHENTICATION, B.READY_FOR_QUERY): Flow.READY,
    (Flow.SIMPLE, B.READY_FOR_QUERY): Flow.READY,
    (Flow.SIMPLE, B.COPY_IN_RESPONSE): Flow.COPY_IN,
    (Flow.COPY_IN, B.ERROR_RESPONSE): Flow.SIMPLE,
    (Flow.EXTENDED, B.READY_FOR_QUERY): Flow.READY,
    (Flow.EXTENDED, B.ERROR_RESPONSE): Flow.SKIPPING,
    (Flow.EXTENDED, B.COPY_IN_RESPONSE): Flow.EXTENDED_COPY_IN,
    (Flow.EXTENDED_COPY_IN, B.ERROR_RESPONSE): Flow.SKIPPING,
}
"""What comes after the answer of the backend to the last message."""


def flow_of(state: State) -> Flow:
    """Return where a session stands. Of what Vigie asks on its own the frontend sees nothing."""
    if state.phase is not Phase.READY:
        return Flow(state.phase.value)
    copying = state.copying
    if copying is not None and copying.ends > copying.copies:
        is_simple = isinstance(copying, QueryPending)
        return Flow.COPY_IN if is_simple else Flow.EXTENDED_COPY_IN
    if state.skipping:
        return Flow.SKIPPING
    last = state.pending[-1] if state.pending else None
    if isinstance(last, QueryPending | FunctionPending):
        return Flow.SIMPLE
    return Flow.EXTENDED if last is not None or state.segment_open else Flow.READY
