"""SCRAM channel binding, where TLS ends at Vigie and begins anew.

With SCRAM-SHA-256-PLUS a frontend signs the certificate that it sees, and the backend compares
it with its own. So it passes through Vigie where both are one certificate. Elsewhere either end
needs an exchange of its own, for which Vigie has to have the verifier of the role. A mechanism
that is taken off the list is a downgrade to a frontend that could have used it: it signs that
too, and the backend refuses. Only one without TLS cannot use it, and must not see it.

Source: RFC 5802, section 6; RFC 5929, "tls-server-end-point"; PostgreSQL documentation, "SASL
Authentication".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.session.commands import LoginFailed
from proxy.session.phases import Phase
from proxy.session.scram_relay import ScramRelay
from proxy.wire.backend import decode_authentication, decode_sasl_mechanisms
from proxy.wire.encode import authentication_sasl
from proxy.wire.frontend import decode_sasl_mechanism
from proxy.wire.scram import PLAIN, PLUS

if TYPE_CHECKING:
    from proxy.session.events import BackendEncrypted, FrontendEncrypted
    from proxy.session.state import State

_HINT: Final = (
    "Give Vigie the certificate and key of the database, or the SCRAM verifier of the role, or let"
    " it reach the database by a Unix socket or without TLS, or connect with"
    " channel_binding=disable."
)


class ChannelBinding:
    """Looks at the messages of one login that name its mechanism."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._frontend: FrontendEncrypted | None = None
        self._backend: BackendEncrypted | None = None
        self._is_choosing = False
        self._relay: ScramRelay | None = None

    @property
    def is_relaying(self) -> bool:
        """Whether the login is one on each leg: neither side's messages may pass as they are."""
        return self._relay is not None and self._state.phase is Phase.AUTHENTICATION

    def frontend_encrypted(self, event: FrontendEncrypted) -> None:
        """The frontend speaks through TLS."""
        self._frontend = event

    def backend_encrypted(self, event: BackendEncrypted) -> None:
        """The backend is reached by TLS."""
        self._backend = event

    def authentication(self, raw: bytes) -> None:
        """Take an Authentication message of the backend. Errors: WireError."""
        state = self._state
        kind, carried = decode_authentication(raw)
        if self._relay is not None and kind:
            self._relay.backend_says(kind, carried)
            return
        mechanisms = decode_sasl_mechanisms(raw)
        self._is_choosing = mechanisms is not None
        if mechanisms is None:
            state.to_frontend(raw)
        elif self._frontend is None:
            kept = [one for one in mechanisms if one != PLUS]
            state.to_frontend(raw if kept == mechanisms else authentication_sasl(kept))
        else:
            self._relay = self._relayed(self._frontend, mechanisms)
            state.to_frontend(raw if self._relay is None else self._relay.begin())

    def password(self, raw: bytes, body: bytes) -> None:
        """Take a password message of the frontend. Errors: WireError."""
        if self._relay is not None:
            self._relay.frontend_says(body)
        elif self._is_choosing and self._cannot_bind and decode_sasl_mechanism(body) == PLUS:
            self._state.out.append(LoginFailed())
            self._state.fail(
                "28000",
                "SCRAM channel binding cannot pass: Vigie's certificate is not the database's",
                hint=_HINT,
            )
        else:
            self._state.to_backend(raw)
        self._is_choosing = False

    @property
    def _cannot_bind(self) -> bool:
        return self._backend is not None and not self._backend.presents_ours

    def _relayed(self, frontend: FrontendEncrypted, offered: list[bytes]) -> ScramRelay | None:
        """Return an exchange for either end; None: one passes through, or there is no verifier."""
        if self._backend is not None and self._backend.presents_ours:
            return None
        role = self._state.reader.role
        verifier = frontend.verifiers.get(role)
        if verifier is None or PLAIN not in offered:
            return None
        theirs = self._backend.end_point if self._backend and PLUS in offered else b""
        return ScramRelay(self._state, role, verifier, ours=frontend.end_point, theirs=theirs)
