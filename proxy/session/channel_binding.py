"""SCRAM channel binding, where TLS ends at Vigie and begins anew.

With SCRAM-SHA-256-PLUS a frontend signs the certificate that it sees, and the backend compares
it with its own. So it holds through Vigie where both are one certificate, and cannot otherwise.
A mechanism that is taken off the list is a downgrade to a frontend that could have used it: it
signs that too, and the backend refuses. Only one without TLS cannot use it, and must not see it.

Source: RFC 5802, section 6; RFC 5929, "tls-server-end-point"; PostgreSQL documentation, "SASL
Authentication".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.session.commands import LoginFailed
from proxy.wire.backend import decode_sasl_mechanisms
from proxy.wire.encode import authentication_sasl
from proxy.wire.frontend import decode_sasl_mechanism

if TYPE_CHECKING:
    from proxy.session.state import State

PLUS: Final = b"SCRAM-SHA-256-PLUS"
_HINT: Final = (
    "Give Vigie the certificate and key of the database, or let it reach the database by a Unix"
    " socket or without TLS, or connect with channel_binding=disable."
)


class ChannelBinding:
    """Looks at the messages of one login that name its mechanism."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._presents_ours: bool | None = None  # None: the backend is reached without TLS
        self._is_choosing = False

    def backend_encrypted(self, *, presents_ours: bool) -> None:
        """The backend is reached by TLS."""
        self._presents_ours = presents_ours

    def authentication(self, raw: bytes) -> bytes:
        """Return what the frontend gets for an Authentication message. Errors: WireError."""
        mechanisms = decode_sasl_mechanisms(raw)
        self._is_choosing = mechanisms is not None
        if mechanisms is None or self._state.is_encrypted:
            return raw
        kept = [one for one in mechanisms if one != PLUS]
        return raw if kept == mechanisms else authentication_sasl(kept)

    def admits(self, body: bytes) -> bool:
        """Whether a password message of the frontend may pass; if not, the session was ended."""
        if not self._is_choosing:
            return True
        self._is_choosing = False
        if self._presents_ours is not False or decode_sasl_mechanism(body) != PLUS:
            return True
        self._state.out.append(LoginFailed())
        self._state.fail(
            "28000",
            "SCRAM channel binding cannot pass: Vigie's certificate is not the database's",
            hint=_HINT,
        )
        return False
